/// \file
/// Every operation on a permit is stopped before each of its instructions, in the code that ships;
/// then another process takes and gives back permits, or changes how many there are, and it goes on;
/// or it is killed there.
///
/// As in every_instruction_test.cpp, but for what is asked at the end: permits are not explained by
/// an order of operations, but counted.
///   A  never are more out than the limit in force, or than of those that were out when it was
///      lowered; one that a lowered limit does not have is not renewed, whoever stopped where.
///   D  who was denied was told the truth: the others had all permits out at some instant.
///   P  none is lost: when all are given back, or their holder is dead, all can be taken.
///
/// RL_OPERATION=NAME steps through that operation only, RL_SCRIPT=NAME plays that script only.

#include <doctest/doctest.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <vector>

#include "src/permit_slots.hpp"
#include "tests/stepping/permit_steps.hpp"
#include "tests/stepping/trap_flag.hpp"
#include "tests/support.hpp"

namespace rl::test {
namespace {

using namespace std::chrono_literals;
using std::chrono::nanoseconds;

constexpr auto kTick = nanoseconds(kTickNs);

struct RivalScript {
  const char* name;
  PermitScript steps;
};
using RivalScripts = std::vector<RivalScript>;

/// What rivals do where the limit stays.
const RivalScripts& calls() {
  using enum PermitStep::Kind;
  static const RivalScripts kScripts = {
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

/// What they do to a limit that was not lowered yet.
const RivalScripts& changes() {
  using enum PermitStep::Kind;
  static const RivalScripts kScripts = {
      {"the limit lowered", {{lower}}},
      {"the limit lowered, and one taken", {{lower}, {take}}},
      {"one given back, the limit lowered, and one taken", {{give}, {lower}, {take}}},
      {"the limit lowered, and most of a lease passed", {{lower}, {pass}}},
      {"most of a lease passed, the limit lowered, and one taken", {{pass}, {lower}, {take}}},
      {"all leases over, the limit lowered, and one taken", {{advance}, {lower}, {take}}},
      {"the limit raised, and one taken", {{raise}, {take}}},
  };
  return kScripts;
}

/// What they do under one that was changed.
const RivalScripts& calls_after() {
  using enum PermitStep::Kind;
  static const RivalScripts kScripts = {
      {"one taken after the change", {{take}}},
      {"all given back, and one taken after the change", {{give_all}, {take}}},
      {"the limit raised again, and one taken", {{raise}, {take}}},
  };
  return kScripts;
}

/// An operation under the stepper, by a victim that has a permit before it or has not.
struct PermitOperation {
  const char* name;
  enum Kind { take, release, renew, fence, holds, peek, reset_all } kind;
  PermitScript rivals_before = {};
  bool gives_back_before = false;  ///< the victim took one and gave it back: the slots are there
  const RivalScripts& (*scripts)() = calls;
  int index = -1;  ///< of the permit that the victim has or had before; any
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
      // The limit is changed meanwhile.
      {"take of a free permit beside a change", PermitOperation::take, {}, true, changes},
      {"take of the last permit beside a change", PermitOperation::take, {{take}}, false, changes},
      {"renew beside a change", PermitOperation::renew, {{take}}, false, changes, 0},
      {"renew late beside a change", PermitOperation::renew, {{take}, {pass}}, false, changes, 1},
      {"give back beside a change", PermitOperation::release, {{take}}, false, changes, 1},
      // It was changed before.
      {"take under a lowered limit", PermitOperation::take, {{lower}}, true, calls_after, 0},
      {"take under a lowered limit beside one that it has not",
       PermitOperation::take,
       {{raise}, {take}, {take}, {take}, {lower}, {give_within}},
       true,
       calls_after,
       0},
      {"denied under a lowered limit by one that is out",
       PermitOperation::take,
       {{take}, {lower}},
       true,
       calls_after},
      {"denied under a lowered limit by more than it has",
       PermitOperation::take,
       {{take}, {take}, {lower}},
       false,
       calls_after},
      {"denied by the hint under a lowered limit",
       PermitOperation::take,
       {{take}, {take}, {lower}, {take}},
       false,
       calls_after},
      {"take after the limit was raised",
       PermitOperation::take,
       {{take}, {take}, {take}, {raise}},
       false,
       calls_after},
      {"renew a permit that a lowered limit has",
       PermitOperation::renew,
       {{take}, {lower}},
       false,
       calls_after,
       0},
      {"renew a permit that a lowered limit has not",
       PermitOperation::renew,
       {{take}, {lower}},
       false,
       calls_after,
       1},
      {"renew a permit that another has by now",
       PermitOperation::renew,
       {{lower}, {advance}, {take}},
       false,
       calls_after,
       0},
      {"give back to a lowered limit while others are denied",
       PermitOperation::release,
       {{take}, {lower}, {take}},
       false,
       calls_after,
       1},
      {"draw a fencing number under a lowered limit",
       PermitOperation::fence,
       {{take}, {fence}, {lower}},
       false,
       calls_after,
       1},
      {"peek under a lowered limit", PermitOperation::peek, {{take}, {lower}}, false, calls_after},
  };
  return kOperations;
}

/// One walk through an operation.
class PermitOrdeal final : private Walk {
 public:
  explicit PermitOrdeal(const PermitOperation& operation)
      : operation_(operation),
        scratch_({.keys = 20, .clock = ClockSource::manual, .policies = 16}),
        limiter_((scratch_->advance_clock(1h), scratch_->limiter("up", stepped_permits()))),
        owners_(kManyOwners, limiter_),
        handle_(limiter_),
        mapping_(shm::Mapping::attach(scratch_.path(), shm::Access::read_write, false)),
        rival_(scratch_.name()),
        permit_(limiter_.permit(is_take() && !operation.gives_back_before ? "" : "k")) {
    while (operation.index >= 0 && ours() != 1U << operation.index) permit_ = limiter_.permit("k");
    index_ = std::countr_zero(ours());
    if (is_take() && permit_) (void)permit_.release();
    const auto before = rival_.run(operation.rivals_before);
    if (before && !before->empty()) before_ = before->back();
    (void)rival_.run({{PermitStep::remember}});
    // What is stepped allocates nothing: it has bound to the limit in force, and knows it.
    (void)limiter_.peek_permit("k");
    (void)limiter_.peek_permit("k");
  }

  /// Returns what is wrong first, or nothing.
  std::string run() {
    instructions_ =
        Walk::run(Tsc::frozen, is_deep() ? Visits::all : Visits::that_matter, scratch_.path());
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
      case PermitOperation::peek: {
        const Decision told = limiter_.peek_permit("k");
        done_ = told.remaining < told.limit;  // one of them is ours
        break;
      }
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
      handle_.keep();
      if (snapshot_.empty() || std::memcmp(snapshot_.data(), bytes(), size()) != 0) {
        snapshot_.assign(bytes(), bytes() + size());
        is_in_slot_ = ours() != 0;
        was_in_slot_ = was_in_slot_ || is_in_slot_;
        kill();
      }
    }
    while (script_ != scripts().end() && !is_wanted(*script_)) ++script_;
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
      if (!is_wanted(*script_)) continue;
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
    seen_ = {before_.limit, before_.limit, before_.out >= before_.limit};
    highest_fence_ = 0;
    now_ = before_;
    const auto outcomes = rival_.run(script_->steps);
    if (!outcomes) return blame("stopped", "P violated: the rival waited");
    // What the victim has, or is about to give back.
    const std::uint64_t victims = !is_take() || was_in_slot_ ? 1 : 0;
    for (std::size_t i = 0; i < outcomes->size(); ++i) {
      const PermitOutcome& outcome = (*outcomes)[i];
      const PermitStep::Kind kind = script_->steps[i].kind;
      seen_.add(outcome, kind);
      highest_fence_ = std::max(highest_fence_, outcome.fence);
      now_ = outcome;
      if (outcome.gave_up) blame("stopped", "P violated: the rival gave up");
      const bool is_denied = kind == PermitStep::take && !outcome.done;
      if (is_denied && outcome.out + victims < outcome.limit)
        blame("stopped", "D violated: the rival was denied");
    }
  }

  void judge() {
    const std::uint64_t ours = permit_.holds() ? 1 : 0;
    const bool is_same_time =
        !seen_.leases_end && !(seen_.passes && comes_before(PermitStep::pass)) && !is_lost_before();
    const std::uint64_t out = now_.out + ours;
    // One that is just taken is of before if it was in its slot when the limit was lowered.
    const bool is_of_before = !is_take() || (is_in_slot_ && seen_.lowers);
    const std::uint64_t of_before = now_.of_before + (is_of_before ? ours : 0);
    if (out > std::max(now_.limit, of_before)) {
      blame("stopped",
            fmt::format("A violated: {} permits are out, of {}, and {} of before it was lowered",
                        out, now_.limit, of_before));
    } else if (is_take() && !done_ && !seen_.all_out) {
      blame("stopped", "D violated: denied, though the rival never had all");
    } else if (is_take() && permit_.decision().reason == Reason::full) {
      blame("stopped", "P violated: the victim gave up");
    } else if (is_take() && is_same_time && done_ != (ours == 1)) {
      blame("stopped", "A violated: taken, and not held");
    } else if (is_lost_before() && (done_ || ours != 0)) {
      blame("stopped", "A violated: a holder was not told that it is none");
    } else if (operation_.kind == PermitOperation::renew) {
      judge_renewal(is_same_time, ours != 0);
    } else if (!is_take() && is_same_time && !done_) {
      blame("stopped", "P violated: a holder was told that it is none");
    } else if (fence_ != 0 && fence_ == highest_fence_) {
      blame("stopped", "F violated: one number for two");
    }
    const bool is_reset = operation_.kind == PermitOperation::reset_all;
    const auto still = is_reset ? rival_.run({{PermitStep::peek}}) : std::nullopt;
    if (is_reset && (!still || still->front().out != now_.out))
      blame("stopped", "S violated: a permit was taken from its holder");
    if (permit_) (void)permit_.release();
    find_lost("stopped", false);
  }

  /// What a lowered limit does not have stays until the end of the lease that it had, which is no
  /// later than one that began when the limit was lowered.
  void judge_renewal(bool is_same_time, bool is_held) {
    const auto index = static_cast<std::uint64_t>(index_);
    const nanoseconds left = permit_.lease_end() - scratch_->now();
    if (done_ && index >= seen_.most) {
      blame("stopped", "A violated: one that the limit does not have was renewed");
    } else if (done_ && index >= now_.limit && left + seen_.since_lowered > kStepLease + kTick) {
      blame("stopped", "A violated: a lease is longer than a lowered limit waits for");
    } else if (is_same_time && !done_ && index < seen_.least) {
      blame("stopped", "P violated: a holder was told that it is none");
    } else if (is_same_time && !is_held) {
      blame("stopped", "P violated: a permit was lost by its renewal");
    }
  }

  /// With nothing out but what the rival has, the rest can be taken, and after that is back, all;
  /// and no more.
  void find_lost(const char* fate, bool later) {
    if (!wrong_.empty()) return;
    // What a dead one was about to tell the hint is known half a second later.
    if (later) scratch_->advance_clock(1s);
    using enum PermitStep::Kind;
    const auto more = rival_.run({{take}});
    if (!more || (now_.out < now_.limit && !more->front().done))
      return blame(fate, "P violated: a permit is free, and the rival is denied");
    PermitScript all(now_.limit + 3, {take});
    all.front() = all.back() = {give_all};
    const auto taken = rival_.run(all);
    for (std::uint64_t i = 1; i <= now_.limit + 1; ++i) {
      if (!taken || (!(*taken)[i].done && i <= now_.limit))
        return blame(fate, "P violated: a permit is lost");
      if ((*taken)[i].done && i > now_.limit)
        return blame(fate, "A violated: one more is had than there are");
    }
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
    handle_.put_back();
  }

  /// Which permits are held in this process, by their slots alone: a bit for each.
  [[nodiscard]] std::uint32_t ours() const {
    const shm::Hasher hasher = hasher_for(mapping_, "up");
    std::uint32_t bits = 0;
    for (std::uint32_t i = 0; i < kPermitsMost; ++i) {
      const auto words = mapping_.table().read(hash_of_permit(hasher, hasher("k", 1), i));
      const PermitWord word = PermitWord::of(shm::is_member(words.tag) ? words.state : 0);
      const bool has_seat = word.holder != 0 && word.holder != PermitWord::kUnaskable;
      const bool is_ours = has_seat && mapping_.seats()[word.holder - 1].pid ==
                                           static_cast<std::uint32_t>(::getpid());
      bits |= std::uint32_t{is_ours} << i;
    }
    return bits;
  }

  [[nodiscard]] bool is_take() const { return operation_.kind == PermitOperation::take; }
  /// Whether the permit that the victim has is none any more before it is asked about.
  [[nodiscard]] bool is_lost_before() const {
    return !is_take() && comes_before(PermitStep::advance);
  }
  [[nodiscard]] bool comes_before(PermitStep::Kind kind) const {
    const PermitScript& before = operation_.rivals_before;
    return std::any_of(before.begin(), before.end(),
                       [kind](const PermitStep& step) { return step.kind == kind; });
  }
  [[nodiscard]] const RivalScripts& scripts() const { return operation_.scripts(); }
  [[nodiscard]] static bool is_wanted(const RivalScript& script) {
    const char* const only = std::getenv("RL_SCRIPT");
    return only == nullptr || std::string_view(only) == script.name;
  }
  [[nodiscard]] char* bytes() const { return reinterpret_cast<char*>(&mapping_.header()); }
  [[nodiscard]] std::size_t size() const { return mapping_.geometry().total_bytes; }

  /// How things stood from before a script to its end.
  struct Seen {
    std::uint64_t least;  ///< of the limits in force
    std::uint64_t most;
    bool all_out;  ///< the rival had as many permits as the limit, or more
    bool lowers = false;
    bool leases_end = false;
    bool passes = false;
    nanoseconds since_lowered{};

    void add(const PermitOutcome& outcome, PermitStep::Kind kind) {
      least = std::min(least, outcome.limit);
      most = std::max(most, outcome.limit);
      all_out = all_out || outcome.out >= outcome.limit;
      lowers = lowers || (kind == PermitStep::lower && outcome.done);
      leases_end = leases_end || kind == PermitStep::advance;
      passes = passes || kind == PermitStep::pass;
      if (lowers && kind == PermitStep::pass) since_lowered += kStepPass;
    }
  };

  const PermitOperation& operation_;
  Scratch scratch_;
  Limiter limiter_;
  std::vector<Limiter> owners_;
  KeptHandle handle_;
  shm::Mapping mapping_;
  RivalScripts::const_iterator script_ = scripts().end();
  std::uint64_t instruction_ = ~std::uint64_t{0};
  std::string wrong_;
  PermitOutcome before_;  ///< of the rival, before its script, and after
  PermitOutcome now_;
  Seen seen_{};
  bool is_in_slot_ = false;   ///< the victim's permit, in the snapshot
  bool was_in_slot_ = false;  ///< in this or one before
  std::uint64_t highest_fence_ = 0;
  PermitRival rival_;
  Permit permit_;
  int index_ = 0;  ///< of the permit that the victim has before
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
  const char* const only = std::getenv("RL_OPERATION");
  for (const PermitOperation& operation : operations()) {
    if (only != nullptr && std::string_view(only) != operation.name) continue;
    PermitOrdeal ordeal(operation);
    CHECK(ordeal.run() == "");
    MESSAGE(std::string(operation.name)
            << ": " << ordeal.instructions() << " instructions, stopped " << ordeal.stopped()
            << " times, killed " << ordeal.killed() << " times");
    instructions += ordeal.instructions();
    stopped += ordeal.stopped();
    killed += ordeal.killed();
  }
  CHECK(killed > 0);
  MESSAGE("in all: " << instructions << " instructions, stopped " << stopped << " times, killed "
                     << killed << " times");
}

}  // namespace
}  // namespace rl::test
