#include "tests/interleaving/world.hpp"

#include <fmt/format.h>

#include <cstdio>

namespace rl::test {

using shm::identity_of;
using shm::is_member;
using shm::make_tag;
using shm::policy_of;
using shm::SlotWords;
using shm::Transition;
using shm::Update;

namespace {

using CallBinding = CallView::Binding;

constexpr std::uint16_t kPolicy = Oracle::kPolicy;
constexpr std::uint16_t kStickyPolicy = Oracle::kStickyPolicy;

/// The rules of production, which tell the oracle what they propose.
template <class Time>
class WatchedRules : public CallRules<Time, Acquire, CallBinding> {
 public:
  using Production = CallRules<Time, Acquire, CallBinding>;
  WatchedRules(const CallBinding& binding, const Time& time, std::uint64_t cost) noexcept
      : Production(binding, time, Acquire{cost}),
        oracle_(binding.view->participant.world.oracle),
        actor_(binding.view->participant.actor) {}

  Transition step(std::uint16_t policy, std::uint64_t state) noexcept {
    const Transition next = Production::step(policy, state);
    oracle_.propose(actor_, this->verdict().allowed);
    return next;
  }
  Transition first() noexcept {
    const Transition next = Production::first();
    oracle_.propose(actor_, this->verdict().allowed);
    return next;
  }
  Transition idle() noexcept {
    oracle_.propose(actor_, false);
    return Production::idle();
  }

