/// \file
/// Joins the table, which knows no algorithm, and the algorithm, which knows no table.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>

#include "shm/table.hpp"
#include "src/core.hpp"
#include "src/follow.hpp"
#include "src/operations.hpp"

namespace rl {

/// The segment's own clock as a decision's time.
template <class Clock>
struct OwnTimeOn {
  static constexpr bool kIsCallers = false;
  const Clock* clock;
  static constexpr bool kMayDeny = true;
  [[nodiscard, gnu::always_inline]] std::uint64_t now() const noexcept { return clock->now(); }
  [[nodiscard]] std::uint64_t latest() const noexcept { return clock->now(); }
};

using OwnTime = OwnTimeOn<shm::Clock>;

/// A time that the caller read before, possibly long before.
template <class Clock>
struct CallersTimeOn {
  static constexpr bool kIsCallers = true;
  const Clock* clock;
  std::uint64_t ns;
  static constexpr bool kMayDeny = true;
  [[nodiscard]] std::uint64_t now() const noexcept { return ns; }
  [[nodiscard]] std::uint64_t latest() const noexcept { return std::max(ns, clock->now()); }
};
using CallersTime = CallersTimeOn<shm::Clock>;

/// One reading of the segment's clock for many keys, made before their slots were read. To admit by
/// it is as if each call had read the clock and was stopped then. A denial by it might be about
/// what came later, so it is none: the call reads the clock for itself.
struct SharedTime {
  const shm::Clock* clock;
  std::uint64_t ns;
  static constexpr bool kMayDeny = false;
  [[nodiscard]] std::uint64_t now() const noexcept { return ns; }
};

/// Returns the time of a call whose first look decided nothing.
template <class Time>
[[nodiscard]] Time time_of_retries(Time time) noexcept {
  return time;
}
[[nodiscard]] inline OwnTime time_of_retries(SharedTime time) noexcept {
  return {time.clock};
}

/// Returns where the holder of a permit sat.
constexpr shm::Sitter sitter_of(const PermitWord& word) noexcept {
  return {word.holder - 1, word.generation};
}

/// The step of a key under the policy that is asked, with nothing odd about state or clock; all
/// else is passed on to CallRules. The clock is read AFTER the table has read the slot, and the
/// policy's links after the clock: see there, and src/follow.hpp.
template <class Algorithm, class Outside, class Time>
[[gnu::always_inline]] inline shm::Transition first_step(const Algorithm& algorithm,
                                                         const Outside& binding, Time time,
                                                         std::uint16_t policy, std::uint64_t state,
                                                         std::uint64_t cost,
                                                         Verdict& verdict) noexcept {
  const std::uint64_t now = time.now();
  if (now == shm::Clock::kNoTime || is_beyond_horizon(algorithm, state, now) ||
      !binding.stands_alone()) [[unlikely]] {
    return {shm::Transition::pass, policy, state};
  }
  verdict = acquire(algorithm, state, now, cost);
  constexpr auto kDenied = Time::kMayDeny ? shm::Transition::keep : shm::Transition::pass;
  return {verdict.allowed ? shm::Transition::store : kDenied, policy, verdict.state};
}

/// Drives the table through one call, whatever the algorithm of its policy (shm::Rules).
///
/// step() reads the clock AFTER the table has read the slot. A process that was stopped in between
/// sees an old slot with a new time, never the reverse (but for the 100 ns by which a CPU may read
/// its TSC early): a denial is therefore true at the instant at which the slot was read. An
/// admission is checked by its CAS, and counts at the instant at which the clock was read.
///
/// What the call asks is an Operation (src/operations.hpp). What it takes from the outside is a
/// Binding and a time. Tests give it doubles of both, so that a scheduler gets in between, and what
/// it counts is watched (tests/interleaving).
template <class Time, class Operation = Acquire, class Outside = Binding>
class CallRules {
 public:
  CallRules(const Outside& binding, const Time& time, const Operation& operation) noexcept
      : binding_(binding),
        time_(time),
        operation_(operation),
        follower_(*binding.view, *time.clock) {
    at_.id = binding.id;
  }

  shm::Transition step(std::uint16_t policy, std::uint64_t state) noexcept {
    if (!come_to(policy, state)) [[unlikely]]
      return unavailable();
    if constexpr (Time::kIsCallers) {
      verdict_ = is_behind_ ? decide_behind(parameters(), at_.state, at_.now_ns)
                            : operation_.act(parameters(), at_.state, at_.now_ns);
    } else {
      verdict_ = operation_.act(parameters(), at_.state, at_.now_ns);
    }
    const bool is_news = verdict_.state != state || at_.has_moved;
    const bool stores = is_news && (verdict_.allowed || healed_ || at_.has_moved);
    return {stores ? shm::Transition::store : shm::Transition::keep, at_.id, verdict_.state};
  }

