// How decisions cross, where their size is not ours, and the numbers that both sides know.
#include <limits>

#include "src/c_abi.hpp"

namespace rl::c {
namespace {

constexpr bool is_same(Reason reason, int number) noexcept {
  return static_cast<int>(reason) == number;
}
static_assert(is_same(Reason::ok, LIBRL_OK) && is_same(Reason::limited, LIBRL_LIMITED) &&
              is_same(Reason::never, LIBRL_NEVER) && is_same(Reason::banned, LIBRL_BANNED) &&
              is_same(Reason::override_, LIBRL_OVERRIDE) && is_same(Reason::shadow, LIBRL_SHADOW) &&
              is_same(Reason::full, LIBRL_FULL) &&
              is_same(Reason::unavailable, LIBRL_UNAVAILABLE) &&
              is_same(Reason::invalid, LIBRL_INVALID) && is_same(Reason::off, LIBRL_OFF));
static_assert(kNever.count() == LIBRL_NEVER_NS);
static_assert(AllOf::kAsksMax == LIBRL_ASKS_MAX);

}  // namespace

[[gnu::noinline]] void fill_part(void* to, std::uint32_t size, const Decision& told,
                                 Beside beside) noexcept {
  librl_decision_t whole = LIBRL_DECISION_INIT;
  fill(whole, told, beside);
  whole.size = size;
  std::memcpy(to, &whole, std::min<std::size_t>(size, sizeof whole));
}

std::optional<Decision> read(const librl_decision_t* from) noexcept {
  if (from == nullptr || !can_take(from)) return std::nullopt;
  librl_decision_t whole = LIBRL_DECISION_INIT;
  std::memcpy(&whole, from, std::min<std::size_t>(from->size, sizeof whole));
  if (whole.reason < LIBRL_OK || whole.reason > LIBRL_OFF) return std::nullopt;
  if (whole.policy > std::numeric_limits<std::uint16_t>::max()) return std::nullopt;
  return Decision{.allowed = whole.allowed != 0,
                  .reason = static_cast<Reason>(whole.reason),
                  .policy = static_cast<std::uint16_t>(whole.policy),
                  .limit = whole.limit,
                  .remaining = whole.remaining,
                  .retry_after = std::chrono::nanoseconds(whole.retry_after_ns),
                  .reset_after = std::chrono::nanoseconds(whole.reset_after_ns),
                  .wait = std::chrono::nanoseconds(whole.wait_ns),
                  .cost = whole.cost,
                  .charged = whole.charged};
}

int refuse(librl_decision_t* decision) noexcept {
  if (can_take(decision)) tell(decision, {.reason = Reason::invalid});
  return LIBRL_EINVALID;
}

}  // namespace rl::c
