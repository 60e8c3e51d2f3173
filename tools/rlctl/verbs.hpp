/// \file
/// What rlctl can do, one function a verb. Each returns its exit code, 0 yes or 1 no, and throws
/// Error for everything that goes wrong.
#pragma once

#include "tools/rlctl/command_line.hpp"

namespace rl::ctl {

// Segments: segment_verbs.cpp
int create(const Arguments& arguments);
int info(const Arguments& arguments);
int remove(const Arguments& arguments);
int clock(const Arguments& arguments);

// Policies: policy_verbs.cpp
int policy_set(const Arguments& arguments);
int policy_list(const Arguments& arguments);
int explain(const Arguments& arguments);

// Files of limits: apply_verbs.cpp
int apply(const Arguments& arguments);
int export_limits(const Arguments& arguments);

// Keys: key_verbs.cpp
int acquire(const Arguments& arguments);
int peek(const Arguments& arguments);
int show(const Arguments& arguments);
int list(const Arguments& arguments);
int reset(const Arguments& arguments);

// The machine: selftest_verb.cpp
int selftest(const Arguments& arguments);

}  // namespace rl::ctl
