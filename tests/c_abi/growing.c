/* Programs that were compiled with another version of the header. */
#include <stdlib.h>
#include <string.h>

#include "tests/c_abi/c_abi.h"

/* A decision of a program whose structure ends elsewhere: what lies behind it must stay. */
union other_size {
  librl_decision_t decision;
  unsigned char bytes[256];
};

static void begin(union other_size* other, uint32_t size) {
  memset(other, 0xa5, sizeof *other);
  other->decision.size = size;
}

static int is_untouched(const union other_size* other, size_t from) {
  for (size_t i = from; i < sizeof other->bytes; ++i)
    if (other->bytes[i] != 0xa5) return 0;
  return 1;
}

void a_smaller_decision_gets_no_byte_beyond_its_size(void) {
  struct fixture f = set_up("1000/s");
  for (uint32_t size = offsetof(librl_decision_t, reason); size < sizeof(librl_decision_t);
       ++size) {
    union other_size other;
    begin(&other, size);
    CHECK(librl_acquire(f.limiter, A, 1, &other.decision) == 1);
    CHECK(other.decision.size == size);
    CHECK(other.decision.allowed == 1);
    CHECK(is_untouched(&other, size));
    if (size >= offsetof(librl_decision_t, remaining)) CHECK(other.decision.limit == 1000);
    begin(&other, size);
    CHECK(librl_peek(f.limiter, A, 1, &other.decision) == 1);
    CHECK(is_untouched(&other, size));
    begin(&other, size);
    CHECK(librl_reserve(f.limiter, A, 1, SECOND, &other.decision) == 1);
    CHECK(is_untouched(&other, size));
  }
  tear_down(&f);
}

void a_larger_decision_keeps_its_rest(void) {
  struct fixture f = set_up("1000/s");
  union other_size other;
  begin(&other, sizeof other);
  CHECK(librl_acquire(f.limiter, A, 1, &other.decision) == 1);
  CHECK(other.decision.size == sizeof other);
  CHECK(other.decision.remaining == 999 && other.decision.charged != 0);
  CHECK(is_untouched(&other, sizeof(librl_decision_t)));
  CHECK(librl_refund(f.limiter, A, &other.decision) == 1);
  CHECK(other.decision.charged == 0);
  CHECK(is_untouched(&other, sizeof(librl_decision_t)));
  begin(&other, UINT32_MAX);
  CHECK(librl_acquire(f.limiter, A, 1, &other.decision) == 1);
  CHECK(is_untouched(&other, sizeof(librl_decision_t)));
  tear_down(&f);
}

void a_decision_without_a_size_is_invalid_and_charges_nothing(void) {
  struct fixture f = set_up("1/s");
  struct fixture permits = set_up("concurrency 1");
  for (uint32_t size = 0; size < offsetof(librl_decision_t, reason); ++size) {
    union other_size other;
    librl_permit_t* permit = NULL;
    uint8_t allowed = 7;
    const librl_key_t key = {"a", 1};
    const librl_ask_t ask = {f.limiter, A, 1};
    begin(&other, size);
    CHECK(librl_acquire(f.limiter, A, 1, &other.decision) == LIBRL_EINVALID);
    CHECK(librl_reserve(f.limiter, A, 1, 0, &other.decision) == LIBRL_EINVALID);
    CHECK(librl_charge(f.limiter, A, 1, &other.decision) == LIBRL_EINVALID);
    CHECK(librl_acquire_many(f.limiter, &key, 1, 1, &allowed, &other.decision) == LIBRL_EINVALID);
    CHECK(allowed == 7);
    CHECK(librl_acquire_all(&ask, 1, &other.decision, NULL) == LIBRL_EINVALID);
    CHECK(librl_acquire_all(&ask, 1, NULL, &other.decision) == LIBRL_EINVALID);
    CHECK(librl_permit_acquire(permits.limiter, A, &permit, &other.decision) == LIBRL_EINVALID);
    CHECK(librl_permit_peek(permits.limiter, A, &other.decision) == LIBRL_EINVALID);
    CHECK(librl_refund(f.limiter, A, &other.decision) == LIBRL_EINVALID);
    CHECK(is_untouched(&other, sizeof other.decision.size));
  }
  CHECK(librl_peek(f.limiter, A, 1, NULL) == 1);
  CHECK(librl_permit_peek(permits.limiter, A, NULL) == 1);
  tear_down(&permits);
  tear_down(&f);
}

