// Reads the text of a dump. Every byte of it is input: of any length, and no JSON, perhaps.
#include <fmt/format.h>

#include <array>
#include <charconv>
#include <cstring>
#include <nlohmann/json.hpp>
#include <optional>
#include <unordered_map>
#include <unordered_set>
#include <utility>

#include "shm/policies.hpp"
#include "src/dump_text.hpp"

namespace rl {
namespace {

using nlohmann::json;

/// No line that a dump has is longer.
constexpr std::size_t kLineMax = 1U << 16;
/// A debt of one key, or a window: 73 years, as the longest that a limit can have.
constexpr std::uint64_t kTimesMax = TokenBucket::kToleranceMax;
constexpr std::uint64_t kNumberMax = ~std::uint64_t{0};

Error refused(std::uint64_t line, const std::string& why) {
  return {Errc::corrupt, fmt::format("line {} of the dump: {}; nothing is loaded of it, take the "
                                     "dump anew",
                                     line, why)};
}

/// Gives the lines of a source, without their ends.
class Lines {
 public:
  explicit Lines(const Dump::Source& source) : source_(source) {}

  /// Of the line that was given last; before the first, 0.
  [[nodiscard]] std::uint64_t number() const noexcept { return number_; }

  /// Returns the next line, which is good until the one after; nothing at the end.
  std::optional<std::string_view> next() {
    ++number_;
    std::size_t end;
    while ((end = buffer_.find('\n', at_)) == buffer_.npos) {  // ends: the source does, or the room
      if (buffer_.size() - at_ > kLineMax)
        throw refused(number_, fmt::format("longer than {} bytes", kLineMax));
      if (!fill()) return rest();
    }
    const std::string_view line(buffer_.data() + at_, end - at_);
    at_ = end + 1;
    return line;
  }

 private:
  bool fill() {
    buffer_.erase(0, std::exchange(at_, 0));
    const std::size_t had = buffer_.size();
    buffer_.resize(had + kLineMax);
    const std::size_t got = source_(std::span(buffer_).subspan(had));
    buffer_.resize(had + std::min(got, kLineMax));
    return got != 0;
  }
  [[nodiscard]] std::optional<std::string_view> rest() const {
    if (at_ != buffer_.size()) throw refused(number_, "its end is missing: the dump was cut short");
    return std::nullopt;
  }

  const Dump::Source& source_;
  std::string buffer_;
  std::size_t at_ = 0;
  std::uint64_t number_ = 0;
};

/// The members of a line's object, each checked as it is asked for.
class Members {
 public:
  Members(const json& object, std::uint64_t line) : object_(object), line_(line) {}

  [[nodiscard]] bool has(const char* name) const { return object_.contains(name); }

  [[nodiscard]] std::uint64_t number(const char* name, std::uint64_t most) const {
    const json* const value = find(name);
    if (value == nullptr || !value->is_number_unsigned() || value->get<std::uint64_t>() > most)
      throw bad(name, fmt::format("is no number from 0 to {}", most));
    return value->get<std::uint64_t>();
  }
  [[nodiscard]] std::uint64_t number(const char* name, std::uint64_t least,
                                     std::uint64_t most) const {
    const std::uint64_t value = number(name, most);
    if (value < least) throw bad(name, fmt::format("is no number from {} to {}", least, most));
    return value;
  }
  [[nodiscard]] bool flag(const char* name) const {
    const json* const value = find(name);
    if (value == nullptr || !value->is_boolean()) throw bad(name, "is neither true nor false");
    return value->get<bool>();
  }
  [[nodiscard]] const std::string& text(const char* name) const {
    const json* const value = find(name);
    if (value == nullptr || !value->is_string()) throw bad(name, "is no text");
    return value->get_ref<const std::string&>();
  }
  /// The bytes that a text has a character for each, U+0000 to U+00FF: in UTF-8 one byte or two.
  [[nodiscard]] std::string bytes(const char* name, std::size_t most) const {
    const std::string& utf8 = text(name);
    std::string bytes;
    for (std::size_t i = 0; i < utf8.size(); ++i) {
      auto byte = static_cast<unsigned char>(utf8[i]);
      if (byte >= 0xc4) throw bad(name, "has a character above U+00FF");
      if (byte >= 0x80)  // the parser has seen that one byte follows
        byte =
            static_cast<unsigned char>(byte << 6 | (static_cast<unsigned char>(utf8[++i]) & 0x3f));
      bytes += static_cast<char>(byte);
    }
    if (bytes.size() > most) throw bad(name, fmt::format("has more than {} bytes", most));
    return bytes;
  }
  /// A word in hexadecimal, of just so many digits, that stands `from` a place in a text.
  [[nodiscard]] std::uint64_t word(const char* name, std::size_t digits, std::size_t from = 0,
                                   std::size_t all = 0) const {
    const std::string& hex = text(name);
    std::uint64_t value = 0;
    const char* const begin = hex.data() + from;
    const bool is_long = hex.size() == std::max(all, digits);
    if (!is_long || std::from_chars(begin, begin + digits, value, 16).ptr != begin + digits)
      throw bad(name, fmt::format("is no {} hexadecimal digits", std::max(all, digits)));
    return value;
  }
  [[nodiscard]] Error bad(const char* name, const std::string& why) const {
    return refused(line_, fmt::format("\"{}\" {}", name, why));
  }

