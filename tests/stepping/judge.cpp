#include "tests/stepping/judge.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

#include "shm/policies.hpp"

namespace rl::test {
namespace {

bool is_spoilt(const shm::Mapping& mapping) {
  const shm::Table<shm::Slot> table = mapping.table();
  for (std::uint64_t i = 0; i < table.slot_count(); ++i)
    if (table.slot(i).words() == kCorrupt) return true;
  return false;
}

/// Before which of the rivals' operations the victim's took effect; none if it never did. Of a call
/// under a limit that bans, or whose lease is over, before which its parts did.
using Places = std::vector<std::size_t>;

/// Whether the victim is a call that ends a lease before it takes another, each by itself.
bool ends_a_lease(const Story& story) {
  return story.victim.kind == Step::lease && story.before.holds_what_is_over(story.victim.key);
}

/// Plays the operations in one order on the model. Evictions are found where a debt is missed, and
/// somebody is looked for who can have made them: a rival (whose operation ran whole), or the
/// victim after the last.
class Order {
 public:
  Order(const Story& story, const shm::Mapping& mapping)
      : story_(story), model_(story.before), slots_(mapping.table().slot_count()) {}

  /// Returns what is wrong with the order, or nothing.
  std::string play(const Places& places, const shm::Mapping& mapping, std::uint64_t now_ns) {
    const std::size_t count = story_.rivals.size();
    for (std::size_t i = 0; i <= count; ++i) {
      for (std::size_t part = 0; part < places.size(); ++part) {
        if (places[part] == i) perform_victims(part, i);
      }
      if (i == count) break;
      perform(story_.rivals[i], &story_.rival_outcomes[i], i);
      seen_[story_.rivals[i].key] = i + 1;
    }
    if (story_.victim_outcome && inserts(story_.victim)) {
      // One of several that are charged together may evict the other.
      if (story_.only_key != '\0') evictors_.push_back({'\0', count});
      // It may have looked at some slots before it was stopped, and at others afterwards; and where
      // a rival has inserted the very key meanwhile, at one half of that slot before and at the
      // other half afterwards: then it does not know that its key is there.
      const bool is_there = std::any_of(
          story_.rivals.begin(), story_.rivals.end(),
          [&](const Step& step) { return step.key == story_.victim.key && inserts(step); });
      std::set<char> owing = story_.before.occupants(story_.victim.key);
      owing.merge(model_.occupants(is_there ? '\0' : story_.victim.key));
      if (owing.size() >= slots_) evictors_.push_back({story_.victim.key, count});
    }
    for (const char key : model_.keys()) compare(key, stand_of(mapping, key, now_ns));
    if (wrong_.empty() && is_spoilt(mapping) != model_.is_spoilt())
      wrong_ = fmt::format("a corrupt slot was {}", model_.is_spoilt() ? "taken" : "left");
    explain_losses();
    return wrong_;
  }

 private:
  /// A debt that was missed: it was lost at one of these times, `before` not included.
  struct Loss {
    char key;
    std::size_t since;
    std::size_t before;
  };
  struct Evictor {
    char key;  ///< which it inserted
    std::size_t time;
  };

  [[nodiscard]] bool matters(char key) const {
    return story_.only_key == '\0' || key == story_.only_key;
  }

  void perform_victims(std::size_t part, std::size_t time) {
    is_in_parts_ = stepped_limit_bans();
    if (is_in_parts_ && part != 0) {
      model_.go_on();
    } else if (part == 0 && ends_a_lease(story_)) {
      perform({Step::give_back, story_.victim.key}, nullptr, time);
    } else {
      perform(story_.victim, story_.victim_outcome ? &*story_.victim_outcome : nullptr, time);
      seen_[story_.victim.key] = time;
    }
    is_in_parts_ = false;
  }

  /// Whether the key has a debt that its slot can be taken with: what is put apart stays.
  [[nodiscard]] bool may_be_evicted(char key) const {
    const Stand stand = model_.stand_of(key);
    return stand.owed != 0 && !stand.stays();
  }

  /// A batch reads the clock before the slots: less is left as of that instant than where its
  /// charge has its place.
  static bool agree(const Step& step, const Outcome& got, const Outcome& expected) {
    Outcome told = got;
    if (step.kind == Step::batch && got.allowed && got.remaining < expected.remaining)
      told.remaining = expected.remaining;
    return told == expected;
  }

  void perform(const Step& step, const Outcome* got, std::size_t time) {
    if (got != nullptr && decides(step) && matters(step.key) && may_be_evicted(step.key) &&
        !agree(step, *got, Model(model_).act(step))) {
      lose(step.key, time);  // or what is compared below is wrong all the same
    }
    const std::set<char> owing = model_.occupants('\0');
    const bool may_evict = inserts(step) && got != nullptr && got->allowed &&
                           (story_.only_key != '\0' ||
                            (owing.size() >= slots_ && owing.find(step.key) == owing.end()));
    if (may_evict && time < story_.rivals.size()) evictors_.push_back({step.key, time});
    const Outcome expected = is_in_parts_ ? model_.act_first_part(step) : model_.act(step);
    const std::size_t still = model_.occupants('\0').size();
    if (!decides(step) && still < owing.size()) unseen_ += owing.size() - still;
    if (wrong_.empty() && got != nullptr && matters(step.key) && !agree(step, *got, expected)) {
      wrong_ = fmt::format("{} came to \"{}\", expected \"{}\"", to_string(step), to_string(*got),
                           to_string(expected));
    }
  }

