/// \file
/// Stops an operation at each of its points (tests/traced.hpp), and says what holds there: what the
/// tests of creating, opening, removing, publishing and moving over share.
///
/// Killed there: the judge looks at what is left. Stopped there: rivals act in the test's own
/// process, which must not take long; then the stopped one goes on to its end and tells.
#pragma once

#include <functional>
#include <string>

#include "tests/small_segment.hpp"

namespace rl::test {

/// What the stopped process tells when it has gone on to its end, in memory of both.
struct Told {
  enum Outcome { nothing, succeeded, refused } outcome;
  Errc code;
  char sentence[512];
  int allowed;   ///< of what was left of the limit
  bool removed;  ///< what remove returned
};

/// What is stopped. `prepare` and `tidy` run in the test's own process, the others in a child,
/// which is followed through `act`.
struct Subject {
  std::string name;
  std::string call;    ///< one that it cannot do without: "linkat"
  int stores_min = 0;  ///< so many stores to shared memory, at least, it cannot do without
  std::function<void()> prepare = [] {};
  std::function<void()> get_ready = [] {};
  std::function<void(Told&)> act = {};
  std::function<void(Told&)> afterwards = [](Told&) {};
  std::function<void()> tidy = [] {};
};

/// What happens at a point; null: the process is killed.
using Rivals = std::function<void()>;
using Judge = std::function<void(const Told&)>;

/// Tries every point of the subject, and its end; prints how many there were. If its call or its
/// stores are not among them, the watch is blind and nothing was shown.
void at_every_point(const Stage& stage, const Subject& subject, const std::string& what,
                    const Rivals& rivals, const Judge& judge);

}  // namespace rl::test
