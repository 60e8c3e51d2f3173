/// \file
/// Every operation on a permit is stopped before each of its instructions, in the code that ships;
/// then another process takes and gives back permits, and it goes on; or it is killed there.
///
/// As in every_instruction_test.cpp, but for what is asked at the end: permits are not explained by
/// an order of operations, but counted.
///   A  never are more out than the limit, whoever stopped where.
///   D  who was denied was told the truth: the others had all permits out at some instant.
///   P  none is lost: when all are given back, or their holder is dead, all can be taken.

#include <doctest/doctest.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <optional>
#include <vector>

#include "shm/mapping.hpp"
#include "tests/stepping/rival.hpp"
#include "tests/stepping/trap_flag.hpp"
#include "tests/support.hpp"

namespace rl::test {
namespace {

using namespace std::chrono_literals;

constexpr std::uint64_t kPermits = 2;

struct PermitStep {
  enum Kind : std::uint8_t {
    peek,
    take,      ///< and keep
    give,      ///< back the one that was taken last
    give_all,  ///< back
    fence,     ///< draws a number
    advance,   ///< the clock past all leases
    remember,  ///< what is held
    recall,    ///< what was remembered: the segment was put back, too
  } kind;
};

struct PermitOutcome {
  bool done = false;
  bool gave_up = false;
  std::uint64_t out = 0;    ///< that the one who took the step holds afterwards
  std::uint64_t fence = 0;  ///< the number that was drawn
};

using PermitScript = std::vector<PermitStep>;

/// What is put back as bytes may have let go of what it is put back to: then others still own it.
constexpr std::size_t kManyOwners = 1'000'000;

Limit stepped_permits() {
  return Limit::concurrency(kPermits, 30s);
}

/// Performs steps through handles of its own, as another process would.
class PermitActor {
 public:
  explicit PermitActor(const std::string& segment)
      : segment_(Segment::open(segment)),
        limiter_(segment_.limiter("up", stepped_permits())),
        owners_(kManyOwners, limiter_) {}

  PermitOutcome act(const PermitStep& step) {
    PermitOutcome outcome;
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
        outcome.done = held_.count != 0 && held_.last().release();
        if (held_.count != 0) held_.permits[--held_.count].reset();
        break;
      case PermitStep::give_all:
        while (held_.count != 0) held_.permits[--held_.count].reset();
        outcome.done = true;
        break;
      case PermitStep::fence:
        outcome.fence = held_.count == 0 ? 0 : held_.last().fence();
        outcome.done = outcome.fence != 0;
        break;
      case PermitStep::advance:
        segment_.advance_clock(40s);
        outcome.done = true;
        break;
      case PermitStep::remember:
        std::memcpy(remembered_, static_cast<const void*>(&held_), sizeof held_);
        break;
      case PermitStep::recall:
        std::memcpy(static_cast<void*>(&held_), remembered_, sizeof held_);
        break;
    }
    for (std::size_t i = 0; i < held_.count; ++i)
      outcome.out += held_.permits[i]->holds() ? 1U : 0U;
    return outcome;
  }

 private:
  Segment segment_;
  Limiter limiter_;
  std::vector<Limiter> owners_;
  struct Held {
    std::array<std::optional<Permit>, kPermits + 4> permits;  // some may be lost
    std::size_t count = 0;
    Permit& last() { return *permits[count - 1]; }
  } held_;
  alignas(Held) char remembered_[sizeof(Held)];
};

using PermitRival = BasicRival<PermitActor, PermitStep, PermitOutcome>;

/// An operation under the stepper, by a victim that has a permit before it or has not.
struct PermitOperation {
  const char* name;
  enum Kind { take, release, renew, fence, holds, peek, reset_all } kind;
  PermitScript rivals_before = {};
  bool gives_back_before = false;  ///< the victim took one and gave it back: the slots are there
};

const std::vector<PermitOperation>& operations() {
  using enum PermitStep::Kind;
  static const std::vector<PermitOperation> kOperations = {
      {"take of a new key", PermitOperation::take},
      {"take of a free permit", PermitOperation::take, {}, true},
      {"take of the last permit", PermitOperation::take, {{take}}},
      {"take of one whose lease is over", PermitOperation::take, {{take}, {take}, {advance}}},
      {"denied after a look at all", PermitOperation::take, {{take}, {take}}},
      {"denied by the hint", PermitOperation::take, {{take}, {take}, {take}}},
      {"give back", PermitOperation::release},
      {"give back while others are denied", PermitOperation::release, {{take}, {take}}},
      {"renew", PermitOperation::renew, {{take}}},
      {"draw a first fencing number", PermitOperation::fence},
      {"draw a fencing number", PermitOperation::fence, {{take}, {fence}}},
      {"ask whether it is held", PermitOperation::holds, {{take}}},
      {"peek at permits", PermitOperation::peek, {{take}}},
      {"reset all", PermitOperation::reset_all, {{take}}},
  };
  return kOperations;
}

struct RivalScript {
  const char* name;
  PermitScript steps;
};

const std::vector<RivalScript>& scripts() {
  using enum PermitStep::Kind;
  static const std::vector<RivalScript> kScripts = {
      {"one taken", {{take}}},
      {"one taken and given back", {{take}, {give}}},
      {"all taken", {{take}, {take}, {take}}},
      {"all taken and given back", {{take}, {take}, {take}, {give_all}}},
      {"all given back, and taken", {{give_all}, {take}, {take}, {take}}},
      {"all given back, and one taken with a number", {{give_all}, {take}, {fence}}},
      {"all leases over, and all taken", {{advance}, {take}, {take}, {take}}},
      {"all leases over, taken and given back", {{advance}, {take}, {take}, {give_all}}},
  };
  return kScripts;
}

/// One walk through an operation.
class PermitOrdeal final : private Walk {
 public:
  explicit PermitOrdeal(const PermitOperation& operation)
      : operation_(operation),
        scratch_({.keys = 20, .clock = ClockSource::manual}),
        limiter_((scratch_->advance_clock(1h), scratch_->limiter("up", stepped_permits()))),
        owners_(kManyOwners, limiter_),
        mapping_(shm::Mapping::attach(scratch_.path(), shm::Access::read_write, false)),
        rival_(scratch_.name()),
        permit_(limiter_.permit(operation.kind == PermitOperation::take ? "" : "k")) {
    if (operation.gives_back_before) (void)limiter_.permit("k");
    const auto before = rival_.run(operation.rivals_before);
    if (before && !before->empty()) out_before_ = before->back().out;
    (void)rival_.run({{PermitStep::remember}});
  }

