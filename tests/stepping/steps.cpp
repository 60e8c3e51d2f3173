#include "tests/stepping/steps.hpp"

#include <fmt/format.h>

#include "shm/events.hpp"
#include "src/change.hpp"
#include "src/rules.hpp"

namespace rl::test {
namespace {

constexpr const char* kPolicy = "api";

Algorithm algorithm = Algorithm::token_bucket;
bool limit_bans = false;

std::string text_of(char key) {
  return std::string("key-") + key;
}

/// Reads the policy of an id.
Policy policy_of(const shm::Mapping& mapping, std::uint16_t id) {
  return policy_from(shm::PolicyTable(mapping).read(id).value()).value();
}

bool is_override(const shm::Mapping& mapping, std::uint16_t id) {
  return policy_of(mapping, id).kind == shm::PolicyKind::override_;
}

/// What a ban for ever says of its end.
constexpr std::uint64_t kNever_ns = ~std::uint64_t{0};

/// Read without the library's own way from a ban that is over to its limit.
Stand stand_in_ban(BanWord word, bool is_overridden, std::uint64_t now_ns) {
  const std::uint64_t owed = word.owed.tokens();
  if (word.is_for_ever()) return {Stand::ban, is_overridden, kNever_ns, owed};
  if (now_ns < word.until_ns()) return {Stand::ban, is_overridden, word.until_ns(), owed};
  const std::uint64_t paid_ns = word.until_ns() + owed * kIntervalNs;
  const std::uint64_t debt_ns = paid_ns > now_ns ? paid_ns - now_ns : 0;
  return {Stand::limit, is_overridden, 0, (debt_ns + kIntervalNs - 1) / kIntervalNs};
}

}  // namespace

bool decides(const Step& step) {
  return step.kind == Step::acquire || step.kind == Step::peek || step.kind == Step::charge ||
         step.kind == Step::reserve || step.kind == Step::batch || step.kind == Step::acquire_at ||
         step.kind == Step::acquire_for || step.kind == Step::lease;
}

bool inserts(const Step& step) {
  return (decides(step) && step.kind != Step::peek) || step.kind == Step::settle ||
         step.kind == Step::set_remaining || step.kind == Step::ban || step.kind == Step::allow ||
         step.kind == Step::set_override || step.kind == Step::load;
}

std::string to_string(const Step& step) {
  constexpr const char* kNames[] = {
      "acquire",     "peek",          "reset",         "reset_all",
      "reap",        "advance",       "die_inserting", "publish",
      "change",      "refund",        "charge",        "reserve",
      "settle",      "set_remaining", "batch",         "acquire_at",
      "acquire_for", "all_of",        "ban",           "unban",
      "allow",       "disallow",      "set_override",  "unset_override",
      "begin_trial", "load",          "read_events",   "spoil",
      "mend",        "lease",         "give_back"};
  return fmt::format("{}({}, {})", kNames[step.kind], step.key, step.amount);
}

std::string to_string(const Outcome& outcome) {
  return fmt::format("{} ({}), {} left", outcome.allowed ? "allowed" : "denied",
                     rl::to_string(outcome.reason), outcome.remaining);
}

std::string to_string(const Stand& stand) {
  constexpr const char* kNames[] = {"under", "banned over", "let through over"};
  return fmt::format("{} {}, owing {} until {}", kNames[stand.kind],
                     stand.is_overridden ? "an override" : "the limit", stand.owed, stand.until_ns);
}

void step_under(Algorithm chosen, bool bans) {
  algorithm = chosen;
  limit_bans = bans;
}

bool stepped_limit_bans() {
  return limit_bans;
}

Algorithm stepped_algorithm() {
  return algorithm;
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
    case Algorithm::counter:
      return Limit::counter().when_full(WhenFull::evict);
    default:
      break;
  }
  const Limit bucket = Limit::per(1, day).burst(kBurst);
  if (!limit_bans) return bucket;
  return bucket.ban_after(kDenials, day, std::chrono::nanoseconds(kBanNs));
}

Limit stepped_override() {
  const std::chrono::nanoseconds day(kIntervalNs);
  if (algorithm == Algorithm::fixed_window) return Limit::fixed_window(2 * kBurst, day);
  return Limit::per(1, day).burst(2 * kBurst);
}

