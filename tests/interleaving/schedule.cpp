#include "tests/interleaving/schedule.hpp"

namespace rl::test {

void Schedule::begin(Random& random, int actors) {
  random_ = &random;
  count_ = actors;
  alone_ = kNobody;
  abandoned_ = false;
  chooser_ = nullptr;
  steps_ = 0;
  killed_ = stopped_ = 0;
  actors_.fill({});
  lowest_ = 1'000;
  for (int i = 0; i < actors; ++i) at(i).priority = lowest_ + random_->below(1'000'000);
  const std::uint64_t way = random_->below(4);
  way_ = way == 0 ? Way::coin : way == 1 ? Way::runs : Way::priorities;
  run_length_ = 2 + random_->below(40);
  const std::uint64_t reach = 40U << random_->below(5);
  for (std::uint64_t& change : change_at_) change = random_->below(reach);
}

void Schedule::draw_fates() {
  for (int i = 0; i < count_; ++i) {
    const std::uint64_t reach = 20U << random_->below(5);
    if (random_->one_in(6)) at(i).kill_at = random_->below(reach);
    if (random_->one_in(3)) at(i).stop_at = random_->below(reach);
    at(i).stop_steps = 50U << random_->below(6);
  }
}

void Schedule::start(int actor, std::function<void()> body) {
  at(actor).ended = false;
  fibers_.start(actor, [this, actor, body = std::move(body)] {
    body();
    at(actor).ended = true;
  });
}

void Schedule::run() {
  for (int next; !abandoned_ && (next = choose()) != kNobody;) fibers_.switch_to(next);
}

void Schedule::yield() {
  const int self = running();
  ++steps_;
  ++at(self).accesses;
  if (alone_ == self) return;
  meet_fate(self);
  const int next = choose();
  if (next != self) fibers_.switch_to(next);
}

void Schedule::abandon() {
  abandoned_ = true;
  fibers_.switch_to(kNobody);
}

void Schedule::meet_fate(int actor) noexcept {
  Actor& a = at(actor);
  if (a.accesses > a.kill_at) {
    a.dead = true;
    ++killed_;
  } else if (a.accesses > a.stop_at) {
    a.stop_at = kNever;
    a.sleeps_until = steps_ + a.stop_steps;
    ++stopped_;
  }
}

void Schedule::wake_all_if_nobody_can_run() noexcept {
  for (int i = 0; i < count_; ++i) {
    if (can_run(i)) return;
  }
  for (int i = 0; i < count_; ++i) at(i).sleeps_until = 0;
}

int Schedule::choose() {
  if (chooser_) return chooser_();
  if (alone_ != kNobody) return alone_;
  wake_all_if_nobody_can_run();
  if (way_ == Way::priorities) return choose_by_priority();
  const int self = running();
  if (way_ == Way::runs && self != kNobody && can_run(self) && !random_->one_in(run_length_)) {
    return self;
  }
  return choose_any();
}

int Schedule::choose_any() noexcept {
  std::array<int, kActorsMax> able{};
  int count = 0;
  for (int i = 0; i < count_; ++i) {
    if (can_run(i)) able[static_cast<std::size_t>(count++)] = i;
  }
  return count == 0 ? kNobody : able[static_cast<std::size_t>(random_->pick(count))];
}

int Schedule::choose_by_priority() noexcept {
  int best = kNobody;
  for (int i = 0; i < count_; ++i) {
    if (can_run(i) && (best == kNobody || at(i).priority > at(best).priority)) best = i;
  }
  for (std::uint64_t& change : change_at_) {
    if (best == kNobody || change > steps_) continue;
    change = kNever;
    at(best).priority = --lowest_;  // below everybody, until that is true of all the others
    return choose_by_priority();
  }
  return best;
}

}  // namespace rl::test
