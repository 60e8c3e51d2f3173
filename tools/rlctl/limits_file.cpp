#include "tools/rlctl/limits_file.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sys/stat.h>

#include <toml++/toml.h>
#include <algorithm>
#include <initializer_list>
#include <map>
#include <sstream>
#include <tuple>

#include "shm/policies.hpp"
#include "src/limit_text.hpp"
#include "tools/rlctl/lists.hpp"
#include "tools/rlctl/text.hpp"

namespace rl::ctl {
namespace {

using std::chrono::system_clock;

std::uint32_t line_of(const toml::node& node) {
  return node.source().begin.line;
}

/// Reads one file; every function throws with the line that is wrong.
class Reader {
 public:
  explicit Reader(LimitsFile& file) : file_(file) {}

  void read(const toml::table& root) {
    know_only(root, {"segment", "policy"});
    if (const toml::node* segment = root.get("segment")) read_segment(table(*segment, "segment"));
    if (const toml::node* policies = root.get("policy")) {
      for (const auto& [name, node] : table(*policies, "policy"))
        file_.policies.push_back(policy(std::string(name.str()), table(node, name.str())));
    }
    // In the order of the file.
    std::sort(file_.policies.begin(), file_.policies.end(),
              [](const auto& a, const auto& b) { return a.line < b.line; });
    check_that_names_differ();
  }

 private:
  [[noreturn]] void fail(const toml::node& node, std::string_view what) const {
    throw file_.error_at(line_of(node), what);
  }

  /// Does what throws Error of its own, and adds the place to it.
  template <class What>
  auto checked(const toml::node& node, What&& what) const {
    try {
      return what();
    } catch (const Error& e) {
      fail(node, e.what());
    }
  }

  const toml::table& table(const toml::node& node, std::string_view name) const {
    if (const toml::table* found = node.as_table()) return *found;
    fail(node, fmt::format("{} has to be a table", escape(name)));
  }

  void know_only(const toml::table& table, std::initializer_list<std::string_view> known) const {
    for (const auto& [key, node] : table) {
      if (std::find(known.begin(), known.end(), key.str()) != known.end()) continue;
      throw file_.error_at(key.source().begin.line,
                           fmt::format("\"{}\" is not known here; there are {}", escape(key.str()),
                                       fmt::join(known, ", ")));
    }
  }

  std::string text(const toml::node& node, std::string_view what) const {
    if (const auto value = node.value_exact<std::string>()) return *value;
    fail(node, fmt::format("{} has to be a text in quotes", what));
  }

  std::uint64_t count(const toml::node& node, std::string_view what) const {
    const auto value = node.value_exact<std::int64_t>();
    if (value && *value >= 1) return static_cast<std::uint64_t>(*value);
    fail(node, fmt::format("{} has to be a whole number, 1 or more", what));
  }

