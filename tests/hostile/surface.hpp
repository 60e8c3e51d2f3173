/// \file
/// Everything that the library does with a segment, done to a file whose bytes are anybody's. What
/// must hold all the same: a call returns or throws rl::Error with a sentence, a decision's numbers
/// lie in their ranges, a walk ends, and a copy made of such a segment is a valid one.
///
/// It knows no test framework, as fuzzers run it, too: what does not hold throws a Violation.
#pragma once

#include <functional>
#include <optional>
#include <stdexcept>
#include <string>

#include <rl/rl.hpp>

namespace rl::hostile {

/// A promise of the library that was broken.
class Violation : public std::logic_error {
 public:
  using std::logic_error::logic_error;
};

/// Throws a Violation unless it holds.
void demand(bool holds, const std::string& what);

/// Runs a call that may refuse; returns the code if it did. Demands a sentence, on one line.
std::optional<Errc> attempt(const std::function<void()>& call);

/// Demands what every decision keeps, whatever the bytes.
void check(const Decision& decision);

/// Decides, looks and resets, on keys that are there and keys that are not.
void decide(Limiter& limiter);
/// Makes, finds and uses limiters.
void use_policies(Segment& segment);
/// Reads all that can be read.
void look(const Segment& segment);
/// Copies the segment to another name, as a process does whose segment lost its name.
void copy(const std::string& path);
/// Demands that a copy is a valid segment, with nothing unfinished in it.
void check_valid(const std::string& path);

/// All of it, on the file at `path`, which is gone at the end. Returns why it was refused, or
/// nothing where it worked.
std::optional<Errc> use_all(const std::string& path);

/// Silences the library's log; what it says is checked to be one line.
void listen();

}  // namespace rl::hostile
