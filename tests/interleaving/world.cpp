#include "tests/interleaving/world.hpp"

#include <fmt/format.h>

#include <cstdio>

namespace rl::test {

using shm::identity_of;
using shm::is_member;
using shm::make_tag;
using shm::policy_of;
using shm::SlotWords;
using shm::Standing;
using shm::Transition;
using shm::Update;

namespace {

constexpr std::uint16_t kPolicy = Oracle::kPolicy;
constexpr std::uint16_t kStickyPolicy = Oracle::kStickyPolicy;

/// A call on a token bucket, as TokenRules of src/rules.hpp: the clock is read after the slot.
class CallRules {
 public:
  CallRules(World& world, int actor, std::uint64_t cost) noexcept
      : world_(world), actor_(actor), cost_(cost) {}

  Transition step(std::uint16_t policy, std::uint64_t state) noexcept {
    const std::uint64_t now = world_.read_clock();
    const bool heals = is_beyond_horizon(bucket(), state, now);
    if (heals) state = horizon(bucket(), now);
    return propose(policy, state, now, heals);
  }
  /// The first look (first_step of src/rules.hpp).
  Transition first_step(std::uint16_t policy, std::uint64_t state) noexcept {
    const std::uint64_t now = world_.read_clock();
    if (is_beyond_horizon(bucket(), state, now)) return {Transition::pass, policy, state};
    return propose(policy, state, now, false);
  }
  Transition first() noexcept { return step(kPolicy, 0); }
  Transition idle() noexcept {
    const std::uint64_t now = world_.read_clock();
    world_.oracle.propose(actor_, now, false);
    return {Transition::store, kPolicy, now};
  }
  void begin_judging() noexcept { judged_at_ = world_.read_clock(); }
  Standing judge(std::uint16_t policy, std::uint64_t state) noexcept {
    if (policy == kStickyPolicy) return Standing::sticky;
    return debt_ns(state, judged_at_) == 0 ? Standing::idle : Standing::owing;
  }
  std::uint64_t tokens_owed(std::uint16_t, std::uint64_t state) noexcept {
    return rl::tokens_owed(bucket(), state, judged_at_);
  }
  bool may_evict() noexcept { return world_.scene.evicts; }
  std::uint64_t nonce() noexcept { return world_.next_nonce(actor_); }
  void on_evicted() noexcept { world_.oracle.on_evicted(actor_); }
  void on_idle_overwritten() noexcept {}
  void on_tentative_freed() noexcept {}

  [[nodiscard]] bool allowed() const noexcept { return verdict_.allowed; }

 private:
  [[nodiscard]] const TokenBucket& bucket() const noexcept { return world_.scene.bucket; }
  Transition propose(std::uint16_t policy, std::uint64_t state, std::uint64_t now, bool heals) {
    verdict_ = rl::acquire(bucket(), state, now, cost_);
    world_.oracle.propose(actor_, now, verdict_.allowed);
    return {verdict_.allowed || heals ? Transition::store : Transition::keep, policy,
            verdict_.state};
  }

