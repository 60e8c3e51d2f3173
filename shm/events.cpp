#include "shm/events.hpp"

#include <algorithm>

#include "shm/clock.hpp"
#include "shm/record.hpp"

namespace rl::shm {
namespace {

constexpr auto relaxed = std::memory_order_relaxed;  // see the head of shm/events.hpp

}  // namespace

void EventImage::set_key(std::string_view text) noexcept {
  key_bytes = static_cast<std::uint8_t>(text.substr(0, kKeyBytes).copy(key, kKeyBytes));
  is_key_cut = text.size() > kKeyBytes ? 1 : 0;
}

std::string_view EventImage::key_text() const noexcept {
  return {key, std::min<std::size_t>(key_bytes, kKeyBytes)};
}

void write_event(const Mapping& mapping, std::uint32_t seat, EventImage& image) noexcept {
  EventRing& ring = mapping.event_rings()[seat % kEventRings];
  image.number = ring.next.fetch_add(1, relaxed);
  image.unix_ns = read_unix_ns();
  image.checksum = checksum_of(Hasher(mapping.constants().secret), image);
  const bool is_full = image.number >= kEventsPerRing;
  if (is_full && ring.read_to.load(relaxed) <= image.number - kEventsPerRing)
    ring.lost.fetch_add(1, relaxed);
  store_image(ring.records[image.number % kEventsPerRing], image);
}

EventCounts count_events(const Mapping& mapping) noexcept {
  EventCounts counts;
  for (std::uint32_t i = 0; i < kEventRings; ++i) {
    const EventRing& ring = mapping.event_rings()[i];
    counts.written += ring.next.load(relaxed);
    counts.lost += ring.lost.load(relaxed);
  }
  return counts;
}

EventReader::EventReader(const Mapping& mapping, Start start) noexcept
    : mapping_(mapping), hasher_(mapping.constants().secret) {
  for (std::uint32_t i = 0; i < kEventRings; ++i) {
    const EventRing& ring = mapping.event_rings()[i];
    const std::uint64_t next = ring.next.load(relaxed);
    const std::uint64_t oldest = next - std::min(next, kEventsPerRing);
    const std::uint64_t unread = std::clamp(ring.read_to.load(relaxed), oldest, next);
    positions_[i].next = start == Start::now ? next : start == Start::unread ? unread : oldest;
  }
}

std::uint64_t EventReader::read(std::uint32_t which, const Visit& visit) {
  const EventRing& ring = mapping_.event_rings()[which];
  Position& at = positions_[which];
  std::uint64_t lost = 0;
  const auto lose_to = [&](std::uint64_t number) {
    lost += number - at.next;
    at = {number, 0};
  };
  const std::uint64_t end = ring.next.load(relaxed);
  if (end < at.next) at = {end, 0};  // bytes gone wrong
  if (end - at.next > kEventsPerRing) lose_to(end - kEventsPerRing);
  while (at.next != end) {  // ends: each turn takes one event, or is the last
    const auto image = load_image<EventImage>(ring.records[at.next % kEventsPerRing]);
    const bool is_whole = image.checksum == checksum_of(hasher_, image);
    if (is_whole && image.number == at.next) {
      at = {at.next + 1, 0};
      visit(image);
      continue;
    }
    const std::uint64_t now = read_boottime_ns();
    if (at.waiting_since_ns == 0) at.waiting_since_ns = now;
    const bool is_overwritten = is_whole && image.number > at.next;
    if (!is_overwritten && now < at.waiting_since_ns + kPatienceNs) break;
    lose_to(at.next + 1);
  }
  return lost;
}

void EventReader::note_read() const noexcept {
  for (std::uint32_t i = 0; i < kEventRings; ++i) {
    // Of several consumers who writes last says; that is as good.
    mapping_.event_rings()[i].read_to.store(positions_[i].next, relaxed);
  }
}

}  // namespace rl::shm
