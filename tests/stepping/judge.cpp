#include "tests/stepping/judge.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "shm/policies.hpp"

namespace rl::test {
namespace {

/// Tokens that the key owes, as the table has it.
std::uint64_t owed(const shm::Mapping& mapping, char key, std::uint64_t now_ns) {
  const shm::Table<shm::Slot> table = mapping.table();
  const std::uint64_t index = table.find(hash_of(mapping, key));
  if (index == table.kNowhere) return 0;
  const std::uint64_t tat = table.slot(index).words().state;
  return tat <= now_ns ? 0 : (tat - now_ns + kIntervalNs - 1) / kIntervalNs;
}

/// What a decision may be when an eviction has given tokens back to nobody knows whom.
bool is_possible(const Outcome& got) {
  return got.allowed ? got.reason == Reason::ok
                     : got.reason == Reason::limited || got.reason == Reason::never;
}

/// Before which of the rivals' operations the victim's took effect; none if it never did.
using Places = std::vector<std::size_t>;

/// What is wrong if the operations came in this order.
std::string contradiction_at(const Story& story, const Places& places, const shm::Mapping& mapping,
                             std::uint64_t now_ns) {
  const std::uint64_t evicted = story.evictions + story.uncounted;
  Model model = story.before;
  std::string wrong;
  const auto perform = [&](const Step& step, const Outcome* got) {
    const Outcome expected = model.act(step);
    if (got == nullptr || *got == expected || (evicted != 0 && is_possible(*got))) return;
    if (wrong.empty()) {
      wrong = fmt::format("{} came to \"{}\", expected \"{}\"", to_string(step), to_string(*got),
                          to_string(expected));
    }
  };
  for (std::size_t i = 0; i <= story.rivals.size(); ++i) {
    if (std::find(places.begin(), places.end(), i) != places.end()) {
      perform(story.victim, story.victim_outcome ? &*story.victim_outcome : nullptr);
    }
    if (i < story.rivals.size()) perform(story.rivals[i], &story.rival_outcomes[i]);
  }
  std::uint64_t lost = 0;
  for (const auto& [key, tat] : model.keys()) {
    if (story.only_key != '\0' && key != story.only_key) continue;
    const std::uint64_t has = owed(mapping, key, now_ns);
    if (has < model.owed(key)) ++lost;
    if (wrong.empty() && has != model.owed(key) && evicted == 0) {
      wrong = fmt::format("key {} owes {} tokens, expected {}", key, has, model.owed(key));
    }
  }
  if (wrong.empty() && lost > evicted) {
    wrong =
        fmt::format("{} keys owe too little, but {} evictions were counted", lost, story.evictions);
  }
  return wrong;
}

/// The orders that would explain the story. A reset of all keys that was stopped may come across
/// the same key again, in another slot: then it takes effect twice.
std::vector<Places> possible_places(const Story& story) {
  const std::size_t count = story.rivals.size();
  if (!story.victim_outcome) return {{0}, {}};
  std::vector<Places> all;
  for (std::size_t first = 0; first <= count; ++first) {
    all.push_back({first});
    for (std::size_t second = first + 1; story.only_key != '\0' && second <= count; ++second) {
      all.push_back({first, second});
    }
  }
  return all;
}

/// What is wrong in all orders, or nothing.
std::string contradiction_everywhere(const Story& story, const shm::Mapping& mapping,
                                     std::uint64_t now_ns) {
  std::string first;
  for (const Places& places : possible_places(story)) {
    const std::string wrong = contradiction_at(story, places, mapping, now_ns);
    if (wrong.empty()) return {};
    if (first.empty()) first = wrong;
  }
  return first;
}

/// The story as one key saw it.
Story story_of(const Story& story, char key) {
  Story own = story;
  own.only_key = key;
  own.victim = {Step::reset, key};
  own.rivals.clear();
  own.rival_outcomes.clear();
  for (std::size_t i = 0; i < story.rivals.size(); ++i) {
    if (story.rivals[i].key != key && story.rivals[i].kind != Step::advance) continue;
    own.rivals.push_back(story.rivals[i]);
    own.rival_outcomes.push_back(story.rival_outcomes[i]);
  }
  return own;
}

}  // namespace

std::string find_damage(const shm::Mapping& mapping) {
  const shm::PolicyTable policies(mapping);
  std::set<std::string> names;
  std::string damage;
  policies.walk([&](std::uint16_t id) {
    const auto constants = policies.read(id);
    if (!constants) {
      damage = fmt::format("S violated: policy {} is on the list and not whole", id);
    } else if (!names.insert(std::string(shm::name_of(*constants))).second) {
      damage = fmt::format("S violated: two policies are called {}", shm::name_of(*constants));
    }
    return !damage.empty();
  });
  const shm::Table<shm::Slot> table = mapping.table();
  std::set<std::uint64_t> identities;
  for (std::uint64_t i = 0; i < table.slot_count() && damage.empty(); ++i) {
    const shm::SlotWords words = table.slot(i).words();
    const bool is_member = shm::is_member(words.tag);
    if (!shm::is_free(words) && !shm::is_tentative(words.tag) && !is_member) {
      damage = fmt::format("S violated: slot {} is {:016x} {:016x}", i, words.tag, words.state);
    } else if (is_member && !policies.read(shm::policy_of(words.tag))) {
      damage = fmt::format("S violated: slot {} is under policy {}, which is none", i,
                           shm::policy_of(words.tag));
    } else if (is_member && !identities.insert(shm::identity_of(words.tag)).second) {
      damage = fmt::format("S violated: two members of one key, the second in slot {}", i);
    }
  }
  return damage;
}

std::string find_contradiction(const Story& story, const shm::Mapping& mapping,
                               std::uint64_t now_ns) {
  if (story.gave_up != 0) return fmt::format("P violated: {} calls gave up", story.gave_up);
  std::string wrong;
  if (story.victim.kind == Step::reset_all) {
    Model all = story.before;
    for (const Step& step : story.rivals) (void)all.act(step);
    for (const auto& [key, tat] : all.keys()) {
      if (wrong.empty()) wrong = contradiction_everywhere(story_of(story, key), mapping, now_ns);
    }
  } else {
    wrong = contradiction_everywhere(story, mapping, now_ns);
  }
  return wrong.empty() ? wrong
                       : "A violated: no order of the operations explains what they came to; in "
                         "the first, " +
                             wrong;
}

}  // namespace rl::test
