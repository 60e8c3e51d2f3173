// Loads a dump into a segment: one that is in use, or one that nobody else sees yet.
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>
#include <unordered_set>

#include <rl/dump.hpp>

#include "shm/counts.hpp"
#include "src/change.hpp"
#include "src/dump_text.hpp"
#include "src/rules.hpp"
#include "src/standing.hpp"

namespace rl {
namespace {

/// Whether somebody else may be deciding on the segment.
enum class Seen : bool { by_nobody, by_others };

class Loading {
 public:
  Loading(View& view, const std::string& path, const DumpContents& dump, Seen seen)
      : view_(view), path_(path), dump_(dump), seen_(seen) {}

  LoadReport run(LoadOptions options) {
    check(options);
    for (const DumpedPolicy& policy : dump_.policies) bind(policy);
    // A key with a limit of its own owes what it owes under that. Those that have to be where they
    // were come before others, so that nobody else is there.
    put_apart([](const DumpedStanding& s) { return s.standing == Standing::override_; });
    load_by_slot();
    for (const DumpedKey& key : dump_.keys) {
      if (key.known != KeyKnown::slot && can_place(key)) load(key);
    }
    put_apart([](const DumpedStanding& s) { return s.standing != Standing::override_; });
    return report_;
  }

 private:
  /// A policy of the dump here: its keys' debts were owed under `from`.
  struct Bound {
    Binding binding;
    Parameters from;
    std::string_view name;  ///< in the dump
  };

  // --- before anything is changed -----------------------------------------------------------------

  [[nodiscard]] Place place() const noexcept { return {view_, path_}; }

  void check(LoadOptions options) {
    check_writable(place());
    if (view_.clock.now() == shm::Clock::kNoTime) {
      throw Error(Errc::wrong_host,
                  fmt::format("{}: this process lives in another time namespace than the segment; "
                              "load it where it is used",
                              path_));
    }
    check_policies();
    const auto unknown = std::count_if(dump_.keys.begin(), dump_.keys.end(),
                                       [&](const DumpedKey& key) { return !can_place(key); });
    const auto unknown_apart =
        std::count_if(dump_.standings.begin(), dump_.standings.end(),
                      [&](const DumpedStanding& s) { return !can_place_apart(s); });
    report_.unknown = static_cast<std::uint64_t>(unknown + unknown_apart);
    if (report_.unknown != 0 && !options.partial) throw cannot_place();
  }

  void check_policies() const {
    std::uint64_t missing = 0;
    for (const DumpedPolicy& policy : dump_.policies) {
      const std::uint16_t id = policy_in_force(view_, policy.name);
      check_room_for_permits(place(), policy.limit);
      if (id == 0) ++missing;
      if (id != 0) check_same_kind(policy, must_read(place(), policy.name, id).limit);
    }
    missing += entries_of_standings();
    const std::uint64_t room = view_.policies.capacity() - view_.policies.used();
    if (missing <= room) return;
    throw Error(Errc::too_many,
                fmt::format("{}: the dump may take {} policy entries, and there is room for {}; "
                            "load into a segment with more (--create --policies)",
                            path_, missing, room));
  }

  /// An entry for each limit that single keys have, and for bans and allows over each.
  [[nodiscard]] std::uint64_t entries_of_standings() const {
    std::set<std::string> entries;
    for (const DumpedStanding& s : dump_.standings) {
      entries.insert(fmt::format("{} {} {}", s.where.policy, to_string(s.standing),
                                 s.limit ? s.limit->to_string() : ""));
      // What bans for denials has two more.
      if (s.limit && s.limit->ban_after() != 0)
        entries.insert({fmt::format("{} {} conduct", s.where.policy, s.limit->to_string()),
                        fmt::format("{} {} ban", s.where.policy, s.limit->to_string())});
    }
    return entries.size();
  }

  /// A key's standing is made by the whole protocol of the table.
  [[nodiscard]] bool can_place_apart(const DumpedStanding& standing) const noexcept {
    return standing.where.known != KeyKnown::slot && can_place(standing.where);
  }

  void check_same_kind(const DumpedPolicy& policy, const Limit& here) const {
    if (can_become(policy.limit, here)) return;
    throw Error(
        Errc::bad_limit,
        fmt::format("{}: policy \"{}\" is {} here and {} in the dump, and calls and permits "
                    "are not the same; load into a segment without it (--create)",
                    path_, policy.name, here.to_string(), policy.limit.to_string()));
  }

