#include "tests/stepping/operations.hpp"

namespace rl::test {
namespace {

constexpr Algorithm kWindow = Algorithm::fixed_window;
constexpr Algorithm kSliding = Algorithm::sliding_window;

/// Three tokens of k, taken ahead by a call that has one of them.
constexpr Step kLease{Step::lease, 'k', 3};
constexpr Step kGiveBack{Step::give_back};

}  // namespace

const std::vector<Operation>& operations_leased() {
  static const std::vector<Operation> kOperations = {
      // --- a call that takes a lease: a process that dies in it owes all its tokens, or none ---
      {.name = "lease of a new key", .clock = ClockSource::automatic, .step = kLease},
      {.name = "lease", .before = {{Step::acquire}}, .step = kLease},
      {.name = "lease, window", .before = {{Step::acquire}}, .step = kLease, .algorithm = kWindow},
      {.name = "lease, sliding",
       .before = {{Step::acquire}},
       .step = kLease,
       .algorithm = kSliding},
      {.name = "lease after a window, sliding",
       .before = {{Step::acquire, 'k', 2}, {Step::advance}},
       .step = kLease,
       .algorithm = kSliding},
      {.name = "lease, evicting", .before = crowd(2), .step = kLease},
      {.name = "lease across a change",
       .before = {{Step::acquire}, {Step::change}},
       .step = kLease},

      // --- where as much does not pass, and where calls stand in a line: an ordinary call ---
      {.name = "lease that does not fit", .before = {{Step::acquire, 'k', 3}}, .step = kLease},
      {.name = "lease that does not fit, window",
       .before = {{Step::acquire, 'k', 3}},
       .step = kLease,
       .algorithm = kWindow},
      {.name = "lease that does not fit, sliding",
       .before = {{Step::acquire, 'k', 3}},
       .step = kLease,
       .algorithm = kSliding},
      {.name = "lease, denied", .before = {{Step::acquire, 'k', 5}}, .step = kLease},
      {.name = "lease, leaky",
       .before = {{Step::acquire}},
       .step = kLease,
       .algorithm = Algorithm::leaky},

      // --- a call that a lease pays: whoever dies in it leaves it as it was ---
      {.name = "call within a lease",
       .clock = ClockSource::automatic,
       .before = {kLease},
       .step = kLease},

      // --- a call whose lease is over: what is left of it is given back, then another is taken ---
      {.name = "lease after another", .before = {kLease, {Step::advance}}, .step = kLease},
      {.name = "lease after another, sliding",
       .before = {kLease, {Step::advance}},
       .step = kLease,
       .algorithm = kSliding},
      {.name = "lease after another that does not fit",
       .before = {kLease, {Step::acquire, 'k', 2}, {Step::advance}, {Step::acquire}},
       .step = kLease},

      // --- a lease that is given back: who dies in it has given back all that was left, or none ---
      {.name = "lease, given back", .before = {kLease}, .step = kGiveBack},
      {.name = "lease, given back, window",
       .before = {kLease},
       .step = kGiveBack,
       .algorithm = kWindow},
      {.name = "lease, given back, sliding",
       .before = {kLease},
       .step = kGiveBack,
       .algorithm = kSliding},
      {.name = "lease, given back in a later window",
       .before = {kLease, {Step::advance}, {Step::acquire, 'k', 2}},
       .step = kGiveBack,
       .algorithm = kWindow},
      {.name = "lease, given back across a change",
       .before = {kLease, {Step::change}},
       .step = kGiveBack},
  };
  return kOperations;
}

}  // namespace rl::test
