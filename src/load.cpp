// Loads a dump into a segment: one that is in use, or one that nobody else sees yet.
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <tuple>
#include <unordered_set>

#include <rl/dump.hpp>

#include "shm/counts.hpp"
#include "src/change.hpp"
#include "src/dump_text.hpp"
#include "src/entries.hpp"
#include "src/escalation.hpp"
#include "src/journal.hpp"
#include "src/placing.hpp"
#include "src/rules.hpp"
#include "src/standing.hpp"
#include "src/trial.hpp"

namespace rl {
namespace {

/// What the journal says of changes that a load makes.
constexpr std::string_view kFromDump = "from a dump";

const DumpedKey& where_of(const DumpedKey& key) noexcept {
  return key;
}
const DumpedKey& where_of(const DumpedConduct& conduct) noexcept {
  return conduct.where;
}

class Loading {
 public:
  Loading(View& view, const std::string& path, const DumpContents& dump, Seen seen)
      : view_(view), path_(path), dump_(dump), placing_(view, dump.segment, seen) {}

  LoadReport run(LoadOptions options) {
    check(options);
    for (const DumpedPolicy& policy : dump_.policies) bind(policy);
    // A key with a limit of its own owes what it owes under that. Those that have to be where they
    // were come before others, so that nobody else is there.
    put_apart([](const DumpedStanding& s) { return s.standing == Standing::override_; });
    for (const bool by_slot : {true, false}) {
      load_all(dump_.keys, by_slot);
      load_all(dump_.conducts, by_slot);
    }
    put_apart([](const DumpedStanding& s) { return s.standing != Standing::override_; });
    keep_off();
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
    const auto count_unknown = [&](const auto& all) {
      for (const auto& one : all) report_.unknown += can_place(one) ? 0U : 1U;
      return all.size();
    };
    const std::uint64_t all =
        count_unknown(dump_.keys) + count_unknown(dump_.standings) + count_unknown(dump_.conducts);
    if (report_.unknown != 0 && !options.partial)
      throw placing_.cannot_place(path_, report_.unknown, all);
  }

  void check_policies() const {
    EntryCount entries(view_.policies);
    for (const DumpedPolicy& policy : dump_.policies) {
      const std::uint16_t id = policy_in_force(view_, policy.name);
      check_room_for_permits(place(), policy.limit);
      if (id != 0) {
        check_same_kind(policy, must_read(place(), policy.name, id).limit);
      } else {
        entries.set_policy(policy.name, policy.limit);
        if (policy.trial) entries.begin_trial();
      }
    }
    count_entries_of_keys(entries);
    entries.check_room(path_);
  }

  /// In the order of run().
  void count_entries_of_keys(EntryCount& entries) const {
    std::map<std::uint16_t, std::string> names;
    for (const DumpedPolicy& policy : dump_.policies) names.emplace(policy.id, policy.name);
    for (const DumpedStanding& s : dump_.standings)
      if (s.limit) entries.set_override(names.at(s.where.policy), *s.limit);
    for (const DumpedConduct& c : dump_.conducts)
      entries.keep_conduct(names.at(c.where.policy), c.bans);
    // A ban over an override is another than that over the policy's limit.
    using Key = std::tuple<std::uint16_t, std::string_view, std::uint64_t>;
    std::map<Key, Limit> overrides;
    for (const DumpedStanding& s : dump_.standings) {
      const Key key{s.where.policy, s.where.view(), s.where.hash.identity};
      if (s.standing == Standing::override_) {
        overrides.emplace(key, *s.limit);
        continue;
      }
      const auto at = overrides.find(key);
      const auto parent = at != overrides.end() ? std::optional(at->second) : std::nullopt;
      const auto kind = s.standing == Standing::ban ? shm::PolicyKind::ban : shm::PolicyKind::allow;
      entries.put_apart(names.at(s.where.policy), kind, parent);
    }
  }

