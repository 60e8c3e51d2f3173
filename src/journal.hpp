/// \file
/// Noting what is changed by hand.
#pragma once

#include <string_view>

#include <rl/standing.hpp>

#include "shm/journal.hpp"
#include "src/counting.hpp"

namespace rl {

/// What was changed; what does not apply is empty.
struct NotedChange {
  Change change;
  std::string_view policy = {};
  std::string_view key = {};
  std::string_view before = {};
  std::string_view after = {};
  std::string_view reason = {};
  std::uint64_t ban_ns = 0;  ///< how long a ban is
};

/// Writes a change to the journal, and as an event. Requires a view that can be written.
inline void note_change(const View& view, const NotedChange& noted) noexcept {
  shm::Journal(view.mapping)
      .write(static_cast<std::uint8_t>(noted.change),
             {noted.policy, noted.key, noted.before, noted.after, noted.reason});
  shm::EventImage image{};
  image.policy = noted.policy.empty() ? std::uint16_t{0} : view.policies.find(noted.policy);
  image.detail = static_cast<std::uint8_t>(noted.change);
  image.wait_ns = noted.ban_ns;
  const bool is_ban = noted.change == Change::banned;
  note_event(view, is_ban ? EventKind::banned : EventKind::changed, noted.key, image);
}

}  // namespace rl
