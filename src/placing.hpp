/// \file
/// Which slot a key of a dump belongs to in the segment that it is loaded into, as far as that can
/// be known.
#pragma once

#include <fmt/format.h>

#include <cstdint>
#include <string>

#include <rl/error.hpp>

#include "src/core.hpp"
#include "src/dump_text.hpp"

namespace rl {

/// Whether somebody else may be deciding on the segment.
enum class Seen : bool { by_nobody, by_others };

class Placing {
 public:
  Placing(const View& view, const DumpedSegment& dumped, Seen seen) noexcept
      : view_(view), dumped_(dumped), seen_(seen) {}

  [[nodiscard]] bool is_unseen() const noexcept { return seen_ == Seen::by_nobody; }

  /// Where a key belongs is known from its text, from its hash under the same secret, or because it
  /// was there. The last tells one of the 16 slots that it may be in: only while nobody else inserts
  /// can it be put there, lest it has two.
  [[nodiscard]] bool can_place(const DumpedKey& key) const noexcept {
    switch (key.known) {
      case KeyKnown::text:
        return true;
      case KeyKnown::hash:
        return has_same_secret();
      case KeyKnown::slot:
        break;
    }
    if (!has_same_slots()) return false;
    return is_unseen() ||
           shm::is_member_of(view_.table.slot(key.slot_index).tag(), key.hash.identity);
  }

  /// Says why so many of all cannot be placed, and what to do.
  [[nodiscard]] Error cannot_place(const std::string& path, std::uint64_t unknown,
                                   std::uint64_t all) const {
    const char* const why = !has_same_secret() ? "the segment has another secret"
                            : !has_same_slots()
                                ? "without their text they fit a segment of the same size only"
                                : "others have the slots where they were";
    const char* const what_to_do = is_unseen() ? "make it of the size that the dump says"
                                               : "load into a new segment (--create)";
    return {Errc::bad_option,
            fmt::format("{}: {} of the {} keys of the dump cannot be placed, as their text is not "
                        "known whole and {}; {}, or leave them out (--partial)",
                        path, unknown, all, why, what_to_do)};
  }

 private:
  [[nodiscard]] bool has_same_secret() const noexcept {
    return view_.mapping.constants().secret == dumped_.secret;
  }
  [[nodiscard]] bool has_same_slots() const noexcept {
    return has_same_secret() && view_.mapping.geometry().pair_count == dumped_.pairs;
  }

  const View& view_;
  const DumpedSegment& dumped_;
  const Seen seen_;
};

}  // namespace rl