  void read_segment(const toml::table& table) {
    know_only(table, {"keys", "mode", "labels", "clock", "policies"});
    SegmentOptions options;
    if (const toml::node* keys = table.get("keys")) {
      options.keys = count(*keys, "keys");
      if (options.keys > shm::kKeysMax)
        fail(*keys, fmt::format("keys is at most {}", shm::kKeysMax));
    }
    if (const toml::node* mode = table.get("mode")) {
      options.mode =
          checked(*mode, [&, word = text(*mode, "mode")] { return parse_mode("mode", word); });
    }
    if (const toml::node* labels = table.get("labels")) {
      const auto value = labels->value_exact<bool>();
      if (!value) fail(*labels, "labels has to be true or false");
      options.labels = *value;
    }
    if (const toml::node* clock = table.get("clock"))
      options.clock = choice<ClockSource>(*clock, "clock",
                                          {{"auto", ClockSource::automatic},
                                           {"tsc", ClockSource::tsc},
                                           {"boottime", ClockSource::boottime},
                                           {"manual", ClockSource::manual}});
    if (const toml::node* policies = table.get("policies")) {
      const std::uint64_t room = count(*policies, "policies");
      if (room > 65'535) fail(*policies, "policies is at most 65535");
      options.policies = static_cast<std::uint32_t>(room);
    }
    file_.segment_line = line_of(table.contains("policies") ? *table.get("policies") : table);
    file_.segment = options;
  }

  WantedPolicy policy(std::string name, const toml::table& table) {
    know_only(table, {"limit", "spent", "override", "allow", "ban"});
    const toml::node* const limit = table.get("limit");
    if (limit == nullptr) fail(table, fmt::format("policy {} has no limit", escape(name)));
    checked(table, [&] { shm::PolicyTable::check_name(name); });
    WantedPolicy wanted{
        std::move(name),
        checked(*limit, [&, word = text(*limit, "limit")] { return Limits::parse(word); }),
        Spent::keep,
        {},
        line_of(table)};
    check_list(*limit, wanted);
    if (const toml::node* spent = table.get("spent"))
      wanted.spent =
          choice<Spent>(*spent, "spent",
                        {{"keep", Spent::keep}, {"scale", Spent::scale}, {"reset", Spent::reset}});
    for (const auto& [word, standing] : kStandings) {
      if (const toml::node* keys = table.get(word)) add_standings(wanted, standing, *keys, word);
    }
    std::sort(wanted.standings.begin(), wanted.standings.end(),
              [](const auto& a, const auto& b) { return a.line < b.line; });
    return wanted;
  }

  static bool is_of_calls(const Limit& limit) { return takes_calls(limit.algorithm()); }

  /// What Segment::set_policy would refuse.
  void check_list(const toml::node& node, const WantedPolicy& policy) const {
    const auto other = std::find_if_not(policy.limits.begin(), policy.limits.end(), is_of_calls);
    if (policy.limits.size() > 1 && other != policy.limits.end()) {
      fail(node, fmt::format("{}; give it a policy of its own", why_no_calls(other->algorithm())));
    }
    // The last has the longest name.
    checked(node, [&] {
      shm::PolicyTable::check_name(Limiters::policy(policy.name, policy.limits.size() - 1));
    });
  }

  static constexpr std::pair<std::string_view, Standing> kStandings[] = {
      {"override", Standing::override_}, {"allow", Standing::allow}, {"ban", Standing::ban}};

  void add_standings(WantedPolicy& policy, Standing standing, const toml::node& keys,
                     std::string_view word) const {
    for (const auto& [key, node] : table(keys, word)) {
      if (!is_of_calls(policy.limits[0])) {
        fail(node, fmt::format("a {} has no overrides, bans or allowed keys",
                               gives_permits(policy.limits[0].algorithm()) ? "concurrency limit"
                                                                           : "counter"));
      }
      if (key.str().empty()) fail(node, "the key is empty; a key has at least one byte");
      const auto is_allowed = [&](const WantedStanding& other) {
        return other.standing == Standing::allow && other.key == key.str();
      };
      if (standing == Standing::ban &&
          std::any_of(policy.standings.begin(), policy.standings.end(), is_allowed))
        fail(node, fmt::format("key \"{}\" is both allowed and banned", escape(key.str())));
      policy.standings.push_back(wanted(policy, standing, std::string(key.str()), node));
    }
  }

  /// Of a list, a key has a limit of its own for each.
  Limits limits_of_override(const WantedPolicy& policy, const toml::node& node) const {
    const std::string word = text(node, "an override's limit");
    Limits limits = checked(node, [&] { return Limits::parse(word); });
    if (!std::all_of(limits.begin(), limits.end(), is_of_calls))
      fail(node, "an override of calls cannot be a concurrency limit or a counter");
    if (limits.size() != policy.limits.size())
      fail(node, not_as_many(policy.name, policy.limits.to_string(), limits).what());
    return limits;
  }

  WantedStanding wanted(const WantedPolicy& policy, Standing standing, std::string key,
                        const toml::node& node) const {
    WantedStanding wanted{standing, std::move(key), {}, {}, {}, line_of(node)};
    if (standing == Standing::override_) {
      wanted.limits = limits_of_override(policy, node);
    } else if (standing == Standing::allow) {
      wanted.reason = text(node, "the reason");
    } else {
      const toml::table& ban = table(node, "a ban");
      know_only(ban, {"until", "reason"});
      if (const toml::node* until = ban.get("until")) wanted.until = instant(*until);
      if (const toml::node* reason = ban.get("reason")) wanted.reason = text(*reason, "reason");
    }
    return wanted;
  }

  system_clock::time_point instant(const toml::node& node) const {
    const auto value = node.value_exact<toml::date_time>();
    if (!value || !value->offset)
      fail(node, "until has to be a time with its offset, such as 2026-12-01T03:00:00Z");
    using namespace std::chrono;
    const sys_days day = year_month_day{year{value->date.year}, month{value->date.month},
                                        std::chrono::day{value->date.day}};
    const sys_seconds when = sys_seconds(day) + hours(value->time.hour) +
                             minutes(value->time.minute) + seconds(value->time.second) -
                             minutes(value->offset->minutes);
    // Nanoseconds would run over in 2262, to a time long ago.
    if (when > floor<seconds>(system_clock::now()) + floor<seconds>(kBanMax))
      fail(node, "a ban lasts no longer than 73 years; or leave until out, for ever");
    return when;
  }

  template <class Value>
  Value choice(const toml::node& node, std::string_view what,
               std::initializer_list<std::pair<std::string_view, Value>> choices) const {
    const std::string word = text(node, what);
    std::vector<std::string_view> words;
    for (const auto& [name, value] : choices) {
      if (word == name) return value;
      words.push_back(name);
    }
    fail(node,
         fmt::format("{} \"{}\": give one of {}", what, escape(word), fmt::join(words, ", ")));
  }

  /// A list takes the names NAME#2 and so on.
  void check_that_names_differ() const {
    std::map<std::string, std::uint32_t> lines;
    for (const WantedPolicy& policy : file_.policies) {
      for (std::size_t i = 0; i < policy.limits.size(); ++i) {
        const std::string name = Limiters::policy(policy.name, i);
        const auto [at, is_new] = lines.try_emplace(name, policy.line);
        if (is_new) continue;
        throw file_.error_at(std::max(at->second, policy.line),
                             fmt::format("policy {} is made by line {}, too", escape(name),
                                         std::min(at->second, policy.line)));
      }
    }
  }

  LimitsFile& file_;
};

/// Returns a text as TOML has it in quotes; nothing for one that it cannot hold: what is no UTF-8.
std::optional<std::string> quoted(std::string_view text) {
  const std::optional<std::string> quoted = quoted_for_toml(text);
  if (!quoted) return std::nullopt;
  try {  // who reads it has the last word
    const toml::table read = toml::parse("text = " + *quoted);
    return read["text"].value<std::string>() == text ? quoted : std::nullopt;
  } catch (const toml::parse_error&) {
    return std::nullopt;
  }
}

std::string segment_of(const Segment& segment) {
  const SegmentInfo info = segment.info();
  struct stat st {};
  const unsigned mode = ::stat(info.path.c_str(), &st) == 0 ? st.st_mode & 0777U : 0600U;
  // A clock of the kernel's own choice stays that: another machine may choose otherwise.
  const bool is_manual = info.clock == ClockSource::manual;
  return fmt::format(
      "[segment]\nkeys = {}\nmode = \"{:04o}\"\nlabels = {}\nclock = \"{}\"\npolicies = {}\n",
      info.keys, mode, info.labels, is_manual ? "manual" : "auto", info.policy_room);
}

/// Writes the standings of a policy, kind by kind.
class StandingsWriter {
 public:
  StandingsWriter(Segment& segment, std::size_t& left_out)
      : all_(segment.standings()),
        now_(segment.now()),
        wall_now_(system_clock::now()),
        left_out_(left_out) {
    // The table has them in an order of its own.
    std::sort(all_.begin(), all_.end(), [](const StandingInfo& a, const StandingInfo& b) {
      return std::tie(a.policy, a.key) < std::tie(b.policy, b.key);
    });
  }

