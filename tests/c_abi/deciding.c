#include <string.h>

#include "tests/c_abi/c_abi.h"

void a_call_passes_until_the_limit_and_is_told_when_it_can_again(void) {
  struct fixture f = set_up("2/s");
  librl_decision_t d = LIBRL_DECISION_INIT;
  CHECK(librl_acquire(f.limiter, A, 1, &d) == 1);
  CHECK(d.allowed == 1 && d.reason == LIBRL_OK && d.limit == 2 && d.remaining == 1);
  CHECK(d.retry_after_ns == 0 && d.reset_after_ns == SECOND / 2 && d.wait_ns == 0 && d.cost == 1);
  CHECK(d.policy != 0 && d.charged != 0);
  CHECK(librl_acquire(f.limiter, A, 1, &d) == 1);
  CHECK(librl_acquire(f.limiter, A, 1, &d) == 0);
  CHECK(d.allowed == 0 && d.reason == LIBRL_LIMITED && d.remaining == 0 && d.charged == 0);
  CHECK(d.retry_after_ns == SECOND / 2 && d.reset_after_ns == SECOND);
  CHECK(librl_acquire(f.limiter, B, 1, &d) == 1);
  CHECK(librl_advance_clock(f.segment, SECOND / 2 - 1) == 0);
  CHECK(librl_acquire(f.limiter, A, 1, &d) == 0);
  CHECK(librl_advance_clock(f.segment, 1) == 0);
  CHECK(librl_acquire(f.limiter, A, 1, &d) == 1);
  tear_down(&f);
}

void a_decision_is_not_needed(void) {
  struct fixture f = set_up("2/s");
  CHECK(librl_acquire(f.limiter, A, 1, NULL) == 1);
  CHECK(librl_acquire_at(f.limiter, 0, A, 1, NULL) == 1);
  CHECK(librl_acquire(f.limiter, A, 1, NULL) == 0);
  CHECK(librl_acquire_low(f.limiter, A, 1, NULL) == 0);
  CHECK(librl_peek(f.limiter, A, 1, NULL) == 0);
  CHECK(librl_reserve(f.limiter, A, 1, 0, NULL) == 0);
  CHECK(librl_acquire_for(f.limiter, A, 1, 0, NULL) == 0);
  CHECK(librl_charge(f.limiter, A, 1, NULL) == 1);
  CHECK(librl_hold(f.limiter, A, 1, NULL) == LIBRL_EINVALID); /* which is of no use without */
  tear_down(&f);
}

typedef int (*call_fn)(librl_limiter_t*, const void*, size_t, uint64_t, librl_decision_t*);

static int acquire_at_0(librl_limiter_t* l, const void* k, size_t s, uint64_t c,
                        librl_decision_t* d) {
  return librl_acquire_at(l, 0, k, s, c, d);
}
static int peek(librl_limiter_t* l, const void* k, size_t s, uint64_t c, librl_decision_t* d) {
  return librl_peek(l, k, s, c, d);
}
static int reserve_0(librl_limiter_t* l, const void* k, size_t s, uint64_t c, librl_decision_t* d) {
  return librl_reserve(l, k, s, c, 0, d);
}
static int acquire_for_0(librl_limiter_t* l, const void* k, size_t s, uint64_t c,
                         librl_decision_t* d) {
  return librl_acquire_for(l, k, s, c, 0, d);
}

static const call_fn calls[] = {librl_acquire, acquire_at_0,  librl_acquire_low, peek,
                                reserve_0,     acquire_for_0, librl_charge,      librl_hold};
enum { CALLS = sizeof calls / sizeof calls[0] };

/* Each of these is invalid, and a decision that can be told so is. */
static void check_invalid(call_fn call, librl_limiter_t* limiter, const void* key, size_t size,
                          uint64_t cost) {
  librl_decision_t d = LIBRL_DECISION_INIT;
  d.allowed = 1;
  d.charged = 7;
  CHECK(call(limiter, key, size, cost, &d) == LIBRL_EINVALID);
  CHECK(d.allowed == 0 && d.reason == LIBRL_INVALID && d.charged == 0);
  CHECK(call(limiter, key, size, cost, NULL) == LIBRL_EINVALID);
}

