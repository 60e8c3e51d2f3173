// Putting a limit on trial, comparing it, and putting it in force.
#include "src/trial.hpp"

#include <fmt/format.h>

#include <rl/segment.hpp>

#include "src/change.hpp"
#include "src/journal.hpp"
#include "src/show.hpp"

namespace rl {
namespace {

/// relaxed: counts for people.
Comparison::Counts counts_of(const shm::Tallies& tallies) noexcept {
  return {tallies.allowed.load(std::memory_order_relaxed),
          tallies.denied.load(std::memory_order_relaxed)};
}

/// Before a trial begins.
void clear(shm::Tallies& tallies) noexcept {
  for (shm::Word* const word : {&tallies.allowed, &tallies.denied, &tallies.keys})
    word->store(0, std::memory_order_relaxed);
}

/// Takes the candidate away from what is in force, and notes that. Returns whether there was one.
bool end_trial(const View& view, std::string_view name, std::uint16_t live) {
  const std::uint16_t candidate = candidate_of(view, live);
  if (candidate == 0) return false;
  const std::string text = limit_text(view.policies, candidate);
  if (!view.policies.set_candidate(live, candidate, 0)) return false;  // a rival's word
  note_change(view, {.change = Change::trial_ended, .policy = name, .before = text});
  return true;
}

}  // namespace

bool begin_trial(const Place& place, std::string_view name, const Limit& limit) {
  const View& view = place.view;
  shm::PolicyConstants constants = new_constants(view, limit);
  constants.kind = shm::PolicyKind::candidate;
  const std::uint16_t id =
      view.policies.publish(constants, name, [](const shm::PolicyConstants&) { return false; });
  // Each failure is another's change, and there are only so many ids.
  for (std::uint32_t tries = 0; tries <= view.policies.capacity(); ++tries) {
    const std::uint16_t live = policy_in_force(view, name);
    if (live == 0) return false;
    (void)end_trial(view, name, live);  // nobody counts for it any more
    clear(view.policies.tallies(live));
    if (!view.policies.set_candidate(live, 0, id)) continue;
    const std::string text = limit.to_string();
    note_change(view, {.change = Change::trial_begun, .policy = name, .after = text});
    return true;
  }
  throw Error(Errc::corrupt, fmt::format("{}: the list of policies is damaged; remove the segment "
                                         "and create it anew",
                                         place.path));
}

void Segment::set_candidate(std::string_view policy, const Limit& limit) {
  const Place place{core_->view(), path()};
  check_writable(place);
  const Limit live = limiter(policy).limit();
  if (limit.algorithm() == Algorithm::counter || live.algorithm() == Algorithm::counter) {
    throw Error(
        Errc::bad_limit,
        fmt::format("{}: policy \"{}\": a counter has no trial, as it denies nothing; change "
                    "the limit itself",
                    path(), policy));
  }
  if (gives_permits(limit.algorithm()) || gives_permits(live.algorithm())) {
    throw Error(Errc::bad_limit,
                fmt::format("{}: policy \"{}\": a concurrency limit has no trial, as a permit that "
                            "is not given cannot be given back; change the limit itself",
                            path(), policy));
  }
  // Throws where it was removed meanwhile. Ends: each turn takes one of so many entries.
  while (!begin_trial(place, policy, limit)) (void)limiter(policy);
}

bool Segment::clear_candidate(std::string_view policy) {
  core_->look_at_once();
  const Place place{core_->view(), path()};
  check_writable(place);
  return end_trial(place.view, policy, policy_in_force(place.view, policy));
}

void Segment::promote_candidate(std::string_view policy, Spent spent) {
  core_->look_at_once();
  const Place place{core_->view(), path()};
  check_writable(place);
  const std::uint16_t id = candidate_of(place.view, policy_in_force(place.view, policy));
  if (id == 0) {
    throw Error(
        Errc::unknown_policy,
        fmt::format("{}: policy \"{}\" has no candidate; try one with `rlctl policy trial {} "
                    "{} LIMIT`",
                    path(), policy, name(), policy));
  }
  set_policy(policy, must_read(place, policy, id).limit, spent);
  const std::uint16_t live = policy_in_force(place.view, policy);  // where it was so already
  if (candidate_of(place.view, live) == id) (void)end_trial(place.view, policy, live);
}

std::optional<Comparison> Segment::compare(std::string_view policy) const {
  const Place place{core_->view(), path()};
  const View& view = place.view;
  const std::uint16_t live = policy_in_force(view, policy);
  const std::uint16_t id = candidate_of(view, live);
  const auto constants = view.policies.read(id);
  if (!constants) return std::nullopt;
  const shm::Tallies& tallies = view.policies.tallies(id);
  return Comparison{.live = must_read(place, policy, live).limit,
                    .candidate = must_read(place, policy, id).limit,
                    .since = to_wall_time(constants->created_unix_ns),
                    .creator_uid = constants->creator_uid,
                    .by_live = counts_of(view.policies.tallies(live)),
                    .by_candidate = counts_of(tallies),
                    .keys_denied = tallies.keys.load(std::memory_order_relaxed)};  // as counts_of
}

}  // namespace rl
