/// \file
/// What a slot holds, told as Segment::for_each_key does: for who walks over the table by itself.
#pragma once

#include <cstdint>
#include <optional>

#include <rl/segment.hpp>

#include "src/core.hpp"

namespace rl {

/// Describes the slot; nothing when it is no key's.
std::optional<KeyInfo> describe_slot(const View& view, std::uint64_t index);

}  // namespace rl