  [[nodiscard]] bool has_same_secret() const noexcept {
    return view_.mapping.constants().secret == dump_.segment.secret;
  }
  [[nodiscard]] bool has_same_slots() const noexcept {
    return has_same_secret() && view_.mapping.geometry().pair_count == dump_.segment.pairs;
  }

  /// Where a key belongs is known from its text, from its hash under the same secret, or because it
  /// was there. The last tells one of the 16 slots that it may be in: only while nobody else inserts
  /// can it be put there, lest it has two.
  [[nodiscard]] bool can_place(const DumpedKey& key) const noexcept {
    switch (key.known) {
      case KeyKnown::text:
        return true;
      case KeyKnown::hash:
        return has_same_secret();
      case KeyKnown::slot:
        break;
    }
    if (!has_same_slots()) return false;
    return seen_ == Seen::by_nobody ||
           shm::is_member_of(view_.table.slot(key.slot_index).tag(), key.hash.identity);
  }

  [[nodiscard]] Error cannot_place() const {
    const char* const why = !has_same_secret() ? "the segment has another secret"
                            : !has_same_slots()
                                ? "without their text they fit a segment of the same size only"
                                : "others have the slots where they were";
    const char* const what_to_do = seen_ == Seen::by_nobody
                                       ? "make it of the size that the dump says"
                                       : "load into a new segment (--create)";
    return {Errc::bad_option,
            fmt::format("{}: {} of the {} keys of the dump cannot be placed, as their text is not "
                        "known whole and {}; {}, or leave them out (--partial)",
                        path_, report_.unknown, dump_.keys.size(), why, what_to_do)};
  }

  // --- policies -----------------------------------------------------------------------------------

  void bind(const DumpedPolicy& policy) {
    const bool is_there = policy_in_force(view_, policy.name) != 0;
    const std::uint16_t id = make_policy(place(), policy.name, policy.limit);
    Policy here = must_read(place(), policy.name, id);
    report_.policies += is_there ? 0U : 1U;
    report_.differing += here.limit == policy.limit ? 0U : 1U;
    // What is loaded evicts nobody: that would lose a debt to keep another.
    if (!gives_permits(here.limit.algorithm())) here.limit = here.limit.when_full(WhenFull::deny);
    bound_.emplace(policy.id, Bound{{&view_, id, hasher_for(view_.mapping, policy.name), here,
                                     nullptr, &view_.policies.links_word(id)},
                                    parameters_in_dump(policy.limit),
                                    policy.name});
  }

  /// With windows that lie as those of this segment do.
  [[nodiscard]] Parameters parameters_in_dump(const Limit& limit) const noexcept {
    const auto policy = policy_from(new_constants(view_, limit));
    return policy ? policy->parameters : Parameters();  // what it writes, it can read
  }

  // --- keys ---------------------------------------------------------------------------------------

  using Loads = CallRules<OwnTime, SetOwed>;

  [[nodiscard]] static Loads rules_for(const Bound& bound, const Owed& owed) noexcept {
    return Loads(bound.binding, OwnTime{&bound.binding.view->clock}, SetOwed{bound.from, owed});
  }

  /// Of a key whose text is known, or its hash under the same secret.
  [[nodiscard]] static shm::KeyHash hash_of(const Bound& bound, const DumpedKey& key) noexcept {
    return key.known == KeyKnown::hash
               ? key.hash
               : shm::KeyHash::from(bound.binding.hasher(key.text, key.size));
  }

  /// By the whole protocol of the table.
  void load(const DumpedKey& key) {
    const Bound& bound = bound_.at(key.policy);
    const shm::KeyHash hash = hash_of(bound, key);
    Loads rules = rules_for(bound, key.owed);
    const shm::Update update = view_.table.update(hash, rules);
    count(rules, update.outcome == shm::Update::decided);
    if (!update.has_slot) return;
    describe(update.slot_index, hash, key);
  }

  template <class Takes>
  void put_apart(Takes&& takes) {
    for (const DumpedStanding& standing : dump_.standings)
      if (takes(standing) && can_place_apart(standing)) put_apart(standing);
  }

  void put_apart(const DumpedStanding& standing) {
    const bool is_ban = standing.standing == Standing::ban;
    if (is_ban && standing.left_ns == 0) return;
    const Bound& bound = bound_.at(standing.where.policy);
    StandingKey who{view_.policies.find(bound.name), bound.name, standing.where.view()};
    if (standing.where.known == KeyKnown::hash) who.hash = standing.where.hash;
    try {
      (void)change_standing(view_, path_, who, change_to(standing, bound.name), "from a dump");
      if (is_ban) owe_after_ban(bound, standing);
      ++report_.standings;
    } catch (const Error&) {
      ++report_.no_room;
    }
  }

