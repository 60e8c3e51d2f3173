/// \file
/// What rlctl can do, one function a verb. Each returns its exit code, 0 yes or 1 no, and throws
/// Error for everything that goes wrong.
#pragma once

#include "tools/rlctl/arguments.hpp"

namespace rl::ctl {

// Segments: segment_verbs.cpp
int create(const Arguments& arguments);
int info(const Arguments& arguments);
int remove(const Arguments& arguments);
int clock(const Arguments& arguments);
int off(const Arguments& arguments);
int on(const Arguments& arguments);

// What is on this host: segments_verb.cpp, doctor_verb.cpp, repair_verb.cpp
int segments(const Arguments& arguments);
int doctor(const Arguments& arguments);
int repair(const Arguments& arguments);

// Policies: policy_verbs.cpp
int policy_set(const Arguments& arguments);
int policy_shadow(const Arguments& arguments);
int policy_remove(const Arguments& arguments);
int policy_list(const Arguments& arguments);
int explain(const Arguments& arguments);

// Candidates: trial_verbs.cpp
int policy_trial(const Arguments& arguments);
int policy_compare(const Arguments& arguments);
int policy_promote(const Arguments& arguments);
// Files of limits: apply_verbs.cpp
int apply(const Arguments& arguments);
int export_limits(const Arguments& arguments);

// Keys: key_verbs.cpp
int acquire(const Arguments& arguments);
int peek(const Arguments& arguments);
int show(const Arguments& arguments);
int reset(const Arguments& arguments);
// A command under a limit: run_verb.cpp
int run(const Arguments& arguments);
// One key, all policies: why_verb.cpp
int why(const Arguments& arguments);
// All keys: list_verb.cpp, and `list --heavy`: heavy_verb.cpp
int list(const Arguments& arguments);
int list_heavy(const Arguments& arguments);

// What goes on, live: top/
int top(const Arguments& arguments);

// State that lasts: dump_verbs.cpp
int dump(const Arguments& arguments);
int load(const Arguments& arguments);
// Keys that stand apart: standing_verbs.cpp
int override_set(const Arguments& arguments);
int override_unset(const Arguments& arguments);
int override_list(const Arguments& arguments);
int ban(const Arguments& arguments);
int unban(const Arguments& arguments);
int bans(const Arguments& arguments);
int allow(const Arguments& arguments);
int disallow(const Arguments& arguments);
int allows(const Arguments& arguments);
int history(const Arguments& arguments);

// What happens: event_verbs.cpp
int events(const Arguments& arguments);

// Numbers: metrics_verb.cpp
int metrics(const Arguments& arguments);

// Recorded traffic: replay/replay_verb.cpp
int replay(const Arguments& arguments);

// The machine: selftest_verb.cpp, bench_verb.cpp
int selftest(const Arguments& arguments);
int bench(const Arguments& arguments);

// rlctl itself: help.cpp
int help(const Arguments& arguments);
/// complete_verb.cpp
int complete(const Arguments& arguments);

}  // namespace rl::ctl