void a_call_that_makes_no_sense_is_invalid_and_told_so(void) {
  struct fixture f = set_up("2/s");
  struct fixture permits = set_up("concurrency 2");
  for (int i = 0; i < CALLS; ++i) {
    check_invalid(calls[i], NULL, A, 1);
    check_invalid(calls[i], f.limiter, NULL, 0, 1);
    check_invalid(calls[i], f.limiter, NULL, 5, 1);
    check_invalid(calls[i], f.limiter, "", 0, 1);
    check_invalid(calls[i], f.limiter, "a", SIZE_MAX, 1); /* -1, of what failed before */
    check_invalid(calls[i], f.limiter, A, 0);
    check_invalid(calls[i], permits.limiter, A, 1);
  }
  CHECK(librl_settle(f.limiter, A, NULL, 1) == LIBRL_EINVALID);
  CHECK(librl_refund(f.limiter, A, NULL) == LIBRL_EINVALID);
  librl_decision_t d = LIBRL_DECISION_INIT;
  CHECK(librl_settle(NULL, A, &d, 1) == LIBRL_EINVALID);
  CHECK(librl_settle(f.limiter, NULL, 1, &d, 1) == LIBRL_EINVALID);
  CHECK(librl_refund(NULL, A, &d) == LIBRL_EINVALID);
  CHECK(librl_refund(f.limiter, "", 0, &d) == LIBRL_EINVALID);
  CHECK(librl_set_remaining(NULL, A, 1) == LIBRL_EINVALID);
  CHECK(librl_set_remaining(f.limiter, NULL, 1, 1) == LIBRL_EINVALID);
  CHECK(librl_reset(NULL, A) == LIBRL_EINVALID);
  CHECK(librl_reset(f.limiter, "a", SIZE_MAX) == LIBRL_EINVALID);
  CHECK(librl_peek(f.limiter, A, 2, NULL) == 1); /* nothing of this was charged */
  tear_down(&permits);
  tear_down(&f);
}

void a_cost_above_the_burst_never_passes(void) {
  struct fixture f = set_up("2/s");
  librl_decision_t d = LIBRL_DECISION_INIT;
  CHECK(librl_acquire(f.limiter, A, 3, &d) == 0);
  CHECK(d.reason == LIBRL_NEVER && d.retry_after_ns == LIBRL_NEVER_NS);
  CHECK(librl_acquire(f.limiter, A, UINT64_MAX, &d) == 0);
  CHECK(d.reason == LIBRL_NEVER);
  tear_down(&f);
}

void a_call_of_low_priority_leaves_the_floor(void) {
  struct fixture f = set_up("10/s floor=20");
  librl_decision_t d = LIBRL_DECISION_INIT;
  CHECK(librl_acquire_low(f.limiter, A, 8, &d) == 1);
  CHECK(d.limit == 8 && d.remaining == 0);
  CHECK(librl_acquire_low(f.limiter, A, 1, &d) == 0);
  CHECK(librl_acquire(f.limiter, A, 2, &d) == 1);
  tear_down(&f);
}

void a_call_counts_at_the_time_that_it_gives(void) {
  struct fixture f = set_up("1/s");
  CHECK(librl_advance_clock(f.segment, 10 * SECOND) == 0);
  CHECK(librl_acquire_at(f.limiter, 2 * SECOND, A, 1, NULL) == 1);
  CHECK(librl_acquire_at(f.limiter, 3 * SECOND - 1, A, 1, NULL) == 0);
  CHECK(librl_acquire_at(f.limiter, 3 * SECOND, A, 1, NULL) == 1);
  CHECK(librl_acquire_at(f.limiter, INT64_MIN, B, 1, NULL) == 1);
  tear_down(&f);
}

void a_look_charges_nothing(void) {
  struct fixture f = set_up("2/s");
  librl_decision_t d = LIBRL_DECISION_INIT;
  for (int i = 0; i < 5; ++i) CHECK(librl_peek(f.limiter, A, 2, &d) == 1);
  CHECK(d.remaining == 2 && d.charged == 0);
  CHECK(librl_acquire(f.limiter, A, 2, NULL) == 1);
  CHECK(librl_peek(f.limiter, A, 1, &d) == 0);
  CHECK(d.retry_after_ns == SECOND / 2);
  tear_down(&f);
}