  /// Says what step would decide, without deciding it.
  void look(std::uint16_t policy, std::uint64_t state) noexcept {
    if (!come_to(policy, state)) return (void)unavailable();
    verdict_ = is_behind_ ? decide_behind(parameters(), at_.state, at_.now_ns)
                          : operation_.look(parameters(), at_.state, at_.now_ns);
  }

  shm::Transition first() noexcept { return step(binding_.id, 0); }
  /// Idle as of now, not as of 0: a call that read an idle member and was stopped must not find the
  /// same words again when the key has been charged, freed and inserted anew in between. No later
  /// than the segment's time, so that nobody sees a debt in it; and under the policy in force, as
  /// an instant after the change would be a debt in the units of before.
  [[nodiscard]] shm::Transition idle() noexcept {
    const std::uint64_t now = std::min(time_.now(), time_.clock->now());
    if (now == shm::Clock::kNoTime) return {shm::Transition::store, binding_.id, 0};
    const Followed at = follower_.follow(binding_.id, 0, now, binding_.id);
    if (at.policy == nullptr) return {shm::Transition::store, binding_.id, 0};
    return {shm::Transition::store, at.id, idle_state(at.policy->parameters, now)};
  }

  /// Another key's slot is judged by the real time, not by what the caller believes it to be.
  void begin_judging() noexcept { judged_at_ = time_.clock->now(); }

  /// In the units in force.
  [[nodiscard]] shm::Standing judge(std::uint16_t policy, std::uint64_t state) noexcept {
    if (judged_at_ == shm::Clock::kNoTime) return shm::Standing::sticky;
    if (policy == binding_.id && binding_.stands_alone())
      return standing(binding_.policy.parameters, state, judged_at_);
    const Followed at = follower_.follow(policy, state, judged_at_, 0);
    // Damaged: nobody can read this debt. Of a newer library: not ours to judge.
    if (at.id == 0) return shm::Standing::idle;
    if (at.policy == nullptr) return shm::Standing::sticky;
    if (is_standing(at.policy->kind)) return shm::Standing::sticky;
    return standing(at.policy->parameters, at.state, at.now_ns);
  }

  /// In the units in force.
  [[nodiscard]] std::uint64_t tokens_owed(std::uint16_t policy, std::uint64_t state) noexcept {
    if (policy == binding_.id && binding_.stands_alone())
      return rl::tokens_owed(binding_.policy.parameters, state, judged_at_);
    const Followed at = follower_.follow(policy, state, judged_at_, 0);
    if (at.policy == nullptr) return 0;
    return rl::tokens_owed(at.policy->parameters, at.state, judged_at_);
  }

  /// What is only on trial takes nothing from anybody.
  [[nodiscard]] bool may_evict() const noexcept {
    return binding_.policy.limit.when_full() == WhenFull::evict &&
           binding_.policy.kind != shm::PolicyKind::candidate;
  }
  /// Asks for the label of a slot that is about to be claimed.
  [[gnu::always_inline]] void prefetch_beside(std::uint64_t slot_index) const noexcept {
    if constexpr (requires { binding_.view->labels; }) binding_.view->labels.prefetch(slot_index);
  }
  std::uint64_t nonce() noexcept { return binding_.view->participant.nonce(); }
  void on_evicted() noexcept {
    count(health().evicted);
    has_evicted_ = true;
  }
  void on_idle_overwritten() noexcept { count(health().idle_overwritten); }
  void on_tentative_freed() noexcept { count(health().tentatives_freed); }

  [[nodiscard]] const Verdict& verdict() const noexcept { return verdict_; }
  /// Returns the policy that decided, by its id and itself; not of what is unavailable.
  [[nodiscard]] std::uint16_t decided_by() const noexcept { return at_.id; }
  [[nodiscard]] const Policy& policy() const noexcept { return *at_.policy; }
  [[nodiscard]] std::uint64_t limit() const noexcept { return most_for(operation_, parameters()); }
  [[nodiscard]] bool healed() const noexcept { return healed_; }
  /// Whether a key that still owed something lost its slot to this call.
  [[nodiscard]] bool has_evicted() const noexcept { return has_evicted_; }
  [[nodiscard]] bool is_unavailable() const noexcept { return unavailable_; }
  [[nodiscard]] const Operation& operation() const noexcept { return operation_; }
  [[nodiscard]] const Time& time() const noexcept { return time_; }