  /// Returns what is wrong first, or nothing.
  std::string run() {
    instructions_ = Walk::run(Tsc::frozen);
    if (wrong_.empty() && instructions_ < 50) wrong_ = "there was nothing to step";
    return wrong_;
  }
  [[nodiscard]] std::uint64_t instructions() const { return instructions_; }
  [[nodiscard]] std::uint64_t stopped() const { return stopped_; }
  [[nodiscard]] std::uint64_t killed() const { return killed_; }

 private:
  void body() override {
    switch (operation_.kind) {
      case PermitOperation::take:
        permit_ = limiter_.permit("k");
        done_ = bool(permit_);
        break;
      case PermitOperation::release:
        done_ = permit_.release();
        break;
      case PermitOperation::renew:
        done_ = permit_.renew();
        break;
      case PermitOperation::fence:
        fence_ = permit_.fence();
        done_ = fence_ != 0;
        break;
      case PermitOperation::holds:
        done_ = permit_.holds();
        break;
      case PermitOperation::peek:
        done_ = limiter_.peek_permit("k").remaining < kPermits;  // one of them is ours
        break;
      case PermitOperation::reset_all:
        (void)scratch_->reset_all();
        done_ = true;
        break;
    }
  }

  Next visit(std::uint64_t instruction) override {
    if (instruction != instruction_) {
      instruction_ = instruction;
      script_ = scripts().begin();
      std::memcpy(object_, static_cast<const void*>(&permit_), sizeof object_);
      if (snapshot_.empty() || std::memcmp(snapshot_.data(), bytes(), size()) != 0) {
        snapshot_.assign(bytes(), bytes() + size());
        kill();
      }
    }
    if (!wrong_.empty()) return Next::leave;
    if (script_ == scripts().end()) return Next::step;
    ++stopped_;
    play();
    return wrong_.empty() ? Next::finish : Next::leave;
  }

  void finished() override {
    judge();
    restore();
    ++script_;
  }

  /// Nobody goes on from here, and the seats of this process have successors.
  void kill() {
    for (script_ = scripts().begin(); script_ != scripts().end() && wrong_.empty(); ++script_) {
      ++killed_;
      play();
      for (std::uint32_t i = 0; i < mapping_.geometry().seat_capacity; ++i) {
        shm::Seat& seat = mapping_.seats()[i];
        if (seat.pid == static_cast<std::uint32_t>(::getpid())) ++seat.generation;
      }
      find_lost("killed", true);
      restore();
    }
    script_ = scripts().begin();
  }

  void play() {
    most_out_ = out_before_;
    highest_fence_ = 0;
    rivals_out_ = out_before_;
    const auto outcomes = rival_.run(script_->steps);
    if (!outcomes) return blame("stopped", "P violated: the rival waited");
    for (std::size_t i = 0; i < outcomes->size(); ++i) {
      const PermitOutcome& outcome = (*outcomes)[i];
      most_out_ = std::max(most_out_, outcome.out);
      highest_fence_ = std::max(highest_fence_, outcome.fence);
      rivals_out_ = outcome.out;
      if (outcome.gave_up) blame("stopped", "P violated: the rival gave up");
      // The victim has one at most.
      const bool is_denied = script_->steps[i].kind == PermitStep::take && !outcome.done;
      if (is_denied && outcome.out + 1 < kPermits)
        blame("stopped", "D violated: the rival was denied");
    }
  }

