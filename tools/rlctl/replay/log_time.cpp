#include "tools/rlctl/replay/log_time.hpp"

#include <algorithm>
#include <chrono>
#include <cstring>

namespace rl::ctl {
namespace {

constexpr std::uint64_t kSecondNs = 1'000'000'000;

/// Takes parts off the beginning of a text; once something was not there, nothing is.
class Scanner {
 public:
  explicit Scanner(std::string_view text) noexcept : rest_(text) {}

  [[nodiscard]] bool failed() const noexcept { return failed_; }
  void fail() noexcept { failed_ = true; }
  [[nodiscard]] bool is_done() const noexcept { return !failed_ && rest_.empty(); }
  [[nodiscard]] bool is_at(char c) const noexcept { return !failed_ && rest_.starts_with(c); }
  [[nodiscard]] bool is_at_digit() const noexcept {
    return !failed_ && !rest_.empty() && is_digit(rest_.front());
  }

  bool skip(char c) noexcept {
    if (!is_at(c)) return false;
    rest_.remove_prefix(1);
    return true;
  }
  void must(char c) noexcept {
    if (!skip(c)) failed_ = true;
  }
  /// Takes exactly so many digits.
  unsigned digits(std::size_t count) noexcept {
    unsigned value = 0;
    if (rest_.size() < count) failed_ = true;
    for (std::size_t i = 0; i < count && !failed_; ++i) {
      if (!is_digit(rest_[i])) failed_ = true;
      value = value * 10 + static_cast<unsigned>(rest_[i] - '0');
    }
    if (!failed_) rest_.remove_prefix(count);
    return value;
  }
  /// Takes the digits behind a point as ns; more than nine say nothing.
  std::uint64_t fraction() noexcept {
    std::uint64_t ns = 0;
    std::uint64_t unit = kSecondNs / 10;
    if (!is_at_digit()) failed_ = true;
    for (; is_at_digit(); rest_.remove_prefix(1), unit /= 10)
      ns += static_cast<std::uint64_t>(rest_.front() - '0') * unit;
    return ns;
  }
  std::string_view take(std::size_t count) noexcept {
    if (rest_.size() < count) failed_ = true;
    const std::string_view taken = rest_.substr(0, count);
    rest_.remove_prefix(taken.size());
    return taken;
  }

