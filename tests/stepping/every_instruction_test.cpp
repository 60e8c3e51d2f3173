/// \file
/// Every operation of the library is stopped before each of its instructions, in the code that
/// ships; then other processes perform whole scripts, and it goes on; or it is killed there.
///
/// One walk goes through the operation from beginning to end (trap_flag.hpp). Before each
/// instruction,
///  - stopped: for every script, a rival process performs it; the operation goes on from here to
///    its end; all must be explained (judge.hpp); then everything is put back, the segment too;
///  - killed: if the segment's bytes are not those that the last instruction saw, every script is
///    performed with nobody to go on. For a killed process leaves in shared memory just what a
///    stopped one shows, and instructions that show the same bytes are one case.
///
/// The table of operations is `kOperations`, the table of scripts is `kScripts`: a new operation is
/// a line. RL_OPERATION=NAME steps through that one only, RL_SCRIPT=NAME plays that one only.

#include <doctest/doctest.h>
#include <fmt/format.h>
#include <signal.h>
#include <unistd.h>

#include <cstring>
#include <memory>

#include "tests/stepping/judge.hpp"
#include "tests/stepping/rival.hpp"
#include "tests/stepping/steps.hpp"
#include "tests/stepping/trap_flag.hpp"
#include "tests/support.hpp"

