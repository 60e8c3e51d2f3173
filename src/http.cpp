#include <rl/http.hpp>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstdint>
#include <system_error>

namespace rl::http {
namespace {

using std::uint64_t;
using std::chrono::nanoseconds;

/// The largest Integer of a structured field (RFC 9651, section 3.3.1).
constexpr uint64_t kIntegerMax = 999'999'999'999'999;

/// Writes a value from left to right, and remembers whether all of it fitted.
class Writer {
 public:
  explicit Writer(std::span<char> buffer) noexcept : buffer_(buffer) {}

  Writer& character(char c) noexcept {
    fits_ = fits_ && size_ < buffer_.size();
    if (fits_) buffer_[size_++] = c;
    return *this;
  }

  Writer& number(uint64_t n) noexcept {
    char* const end = buffer_.data() + buffer_.size();
    const auto [at, error] = std::to_chars(buffer_.data() + size_, end, n);
    fits_ = fits_ && error == std::errc{};
    if (fits_) size_ = static_cast<std::size_t>(at - buffer_.data());
    return *this;
  }

  /// A String of a structured field.
  Writer& quoted(std::string_view text) noexcept {
    character('"');
    for (const char c : text) {
      if (c == '"' || c == '\\') character('\\');
      character(c >= 0x20 && c <= 0x7e ? c : '?');
    }
    return character('"');
  }

  /// A parameter of a structured field, whose value is an Integer.
  Writer& parameter(char key, uint64_t n) noexcept {
    return character(';').character(key).character('=').number(std::min(n, kIntegerMax));
  }

  [[nodiscard]] std::string_view written() const noexcept {
    return fits_ ? std::string_view(buffer_.data(), size_) : std::string_view();
  }

 private:
  std::span<char> buffer_;
  std::size_t size_ = 0;
  bool fits_ = true;
};

/// Rounds up; a time in the past is 0.
uint64_t whole_seconds(nanoseconds duration) noexcept {
  constexpr uint64_t kSecond = 1'000'000'000;
  const auto ns = static_cast<uint64_t>(std::max(duration, nanoseconds(0)).count());
  return ns / kSecond + (ns % kSecond != 0 ? 1 : 0);
}

/// Says whether `remaining` and `reset_after` are the key's. Without its slot they are not known,
/// and under a ban they do not matter.
bool says_how_the_key_stands(const Decision& decision) noexcept {
  switch (decision.reason) {
    case Reason::ok:
    case Reason::limited:
    case Reason::never:
    case Reason::override_:
    case Reason::shadow:
      return decision.limit != 0;
    case Reason::banned:
    case Reason::full:
    case Reason::unavailable:
    case Reason::invalid:
    case Reason::off:
      return false;
  }
  return false;
}

}  // namespace

std::string_view retry_after(const Decision& decision, std::span<char> buffer) noexcept {
  if (decision.retry_after <= nanoseconds(0) || decision.retry_after == kNever) return {};
  return Writer(buffer).number(whole_seconds(decision.retry_after)).written();
}

std::string_view ratelimit_policy(std::string_view policy, const Limit& limit,
                                  std::span<char> buffer) noexcept {
  if (!takes_calls(limit.algorithm())) return {};
  const nanoseconds fill = counts_by_windows(limit.algorithm())
                               ? limit.period()
                               : limit.interval() * static_cast<std::int64_t>(limit.burst());
  return Writer(buffer)
      .quoted(policy)
      .parameter('q', limit.burst())
      .parameter('w', whole_seconds(fill))
      .written();
}

std::string_view ratelimit(std::string_view policy, const Limit& limit, const Decision& decision,
                           std::span<char> buffer) noexcept {
  if (!says_how_the_key_stands(decision) || decision.limit != limit.burst()) return {};
  if (!takes_calls(limit.algorithm())) return {};
  // With m tokens missing the bucket owes more than (m - 1) x T, and r grows when it owes just
  // that.
  const uint64_t left = std::min(decision.remaining, limit.burst());
  const uint64_t missing = limit.burst() - left;
  const nanoseconds kept = limit.interval() * static_cast<std::int64_t>(missing - (missing != 0));
  // A fixed window gives everything back at its end. A sliding one gives calls back before that:
  // when a denial says, or else not known here.
  nanoseconds growth = std::max(decision.reset_after, nanoseconds(0));
  if (!counts_by_windows(limit.algorithm())) growth -= kept;
  if (!decision.allowed && decision.retry_after > nanoseconds(0))
    growth = std::min(growth, decision.retry_after);
  return Writer(buffer)
      .quoted(policy)
      .parameter('r', left)
      .parameter('t', whole_seconds(growth))
      .written();
}

std::string_view x_ratelimit_limit(const Decision& decision, std::span<char> buffer) noexcept {
  if (decision.limit == 0) return {};
  return Writer(buffer).number(decision.limit).written();
}

std::string_view x_ratelimit_remaining(const Decision& decision, std::span<char> buffer) noexcept {
  if (!says_how_the_key_stands(decision)) return {};
  return Writer(buffer).number(std::min(decision.remaining, decision.limit)).written();
}

std::string_view x_ratelimit_reset(const Decision& decision, std::span<char> buffer) noexcept {
  if (!says_how_the_key_stands(decision)) return {};
  return Writer(buffer).number(whole_seconds(decision.reset_after)).written();
}

}  // namespace rl::http