 private:
  Oracle& oracle_;
  int actor_;
};

Verdict told_by(const rl::Verdict& verdict) noexcept {
  return verdict.allowed ? Verdict::allowed : Verdict::denied;
}

std::string text_of(SlotWords words) {
  if (is_free(words)) return "free";
  if (shm::is_tentative(words.tag)) {
    return fmt::format("tentative of key {}, nonce {}.{}", identity_of(words.tag),
                       words.state >> 48, words.state & shm::kIdentityMask);
  }
  return fmt::format("key {} policy {} tat {}", identity_of(words.tag), policy_of(words.tag),
                     words.state);
}

}  // namespace

std::uint64_t WatchedClock::now() const noexcept {
  return world->read_clock();
}

std::uint64_t CallView::Participant::nonce() noexcept {
  return world.next_nonce(actor);
}
void CallView::Evictions::fetch_add(std::uint64_t, std::memory_order) noexcept {
  world.oracle.on_evicted(actor);
}
void CallView::Overwrites::fetch_add(std::uint64_t, std::memory_order) noexcept {
  world.oracle.on_idle_overwritten(actor);
}

/// The sticky policy is a newer library's: whole, and of an algorithm that this one does not know.
KnownPolicy CallView::Known::find(std::uint16_t id, std::optional<Policy>&) const noexcept {
  if (id == kPolicy) return {&world.policy(), false};
  return {nullptr, id != kStickyPolicy};
}

std::uint64_t WatchedSlot::tag() const {
  World::current().before_access("reads the tag of", this);
  return words_.tag;
}

SlotWords WatchedSlot::words() const {
  World::current().before_access("reads the tag of", this);
  const SlotWords seen = words_;
  World::current().before_access("reads the state of", this);
  if (seen != words_) ++World::current().oracle.seen.torn;
  return {seen.tag, words_.state};
}

bool WatchedSlot::compare_exchange(SlotWords expected, SlotWords desired) {
  return World::current().swap(*this, expected, desired);
}

World::World(Schedule& schedule, Random& random, const Scene& drawn, Evidence& evidence,
             bool traces)
    : oracle(drawn.bucket, drawn.evicts, drawn.now_ns, evidence),
      table(pairs_.data(), pairs_.size()),
      scene(drawn),
      schedule_(schedule),
      random_(random),
      traces_(traces),
      policy_{drawn.bucket,
              Limit::per_second(1).when_full(drawn.evicts ? WhenFull::evict : WhenFull::deny)} {
  current_ = this;
}

/// In a table of two pairs every key has all of the slots, each key in an order of its own.
shm::KeyHash World::hash_of(std::uint64_t identity) noexcept {
  Random random(identity);
  return {identity, random.next(), static_cast<std::uint32_t>(random.below(4))};
}

void World::furnish() {
  random_.one_in(3) ? furnish_narrowly() : furnish_widely();
  for (std::uint64_t slot = 0; slot < kSlots; ++slot) oracle.furnish(slot, table.slot(slot).raw());
}

void World::furnish_widely() {
  constexpr std::uint64_t kFreeIn16[] = {16, 12, 3, 1, 0};
  const std::uint64_t free_in_16 = kFreeIn16[random_.below(5)];
  for (std::uint64_t slot = 0; slot < kSlots; ++slot) {
    if (random_.below(16) >= free_in_16) furnish(slot);
  }
  if (random_.one_in(4)) {  // and sometimes key 1 is there
    const std::uint64_t slot = random_.below(kSlots);
    const std::uint64_t owed = random_.below(scene.bucket.tolerance_ns + 1);
    const std::uint64_t tat = random_.one_in(8) ? damaged_state() : scene.now_ns + owed;
    table.slot(slot).raw() = {make_tag(1, kPolicy), tat};
    is_sticky_[slot] = false;
  }
}

/// Leaves so few slots that the same ones change hands again and again.
void World::furnish_narrowly() {
  const std::uint64_t places = random_.one_in(2) ? 1 : 2 + random_.below(2);
  for (std::uint64_t slot = 0; slot < kSlots; ++slot) {
    table.slot(slot).raw() = {make_tag(kBystander + slot, kStickyPolicy), 1};
    is_sticky_[slot] = true;
  }
  for (std::uint64_t i = 0; i < places; ++i) {
    const std::uint64_t slot = random_.below(kSlots);
    table.slot(slot).raw() = {};
    if (random_.one_in(3)) table.slot(slot).raw() = {make_tag(1, 0), next_nonce(kDeadSeat)};
  }
}

void World::furnish(std::uint64_t slot) {
  const std::uint64_t bystander = kBystander + slot;
  SlotWords& words = table.slot(slot).raw();
  const std::uint64_t kind = random_.below(32);
  if (kind == 0) {
    words = {kPolicy, 12'345};  // corrupt: no identity
  } else if (kind == 1) {
    words = {make_tag(bystander, kStickyPolicy), 1};
    is_sticky_[slot] = true;
  } else if (kind < 5) {
    words = {make_tag(1 + random_.below(kKeys), 0), next_nonce(kDeadSeat)};
  } else if (kind < 8) {
    words = {make_tag(bystander, 0), next_nonce(kDeadSeat)};
  } else if (kind == 8) {
    words = {make_tag(bystander, kPolicy), damaged_state()};
  } else {
    const std::uint64_t owed = kind < 13 ? 0 : 1 + random_.below(scene.bucket.tolerance_ns);
    words = {make_tag(bystander, kPolicy), scene.now_ns + owed};
  }
}

/// A state that no call can have left; or just not so far ahead, or not for long.
std::uint64_t World::damaged_state() {
  const std::uint64_t edge = scene.now_ns + scene.bucket.horizon_ns + kHealSlackNs;
  const std::uint64_t states[] = {edge, edge + 1, edge + draw_time(), std::uint64_t{1} << 63};
  return states[random_.below(4)];
}

std::uint64_t World::draw_identity() {
  const std::uint64_t draw = random_.below(16);
  if (draw < 12) return 1;
  if (draw < 15) return draw - 10;
  const std::uint64_t slot = random_.below(kSlots);
  return is_sticky_[slot] ? 1 : kBystander + slot;
}

std::uint64_t World::draw_time() {
  const TokenBucket& bucket = scene.bucket;
  const std::uint64_t times[] = {1, bucket.interval_ns / 2, bucket.interval_ns, bucket.tolerance_ns,
                                 bucket.tolerance_ns + bucket.interval_ns};
  return times[random_.below(5)];
}

void World::play(int actor) {
  for (int i = 0; i < scene.calls; ++i) {
    const std::uint64_t draw = random_.below(16);
    if (draw < 10 || (i == 0 && actor < 2)) {
      const std::uint64_t most = std::min<std::uint64_t>(2, scene.bucket.burst);
      const std::uint64_t identity = draw_identity();
      const std::uint64_t cost = 1 + random_.below(most);
      if (!scene.callers_times || random_.one_in(2)) {
        (void)acquire(actor, identity, cost);
      } else {
        acquire_at_a_callers_time(actor, identity, cost);
      }
    } else if (draw < 12) {
      advance(draw_time());
    } else if (draw < 13) {  // all that is owed is paid, and nothing is left of it
      advance(scene.bucket.tolerance_ns);
      reap(actor, 0, kSlots);
    } else if (draw < 15 || !scene.resets) {
      const std::uint64_t first = random_.below(kSlots);
      reap(actor, first, 1 + random_.below(kSlots));
    } else {
      reset(actor, draw_identity());
    }
  }
}

Verdict World::acquire(int actor, std::uint64_t identity, std::uint64_t cost) {
  oracle.begin_call(actor, identity, cost, 0);
  return decide(actor, identity, cost, OwnTimeOn<WatchedClock>{&clock_});
}

/// Ahead of the clock, so far that it stays ahead for the whole run: a key's slot may be freed when
/// it is idle by the clock, and a time that falls behind would then find the key anew. Or long ago,
/// for more than the burst: that charges nothing.
void World::acquire_at_a_callers_time(int actor, std::uint64_t identity, std::uint64_t cost) {
  constexpr std::uint64_t kAheadNs = 1'000'000;
  const bool is_ahead = !random_.one_in(4);
  const std::uint64_t ns = is_ahead ? scene.now_ns + kAheadNs + draw_time() : draw_time();
  if (!is_ahead) cost = scene.bucket.burst + 1;
  oracle.begin_call(actor, identity, cost, ns);
  (void)decide(actor, identity, cost, CallersTimeOn<WatchedClock>{&clock_, ns});
}

/// As `decide` in src/limiter.cpp: a look at home and beyond, again there among rivals, then the whole protocol.
template <class Time>
Verdict World::decide(int actor, std::uint64_t identity, std::uint64_t cost, Time time) {
  if (traces_) say(fmt::format("calls on key {} for {}", identity, cost));
  const shm::KeyHash hash = hash_of(identity);
  const std::uint64_t tag = make_tag(identity, kPolicy);
  const auto seen = table.look(hash, tag);
  CallView view(*this, actor);
  const CallBinding binding{&view, kPolicy, policy_};
  rl::Verdict verdict{};
  const auto step = [&](std::uint16_t policy, std::uint64_t state) noexcept {
    const Transition next = first_step(scene.bucket, binding, time, policy, state, cost, verdict);
    oracle.propose(actor, verdict.allowed);
    return next;
  };
  std::uint32_t lost = 0;
  const bool decided =
      seen.words.tag == tag &&
      (table.try_step(seen, step) || table.step_among_rivals(*seen.cell, tag, lost, step));
  const Verdict told = decided ? told_by(verdict) : decide_with_retries(actor, hash, cost, time);
  if (traces_) say(fmt::format("call ends: {}", static_cast<int>(told)));
  oracle.end_call(actor, told, schedule_.is_alone(actor));
  schedule_.let_all_go();
  stop_if_violated();
  return told;
}

template <class Time>
Verdict World::decide_with_retries(int actor, const shm::KeyHash& hash, std::uint64_t cost,
                                   Time time) {
  CallView view(*this, actor);
  const CallBinding binding{&view, kPolicy, policy_};
  WatchedRules<Time> rules(binding, time, cost);
  const Update update = table.update(hash, rules);
  if (update.outcome == Update::full) return Verdict::full;
  if (update.outcome == Update::gave_up) return Verdict::gave_up;
  return rules.is_unavailable() ? Verdict::unavailable : told_by(rules.verdict());
}

void World::reset(int actor, std::uint64_t identity) {
  oracle.begin_reset(actor, identity);
  const std::uint64_t index = table.find(hash_of(identity));
  if (index != table.kNowhere) {
    table.free_if(index, [&](SlotWords words) { return shm::is_member_of(words.tag, identity); });
  }
  oracle.end_reset(actor);
}

/// Frees what is idle, as a reaper would.
void World::reap(int actor, std::uint64_t first, std::uint64_t count) {
  CallView view(*this, actor);
  const CallBinding binding{&view, kPolicy, policy_};
  CallRules<OwnTimeOn<WatchedClock>, Acquire, CallBinding> rules(binding, {&clock_}, {1});
  for (std::uint64_t i = first; i < std::min(first + count, kSlots); ++i) {
    rules.begin_judging();
    table.free_if(i, [&](SlotWords words) {
      return is_member(words.tag) &&
             rules.judge(policy_of(words.tag), words.state) == shm::Standing::idle;
    });
  }
}

void World::advance(std::uint64_t ns) {
  before_access("turns the clock", nullptr);
  oracle.advance(ns);
}

std::uint64_t World::read_clock() {
  before_access("reads the clock", nullptr);
  oracle.on_clock_read(schedule_.running());
  return oracle.now_ns();
}

void World::before_access(const char* what, const WatchedSlot* slot) {
  const int actor = schedule_.running();
  if (schedule_.steps() >= alone_at_step && oracle.is_calling(actor)) {
    alone_at_step = Schedule::kNever;
    ++oracle.seen.left_alone;
    schedule_.leave_alone(actor);
  }
  oracle.before_access(actor, schedule_.is_alone(actor));
  stop_if_violated();
  schedule_.yield();
  if (traces_) say(slot == nullptr ? what : fmt::format("{} {}", what, name_of(*slot)));
}

bool World::swap(WatchedSlot& slot, SlotWords expected, SlotWords desired) {
  ++swaps_.at(static_cast<std::size_t>(schedule_.running()));
  before_access("swaps", &slot);
  if (slot.raw() != expected) {
    if (traces_) say(fmt::format("  failed: expected {}", text_of(expected)));
    oracle.on_failed_swap();
    return false;
  }
  slot.raw() = desired;
  if (traces_) say(fmt::format("  done: {}", text_of(desired)));
  oracle.on_swap(schedule_.running(), index_of(slot), expected, desired);
  stop_if_violated();
  return true;
}

/// A run that went wrong ends there: what follows would only hide it.
void World::stop_if_violated() {
  if (!oracle.violation().empty()) schedule_.abandon();
}

std::uint64_t World::index_of(const WatchedSlot& slot) const noexcept {
  std::uint64_t index = 0;
  while (&table.slot(index) != &slot) ++index;
  return index;
}

std::string World::name_of(const WatchedSlot& slot) const {
  const std::uint64_t index = index_of(slot);
  return fmt::format("slot {} ({})", index, text_of(table.slot(index).raw()));
}

void World::say(const std::string& what) const {
  std::printf("%6llu  %10llu ns  actor %d  %s\n",
              static_cast<unsigned long long>(schedule_.steps()),
              static_cast<unsigned long long>(oracle.now_ns() - scene.now_ns), schedule_.running(),
              what.c_str());
}

}  // namespace rl::test
