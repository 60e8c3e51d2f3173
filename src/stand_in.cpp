#include "src/stand_in.hpp"

#include <fmt/format.h>

#include <algorithm>

#include <rl/error.hpp>

#include "src/core.hpp"

namespace rl {
namespace {

constexpr std::uint64_t kSecondNs = 1'000'000'000;
constexpr std::uint64_t kLocalKeys = 16'384;  // 2.2 MiB, of which what is used is taken
static_assert(kLocalKeys >= Concurrency::kLimitMax, "as many permits as one key can have");

std::uint64_t ns_of(std::chrono::nanoseconds duration) noexcept {
  return static_cast<std::uint64_t>(duration.count());
}

std::uint64_t part_of(std::uint64_t count, std::uint64_t share) noexcept {
  return std::max<std::uint64_t>(count / share, 1);
}

/// A period so much longer, as far as a limit can hold it: neither it nor the time in which all
/// that passes at once comes back may be above 73 years.
std::chrono::nanoseconds stretched(const Limit& limit, std::uint64_t share,
                                   std::uint64_t at_once) noexcept {
  constexpr std::uint64_t kMost = TokenBucket::kToleranceMax;
  const std::uint64_t most =
      std::min(kMost / ns_of(limit.period()), kMost / (ns_of(limit.interval()) * at_once));
  return limit.period() * static_cast<std::int64_t>(std::min(share, most));
}

Limit quota_divided(const Limit& limit, std::uint64_t share) {
  const std::uint64_t at_once = part_of(limit.burst(), share);
  switch (limit.algorithm()) {
    case Algorithm::token_bucket:
      break;
    case Algorithm::leaky:
      return Limit::leaky(limit.count(), stretched(limit, share, at_once), at_once - 1,
                          part_of(limit.delay() + 1, share) - 1);
    case Algorithm::fixed_window:
      return Limit::fixed_window(at_once, limit.period());
    case Algorithm::sliding_window:
      return Limit::sliding_window(at_once, limit.period());
    case Algorithm::concurrency:
      return Limit::concurrency(at_once, limit.lease());
    case Algorithm::counter:
      return Limit::counter();  // who compares knows his share
  }
  return Limit::per(limit.count(), stretched(limit, share, at_once)).burst(at_once);
}

}  // namespace

Limit divided(const Limit& limit, std::uint64_t share) {
  if (share == 1) return limit;
  Limit part = quota_divided(limit, share).when_full(limit.when_full()).shadow(limit.shadow());
  if (limit.floor() != 0) part = part.floor(limit.floor());
  return limit.ban_after() != 0 ? part.ban_after(limit.ban_after(), limit.ban_within(), limit.ban())
                                : part;
}

void check(const Fallback& fallback) {
  if (fallback.share == 0) {
    throw Error(Errc::bad_option,
                "a share of 0: limits are divided by it; give the number of processes");
  }
  if (fallback.on_failure > OnFailure::local)
    throw Error(Errc::bad_option, "without a segment: allow, deny or local, and nothing else");
}

Decision StandIn::answer() const noexcept {
  Decision decision{.allowed = allows(), .reason = Reason::unavailable};
  // As often as the segment is looked for.
  if (!decision.allowed) decision.retry_after = std::chrono::seconds(1);
  return decision;
}

Limit StandIn::limit_of(const Limit& wanted) const {
  return counts() ? divided(wanted, fallback.share) : wanted;
}

std::string StandIn::to_string() const {
  switch (fallback.on_failure) {
    case OnFailure::allow:
      return fmt::format("rate limiter unavailable: {}; every call is allowed", why);
    case OnFailure::deny:
      break;
    case OnFailure::local:
      return fmt::format(
          "rate limiter unavailable: {}; limits are kept by this process alone, divided by {}", why,
          fallback.share);
  }
  return fmt::format("rate limiter unavailable: {}; every call is denied", why);
}

shm::Mapping::Unshared memory_of(const StandIn& stand_in, bool has_keys) {
  shm::CreateOptions options = stand_in.options;
  options.mode = 0600;
  options.keys = has_keys ? kLocalKeys : 1;
  options.policies = std::clamp<std::uint32_t>(options.policies, 1, shm::kPoliciesMax);
  // A manual clock stays one. Else the best there is where calls are counted; that takes 10 ms
  // once, so not where they are not.
  const bool may_choose = options.clock == shm::ClockKind::tsc;
  options.automatic_clock = may_choose && has_keys;
  if (may_choose) options.clock = shm::ClockKind::boottime;
  return shm::Mapping::create_unshared(options, has_keys);
}

SegmentCore::SegmentCore(std::string name, std::string path, std::unique_ptr<StandIn> stand_in,
                         bool any_owner)
    : name_(std::move(name)),
      path_(std::move(path)),
      any_owner_(any_owner),
      stand_in_(std::move(stand_in)),
      view_(nullptr),
      followed_(nullptr) {
  const bool has_keys = stand_in_->counts();
  auto view = std::make_unique<View>(memory_of(*stand_in_, has_keys), stand_in_.get(), has_keys);
  attend(*view);
  if (has_keys)
    blank_ = std::make_unique<View>(memory_of(*stand_in_, false), stand_in_.get(), false);
  // relaxed, all three: nobody else has the core yet.
  view_.store(view.release(), std::memory_order_relaxed);
  next_look_ns_.store(shm::read_boottime_ns() + kSecondNs, std::memory_order_relaxed);
  warned_.store(true, std::memory_order_relaxed);  // it is said here, and once
  shm::log(Severity::warning, stand_in_->to_string());
}

void SegmentCore::come_by() noexcept {
  stand_in_->calls.fetch_add(1, std::memory_order_relaxed);  // a count for people
  if (view().stand_in != nullptr) (void)look_around();
}

/// There was no segment to be had: is there one now? Made, if there is none; but not before the name
/// was missing for two seconds: processes that still have a segment whose name was overwritten bring
/// it back within one when the name is free, with what was used. Errors: as when it was asked for.
void SegmentCore::come_back(View& stand_in) {
  constexpr int kMissesMax = 2;
  std::optional<shm::Mapping> fresh;
  try {
    fresh.emplace(shm::Mapping::attach(path_, shm::Access::read_write, any_owner_));
  } catch (const Error& e) {
    misses_ = e.code() == Errc::not_found ? misses_ + 1 : 0;
    if (misses_ <= kMissesMax) throw;
    misses_ = kMissesMax;
    fresh.emplace(shm::Mapping::attach_or_create(path_, stand_in_->options, any_owner_));
  }
  adopt(stand_in, std::make_unique<View>(std::move(*fresh), path_));
}

void SegmentCore::say_it_is_back() const {
  shm::log(Severity::warning,
           fmt::format("{}: the rate limiter is available again, with one limit for all processes; "
                       "this one had {} calls without it",
                       path_, stand_in_->calls.load(std::memory_order_relaxed)));
}

/// Nobody knows the limit of this policy before the segment is there. The one in the binding is only
/// to be shown, as a view without keys takes no calls.
std::unique_ptr<Binding> LimiterCore::bind_to_nothing(View& stand_in) const {
  View& view = stand_in.stand_in->counts() ? segment_->blank() : stand_in;
  const auto policy = policy_from(constants_of(Limit::per_second(1), {}));
  static const shm::Word kNoLinks{0};
  return std::make_unique<Binding>(Binding{&view, kNoPolicy, hasher_for(view.mapping, policy_name_),
                                           *policy, nullptr, &kNoLinks, nullptr});
}

}  // namespace rl
