#include "src/counting.hpp"

namespace rl {

std::string_view to_string(EventKind kind) noexcept {
  switch (kind) {
    case EventKind::denied:
      return "denied";
    case EventKind::banned:
      return "banned";
    case EventKind::evicted:
      return "evicted";
    case EventKind::full:
      return "full";
    case EventKind::changed:
      return "changed";
    case EventKind::permit_reclaimed:
      return "permit reclaimed";
    case EventKind::left_tsc:
      return "left tsc";
    case EventKind::copied:
      return "copied";
  }
  return "unknown";
}

void note_event(const View& view, EventKind kind, std::string_view key,
                shm::EventImage image) noexcept {
  if (!view.mapping.writable()) return;
  image.kind = static_cast<std::uint8_t>(kind);
  image.pid = view.participant.pid();
  if (view.mapping.geometry().label_bytes != 0) image.set_key(key);
  const bool is_frequent =
      kind == EventKind::denied || kind == EventKind::evicted || kind == EventKind::full;
  shm::write_event(view.mapping,
                   is_frequent ? shm::ring_of(view.participant.seat()) : shm::kRareRing, image);
}

void note_event(const View& view, EventKind kind, std::uint16_t policy,
                std::string_view key) noexcept {
  shm::EventImage image{};
  image.policy = policy;
  note_event(view, kind, key, image);
}

Decision noted(const View& view, EventKind kind, std::string_view key,
               const Decision& decision) noexcept {
  shm::EventImage image{};
  image.policy = decision.policy;
  image.detail = static_cast<std::uint8_t>(decision.reason);
  image.cost = decision.cost;
  image.limit = decision.limit;
  image.remaining = decision.remaining;
  image.wait_ns = static_cast<std::uint64_t>(decision.retry_after.count());
  note_event(view, kind, key, image);
  return decision;
}

}  // namespace rl
