/// \file
/// Noting what is changed by hand.
#pragma once

#include <string_view>

#include <rl/standing.hpp>

#include "shm/journal.hpp"
#include "src/core.hpp"

namespace rl {

/// What was changed; what does not apply is empty.
struct NotedChange {
  Change change;
  std::string_view policy = {};
  std::string_view key = {};
  std::string_view before = {};
  std::string_view after = {};
  std::string_view reason = {};
};

/// Writes a change to the journal. Requires a view that can be written.
inline void note_change(const View& view, const NotedChange& noted) noexcept {
  shm::Journal(view.mapping)
      .write(static_cast<std::uint8_t>(noted.change),
             {noted.policy, noted.key, noted.before, noted.after, noted.reason});
}

}  // namespace rl