void decisions_in_a_row_have_the_size_of_the_first(void) {
  struct fixture f = set_up("2/s");
  const librl_key_t keys[3] = {{"a", 1}, {"a", 1}, {"a", 1}};
  const librl_ask_t asks[2] = {{f.limiter, B, 1}, {f.limiter, "c", 1, 1}};
  const uint32_t sizes[] = {24, sizeof(librl_decision_t), 128};
  for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; ++i) {
    const uint32_t size = sizes[i];
    /* As large as the row, so that a sanitizer sees a byte too many. */
    unsigned char* const row = malloc(3 * size);
    uint8_t allowed[3];
    memset(row, 0xa5, 3 * size);
    memcpy(row, &size, sizeof size);
    CHECK(librl_acquire_many(f.limiter, keys, 3, 1, allowed, (librl_decision_t*)(void*)row) == 2);
    for (int at = 0; at < 3; ++at) {
      librl_decision_t told;
      memcpy(&told, row + (size_t)at * size, 24); /* the size and four fields */
      CHECK(told.size == size);
      CHECK(told.allowed == (at < 2));
      CHECK(told.limit == 2);
      if (size == 128) CHECK(row[at * 128 + 100] == 0xa5);
    }
    CHECK(librl_reset(f.limiter, A) == 1);
    memset(row, 0xa5, 3 * size);
    memcpy(row, &size, sizeof size);
    CHECK(librl_acquire_all(asks, 2, NULL, (librl_decision_t*)(void*)row) == 1);
    CHECK(memcmp(row + size, &size, sizeof size) == 0);
    CHECK(row[2 * size] == 0xa5);
    CHECK(librl_reset(f.limiter, B) == 1 && librl_reset(f.limiter, "c", 1) == 1);
    free(row);
  }
  tear_down(&f);
}

void a_smaller_decision_that_is_handed_back_owes_nothing(void) {
  struct fixture f = set_up("10/s");
  union other_size other;
  begin(&other, offsetof(librl_decision_t, charged));
  CHECK(librl_acquire(f.limiter, A, 1, &other.decision) == 1);
  CHECK(librl_refund(f.limiter, A, &other.decision) == 0);
  CHECK(is_untouched(&other, offsetof(librl_decision_t, charged)));
  tear_down(&f);
}

void a_decision_that_is_none_is_invalid(void) {
  struct fixture f = set_up("10/s");
  librl_decision_t d = LIBRL_DECISION_INIT;
  char buffer[LIBRL_FIELD_MAX];
  CHECK(librl_acquire(f.limiter, A, 1, &d) == 1);
  d.reason = LIBRL_OFF + 1;
  CHECK(librl_refund(f.limiter, A, &d) == LIBRL_EINVALID);
  CHECK(librl_retry_after(&d, buffer, sizeof buffer) == LIBRL_EINVALID);
  CHECK(librl_ratelimit("api", f.limiter, &d, buffer, sizeof buffer) == LIBRL_EINVALID);
  d.reason = -1;
  CHECK(librl_settle(f.limiter, A, &d, 1) == LIBRL_EINVALID);
  d.reason = LIBRL_OK;
  d.policy += 65536;
  CHECK(librl_refund(f.limiter, A, &d) == LIBRL_EINVALID);
  d.policy -= 65536;
  CHECK(librl_refund(f.limiter, A, &d) == 1);
  tear_down(&f);
}

struct larger_options {
  librl_options_t known;
  uint64_t unknown;
};

void larger_options_are_taken_when_the_rest_is_zero(void) {
  struct larger_options larger = {LIBRL_OPTIONS_INIT, 0};
  librl_segment_t* segment = NULL;
  larger.known.size = sizeof larger;
  larger.known.open = LIBRL_OPEN_PRIVATE;
  CHECK(librl_open(NULL, &larger.known, &segment) == 0);
  librl_close(segment);
  larger.unknown = UINT64_C(1) << 63;
  CHECK(librl_open(NULL, &larger.known, &segment) == LIBRL_EINVALID);
  CHECK(segment == NULL);
}

void options_of_no_size_are_invalid(void) {
  const uint32_t sizes[] = {0, 4, 63, 5000, UINT32_MAX};
  for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; ++i) {
    librl_options_t options = LIBRL_OPTIONS_INIT;
    librl_segment_t* segment = NULL;
    options.size = sizes[i];
    options.open = LIBRL_OPEN_PRIVATE;
    CHECK(librl_open(NULL, &options, &segment) == LIBRL_EINVALID);
  }
}