 private:
  [[nodiscard]] const json* find(const char* name) const {
    const auto at = object_.find(name);
    return at == object_.end() ? nullptr : &*at;
  }

  const json& object_;
  std::uint64_t line_;
};

shm::ClockKind clock_in(const Members& line) {
  const std::string& name = line.text("clock");
  if (name == "tsc") return shm::ClockKind::tsc;
  if (name == "boottime") return shm::ClockKind::boottime;
  if (name == "manual") return shm::ClockKind::manual;
  throw line.bad("clock", "is none of tsc, boottime, manual");
}

DumpedSegment segment_in(const Members& line) {
  return {.keys = line.number("keys", 1, shm::kKeysMax),
          .pairs = line.number("pairs", 1, shm::kKeysMax),
          .policies = static_cast<std::uint32_t>(line.number("policies", 1, shm::kPoliciesMax)),
          .labels = line.flag("labels"),
          .clock = clock_in(line),
          .secret = {line.word("secret", 16, 16, 32), line.word("secret", 16, 0, 32)}};
}

std::uint16_t policy_id_in(const Members& line) {
  return static_cast<std::uint16_t>(line.number("policy", 1, shm::kPoliciesMax));
}

Limit limit_in(const Members& line) {
  try {
    return Limit::parse(line.text("limit"));
  } catch (const Error& e) {
    if (e.code() != Errc::bad_limit) throw;
    throw line.bad("limit", fmt::format("is none that this library knows ({})", e.what()));
  }
}

DumpedPolicy policy_in(const Members& line) {
  if (line.text("kind") != "limit") throw line.bad("kind", "is of a later version of librl");
  DumpedPolicy policy{policy_id_in(line), line.bytes("name", shm::kPolicyNameMax), limit_in(line)};
  try {
    shm::PolicyTable::check_name(policy.name);
  } catch (const Error& e) {
    throw line.bad("name", fmt::format("cannot be one ({})", e.what()));
  }
  const auto interval_ns = static_cast<std::uint64_t>(policy.limit.interval().count());
  if (line.number("interval_ns", kNumberMax) != interval_ns)
    throw line.bad("interval_ns", fmt::format("is not {}, as the limit's", interval_ns));
  return policy;
}

Owed owed_in_line(const Members& line, Algorithm algorithm) {
  switch (algorithm) {
    case Algorithm::token_bucket:
    case Algorithm::leaky:
      return {.ns = line.number("debt_ns", kTimesMax)};
    case Algorithm::fixed_window:
      return {.count = line.number("count", kTimesMax),
              .into_ns = line.number("into_ns", kTimesMax)};
    case Algorithm::sliding_window:
      return {.count = line.number("count", kTimesMax),
              .before = line.number("before", kTimesMax),
              .into_ns = line.number("into_ns", kTimesMax)};
    case Algorithm::concurrency:
      break;
  }
  throw line.bad("policy", "gives permits, which no dump has");
}

void set_text(DumpedKey& key, const std::string& text) noexcept {
  key.size = static_cast<std::uint8_t>(text.size());
  std::memcpy(key.text, text.data(), text.size());
}

void set_identity(DumpedKey& key, const Members& line) {
  key.hash.identity = line.word("identity", 12);
  if (key.hash.identity == 0) throw line.bad("identity", "is 0, which no key has");
}

/// Whose line it is. `slots`: how many the dumped segment had.
DumpedKey whose(const Members& line, std::uint16_t policy, std::uint64_t slots) {
  DumpedKey key;
  key.policy = policy;
  if (line.has("key")) {
    set_text(key, line.bytes("key", shm::kLabelTextBytes));
    if (key.size == 0) throw line.bad("key", "is empty, and no key is");
  } else if (line.has("begins")) {
    key.known = KeyKnown::hash;
    set_text(key, line.bytes("begins", shm::kLabelBeginBytes));
    set_identity(key, line);
    key.hash.place = line.word("place", 16);
    key.hash.sides = static_cast<std::uint32_t>(line.number("sides", 3));
  } else {
    key.known = KeyKnown::slot;
    key.slot_index = line.number("slot", slots - 1);
    set_identity(key, line);
  }
  return key;
}

DumpedKey key_in(const Members& line, std::uint16_t policy, Algorithm algorithm,
                 std::uint64_t slots) {
  DumpedKey key = whose(line, policy, slots);
  key.owed = owed_in_line(line, algorithm);
  key.allowed_count = line.number("allowed", kNumberMax);
  key.denied_count = line.number("denied", kNumberMax);
  return key;
}

DumpedStanding standing_in(const Members& line, std::uint16_t policy, std::uint64_t slots) {
  DumpedStanding standing{whose(line, policy, slots), Standing::none, {}, {}, 0};
  const std::string& word = line.text("standing");
  for (const Standing known : {Standing::override_, Standing::allow, Standing::ban})
    if (word == to_string(known)) standing.standing = known;
  if (standing.standing == Standing::none)
    throw line.bad("standing", "is of a later version of librl");
  if (standing.standing == Standing::override_) {
    standing.limit = limit_in(line);
    if (gives_permits(standing.limit->algorithm()))
      throw line.bad("limit", "gives permits, which no key has of its own");
  }
  if (standing.standing == Standing::ban) {
    if (line.has("left_ns")) standing.left_ns = line.number("left_ns", kTimesMax);
    standing.owed = line.number("owed", kNumberMax);
  }
  return standing;
}

/// Reads lines, checks their sums, and gathers what they say.
class Reader {
 public:
  explicit Reader(const Dump::Source& source) : lines_(source) {}

