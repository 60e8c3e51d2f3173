// Runs the cases of tests/c_abi/*.c, which are in C99 as a program's own, against librl.so as a program
// has it; and what takes C++ to show: memory that is not to be had, and a callback that throws.
#include "tests/c_abi/c_abi.h"

#include <doctest/doctest.h>

#include <cstdlib>
#include <cstring>
#include <list>
#include <new>
#include <stdexcept>
#include <string>

#include "tests/support.hpp"

namespace {

/// How many more allocations of this thread succeed; below zero: all.
constinit thread_local int allocations_left = -1;

/// The names that the case has been given.
struct Name {
  std::string text = rl::test::unique_name();
  rl::test::RemoveAtEnd removed{text};
};
std::list<Name> names;

struct Case {
  ~Case() { names.clear(); }
};

}  // namespace

void* operator new(std::size_t size) {
  if (allocations_left == 0) throw std::bad_alloc();
  if (allocations_left > 0) --allocations_left;
  void* const at = std::malloc(size);
  if (at == nullptr) throw std::bad_alloc();
  return at;
}
void* operator new(std::size_t size, const std::nothrow_t& /*tag*/) noexcept {
  try {
    return operator new(size);
  } catch (const std::bad_alloc&) {
    return nullptr;
  }
}
void operator delete(void* at) noexcept {
  std::free(at);
}
void operator delete(void* at, std::size_t) noexcept {
  std::free(at);
}

void check_fact(int holds, const char* fact, const char* file, int line) {
  if (holds == 0) ADD_FAIL_CHECK_AT(file, line, std::string(fact));
}

const char* name_for_case() {
  return names.emplace_back().text.c_str();
}

#undef CASE
#define CASE(name)   \
  TEST_CASE(#name) { \
    const Case here; \
    name();          \
  }
#include "tests/c_abi/cases.h"

namespace {

/// Calls with memory for no allocation, for one, for two and so on, until it does not fail for that.
/// Returns how often it did.
template <class Call>
int fail_for_memory(Call&& call) {
  for (int room = 0;; ++room) {
    allocations_left = room;
    const int code = call();
    allocations_left = -1;
    if (code != LIBRL_ENOMEM) {
      CHECK(code >= 0);
      return room;
    }
    CHECK(std::string(librl_last_error()).find("no memory") == 0);
  }
}

}  // namespace

TEST_CASE("memory_that_is_not_to_be_had_is_a_code_at_every_allocation") {
  if (rl::test::kSanitized) return rl::test::skip("a sanitizer allocates by itself");
  librl_options_t options = LIBRL_OPTIONS_INIT;
  options.open = LIBRL_OPEN_PRIVATE;
  options.keys = 100;
  librl_segment_t* segment = nullptr;
  CHECK(fail_for_memory([&] {
          const int code = librl_open(nullptr, &options, &segment);
          if (code != 0 && segment != nullptr) return 1;
          return code;
        }) > 1);
  REQUIRE(segment != nullptr);
  librl_limiter_t* list = nullptr;
  CHECK(fail_for_memory([&] { return librl_limiter(segment, "api", "10/s, 100/h", &list); }) > 1);
  librl_limiter_t* one = nullptr;
  CHECK(fail_for_memory([&] { return librl_limiter_at(list, 1, &one); }) == 1);
  CHECK(fail_for_memory([&] { return librl_limit_text(list, nullptr, 0); }) > 0);
  CHECK(fail_for_memory([&] { return librl_check_limits("10/s burst=20, 100/h, 1000/d"); }) > 0);
  librl_limiter_free(one);
  librl_limiter_free(list);
  librl_close(segment);
}

TEST_CASE("a_permit_without_memory_for_it_is_given_back") {
  if (rl::test::kSanitized) return rl::test::skip("a sanitizer allocates by itself");
  fixture f = set_up("concurrency 1");
  librl_permit_t* permit = nullptr;
  librl_decision_t d = LIBRL_DECISION_INIT;
  allocations_left = 0;
  const int code = librl_permit_acquire(f.limiter, A, &permit, &d);
  allocations_left = -1;
  CHECK(code == LIBRL_ENOMEM);
  CHECK(permit == nullptr);
  CHECK(d.allowed == 0);
  CHECK(d.reason == LIBRL_UNAVAILABLE);
  CHECK(librl_permit_acquire(f.limiter, A, &permit, &d) == 1);
  CHECK(librl_permit_release(permit) == 1);
  tear_down(&f);
}

TEST_CASE("a_decision_allocates_nothing") {
  if (rl::test::kSanitized) return rl::test::skip("a sanitizer allocates by itself");
  fixture f = set_up("10/s, 100/h");
  librl_decision_t d = LIBRL_DECISION_INIT;
  librl_key_t keys[40];
  for (librl_key_t& key : keys) key = {A};
  std::uint8_t allowed[40];
  const librl_ask_t ask{f.limiter, A, 1};
  allocations_left = 0;
  const int first = librl_acquire(f.limiter, A, 1, &d);
  const std::int64_t many = librl_acquire_many(f.limiter, keys, 40, 1, allowed, nullptr);
  const int all = librl_acquire_all(&ask, 1, &d, nullptr);
  allocations_left = -1;
  CHECK(first == 1);
  CHECK(many == 9);
  CHECK(all == 0);
  tear_down(&f);
}

TEST_CASE("without_memory_for_a_sentence_there_are_the_words_of_the_code") {
  if (rl::test::kSanitized) return rl::test::skip("a sanitizer allocates by itself");
  CHECK(librl_check_limits("fast") == LIBRL_EBAD_LIMIT);
  allocations_left = 0;
  const int code = librl_differs(nullptr);
  allocations_left = -1;
  CHECK(code == LIBRL_EINVALID);
  CHECK(std::string(librl_last_error()) == librl_strerror(LIBRL_EINVALID));
}

TEST_CASE("what_a_log_function_throws_ends_there") {
  static int calls;
  calls = 0;
  librl_set_log(
      [](int, const char*, std::size_t, void*) {
        ++calls;
        throw std::runtime_error("a program in C++");
      },
      nullptr);
  fixture f = set_up("10/s");
  librl_limiter_t* other = nullptr;
  CHECK(librl_limiter(f.segment, "api", "20/s", &other) == 0);
  CHECK(calls == 1);
  librl_limiter_free(other);
  librl_set_log(nullptr, nullptr);
  tear_down(&f);
}
