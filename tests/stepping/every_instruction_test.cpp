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
/// The tables of operations and of scripts are in operations.hpp: a new operation is a line.
/// RL_OPERATION=NAME steps through that one only, RL_SCRIPT=NAME plays that one only.

#include <doctest/doctest.h>
#include <fmt/format.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <memory>

#include "tests/stepping/judge.hpp"
#include "tests/stepping/ledger.hpp"
#include "tests/stepping/operations.hpp"
#include "tests/stepping/rival.hpp"
#include "tests/stepping/steps.hpp"
#include "tests/stepping/trap_flag.hpp"
#include "tests/support.hpp"

namespace rl::test {
namespace {

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
        scratch_({.keys = 1, .clock = operation.clock, .policies = 16}),
        victim_(scratch_.name()),
        witness_(scratch_.name()),
        rival_(scratch_.name()) {
    model_.act({Step::advance, 'k', 1});  // a state of 0 is idle, whatever the clock says
    if (operation.clock == ClockSource::manual) victim_.act({Step::advance, 'k', 1});
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
    victim_.get_ready(operation.step);
    counted_before_ = calls_counted(witness_.mapping());
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
    tried_.instructions = Walk::run(operation_.first_of_handle ? Tsc::running : Tsc::frozen,
                                    is_deep() ? Visits::all : Visits::that_matter, path_);
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
      own_.assign(victim_.own_memory().begin(), victim_.own_memory().end());
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
    std::copy(own_.begin(), own_.end(), victim_.own_memory().begin());
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
    if (wrong_.empty()) {
      wrong_ = find_miscount(counted_before_, operation_.step, !outcome, script_->steps,
                             witness_.mapping());
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
    const bool may_move =
        operation_.clock == ClockSource::manual && operation_.step.kind != Step::acquire_at;
    // A step that asks more than once may bind to a policy that is undone with the script.
    const bool may_change =
        operation_.step.kind != Step::all_of && operation_.step.kind != Step::lease;
    const auto& chosen = operation_.rivals;
    const bool is_chosen =
        chosen.empty() ? !script.puts_apart && !script.repairs
                       : std::find(chosen.begin(), chosen.end(), script.name) != chosen.end();
    return is_chosen && (may_move || !script.moves_time) && (may_change || !script.changes) &&
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
  std::uint64_t counted_before_ = 0;
  std::uint64_t evicted_before_ = 0;
  std::uint64_t gave_up_before_ = 0;

  AtStop stop_;                ///< what the snapshot shows
  std::uint64_t counted_ = 0;  ///< of the victim's evictions, in the snapshot
  std::uint64_t instruction_ = ~std::uint64_t{0};
  std::vector<RivalScript>::const_iterator script_;
  std::vector<char> snapshot_;
  std::vector<char> own_;  ///< the victim's own memory, as the instruction finds it
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
  std::vector<Operation> all = operations();
  for (const auto* more : {&operations_apart(), &operations_leased()})
    all.insert(all.end(), more->begin(), more->end());
  for (const Operation& operation : all) {
    if (only != nullptr && std::string_view(only) != operation.name) continue;
    Tried tried;
    step_under(operation.algorithm, operation.bans);
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