  /// The end of the story.
  void compare(char key, const Stand& has) {
    const Stand expected = model_.stand_of(key);
    if (!matters(key) || has == expected) return;
    if (!has.is_any() && may_be_evicted(key)) {
      losses_.push_back({key, seen_[key], story_.rivals.size() + 1});
    } else if (wrong_.empty()) {
      wrong_ = fmt::format("key {} is {}, expected {}", key, to_string(has), to_string(expected));
    }
  }

  void lose(char key, std::size_t before) {
    losses_.push_back({key, seen_[key], before});
    model_.evict(key);
  }

  /// Each evictor takes, of the losses that can be its own, the one that has the least time left:
  /// if any matching explains all losses, this one does.
  void explain_losses() {
    const std::size_t lost = losses_.size();
    for (const Evictor& evictor : evictors_) {
      auto best = losses_.end();
      for (auto loss = losses_.begin(); loss != losses_.end(); ++loss) {
        if (loss->key == evictor.key || evictor.time < loss->since || evictor.time >= loss->before)
          continue;
        if (best == losses_.end() || loss->before < best->before) best = loss;
      }
      if (best != losses_.end()) losses_.erase(best);
    }
    if (!wrong_.empty()) return;
    if (!losses_.empty()) {
      wrong_ = fmt::format("key {} lost its debt, and nobody can have evicted it", losses_[0].key);
    } else if (story_.evictions < lost ||
               (story_.only_key == '\0' && story_.evictions > lost + unseen_)) {
      wrong_ =
          fmt::format("{} keys were evicted, and {} evictions counted", lost, story_.evictions);
    }
  }

