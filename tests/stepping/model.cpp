#include "tests/stepping/model.hpp"

#include <algorithm>

namespace rl::test {
namespace {

constexpr std::uint64_t kNever_ns = ~std::uint64_t{0};

/// Bans begin and end at ticks of 2^26 ns.
constexpr std::uint64_t tick_not_before(std::uint64_t ns) {
  constexpr std::uint64_t kTick = std::uint64_t{1} << 26;
  return (ns + kTick - 1) / kTick * kTick;
}

constexpr std::uint64_t tokens_up(std::uint64_t ns) {
  return (ns + kIntervalNs - 1) / kIntervalNs;
}

std::uint64_t most_ns(bool is_overridden) {
  return (is_overridden ? 2 : 1) * kBurst * kIntervalNs;
}

/// With an interval windows are over, and so is an expiry.
bool forgets_at_once(Algorithm algorithm) {
  return counts_by_windows(algorithm) || algorithm == Algorithm::counter;
}

std::uint64_t end_of_ban(std::uint64_t now_ns, std::uint64_t intervals) {
  constexpr std::uint64_t kSecondNs = 1'000'000'000;
  return intervals == kForEver ? kNever_ns
                               : tick_not_before(now_ns + intervals * kIntervalNs - kSecondNs);
}

}  // namespace

/// What is on trial decides the same calls, and nobody is told.
Outcome Model::act(const Step& step) {
  const bool is_of_a_key =
      decides(step) || step.kind == Step::reset || step.kind == Step::set_remaining;
  if (has_trial_ && is_of_a_key) {
    const char key = on_trial(step.key);
    keys_[key].is_on_trial = true;
    (void)act_on_one({step.kind, key, step.amount});
  }
  return act_on_one(step);
}

Outcome Model::act_on_one(const Step& step) {
  const std::uint64_t asked = step.amount * kIntervalNs;
  Key& key = keys_[step.key];
  const auto done = [](bool is_done) { return Outcome{is_done, Reason::ok, 0}; };
  switch (step.kind) {
    case Step::acquire:
    case Step::batch:
    case Step::acquire_at:
    case Step::acquire_for:
    case Step::peek:
    case Step::charge:
    case Step::reserve:
      if (stepped_algorithm() == Algorithm::counter) return count(step);
      return key.kind == Stand::limit ? decide(step) : decide_apart(step);
    case Step::reset:
      forget(key);
      break;
    case Step::reset_all:
      for (auto& [name, each] : keys_) forget(each);
      break;
    case Step::advance:
      advance(asked);
      break;
    case Step::refund:
      give_back(step.key, first_[step.key], asked);
      break;
    case Step::settle: {
      const std::uint64_t held = first_[step.key].cost_ns;
      if (asked < held) give_back(step.key, first_[step.key], held - asked);
      if (asked > held) key.tat_ns = now_ns_ + debt_ns(key) + asked - held;
      break;
    }
    case Step::set_remaining: {
      const std::uint64_t most = most_ns(key.is_overridden || key.is_on_trial);
      if (key.kind == Stand::limit) key.tat_ns = now_ns_ + most - std::min(asked, most);
      if (key.kind == Stand::ban) key.owed = 0;
      key.fading_ns = 0;
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
    case Step::ban:
      if (key.kind == Stand::allow) return {false, Reason::invalid, 0};
      return done(ban(key, end_of_ban(now_ns_, step.amount)));
    case Step::unban:
      return done(unban(key));
    case Step::allow:
      return done(allow(key));
    case Step::disallow:
      return done(come_back(key, Stand::allow, std::min(key.until_ns, now_ns_)));
    case Step::set_override:
      return done(!std::exchange(key.is_overridden, true));
    case Step::unset_override:
      return done(std::exchange(key.is_overridden, false));
    case Step::begin_trial:
      has_trial_ = true;
      break;
    case Step::load:
      load(key, step.amount);
      break;
    case Step::spoil:
      is_spoilt_ = true;
      break;
    case Step::mend:
      return done(std::exchange(is_spoilt_, false));
    case Step::lease:
      return lease(step);
    case Step::give_back:
      return {true, Reason::ok, end_lease(step.key)};
    case Step::reap:
    case Step::read_events:
    case Step::die_inserting:
    case Step::publish:
    case Step::change:
      break;  // worth nothing to anybody
  }
  return done(true);
}

Outcome Model::decide(const Step& step) {
  Key& key = keys_[step.key];
  const Algorithm algorithm = stepped_algorithm();
  const std::uint64_t asked = step.amount * kIntervalNs;
  const std::uint64_t debt = debt_ns(key);
  const std::uint64_t most = most_ns(key.is_overridden || key.is_on_trial);
  const bool may_wait = step.kind == Step::reserve && algorithm == Algorithm::token_bucket;
  const bool must_wait =
      step.kind == Step::acquire_for && algorithm == Algorithm::leaky && debt != 0;
  const bool fits = !must_wait && debt + asked <= (may_wait ? 2 : 1) * most;
  const auto told = [&](bool allowed, Reason reason) {
    return Outcome{allowed, key.is_overridden ? Reason::override_ : reason, left(key)};
  };
  if (step.kind == Step::peek) return told(fits, fits ? Reason::ok : Reason::limited);
  if (step.kind != Step::charge) {
    const Outcome denied = told(false, asked > most ? Reason::never : Reason::limited);
    if (asked > most || !fits) {
      note_denial(step.key);
      return denied;
    }
  }
  key.tat_ns = now_ns_ + debt + asked;
  if (step.kind == Step::acquire)
    first_.try_emplace(step.key, First{asked, key.tat_ns, key.is_overridden});
  return told(true, Reason::ok);
}

/// Nothing is denied, and what is left is what there is.
Outcome Model::count(const Step& step) {
  Key& key = keys_[step.key];
  if (step.kind == Step::acquire) key.tat_ns = now_ns_ + debt_ns(key) + step.amount * kIntervalNs;
  return {true, Reason::ok, debt_ns(key) / kIntervalNs};
}

/// A lease pays while it lasts, whatever has become of its key. Else all its tokens are taken where
/// they pass at once, nobody has a place in a line and nothing is on trial; or the call is as any
/// other.
Outcome Model::lease(const Step& step) {
  Lease& held = leases_[step.key];
  if (held.left != 0 && now_ns_ < held.until_ns) {
    Outcome told = held.told;
    told.remaining += --held.left;
    return told;
  }
  (void)end_lease(step.key);
  const Key& key = keys_[step.key];
  const bool can_be_ahead = key.kind == Stand::limit && !has_trial_ &&
                            stepped_algorithm() != Algorithm::leaky && left(key) >= step.amount;
  if (!can_be_ahead) return act_on_one({Step::batch, step.key});
  const std::uint64_t cost_ns = step.amount * kIntervalNs;
  const Outcome taken = decide(step);
  held = {{cost_ns, key.tat_ns, key.is_overridden}, now_ns_ + kLeaseNs, step.amount, taken};
  return lease(step);
}

/// Returns what was left of it.
std::uint64_t Model::end_lease(char key) {
  const Lease held = std::exchange(leases_[key], {});
  if (held.left != 0) give_back(key, held.taken, held.left * kIntervalNs);
  return held.left;
}

bool Model::holds_what_is_over(char key) const {
  const auto at = leases_.find(key);
  return at != leases_.end() && at->second.left != 0 && at->second.until_ns <= now_ns_;
}

/// Whoever is banned is denied, and owes what he is charged when the ban is over; whoever is let
/// through is charged nothing.
Outcome Model::decide_apart(const Step& step) {
  Key& key = keys_[step.key];
  if (key.kind == Stand::allow) return {true, Reason::override_, 0};
  if (step.kind == Step::charge) key.owed += step.amount;
  return {step.kind == Step::charge, Reason::banned, 0};
}

/// Windows are intervals, and the clock is always at the beginning of one; counts are forgotten with
/// them. A ban ends at its own
/// instant.
void Model::advance(std::uint64_t ns) {
  const Algorithm algorithm = stepped_algorithm();
  const bool counts_by_windows = forgets_at_once(algorithm);
  const bool fades = algorithm == Algorithm::sliding_window && ns == kIntervalNs;
  for (auto& [name, key] : keys_) {
    if (counts_by_windows) key.fading_ns = fades ? debt_ns(key) - key.fading_ns : 0;
  }
  now_ns_ += ns;
  for (auto& [name, key] : keys_) {
    if (counts_by_windows) key.tat_ns = now_ns_ + key.fading_ns;
    if (key.until_ns <= now_ns_) (void)come_back(key, Stand::ban, key.until_ns);
  }
  for (auto& [name, first] : first_) {
    if (counts_by_windows) first.charged_ns = 0;
  }
  for (auto& [name, lease] : leases_) {
    if (counts_by_windows) lease.taken.charged_ns = 0;
  }
}

/// A leaky bucket takes back the last place in line only, a window what was counted in it; and no
/// limit what another has charged.
void Model::give_back(char name, const First& first, std::uint64_t most_ns) {
  Key& key = keys_[name];
  const std::uint64_t charged = first.charged_ns;
  if (key.kind != Stand::limit || key.is_overridden != first.is_overridden) return;
  if (stepped_algorithm() == Algorithm::leaky && charged != key.tat_ns) return;
  key.tat_ns -=
      std::min({most_ns, debt_ns(key) - key.fading_ns, charged > now_ns_ ? charged - now_ns_ : 0});
}

void Model::forget(Key& key) {
  key.tat_ns = key.fading_ns = key.owed = 0;
}

Outcome Model::act_first_part(const Step& step) {
  is_in_parts_ = true;
  const Outcome outcome = act(step);
  is_in_parts_ = false;
  return outcome;
}

void Model::go_on() {
  Key& key = keys_[denied_];
  if (next_ == Next::count) {
    level_ = key.level;
    next_ = count_denial(key) ? Next::ban : Next::nothing;
  } else if (next_ == Next::ban) {
    ban_for_denials(key, level_);
    next_ = Next::nothing;
  }
}

void Model::note_denial(char name) {
  if (!stepped_limit_bans()) return;
  if (is_in_parts_) {
    denied_ = name;
    next_ = Next::count;
    return;
  }
  Key& key = keys_[name];
  const std::uint32_t level = key.level;
  if (count_denial(key)) ban_for_denials(key, level);
}

/// Says whether this one bans; then the next is counted anew, and its ban is twice as long.
bool Model::count_denial(Key& key) {
  if (++key.denials < kDenials) return false;
  key.denials = 0;
  ++key.level;
  return true;
}

void Model::ban_for_denials(Key& key, std::uint32_t level) {
  if (key.kind != Stand::allow) (void)ban(key, tick_not_before(now_ns_ + (kBanNs << level)));
}

/// Denials of before are forgotten, too.
bool Model::unban(Key& key) {
  if (!come_back(key, Stand::ban, now_ns_)) return false;
  key.denials = key.level = 0;
  return true;
}

/// A ban that ends no later than the one that stands changes nothing, and none what is owed.
bool Model::ban(Key& key, std::uint64_t until_ns) {
  if (key.kind == Stand::ban && until_ns <= key.until_ns) return false;
  if (key.kind == Stand::limit) {
    const std::uint64_t at = until_ns == kNever_ns ? now_ns_ : until_ns;
    key.owed = key.tat_ns > at ? tokens_up(key.tat_ns - at) : 0;
    key.tat_ns = key.fading_ns = 0;
  }
  key.kind = Stand::ban;
  key.until_ns = until_ns;
  return true;
}

bool Model::allow(Key& key) {
  if (key.kind == Stand::allow) return false;
  if (key.kind == Stand::limit) key.owed = tokens_up(debt_ns(key));
  key.tat_ns = key.fading_ns = 0;
  key.kind = Stand::allow;
  key.until_ns = tick_not_before(now_ns_);
  return true;
}

bool Model::come_back(Key& key, Stand::Kind from, std::uint64_t over_ns) {
  if (key.kind != from) return false;
  key.tat_ns = over_ns + key.owed * kIntervalNs;
  key.kind = Stand::limit;
  key.until_ns = key.owed = 0;
  return true;
}

/// Nothing is owed where nothing is counted.
void Model::load(Key& key, std::uint64_t tokens) {
  if (key.kind == Stand::ban) key.owed = tokens;
  if (key.kind == Stand::limit) key.tat_ns = now_ns_ + tokens * kIntervalNs;
}

std::uint64_t Model::debt_ns(const Key& key) const {
  return key.tat_ns > now_ns_ ? key.tat_ns - now_ns_ : 0;
}

std::uint64_t Model::left(const Key& key) const {
  const std::uint64_t all = most_ns(key.is_overridden || key.is_on_trial);
  return (all - std::min(debt_ns(key), all)) / kIntervalNs;
}

/// It owes all of it, as far as a bucket's horizon goes: what passes at once, and as much again.
Stand Model::stand_of(char name) const {
  const auto at = keys_.find(name);
  if (at == keys_.end()) return {};
  const Key& key = at->second;
  const std::uint64_t until = key.kind == Stand::ban ? key.until_ns : 0;
  if (key.kind != Stand::limit) return {key.kind, key.is_overridden, until, key.owed};
  const std::uint64_t tokens = tokens_up(debt_ns(key));
  const std::uint64_t horizon = 2 * most_ns(key.is_overridden || key.is_on_trial) / kIntervalNs;
  const bool is_bucket = counts_evenly(stepped_algorithm());
  return {key.kind, key.is_overridden, until, is_bucket ? std::min(tokens, horizon) : tokens};
}

std::set<char> Model::occupants(char but) const {
  std::set<char> all;
  for (const auto& [name, key] : keys_) {
    if (name != but && stand_of(name).is_any()) all.insert(name);
  }
  return all;
}

std::set<char> Model::keys() const {
  std::set<char> all;
  for (const auto& [name, key] : keys_) all.insert(name);
  return all;
}

}  // namespace rl::test