void a_reservation_has_an_instant(void) {
  struct fixture f = set_up("1/s");
  librl_decision_t d = LIBRL_DECISION_INIT;
  CHECK(librl_advance_clock(f.segment, SECOND) == 0);
  CHECK(librl_reserve(f.limiter, A, 1, 5 * SECOND, &d) == 1);
  CHECK(d.at_ns == SECOND && d.wait_ns == 0);
  CHECK(librl_reserve(f.limiter, A, 1, 5 * SECOND, &d) == 1);
  CHECK(d.at_ns == 2 * SECOND && d.wait_ns == SECOND);
  CHECK(librl_reserve(f.limiter, A, 1, 2 * SECOND, &d) == 0);
  CHECK(librl_reserve(f.limiter, A, 1, INT64_MIN, &d) == 0);
  CHECK(librl_reserve(f.limiter, A, 1, INT64_MAX, &d) == 1);
  CHECK(d.at_ns == 3 * SECOND);
  CHECK(librl_refund(f.limiter, A, &d) == 1); /* leaves the line */
  CHECK(librl_reserve(f.limiter, A, 1, INT64_MAX, &d) == 1);
  CHECK(d.at_ns == 3 * SECOND);
  CHECK(librl_acquire(f.limiter, B, 1, &d) == 1);
  CHECK(d.at_ns == 0);
  tear_down(&f);
}

void a_wait_ends_when_the_turn_comes(void) {
  librl_options_t options = LIBRL_OPTIONS_INIT;
  struct fixture f = {NULL, NULL};
  librl_decision_t d = LIBRL_DECISION_INIT;
  options.open = LIBRL_OPEN_PRIVATE;
  CHECK(librl_open(NULL, &options, &f.segment) == 0);
  CHECK(librl_limiter(f.segment, "api", "50/s burst=1", &f.limiter) == 0);
  const int64_t began = librl_now(f.segment);
  CHECK(librl_acquire_for(f.limiter, A, 1, 10 * SECOND, &d) == 1);
  CHECK(librl_acquire_for(f.limiter, A, 1, 10 * SECOND, &d) == 1);
  CHECK(d.wait_ns > 0 && d.wait_ns <= SECOND / 50);
  CHECK(librl_now(f.segment) - began >= SECOND / 50);
  tear_down(&f);
}

void a_timeout_may_be_any_number(void) {
  struct fixture f = set_up("1/s");
  librl_decision_t d = LIBRL_DECISION_INIT;
  CHECK(librl_acquire_for(f.limiter, A, 1, INT64_MAX, &d) == 1);
  CHECK(librl_acquire_for(f.limiter, A, 1, INT64_MIN, &d) == 0);
  CHECK(librl_acquire_for(f.limiter, A, 1, -1, &d) == 0);
  CHECK(d.retry_after_ns == SECOND);
  tear_down(&f);
}

void a_charge_counts_beyond_the_limit(void) {
  struct fixture f = set_up("2/s");
  librl_decision_t d = LIBRL_DECISION_INIT;
  CHECK(librl_charge(f.limiter, A, 5, &d) == 1);
  CHECK(d.cost == 5 && d.remaining == 0 && d.retry_after_ns == 2 * SECOND);
  CHECK(librl_acquire(f.limiter, A, 1, NULL) == 0);
  tear_down(&f);
}

void a_hold_is_settled_once(void) {
  struct fixture f = set_up("10/s");
  librl_decision_t d = LIBRL_DECISION_INIT;
  CHECK(librl_hold(f.limiter, A, 8, &d) == 1);
  CHECK(librl_settle(f.limiter, A, &d, 3) == 1);
  CHECK(d.charged == 0);
  CHECK(librl_settle(f.limiter, A, &d, 3) == 0);
  CHECK(librl_peek(f.limiter, A, 1, &d) == 1);
  CHECK(d.remaining == 7);
  CHECK(librl_hold(f.limiter, A, 1, &d) == 1);
  CHECK(librl_settle(f.limiter, A, &d, 4) == 1);
  CHECK(librl_peek(f.limiter, A, 1, &d) == 1);
  CHECK(d.remaining == 3);
  tear_down(&f);
}

