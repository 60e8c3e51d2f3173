/// \file
/// Actors of a test that take turns, on one thread: each has a stack of its own and runs until it
/// yields. Nothing else moves, so a run is told wholly by the order of the turns.
#pragma once

#include <ucontext.h>

#include <array>
#include <cstddef>
#include <functional>
#include <memory>

namespace rl::test {

/// Up to kMost fibers and the scope that runs them ("outside"). A fiber that is never resumed is
/// simply left: its stack is used anew by the next start, and its destructors do not run, as in a
/// process that was killed.
class Fibers {
 public:
  static constexpr int kMost = 4;
  static constexpr int kOutside = -1;

  void start(int fiber, std::function<void()> body) {
    Fiber& f = fibers_[static_cast<std::size_t>(fiber)];
    if (!f.stack) f.stack = std::make_unique<std::byte[]>(kStackBytes);
    f.body = std::move(body);
    ::getcontext(&f.context);
    f.context.uc_stack.ss_sp = f.stack.get();
    f.context.uc_stack.ss_size = kStackBytes;
    f.context.uc_link = &outside_;
    ::makecontext(&f.context, &Fibers::enter, 0);
  }

  /// Goes on with `next` where it was, until somebody switches back here. A fiber whose body ends
  /// goes on outside.
  void switch_to(int next) {
    const int self = running_;
    running_ = next;
    entering_ = this;
    ::swapcontext(&context_of(self), &context_of(next));
  }

  [[nodiscard]] int running() const noexcept { return running_; }

 private:
  static constexpr std::size_t kStackBytes = std::size_t{128} << 10;

  struct Fiber {
    ucontext_t context;
    std::unique_ptr<std::byte[]> stack;
    std::function<void()> body;
  };

  static void enter() {
    Fibers* const self = entering_;
    self->fibers_[static_cast<std::size_t>(self->running_)].body();
    self->running_ = kOutside;
  }
  ucontext_t& context_of(int fiber) noexcept {
    return fiber == kOutside ? outside_ : fibers_[static_cast<std::size_t>(fiber)].context;
  }

  static inline Fibers* entering_ = nullptr;
  std::array<Fiber, kMost> fibers_;
  ucontext_t outside_{};
  int running_ = kOutside;
};

}  // namespace rl::test