Stand stand_of(const shm::Mapping& mapping, char key, std::uint64_t now_ns) {
  const shm::Table<shm::Slot> table = mapping.table();
  const std::uint64_t index = table.find(hash_of(mapping, key));
  if (index == table.kNowhere) return {};
  const shm::SlotWords words = table.slot(index).words();
  const Policy policy = policy_of(mapping, shm::policy_of(words.tag));
  const BanWord word = BanWord::of(words.state);
  switch (policy.kind) {
    case shm::PolicyKind::ban:
      return stand_in_ban(word, is_override(mapping, policy.parent), now_ns);
    case shm::PolicyKind::allow:
      return {Stand::allow, is_override(mapping, policy.parent), 0, word.owed.tokens()};
    default:
      return {Stand::limit, policy.kind == shm::PolicyKind::override_, 0,
              tokens_owed(policy.parameters, words.state, now_ns)};
  }
}

shm::KeyHash hash_of(const shm::Mapping& mapping, char key) {
  shm::Hasher keys = hasher_for(mapping, kPolicy);
  if (is_on_trial(key)) {
    const shm::PolicyTable policies(mapping);
    const auto candidate =
        static_cast<std::uint16_t>(shm::candidate_in(policies.links(policies.find(kPolicy))));
    keys = shm::Hasher(keys(&candidate, sizeof candidate));
    key = on_trial(key);
  }
  const std::string text = text_of(key);
  return shm::KeyHash::from(keys(text.data(), text.size()));
}

namespace {

/// A ban is over when its intervals are: a second is more than a tick.
std::chrono::nanoseconds length_of_ban(std::uint64_t intervals) {
  if (intervals == kForEver) return kNever;
  return std::chrono::nanoseconds(intervals * kIntervalNs) - std::chrono::seconds(1);
}

template <class Change>
Outcome changed(Change&& change) try {
  return {change(), Reason::ok, 0};
} catch (const Error& e) {
  return {false, e.code() == Errc::bad_option ? Reason::invalid : Reason::full, 0};
}

}  // namespace

Actor::Actor(const std::string& segment)
    : name_(segment),
      segment_(Segment::open(segment)),
      api_(segment_.limiter(kPolicy, stepped_limit())),
      view_(shm::Mapping::attach(segment_.path(), shm::Access::read_write, false),
            segment_.path()) {
  view_.participant.attend();
  take_a_stripe();
}

/// By a call that takes no slot. What is stepped, or put back, later must not be the first call of a
/// thread; but for that of a handle, and for that the thread must have had another.
void Actor::take_a_stripe() {
  constexpr std::uint64_t kNever = 1'000'000;
  const bool denies_uncounted = !stepped_limit_bans() && takes_calls(stepped_algorithm());
  if (denies_uncounted) return (void)api_.try_acquire("nobody", kNever);
  (void)segment_.limiter("aside", Limit::per(1, std::chrono::hours(24)))
      .try_acquire("nobody", kNever);
}

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

void Actor::get_ready(const Step& step) {
  if (step.kind != Step::lease || lease_) return;
  lease_.emplace(api_, text_of(step.key), step.amount, std::chrono::nanoseconds(kLeaseNs));
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
      if (algorithm == Algorithm::counter) return add(key, step.amount);
      const Decision d = api_.try_acquire(key, step.amount);
      if (first_.charged == 0) first_ = d;
      return outcome_of(d);
    }
    case Step::acquire_at:
      return outcome_of(api_.try_acquire_at(segment_.now(), key, step.amount));
    case Step::acquire_for:
      return outcome_of(api_.acquire_for(key, step.amount, std::chrono::nanoseconds(0)));
    case Step::peek:
      if (algorithm == Algorithm::counter) return add(key, 0);
      return outcome_of(api_.peek(key, step.amount));
    case Step::reset:
      (void)api_.reset(key);
      break;
    case Step::reset_all:
      (void)segment_.reset_all();
      break;
    case Step::reap:
      (void)sweep_.run(0, view_.table.slot_count());
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
    case Step::ban:
      return changed([&] { return segment_.ban(kPolicy, key, length_of_ban(step.amount)); });
    case Step::unban:
      return changed([&] { return segment_.unban(kPolicy, key); });
    case Step::allow:
      return changed([&] { return segment_.allow(kPolicy, key); });
    case Step::disallow:
      return changed([&] { return segment_.disallow(kPolicy, key); });
    case Step::set_override:
      return changed([&] { return segment_.set_override(kPolicy, key, stepped_override()); });
    case Step::unset_override:
      return changed([&] { return segment_.unset_override(kPolicy, key); });
    case Step::begin_trial:
      segment_.set_candidate(kPolicy, stepped_override());
      break;
    case Step::load:
      return load(key, step.amount);
    case Step::spoil:
      put_in_free(step.key, kCorrupt, false);
      break;
    case Step::mend:
      return {mend(), Reason::ok, 0};
    case Step::read_events: {
      shm::EventReader reader(view_.mapping, shm::EventReader::Start::unread);
      for (std::uint32_t ring = 0; ring < shm::kEventRings; ++ring)
        (void)reader.read(ring, [](const shm::EventImage&) {});
      reader.note_read();
      break;
    }
    case Step::lease:
      get_ready(step);
      return outcome_of(lease_->try_acquire());
    case Step::give_back:
      return {true, Reason::ok, lease_->give_back()};
  }
  return {true, Reason::ok, 0};
}