void a_refund_gives_back_once(void) {
  struct fixture f = set_up("2/s");
  librl_decision_t d = LIBRL_DECISION_INIT;
  CHECK(librl_acquire(f.limiter, A, 2, &d) == 1);
  CHECK(librl_refund(f.limiter, A, &d) == 1);
  CHECK(d.charged == 0 && d.cost == 2);
  CHECK(librl_refund(f.limiter, A, &d) == 0);
  CHECK(librl_acquire(f.limiter, A, 2, &d) == 1);
  CHECK(librl_acquire(f.limiter, A, 1, &d) == 0);
  CHECK(librl_refund(f.limiter, A, &d) == 0); /* a denial */
  tear_down(&f);
}

void what_is_left_can_be_set(void) {
  struct fixture f = set_up("10/s");
  librl_decision_t d = LIBRL_DECISION_INIT;
  CHECK(librl_set_remaining(f.limiter, A, 4) == 1);
  CHECK(librl_peek(f.limiter, A, 1, &d) == 1);
  CHECK(d.remaining == 4);
  CHECK(librl_set_remaining(f.limiter, A, UINT64_MAX) == 1);
  CHECK(librl_peek(f.limiter, A, 1, &d) == 1);
  CHECK(d.remaining == 10);
  tear_down(&f);
}

void a_key_can_be_forgotten(void) {
  struct fixture f = set_up("1/s");
  CHECK(librl_reset(f.limiter, A) == 0);
  CHECK(librl_acquire(f.limiter, A, 1, NULL) == 1);
  CHECK(librl_reset(f.limiter, A) == 1);
  CHECK(librl_acquire(f.limiter, A, 1, NULL) == 1);
  tear_down(&f);
}

void a_list_is_asked_by_the_calls_that_take_one(void) {
  struct fixture f = set_up("10/s burst=20, 3/h");
  librl_decision_t d = LIBRL_DECISION_INIT;
  CHECK(librl_acquire(f.limiter, A, 2, &d) == 1);
  CHECK(d.which == 1 && d.limit == 3 && d.remaining == 1 && d.charged == 0);
  CHECK(librl_acquire(f.limiter, A, 2, &d) == 0);
  CHECK(d.which == 1);
  CHECK(librl_peek(f.limiter, A, 1, &d) == 1);
  CHECK(librl_peek(f.limiter, A, 2, &d) == 0);
  CHECK(librl_reset(f.limiter, A) == 1);
  CHECK(librl_acquire(f.limiter, A, 3, NULL) == 1);
  check_invalid(librl_acquire, f.limiter, "", 0, 1);
  for (int i = 0; i < CALLS; ++i) {
    if (calls[i] != librl_acquire && calls[i] != peek) check_invalid(calls[i], f.limiter, B, 1);
  }
  CHECK(librl_settle(f.limiter, A, &d, 1) == LIBRL_EINVALID);
  CHECK(librl_refund(f.limiter, A, &d) == LIBRL_EINVALID);
  CHECK(librl_set_remaining(f.limiter, A, 1) == LIBRL_EINVALID);
  tear_down(&f);
}

void a_read_only_segment_takes_looks_alone(void) {
  const char* const name = name_for_case();
  struct fixture f = {NULL, NULL};
  struct fixture reader = {NULL, NULL};
  librl_options_t options = LIBRL_OPTIONS_INIT;
  options.keys = 1000;
  CHECK(librl_open(name, &options, &f.segment) == 0);
  CHECK(librl_limiter(f.segment, "api", "2/h", &f.limiter) == 0);
  CHECK(librl_acquire(f.limiter, A, 2, NULL) == 1);
  options.open = LIBRL_OPEN_READ_ONLY;
  CHECK(librl_open(name, &options, &reader.segment) == 0);
  CHECK(librl_limiter(reader.segment, "other", "2/h", &reader.limiter) == LIBRL_EREAD_ONLY);
  CHECK(librl_limiter(reader.segment, "api", NULL, &reader.limiter) == 0);
  check_invalid(librl_acquire, reader.limiter, B, 1);
  CHECK(librl_peek(reader.limiter, A, 1, NULL) == 0);
  CHECK(librl_peek(reader.limiter, B, 1, NULL) == 1);
  CHECK(librl_reset(reader.limiter, A) == 0);
  CHECK(librl_reset_all(reader.segment, NULL) == LIBRL_EREAD_ONLY);
  tear_down(&reader);
  tear_down(&f);
}

