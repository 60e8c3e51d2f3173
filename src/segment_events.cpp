// Reading what happened, and telling it by the names of policies.
#include <rl/events.hpp>

#include <algorithm>
#include <vector>

#include "src/change.hpp"
#include "src/counting.hpp"
#include "src/show.hpp"

namespace rl {
namespace {

Event event_from(const View& view, const shm::EventImage& image) {
  Event event;
  event.kind = static_cast<EventKind>(image.kind);
  event.when = to_wall_time(image.unix_ns);
  event.pid = image.pid;
  if (const auto constants = view.policies.read(image.policy))
    event.policy = shm::name_of(*constants);
  event.key = image.key_text();
  event.key_truncated = image.is_key_cut != 0;
  event.cost = image.cost;
  event.limit = image.limit;
  event.remaining = image.remaining;
  event.wait = to_shown(image.wait_ns);
  const bool is_change = event.kind == EventKind::changed || event.kind == EventKind::banned;
  if (is_change)
    event.change = static_cast<Change>(image.detail);
  else
    event.reason = static_cast<Reason>(image.detail);
  return event;
}

/// An event, and in which view its policy has its name.
struct Found {
  const View* view;
  shm::EventImage image;
};

}  // namespace

struct Events::Inside {
  Inside(std::shared_ptr<SegmentCore> which, bool consumes)
      : core(std::move(which)), is_consumer(consumes) {}

  /// What is new in the view that was current.
  std::uint64_t read(std::vector<Found>& found) {
    std::uint64_t lost = 0;
    for (std::uint32_t ring = 0; ring < shm::kEventRings; ++ring) {
      lost += reader->read(ring, [&](const shm::EventImage& image) {
        found.push_back({view, image});
      });
    }
    return lost;
  }

  /// Comes to the view that is current, with a reader of it. Returns whether it is another.
  bool come_to_view(shm::EventReader::Start start) {
    (void)core->view().clock.now();  // looks around when it is time to
    const View& now = core->view();
    if (view == &now) return false;
    view = &now;
    reader.emplace(now.mapping, start);
    return true;
  }

  std::shared_ptr<SegmentCore> core;
  bool is_consumer;
  const View* view = nullptr;
  std::optional<shm::EventReader> reader;
};

Events::Events(const Segment& segment, From from, As as)
    : inside_(std::make_unique<Inside>(segment.core_, as == As::consumer)) {
  using Start = shm::EventReader::Start;
  if (inside_->is_consumer) check_writable({segment.core_->view(), segment.path()});
  (void)inside_->come_to_view(from == From::now      ? Start::now
                              : inside_->is_consumer ? Start::unread
                                                     : Start::oldest);
}
Events::Events(Events&&) noexcept = default;
Events& Events::operator=(Events&&) noexcept = default;
Events::~Events() = default;

EventsRead Events::poll(const std::function<void(const Event&)>& visit) {
  using Start = shm::EventReader::Start;
  Inside& in = *inside_;
  EventsRead read;
  std::vector<Found> found;
  read.lost = in.read(found);  // the last of a segment that was left, if it was
  if (in.come_to_view(in.is_consumer ? Start::unread : Start::oldest)) read.lost += in.read(found);
  std::stable_sort(found.begin(), found.end(), [](const Found& a, const Found& b) {
    return a.image.unix_ns < b.image.unix_ns;
  });
  for (const Found& event : found) {
    ++read.delivered;
    visit(event_from(*event.view, event.image));
  }
  // Not before: what was not visited, the next consumer is to have.
  if (in.is_consumer && in.view->mapping.writable()) in.reader->note_read();
  return read;
}

}  // namespace rl
