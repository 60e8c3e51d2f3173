/// \file
/// A policy's algorithm, whichever it is: every operation of src/verdict.hpp, sent to the one that
/// the parameters belong to.
#pragma once

#include <variant>

#include "src/ban.hpp"
#include "src/concurrency.hpp"
#include "src/conduct.hpp"
#include "src/counter.hpp"
#include "src/fixed_window.hpp"
#include "src/leaky.hpp"
#include "src/sliding_window.hpp"
#include "src/token_bucket.hpp"
#include "src/unlimited.hpp"

namespace rl {

using Parameters = std::variant<TokenBucket, LeakyBucket, FixedWindow, SlidingWindow, Concurrency,
                                Counter, Unlimited, Ban, Conduct>;

constexpr Verdict acquire(const Parameters& parameters, std::uint64_t state, std::uint64_t now_ns,
                          std::uint64_t cost) noexcept {
  return std::visit([=](const auto& p) { return acquire(p, state, now_ns, cost); }, parameters);
}

constexpr Verdict peek(const Parameters& parameters, std::uint64_t state, std::uint64_t now_ns,
                       std::uint64_t cost) noexcept {
  return std::visit([=](const auto& p) { return peek(p, state, now_ns, cost); }, parameters);
}

constexpr Verdict reserve(const Parameters& parameters, std::uint64_t state, std::uint64_t now_ns,
                          std::uint64_t cost, std::uint64_t patience_ns) noexcept {
  return std::visit([=](const auto& p) { return reserve(p, state, now_ns, cost, patience_ns); },
                    parameters);
}

constexpr std::uint64_t charge(const Parameters& parameters, std::uint64_t state,
                               std::uint64_t now_ns, std::uint64_t cost) noexcept {
  return std::visit([=](const auto& p) { return charge(p, state, now_ns, cost); }, parameters);
}

constexpr std::uint64_t charge_room(const Parameters& parameters, std::uint64_t state,
                                    std::uint64_t now_ns) noexcept {
  return std::visit([=](const auto& p) { return charge_room(p, state, now_ns); }, parameters);
}

constexpr std::uint64_t with_remaining(const Parameters& parameters, std::uint64_t state,
                                       std::uint64_t now_ns, std::uint64_t tokens) noexcept {
  return std::visit([=](const auto& p) { return with_remaining(p, state, now_ns, tokens); },
                    parameters);
}

constexpr std::uint64_t refund(const Parameters& parameters, std::uint64_t state,
                               std::uint64_t charged, std::uint64_t cost,
                               std::uint64_t now_ns) noexcept {
  return std::visit([=](const auto& p) { return refund(p, state, charged, cost, now_ns); },
                    parameters);
}

constexpr bool is_idle(const Parameters& parameters, std::uint64_t state,
                       std::uint64_t now_ns) noexcept {
  return std::visit([=](const auto& p) { return is_idle(p, state, now_ns); }, parameters);
}

constexpr std::uint64_t idle_state(const Parameters& parameters, std::uint64_t now_ns) noexcept {
  return std::visit([=](const auto& p) { return idle_state(p, now_ns); }, parameters);
}

constexpr std::uint64_t tokens_owed(const Parameters& parameters, std::uint64_t state,
                                    std::uint64_t now_ns) noexcept {
  return std::visit([=](const auto& p) { return tokens_owed(p, state, now_ns); }, parameters);
}

constexpr bool is_beyond_horizon(const Parameters& parameters, std::uint64_t state,
                                 std::uint64_t now_ns) noexcept {
  return std::visit([=](const auto& p) { return is_beyond_horizon(p, state, now_ns); }, parameters);
}

constexpr std::uint64_t cut(const Parameters& parameters, std::uint64_t state,
                            std::uint64_t now_ns) noexcept {
  return std::visit([=](const auto& p) { return cut(p, state, now_ns); }, parameters);
}

constexpr std::uint64_t most_at_once(const Parameters& parameters) noexcept {
  return std::visit([](const auto& p) { return most_at_once(p); }, parameters);
}

/// All permits are alike.
constexpr Concurrency floored(const Concurrency& permits) noexcept {
  return permits;
}

constexpr Parameters floored(const Parameters& parameters) noexcept {
  return std::visit([](const auto& p) { return Parameters(floored(p)); }, parameters);
}

}  // namespace rl
