// Permits, for C.
#include <new>

#include <rl/permit.hpp>

#include "src/c_abi.hpp"

using rl::c::answer;
using rl::c::refuse;
using rl::c::tell;

int librl_permit_acquire(librl_limiter_t* limiter, const void* key, size_t key_size,
                         librl_permit_t** permit, librl_decision_t* decision) {
  if (permit == nullptr) return refuse(decision);
  *permit = nullptr;
  if (!rl::c::is_one(limiter) || !rl::c::can_take(decision)) return refuse(decision);
  rl::Permit taken = limiter->one.permit(rl::c::key_of(key, key_size));
  const rl::Decision told = taken.decision();
  if (told.allowed) {
    *permit = new (std::nothrow) librl_permit{std::move(taken)};
    if (*permit == nullptr) {  // given back at the end of its scope
      tell(decision, {.reason = rl::Reason::unavailable});
      return LIBRL_ENOMEM;
    }
  }
  tell(decision, told);
  return answer(told);
}

int librl_permit_release(librl_permit_t* permit) {
  if (permit == nullptr) return 0;
  const bool was_held = permit->permit.release();
  delete permit;
  return was_held ? 1 : 0;
}

int librl_permit_renew(librl_permit_t* permit) {
  if (permit == nullptr) return LIBRL_EINVALID;
  return permit->permit.renew() ? 1 : 0;
}

int librl_permit_holds(const librl_permit_t* permit) {
  if (permit == nullptr) return LIBRL_EINVALID;
  return permit->permit.holds() ? 1 : 0;
}

uint64_t librl_permit_fence(librl_permit_t* permit) {
  return permit != nullptr ? permit->permit.fence() : 0;
}

int64_t librl_permit_lease_end(const librl_permit_t* permit) {
  if (permit == nullptr) return LIBRL_EINVALID;
  return permit->permit.lease_end().time_since_epoch().count();
}

int librl_permit_peek(const librl_limiter_t* limiter, const void* key, size_t key_size,
                      librl_decision_t* decision) {
  if (!rl::c::is_one(limiter) || !rl::c::can_take(decision)) return refuse(decision);
  const rl::Decision told = limiter->one.peek_permit(rl::c::key_of(key, key_size));
  tell(decision, told);
  return answer(told);
}