  DumpContents read() {
    const json first = parsed(required_line());
    contents_.segment = segment_in(members(first));
    for (bool is_last = false; !is_last;) {  // ends: the lines do
      const json object = parsed(required_line());
      is_last = take(members(object));
    }
    if (lines_.next()) throw refused(lines_.number(), "it stands behind the last line");
    return std::move(contents_);
  }

 private:
  /// What a line ends with: ,"sum":"0123456789abcdef"}
  static constexpr std::string_view kSum = ",\"sum\":\"";
  static constexpr std::string_view kEnd = "\"}";
  static constexpr std::size_t kDigits = 16;
  static constexpr std::size_t kSumBytes = kSum.size() + kDigits + kEnd.size();

  [[nodiscard]] Members members(const json& object) const { return {object, lines_.number()}; }

  std::string_view required_line() {
    const auto line = lines_.next();
    if (!line) {
      throw refused(lines_.number(), lines_.number() == 1
                                         ? "there is none: the dump is empty"
                                         : "it is missing: the dump was cut short");
    }
    return *line;
  }

  json parsed(std::string_view line) {
    if (lines_.number() == 1) check_format(json::parse(line, nullptr, false));
    check_sum(line);
    json object = json::parse(line, nullptr, false);
    if (!object.is_object()) throw refused(lines_.number(), "it is no object of JSON");
    return object;
  }

  /// Before the sum, as a later format may have another.
  static void check_format(const json& first) {
    const bool is_ours = first.is_object() && first.contains("librl_dump") &&
                         first["librl_dump"].is_number_unsigned();
    if (!is_ours) throw refused(1, "it does not begin as a dump of librl does");
    const auto format = first["librl_dump"].get<std::uint64_t>();
    if (format == kDumpFormat) return;
    throw Error(Errc::wrong_version,
                fmt::format("the dump is of format {}, and this library reads {}; load it with the "
                            "version of librl that wrote it, or a later one",
                            format, kDumpFormat));
  }

  void check_sum(std::string_view line) {
    const std::size_t size = line.size() < kSumBytes ? 0 : line.size() - kSumBytes;
    const std::string_view end = line.substr(size);
    chain_ = shm::Hasher(chain_)(line.data(), size);
    const std::string expected = fmt::format("{}{:016x}{}", kSum, chain_.low, kEnd);
    if (end != expected) {
      throw refused(lines_.number(),
                    "its checksum does not fit: it was changed, or lines are missing, doubled or "
                    "not in their order");
    }
  }

  /// Takes what a line says; returns whether it is the last.
  bool take(const Members& line) {
    if (line.has("lines")) {
      if (line.number("lines", kNumberMax) != lines_.number())
        throw line.bad("lines", "is not how many there are");
      return true;
    }
    if (line.has("name")) {
      take_policy(policy_in(line), line);
    } else {
      take_key(line);
    }
    return false;
  }

  void take_policy(DumpedPolicy policy, const Members& line) {
    if (!algorithms_.emplace(policy.id, policy.limit.algorithm()).second)
      throw line.bad("policy", "is another policy's, too");
    if (!names_.insert(policy.name).second) throw line.bad("name", "is another policy's, too");
    contents_.policies.push_back(std::move(policy));
  }

  void take_key(const Members& line) {
    const std::uint16_t id = policy_id_in(line);
    const auto at = algorithms_.find(id);
    if (at == algorithms_.end()) throw line.bad("policy", "is none of the lines before");
    const std::uint64_t slots = contents_.segment.pairs * 8;
    if (!line.has("standing")) {
      contents_.keys.push_back(key_in(line, id, at->second, slots));
    } else if (gives_permits(at->second)) {
      throw line.bad("policy", "gives permits, of which no key stands apart");
    } else {
      contents_.standings.push_back(standing_in(line, id, slots));
    }
  }

  Lines lines_;
  shm::Hash128 chain_ = DumpWriter::kChainStart;
  DumpContents contents_;
  std::unordered_map<std::uint16_t, Algorithm> algorithms_;
  std::unordered_set<std::string> names_;
};

}  // namespace

DumpContents read_dump(const Dump::Source& source) {
  return Reader(source).read();
}

}  // namespace rl