  void judge() {
    const bool is_take = operation_.kind == PermitOperation::take;
    const std::uint64_t ours = permit_.holds() ? 1 : 0;
    const bool same_time =
        std::none_of(script_->steps.begin(), script_->steps.end(),
                     [](const PermitStep& step) { return step.kind == PermitStep::advance; });
    if (rivals_out_ + ours > kPermits) {
      blame("stopped", fmt::format("A violated: {} permits are out", rivals_out_ + ours));
    } else if (is_take && !done_ && most_out_ < kPermits) {
      blame("stopped",
            fmt::format("D violated: denied, though the rival never had more than {}", most_out_));
    } else if (is_take && permit_.decision().reason == Reason::full) {
      blame("stopped", "P violated: the victim gave up");
    } else if (is_take && same_time && done_ != (ours == 1)) {
      blame("stopped", "A violated: taken, and not held");
    } else if (!is_take && same_time && !done_) {
      blame("stopped", "P violated: a holder was told that it is none");
    } else if (fence_ != 0 && fence_ == highest_fence_) {
      blame("stopped", "F violated: one number for two");
    }
    const bool is_reset = operation_.kind == PermitOperation::reset_all;
    const auto still = is_reset ? rival_.run({{PermitStep::peek}}) : std::nullopt;
    if (is_reset && (!still || still->front().out != rivals_out_))
      blame("stopped", "S violated: a permit was taken from its holder");
    if (permit_) (void)permit_.release();
    find_lost("stopped", false);
  }

  /// With nothing out but what the rival has, the rest can be taken, and after that is back, all.
  void find_lost(const char* fate, bool later) {
    if (!wrong_.empty()) return;
    // What a dead one was about to tell the hint is known half a second later.
    if (later) scratch_->advance_clock(1s);
    using enum PermitStep::Kind;
    const auto more = rival_.run({{take}});
    if (!more || (rivals_out_ < kPermits && !more->front().done))
      return blame(fate, "P violated: a permit is free, and the rival is denied");
    const auto taken = rival_.run({{give_all}, {take}, {take}, {give_all}});
    if (!taken || !(*taken)[1].done || !(*taken)[2].done)
      blame(fate, "P violated: a permit is lost");
  }

  void blame(const char* fate, const std::string& what) {
    if (!wrong_.empty()) return;
    const char* const meanwhile = script_ != scripts().end() ? script_->name : "nothing";
    wrong_ = fmt::format("{}, {} before instruction {}, while the rival did \"{}\": {}",
                         operation_.name, fate, instruction_, meanwhile, what);
  }

  void restore() {
    (void)rival_.run({{PermitStep::recall}});
    std::memcpy(bytes(), snapshot_.data(), size());
    std::memcpy(static_cast<void*>(&permit_), object_, sizeof object_);
  }

  [[nodiscard]] char* bytes() const { return reinterpret_cast<char*>(&mapping_.header()); }
  [[nodiscard]] std::size_t size() const { return mapping_.geometry().total_bytes; }

  const PermitOperation& operation_;
  Scratch scratch_;
  Limiter limiter_;
  std::vector<Limiter> owners_;
  shm::Mapping mapping_;
  std::vector<RivalScript>::const_iterator script_ = scripts().end();
  std::uint64_t instruction_ = ~std::uint64_t{0};
  std::string wrong_;
  std::uint64_t most_out_ = 0;  ///< that the rival had at some instant
  std::uint64_t out_before_ = 0;
  std::uint64_t rivals_out_ = 0;
  std::uint64_t highest_fence_ = 0;
  PermitRival rival_;
  Permit permit_;
  alignas(Permit) char object_[sizeof(Permit)];
  std::vector<char> snapshot_;
  bool done_ = false;
  std::uint64_t fence_ = 0;
  std::uint64_t instructions_ = 0;
  std::uint64_t stopped_ = 0;
  std::uint64_t killed_ = 0;
};

TEST_CASE("A_P_a_holder_or_taker_may_be_killed_or_stopped_at_every_instruction") {
  if (!can_step()) {
    MESSAGE("skipped: stepping needs x86-64 and no sanitizer");
    return;
  }
  std::uint64_t instructions = 0;
  std::uint64_t stopped = 0;
  std::uint64_t killed = 0;
  for (const PermitOperation& operation : operations()) {
    PermitOrdeal ordeal(operation);
    CHECK(ordeal.run() == "");
    MESSAGE(std::string(operation.name)
            << ": " << ordeal.instructions() << " instructions, stopped " << ordeal.stopped()
            << " times, killed " << ordeal.killed() << " times");
    instructions += ordeal.instructions();
    stopped += ordeal.stopped();
    killed += ordeal.killed();
  }
  MESSAGE("in all: " << instructions << " instructions, stopped " << stopped << " times, killed "
                     << killed << " times");
}

}  // namespace
}  // namespace rl::test