 private:
  static bool is_digit(char c) noexcept { return c >= '0' && c <= '9'; }
  std::string_view rest_;
  bool failed_ = false;
};

struct Civil {
  unsigned year = 0;
  unsigned month = 0;
  unsigned day = 0;
  unsigned hour = 0;
  unsigned minute = 0;
  unsigned second = 0;
  std::uint64_t fraction_ns = 0;
  int zone_minutes = 0;  ///< east of UTC
};

std::optional<UnixNs> instant_of(const Civil& c) noexcept {
  const std::chrono::year_month_day date{std::chrono::year(static_cast<int>(c.year)),
                                         std::chrono::month(c.month), std::chrono::day(c.day)};
  // 60: a leap second, which Unix time counts as the next one.
  if (!date.ok() || c.hour > 23 || c.minute > 59 || c.second > 60) return std::nullopt;
  const std::int64_t days = std::chrono::sys_days(date).time_since_epoch().count();
  const std::int64_t seconds =
      (days * 24 + c.hour) * 3'600 + (std::int64_t{c.minute} - c.zone_minutes) * 60 + c.second;
  if (seconds < 0 || static_cast<std::uint64_t>(seconds) >= kLogTimeMax / kSecondNs)
    return std::nullopt;
  return static_cast<std::uint64_t>(seconds) * kSecondNs + c.fraction_ns;
}

/// "+02:00", "+0200" or "+02"; there is none beyond fourteen hours.
int zone_minutes(Scanner& scanner) noexcept {
  const bool is_west = scanner.skip('-');
  if (!is_west) scanner.must('+');
  const auto hours = static_cast<int>(scanner.digits(2));
  const bool has_minutes = scanner.skip(':') || scanner.is_at_digit();
  const auto minutes = static_cast<int>(has_minutes ? scanner.digits(2) : 0);
  if (hours > 14 || minutes > 59) scanner.fail();
  return is_west ? -(hours * 60 + minutes) : hours * 60 + minutes;
}

/// Returns 1 for "Jan"; 0 for what is none.
unsigned month_named(std::string_view name) noexcept {
  constexpr std::string_view kMonths = "JanFebMarAprMayJunJulAugSepOctNovDec";
  const std::size_t at = name.size() == 3 ? kMonths.find(name) : kMonths.npos;
  return at != kMonths.npos && at % 3 == 0 ? static_cast<unsigned>(at / 3 + 1) : 0;
}

void read_clock(Scanner& scanner, Civil& civil) noexcept {
  civil.hour = scanner.digits(2);
  scanner.must(':');
  civil.minute = scanner.digits(2);
  scanner.must(':');
  civil.second = scanner.digits(2);
  if (scanner.skip('.') || scanner.skip(',')) civil.fraction_ns = scanner.fraction();
}

}  // namespace

std::optional<UnixNs> read_clf_time(std::string_view text) noexcept {
  Scanner scanner(text);
  Civil civil;
  civil.day = scanner.digits(2);
  scanner.must('/');
  civil.month = month_named(scanner.take(3));
  scanner.must('/');
  civil.year = scanner.digits(4);
  scanner.must(':');
  read_clock(scanner, civil);
  scanner.must(' ');
  civil.zone_minutes = zone_minutes(scanner);
  return scanner.is_done() ? instant_of(civil) : std::nullopt;
}

std::optional<UnixNs> read_iso_time(std::string_view text) noexcept {
  Scanner scanner(text);
  Civil civil;
  civil.year = scanner.digits(4);
  scanner.must('-');
  civil.month = scanner.digits(2);
  scanner.must('-');
  civil.day = scanner.digits(2);
  if (!scanner.skip('T') && !scanner.skip('t')) scanner.must(' ');
  read_clock(scanner, civil);
  const bool has_blank = scanner.skip(' ');
  if (has_blank || scanner.is_at('+') || scanner.is_at('-')) {
    civil.zone_minutes = zone_minutes(scanner);
  } else if (!scanner.skip('Z')) {
    (void)scanner.skip('z');
  }
  return scanner.is_done() ? instant_of(civil) : std::nullopt;
}

std::optional<UnixNs> read_epoch(std::string_view text) noexcept {
  const std::size_t whole = std::min(text.find('.'), text.size());
  if (whole == 0 || whole > 19) return std::nullopt;
  // Seconds have up to 10 digits until the year 2286, and each unit three more.
  const std::size_t unit = whole <= 11 ? 0 : whole <= 14 ? 1 : whole <= 17 ? 2 : 3;
  constexpr std::array<std::uint64_t, 4> kNs{kSecondNs, 1'000'000, 1'000, 1};
  Scanner scanner(text);
  std::uint64_t count = 0;
  for (std::size_t i = 0; i < whole; ++i) count = count * 10 + scanner.digits(1);
  std::uint64_t fraction_ns = 0;
  if (scanner.skip('.')) fraction_ns = scanner.fraction() / (kSecondNs / kNs[unit]);
  if (!scanner.is_done() || count >= kLogTimeMax / kNs[unit]) return std::nullopt;
  return count * kNs[unit] + fraction_ns;
}

std::optional<UnixNs> read_any_time(std::string_view text) noexcept {
  if (text.starts_with('[') && text.ends_with(']')) text = text.substr(1, text.size() - 2);
  // Each is told from the others by where its first sign that is no digit stands.
  if (text.size() > 4 && text[4] == '-') return read_iso_time(text);
  if (text.size() > 2 && text[2] == '/') return read_clf_time(text);
  return read_epoch(text);
}

std::optional<UnixNs> ClfTimes::read(std::string_view text) noexcept {
  if (size_ != 0 && text.size() == size_ && std::memcmp(text.data(), text_.data(), size_) == 0)
    return ns_;
  const std::optional<UnixNs> ns = read_clf_time(text);
  if (!ns || text.size() > text_.size()) return ns;
  std::memcpy(text_.data(), text.data(), text.size());
  size_ = text.size();
  ns_ = *ns;
  return ns;
}

}  // namespace rl::ctl
