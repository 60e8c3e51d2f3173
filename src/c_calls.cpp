// Calls on one key, for C.
#include "src/c_abi.hpp"

namespace rl::c {
namespace {

/// Decides by one limit: `call(limiter, key)` returns a decision, or what has one.
template <class Handle, class Call>
[[gnu::always_inline]] inline int decide(Handle* limiter, const void* key, std::size_t size,
                                         librl_decision_t* decision, Call&& call) noexcept {
  if (!is_one(limiter) || !can_take(decision)) [[unlikely]]
    return refuse(decision);
  const Decision told = call(limiter->one, key_of(key, size));
  tell(decision, told);
  return answer(told);
}

/// Decides by the limits of a list.
template <class Handle, class Call>
int decide_list(Handle& list, const void* key, std::size_t size, librl_decision_t* decision,
                Call&& call) noexcept {
  if (!can_take(decision)) return refuse(decision);
  const AllOf told = call(*list.asked, key_of(key, size));
  tell(decision, told.decision, {.which = told.which});
  return answer(told.decision);
}

/// librl_acquire() of a list, or with a decision of another size than ours, or what makes no sense.
[[gnu::noinline]] int acquire_otherwise(librl_limiter_t* limiter, const void* key, std::size_t size,
                                        std::uint64_t cost, librl_decision_t* decision) noexcept {
  if (limiter != nullptr && limiter->is_list()) {
    return decide_list(*limiter, key, size, decision,
                       [&](Limiters& all, std::string_view k) { return all.try_acquire(k, cost); });
  }
  return decide(limiter, key, size, decision,
                [&](Limiter& one, std::string_view k) { return one.try_acquire(k, cost); });
}

/// Does what is no decision: `call(limiter, key)` returns whether it is done.
template <class Call>
int perform(librl_limiter_t* limiter, const void* key, std::size_t size, Call&& call) noexcept {
  const std::string_view name = key_of(key, size);
  if (!is_one(limiter) || name.empty()) return LIBRL_EINVALID;
  return call(limiter->one, name) ? 1 : 0;
}

/// The same with a decision of before, of which the library takes what was charged.
template <class Call>
int perform_on(librl_limiter_t* limiter, const void* key, std::size_t size,
               librl_decision_t* decision, Call&& call) noexcept {
  std::optional<Decision> told = read(decision);
  if (!told) return LIBRL_EINVALID;
  return perform(limiter, key, size, [&](Limiter& one, std::string_view name) {
    const bool is_done = call(one, name, *told);
    if (decision->size >= sizeof *decision) decision->charged = told->charged;
    return is_done;
  });
}

}  // namespace
}  // namespace rl::c

using rl::Limiter;
using rl::Limiters;
using rl::c::decide;
using std::string_view;

int librl_acquire(librl_limiter_t* limiter, const void* key, size_t key_size, uint64_t cost,
                  librl_decision_t* decision) {
  if (!rl::c::is_one(limiter) || !rl::c::is_usual(decision)) [[unlikely]]
    return rl::c::acquire_otherwise(limiter, key, key_size, cost, decision);
  const rl::Decision told = limiter->one.try_acquire(rl::c::key_of(key, key_size), cost);
  if (decision != nullptr) rl::c::fill(*decision, told, {});
  return rl::c::answer(told);
}

int librl_acquire_at(librl_limiter_t* limiter, int64_t now_ns, const void* key, size_t key_size,
                     uint64_t cost, librl_decision_t* decision) {
  const rl::Instant now{std::chrono::nanoseconds(now_ns)};
  return decide(limiter, key, key_size, decision,
                [&](Limiter& one, string_view k) { return one.try_acquire_at(now, k, cost); });
}

int librl_acquire_low(librl_limiter_t* limiter, const void* key, size_t key_size, uint64_t cost,
                      librl_decision_t* decision) {
  return decide(limiter, key, key_size, decision, [&](Limiter& one, string_view k) {
    return one.try_acquire(k, cost, rl::Priority::low);
  });
}

int librl_peek(const librl_limiter_t* limiter, const void* key, size_t key_size, uint64_t cost,
               librl_decision_t* decision) {
  if (limiter != nullptr && limiter->is_list()) {
    return rl::c::decide_list(
        *limiter, key, key_size, decision,
        [&](const Limiters& all, string_view k) { return all.peek(k, cost); });
  }
  return decide(limiter, key, key_size, decision,
                [&](const Limiter& one, string_view k) { return one.peek(k, cost); });
}

int librl_reserve(librl_limiter_t* limiter, const void* key, size_t key_size, uint64_t cost,
                  int64_t deadline_ns, librl_decision_t* decision) {
  if (!rl::c::is_one(limiter) || !rl::c::can_take(decision)) return rl::c::refuse(decision);
  const rl::Instant deadline{std::chrono::nanoseconds(deadline_ns)};
  const rl::Reservation told = limiter->one.reserve(rl::c::key_of(key, key_size), cost, deadline);
  rl::c::tell(decision, told, {.at_ns = told.at.time_since_epoch().count()});
  return rl::c::answer(told);
}

int librl_acquire_for(librl_limiter_t* limiter, const void* key, size_t key_size, uint64_t cost,
                      int64_t timeout_ns, librl_decision_t* decision) {
  const std::chrono::nanoseconds timeout(timeout_ns);
  return decide(limiter, key, key_size, decision,
                [&](Limiter& one, string_view k) { return one.acquire_for(k, cost, timeout); });
}

int librl_charge(librl_limiter_t* limiter, const void* key, size_t key_size, uint64_t cost,
                 librl_decision_t* decision) {
  return decide(limiter, key, key_size, decision,
                [&](Limiter& one, string_view k) { return one.charge(k, cost); });
}

int librl_hold(librl_limiter_t* limiter, const void* key, size_t key_size, uint64_t estimate,
               librl_decision_t* decision) {
  // One without the last fields could not be settled.
  if (decision == nullptr || decision->size < sizeof *decision) return LIBRL_EINVALID;
  return decide(limiter, key, key_size, decision,
                [&](Limiter& one, string_view k) { return one.hold(k, estimate); });
}

int librl_settle(librl_limiter_t* limiter, const void* key, size_t key_size, librl_decision_t* held,
                 uint64_t actual) {
  return rl::c::perform_on(
      limiter, key, key_size, held,
      [&](Limiter& one, string_view k, rl::Decision& told) { return one.settle(k, told, actual); });
}

int librl_refund(librl_limiter_t* limiter, const void* key, size_t key_size,
                 librl_decision_t* decision) {
  return rl::c::perform_on(
      limiter, key, key_size, decision,
      [](Limiter& one, string_view k, rl::Decision& told) { return one.refund(k, told); });
}

int librl_set_remaining(librl_limiter_t* limiter, const void* key, size_t key_size,
                        uint64_t tokens) {
  return rl::c::perform(limiter, key, key_size,
                        [&](Limiter& one, string_view k) { return one.set_remaining(k, tokens); });
}

int librl_reset(librl_limiter_t* limiter, const void* key, size_t key_size) {
  const string_view name = rl::c::key_of(key, key_size);
  if (limiter == nullptr || name.empty()) return LIBRL_EINVALID;
  const bool had_any = limiter->is_list() ? limiter->asked->reset(name) : limiter->one.reset(name);
  return had_any ? 1 : 0;
}
