#include "tests/stepping/steps.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "src/core.hpp"

namespace rl::test {
namespace {

constexpr const char* kPolicy = "api";

Algorithm algorithm = Algorithm::token_bucket;

std::string text_of(char key) {
  return std::string("key-") + key;
}

/// Reads the policy that a member is under.
Parameters parameters_of(const shm::Mapping& mapping, shm::SlotWords words) {
  const auto constants = shm::PolicyTable(mapping).read(shm::policy_of(words.tag));
  return policy_from(constants.value()).value().parameters;
}

}  // namespace

bool decides(const Step& step) {
  return step.kind == Step::acquire || step.kind == Step::peek || step.kind == Step::charge ||
         step.kind == Step::reserve || step.kind == Step::batch || step.kind == Step::acquire_at ||
         step.kind == Step::acquire_for;
}

bool inserts(const Step& step) {
  return (decides(step) && step.kind != Step::peek) || step.kind == Step::settle ||
         step.kind == Step::set_remaining;
}

std::string to_string(const Step& step) {
  constexpr const char* kNames[] = {
      "acquire",       "peek",          "reset",  "reset_all",  "reap",        "advance",
      "die_inserting", "publish",       "change", "refund",     "charge",      "reserve",
      "settle",        "set_remaining", "batch",  "acquire_at", "acquire_for", "all_of"};
  return fmt::format("{}({}, {})", kNames[step.kind], step.key, step.amount);
}

std::string to_string(const Outcome& outcome) {
  return fmt::format("{} ({}), {} left", outcome.allowed ? "allowed" : "denied",
                     rl::to_string(outcome.reason), outcome.remaining);
}

void step_under(Algorithm chosen) {
  algorithm = chosen;
}

Limit stepped_limit() {
  const std::chrono::nanoseconds day(kIntervalNs);
  switch (algorithm) {
    case Algorithm::leaky:
      return Limit::leaky(1, day, kBurst - 1);
    case Algorithm::fixed_window:
      return Limit::fixed_window(kBurst, day);
    case Algorithm::sliding_window:
      return Limit::sliding_window(kBurst, day);
    default:
      return Limit::per(1, day).burst(kBurst);
  }
}

std::uint64_t owed(const shm::Mapping& mapping, char key, std::uint64_t now_ns) {
  const shm::Table<shm::Slot> table = mapping.table();
  const std::uint64_t index = table.find(hash_of(mapping, key));
  if (index == table.kNowhere) return 0;
  const shm::SlotWords words = table.slot(index).words();
  return tokens_owed(parameters_of(mapping, words), words.state, now_ns);
}

shm::KeyHash hash_of(const shm::Mapping& mapping, char key) {
  const std::string text = text_of(key);
  return shm::KeyHash::from(hasher_for(mapping, kPolicy)(text.data(), text.size()));
}

Actor::Actor(const std::string& segment)
    : name_(segment),
      segment_(Segment::open(segment)),
      api_(segment_.limiter(kPolicy, stepped_limit())),
      raw_(shm::Mapping::attach(segment_.path(), shm::Access::read_write, false)) {}

void Actor::reopen() {
  segment_ = Segment::open(name_);
  api_ = segment_.limiter(kPolicy);
}

void Actor::bind_anew() {
  api_ = segment_.limiter(kPolicy);
}

std::uint64_t Actor::now_ns() const {
  return static_cast<std::uint64_t>(segment_.now().time_since_epoch().count());
}

Outcome Actor::act(const Step& step) {
  const auto outcome_of = [](const Decision& d) {
    return Outcome{d.allowed, d.reason, d.remaining};
  };
  // No text is made here: a step may be one that is stepped, and allocates nothing.
  const char text[] = {'k', 'e', 'y', '-', step.key};
  const std::string_view key(text, sizeof text);
  switch (step.kind) {
    case Step::acquire: {
      const Decision d = api_.try_acquire(key, step.amount);
      if (first_.charged == 0) first_ = d;
      return outcome_of(d);
    }
    case Step::acquire_at:
      return outcome_of(api_.try_acquire_at(segment_.now(), key, step.amount));
    case Step::acquire_for:
      return outcome_of(api_.acquire_for(key, step.amount, std::chrono::nanoseconds(0)));
    case Step::peek:
      return outcome_of(api_.peek(key, step.amount));
    case Step::reset:
      (void)api_.reset(key);
      break;
    case Step::reset_all:
      (void)segment_.reset_all();
      break;
    case Step::reap:
      reap();
      break;
    case Step::advance:
      segment_.advance_clock(std::chrono::nanoseconds(step.amount * kIntervalNs));
      break;
    case Step::die_inserting:
      die_inserting(step.key, step.amount == 1);
      break;
    case Step::publish:
      publish(step.key);
      break;
    case Step::change:
      change();
      break;
    case Step::refund: {
      Decision given = first_;  // a step is taken again and again
      (void)api_.refund(key, given);
      break;
    }
    case Step::charge:
      return outcome_of(api_.charge(key, step.amount));
    case Step::reserve:
      return outcome_of(api_.reserve(key, step.amount, Instant::max()));
    case Step::settle: {
      Decision held = first_;
      return {api_.settle(key, held, step.amount), Reason::ok, 0};
    }
    case Step::set_remaining:
      return {api_.set_remaining(key, step.amount), Reason::ok, 0};
    case Step::batch: {
      Decision d;
      api_.try_acquire_batch({&key, 1}, {&d, 1}, step.amount);
      return outcome_of(d);
    }
    case Step::all_of: {
      const char partner[] = {'k', 'e', 'y', '-', kPartner};
      const AllOf all =
          rl::all_of({{api_, key, step.amount}, {api_, {partner, sizeof partner}, step.amount}});
      return {all.decision.allowed, all.decision.reason,
              all.each[0].remaining + kPartnersUnit * all.each[1].remaining};
    }
  }
  return {true, Reason::ok, 0};
}

void Actor::reap() {
  const shm::Table<shm::Slot> table = raw_.table();
  const std::uint64_t now = now_ns();
  for (std::uint64_t i = 0; i < table.slot_count(); ++i) {
    (void)table.free_if(i, [&](shm::SlotWords words) {
      return shm::is_member(words.tag) && is_idle(parameters_of(raw_, words), words.state, now);
    });
  }
}

/// What Segment::limiter does to the segment; all that it does besides is to its own process.
void Actor::publish(char key) {
  const char name[] = {'p', 'o', 'l', 'i', 'c', 'y', '-', key};
  (void)shm::PolicyTable(raw_).find_or_publish(constants_of(stepped_limit(), {now_ns(), 1, 0}),
                                               {name, sizeof name});
}

/// What Segment::set_policy does to the segment: a limit that differs in what it leaves to calls of
/// low priority, so that keys owe after it what they owed before, under another tag.
void Actor::change() {
  const shm::PolicyTable policies(raw_);
  const std::uint16_t root = policies.find(kPolicy);
  std::uint16_t replaced = 0;
  (void)policies.succeed(root, kPolicy, [&](std::uint16_t last) {
    replaced = last;
    shm::PolicyConstants constants = policies.read(last).value();
    constants.floor_percent = constants.floor_percent == 0 ? 20 : 0;
    return std::optional(constants);
  });
  (void)policies.date(replaced, now_ns());
}

/// The nonce is one that no seat gives: the process that is played never had a seat.
void Actor::die_inserting(char key, bool last) {
  const shm::Table<shm::Slot> table = raw_.table();
  const shm::KeyHash hash = hash_of(raw_, key);
  const shm::CandidateList list = table.candidates(hash);
  const shm::SlotWords claim{shm::make_tag(hash.identity, 0),
                             0x8000'0000'0000'0000U | (last ? 2U : 1U)};
  for (int i = 0; i < list.kSize; ++i) {
    shm::Slot& slot = table.slot(list.slot_at(last ? list.kSize - 1 - i : i));
    if (slot.compare_exchange({}, claim)) return;
  }
}

Outcome Model::act(const Step& step) {
  const std::uint64_t asked = step.amount * kIntervalNs;
  std::uint64_t& tat = tat_ns_[step.key];
  switch (step.kind) {
    case Step::acquire:
    case Step::batch:
    case Step::acquire_at:
    case Step::acquire_for:
    case Step::peek:
    case Step::charge:
    case Step::reserve:
      return decide(step);
    case Step::reset:
      evict(step.key);
      break;
    case Step::reset_all:
      tat_ns_.clear();
      fading_ns_.clear();
      break;
    case Step::advance:
      advance(asked);
      break;
    case Step::refund:
      give_back(step.key, asked);
      break;
    case Step::settle: {
      const std::uint64_t held = first_[step.key].cost_ns;
      if (asked < held) give_back(step.key, held - asked);
      if (asked > held) tat = now_ns_ + debt_ns(step.key) + asked - held;
      break;
    }
    case Step::set_remaining:
      fading_ns_[step.key] = 0;
      tat = now_ns_ + kBurst * kIntervalNs - std::min(asked, kBurst * kIntervalNs);
      break;
    case Step::all_of: {
      Model both = *this;
      const Outcome mine = both.act({Step::acquire, step.key, step.amount});
      const Outcome partners = both.act({Step::acquire, kPartner, step.amount});
      if (mine.allowed && partners.allowed) *this = both;
      return {mine.allowed && partners.allowed, mine.allowed ? partners.reason : mine.reason,
              mine.remaining + kPartnersUnit * partners.remaining};
    }
    case Step::reap:
    case Step::die_inserting:
    case Step::publish:
    case Step::change:
      break;  // worth nothing to anybody
  }
  return {true, Reason::ok, 0};
}

Outcome Model::decide(const Step& step) {
  const std::uint64_t asked = step.amount * kIntervalNs;
  const std::uint64_t debt = debt_ns(step.key);
  const bool may_wait = step.kind == Step::reserve && algorithm == Algorithm::token_bucket;
  const bool must_wait =
      step.kind == Step::acquire_for && algorithm == Algorithm::leaky && debt != 0;
  const bool fits = !must_wait && debt + asked <= (may_wait ? 2 : 1) * kBurst * kIntervalNs;
  if (step.kind == Step::peek) return {fits, fits ? Reason::ok : Reason::limited, left(step.key)};
  if (step.kind != Step::charge) {
    if (step.amount > kBurst) return {false, Reason::never, left(step.key)};
    if (!fits) return {false, Reason::limited, left(step.key)};
  }
  tat_ns_[step.key] = now_ns_ + debt + asked;
  if (step.kind == Step::acquire)
    first_.try_emplace(step.key, First{asked, now_ns_ + debt + asked});
  return {true, Reason::ok, left(step.key)};
}

/// Windows are intervals, and the clock is always at the beginning of one.
void Model::advance(std::uint64_t ns) {
  const bool counts_by_windows = rl::counts_by_windows(algorithm);
  for (auto& [key, tat_ns] : tat_ns_) {
    const std::uint64_t counted = debt_ns(key) - fading_ns_[key];
    const bool fades = algorithm == Algorithm::sliding_window && ns == kIntervalNs;
    if (counts_by_windows) fading_ns_[key] = fades ? counted : 0;
  }
  now_ns_ += ns;
  if (!counts_by_windows) return;
  for (auto& [key, tat_ns] : tat_ns_) tat_ns = now_ns_ + fading_ns_[key];
  for (auto& [key, first] : first_) first.charged_ns = 0;
}

/// A leaky bucket takes back the last place in line only, a window what was counted in it.
void Model::give_back(char key, std::uint64_t most_ns) {
  const std::uint64_t charged = first_[key].charged_ns;
  if (algorithm == Algorithm::leaky && charged != tat_ns_[key]) return;
  tat_ns_[key] -= std::min(
      {most_ns, debt_ns(key) - fading_ns_[key], charged > now_ns_ ? charged - now_ns_ : 0});
}

std::uint64_t Model::debt_ns(char key) const {
  const auto at = tat_ns_.find(key);
  return at != tat_ns_.end() && at->second > now_ns_ ? at->second - now_ns_ : 0;
}

std::uint64_t Model::left(char key) const {
  const std::uint64_t all = kBurst * kIntervalNs;
  return (all - std::min(debt_ns(key), all)) / kIntervalNs;
}

/// All of it, as far as a bucket's horizon goes: what passes at once, and as much again.
std::uint64_t Model::owed(char key) const {
  const std::uint64_t tokens = (debt_ns(key) + kIntervalNs - 1) / kIntervalNs;
  return rl::counts_by_windows(algorithm) ? tokens : std::min(tokens, 2 * kBurst);
}

std::set<char> Model::debtors(char but) const {
  std::set<char> all;
  for (const auto& [key, tat_ns] : tat_ns_) {
    if (key != but && tat_ns > now_ns_) all.insert(key);
  }
  return all;
}

}  // namespace rl::test