  const Story& story_;
  Model model_;
  std::uint64_t slots_;
  std::map<char, std::size_t> seen_;  ///< since when a loss of the key would not have been noticed
  std::vector<Loss> losses_;
  std::vector<Evictor> evictors_;
  bool is_in_parts_ = false;  ///< what is performed
  std::uint64_t unseen_ = 0;  ///< debts that ended otherwise, evicted before or not
  std::string wrong_;
};

/// Two parts, one after the other; killed, both at the beginning, the first of them, or none.
std::vector<Places> places_of_leases(const Story& story) {
  const std::size_t count = story.rivals.size();
  if (!story.victim_outcome) return {{0, 0}, {0}, {}};
  std::vector<Places> all;
  for (std::size_t first = 0; first <= count; ++first)
    for (std::size_t second = first; second <= count; ++second) all.push_back({first, second});
  return all;
}

/// Three parts, one after the other; killed, all at the beginning, or the first of them.
std::vector<Places> places_of_parts(const Story& story) {
  const std::size_t count = story.rivals.size();
  if (!story.victim_outcome) return {{0}, {0, 0}, {0, 0, 0}};
  std::vector<Places> all;
  for (std::size_t first = 0; first <= count; ++first) {
    for (std::size_t second = first; second <= count; ++second) {
      for (std::size_t third = second; third <= count; ++third) {
        all.push_back({first, second, third});
      }
    }
  }
  return all;
}

/// The orders that would explain the story. A reset of all keys that was stopped may come across
/// the same key again, in another slot: then it takes effect twice.
std::vector<Places> possible_places(const Story& story) {
  const std::size_t count = story.rivals.size();
  if (stepped_limit_bans()) return places_of_parts(story);
  if (ends_a_lease(story)) return places_of_leases(story);
  if (!story.victim_outcome) return {{0}, {}};
  const bool is_of_all = story.only_key != '\0' && story.victim.kind == Step::reset;
  std::vector<Places> all;
  for (std::size_t first = 0; first <= count; ++first) {
    all.push_back({first});
    for (std::size_t second = first + 1; is_of_all && second <= count; ++second) {
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
    const std::string wrong = Order(story, mapping).play(places, mapping, now_ns);
    if (wrong.empty()) return {};
    if (first.empty()) first = wrong;
  }
  return first;
}

/// The story as one key saw it. What resets all keys, charges several together, or decides by a
/// limit on trial, too, does so to one after the other.
Story story_of(const Story& story, char key) {
  Story own = story;
  own.only_key = key;
  if (story.victim.kind == Step::reset_all) {
    own.victim = {Step::reset, key};
    return own;
  }
  if (story.victim.kind != Step::all_of) return own;
  const bool is_asked = key == story.victim.key || key == kPartner;
  if (!is_asked || (story.victim_outcome && !story.victim_outcome->allowed)) {
    own.victim = {Step::peek, key};  // nothing was charged to this one
    own.victim_outcome = std::nullopt;
    return own;
  }
  own.victim = {Step::acquire, key, story.victim.amount};
  if (own.victim_outcome) {
    std::uint64_t& left = own.victim_outcome->remaining;
    left = key == kPartner ? left / kPartnersUnit : left % kPartnersUnit;
  }
  return own;
}

std::optional<Policy> read(const shm::PolicyTable& policies, std::uint32_t id) {
  const auto constants = policies.read(static_cast<std::uint16_t>(id));
  return constants ? policy_from(*constants) : std::nullopt;
}

/// Whether an entry is whole, and one that a key comes back from leads to a limit.
bool is_whole(const shm::PolicyTable& policies, std::uint16_t id) {
  const std::optional<Policy> policy = read(policies, id);
  if (!policy || is_limit(policy->kind)) return policy.has_value();
  const std::optional<Policy> parent = read(policies, policy->parent);
  return is_standing(policy->kind) ? parent && is_limit(parent->kind) : policy->parent == 0;
}

bool can_stand_under(const shm::PolicyTable& policies, std::uint16_t id) {
  return is_whole(policies, id) && read(policies, id)->kind != shm::PolicyKind::asked;
}

/// What makes an entry another than all others on the list: of a policy its name alone.
std::string distinction_of(const shm::PolicyConstants& constants) {
  const Policy policy = policy_from(constants).value();
  std::string text(shm::name_of(constants));
  if (policy.kind == shm::PolicyKind::limit) return text;
  return text + fmt::format(", kind {}, over {}, {}", static_cast<int>(policy.kind), policy.parent,
                            policy.limit.to_string());
}

std::string damage_of_entries(const shm::PolicyTable& policies) {
  std::set<std::string> seen;
  std::string damage;
  policies.walk([&](std::uint16_t id) {
    if (!is_whole(policies, id)) {
      damage = fmt::format("S violated: policy {} is on the list and not whole", id);
      return true;
    }
    const std::string what = distinction_of(policies.read(id).value());
    if (!seen.insert(what).second)
      damage = fmt::format("S violated: two policies are called {}", what);
    return !damage.empty();
  });
  return damage;
}

}  // namespace

std::string find_damage(const shm::Mapping& mapping) {
  const shm::PolicyTable policies(mapping);
  std::string damage = damage_of_entries(policies);
  const shm::Table<shm::Slot> table = mapping.table();
  std::set<std::uint64_t> identities;
  for (std::uint64_t i = 0; i < table.slot_count() && damage.empty(); ++i) {
    const shm::SlotWords words = table.slot(i).words();
    const bool is_member = shm::is_member(words.tag);
    if (words == kCorrupt) continue;  // whether it may be there is for an order to say
    if (!shm::is_free(words) && !shm::is_tentative(words.tag) && !is_member) {
      damage = fmt::format("S violated: slot {} is {:016x} {:016x}", i, words.tag, words.state);
    } else if (is_member && !can_stand_under(policies, shm::policy_of(words.tag))) {
      damage = fmt::format("S violated: slot {} is under policy {}, which is none for keys", i,
                           shm::policy_of(words.tag));
    } else if (is_member && !identities.insert(shm::identity_of(words.tag)).second) {
      damage = fmt::format("S violated: two members of one key, the second in slot {}", i);
    }
  }
  return damage;
}

AtStop at_stop(const Model& before, const Step& victim, const shm::Mapping& mapping,
               std::uint64_t now_ns, std::uint64_t counted) {
  AtStop stop{before, 0, {}};
  std::size_t gone = 0;
  const std::set<char> occupants = before.occupants(victim.key);
  for (const char key : occupants) {
    if (!inserts(victim) || stand_of(mapping, key, now_ns).is_any()) continue;
    if (before.stand_of(key).stays())
      stop.wrong = fmt::format("A violated: {} was put apart, and has no slot", key);
    stop.model.evict(key);
    ++gone;
  }
  const shm::Table<shm::Slot> table = mapping.table();
  const std::uint64_t claim = shm::make_tag(hash_of(mapping, victim.key).identity, 0);
  bool is_claimed = false;
  for (std::uint64_t i = 0; i < table.slot_count(); ++i) {
    is_claimed = is_claimed || table.slot(i).tag() == claim;
  }
  if (!stop.wrong.empty()) return stop;
  if (gone > 1 || (gone != 0 && occupants.size() < table.slot_count())) {
    stop.wrong =
        fmt::format("A violated: {} of {} keys were evicted for one", gone, occupants.size());
  } else if (gone != counted && !(gone > counted && is_claimed)) {
    stop.wrong =
        fmt::format("A violated: {} keys were evicted, and {} evictions counted", gone, counted);
  }
  stop.uncounted = gone > counted ? gone - counted : 0;
  return stop;
}

std::string find_contradiction(const Story& story, const shm::Mapping& mapping,
                               std::uint64_t now_ns) {
  if (story.gave_up != 0) return fmt::format("P violated: {} calls gave up", story.gave_up);
  std::string wrong;
  const bool is_one_by_one = story.victim.kind == Step::reset_all ||
                             story.victim.kind == Step::all_of || story.before.has_trial();
  if (is_one_by_one) {
    Model all = story.before;
    (void)all.act(story.victim);
    for (const Step& step : story.rivals) (void)all.act(step);
    for (const char key : all.keys()) {
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