/// An amount of 0 looks.
Outcome Actor::add(std::string_view key, std::uint64_t amount) {
  const Counted told = api_.count(key, amount, std::chrono::nanoseconds(kExpiryNs));
  return {told.counted, told.reason, told.count};
}

Binding Actor::binding() {
  const std::uint16_t id = view_.policies.in_force(view_.policies.find(kPolicy));
  return {&view_,
          id,
          hasher_for(view_.mapping, kPolicy),
          policy_of(view_.mapping, id),
          nullptr,
          &view_.policies.links_word(id)};
}

/// What rl::Dump::load does to a key in a segment that others use (src/load.cpp): the text of a dump
/// and the memory for it are left out.
Outcome Actor::load(std::string_view key, std::uint64_t tokens) {
  Binding bound = binding();
  bound.policy.limit = bound.policy.limit.when_full(WhenFull::deny);
  const SetOwed owes{bound.policy.parameters, {.ns = tokens * kIntervalNs}};
  CallRules<OwnTime, SetOwed> rules(bound, OwnTime{&view_.clock}, owes);
  const auto hash = shm::KeyHash::from(bound.hasher(key.data(), key.size()));
  const shm::Update update = view_.table.update(hash, rules);
  return {update.outcome == shm::Update::decided && !rules.is_unavailable(), Reason::ok, 0};
}

/// What Segment::limiter does to the segment; all that it does besides is to its own process.
void Actor::publish(char key) {
  const char name[] = {'p', 'o', 'l', 'i', 'c', 'y', '-', key};
  (void)view_.policies.find_or_publish(constants_of(stepped_limit(), {now_ns(), 1, 0}),
                                       {name, sizeof name});
}

/// What Segment::set_policy does to the segment: a limit that differs in what it leaves to calls of
/// low priority, so that keys owe after it what they owed before, under another tag.
void Actor::change() {
  const shm::PolicyTable& policies = view_.policies;
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
  const shm::KeyHash hash = hash_of(view_.mapping, key);
  put_in_free(key, {shm::make_tag(hash.identity, 0), 0x8000'0000'0000'0000U | (last ? 2U : 1U)},
              last);
}

/// In the first slot of the key's list that is free, or the last.
void Actor::put_in_free(char key, shm::SlotWords words, bool last) {
  const shm::Table<shm::Slot>& table = view_.table;
  const shm::CandidateList list = table.candidates(hash_of(view_.mapping, key));
  for (int i = 0; i < list.kSize; ++i) {
    shm::Slot& slot = table.slot(list.slot_at(last ? list.kSize - 1 - i : i));
    if (slot.compare_exchange({}, words)) return;
  }
}

/// What `rlctl repair --yes` does to slots that are corrupt (tools/rlctl/doctor/damage.cpp).
bool Actor::mend() {
  bool has_mended = false;
  for (std::uint64_t i = 0; i < view_.table.slot_count(); ++i) {
    const shm::SlotWords words = view_.table.settled(view_.table.slot(i));
    if (shm::identity_of(words.tag) != 0 || shm::is_free(words)) continue;
    has_mended |= view_.table.free_if(i, [&](shm::SlotWords seen) { return seen == words; });
  }
  return has_mended;
}

}  // namespace rl::test
