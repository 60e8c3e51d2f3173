#include "tools/rlctl/complete/live_words.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <set>
#include <system_error>

#include <rl/rl.hpp>

#include "tools/rlctl/apart.hpp"
#include "tools/rlctl/host/folder.hpp"
#include "tools/rlctl/host/segment_files.hpp"
#include "tools/rlctl/lists.hpp"
#include "tools/rlctl/text.hpp"
#include "tools/rlctl/verb_table.hpp"

namespace rl::ctl {
namespace {

constexpr std::size_t kKeysMost = 1'000;
constexpr std::chrono::milliseconds kTimeMost{200};

/// What rlctl would show otherwise than it is typed is left out: nobody could tell what it is.
bool can_be_typed(const Place& place, std::string_view word) {
  return !word.empty() && word.starts_with(place.typed) && escape(word) == word &&
         (place.may_be_dashed || !word.starts_with('-'));
}

/// Tells of one that was found: the word, and what is said of it.
void tell_of(const Tell& tell, std::string_view word, std::string_view help) {
  std::string text(word);
  text.append(1, '\0').append(help).append(1, '\0');
  tell(text);
}

void find_segments(const Place& place, const Tell& tell) {
  for_each_name(std::string(kSharedMemory), [&](std::string_view file) {
    const std::string path = fmt::format("{}/{}", kSharedMemory, file);
    const std::string name = name_for(path);
    std::error_code ignored;
    if (name != path && can_be_typed(place, name) &&
        std::filesystem::is_regular_file(path, ignored))
      tell_of(tell, name, "");
  });
}

/// A list of limits goes by the name of its first: the others are NAME#2 and so on.
void find_policies(const Place& place, const Segment& segment, const Tell& tell) {
  const std::vector<PolicyInfo> all = segment.policies();
  const bool parts_too = place.typed.find('#') != place.typed.npos;
  for (const PolicyInfo& policy : all) {
    if (can_be_typed(place, policy.name) && (parts_too || !is_part_of_list(all, policy.name)))
      tell_of(tell, policy.name, policy.limit ? policy.limit->to_string() : "");
  }
}

/// Ends a walk over the table, and with it the work.
struct Enough {};

class KeyFinder {
 public:
  KeyFinder(const Place& place, const Tell& tell) : place_(place), tell_(tell) {
    if (!place.policy.empty()) policies_ = names_in_list(place.policy);
  }
  void look_at(const KeyInfo& row) {
    if (!row.key || row.key_truncated || !can_be_typed(place_, *row.key) || !is_wanted(row)) return;
    if (!told_.insert(*row.key).second) return;
    tell_of(tell_, *row.key, policies_.empty() ? escape(row.policy) : "");
    if (told_.size() == kKeysMost) throw Enough{};
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
  const Tell& tell_;
  std::set<std::string> policies_;
  std::set<std::string> told_;
};

void find_keys(const Place& place, const Segment& segment, const Tell& tell) {
  KeyFinder finder(place, tell);
  segment.for_each_key([&](const KeyInfo& row) { finder.look_at(row); });
}

void find(const Place& place, const Tell& tell) {
  if (place.wanted == Completes::segments && place.verb->name != "create")
    find_segments(place, tell);
  if (place.segment.empty()) return;
  const Segment segment = Segment::open_read_only(place.segment, {.any_owner = place.any_owner});
  if (place.wanted == Completes::policies) find_policies(place, segment, tell);
  if (place.wanted == Completes::keys) find_keys(place, segment, tell);
}

}  // namespace

std::vector<Candidate> live_words(const Place& place) {
  if (place.wanted != Completes::segments && place.wanted != Completes::policies &&
      place.wanted != Completes::keys)
    return {};
  const ToldApart told = told_apart(kTimeMost, [&](const Tell& tell) { find(place, tell); });
  std::vector<Candidate> words;
  for (std::string_view rest = told.text;;) {  // ends: each round takes a pair away
    const std::size_t middle = rest.find('\0');
    const std::size_t end = middle == rest.npos ? middle : rest.find('\0', middle + 1);
    if (end == rest.npos) break;  // what was cut off counts no more
    words.push_back({place.before + std::string(rest.substr(0, middle)),
                     std::string(rest.substr(middle + 1, end - middle - 1))});
    rest.remove_prefix(end + 1);
  }
  std::sort(words.begin(), words.end(),
            [](const Candidate& a, const Candidate& b) { return a.word < b.word; });
  return words;
}

}  // namespace rl::ctl
