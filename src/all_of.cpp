#include "src/all_of.hpp"

#include <algorithm>
#include <limits>

#include "src/decide.hpp"

namespace rl {
namespace {

/// A cost of 0 makes no sense of the whole; what is above 64 bits never passes, as the most of them
/// does not.
std::uint64_t sum(std::uint64_t a, std::uint64_t b) noexcept {
  if (a == 0 || b == 0) return 0;
  return a + std::min(b, std::numeric_limits<std::uint64_t>::max() - a);
}

/// How long a denial holds; no waiting helps who may not ask, or asks too much.
std::chrono::nanoseconds length_of(const Decision& denial) noexcept {
  const bool may_ask = is_by_a_limit(denial) || denial.reason == Reason::full;
  return may_ask ? denial.retry_after : kNever;
}

/// How much there is left of a limit: where none is in force, all that there can be; nothing where
/// nobody can know.
std::uint64_t left_of(const Decision& d) noexcept {
  const bool is_unlimited = d.limit == 0 && d.reason != Reason::unavailable;
  return is_unlimited ? std::numeric_limits<std::uint64_t>::max() : d.remaining;
}

/// Whether one is to be told rather than the other, which came before it.
bool says_more(const Decision& d, const Decision& before) noexcept {
  if (d.allowed != before.allowed) return before.allowed;
  return d.allowed ? left_of(d) < left_of(before) : length_of(d) > length_of(before);
}

}  // namespace

void conclude(AllOf& all, std::size_t count) noexcept {
  const auto each = std::span(all.each).first(count);
  all.which = 0;
  std::chrono::nanoseconds wait{0};
  for (std::size_t i = 0; i < count; ++i) {
    if (says_more(each[i], each[all.which])) all.which = i;
    wait = std::max(wait, each[i].wait);
  }
  all.decision = each[all.which];
  all.decision.charged = 0;  // `each` has it, so that it is not refunded twice
  all.decision.wait = all ? wait : std::chrono::nanoseconds(0);
}

const Binding& AskedTogether::binding_of(const Limiter& limiter) noexcept {
  return limiter.core_->binding();
}

void AskedTogether::add(Limiter& limiter, std::string_view key, std::uint64_t cost) noexcept {
  const Binding& binding = binding_of(limiter);
  const shm::Mapping& mapping = binding.view->mapping;
  const Place place{mapping.device(), mapping.inode(), binding.id, hash_of(binding, key)};
  const std::size_t ask = ask_count_++;
  for (Charge& charge : std::span(charges_).first(charge_count_)) {
    if (charge.place.parts() != place.parts()) continue;
    charge.cost = sum(charge.cost, cost);
    firsts_[ask] = charge.first;
    return;
  }
  charges_[charge_count_++] = {place, &limiter, key, cost, ask};
  firsts_[ask] = ask;
}

AllOf AskedTogether::decide() noexcept {
  AllOf all;
  if (charge_count_ == 1 || all_would_pass(all)) charge_all(all);
  conclude_for_all(all);
  return all;
}

bool AskedTogether::all_would_pass(AllOf& all) const noexcept {
  const auto charges = std::span(charges_).first(charge_count_);
  const Charge* denying = nullptr;
  std::size_t denials = 0;
  for (const Charge& charge : charges) {
    // Made in place, here and below: a copy would wait for its parts to be written.
    const Decision& told = *new (&all.each[charge.first]) Decision(look(charge));
    if (told) continue;
    denying = &charge;
    ++denials;
  }
  if (denials == 0) return true;
  for (const Charge& charge : charges) count_denial(charge, all.each[charge.first]);
  // Had its candidate been in force, and allowed it, the call had passed.
  if (denials == 1 && is_by_a_limit(all.each[denying->first])) try_candidate_of(*denying);
  return false;
}

/// As peek, but where a call cannot be asked it says what that would be told.
Decision AskedTogether::look(const Charge& charge) noexcept {
  const Binding& binding = binding_of(*charge.limiter);
  // relaxed: says what the view is for; the view itself came with the binding.
  return binding.view->decides.load(std::memory_order_relaxed)
             ? charge.limiter->peek(charge.key, charge.cost)
             : refused(*binding.view, charge.key, charge.cost);
}

/// Counts what a look denies beside the key's slot, as a call does; also what a limit that only
/// watches would have denied.
void AskedTogether::count_denial(const Charge& charge, const Decision& told) noexcept {
  const bool is_denied = !told.allowed && is_by_a_limit(told);
  if (!is_denied && told.reason != Reason::shadow) return;
  const Binding& binding = binding_of(*charge.limiter);
  View& view = *binding.view;
  if (!view.policies.have_one_name(told.policy, binding.id)) return;  // of a segment that we left
  std::optional<Policy> spare;
  const Policy* const by = view.known.find(told.policy, spare).policy;
  if (by == nullptr) return;
  const std::uint64_t index = view.table.find(charge.place.key);
  const bool is_to_be_told =
      index != view.table.kNowhere
          ? count(view, index, charge.place.key.identity, told.policy, by->limit, false)
          : count_total(view, told.policy, by->limit, false);
  if (is_to_be_told) (void)noted(view, EventKind::denied, charge.key, told);
  if (bans_for_denials(*by)) note_denial(binding, *by, told.policy, charge.key);
}

/// What a call that is denied at a look shows to a candidate.
void AskedTogether::try_candidate_of(const Charge& charge) noexcept {
  const Binding& binding = binding_of(*charge.limiter);
  if (binding.stands_alone()) return;
  const View& view = *binding.view;
  try_candidate(binding, view.policies.in_force(binding.id), charge.key, OwnTime{&view.clock},
                Acquire{charge.cost}, false);
}

/// One order for everybody: of rivals who want the same keys, the later is denied at the first of
/// them, where there is nothing to undo.
void AskedTogether::sort() noexcept {
  std::sort(charges_.begin(), charges_.begin() + charge_count_,
            [](const Charge& a, const Charge& b) { return a.place.parts() < b.place.parts(); });
}

void AskedTogether::charge_all(AllOf& all) noexcept {
  sort();
  std::size_t done = 0;
  for (; done < charge_count_; ++done) {
    const Charge& charge = charges_[done];
    const Decision& told = *new (&all.each[charge.first])
                               Decision(charge.limiter->try_acquire(charge.key, charge.cost));
    if (!told) break;
  }
  if (done == charge_count_) return;
  while (done > 0) {
    const Charge& charge = charges_[--done];
    charge.limiter->refund(charge.key, all.each[charge.first]);
  }
}

void AskedTogether::conclude_for_all(AllOf& all) const noexcept {
  for (std::size_t i = 0; i < ask_count_; ++i) {
    if (firsts_[i] == i) continue;
    all.each[i] = all.each[firsts_[i]];
    all.each[i].charged = 0;
  }
  conclude(all, ask_count_);
}

AllOf all_of(std::span<const Ask> asks) noexcept {
  if (asks.empty() || asks.size() > AllOf::kAsksMax) return {};
  AskedTogether together;
  for (const Ask& ask : asks) together.add(ask.limiter, ask.key, ask.cost);
  return together.decide();
}

bool refund(std::span<const Ask> asks, AllOf& all) noexcept {
  bool given = false;
  for (std::size_t i = std::min(asks.size(), AllOf::kAsksMax); i-- > 0;)
    given |= asks[i].limiter.refund(asks[i].key, all.each[i]);
  return given;
}

}  // namespace rl