  World& world_;
  int actor_;
  std::uint64_t cost_;
  std::uint64_t judged_at_ = 0;
  rl::Verdict verdict_{};
};

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
    : oracle(drawn.bucket, drawn.now_ns, evidence),
      table(pairs_.data(), pairs_.size()),
      scene(drawn),
      schedule_(schedule),
      random_(random),
      traces_(traces) {
  current_ = this;
}

/// In a table of two pairs every key has all of the slots, each key in an order of its own.
shm::KeyHash World::hash_of(std::uint64_t identity) noexcept {
  Random random(identity);
  return {identity, random.next(), static_cast<std::uint32_t>(random.below(4))};
}

void World::furnish() {
  if (random_.one_in(3)) return furnish_narrowly();
  constexpr std::uint64_t kFreeIn16[] = {16, 12, 3, 1, 0};
  const std::uint64_t free_in_16 = kFreeIn16[random_.below(5)];
  for (std::uint64_t slot = 0; slot < kSlots; ++slot) {
    if (random_.below(16) >= free_in_16) furnish(slot);
  }
  if (random_.one_in(4)) {  // and sometimes key 1 is there
    const std::uint64_t slot = random_.below(kSlots);
    const std::uint64_t tat = scene.now_ns + random_.below(scene.bucket.tolerance_ns + 1);
    table.slot(slot).raw() = {make_tag(1, kPolicy), tat};
    oracle.owes(1, tat);
    oracle.owes(kBystander + slot, 0);
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
  } else {
    const std::uint64_t owed = kind < 13 ? 0 : 1 + random_.below(scene.bucket.tolerance_ns);
    words = {make_tag(bystander, kPolicy), scene.now_ns + owed};
    oracle.owes(bystander, scene.now_ns + owed);
  }
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
      (void)acquire(actor, identity, 1 + random_.below(most));
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

/// As `decide` in src/limiter.cpp: a look at home, then the whole protocol.
Verdict World::acquire(int actor, std::uint64_t identity, std::uint64_t cost) {
  if (traces_) say(fmt::format("calls on key {} for {}", identity, cost));
  oracle.begin_call(actor, identity, cost);
  const shm::KeyHash hash = hash_of(identity);
  const std::uint64_t tag = make_tag(identity, kPolicy);
  CallRules rules(*this, actor, cost);
  const std::uint64_t index = table.find_at_home(hash, tag);
  Update update{Update::decided, index, true, false};
  const auto first_step = [&](std::uint16_t policy, std::uint64_t state) noexcept {
    return rules.first_step(policy, state);
  };
  if (index == table.kNowhere || !table.try_step(index, tag, first_step)) {
    update = table.update(hash, rules);
  }
  Verdict verdict = rules.allowed() ? Verdict::allowed : Verdict::denied;
  if (update.outcome == Update::full) verdict = Verdict::full;
  if (update.outcome == Update::gave_up) verdict = Verdict::gave_up;
  if (traces_) say(fmt::format("call ends: {}", static_cast<int>(verdict)));
  oracle.end_call(actor, verdict, schedule_.is_alone(actor));
  schedule_.let_all_go();
  stop_if_violated();
  return verdict;
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
  CallRules rules(*this, actor, 1);
  for (std::uint64_t i = first; i < std::min(first + count, kSlots); ++i) {
    rules.begin_judging();
    table.free_if(i, [&](SlotWords words) {
      return is_member(words.tag) &&
             rules.judge(policy_of(words.tag), words.state) == Standing::idle;
    });
  }
}

void World::advance(std::uint64_t ns) {
  before_access("turns the clock", nullptr);
  oracle.advance(ns);
}

std::uint64_t World::read_clock() {
  before_access("reads the clock", nullptr);
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
  std::array<SlotWords, kSlots> before;
  std::size_t index = 0;
  for (std::size_t i = 0; i < kSlots; ++i) {
    before[i] = table.slot(i).raw();
    if (&table.slot(i) == &slot) index = i;
  }
  slot.raw() = desired;
  if (traces_) say(fmt::format("  done: {}", text_of(desired)));
  oracle.on_swap(schedule_.running(), index, expected, desired, before);
  stop_if_violated();
  return true;
}

/// A run that went wrong ends there: what follows would only hide it.
void World::stop_if_violated() {
  if (!oracle.violation().empty()) schedule_.abandon();
}

std::string World::name_of(const WatchedSlot& slot) const {
  std::uint64_t index = 0;
  while (&table.slot(index) != &slot) ++index;
  return fmt::format("slot {} ({})", index, text_of(table.slot(index).raw()));
}

void World::say(const std::string& what) const {
  std::printf("%6llu  %10llu ns  actor %d  %s\n",
              static_cast<unsigned long long>(schedule_.steps()),
              static_cast<unsigned long long>(oracle.now_ns() - scene.now_ns), schedule_.running(),
              what.c_str());
}

}  // namespace rl::test
