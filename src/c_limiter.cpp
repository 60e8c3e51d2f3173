// Limiters, for C: handles on one limit, and on a list.
#include "src/c_abi.hpp"
#include "src/change.hpp"

namespace rl::c {
namespace {

librl_limiter_s handle_of(Limiters asked) {
  librl_limiter_s handle{asked[0], asked.size()};
  if (handle.is_list()) {
    handle.list.reserve(asked.size());
    for (std::size_t i = 0; i < asked.size(); ++i) handle.list.push_back(asked[i]);
  }
  handle.asked = std::move(asked);
  return handle;
}

std::string text_of(const librl_limiter_s& limiter) {
  return limiter.is_list() ? limiter.asked->limits().to_string() : limiter.one.limit().to_string();
}

}  // namespace
}  // namespace rl::c

using rl::c::fail;
using rl::c::guarded;

int librl_limiter(librl_segment_t* segment, const char* policy, const char* limits,
                  librl_limiter_t** limiter) {
  if (limiter == nullptr)
    return fail(LIBRL_EINVALID, "librl_limiter: no place for the handle; give the address of one");
  *limiter = nullptr;
  if (segment == nullptr || policy == nullptr)
    return fail(LIBRL_EINVALID, "librl_limiter: no segment, or no name of a policy");
  return rl::c::make_handle(limiter, [&] {
    rl::Segment& asked = segment->segment;
    return rl::c::handle_of(limits != nullptr ? asked.limiters(policy, rl::Limits::parse(limits))
                                              : asked.limiters(policy));
  });
}

int librl_set_policy(librl_segment_t* segment, const char* policy, const char* limits) {
  if (segment == nullptr || policy == nullptr || limits == nullptr)
    return fail(LIBRL_EINVALID, "librl_set_policy: no segment, no name of a policy, or no limit");
  return guarded([&] {
    segment->segment.set_policy(policy, rl::Limits::parse(limits));
    return 0;
  });
}

void librl_limiter_free(librl_limiter_t* limiter) {
  delete limiter;
}

size_t librl_limiter_count(const librl_limiter_t* limiter) {
  return limiter != nullptr ? limiter->count : 0;
}

int librl_limiter_at(const librl_limiter_t* limiter, size_t index, librl_limiter_t** one) {
  if (one == nullptr)
    return fail(LIBRL_EINVALID,
                "librl_limiter_at: no place for the handle; give the address of one");
  *one = nullptr;
  if (limiter == nullptr || index >= limiter->count)
    return fail(LIBRL_EINVALID, "librl_limiter_at: no limiter, or no limit at that index");
  return rl::c::make_handle(one, [&] { return librl_limiter_s{(*limiter)[index]}; });
}

int librl_limit_text(const librl_limiter_t* limiter, char* buffer, size_t size) {
  if (limiter == nullptr || (buffer == nullptr && size != 0))
    return fail(LIBRL_EINVALID, "librl_limit_text: no limiter, or no buffer");
  return guarded([&] {
    const std::string text = rl::c::text_of(*limiter);
    if (size != 0) buffer[text.copy(buffer, size - 1)] = '\0';
    return static_cast<int>(text.size());
  });
}

int librl_differs(const librl_limiter_t* limiter) {
  if (limiter == nullptr) return fail(LIBRL_EINVALID, "librl_differs: no limiter");
  const bool differs = limiter->asked ? limiter->asked->differs() : limiter->one.differs();
  return differs ? 1 : 0;
}

int librl_check_limits(const char* limits) {
  if (limits == nullptr) return fail(LIBRL_EINVALID, "librl_check_limits: no limit");
  return guarded([&] {
    rl::check_limits(rl::Limits::parse(limits));
    return 0;
  });
}