namespace rl::test {
namespace {

constexpr auto kManual = ClockSource::manual;
constexpr auto kAutomatic = ClockSource::automatic;

/// An operation under the stepper.
struct Operation {
  const char* name;
  ClockSource clock = kManual;
  Script before = {};  ///< what came earlier
  Step step;
  Algorithm algorithm = Algorithm::token_bucket;
  bool first_of_handle = false;  ///< the first decision looks at clock and name, too
};

/// Sixteen other keys, which fill the list of every key of a table of two pairs.
Script crowd(std::uint64_t cost, int count = 16) {
  Script script;
  for (int i = 0; i < count; ++i)
    script.push_back({Step::acquire, static_cast<char>('A' + i), cost});
  return script;
}

Script operator+(Script a, const Script& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

Script all_but_k_forgotten() {
  Script script = crowd(1, 15) + Script{{Step::acquire, 'k'}};
  for (int i = 0; i < 15; ++i) script.push_back({Step::reset, static_cast<char>('A' + i)});
  return script;
}

const std::vector<Operation>& operations() {
  static const std::vector<Operation> kOperations = {
      {.name = "insert", .clock = kAutomatic, .step = {Step::acquire}},
      {.name = "insert at the first decision of a handle",
       .clock = kAutomatic,
       .step = {Step::acquire},
       .first_of_handle = true},
      {.name = "insert after a death at the first slot",
       .before = {{Step::die_inserting}},
       .step = {Step::acquire}},
      {.name = "insert after two deaths",
       .before = {{Step::die_inserting, 'k', 0}, {Step::die_inserting, 'k', 1}},
       .step = {Step::acquire}},
      {.name = "overwrite", .before = crowd(1) + Script{{Step::advance}}, .step = {Step::acquire}},
      {.name = "evict", .before = crowd(2), .step = {Step::acquire}},
      {.name = "displace",
       .before = crowd(2, 15) + Script{{Step::die_inserting, 'z'}},
       .step = {Step::acquire}},
      {.name = "consume",
       .clock = kAutomatic,
       .before = {{Step::acquire}},
       .step = {Step::acquire, 'k', 2}},
      {.name = "consume on the manual clock",
       .before = {{Step::acquire}},
       .step = {Step::acquire, 'k', 2}},
      {.name = "consume at the last slot found",
       .before = all_but_k_forgotten(),
       .step = {Step::acquire}},
      {.name = "deny",
       .clock = kAutomatic,
       .before = {{Step::acquire, 'k', 4}},
       .step = {Step::acquire, 'k', 2}},
      {.name = "deny a cost above the burst", .step = {Step::acquire, 'k', kBurst + 1}},
      {.name = "peek", .before = {{Step::acquire, 'k', 2}}, .step = {Step::peek}},
      {.name = "reset", .before = {{Step::acquire, 'k', 2}}, .step = {Step::reset}},
      {.name = "refund", .before = {{Step::acquire, 'k', 2}}, .step = {Step::refund, 'k', 2}},
      {.name = "refund, window",
       .before = {{Step::acquire, 'k', 2}},
       .step = {Step::refund, 'k', 2},
       .algorithm = Algorithm::fixed_window},
      {.name = "charge a new key", .step = {Step::charge, 'k', 3}},
      {.name = "charge", .before = {{Step::acquire, 'k', 4}}, .step = {Step::charge, 'k', 3}},
      {.name = "charge, evicting", .before = crowd(2), .step = {Step::charge}},
      {.name = "charge, leaky",
       .before = {{Step::acquire, 'k', 4}},
       .step = {Step::charge, 'k', 3},
       .algorithm = Algorithm::leaky},
      {.name = "charge, window",
       .before = {{Step::acquire, 'k', 4}},
       .step = {Step::charge, 'k', 3},
       .algorithm = Algorithm::fixed_window},
      {.name = "reserve of a new key", .step = {Step::reserve, 'k', 2}},
      {.name = "reserve", .before = {{Step::acquire, 'k', 4}}, .step = {Step::reserve, 'k', 3}},
      {.name = "reserve, denied",
       .before = {{Step::acquire, 'k', 5}, {Step::reserve, 'k', 3}},
       .step = {Step::reserve, 'k', 3}},
      {.name = "reserve, leaky",
       .before = {{Step::acquire, 'k', 2}},
       .step = {Step::reserve, 'k', 2},
       .algorithm = Algorithm::leaky},
      {.name = "reserve, window",
       .before = {{Step::acquire, 'k', 2}},
       .step = {Step::reserve, 'k', 2},
       .algorithm = Algorithm::fixed_window},
      {.name = "settle for less",
       .before = {{Step::acquire, 'k', 3}},
       .step = {Step::settle, 'k', 1}},
      {.name = "settle for more",
       .before = {{Step::acquire, 'k', 2}},
       .step = {Step::settle, 'k', 4}},
      {.name = "settle for less, leaky",
       .before = {{Step::acquire, 'k', 3}},
       .step = {Step::settle, 'k', 1},
       .algorithm = Algorithm::leaky},
      {.name = "settle for more, leaky",
       .before = {{Step::acquire, 'k', 2}},
       .step = {Step::settle, 'k', 4},
       .algorithm = Algorithm::leaky},
      {.name = "settle for less, window",
       .before = {{Step::acquire, 'k', 3}},
       .step = {Step::settle, 'k', 1},
       .algorithm = Algorithm::fixed_window},
      {.name = "settle for more, window",
       .before = {{Step::acquire, 'k', 2}},
       .step = {Step::settle, 'k', 4},
       .algorithm = Algorithm::fixed_window},
      {.name = "set what is left of a new key", .step = {Step::set_remaining, 'k', 3}},
      {.name = "set what is left",
       .before = {{Step::acquire, 'k', 4}},
       .step = {Step::set_remaining, 'k', 3}},
      {.name = "set all to be left",
       .before = {{Step::acquire, 'k', 4}},
       .step = {Step::set_remaining, 'k', kBurst}},
      {.name = "set what is left, leaky",
       .before = {{Step::acquire, 'k', 4}},
       .step = {Step::set_remaining, 'k', 3},
       .algorithm = Algorithm::leaky},
      {.name = "set what is left, window",
       .before = {{Step::acquire, 'k', 4}},
       .step = {Step::set_remaining, 'k', 3},
       .algorithm = Algorithm::fixed_window},
      {.name = "reset all",
       .before = {{Step::acquire, 'k', 2}, {Step::acquire, 'l'}},
       .step = {Step::reset_all}},
      // The one that is not the library's: it is the tests' own loop (steps.cpp) over the table's
      // free_if, as `rlctl` has one.
      {.name = "reap",
       .before = {{Step::acquire}, {Step::acquire, 'l', 3}, {Step::advance, 'k', 2}},
       .step = {Step::reap}},
      {.name = "make a policy", .before = {{Step::publish, 'a'}}, .step = {Step::publish, 'b'}},
      {.name = "change a policy", .before = {{Step::acquire, 'k', 2}}, .step = {Step::change}},
      {.name = "change a policy that was changed",
       .before = {{Step::acquire, 'k', 2}, {Step::change}},
       .step = {Step::change}},
      {.name = "insert after a change", .before = {{Step::change}}, .step = {Step::acquire}},
      {.name = "consume across a change",
       .before = {{Step::acquire}, {Step::change}},
       .step = {Step::acquire, 'k', 2}},
      {.name = "consume across two changes, leaky",
       .before = {{Step::acquire}, {Step::change}, {Step::change}},
       .step = {Step::acquire, 'k', 2},
       .algorithm = Algorithm::leaky},
      {.name = "consume across a change, window",
       .before = {{Step::acquire}, {Step::change}},
       .step = {Step::acquire, 'k', 2},
       .algorithm = Algorithm::fixed_window},
      {.name = "deny across a change",
       .before = {{Step::acquire, 'k', 4}, {Step::change}},
       .step = {Step::acquire, 'k', 2}},
      {.name = "refund across a change",
       .before = {{Step::acquire, 'k', 2}, {Step::change}},
       .step = {Step::refund, 'k', 2}},
      {.name = "consume across a change, batch",
       .before = {{Step::acquire}, {Step::change}},
       .step = {Step::batch, 'k', 2}},
      {.name = "advance the clock", .before = {{Step::acquire, 'k', 3}}, .step = {Step::advance}},
      {.name = "insert, leaky", .step = {Step::acquire}, .algorithm = Algorithm::leaky},
      {.name = "consume, leaky",
       .before = {{Step::acquire}},
       .step = {Step::acquire, 'k', 2},
       .algorithm = Algorithm::leaky},
      {.name = "deny, leaky",
       .before = {{Step::acquire, 'k', 4}},
       .step = {Step::acquire, 'k', 2},
       .algorithm = Algorithm::leaky},
      {.name = "insert after a death, window",
       .before = {{Step::die_inserting}},
       .step = {Step::acquire},
       .algorithm = Algorithm::fixed_window},
      {.name = "overwrite, window",
       .before = crowd(1) + Script{{Step::advance}},
       .step = {Step::acquire},
       .algorithm = Algorithm::fixed_window},
      {.name = "consume, window",
       .before = {{Step::acquire}},
       .step = {Step::acquire, 'k', 2},
       .algorithm = Algorithm::fixed_window},
      {.name = "deny, window",
       .before = {{Step::acquire, 'k', 4}},
       .step = {Step::acquire, 'k', 2},
       .algorithm = Algorithm::fixed_window},
      {.name = "insert, batch", .clock = kAutomatic, .step = {Step::batch}},
      {.name = "consume, batch", .before = {{Step::acquire}}, .step = {Step::batch, 'k', 2}},
      {.name = "consume at the last slot found, batch",
       .clock = kAutomatic,
       .before = all_but_k_forgotten(),
       .step = {Step::batch}},
      {.name = "deny, batch", .before = {{Step::acquire, 'k', 4}}, .step = {Step::batch, 'k', 2}},
      {.name = "consume, batch, window",
       .before = {{Step::acquire}},
       .step = {Step::batch, 'k', 2},
       .algorithm = Algorithm::fixed_window},
      {.name = "consume at a caller's time",
       .before = {{Step::acquire}},
       .step = {Step::acquire_at, 'k', 2}},
      {.name = "consume with no time to wait",
       .before = {{Step::acquire}},
       .step = {Step::acquire_for, 'k', 2}},
      {.name = "peek, leaky",
       .before = {{Step::acquire, 'k', 2}},
       .step = {Step::peek},
       .algorithm = Algorithm::leaky},
      {.name = "reset, leaky",
       .before = {{Step::acquire, 'k', 2}},
       .step = {Step::reset},
       .algorithm = Algorithm::leaky},
      {.name = "refund, leaky",
       .before = {{Step::acquire, 'k', 2}},
       .step = {Step::refund, 'k', 2},
       .algorithm = Algorithm::leaky},
      {.name = "consume at a caller's time, leaky",
       .before = {{Step::acquire}},
       .step = {Step::acquire_at, 'k', 2},
       .algorithm = Algorithm::leaky},
      {.name = "consume with no time to wait, leaky",
       .step = {Step::acquire_for, 'k', 2},
       .algorithm = Algorithm::leaky},
      {.name = "consume, batch, leaky",
       .before = {{Step::acquire}},
       .step = {Step::batch, 'k', 2},
       .algorithm = Algorithm::leaky},
      {.name = "insert, window", .step = {Step::acquire}, .algorithm = Algorithm::fixed_window},
      {.name = "peek, window",
       .before = {{Step::acquire, 'k', 2}},
       .step = {Step::peek},
       .algorithm = Algorithm::fixed_window},
      {.name = "reset, window",
       .before = {{Step::acquire, 'k', 2}},
       .step = {Step::reset},
       .algorithm = Algorithm::fixed_window},
      {.name = "consume at a caller's time, window",
       .before = {{Step::acquire}},
       .step = {Step::acquire_at, 'k', 2},
       .algorithm = Algorithm::fixed_window},
      {.name = "consume with no time to wait, window",
       .before = {{Step::acquire}},
       .step = {Step::acquire_for, 'k', 2},
       .algorithm = Algorithm::fixed_window},
      {.name = "consume two together, window",
       .before = {{Step::acquire}, {Step::acquire, kPartner}},
       .step = {Step::all_of},
       .algorithm = Algorithm::fixed_window},
      {.name = "insert, sliding", .step = {Step::acquire}, .algorithm = Algorithm::sliding_window},
      {.name = "consume, sliding",
       .before = {{Step::acquire}},
       .step = {Step::acquire, 'k', 2},
       .algorithm = Algorithm::sliding_window},
      {.name = "deny, sliding",
       .before = {{Step::acquire, 'k', 4}},
       .step = {Step::acquire, 'k', 2},
       .algorithm = Algorithm::sliding_window},
      {.name = "peek, sliding",
       .before = {{Step::acquire, 'k', 2}},
       .step = {Step::peek},
       .algorithm = Algorithm::sliding_window},
      {.name = "reset, sliding",
       .before = {{Step::acquire, 'k', 2}},
       .step = {Step::reset},
       .algorithm = Algorithm::sliding_window},
      {.name = "refund, sliding",
       .before = {{Step::acquire, 'k', 2}},
       .step = {Step::refund, 'k', 2},
       .algorithm = Algorithm::sliding_window},
      {.name = "charge, sliding",
       .before = {{Step::acquire, 'k', 4}},
       .step = {Step::charge, 'k', 3},
       .algorithm = Algorithm::sliding_window},
      {.name = "reserve, sliding",
       .before = {{Step::acquire, 'k', 2}},
       .step = {Step::reserve, 'k', 2},
       .algorithm = Algorithm::sliding_window},
      {.name = "settle for less, sliding",
       .before = {{Step::acquire, 'k', 3}},
       .step = {Step::settle, 'k', 1},
       .algorithm = Algorithm::sliding_window},
      {.name = "settle for more, sliding",
       .before = {{Step::acquire, 'k', 2}},
       .step = {Step::settle, 'k', 4},
       .algorithm = Algorithm::sliding_window},
      {.name = "set what is left, sliding",
       .before = {{Step::acquire, 'k', 4}},
       .step = {Step::set_remaining, 'k', 3},
       .algorithm = Algorithm::sliding_window},
      {.name = "consume at a caller's time, sliding",
       .before = {{Step::acquire}},
       .step = {Step::acquire_at, 'k', 2},
       .algorithm = Algorithm::sliding_window},
      {.name = "consume with no time to wait, sliding",
       .before = {{Step::acquire}},
       .step = {Step::acquire_for, 'k', 2},
       .algorithm = Algorithm::sliding_window},
      {.name = "consume, batch, sliding",
       .before = {{Step::acquire}},
       .step = {Step::batch, 'k', 2},
       .algorithm = Algorithm::sliding_window},
      {.name = "consume two together, sliding",
       .before = {{Step::acquire}, {Step::acquire, kPartner}},
       .step = {Step::all_of},
       .algorithm = Algorithm::sliding_window},
      {.name = "consume after a window, sliding",
       .before = {{Step::acquire, 'k', 3}, {Step::advance}, {Step::acquire}},
       .step = {Step::acquire, 'k', 2},
       .algorithm = Algorithm::sliding_window},
      {.name = "insert two together", .step = {Step::all_of}},
      {.name = "consume two together",
       .before = {{Step::acquire}, {Step::acquire, kPartner}},
       .step = {Step::all_of}},
      {.name = "deny two together",
       .before = {{Step::acquire, 'k', 4}},
       .step = {Step::all_of, 'k', 2}},
      {.name = "consume two together, leaky",
       .before = {{Step::acquire}},
       .step = {Step::all_of},
       .algorithm = Algorithm::leaky},
  };
  return kOperations;
}

/// What rivals do meanwhile.
struct RivalScript {
  const char* name;
  Script steps;
  bool moves_time = false;
  bool changes = false;  ///< the policy
};

const std::vector<RivalScript>& scripts() {
  static const std::vector<RivalScript> kScripts = {
      {"the same key", {{Step::acquire}}},
      {"the same key until it is denied",
       {{Step::acquire, 'k', 3}, {Step::acquire, 'k', 3}, {Step::peek}}},
      {"other keys of the list",
       {{Step::acquire, 'l'}, {Step::acquire, 'k'}, {Step::acquire, 'm'}}},
      {"a reset", {{Step::acquire}, {Step::reset}, {Step::acquire, 'k', 2}}},
      {"an operator's word", {{Step::charge, 'k', 2}, {Step::set_remaining, 'k', 1}}},
      {"a later clock", {{Step::advance, 'k', 2}, {Step::acquire, 'k', 2}}, true},
      {"a reaper at a later clock",
       {{Step::advance, 'k', 9}, {Step::reap}, {Step::acquire, 'l'}, {Step::acquire, 'k', 4}},
       true},
      {"another's death at the first free slot",
       {{Step::die_inserting, 'k', 0}, {Step::acquire, 'l'}, {Step::acquire}}},
      {"another's death at the last free slot", {{Step::die_inserting, 'k', 1}, {Step::acquire}}},
      {"the same policy", {{Step::publish, 'b'}, {Step::acquire}}},
      {"two policies", {{Step::publish, 'c'}, {Step::publish, 'b'}}},
      {"a change", {{Step::change}, {Step::acquire}}, false, true},
      {"two changes",
       {{Step::change}, {Step::acquire}, {Step::change}, {Step::acquire, 'k', 2}},
       false,
       true},
      {"a crowd", crowd(1) + Script{{Step::acquire}}},
  };
  return kScripts;
}

/// What was tried.
struct Tried {
  std::uint64_t instructions = 0;
  std::uint64_t stopped = 0;
  std::uint64_t states = 0;
  std::uint64_t killed = 0;
  void operator+=(const Tried& other) {
    instructions += other.instructions;
    stopped += other.stopped;
    states += other.states;
    killed += other.killed;
  }
};

/// One walk through an operation: a segment, a victim's handle, a rival process.
class Ordeal final : private Walk {
 public:
  explicit Ordeal(const Operation& operation)
      : operation_(operation),
        scratch_({.keys = 1, .clock = operation.clock, .policies = 8}),
        victim_(scratch_.name()),
        witness_(scratch_.name()),
        rival_(scratch_.name()) {
    model_.act({Step::advance, 'k', 1});  // a state of 0 is idle, whatever the clock says
    if (operation.clock == kManual) victim_.act({Step::advance, 'k', 1});
    for (const Step& step : operation.before) {
      if (victim_.act(step) != model_.act(step)) throw std::runtime_error("a bad beginning");
    }
    if (operation.first_of_handle) {
      victim_.reopen();
    } else {
      // The second knows of the changes that the first has seen.
      (void)victim_.act({Step::peek});
      (void)victim_.act({Step::peek});
    }
    evicted_before_ = evicted();
    gave_up_before_ = health().gave_up.load(std::memory_order_relaxed);
  }

  /// Returns what is wrong first, or nothing.
  std::string run(Tried& tried) {
    in_ordeal = this;
    struct sigaction before {};
    struct sigaction action {};
    action.sa_handler = on_deadline;
    ::sigaction(SIGALRM, &action, &before);
    // The look at the clock is what takes notice of the time.
    tried_.instructions = Walk::run(operation_.first_of_handle ? Tsc::running : Tsc::frozen);
    ::alarm(0);
    ::sigaction(SIGALRM, &before, nullptr);
    tried = tried_;
    return wrong_;
  }

 private:
  void body() override { outcome_ = victim_.act(operation_.step); }

  Next visit(std::uint64_t instruction) override {
    ::alarm(0);  // the victim stands still: the rivals have a deadline of their own
    if (instruction != instruction_) {
      instruction_ = instruction;
      script_ = scripts().begin();
      if (snapshot_.empty() || std::memcmp(snapshot_.data(), bytes(), size()) != 0) {
        snapshot_.assign(bytes(), bytes() + size());
        look();
        kill();
      }
    }
    while (script_ != scripts().end() && !fits(*script_)) ++script_;
    if (!wrong_.empty()) return Next::leave;
    if (script_ == scripts().end()) return Next::step;
    ++tried_.stopped;
    play();
    if (!wrong_.empty()) return Next::leave;
    ::alarm(kDeadline_s);
    return Next::finish;
  }

  void finished() override {
    ::alarm(0);
    judge("stopped", outcome_);
    restore();
    ++script_;
  }

  /// The bytes have changed: what has the victim done by now, with nobody but it about?
  void look() {
    ++tried_.states;
    counted_ = evicted() - evicted_before_;
    stop_ = at_stop(model_, operation_.step, witness_.mapping(), witness_.now_ns(), counted_);
    if (wrong_.empty() && !stop_.wrong.empty()) {
      wrong_ =
          fmt::format("{}, before instruction {}: {}", operation_.name, instruction_, stop_.wrong);
    }
  }

  /// The bytes have changed: nobody goes on from here.
  void kill() {
    for (script_ = scripts().begin(); script_ != scripts().end() && wrong_.empty(); ++script_) {
      if (!fits(*script_)) continue;
      ++tried_.killed;
      play();
      judge("killed", std::nullopt);
      restore();
    }
    script_ = scripts().begin();
  }

  void play() {
    const std::optional<std::vector<Outcome>> outcomes = rival_.run(script_->steps);
    if (outcomes) {
      rival_outcomes_ = *outcomes;
    } else if (wrong_.empty()) {
      wrong_ = where("stopped") + "P violated: the rival waited";
    }
  }

  void judge(const char* fate, const std::optional<Outcome>& outcome) {
    if (!wrong_.empty()) return;
    wrong_ = find_damage(witness_.mapping());
    if (wrong_.empty()) {
      // Who was stopped between an eviction and its count counts it when it goes on.
      const std::uint64_t late = outcome ? stop_.uncounted : 0;
      const Story story{
          stop_.model,
          operation_.step,
          outcome,
          script_->steps,
          rival_outcomes_,
          evicted() - evicted_before_ - counted_ - late,
          health().gave_up.load(std::memory_order_relaxed) - gave_up_before_,
      };
      wrong_ = find_contradiction(story, witness_.mapping(), witness_.now_ns());
    }
    if (!wrong_.empty()) wrong_ = where(fate) + wrong_;
  }

  [[nodiscard]] std::string where(const char* fate) const {
    return fmt::format("{}, {} before instruction {}, while rivals did \"{}\": ", operation_.name,
                       fate, instruction_, script_->name);
  }

  /// How long the victim's call may take once it goes on, until it is called blocked.
  static constexpr unsigned kDeadline_s = 10;

  /// Nothing returns from a call that does not end: no scope will remove the segment.
  static inline const Ordeal* in_ordeal = nullptr;
  static void on_deadline(int) {
    const std::string wrong = in_ordeal->where("stopped") + "P violated: the call did not end\n";
    (void)!::write(2, wrong.data(), wrong.size());
    ::unlink(in_ordeal->path_.c_str());
    ::_exit(1);
  }

  [[nodiscard]] bool fits(const RivalScript& script) const {
    const char* const only = std::getenv("RL_SCRIPT");
    // A caller's time is of before; whoever moves the clock meanwhile makes it one of long ago.
    const bool may_move = operation_.clock == kManual && operation_.step.kind != Step::acquire_at;
    // A step that asks more than once may bind to a policy that is undone with the script.
    const bool may_change = operation_.step.kind != Step::all_of;
    return (may_move || !script.moves_time) && (may_change || !script.changes) &&
           (only == nullptr || std::string_view(only) == script.name);
  }
  [[nodiscard]] shm::Health& health() const { return witness_.mapping().header().health; }
  [[nodiscard]] std::uint64_t evicted() const {
    return health().evicted.load(std::memory_order_relaxed);
  }
  [[nodiscard]] char* bytes() const {
    return reinterpret_cast<char*>(&witness_.mapping().header());
  }
  [[nodiscard]] std::size_t size() const { return witness_.mapping().geometry().total_bytes; }
  void restore() { std::memcpy(bytes(), snapshot_.data(), size()); }

  const Operation& operation_;
  Scratch scratch_;
  const std::string path_ = scratch_.path();
  Actor victim_;
  Actor witness_;  ///< looks at the segment with a clock of its own: the victim's stands still
  Rival rival_;
  Model model_;
  std::uint64_t evicted_before_ = 0;
  std::uint64_t gave_up_before_ = 0;

  AtStop stop_;                ///< what the snapshot shows
  std::uint64_t counted_ = 0;  ///< of the victim's evictions, in the snapshot
  std::uint64_t instruction_ = ~std::uint64_t{0};
  std::vector<RivalScript>::const_iterator script_;
  std::vector<char> snapshot_;
  std::vector<Outcome> rival_outcomes_;
  Outcome outcome_;
  std::string wrong_;
  Tried tried_;
};

TEST_CASE("A_P_S_an_operation_may_be_killed_or_stopped_at_every_instruction") {
  if (!can_step()) {
    MESSAGE("skipped: stepping needs x86-64 and no sanitizer");
    return;
  }
  const char* const only = std::getenv("RL_OPERATION");
  Tried total;
  for (const Operation& operation : operations()) {
    if (only != nullptr && std::string_view(only) != operation.name) continue;
    Tried tried;
    step_under(operation.algorithm);
    const std::string wrong = Ordeal(operation).run(tried);
    CHECK(wrong == "");
    CHECK(tried.instructions > 100);
    MESSAGE(std::string(operation.name)
            << ": " << tried.instructions << " instructions, stopped " << tried.stopped
            << " times; " << tried.states << " states, killed " << tried.killed << " times");
    total += tried;
  }
  CHECK(total.states > 0);
  MESSAGE("in all: " << total.instructions << " instructions, stopped " << total.stopped
                     << " times; " << total.states << " states, killed " << total.killed
                     << " times");
}

}  // namespace
}  // namespace rl::test
