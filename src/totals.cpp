// How often what was decided: the sums over all stripes, by the names of policies.
#include <rl/totals.hpp>

#include <bit>
#include <string>
#include <unordered_map>

#include <fmt/format.h>

#include "src/change.hpp"
#include "src/counting.hpp"
#include "src/show.hpp"

namespace rl {
namespace {

using shm::PolicyTally;
using shm::StripeHead;

void add(const shm::Mapping& mapping, std::uint16_t id, PolicyTotals& totals) noexcept {
  totals.allowed += shm::Stripes::sum(mapping, id, PolicyTally::allowed);
  totals.denied += shm::Stripes::sum(mapping, id, PolicyTally::denied);
  totals.would_deny += shm::Stripes::sum(mapping, id, PolicyTally::would_deny);
  totals.refunds += shm::Stripes::sum(mapping, id, PolicyTally::refunds);
  totals.waits += shm::Stripes::sum(mapping, id, PolicyTally::waits);
  const auto waited = to_shown(shm::Stripes::sum(mapping, id, PolicyTally::waited_ns));
  totals.waited = to_shown(static_cast<std::uint64_t>(totals.waited.count()) +
                           static_cast<std::uint64_t>(waited.count()));
}

constexpr std::uint32_t kDenialsPerEventMax = std::uint32_t{1} << 31;

}  // namespace

Totals Segment::totals() const {
  (void)core_->view().clock.now();  // looks around when it is time to
  const View& view = core_->view();
  const shm::Mapping& mapping = view.mapping;
  Totals totals;
  std::unordered_map<std::string, std::size_t> places;
  // First those that have a limit, in their order; then what was counted under whatever id.
  view.policies.walk([&](std::uint16_t id) {
    const auto constants = view.policies.read(id);
    if (!constants || constants->kind != shm::PolicyKind::limit) return false;
    const std::string name(shm::name_of(*constants));
    if (places.try_emplace(name, totals.policies.size()).second)
      totals.policies.push_back({.policy = name});
    return false;
  });
  for (std::uint32_t id = 1; id <= view.policies.used(); ++id) {
    const auto constants = view.policies.read(static_cast<std::uint16_t>(id));
    if (!constants) continue;
    const auto at = places.find(std::string(shm::name_of(*constants)));
    if (at != places.end())
      add(mapping, static_cast<std::uint16_t>(id), totals.policies[at->second]);
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
  // relaxed: as where it is read.
  const std::uint64_t mask =
      core_->view().mapping.header().denials_mask.load(std::memory_order_relaxed);
  return static_cast<std::uint32_t>(std::min<std::uint64_t>(mask, kDenialsPerEventMax - 1) + 1);
}

void Segment::set_denials_per_event(std::uint32_t denials) {
  core_->look_at_once();  // a change must not go into a segment that was left
  const View& view = core_->view();
  check_writable({view, path()});
  if (denials == 0 || denials > kDenialsPerEventMax)
    throw Error(Errc::bad_option, fmt::format("{} denials for each event: give 1 to {}", denials,
                                              kDenialsPerEventMax));
  view.mapping.header().denials_mask.store(std::bit_ceil(denials) - 1, std::memory_order_relaxed);
}

}  // namespace rl