  [[nodiscard]] bool can_place(const DumpedKey& key) const noexcept {
    return placing_.can_place(key);
  }
  [[nodiscard]] bool can_place(const DumpedConduct& conduct) const noexcept {
    return placing_.can_place(conduct.where);
  }
  /// A key's standing is made by the whole protocol of the table.
  [[nodiscard]] bool can_place(const DumpedStanding& standing) const noexcept {
    return standing.where.known != KeyKnown::slot && placing_.can_place(standing.where);
  }

  void check_same_kind(const DumpedPolicy& policy, const Limit& here) const {
    if (can_become(policy.limit, here)) return;
    throw Error(
        Errc::bad_limit,
        fmt::format("{}: policy \"{}\" is {} here and {} in the dump, and calls, permits "
                    "and counts are not the same; load into a segment without it (--create)",
                    path_, policy.name, here.to_string(), policy.limit.to_string()));
  }

  // --- policies -----------------------------------------------------------------------------------

  void bind(const DumpedPolicy& policy) {
    const bool is_there = policy_in_force(view_, policy.name) != 0;
    const std::uint16_t id = make_policy(place(), policy.name, policy.limit);
    Policy here = must_read(place(), policy.name, id);
    report_.policies += is_there ? 0U : 1U;
    report_.differing += here.limit == policy.limit ? 0U : 1U;
    if (!is_there && policy.trial)
      report_.trials += begin_trial(place(), policy.name, *policy.trial) ? 1U : 0U;
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

  template <class Operation>
  using Loads = CallRules<OwnTime, Operation>;

  template <class Operation>
  [[nodiscard]] static Loads<Operation> rules_for(const Binding& binding,
                                                  const Operation& operation) noexcept {
    return {binding, OwnTime{&binding.view->clock}, operation};
  }

  void load(const DumpedKey& key) {
    const Bound& bound = bound_.at(key.policy);
    load(key, hash_of(bound, key), rules_for(bound.binding, SetOwed{bound.from, key.owed}),
         report_.keys);
  }

  /// What a denial more makes of it is for the limit to say that the key is under by then.
  void load(const DumpedConduct& conduct) {
    const DumpedKey& where = conduct.where;
    const Bound& bound = bound_.at(where.policy);
    const bool by_text = where.known == KeyKnown::text;
    load(where, by_text ? hash_of_conduct(bound.binding.hasher, where.view()) : where.hash,
         rules_for(conduct_binding(bound, conduct.bans), SetRemembered{conduct.what}),
         report_.conducts);
  }

  [[nodiscard]] const Binding& conduct_binding(const Bound& bound, const Limit& bans) {
    const std::pair what(bound.name, bans.to_string());
    const auto known = conducts_.find(what);
    if (known != conducts_.end()) return known->second;
    const std::uint16_t id = publish_conduct(place(), bound.name, bans);
    const Binding binding{&view_,
                          id,
                          bound.binding.hasher,
                          must_read(place(), bound.name, id),
                          nullptr,
                          &view_.policies.links_word(id)};
    return conducts_.emplace(what, binding).first->second;
  }

  /// Of a key whose text is known, or its hash under the same secret.
  [[nodiscard]] static shm::KeyHash hash_of(const Bound& bound, const DumpedKey& key) noexcept {
    return key.known == KeyKnown::text
               ? shm::KeyHash::from(bound.binding.hasher(key.text, key.size))
               : key.hash;
  }

  /// Loads those that are known by their slots, or the others. Of two slots of one key, which had
  /// moved while it was dumped, the later one was read later.
  template <class Lines>
  void load_all(const Lines& lines, bool by_slot) {
    std::unordered_set<std::uint64_t> loaded;
    for (auto line = lines.rbegin(); line != lines.rend(); ++line) {
      const DumpedKey& key = where_of(*line);
      if ((key.known == KeyKnown::slot) != by_slot || !can_place(*line)) continue;
      if (!by_slot || loaded.insert(key.hash.identity).second) load(*line);
    }
  }

  /// By the whole protocol of the table, or into the slot where it was.
  template <class Rules>
  void load(const DumpedKey& key, const shm::KeyHash& hash, Rules rules, std::uint64_t& loaded) {
    if (key.known == KeyKnown::slot) {
      const bool is_done = placing_.is_unseen() ? put(key, rules) : set(key, rules);
      count(rules, is_done, loaded);
      if (is_done) describe(key.slot_index, hash, key);
      return;
    }
    const shm::Update update = view_.table.update(hash, rules);
    count(rules, update.outcome == shm::Update::decided, loaded);
    if (update.has_slot) describe(update.slot_index, hash, key);
  }

  template <class Rules>
  [[nodiscard]] bool put(const DumpedKey& key, Rules& rules) const noexcept {
    const shm::Transition first = rules.first();
    if (first.kind != shm::Transition::store) return true;  // idle
    return view_.table.put_unseen(key.slot_index,
                                  {shm::make_tag(key.hash.identity, first.policy), first.state});
  }
  template <class Rules>
  [[nodiscard]] bool set(const DumpedKey& key, Rules& rules) const noexcept {
    return view_.table.step_member_at(key.slot_index, key.hash.identity,
                                      [&](std::uint16_t policy, std::uint64_t state) noexcept {
                                        return rules.step(policy, state);
                                      });
  }

  template <class Rules>
  void count(const Rules& rules, bool is_done, std::uint64_t& loaded) noexcept {
    const bool is_any = rules.operation().is_any;
    if (rules.is_unavailable() || (!is_done && is_any)) {
      ++report_.no_room;
    } else {
      ++(is_any ? loaded : report_.idle);
    }
  }

  void describe(std::uint64_t index, const shm::KeyHash& hash, const DumpedKey& key) noexcept {
    if (key.known == KeyKnown::text) view_.labels.write(index, hash, key.view());
    if (key.known == KeyKnown::hash) view_.labels.write_beginning(index, hash, key.view());
    shm::Counts& counts = view_.table.counts(index);
    shm::set_count(counts.allowed, hash.identity, key.allowed_count);
    shm::set_count(counts.denied, hash.identity, key.denied_count);
  }

  // --- keys that stand apart ----------------------------------------------------------------------

  template <class Takes>
  void put_apart(Takes&& takes) {
    for (const DumpedStanding& standing : dump_.standings)
      if (takes(standing) && can_place(standing)) put_apart(standing);
  }

  void put_apart(const DumpedStanding& standing) {
    const bool is_ban = standing.standing == Standing::ban;
    if (is_ban && standing.left_ns == 0) return;
    const Bound& bound = bound_.at(standing.where.policy);
    StandingKey who{view_.policies.find(bound.name), bound.name, standing.where.view()};
    if (standing.where.known == KeyKnown::hash) who.hash = standing.where.hash;
    try {
      (void)change_standing(view_, path_, who, change_to(standing, bound.name), kFromDump);
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
                .is_for_ever = !standing.left_ns,
                .level = standing.level};
    }
  }

