/// \file
/// What a process does that has no segment: it may not open the file, finds something else there,
/// or there is no room to make it. Asked for with Segment::open_or().
///
///     rl::Segment segment = rl::Segment::open_or(
///         "web", {}, {.on_failure = rl::OnFailure::local, .share = workers});
///
/// While there is none:
///
///     call                          allow             deny              local
///     try_acquire, _at, _batch,     allowed,          denied,           by the limit divided by
///     peek, hold, charge, reserve,  unavailable       unavailable,      `share`, in this process
///     acquire_for, all_of,                            come back in 1 s  alone, with its usual
///     Limiters                                                          reasons
///     permit, peek_permit           allowed; stands   denied,           by the limit divided by
///                                   for none          unavailable       `share`
///     Permit::holds, renew          true              -                 as ever
///     Permit::fence                 0                 -                 0
///     refund, settle,               false             false             as ever
///     set_remaining, reset
///     limiter(policy), no limit     allows all        denies all        denies all: nobody knows
///     given                                                             what to divide
///     Limiter::limit, differs       as asked for      as asked for      divided, and so differs
///     Segment: info, policies,      of private memory that this process alone sees; it ends when
///     find, reset_all, now ...      the segment is there, and instants of its clock mean nothing then
///
/// An allowed call whose reason is `unavailable` was counted nowhere. A policy without a limit
/// answers so, with the limit 1/s to show, until the segment is there and has it; of a list that
/// was asked for by its name alone it is the first limit only: ask for the list again then.
///
/// Calls look for the segment once a second, one thread of a process at a time, and there is no
/// thread of ours: a look is as much work as opening it. If there is no file of that name for two
/// seconds, a look makes the segment, as open_or_create would. (Processes that still have it, if
/// there are any, have brought it back by then, with what was used.) When it is there all limiters
/// go over to it with what was asked for, undivided; nothing that was used meanwhile comes along,
/// and permits that this process gave itself are lost; what stands for none goes on so. A limiter whose policy the segment does not take
/// goes on as before, and tries again each second.
///
/// What is kept is the handle's and its copies': who opens the same name twice keeps limits twice. A
/// forked child has a copy of its own of all that its parent had counted, and so each divides by
/// `share`. A process that may open no file at all gets no permits of its own.
///
/// This is about a segment that was not to be had when it was asked for. One that is removed or
/// overwritten later stays mapped: its processes go on with it, all together (README.md, "The
/// name").
#ifndef RL_FALLBACK_HPP
#define RL_FALLBACK_HPP

#include <chrono>
#include <cstdint>
#include <string>

#include <rl/export.hpp>

namespace rl {

/// Says what calls get while there is no segment.
enum class OnFailure : std::uint8_t {
  allow,  ///< all pass, uncounted
  deny,   ///< none passes
  local,  ///< this process keeps the limits alone, each divided by Fallback::share
};

/// What to do without a segment.
struct Fallback {
  OnFailure on_failure = OnFailure::deny;
  /// What `local` divides limits by: how many processes there are. A rate is divided exactly (5/s
  /// by 10 is 5/10s), to a period of 73 years at most; a burst, a queue, the count of a window and
  /// permits are rounded down, but not below 1. So that many processes admit no more than the limit
  /// does, but for what is smaller than their number: of that each has 1.
  std::uint64_t share = 1;
};

/// How it went.
struct FallbackInfo {
  bool active = false;      ///< there is no segment now
  std::uint64_t calls = 0;  ///< of limiters, without a segment, by this process (and before a fork
                            ///< its parent): a chunk of a batch is one, an ask of all_of a few
  std::chrono::system_clock::time_point since;  ///< when the segment was not to be had
  std::string why;                              ///< and why not; empty if it was
};

}  // namespace rl

#endif