  std::string of(const std::string& policy, const std::string& quoted_policy) {
    std::string text;
    for (const auto& [word, kind] : {std::pair{"override", Standing::override_},
                                     {"allow", Standing::allow},
                                     {"ban", Standing::ban}}) {
      std::string lines;
      for (const StandingInfo& info : all_)
        if (info.policy == policy) lines += line_of(info, kind);
      if (!lines.empty()) text += fmt::format("\n[policy.{}.{}]\n{}", quoted_policy, word, lines);
    }
    return text;
  }

 private:
  /// A key that is banned may have an override, which comes back with it.
  std::string line_of(const StandingInfo& info, Standing kind) {
    const bool has = kind == Standing::override_ ? info.limit.has_value() : info.standing == kind;
    if (!has) return {};
    const auto key = info.key && !info.key_truncated ? quoted(*info.key) : std::nullopt;
    if (!key) {
      ++left_out_;
      return fmt::format("# left out, as its text is not known or no UTF-8: {}\n",
                         info.key ? escape(*info.key) + "..." : "?");
    }
    const std::string reason =
        quoted(info.change ? info.change->reason : std::string()).value_or("\"\"");
    if (kind == Standing::override_)
      return fmt::format("{} = \"{}\"\n", *key, info.limit->to_string());
    if (kind == Standing::allow) return fmt::format("{} = {}\n", *key, reason);
    const std::string until =
        info.until == Instant::max() ? "" : fmt::format("until = {}, ", iso_time(wall(info.until)));
    return fmt::format("{} = {{ {}reason = {} }}\n", *key, until, reason);
  }

