/// \file
/// Runs code one instruction at a time, by the CPU's trap flag, in this very process: nothing is
/// recompiled, instrumented or emulated, so what is stepped is the code that ships.
///
/// And from any instruction it runs the rest, then goes back: stack, registers and thread-local
/// variables are what they were. So one walk through N instructions tries N stops, where running
/// anew up to each would take N * N / 2 steps.
#pragma once

#include <cstdint>
#include <string>

namespace rl::test {

/// Whether stepping works here: on x86-64, and not under a sanitizer, whose own code would be
/// stepped, too.
bool can_step() noexcept;

/// Walks through a body of code. The body may write to the stack, to thread-local variables of this
/// program, and to memory that the visitor itself puts back; it must not allocate.
class Walk {
 public:
  virtual ~Walk() = default;

  /// What the time stamp counter shows to the body while it is stepped. Code that asks whether time
  /// has passed would otherwise see the time that the stepping takes. (Run from an instruction to
  /// the end, it sees the true time: as after a stop.)
  enum class Tsc { running, frozen };

  /// Before which instructions there is a visit. One that touches nothing of the shared file, asks
  /// the kernel nothing and reads no time does the same before and after whatever others do
  /// meanwhile: a stop before it is a stop before the next. So those that matter are all others, and
  /// the end of the body. They are found by taking the file's pages away: who touches them faults.
  enum class Visits { all, that_matter };

  /// Walks; returns the number of instructions, visited or not. `shared` is the path of the file that
  /// others change, whose mappings in this process are all that the body knows of it.
  std::uint64_t run(Tsc tsc, Visits visits, const std::string& shared);

 protected:
  enum class Next {
    step,    ///< execute this one instruction, and visit the next
    finish,  ///< run to the end; then finished() is called; then this instruction is visited again
    leave,   ///< run to the end, unvisited
  };

  virtual void body() = 0;
  /// Called before the instruction with this number, in the handler of the trap: the body stands
  /// still meanwhile, as if its process were stopped.
  virtual Next visit(std::uint64_t instruction) = 0;
  /// Called when the body has run to its end from an instruction.
  virtual void finished() = 0;

 private:
  friend struct Trap;
};

}  // namespace rl::test
