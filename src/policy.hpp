/// \file
/// A policy's bytes and what they mean: the only place that knows both.
#pragma once

#include <cstdint>
#include <optional>

#include <rl/limit.hpp>

#include "shm/policies.hpp"
#include "src/token_bucket.hpp"

namespace rl {

/// Spells an algorithm in a policy entry. Numbers are for ever.
enum class Algorithm : std::uint32_t { token_bucket = 1 };

/// A policy, read and checked, in private memory.
struct Policy {
  Limit limit;
  TokenBucket bucket;
};

/// Writes a limit into an entry's constants (all but the name).
shm::PolicyConstants constants_of(const Limit& limit, std::uint64_t now_ns,
                                  std::uint64_t unix_ns) noexcept;

/// Reads a policy; nothing when the numbers make no limit that this library can hold.
std::optional<Policy> policy_from(const shm::PolicyConstants& constants) noexcept;

}  // namespace rl