  /// To the nearest second: what a ban was rounded up to when it was made does not add up.
  [[nodiscard]] system_clock::time_point wall(Instant until) const {
    using namespace std::chrono;
    return round<seconds>(wall_now_ + ceil<system_clock::duration>(until - now_));
  }

  std::vector<StandingInfo> all_;
  Instant now_;
  system_clock::time_point wall_now_;
  std::size_t& left_out_;
};

}  // namespace

Error LimitsFile::error_at(std::uint32_t line, std::string_view what) const {
  return {Errc::bad_option,
          fmt::format("{}:{}: {}; nothing was changed", escape(name), line, what)};
}

LimitsFile parse_limits_file(const std::string& name, std::string_view text) {
  LimitsFile file{name, {}, {}, 1};
  try {
    const toml::table root = toml::parse(text, name);
    Reader(file).read(root);
  } catch (const toml::parse_error& e) {
    throw file.error_at(e.source().begin.line, e.description());
  }
  return file;
}

std::string limits_file_as_json(std::string_view text) {
  std::ostringstream json;
  json << toml::json_formatter(toml::parse(text));
  return json.str();
}

std::string limits_file_of(Segment& segment, std::size_t& left_out) {
  StandingsWriter standings(segment, left_out);
  std::string text = segment_of(segment);
  for (const PolicyInfo& policy : segment.policies()) {
    const auto name = quoted(policy.name);
    if (!name || !policy.limit) {
      ++left_out;
      text += fmt::format("\n# left out, as it cannot be read: policy {}\n", escape(policy.name));
      continue;
    }
    text += fmt::format("\n[policy.{}]\nlimit = \"{}\"\n", *name, policy.limit->to_string());
    text += standings.of(policy.name, *name);
  }
  return text;
}

}  // namespace rl::ctl
