/// \file
/// What an HTTP server says to its client about a limit: the values of response fields, written
/// into a buffer of the caller's.
///
///     char buffer[rl::http::kFieldMax];
///     response.set("RateLimit-Policy", rl::http::ratelimit_policy("api", api.limit(), buffer));
///     if (auto value = rl::http::retry_after(decision, buffer); !value.empty())
///       response.set("Retry-After", value);
///
/// Every function returns the whole value, which lies at the start of `buffer` and has no zero at
/// its end, or an empty view: there is nothing to say, so leave the field out, or the buffer is too
/// small, which one of kFieldMax never is. The next call on the same buffer overwrites it.
///
/// Units: durations in whole seconds, rounded up, so that no client comes too early by rounding;
/// counts are calls of cost 1, rounded down.
///
/// Errors: nothing is thrown, whatever the arguments hold; no byte outside `buffer` is written.
/// Progress: no allocation, no system call, no locale.
///
/// Threads and processes: pure functions of their arguments; any number of threads may call them,
/// each with a buffer of its own. A policy's name must not lie in the buffer.
#ifndef RL_HTTP_HPP
#define RL_HTTP_HPP

#include <cstddef>
#include <span>
#include <string_view>

#include <rl/decision.hpp>
#include <rl/export.hpp>
#include <rl/limit.hpp>

namespace rl::http {

/// The longest name of a policy, in bytes.
inline constexpr std::size_t kPolicyNameMax = 63;

/// The longest value of any field here, in bytes: a name in quotes whose every byte is escaped, and
/// two parameters such as ";q=", one of 15 digits, the most that a structured field can hold, and
/// one of 10, which are more seconds than 63 bits of nanoseconds.
inline constexpr std::size_t kFieldMax = (2 + 2 * kPolicyNameMax) + (3 + 15) + (3 + 10);

/// Returns the value of Retry-After: the seconds until the same call can pass, at least 1.
/// Nothing when there is no such wait: the call passed, or never can (kNever), or was denied for
/// a reason that time does not cure (Reason::invalid, Reason::unavailable).
/// Accuracy: as that of Decision::retry_after. Source: RFC 9110, section 10.2.3, delay-seconds.
[[nodiscard]] RL_EXPORT std::string_view retry_after(const Decision& decision,
                                                     std::span<char> buffer) noexcept;

/// Returns the value of RateLimit-Policy, such as "api";q=200;w=2, which says what a limit is.
/// There is something to say of every limit but of concurrency, which is no quota.
///
/// q  the burst B: the most at once. Above 15 digits it is cut to 999999999999999.
/// w  B x T, T being the interval: the seconds in which an empty bucket fills; of windows, their
///    length. Rounded up, so that the pair is a promise (but of a sliding window, where the window
///    before may still weigh): a client that makes at most q calls of cost 1 in any w seconds is
///    never denied. (Of a bucket: a denial after n calls since the bucket was last full, L ago, means n + 1 > B + L /
///    T. But n + 1 calls in L are at most B x (floor(L / w) + 1) <= B + L / T.) Of a burst that
///    fills in less than a second it says less than the limit allows: the draft knows no fractions.
///
/// The name becomes a String of RFC 9651, section 3.3.3: in quotes, quotes and backslashes escaped;
/// what such a string cannot hold, all but printable ASCII, becomes '?'. A name that no segment
/// would take, above kPolicyNameMax, is written if the buffer holds it.
///
/// Source: draft-ietf-httpapi-ratelimit-headers-11 (23 May 2026), which leaves the algorithm, and
/// so the reading above, to the server.
[[nodiscard]] RL_EXPORT std::string_view ratelimit_policy(std::string_view policy,
                                                          const Limit& limit,
                                                          std::span<char> buffer) noexcept;

/// Returns the value of RateLimit, such as "api";r=199;t=1, which says how a client stands after a
/// decision. `limit` is the one that decided: Limiter::limit().
///
/// r  the whole tokens left after this call; never above the q of the same limit.
/// t  the seconds until r grows by one; 0 when it is at its most. After an admitted call of a
/// sliding
///    window, at most so long: only a denial knows how the window fades. In the draft's words: within t
///    seconds the client should use no more than r. Retry-After is never before the end of t, as
///    its section 6 asks; for a denied call of cost 1 both are the same wait, but for the drift that
///    Decision::retry_after allows for.
///
/// Nothing when the decision does not say how the key stands under `limit`: Reason::full, banned,
/// unavailable or invalid, another limit decided, or the call was of low priority (Decision::limit
/// is not the burst of this one); nor of a permit.
/// Source, and how the name is written: see ratelimit_policy.
[[nodiscard]] RL_EXPORT std::string_view ratelimit(std::string_view policy, const Limit& limit,
                                                   const Decision& decision,
                                                   std::span<char> buffer) noexcept;

/// Returns the value of X-RateLimit-Limit: the burst, all digits of it. Nothing when no limit was
/// asked (Reason::unavailable or invalid).
/// Source: custom; no document defines the X- fields, and services differ in what they mean.
[[nodiscard]] RL_EXPORT std::string_view x_ratelimit_limit(const Decision& decision,
                                                           std::span<char> buffer) noexcept;

/// Returns the value of X-RateLimit-Remaining: the whole tokens left after this call, never above
/// X-RateLimit-Limit. Nothing when the decision does not say how the key stands (see ratelimit). Do
/// not send it for a permit: its decision does not count those that are left.
[[nodiscard]] RL_EXPORT std::string_view x_ratelimit_remaining(const Decision& decision,
                                                               std::span<char> buffer) noexcept;

/// Returns the value of X-RateLimit-Reset: the seconds until the bucket is full again, 0 when it
/// is. Nothing when the decision does not say how the key stands (see ratelimit).
///
/// Of the meanings in use, seconds from now and not a Unix time: it asks for no clock that server
/// and client agree on, and is what earlier drafts made of the field (RateLimit-Reset,
/// draft-ietf-httpapi-ratelimit-headers-06). Until full, and not until the next token: clients take
/// the end of it for the instant at which Remaining is Limit again, and here that is the only one.
/// A denied client can mostly come back earlier: that is Retry-After.
[[nodiscard]] RL_EXPORT std::string_view x_ratelimit_reset(const Decision& decision,
                                                           std::span<char> buffer) noexcept;

}  // namespace rl::http

#endif
