// Counts, for C.
#include "src/c_abi.hpp"

static_assert(rl::kCountedMax == 67'108'863, "as rl.h says");

int librl_count(librl_limiter_t* limiter, const void* key, size_t key_size, uint64_t amount,
                int64_t expiry_ns, int is_elastic, librl_count_t* count) {
  const bool can_take = count == nullptr || count->size >= sizeof *count;
  if (!can_take) return LIBRL_EINVALID;
  if (!rl::c::is_one(limiter)) {
    if (count != nullptr) *count = {count->size, LIBRL_INVALID, 0, 0};
    return LIBRL_EINVALID;
  }
  const rl::Counted told =
      limiter->one.count(rl::c::key_of(key, key_size), amount, std::chrono::nanoseconds(expiry_ns),
                         is_elastic != 0 ? rl::Expiry::each : rl::Expiry::first);
  if (count != nullptr) {
    count->reason = static_cast<std::int32_t>(told.reason);
    count->count = told.count;
    count->expires_in_ns = told.expires_in.count();
  }
  if (told.reason == rl::Reason::invalid) return LIBRL_EINVALID;
  return told.counted ? 1 : 0;
}
