#include <rl/segment.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <map>

#include "shm/counts.hpp"
#include "src/core.hpp"
#include "src/describe.hpp"
#include "src/follow.hpp"
#include "src/forget.hpp"
#include "src/most_denied.hpp"
#include "src/show.hpp"

namespace rl {
namespace {

using std::chrono::nanoseconds;

std::shared_ptr<SegmentCore> core_of(std::string_view name, std::string path, shm::Mapping mapping,
                                     const SegmentOptions& options) {
  return std::make_shared<SegmentCore>(std::string(name), std::move(path), std::move(mapping),
                                       options.any_owner);
}

/// Reads the names of policies once for a walk over many slots.
class PolicyNames {
 public:
  explicit PolicyNames(const View& view) : view_(view) {}

  const std::string& operator[](std::uint16_t id) {
    const auto [at, is_new] = known_.try_emplace(id);
    if (!is_new) return at->second;
    if (const auto constants = view_.policies.read(id)) at->second = shm::name_of(*constants);
    return at->second;
  }

 private:
  const View& view_;
  std::map<std::uint16_t, std::string> known_;
};

/// For what is only shown: a process whose clock is not the segment's sees every debt as on the
/// first day.
std::uint64_t time_to_show(const View& view) noexcept {
  const std::uint64_t now = view.clock.now();
  return now != shm::Clock::kNoTime ? now : 0;
}

/// How far the clock is ahead of UTC, as counted from the epoch.
std::optional<nanoseconds> drift_from_utc(const shm::Clock& clock) noexcept {
  const std::uint64_t now = clock.now();
  if (clock.kind() == shm::ClockKind::manual || now == shm::Clock::kNoTime) return std::nullopt;
  return nanoseconds(static_cast<std::int64_t>(clock.to_unix_ns(now) - shm::read_unix_ns()));
}

/// What there is to say of a slot under a concurrency limit.
void describe_part(const View& view, std::uint64_t state, KeyInfo& row) {
  constexpr SlotPart kParts[] = {SlotPart::permit, SlotPart::hint, SlotPart::fence, SlotPart::key};
  row.part = kParts[static_cast<std::size_t>(kind_of(state))];
  if (row.part != SlotPart::permit) return;
  row.remaining = row.idle ? 1 : 0;
  const std::uint32_t seat =
      PermitWord::of(state).holder - 1;  // no seat is the last there could be
  if (row.idle || seat >= view.mapping.geometry().seat_capacity) return;
  // relaxed: for people, and possibly the successor's by now.
  row.holder_pid = view.mapping.seats()[seat].pid.load(std::memory_order_relaxed);
}

/// What there is to say of a key that stands apart from its policy.
void describe_standing(const View& view, const Policy& policy, std::uint64_t state, KeyInfo& row) {
  row.standing = standing_of(policy.kind);
  if (row.standing == Standing::none) return;
  row.idle = false;  // it stays
  std::optional<Policy> spare;
  const Policy* limit = &policy;
  if (row.standing != Standing::override_) limit = view.known.find(policy.parent, spare).policy;
  if (limit != nullptr && limit->kind == shm::PolicyKind::override_) row.own_limit = limit->limit;
  if (row.standing == Standing::allow) row.limit = row.remaining = 0;  // nothing is counted
  if (row.standing != Standing::ban) return;
  const BanWord word = BanWord::of(state);
  row.until = word.is_for_ever() ? Instant::max() : Instant(to_shown(word.until_ns()));
  row.ban_level = word.level;
}

KeyInfo describe(const View& view, PolicyNames& names, std::uint64_t index, shm::SlotWords words,
                 std::uint64_t now) {
  const std::uint64_t identity = shm::identity_of(words.tag);
  Follower follower(view, view.clock);
  const Followed at = follower.follow(shm::policy_of(words.tag), words.state, now, 0);
  KeyInfo row;
  row.idle = false;  // as far as one can tell: a policy that cannot be read says nothing
  row.policy_id = at.policy != nullptr ? at.id : shm::policy_of(words.tag);
  row.policy = names[row.policy_id];
  const shm::Counts& counts = view.table.counts(index);
  row.allowed_count = shm::read_count(counts.allowed, identity);
  row.denied_count = shm::read_count(counts.denied, identity);
  if (const shm::LabelText label = view.labels.read(index, identity); label.known) {
    row.key = std::string(label.view());
    row.key_truncated = label.truncated;
  }
  if (at.policy != nullptr) {
    const Parameters& parameters = at.policy->parameters;
    const Verdict verdict = peek(parameters, cut(parameters, at.state, now), now, 1);
    row.limit = most_at_once(parameters);
    row.remaining = verdict.remaining;
    row.reset_after = to_shown(verdict.reset_after_ns);
    row.idle = verdict.reset_after_ns == 0;
    if (std::holds_alternative<Unlimited>(parameters)) row.limit = row.remaining = 0;
    if (std::holds_alternative<Concurrency>(parameters)) describe_part(view, at.state, row);
    if (at.policy->kind == shm::PolicyKind::candidate) row.part = SlotPart::candidate;
    if (std::holds_alternative<Conduct>(parameters)) row.part = SlotPart::conduct;
    describe_standing(view, *at.policy, at.state, row);
  }
  return row;
}

}  // namespace

std::optional<KeyInfo> describe_slot(const View& view, std::uint64_t index) {
  const shm::SlotWords words = view.table.settled(view.table.slot(index));
  if (!shm::is_member(words.tag)) return std::nullopt;
  PolicyNames names(view);
  return describe(view, names, index, words, time_to_show(view));
}

shm::CreateOptions create_options(const SegmentOptions& o) {
  shm::CreateOptions options{.keys = o.keys,
                             .policies = o.policies,
                             .labels = o.labels,
                             .mode = o.mode,
                             .owner = o.owner,
                             .group = o.group,
                             .automatic_clock = false,
                             .clock = shm::ClockKind::tsc,
                             .huge_pages = o.huge_pages == HugePages::automatic};
  switch (o.clock) {
    case ClockSource::automatic:
      options.automatic_clock = true;
      break;
    case ClockSource::tsc:
      break;
    case ClockSource::boottime:
      options.clock = shm::ClockKind::boottime;
      break;
    case ClockSource::manual:
      options.clock = shm::ClockKind::manual;
      break;
  }
  return options;
}

Segment Segment::create(std::string_view name, const SegmentOptions& options) {
  std::string path = shm::path_of(name);
  shm::Mapping mapping = shm::Mapping::create(path, create_options(options));
  return Segment(core_of(name, std::move(path), std::move(mapping), options));
}

Segment Segment::open(std::string_view name, const SegmentOptions& options) {
  std::string path = shm::path_of(name);
  shm::Mapping mapping = shm::Mapping::attach(path, shm::Access::read_write, options.any_owner);
  return Segment(core_of(name, std::move(path), std::move(mapping), options));
}

Segment Segment::open_read_only(std::string_view name, const SegmentOptions& options) {
  std::string path = shm::path_of(name);
  shm::Mapping mapping = shm::Mapping::attach(path, shm::Access::read_only, options.any_owner);
  return Segment(core_of(name, std::move(path), std::move(mapping), options));
}

Segment Segment::open_or_create(std::string_view name, const SegmentOptions& options) {
  std::string path = shm::path_of(name);
  shm::Mapping mapping =
      shm::Mapping::attach_or_create(path, create_options(options), options.any_owner);
  return Segment(core_of(name, std::move(path), std::move(mapping), options));
}

Segment Segment::open_or(std::string_view name, const SegmentOptions& options,
                         const Fallback& fallback) {
  check(fallback);
  try {
    return open_or_create(name, options);
  } catch (const Error& e) {
    if (e.code() == Errc::bad_name || e.code() == Errc::bad_option) throw;
    auto stand_in = std::make_unique<StandIn>(fallback, create_options(options), e.what(),
                                              std::chrono::system_clock::now());
    return Segment(std::make_shared<SegmentCore>(std::string(name), shm::path_of(name),
                                                 std::move(stand_in), options.any_owner));
  }
}

Segment Segment::create_private(const SegmentOptions& options) {
  auto own = shm::Mapping::create_unshared(create_options(options), true);
  return Segment(std::make_shared<SegmentCore>(std::move(own)));
}

FallbackInfo Segment::fallback() const {
  const StandIn* const stand_in = core_->stand_in();
  if (stand_in == nullptr) return {};
  // relaxed: a count for people.
  return {core_->view().stand_in != nullptr, stand_in->calls.load(std::memory_order_relaxed),
          stand_in->since, stand_in->why};
}

bool Segment::remove(std::string_view name) {
  return shm::Mapping::remove(shm::path_of(name));
}

Limiter Segment::limiter(std::string_view policy, const Limit& limit) {
  return Limiter(std::make_shared<LimiterCore>(core_, std::string(policy), limit));
}

Limiter Segment::limiter(std::string_view policy) {
  return Limiter(std::make_shared<LimiterCore>(core_, std::string(policy), std::nullopt));
}

Instant Segment::now() const noexcept {
  return Instant(to_shown(time_to_show(core_->view())));
}

void Segment::advance_clock(nanoseconds by) {
  View& view = core_->view();
  if (view.clock.kind() != shm::ClockKind::manual) {
    throw Error(Errc::bad_option,
                fmt::format("{}: its clock is not manual; only a segment created with clock manual "
                            "can be advanced",
                            path()));
  }
  if (by.count() < 0)
    throw Error(Errc::bad_option, "a clock goes forward only; give a duration above 0");
  if (!view.mapping.writable()) {
    throw Error(Errc::read_only,
                fmt::format("{}: opened for reading; open it for writing", path()));
  }
  constexpr std::uint64_t kLatestNs = std::uint64_t{1} << 62;  // what the algorithms can hold
  if (static_cast<std::uint64_t>(by.count()) > kLatestNs - std::min(view.clock.now(), kLatestNs)) {
    throw Error(Errc::bad_option, "a clock counts no further than 146 years; give less");
  }
  view.clock.advance(static_cast<std::uint64_t>(by.count()));
}

SegmentInfo Segment::info() const {
  SegmentInfo info = vitals();
  for_each_key([&](const KeyInfo& key) { ++(key.idle ? info.idle : info.live); });
  info.huge_bytes = core_->view().mapping.huge_bytes();
  return info;
}

SegmentInfo Segment::vitals() const {
  const View& view = core_->view();
  const shm::HeaderConstants& c = view.mapping.constants();
  const shm::Health& health = view.mapping.header().health;
  constexpr auto relaxed = std::memory_order_relaxed;
  SegmentInfo info;
  info.name = core_->name();
  info.path = core_->path();
  info.layout_version = c.layout_version;
  info.creator_version =
      std::string(c.creator_version, ::strnlen(c.creator_version, sizeof c.creator_version));
  info.keys = c.keys;
  info.slots = view.table.slot_count();
  info.bytes = c.total_bytes;
  info.created = to_wall_time(c.created_unix_ns);
  info.creator_pid = c.creator_pid;
  info.tsc_left = view.clock.left_tsc();
  switch (view.clock.kind()) {
    case shm::ClockKind::tsc:
      info.clock = info.tsc_left ? ClockSource::boottime : ClockSource::tsc;
      break;
    case shm::ClockKind::boottime:
      info.clock = ClockSource::boottime;
      break;
    case shm::ClockKind::manual:
      info.clock = ClockSource::manual;
      break;
  }
  info.labels = view.labels.kept();
  info.attached = shm::Participant::count_attached(view.mapping, core_->path());
  info.policies = view.policies.used();
  info.policy_room = view.policies.capacity();
  info.evicted = health.evicted.load(relaxed);
  info.full_allowed = health.full_allowed.load(relaxed);
  info.full_denied = health.full_denied.load(relaxed);
  info.gave_up = health.gave_up.load(relaxed);
  info.clamped = health.clamped.load(relaxed);
  info.tentatives_freed = health.tentatives_freed.load(relaxed);
  info.anonymous = health.anonymous.load(relaxed);
  info.off_allowed = view.mapping.header().off_allowed.load(relaxed);
  if (const std::uint64_t since = view.mapping.header().off_unix_ns.load(relaxed); since != 0)
    info.off_since = to_wall_time(since);
  info.clock_drift = drift_from_utc(view.clock);
  return info;
}

void Segment::for_each_key(const std::function<void(const KeyInfo&)>& visit) const {
  const View& view = core_->view();
  PolicyNames names(view);
  const std::uint64_t now = time_to_show(view);
  for (std::uint64_t i = 0; i < view.table.slot_count(); ++i) {
    const shm::SlotWords words = view.table.settled(view.table.slot(i));
    if (shm::is_member(words.tag)) visit(describe(view, names, i, words, now));
  }
}

std::vector<DeniedKey> Segment::most_denied(std::size_t count) const {
  const View& view = core_->view();
  const std::uint64_t slots = view.table.slot_count();
  if (count == 0) return {};
  MostDenied most(std::min<std::uint64_t>(count, slots));
  most.look_at(view, 0, slots);
  return most.ranking(view);
}

std::optional<KeyInfo> Segment::find(std::string_view policy, std::string_view key) const {
  const View& view = core_->view();
  if (key.empty() || view.policies.find(policy) == 0) return std::nullopt;
  const auto hash = shm::KeyHash::from(hasher_for(view.mapping, policy)(key.data(), key.size()));
  const std::uint64_t index = view.table.find(hash);
  if (index == view.table.kNowhere) return std::nullopt;
  const shm::SlotWords words = view.table.settled(view.table.slot(index));
  if (!shm::is_member_of(words.tag, hash.identity)) return std::nullopt;
  PolicyNames names(view);
  return describe(view, names, index, words, time_to_show(view));
}

std::uint64_t Segment::reset_all() {
  View& view = core_->view();
  if (!view.mapping.writable()) {
    throw Error(Errc::read_only,
                fmt::format("{}: opened for reading; open it for writing", path()));
  }
  std::uint64_t freed = 0;
  for (std::uint64_t i = 0; i < view.table.slot_count(); ++i)
    freed += forget(view, i, 0) == Forgotten::key ? 1U : 0U;
  return freed;
}

const std::string& Segment::name() const noexcept {
  return core_->name();
}
const std::string& Segment::path() const noexcept {
  return core_->path();
}

}  // namespace rl
