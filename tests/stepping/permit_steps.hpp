/// \file
/// A small language of what a process does with permits, as a value, and who performs it.
#pragma once

#include <array>
#include <chrono>
#include <cstring>
#include <optional>
#include <string>
#include <vector>

#include <rl/rl.hpp>

#include "src/core.hpp"
#include "tests/stepping/rival.hpp"

namespace rl::test {

/// The limit of a stepped segment, until it is changed.
inline constexpr std::uint64_t kPermits = 2;
/// No script goes higher; and so many words are looked at.
inline constexpr std::uint64_t kPermitsMost = kPermits + 4;
inline constexpr std::chrono::seconds kStepLease{30};
inline constexpr std::chrono::seconds kStepPass{20};

struct PermitStep {
  enum Kind : std::uint8_t {
    peek,
    take,         ///< and keep
    give,         ///< back the one that was taken last
    give_all,     ///< back
    give_within,  ///< back those that the limit in force has
    fence,        ///< draws a number
    pass,         ///< moves the clock on by most of a lease; two of them end it
    advance,      ///< the clock past all leases
    lower,        ///< the limit by one, but not to none
    raise,        ///< the limit by one
    remember,     ///< what is held, and known
    recall,       ///< what was remembered: the segment was put back, too
  } kind;
};

struct PermitOutcome {
  bool done = false;
  bool gave_up = false;
  std::uint64_t out = 0;           ///< that the one who took the step holds afterwards
  std::uint64_t of_before = 0;     ///< of those, taken before the limit was lowered
  std::uint64_t limit = kPermits;  ///< that is in force afterwards
  std::uint64_t fence = 0;         ///< the number that was drawn
};

using PermitScript = std::vector<PermitStep>;

/// What is put back as bytes may have let go of what it is put back to: then others still own it.
inline constexpr std::size_t kManyOwners = 1'000'000;

inline Limit stepped_permits(std::uint64_t permits = kPermits) {
  return Limit::concurrency(permits, kStepLease);
}

/// What a handle has learned of its policy. It is put back with the segment's bytes, as the policies
/// that the handle has come to since are none there. (What it bound to meanwhile is lost.)
class KeptHandle {
 public:
  explicit KeptHandle(const Limiter& limiter) {
    static_assert(sizeof limiter == sizeof(std::shared_ptr<LimiterCore>));
    std::memcpy(static_cast<void*>(&core_), static_cast<const void*>(&limiter), sizeof core_);
    keep();
  }
  void keep() { std::memcpy(bytes_, static_cast<const void*>(core_), sizeof bytes_); }
  void put_back() { std::memcpy(static_cast<void*>(core_), bytes_, sizeof bytes_); }

 private:
  LimiterCore* core_ = nullptr;  ///< the first word of a shared_ptr
  alignas(LimiterCore) char bytes_[sizeof(LimiterCore)];
};

/// Performs steps through handles of its own, as another process would.
class PermitActor {
 public:
  explicit PermitActor(const std::string& segment)
      : segment_(Segment::open(segment)),
        limiter_(segment_.limiter("up", stepped_permits())),
        owners_(kManyOwners, limiter_),
        handle_(limiter_) {}

  PermitOutcome act(const PermitStep& step) {
    PermitOutcome outcome;
    perform(step, outcome);
    outcome.limit = held_.limit;
    for (std::size_t i = 0; i < held_.count; ++i) {
      const bool is_out = held_.permits[i]->holds();
      outcome.out += is_out ? 1U : 0U;
      outcome.of_before += is_out && i < held_.of_before ? 1U : 0U;
    }
    return outcome;
  }

 private:
  void perform(const PermitStep& step, PermitOutcome& outcome) {
    outcome.done = true;
    switch (step.kind) {
      case PermitStep::peek:
        outcome.done = bool(limiter_.peek_permit("k"));
        break;
      case PermitStep::take: {
        Permit permit = limiter_.permit("k");
        outcome.done = bool(permit);
        outcome.gave_up = permit.decision().reason == Reason::full;
        if (permit) held_.permits.at(held_.count++) = std::move(permit);
        break;
      }
      case PermitStep::give:
        outcome.done = held_.count != 0 && held_.permits[held_.count - 1]->release();
        if (held_.count != 0) held_.drop(held_.count - 1);
        break;
      case PermitStep::give_all:
        while (held_.count != 0) held_.drop(held_.count - 1);
        break;
      case PermitStep::give_within:
        for (std::size_t i = held_.count; i-- != 0;) {
          if (held_.permits[i]->renew()) held_.drop(i);
        }
        break;
      case PermitStep::fence:
        outcome.fence = held_.count == 0 ? 0 : held_.permits[held_.count - 1]->fence();
        outcome.done = outcome.fence != 0;
        break;
      case PermitStep::pass:
        segment_.advance_clock(kStepPass);
        break;
      case PermitStep::advance:
        segment_.advance_clock(kStepLease + std::chrono::seconds(10));
        break;
      case PermitStep::lower:
        outcome.done = held_.limit > 1;
        if (outcome.done) lower();
        break;
      case PermitStep::raise:
        raise();
        break;
      case PermitStep::remember:
        std::memcpy(remembered_, static_cast<const void*>(&held_), sizeof held_);
        handle_.keep();
        break;
      case PermitStep::recall:
        std::memcpy(static_cast<void*>(&held_), remembered_, sizeof held_);
        handle_.put_back();
        break;
    }
  }

  void lower() {
    held_.of_before = held_.count;
    segment_.set_policy("up", stepped_permits(--held_.limit));
  }

  /// Under another id than lowering would, here or in another script: processes remember what an id
  /// stands for, also when the segment is put back.
  void raise() {
    const char spare[] = {'s', static_cast<char>('0' + held_.limit)};
    (void)segment_.limiter({spare, sizeof spare}, stepped_permits());
    segment_.set_policy("up", stepped_permits(++held_.limit));
  }

  Segment segment_;
  Limiter limiter_;
  std::vector<Limiter> owners_;
  KeptHandle handle_;
  struct Held {
    std::array<std::optional<Permit>, kPermitsMost> permits;  // in the order in which they were had
    std::size_t count = 0;
    std::size_t of_before = 0;  // the first ones, had before the limit was lowered
    std::uint64_t limit = kPermits;

    void drop(std::size_t which) {
      if (which < of_before) --of_before;
      for (; which + 1 < count; ++which) permits[which] = std::move(permits[which + 1]);
      permits[--count].reset();
    }
  } held_;
  alignas(Held) char remembered_[sizeof(Held)];
};

using PermitRival = BasicRival<PermitActor, PermitStep, PermitOutcome>;

}  // namespace rl::test
