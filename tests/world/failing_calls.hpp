/// \file
/// How failing_calls_test makes calls fail: an operation, the child that is followed through it,
/// and what must hold afterwards.
#pragma once

#include <sys/types.h>

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "tests/small_segment.hpp"
#include "tests/traced.hpp"

namespace rl::test {

/// What a process has of the directory's files, and how many descriptors it has at all.
struct Held {
  int descriptors = 0;
  int mappings = 0;
  friend bool operator==(const Held&, const Held&) = default;
};

/// What the followed child tells of itself, in memory of both.
struct Report {
  enum Outcome { none, succeeded, refused, alien } outcome;
  Errc code;
  char sentence[512];
  char logged[512];  ///< the first warning
  Held at_first;
  Held before;
  Held after;
  Held at_last;
  bool locked;   ///< the segment's file, by anybody
  bool holds;    ///< what was asked for works, at the second attempt if not at the first
  bool touched;  ///< though it was refused
  bool renamed;  ///< the directory's names are not what they were before
};

/// A call that may fail without harm.
struct Optional {
  std::string call;  ///< "openat DIR/s (2)": see Normaliser
  const char* why;
  std::vector<int> only = {};  ///< with these errnos; empty: with any
  int keeps = 0;               ///< descriptors that are not closed then
};

using OptionalCalls = std::vector<Optional>;

/// Calls that ask what host this is.
const OptionalCalls& host_calls();

OptionalCalls all_of(std::initializer_list<OptionalCalls> lists);

/// What is tried. The child runs `get_ready`, is followed through `act`, and runs the rest.
struct Operation {
  std::string name;
  std::function<void()> prepare = {};  ///< in the test's own process, before each run
  std::function<void()> get_ready = {};
  std::function<void()> act = {};
  std::function<bool()> is_untouched = {};  ///< whether the world is as it was, after a refusal
  std::function<bool()> holds = {};         ///< whether what act promised is so
  std::function<void()> let_go = {};
  /// In the test's own process: what the world looks like after the child has ended.
  std::function<void(const Report&)> judge = {};
  std::function<void()> tidy = {};
  std::vector<Optional> optional = {};
  bool only_logs = false;  ///< act never throws: what it throws is what the library logged
  Held gives_up = {};      ///< of what it inherited
  std::function<bool(const std::string& call)> only = {};  ///< which calls; empty: all
};

/// Returns the first warning of the library in this child; empty if there was none.
std::string first_warning();

/// Whether anybody holds a lock on bytes of this file (0 bytes: to its end), seen from a
/// description of its own.
bool is_locked(const std::string& path, off_t from = 0, off_t bytes = 0);

/// Makes each call of the operation fail, with each errno it can give; checks, and says how many.
void try_all(const Operation& operation, const Stage& stage);

}  // namespace rl::test
