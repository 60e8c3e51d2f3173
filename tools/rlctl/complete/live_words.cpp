#include "tools/rlctl/complete/live_words.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <map>
#include <set>
#include <system_error>

#include <rl/rl.hpp>

#include "shm/mapping.hpp"
#include "tools/rlctl/text.hpp"
#include "tools/rlctl/verb_table.hpp"

namespace rl::ctl {
namespace {

constexpr std::size_t kKeysMost = 1'000;
constexpr std::chrono::milliseconds kTimeMost{200};
/// Between two looks at the clock.
constexpr std::uint32_t kRowsAtOnce = 256;

/// What rlctl would show otherwise than it is typed is left out: nobody could tell what it is.
bool can_be_typed(const Place& place, std::string_view word) {
  return !word.empty() && word.starts_with(place.typed) && escape(word) == word &&
         (place.may_be_dashed || !word.starts_with('-'));
}

using Found = std::map<std::string, std::string>;

void find_segments(const Place& place, Found& found) {
  // The name of a file is what path_of() makes of a segment's, with the name at its end.
  const std::filesystem::path sample = shm::path_of("x");
  const std::string first = sample.filename().string();
  const std::string_view start = std::string_view(first).substr(0, first.size() - 1);
  std::error_code error;
  std::filesystem::directory_iterator file(sample.parent_path(), error);
  for (; !error && file != std::filesystem::directory_iterator(); file.increment(error)) {
    const std::string name = file->path().filename().string();
    std::error_code ignored;
    if (name.starts_with(start) && can_be_typed(place, name.substr(start.size())) &&
        file->is_regular_file(ignored))
      found.emplace(name.substr(start.size()), "");
  }
}

/// A list of limits goes by the name of its first: the others are NAME#2 and so on.
void find_policies(const Place& place, const Segment& segment, Found& found) {
  const std::vector<PolicyInfo> all = segment.policies();
  std::set<std::string_view> names;
  for (const PolicyInfo& policy : all) names.insert(policy.name);
  for (const PolicyInfo& policy : all) {
    const std::size_t mark = policy.name.rfind('#');
    const bool is_part = mark != policy.name.npos && names.contains(policy.name.substr(0, mark));
    if (can_be_typed(place, policy.name) && (!is_part || place.typed.find('#') != place.typed.npos))
      found.emplace(policy.name, policy.limit ? policy.limit->to_string() : "");
  }
}

/// Ends a walk over the table.
struct Enough {};

class KeyFinder {
 public:
  KeyFinder(const Place& place, Found& found) : place_(place), found_(found) {
    if (place.policy.empty()) return;
    for (std::size_t i = 0; i < Limits::kMax; ++i)
      policies_.insert(Limiters::policy(place.policy, i));
  }
  void look_at(const KeyInfo& row) {
    if (++rows_ % kRowsAtOnce == 0 && std::chrono::steady_clock::now() > end_) throw Enough{};
    if (!row.key || row.key_truncated || !can_be_typed(place_, *row.key) || !is_wanted(row)) return;
    found_.emplace(*row.key, policies_.empty() ? escape(row.policy) : "");
    if (found_.size() == kKeysMost) throw Enough{};
  }

 private:
  /// Some verbs end what only some keys have.
  [[nodiscard]] bool is_wanted(const KeyInfo& row) const {
    if (!policies_.empty() && !policies_.contains(row.policy)) return false;
    if (place_.verb->name == "unban") return row.standing == Standing::ban;
    if (place_.verb->name == "disallow") return row.standing == Standing::allow;
    return place_.verb->name != "override unset" || row.own_limit.has_value();
  }

  const Place& place_;
  Found& found_;
  std::set<std::string> policies_;
  std::uint32_t rows_ = 0;
  std::chrono::steady_clock::time_point end_ = std::chrono::steady_clock::now() + kTimeMost;
};

void find_keys(const Place& place, const Segment& segment, Found& found) {
  KeyFinder finder(place, found);
  try {
    segment.for_each_key([&](const KeyInfo& row) { finder.look_at(row); });
  } catch (const Enough&) {
  }
}

void find(const Place& place, Found& found) {
  if (place.wanted == Completes::segments && place.verb->name != "create")
    find_segments(place, found);
  if (place.segment.empty()) return;
  const Segment segment = Segment::open_read_only(place.segment, {.any_owner = place.any_owner});
  if (place.wanted == Completes::policies) find_policies(place, segment, found);
  if (place.wanted == Completes::keys) find_keys(place, segment, found);
}

}  // namespace

std::vector<Candidate> live_words(const Place& place) {
  Found found;
  try {
    find(place, found);
  } catch (const Error&) {
    // Somebody is typing: the command will say it.
  }
  std::vector<Candidate> words;
  for (const auto& [word, help] : found) words.push_back({place.before + word, help});
  return words;
}

}  // namespace rl::ctl