 private:
  [[nodiscard]] shm::Standing standing(const Parameters& parameters, std::uint64_t state,
                                       std::uint64_t now_ns) const noexcept {
    if (is_idle(parameters, state, now_ns)) return shm::Standing::idle;
    if (!std::holds_alternative<Concurrency>(parameters)) return shm::Standing::owing;
    // What is out stays where it is: a permit that is taken twice is worse than a call without
    // room. But not for a holder that is known to be dead.
    const PermitWord word = PermitWord::of(state);
    const bool is_lost =
        word.holder != 0 && binding_.view->participant.has_successor(sitter_of(word));
    return is_lost ? shm::Standing::idle : shm::Standing::sticky;
  }

  [[nodiscard]] const Parameters& parameters() const noexcept { return at_.policy->parameters; }

  /// Comes to where a key stands that held `state` under `policy`; false when that cannot be told.
  /// A policy that is damaged comes under ours again.
  bool come_to(std::uint16_t policy, std::uint64_t state) noexcept {
    unavailable_ = is_behind_ = healed_ = false;
    const std::uint64_t now = time_.now();
    if (now == shm::Clock::kNoTime) [[unlikely]]
      return false;
    if (policy == binding_.id && binding_.stands_alone()) [[likely]] {
      at_ = {&binding_.policy, policy, state, now};
    } else {
      at_ = follower_.follow(policy, state, now, binding_.id);
      if (at_.policy == nullptr) return false;
      if (at_.id != policy && policy == binding_.id) binding_.note_outdated();
      // A key's conduct goes by the limit that it is under now; its word says the same under each.
      const bool is_conduct = at_.policy->kind == shm::PolicyKind::conduct &&
                              binding_.policy.kind == shm::PolicyKind::conduct;
      if (is_conduct && at_.id != binding_.id)
        at_ = {&binding_.policy, binding_.id, at_.state, at_.now_ns, true};
    }
    if (is_beyond_horizon(parameters(), at_.state, at_.now_ns)) [[unlikely]]
      at_.state = heal(parameters(), at_.state, at_.now_ns);
    return true;
  }

  /// The clock, or the policy that the key is under, says nothing to this process.
  [[gnu::cold]] shm::Transition unavailable() noexcept {
    verdict_ = {};
    unavailable_ = true;
    return {shm::Transition::keep, at_.id, 0};
  }

  /// Cuts a state that no clock of ours can explain. The time is first checked against the clock:
  /// if that explains the state, it stays; and a call that goes by the clock goes by this reading
  /// then. But the clock's words are input, too, and may put `latest` centuries after a caller's
  /// `now`: the debt is kept within what the algorithm can add to.
  std::uint64_t heal(const Parameters& parameters, std::uint64_t state,
                     std::uint64_t& now) noexcept {
    constexpr std::uint64_t kDebtMax = std::uint64_t{1} << 62;
    const std::uint64_t latest = time_.latest();
    healed_ = is_beyond_horizon(parameters, state, latest);
    if (healed_) state = cut(parameters, state, latest);
    if constexpr (!Time::kIsCallers) now = std::min(latest, kTimeMax);
    is_behind_ = Time::kIsCallers && !healed_ && !std::holds_alternative<TokenBucket>(parameters);
    return debt_ns(state, now) > kDebtMax ? now + kDebtMax : state;
  }

  /// Decides at a caller's time so long ago that it cannot explain the key's state, but the clock
  /// does: what the key has used lies ahead of the call, so it is denied until the clock's now, or
  /// until a call passes then. (A token bucket's own arithmetic says when.)
  [[gnu::cold]] Verdict decide_behind(const Parameters& parameters, std::uint64_t state,
                                      std::uint64_t now) const noexcept {
    const std::uint64_t clocks = std::min(time_.latest(), kTimeMax);
    const std::uint64_t lag = clocks > now ? clocks - now : 0;
    Verdict verdict = operation_.look(parameters, state, clocks);
    verdict.allowed = false;
    verdict.remaining = 0;
    if (!verdict.never) verdict.retry_after_ns += lag;
    verdict.reset_after_ns += lag;
    verdict.wait_ns = 0;
    return verdict;
  }

  [[nodiscard]] auto& health() const noexcept { return binding_.view->mapping.header().health; }
  static void count(auto& counter) noexcept { counter.fetch_add(1, std::memory_order_relaxed); }

  const Outside& binding_;
  Time time_;
  Operation operation_;
  Follower<std::remove_reference_t<decltype(*std::declval<Outside>().view)>,
           std::remove_cvref_t<decltype(*std::declval<Time>().clock)>>
      follower_;
  Followed at_;
  std::uint64_t judged_at_ = 0;
  bool healed_ = false;
  bool has_evicted_ = false;
  bool is_behind_ = false;
  bool unavailable_ = false;
  Verdict verdict_{};
};

}  // namespace rl