enum { MANY = 100 };

/* As many keys as there are letters, and again; the one at 40 is empty. */
static void make_keys(char* letters, librl_key_t* keys) {
  for (int i = 0; i < MANY; ++i) {
    letters[i] = (char)('a' + i % 26);
    keys[i].data = letters + i;
    keys[i].size = i == 40 ? 0 : 1;
  }
}

void many_keys_are_decided_in_their_order(void) {
  struct fixture f = set_up("2/s");
  char letters[MANY];
  librl_key_t keys[MANY];
  uint8_t allowed[MANY];
  librl_decision_t decisions[MANY] = {LIBRL_DECISION_INIT};
  make_keys(letters, keys);
  CHECK(librl_acquire_many(f.limiter, keys, MANY, 1, allowed, decisions) == 52);
  for (int i = 0; i < MANY; ++i) {
    /* The letter of the empty one passes once more, later. */
    const int passes = i < 52 ? i != 40 : i == 66;
    CHECK(allowed[i] == passes);
    CHECK(decisions[i].size == sizeof decisions[i]);
    CHECK(decisions[i].allowed == passes);
  }
  CHECK(decisions[40].reason == LIBRL_INVALID);
  CHECK(decisions[99].reason == LIBRL_LIMITED && decisions[99].retry_after_ns == SECOND / 2);
  CHECK(librl_refund(f.limiter, A, &decisions[26]) == 1);
  CHECK(librl_acquire_many(f.limiter, keys, 2, 1, allowed, NULL) == 1);
  CHECK(allowed[0] == 1 && allowed[1] == 0);
  tear_down(&f);
}

void many_keys_of_a_list_are_asked_of_all_its_limits(void) {
  struct fixture f = set_up("10/s, 1/h");
  char letters[MANY];
  librl_key_t keys[MANY];
  uint8_t allowed[MANY];
  librl_decision_t decisions[MANY] = {LIBRL_DECISION_INIT};
  make_keys(letters, keys);
  CHECK(librl_acquire_many(f.limiter, keys, 27, 1, allowed, decisions) == 26);
  CHECK(allowed[25] == 1 && allowed[26] == 0);
  CHECK(decisions[26].which == 1 && decisions[26].retry_after_ns == 3600 * SECOND);
  tear_down(&f);
}

void many_keys_that_make_no_sense_are_invalid(void) {
  struct fixture f = set_up("2/s");
  struct fixture permits = set_up("concurrency 2");
  librl_key_t keys[2] = {{"a", 1}, {"b", 1}};
  const librl_key_t empty[2] = {{NULL, 1}, {"b", SIZE_MAX}};
  uint8_t allowed[2] = {7, 7};
  librl_decision_t decisions[2] = {LIBRL_DECISION_INIT, LIBRL_DECISION_INIT};
  CHECK(librl_acquire_many(NULL, keys, 2, 1, allowed, NULL) == LIBRL_EINVALID);
  CHECK(librl_acquire_many(f.limiter, NULL, 2, 1, allowed, NULL) == LIBRL_EINVALID);
  CHECK(librl_acquire_many(f.limiter, keys, 2, 1, NULL, NULL) == LIBRL_EINVALID);
  CHECK(allowed[0] == 7);
  CHECK(librl_acquire_many(f.limiter, keys, 2, 0, allowed, decisions) == LIBRL_EINVALID);
  decisions[0].size = 1U << 20; /* never set: the second would be written a megabyte on */
  CHECK(librl_acquire_many(f.limiter, keys, 2, 1, allowed, decisions) == LIBRL_EINVALID);
  decisions[0].size = sizeof decisions[0];
  CHECK(allowed[0] == 0 && decisions[1].reason == LIBRL_INVALID);
  CHECK(librl_acquire_many(f.limiter, empty, 2, 1, allowed, decisions) == LIBRL_EINVALID);
  CHECK(librl_acquire_many(permits.limiter, keys, 2, 1, allowed, NULL) == LIBRL_EINVALID);
  CHECK(librl_acquire_many(f.limiter, NULL, 0, 1, NULL, NULL) == 0);
  CHECK(librl_peek(f.limiter, A, 2, NULL) == 1);
  tear_down(&permits);
  tear_down(&f);
}