  [[nodiscard]] StandingChange change_to(const DumpedStanding& standing, std::string_view name) {
    switch (standing.standing) {
      case Standing::override_:
        return {.act = StandingAct::set_override,
                .override_id = publish_override(place(), name, *standing.limit)};
      case Standing::allow:
        return {.act = StandingAct::allow};
      default:
        return {.act = StandingAct::ban,
                .length_ns = standing.left_ns.value_or(0),
                .is_for_ever = !standing.left_ns};
    }
  }

  /// What a key owes when its ban is over, as it was in the dump, whatever it was here.
  void owe_after_ban(const Bound& bound, const DumpedStanding& standing) {
    const std::uint64_t now = view_.clock.now();
    const std::uint64_t state = charge(bound.from, idle_state(bound.from, now), now, standing.owed);
    Loads rules = rules_for(bound, owed_in(bound.from, state, now));
    (void)view_.table.update(hash_of(bound, standing.where), rules);
  }

  /// Where they were. Of two slots of one key, which had moved while it was dumped, the later one
  /// was read later.
  void load_by_slot() {
    std::unordered_set<std::uint64_t> loaded;
    for (auto key = dump_.keys.rbegin(); key != dump_.keys.rend(); ++key) {
      if (key->known != KeyKnown::slot || !can_place(*key)) continue;
      if (!loaded.insert(key->hash.identity).second) continue;
      Loads rules = rules_for(bound_.at(key->policy), key->owed);
      const bool is_done = seen_ == Seen::by_nobody ? put(*key, rules) : set(*key, rules);
      count(rules, is_done);
      if (is_done) describe(key->slot_index, key->hash, *key);
    }
  }

  [[nodiscard]] bool put(const DumpedKey& key, Loads& rules) const noexcept {
    const shm::Transition first = rules.first();
    if (first.kind != shm::Transition::store) return true;  // idle
    return view_.table.put_unseen(key.slot_index,
                                  {shm::make_tag(key.hash.identity, first.policy), first.state});
  }
  [[nodiscard]] bool set(const DumpedKey& key, Loads& rules) const noexcept {
    return view_.table.step_member_at(key.slot_index, key.hash.identity,
                                      [&](std::uint16_t policy, std::uint64_t state) noexcept {
                                        return rules.step(policy, state);
                                      });
  }

  void count(const Loads& rules, bool is_done) noexcept {
    const bool owes = rules.operation().is_any;
    if (rules.is_unavailable() || (!is_done && owes)) {
      ++report_.no_room;
    } else {
      ++(owes ? report_.keys : report_.idle);
    }
  }

  void describe(std::uint64_t index, const shm::KeyHash& hash, const DumpedKey& key) noexcept {
    if (key.known == KeyKnown::text) view_.labels.write(index, hash, key.view());
    if (key.known == KeyKnown::hash) view_.labels.write_beginning(index, hash, key.view());
    shm::Counts& counts = view_.table.counts(index);
    shm::set_count(counts.allowed, hash.identity, key.allowed_count);
    shm::set_count(counts.denied, hash.identity, key.denied_count);
  }

  View& view_;
  const std::string& path_;
  const DumpContents& dump_;
  Seen seen_;
  std::map<std::uint16_t, Bound> bound_;
  LoadReport report_;
};

}  // namespace

LoadReport Dump::load(Segment& segment, LoadOptions options) const {
  SegmentCore& core = *segment.core_;
  return Loading(core.view(), core.path(), *contents_, Seen::by_others).run(options);
}

LoadReport Dump::create(std::string_view name, const SegmentOptions& options,
                        LoadOptions load) const {
  const std::string path = shm::path_of(name);
  LoadReport report;
  shm::CreateOptions create = create_options(options);
  create.secret = contents_->segment.secret;
  create.fill = [&](shm::Mapping mapping) {
    View view(std::move(mapping), path);
    report = Loading(view, path, *contents_, Seen::by_nobody).run(load);
    // We found no seat, as there is no file to sit in yet: nothing that its users must know.
    // relaxed: nobody else sees it.
    view.mapping.header().health.anonymous.store(0, std::memory_order_relaxed);
  };
  (void)shm::Mapping::create(path, create);
  return report;
}

}  // namespace rl
