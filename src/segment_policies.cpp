// The policies of a segment: looking at them, and changing them while everything runs.
#include <rl/segment.hpp>

#include <fmt/format.h>

#include "src/change.hpp"
#include "src/journal.hpp"
#include "src/show.hpp"
#include "src/trial.hpp"

namespace rl {
namespace {

PolicyInfo describe(const View& view, std::uint16_t id) {
  PolicyInfo info;
  info.id = id;
  const auto constants = view.policies.read(id);
  if (!constants) return info;
  info.name = std::string(shm::name_of(*constants));
  info.created = to_wall_time(constants->created_unix_ns);
  info.creator_uid = constants->creator_uid;
  info.removed = constants->kind == shm::PolicyKind::removed;
  if (const auto policy = policy_from(*constants)) {
    info.limit = policy->limit;
    info.spent = policy->spent;
  }
  info.candidate_id = candidate_of(view, id);
  if (const auto candidate = read_policy(view.policies, info.candidate_id))
    info.candidate = candidate->limit;
  return info;
}

/// Adds a policy and all that replaced it: no more entries than there are.
void add_chain(const View& view, std::uint16_t id, std::vector<PolicyInfo>& all) {
  for (; id != 0 && all.size() < view.policies.capacity(); id = view.policies.successor(id))
    all.push_back(describe(view, id));
}

/// Notes the last that was asked for under each name.
void add_what_was_asked(const View& view, std::vector<PolicyInfo>& all) {
  view.policies.walk([&](std::uint16_t id) {
    const auto constants = view.policies.read(id);
    if (!constants || constants->kind != shm::PolicyKind::asked) return false;
    const auto policy = policy_from(*constants);
    for (PolicyInfo& info : all) {
      if (!policy || info.name != shm::name_of(*constants)) continue;
      info.asked = policy->limit != info.limit ? std::optional(policy->limit) : std::nullopt;
    }
    return false;
  });
}

/// A limit that is about to be replaced, as far as the journal tells of it. Of two that change it at
/// once, one may note what the other has replaced.
struct Replaced {
  std::uint16_t id;
  std::string limit;
  std::string candidate;

  static Replaced before(const View& view, std::string_view policy) {
    const std::uint16_t id = policy_in_force(view, policy);
    return {id, limit_text(view.policies, id), limit_text(view.policies, candidate_of(view, id))};
  }
  /// Notes the end of the trial beside it, if there was one.
  void note_end_of_trial(const View& view, std::string_view policy) const noexcept {
    if (!candidate.empty())
      note_change(view, {.change = Change::trial_ended, .policy = policy, .before = candidate});
  }
};

}  // namespace

std::vector<PolicyInfo> Segment::policies() const {
  const View& view = core_->view();
  std::vector<PolicyInfo> all;
  std::vector<bool> listed(std::size_t{view.policies.capacity()} + 1);
  std::vector<bool> shown(listed.size());
  view.policies.walk([&](std::uint16_t id) {
    if (listed[id]) return true;  // a list that bytes gone wrong made a ring
    listed[id] = true;
    const auto constants = view.policies.read(id);
    if (constants && constants->kind != shm::PolicyKind::limit) return false;
    const std::uint16_t in_force = view.policies.in_force(id);
    if (shown[in_force]) return false;  // or chains that lead to one
    shown[in_force] = true;
    PolicyInfo info = describe(view, in_force);
    if (!info.removed) all.push_back(std::move(info));
    return false;
  });
  add_what_was_asked(view, all);
  return all;
}

std::vector<PolicyInfo> Segment::history(std::string_view policy) const {
  const View& view = core_->view();
  const std::uint16_t id = view.policies.find(policy);
  if (id == 0) {
    shm::PolicyTable::check_name(policy);
    throw no_such_policy({view, path()}, policy,
                         fmt::format("`rlctl policy list {}` shows those that there are", name()));
  }
  std::vector<PolicyInfo> all;
  add_chain(view, id, all);
  return all;
}

std::vector<PolicyInfo> Segment::history() const {
  const View& view = core_->view();
  std::vector<PolicyInfo> all;
  view.policies.walk([&](std::uint16_t id) {
    const auto constants = view.policies.read(id);
    if (!constants || constants->kind == shm::PolicyKind::limit) add_chain(view, id, all);
    return all.size() >= view.policies.capacity();  // a list that bytes gone wrong made a ring
  });
  return all;
}

void Segment::set_policy(std::string_view policy, const Limit& limit, Spent spent) {
  core_->look_at_once();
  const View& view = core_->view();
  const Replaced was = Replaced::before(view, policy);
  if (change_policy({view, path()}, policy, limit, spent) == was.id) return;
  note_change(view, {Change::policy_set, policy, {}, was.limit, limit.to_string(), {}});
  was.note_end_of_trial(view, policy);
}

bool Segment::remove_policy(std::string_view policy) {
  shm::PolicyTable::check_name(policy);
  core_->look_at_once();
  const View& view = core_->view();
  const Replaced was = Replaced::before(view, policy);
  if (!rl::remove_policy({view, path()}, policy)) return false;
  note_change(view, {.change = Change::policy_removed, .policy = policy, .before = was.limit});
  was.note_end_of_trial(view, policy);
  return true;
}

bool Segment::switch_limits(bool on) {
  core_->look_at_once();
  const View& view = core_->view();
  check_writable({view, path()});
  // release, for nothing but the word: it takes effect at the next call that reads it.
  const std::uint64_t now = on ? 0 : std::max<std::uint64_t>(shm::read_unix_ns(), 1);
  shm::Word& off = view.mapping.header().off_unix_ns;
  std::uint64_t was = off.load(std::memory_order_relaxed);
  do {  // ends: each failure is another operator's success
    if ((was == 0) == on) return false;
  } while (
      !off.compare_exchange_weak(was, now, std::memory_order_release, std::memory_order_relaxed));
  note_change(view, {.change = on ? Change::limits_on : Change::limits_off});
  return true;
}

}  // namespace rl
