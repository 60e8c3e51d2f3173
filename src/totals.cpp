// How often what was decided: the sums over all stripes, by the names of policies.
#include <rl/totals.hpp>

#include <bit>
#include <string_view>
#include <unordered_map>

#include <fmt/format.h>

#include "src/change.hpp"
#include "src/counting.hpp"

namespace rl {
namespace {

using shm::PolicyTally;
using shm::StripeHead;

std::uint64_t& total_of(PolicyTotals& totals, PolicyTally::Which which) noexcept {
  switch (which) {
    case PolicyTally::allowed:
      return totals.allowed;
    case PolicyTally::denied:
      return totals.denied;
    case PolicyTally::would_deny:
      return totals.would_deny;
    case PolicyTally::refunds:
      return totals.refunds;
    default:
      return totals.waits;
  }
}

void add(const shm::Mapping& mapping, std::uint16_t id, PolicyTotals& totals) noexcept {
  for (const auto which : {PolicyTally::allowed, PolicyTally::denied, PolicyTally::would_deny,
                           PolicyTally::refunds, PolicyTally::waits})
    total_of(totals, which) += shm::Stripes::sum(mapping, id, which);
  totals.waited += std::chrono::nanoseconds(
      static_cast<std::int64_t>(shm::Stripes::sum(mapping, id, PolicyTally::waited_ns)));
}

}  // namespace

Totals Segment::totals() const {
  const View& view = core_->view();
  const shm::Mapping& mapping = view.mapping;
  Totals totals;
  std::unordered_map<std::string, std::size_t> places;
  const auto of = [&](std::string_view name) -> PolicyTotals& {
    const auto [at, is_new] = places.try_emplace(std::string(name), totals.policies.size());
    if (is_new) totals.policies.push_back({.policy = std::string(name)});
    return totals.policies[at->second];
  };
  // First those that have a limit, in their order; then what was counted under whatever id.
  view.policies.walk([&](std::uint16_t id) {
    const auto constants = view.policies.read(id);
    if (constants && constants->kind == shm::PolicyKind::limit) (void)of(shm::name_of(*constants));
    return false;
  });
  for (std::uint32_t id = 1; id <= view.policies.used(); ++id) {
    const auto constants = view.policies.read(static_cast<std::uint16_t>(id));
    if (!constants || !places.contains(std::string(shm::name_of(*constants)))) continue;
    add(mapping, static_cast<std::uint16_t>(id), of(shm::name_of(*constants)));
  }
  for (std::uint32_t line = 0; line < totals.by_line.size(); ++line)
    totals.by_line[line] = shm::Stripes::sum(mapping, StripeHead::first_line + line);
  totals.retries = shm::Stripes::sum(mapping, StripeHead::retries);
  totals.permits_reclaimed = shm::Stripes::sum(mapping, StripeHead::permits_reclaimed);
  // relaxed: a count for people.
  totals.idle_overwritten =
      mapping.header().health.idle_overwritten.load(std::memory_order_relaxed);
  const shm::EventCounts events = shm::count_events(mapping);
  totals.events = events.written;
  totals.events_lost = events.lost;
  return totals;
}

std::uint32_t Segment::denials_per_event() const noexcept {
  constexpr std::uint64_t kMost = std::uint64_t{1} << 31;
  // relaxed: as where it is read.
  const std::uint64_t mask =
      core_->view().mapping.header().denials_mask.load(std::memory_order_relaxed);
  return static_cast<std::uint32_t>(std::min(mask, kMost - 1) + 1);
}

void Segment::set_denials_per_event(std::uint32_t denials) {
  const View& view = core_->view();
  check_writable({view, path()});
  constexpr std::uint32_t kMost = std::uint32_t{1} << 31;
  if (denials == 0 || denials > kMost)
    throw Error(Errc::bad_option,
                fmt::format("{} denials for each event: give 1 to {}", denials, kMost));
  view.mapping.header().denials_mask.store(std::bit_ceil(denials) - 1, std::memory_order_relaxed);
}

}  // namespace rl
