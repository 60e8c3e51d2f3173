/* Permits, and what becomes of handles in a forked child. */
#include "tests/c_abi/c_abi.h"

void a_permit_is_held_until_it_is_given_back(void) {
  struct fixture f = set_up("concurrency 1 lease=10s");
  librl_decision_t d = LIBRL_DECISION_INIT;
  librl_permit_t* permit = NULL;
  librl_permit_t* second = NULL;
  CHECK(librl_permit_peek(f.limiter, A, &d) == 1);
  CHECK(d.remaining == 1);
  CHECK(librl_permit_acquire(f.limiter, A, &permit, &d) == 1);
  CHECK(permit != NULL);
  CHECK(d.allowed == 1 && d.limit == 1);
  CHECK(librl_permit_holds(permit) == 1);
  const int64_t lease_end = librl_permit_lease_end(permit);
  CHECK(lease_end >= 10 * SECOND && lease_end < 11 * SECOND);
  second = permit;
  CHECK(librl_permit_acquire(f.limiter, A, &second, &d) == 0);
  CHECK(second == NULL);
  CHECK(d.reason == LIBRL_LIMITED && d.retry_after_ns > 0);
  CHECK(librl_permit_peek(f.limiter, A, NULL) == 0);
  CHECK(librl_advance_clock(f.segment, SECOND) == 0);
  CHECK(librl_permit_renew(permit) == 1);
  CHECK(librl_permit_lease_end(permit) > lease_end + SECOND / 2);
  const uint64_t fence = librl_permit_fence(permit);
  CHECK(fence != 0);
  CHECK(librl_permit_fence(permit) > fence);
  CHECK(librl_permit_release(permit) == 1);
  CHECK(librl_permit_acquire(f.limiter, A, &permit, NULL) == 1);
  CHECK(librl_permit_release(permit) == 1);
  tear_down(&f);
}

void a_permit_of_nothing_is_invalid(void) {
  struct fixture f = set_up("concurrency 1");
  struct fixture list = set_up("1/s, 10/h");
  librl_decision_t d = LIBRL_DECISION_INIT;
  librl_permit_t* permit = NULL;
  CHECK(librl_permit_acquire(NULL, A, &permit, &d) == LIBRL_EINVALID);
  CHECK(d.reason == LIBRL_INVALID);
  CHECK(librl_permit_acquire(list.limiter, A, &permit, NULL) == LIBRL_EINVALID);
  CHECK(librl_permit_acquire(f.limiter, "", 0, &permit, NULL) == LIBRL_EINVALID);
  CHECK(librl_permit_acquire(f.limiter, NULL, 1, &permit, NULL) == LIBRL_EINVALID);
  CHECK(librl_permit_acquire(f.limiter, A, NULL, &d) == LIBRL_EINVALID);
  CHECK(permit == NULL);
  CHECK(librl_permit_release(NULL) == 0);
  CHECK(librl_permit_renew(NULL) == LIBRL_EINVALID);
  CHECK(librl_permit_holds(NULL) == LIBRL_EINVALID);
  CHECK(librl_permit_fence(NULL) == 0);
  CHECK(librl_permit_lease_end(NULL) == LIBRL_EINVALID);
  CHECK(librl_permit_peek(NULL, A, NULL) == LIBRL_EINVALID);
  CHECK(librl_permit_peek(list.limiter, A, &d) == LIBRL_EINVALID);
  CHECK(librl_permit_peek(f.limiter, "", 0, &d) == LIBRL_EINVALID);
  CHECK(librl_permit_peek(f.limiter, A, NULL) == 1);
  tear_down(&list);
  tear_down(&f);
}

void a_permit_ends_with_its_lease(void) {
  struct fixture f = set_up("concurrency 1 lease=1s");
  librl_permit_t* permit = NULL;
  librl_permit_t* second = NULL;
  CHECK(librl_permit_acquire(f.limiter, A, &permit, NULL) == 1);
  CHECK(librl_advance_clock(f.segment, 3 * SECOND) == 0);
  CHECK(librl_permit_holds(permit) == 0);
  CHECK(librl_permit_renew(permit) == 0);
  CHECK(librl_permit_fence(permit) == 0);
  CHECK(librl_permit_acquire(f.limiter, A, &second, NULL) == 1);
  CHECK(librl_permit_release(permit) == 0);
  CHECK(librl_permit_release(second) == 1);
  tear_down(&f);
}

static int release_in_child(void* permit) {
  if (librl_permit_holds(permit) != 0) return 1;
  if (librl_permit_renew(permit) != 0) return 2;
  return librl_permit_release(permit) == 0 ? 0 : 3;
}

static int ask_in_child(void* limiter) {
  if (librl_acquire(limiter, A, 1, NULL) != 1) return 1;
  return librl_acquire(limiter, A, 1, NULL) == 0 ? 0 : 2;
}

/* A segment with a name: of one in private memory a child has a copy. */
static struct fixture open_shared(const char* limits) {
  struct fixture made = {NULL, NULL};
  librl_options_t options = LIBRL_OPTIONS_INIT;
  options.keys = 1000;
  CHECK(librl_open(name_for_case(), &options, &made.segment) == 0);
  CHECK(librl_limiter(made.segment, "api", limits, &made.limiter) == 0);
  return made;
}

void a_permit_in_a_forked_child_is_only_freed(void) {
  struct fixture f = open_shared("concurrency 1 lease=1h");
  librl_permit_t* permit = NULL;
  CHECK(librl_permit_acquire(f.limiter, A, &permit, NULL) == 1);
  CHECK(in_child(release_in_child, permit) == 0);
  CHECK(librl_permit_holds(permit) == 1);
  CHECK(librl_permit_peek(f.limiter, A, NULL) == 0);
  CHECK(librl_permit_release(permit) == 1);
  tear_down(&f);
}

void a_limiter_decides_in_a_forked_child(void) {
  struct fixture f = open_shared("2/d");
  CHECK(librl_acquire(f.limiter, A, 1, NULL) == 1);
  CHECK(in_child(ask_in_child, f.limiter) == 0);
  CHECK(librl_acquire(f.limiter, A, 1, NULL) == 0);
  tear_down(&f);
}
