/**
 * \file
 * What the cases in C share.
 */
#ifndef RL_TESTS_C_ABI_H
#define RL_TESTS_C_ABI_H

#include <rl/rl.h>

#ifdef __cplusplus
extern "C" {
#endif

#define CASE(name) void name(void);
#include "tests/c_abi/cases.h"
#undef CASE

/** Holds a fact; the case goes on when it does not. */
#define CHECK(fact) check_fact((fact) ? 1 : 0, #fact, __FILE__, __LINE__)
void check_fact(int holds, const char* fact, const char* file, int line);

/** Returns a name that no other segment has; it is removed at the end of the case, whatever happened. */
const char* name_for_case(void);

#define SECOND INT64_C(1000000000)
/** A key, as two arguments. */
#define A "a", 1
#define B "b", 1

/** A segment in private memory whose clock stands still; with a limit, or a list, of "api". */
struct fixture {
  librl_segment_t* segment;
  librl_limiter_t* limiter;
};
struct fixture set_up(const char* limits);
void tear_down(struct fixture* fixture);

/** Runs `body` in a forked child. Returns what it returns, or -1 when it ended in another way. */
int in_child(int (*body)(void*), void* argument);

#ifdef __cplusplus
}
#endif

#endif
