/// \file
/// The response fields that tell a client about its limit: RateLimit-Policy and RateLimit as in
/// draft-ietf-httpapi-ratelimit-headers-11 (23 May 2026), Retry-After as in RFC 9110, section
/// 10.2.3.
///
///     RateLimit-Policy: "api";q=200;w=2        RateLimit: "api";r=199;t=1
///
/// The draft leaves the algorithm open. For a token bucket with burst B and interval T we read:
///
/// q  B, the most at once.
/// w  B x T in seconds: how long an empty bucket takes to fill. Rounded up, so that the pair is a
///    promise: a client that makes at most q calls in any w seconds is never denied. (A denial
///    after n calls since the bucket was last full, L ago, means n + 1 > B + L / T. But n + 1 calls
///    in L are at most B x (floor(L / w) + 1) <= B + L / T.) Of a burst that fills in less than a
///    second it says less than the limit allows; the draft knows no fractions of seconds.
/// r  the whole tokens left after this call.
/// t  seconds until r grows by one, rounded up. The draft: within t seconds the client can use no
///    more than r. On a denial r is 0 and t the wait for this call to pass, so Retry-After is
///    never before the end of t, as section 6 of the draft asks.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

#include <rl/decision.hpp>
#include <rl/limit.hpp>

namespace examples {

/// Returns a Structured Fields String (RFC 9651, section 4.1.6). What such a string cannot hold,
/// bytes that are not printable ASCII, becomes '?'.
inline std::string sf_string(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += c >= 0x20 && c <= 0x7e ? c : '?';
  }
  return out + '"';
}

/// Returns a Structured Fields Integer: at most 15 digits (RFC 9651, section 4.1.4).
inline std::string sf_integer(std::uint64_t n) {
  return std::to_string(std::min<std::uint64_t>(n, 999'999'999'999'999));
}

/// Rounds up to whole seconds; a time in the past is 0.
inline std::uint64_t whole_seconds(std::chrono::nanoseconds duration) {
  const auto seconds = std::chrono::ceil<std::chrono::seconds>(duration).count();
  return static_cast<std::uint64_t>(std::max<std::int64_t>(seconds, 0));
}

/// Returns the value of RateLimit-Policy.
inline std::string ratelimit_policy(std::string_view policy, const rl::Limit& limit) {
  const auto fill = limit.interval() * static_cast<std::int64_t>(limit.burst());
  return sf_string(policy) + ";q=" + sf_integer(limit.burst()) +
         ";w=" + sf_integer(whole_seconds(fill));
}

/// Returns the value of RateLimit after a decision under `limit`.
inline std::string ratelimit(std::string_view policy, const rl::Limit& limit,
                             const rl::Decision& decision) {
  // With m tokens missing the bucket owes more than (m - 1) x T, and r grows when it owes just
  // that.
  const std::uint64_t left = std::min(decision.remaining, limit.burst());
  const auto missing = static_cast<std::int64_t>(limit.burst() - left);
  const auto growth =
      decision.reset_after - limit.interval() * std::max<std::int64_t>(missing - 1, 0);
  return sf_string(policy) + ";r=" + sf_integer(left) + ";t=" + sf_integer(whole_seconds(growth));
}

/// Returns the value of Retry-After for a denial: at least 1, as 0 would invite a retry at once.
inline std::string retry_after(const rl::Decision& decision) {
  return std::to_string(std::max<std::uint64_t>(whole_seconds(decision.retry_after), 1));
}

}  // namespace examples
