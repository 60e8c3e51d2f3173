#include "tests/stepping/ledger.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "shm/events.hpp"
#include "shm/record.hpp"
#include "shm/stripes.hpp"

namespace rl::test {

std::uint64_t calls_counted(const shm::Mapping& mapping) {
  using shm::PolicyTally;
  std::uint64_t calls = 0;
  for (std::uint32_t id = 1; id <= mapping.geometry().policy_capacity; ++id)
    for (const auto which : {PolicyTally::allowed, PolicyTally::denied, PolicyTally::would_deny})
      calls += shm::Stripes::sum(mapping, static_cast<std::uint16_t>(id), which);
  return calls;
}

std::uint64_t events_not_whole(const shm::Mapping& mapping) {
  const shm::Hasher hasher(mapping.constants().secret);
  std::uint64_t count = 0;
  for (std::uint32_t i = 0; i < shm::kEventRings; ++i) {
    const shm::EventRing& ring = mapping.event_rings()[i];
    const std::uint64_t end = ring.next.load(std::memory_order_relaxed);
    for (std::uint64_t n = end - std::min(end, shm::kEventsPerRing); n < end; ++n) {
      const auto image = shm::load_image<shm::EventImage>(ring.records[n % shm::kEventsPerRing]);
      const bool is_whole = image.checksum == shm::checksum_of(hasher, image);
      if (!is_whole || image.number != n) ++count;
    }
  }
  return count;
}

std::optional<std::uint64_t> calls_of(const Step& step) {
  if (step.kind == Step::all_of) return std::nullopt;
  return decides(step) && step.kind != Step::peek ? 1 : 0;
}

std::string find_miscount(std::uint64_t before, const Step& victim, bool is_killed,
                          const Script& rivals, const shm::Mapping& mapping) {
  const std::uint64_t half_written = events_not_whole(mapping);
  if (half_written > (is_killed ? 1 : 0)) return fmt::format("{} events are lost", half_written);
  std::optional<std::uint64_t> most = calls_of(victim);
  for (const Step& step : rivals) {
    const auto calls = calls_of(step);
    if (!most || !calls) return {};
    *most += *calls;
  }
  if (!most) return {};
  const std::uint64_t least = *most - (is_killed ? *calls_of(victim) : 0);
  const std::uint64_t counted = calls_counted(mapping) - before;
  if (counted >= least && counted <= *most) return {};
  return fmt::format("A violated: {} calls are counted, of {} to {}", counted, least, *most);
}

}  // namespace rl::test