  /// What a key owes when its ban is over, as it was in the dump, whatever it was here.
  void owe_after_ban(const Bound& bound, const DumpedStanding& standing) {
    const std::uint64_t now = view_.clock.now();
    const std::uint64_t state = charge(bound.from, idle_state(bound.from, now), now, standing.owed);
    auto rules = rules_for(bound.binding, SetOwed{bound.from, owed_in(bound.from, state, now)});
    (void)view_.table.update(hash_of(bound, standing.where), rules);
  }

  // --- the segment --------------------------------------------------------------------------------

  /// In a segment that is made, limits are off as they were. One that is in use keeps what somebody
  /// has set. relaxed: nobody else sees it yet.
  void keep_off() {
    report_.was_off = dump_.segment.off_unix_ns != 0;
    if (!report_.was_off || !placing_.is_unseen()) return;
    view_.mapping.header().off_unix_ns.store(dump_.segment.off_unix_ns, std::memory_order_relaxed);
    note_change(view_, {.change = Change::limits_off, .reason = kFromDump});
  }

  View& view_;
  const std::string& path_;
  const DumpContents& dump_;
  const Placing placing_;
  std::map<std::uint16_t, Bound> bound_;
  std::map<std::pair<std::string_view, std::string>, Binding> conducts_;
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
