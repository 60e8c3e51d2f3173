#include "tools/rlctl/key_facts.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <memory>

#include "shm/counts.hpp"
#include "src/escalation.hpp"
#include "src/follow.hpp"
#include "src/nearest.hpp"
#include "src/permit_slots.hpp"
#include "src/show.hpp"
#include "src/trial.hpp"
#include "tools/rlctl/event_text.hpp"
#include "tools/rlctl/lists.hpp"

namespace rl::ctl {
namespace {

/// A slot of the key's and what its policy says of it, now.
struct Found {
  std::uint64_t index = 0;
  std::uint64_t identity = 0;
  Followed at;
  std::uint64_t now_ns = 0;
};

/// Returns the slot of a hash, if it is there and its policy can be read.
std::optional<Found> find(const View& view, Follower<View, shm::Clock>& follower,
                          const shm::KeyHash& hash, std::uint16_t policy) {
  const std::uint64_t index = view.table.find(hash);
  if (index == view.table.kNowhere) return std::nullopt;
  const shm::SlotWords words = view.table.settled(view.table.slot(index));
  if (!shm::is_member_of(words.tag, hash.identity)) return std::nullopt;
  const std::uint64_t now = view.clock.now();
  const std::uint64_t shown = now != shm::Clock::kNoTime ? now : 0;
  const Followed at = follower.follow(shm::policy_of(words.tag), words.state, shown, policy);
  if (at.policy == nullptr) return std::nullopt;
  return Found{index, hash.identity, at, shown};
}

std::optional<DenialsCounted> denials_of(const Binding& binding, std::string_view key) {
  Follower<View, shm::Clock> follower(*binding.view, binding.view->clock);
  const auto found =
      find(*binding.view, follower, hash_of_conduct(binding.hasher, key), binding.id);
  if (!found) return std::nullopt;
  const auto* const conduct = std::get_if<Conduct>(&found->at.policy->parameters);
  if (conduct == nullptr) return std::nullopt;
  const Remembered what = remembered_in(*conduct, ConductWord::of(found->at.state), found->now_ns);
  if (what == Remembered{}) return std::nullopt;
  return DenialsCounted{what.denials, what.level, to_shown(what.left_ns)};
}

std::optional<OnTrial> trial_of(const Binding& binding, const PolicyInfo& policy,
                                std::string_view key) {
  std::optional<OnTrial> seen;
  if (!policy.candidate) return seen;
  with_candidate(binding, binding.id, [&](const Binding& trial) noexcept {
    Follower<View, shm::Clock> follower(*trial.view, trial.view->clock);
    const auto found = find(*trial.view, follower, hash_on_trial(trial, key), trial.id);
    if (!found) return;
    const Parameters& parameters = found->at.policy->parameters;
    const Verdict verdict =
        peek(parameters, cut(parameters, found->at.state, found->now_ns), found->now_ns, 1);
    const shm::Counts& counts = trial.view->table.counts(found->index);
    seen =
        OnTrial{*policy.candidate, verdict.remaining,
                shm::read_count(counts.denied, found->identity), to_shown(verdict.reset_after_ns)};
  });
  return seen;
}

std::uint32_t holder_of(const View& view, const PermitWord& word) {
  const std::uint32_t seat = word.holder - 1;
  if (word.holder == 0 || seat >= view.mapping.geometry().seat_capacity) return 0;
  // relaxed: for people, and possibly the successor's by now.
  return view.mapping.seats()[seat].pid.load(std::memory_order_relaxed);
}

std::vector<PermitOut> permits_of(const Binding& binding, std::string_view key) {
  std::vector<PermitOut> out;
  const auto* const limit = std::get_if<Concurrency>(&binding.policy.parameters);
  if (limit == nullptr) return out;
  View& view = *binding.view;
  shm::Liveness liveness(view.participant);
  const shm::Hash128 hash = binding.hasher(key.data(), key.size());
  const std::uint64_t most = std::min(std::max(limit->limit, limit->most),
                                      Concurrency::kLimitMax);  // before a change, too
  Follower<View, shm::Clock> follower(view, view.clock);
  for (std::uint32_t i = 0; i < most; ++i) {
    const auto found = find(view, follower, hash_of_permit(binding.hasher, hash, i), binding.id);
    if (!found) continue;
    const auto* const permits = std::get_if<Concurrency>(&found->at.policy->parameters);
    if (permits == nullptr) continue;
    const PermitWord word = PermitWord::of(found->at.state);
    const std::uint64_t left = lease_left_ns(*permits, word, found->now_ns);
    if (left != 0 && !is_dead(view.participant, word, &liveness))
      out.push_back({holder_of(view, word), to_shown(left)});
  }
  return out;
}

/// What a counter has of a key, said as of a call: none is denied.
Decision counted_under(const Limiter& limiter, const std::string& key) {
  const Counted seen = limiter.peek_count(key);
  Decision next{.allowed = seen || seen.reason == Reason::off, .reason = seen.reason};
  if (!seen) return next;
  next.limit = kCountedMax;
  next.remaining = kCountedMax - seen.count;
  next.reset_after = seen.expires_in;
  return next;
}

/// What would be said of a call, whatever it is asked for.
Decision next_under(const Limiter& limiter, Algorithm algorithm, const std::string& key) {
  if (gives_permits(algorithm)) return limiter.peek_permit(key);
  return takes_calls(algorithm) ? limiter.peek(key) : counted_under(limiter, key);
}

/// A look asks the kernel about nobody; a call that finds no permit does, and has those of the dead.
void take_back_of_the_dead(PolicyFacts& facts) {
  const std::uint64_t all = facts.policy.limit->count();
  if (facts.next.allowed || facts.next.reason != Reason::limited || facts.permits.size() >= all)
    return;
  facts.next.allowed = true;
  facts.next.reason = Reason::ok;
  facts.next.remaining = all - facts.permits.size();
  facts.next.retry_after = std::chrono::nanoseconds(0);
}

/// A look does not see whether a key that has no slot would get one (src/decide.hpp says what a
/// call gets that gets none).
void look_for_room(PolicyFacts& facts, const Binding& binding, const std::string& key) {
  const Limit& limit = *facts.policy.limit;
  if (!facts.next.allowed || facts.next.reason != Reason::ok) return;
  facts.room = room_for(binding, key);
  if (facts.room != Room::none || limit.shadow()) return;
  const bool passes = limit.when_full() == WhenFull::allow;
  facts.next = Decision{.allowed = passes, .reason = Reason::full};
  facts.next.limit = limit.burst();
  if (!passes) facts.next.retry_after = limit.interval();
}

/// Whether a change made a key stand so.
bool makes(Change change, Standing standing) {
  return (change == Change::banned && standing == Standing::ban) ||
         (change == Change::allowed && standing == Standing::allow) ||
         (change == Change::override_set && standing == Standing::override_);
}

/// Of a key that was too long for the journal the beginning must do, where it is told of one change
/// only: of two, one may be another key's, and nobody is named then.
std::optional<JournalInfo> change_behind(const std::vector<JournalInfo>& journal,
                                         const std::string& policy, const std::string& key,
                                         Standing standing) {
  const auto is_it = [&](const JournalInfo& info) {
    const bool is_key = info.cut ? key.starts_with(info.key) : key == info.key;
    return is_key && info.policy == policy && makes(info.change, standing);
  };
  const auto at = std::find_if(journal.rbegin(), journal.rend(), is_it);
  if (at == journal.rend()) return std::nullopt;
  if (at->cut && std::count_if(journal.begin(), journal.end(), is_it) > 1) return std::nullopt;
  return *at;
}

std::vector<Event> events_of(const Segment& segment, const std::string& key,
                             const std::vector<PolicyInfo>& policies) {
  std::vector<Event> events;
  Events reader(segment);
  (void)reader.poll([&](const Event& event) {
    const bool is_policy = std::any_of(policies.begin(), policies.end(),
                                       [&](const PolicyInfo& p) { return p.name == event.policy; });
    if (!event.key.empty() && is_of(event, key) && is_policy) events.push_back(event);
  });
  return events;
}

}  // namespace

/// The same segment as the library sees it from within, for what has no public name.
struct KeyLooker::Inside {
  Inside(const std::string& path, bool any_owner)
      : view(shm::Mapping::attach(path, shm::Access::read_only, any_owner), path) {}
  View view;
};

bool KeyFacts::is_known() const noexcept {
  return std::any_of(policies.begin(), policies.end(),
                     [](const PolicyFacts& facts) { return facts.has_any(); });
}

KeyLooker::KeyLooker(const Segment& segment, const std::string& only, bool any_owner)
    : segment_(segment),
      policies_(only.empty() ? segment.policies() : must_have(segment_, only)),
      inside_(std::make_unique<Inside>(segment.path(), any_owner)) {}

KeyLooker::~KeyLooker() = default;

std::optional<PolicyFacts> KeyLooker::look_under(const PolicyInfo& policy, const std::string& key,
                                                 const std::vector<JournalInfo>& journal) {
  View& view = inside_->view;
  std::optional<Policy> spare;
  const KnownPolicy known = view.known.find(policy.id, spare);
  if (!policy.limit || known.policy == nullptr) return std::nullopt;
  const Limiter limiter = segment_.limiter(policy.name);
  const Binding binding{&view,         policy.id, hasher_for(view.mapping, policy.name),
                        *known.policy, nullptr,   &view.policies.links_word(policy.id)};
  const Algorithm algorithm = policy.limit->algorithm();
  PolicyFacts facts{policy,
                    next_under(limiter, algorithm, key),
                    segment_.find(policy.name, key),
                    denials_of(binding, key),
                    trial_of(binding, policy, key),
                    permits_of(binding, key),
                    {},
                    Room::there};
  if (gives_permits(algorithm)) take_back_of_the_dead(facts);
  if (takes_calls(algorithm)) look_for_room(facts, binding, key);
  if (facts.slot && facts.slot->standing != Standing::none)
    facts.change = change_behind(journal, policy.name, key, facts.slot->standing);
  return facts;
}

KeyFacts KeyLooker::look_at(const std::string& key) {
  KeyFacts facts;
  facts.key = key;
  facts.journal = segment_.journal();
  facts.off_since = segment_.vitals().off_since;
  for (const PolicyInfo& policy : policies_) {
    if (auto found = look_under(policy, key, facts.journal))
      facts.policies.push_back(*std::move(found));
    else
      facts.unreadable.push_back(policy.name.empty() ? fmt::format("of id {}", policy.id)
                                                     : policy.name);
  }
  facts.events = events_of(segment_, key, policies_);
  facts.now = segment_.now();
  return facts;
}

std::string KeyLooker::nearest_to(const std::string& key) const {
  Nearest nearest(key);
  segment_.for_each_key([&](const KeyInfo& row) {
    if (row.key && !row.key_truncated && *row.key != key) nearest.offer(*row.key);
  });
  return nearest.name();
}

}  // namespace rl::ctl
