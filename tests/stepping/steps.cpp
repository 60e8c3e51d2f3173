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

std::string to_string(const Step& step) {
  constexpr const char* kNames[] = {"acquire", "peek",    "reset",         "reset_all",
                                    "reap",    "advance", "die_inserting", "publish",
                                    "refund",  "batch",   "all_of"};
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
    case Step::refund: {
      Decision given = first_;  // a step is taken again and again
      (void)api_.refund(key, given);
      break;
    }
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
  std::uint64_t& tat = tat_ns_[step.key];
  const std::uint64_t debt = tat > now_ns_ ? tat - now_ns_ : 0;
  const std::uint64_t left = kBurst * kIntervalNs - debt;
  const std::uint64_t asked = step.amount * kIntervalNs;
  const bool fits = asked <= left;
  switch (step.kind) {
    case Step::acquire:
    case Step::batch:
      if (step.amount > kBurst) return {false, Reason::never, left / kIntervalNs};
      if (!fits) return {false, Reason::limited, left / kIntervalNs};
      tat = now_ns_ + debt + asked;
      charged_ns_.try_emplace(step.key, tat);
      return {true, Reason::ok, (left - asked) / kIntervalNs};
    case Step::peek:
      return {fits, fits ? Reason::ok : Reason::limited, left / kIntervalNs};
    case Step::reset:
      tat = 0;
      break;
    case Step::reset_all:
      tat_ns_.clear();
      break;
    case Step::advance:
      now_ns_ += asked;
      if (algorithm == Algorithm::fixed_window) {
        tat_ns_.clear();
        charged_ns_.clear();
      }
      break;
    case Step::refund: {
      const std::uint64_t charged = charged_ns_[step.key];
      tat -= std::min({asked, debt, charged > now_ns_ ? charged - now_ns_ : 0});
      break;
    }
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
      break;  // worth nothing to anybody
  }
  return {true, Reason::ok, 0};
}

std::uint64_t Model::owed(char key) const {
  const auto at = tat_ns_.find(key);
  if (at == tat_ns_.end() || at->second <= now_ns_) return 0;
  return (at->second - now_ns_ + kIntervalNs - 1) / kIntervalNs;
}

std::set<char> Model::debtors(char but) const {
  std::set<char> all;
  for (const auto& [key, tat_ns] : tat_ns_) {
    if (key != but && tat_ns > now_ns_) all.insert(key);
  }
  return all;
}

}  // namespace rl::test
