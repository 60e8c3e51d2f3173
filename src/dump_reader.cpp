// Reads the text of a dump. Every byte of it is input: of any length, and no JSON, perhaps.
#include <fmt/format.h>

#include <cstring>
#include <nlohmann/json.hpp>
#include <optional>
#include <unordered_map>
#include <unordered_set>
#include <utility>

#include "shm/policies.hpp"
#include "src/dump_lines.hpp"
#include "src/dump_text.hpp"

namespace rl {
namespace {

using nlohmann::json;

/// A debt of one key, or a window: 73 years, as the longest that a limit can have.
constexpr std::uint64_t kTimesMax = TokenBucket::kToleranceMax;
constexpr std::uint64_t kNumberMax = ~std::uint64_t{0};
/// What is remembered of a key that was banned: while the longest ban lasts, and as long again.
constexpr std::uint64_t kConductMax = 2 * kTimeMax;

shm::ClockKind clock_in(const Members& line) {
  const std::string& name = line.text("clock");
  if (name == "tsc") return shm::ClockKind::tsc;
  if (name == "boottime") return shm::ClockKind::boottime;
  if (name == "manual") return shm::ClockKind::manual;
  throw line.bad("clock", "is none of tsc, boottime, manual");
}

DumpedSegment segment_in(const Members& line, std::uint64_t format) {
  return {.keys = line.number("keys", 1, shm::kKeysMax),
          .pairs = line.number("pairs", 1, shm::kKeysMax),
          .policies = static_cast<std::uint32_t>(line.number("policies", 1, shm::kPoliciesMax)),
          .labels = line.flag("labels"),
          .clock = clock_in(line),
          .secret = {line.word("secret", 16, 16, 32), line.word("secret", 16, 0, 32)},
          .off_unix_ns = format >= 2 ? line.number("off_unix_ns", kNumberMax) : 0};
}

std::uint16_t policy_id_in(const Members& line) {
  return static_cast<std::uint16_t>(line.number("policy", 1, shm::kPoliciesMax));
}

Limit limit_in(const Members& line, const char* name = "limit") {
  try {
    return Limit::parse(line.text(name));
  } catch (const Error& e) {
    if (e.code() != Errc::bad_limit) throw;
    throw line.bad(name, fmt::format("is no limit that this library knows ({})", e.what()));
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
  if (line.has("trial")) policy.trial = limit_in(line, "trial");
  if (policy.trial &&
      !(takes_calls(policy.trial->algorithm()) && takes_calls(policy.limit.algorithm())))
    throw line.bad("trial", "is of permits or a count, which have none");
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
    case Algorithm::counter:
      return {.ns = line.number("left_ns", kTimesMax), .count = line.number("count", kTimesMax)};
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

DumpedStanding standing_in(const Members& line, std::uint16_t policy, std::uint64_t slots,
                           std::uint64_t format) {
  DumpedStanding standing{whose(line, policy, slots), Standing::none, {}, {}, 0};
  const std::string& word = line.text("standing");
  for (const Standing known : {Standing::override_, Standing::allow, Standing::ban})
    if (word == to_string(known)) standing.standing = known;
  if (standing.standing == Standing::none)
    throw line.bad("standing", "is of a later version of librl");
  if (standing.standing == Standing::override_) {
    standing.limit = limit_in(line);
    if (!takes_calls(standing.limit->algorithm()))
      throw line.bad("limit", "gives permits or only counts, and is no key's own");
  }
  if (standing.standing == Standing::ban) {
    if (line.has("left_ns")) standing.left_ns = line.number("left_ns", kTimesMax);
    standing.owed = line.number("owed", kNumberMax);
    if (format >= 2)
      standing.level = static_cast<std::uint32_t>(line.number("level", BanWord::kLevelMax));
  }
  return standing;
}

DumpedConduct conduct_in(const Members& line, std::uint16_t policy, std::uint64_t slots) {
  DumpedConduct conduct{whose(line, policy, slots), limit_in(line, "conduct"), {}};
  if (conduct.bans.ban_after() == 0) throw line.bad("conduct", "bans nobody");
  conduct.what = {static_cast<std::uint32_t>(line.number("denials", ConductWord::kDenialsMask)),
                  static_cast<std::uint32_t>(line.number("level", Conduct::kLevelMax)),
                  line.number("left_ns", kConductMax)};
  return conduct;
}

/// Reads lines, checks their sums, and gathers what they say.
class Reader {
 public:
  explicit Reader(const Dump::Source& source) : lines_(source) {}

  DumpContents read() {
    const json first = parsed(required_line());
    contents_.segment = segment_in(members(first), format_);
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
  void check_format(const json& first) {
    const bool is_ours = first.is_object() && first.contains("librl_dump") &&
                         first["librl_dump"].is_number_unsigned();
    if (!is_ours) throw refused(1, "it does not begin as a dump of librl does");
    format_ = first["librl_dump"].get<std::uint64_t>();
    if (format_ >= kDumpFormatOldest && format_ <= kDumpFormat) return;
    throw Error(Errc::wrong_version,
                fmt::format("the dump is of format {}, and this library reads {} to {}; load it "
                            "with the version of librl that wrote it, or a later one",
                            format_, kDumpFormatOldest, kDumpFormat));
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
    const bool is_conduct = line.has("conduct") && format_ >= 2;
    if (!is_conduct && !line.has("standing")) {
      contents_.keys.push_back(key_in(line, id, at->second, slots));
    } else if (!takes_calls(at->second)) {
      throw line.bad("policy", "gives permits or only counts, and no key of it stands apart");
    } else if (is_conduct) {
      contents_.conducts.push_back(conduct_in(line, id, slots));
    } else {
      contents_.standings.push_back(standing_in(line, id, slots, format_));
    }
  }

  Lines lines_;
  std::uint64_t format_ = 0;
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