void all_limits_are_charged_or_none(void) {
  struct fixture f = set_up("10/s");
  struct fixture list = set_up("20/s, 3/h");
  const librl_ask_t asks[2] = {{f.limiter, A, 1}, {list.limiter, B, 2}};
  librl_decision_t d = LIBRL_DECISION_INIT;
  librl_decision_t each[2] = {LIBRL_DECISION_INIT, LIBRL_DECISION_INIT};
  CHECK(librl_acquire_all(asks, 2, &d, each) == 1);
  CHECK(d.which == 1 && d.limit == 3 && d.remaining == 1);
  CHECK(each[0].allowed == 1 && each[0].remaining == 9 && each[0].charged != 0);
  CHECK(each[1].allowed == 1 && each[1].which == 1 && each[1].remaining == 1);
  CHECK(librl_acquire_all(asks, 2, &d, each) == 0);
  CHECK(d.which == 1 && d.reason == LIBRL_LIMITED && d.charged == 0);
  CHECK(each[0].allowed == 1 && each[1].allowed == 0 && each[1].which == 1);
  CHECK(librl_acquire_all(asks, 2, NULL, NULL) == 0);
  CHECK(librl_peek(f.limiter, A, 9, &d) == 1);
  CHECK(d.remaining == 9);
  CHECK(librl_acquire_all(asks, 1, &d, each) == 1);
  CHECK(librl_refund(f.limiter, A, &each[0]) == 1);
  tear_down(&list);
  tear_down(&f);
}

void asks_that_make_no_sense_are_invalid(void) {
  struct fixture f = set_up("10/s");
  struct fixture list = set_up("20/s, 30/s, 40/s, 50/s, 60/s, 70/s, 80/s, 90/s");
  librl_ask_t asks[LIBRL_ASKS_MAX + 1];
  librl_decision_t d = LIBRL_DECISION_INIT;
  librl_decision_t each[2] = {LIBRL_DECISION_INIT, LIBRL_DECISION_INIT};
  for (int i = 0; i <= LIBRL_ASKS_MAX; ++i) {
    const librl_ask_t ask = {f.limiter, A, 1};
    asks[i] = ask;
  }
  d.allowed = 1;
  CHECK(librl_acquire_all(NULL, 1, &d, NULL) == LIBRL_EINVALID);
  CHECK(d.allowed == 0 && d.reason == LIBRL_INVALID);
  CHECK(librl_acquire_all(asks, 0, &d, NULL) == LIBRL_EINVALID);
  CHECK(librl_acquire_all(asks, LIBRL_ASKS_MAX + 1, &d, NULL) == LIBRL_EINVALID);
  CHECK(librl_acquire_all(asks, SIZE_MAX, &d, NULL) == LIBRL_EINVALID);
  asks[1].limiter = NULL;
  each[0].allowed = 1;
  CHECK(librl_acquire_all(asks, 2, &d, each) == LIBRL_EINVALID);
  CHECK(each[0].allowed == 0 && each[1].reason == LIBRL_INVALID);
  asks[1].limiter = f.limiter;
  asks[1].key = NULL;
  CHECK(librl_acquire_all(asks, 2, &d, NULL) == LIBRL_EINVALID);
  asks[1].key = "b";
  asks[1].cost = 0;
  CHECK(librl_acquire_all(asks, 2, &d, NULL) == LIBRL_EINVALID);
  asks[1].limiter = asks[2].limiter = list.limiter; /* 1 + 8 + 8 limits */
  asks[1].cost = 1;
  CHECK(librl_acquire_all(asks, 3, &d, NULL) == LIBRL_EINVALID);
  CHECK(librl_acquire_all(asks + 1, 2, &d, NULL) == 1);
  CHECK(librl_peek(f.limiter, A, 10, NULL) == 1);
  tear_down(&list);
  tear_down(&f);
}
