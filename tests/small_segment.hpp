/// \file
/// A segment as small as it can be, with a limit of 3 an hour, in a directory of its own: what the
/// tests share that stop, kill or fail processes at each of their calls.
#pragma once

#include <optional>
#include <string>

#include <rl/rl.hpp>

#include "tests/no_key_twice.hpp"
#include "tests/own_tmpfs.hpp"

namespace rl::test {

/// What a process has opened.
struct Hands {
  std::optional<Segment> segment;
  std::optional<Limiter> limiter;
  std::optional<Decision> decision;
  bool removed = false;
  void drop() { *this = {}; }
};

struct Stage {
  OwnTmpfs place;
  std::string path = place.path("s");
  Hands ours;
  Hands others;  ///< also of the test's own process
  Hands childs;
  int file = -1;  ///< of the segment that was there at first
};

/// Whether tests/traced.hpp works here; says so if not. Silences the log of this process, too.
bool can_trace();

/// Works out in this process what the library works out once in each; children inherit it.
void warm_up(const Stage& stage);

/// Without the text of keys, of which a rescue would copy 144 words one by one, unless RL_DEEP is
/// set.
SegmentOptions small();
Limit three();

/// How many of so many calls for key k are allowed.
int allowed_of(Limiter& limiter, int calls);

/// What is left of the limit of 3 for key k, all of it spent.
int take_all(Segment& segment);
int take_all(const std::string& path);

/// A segment with one policy, of whose limit of 3 for key k one is spent; nobody is attached.
void make_used_segment(const std::string& path);

bool exists(const std::string& path);

/// The word that says "never copy this again", read through the file.
bool is_retired(int fd);

/// A segment that nobody is attached to, and of whose limit so much is left.
void check_that_it_is_whole(const std::string& path, int left);

}  // namespace rl::test
