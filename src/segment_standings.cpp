// Keys that stand apart from their policy, and the journal of changes by hand.
#include <rl/segment.hpp>

#include <fmt/format.h>

#include <algorithm>

#include "src/change.hpp"
#include "src/escalation.hpp"
#include "src/journal.hpp"
#include "src/show.hpp"
#include "src/standing.hpp"

namespace rl {
namespace {

/// Returns the root of a policy whose keys can stand apart.
std::uint16_t root_for_standings(const Place& place, std::string_view policy) {
  const std::uint16_t root = place.view.policies.find(policy);
  if (root == 0) {
    shm::PolicyTable::check_name(policy);
    throw no_such_policy(place, policy, "see `rlctl policy list`");
  }
  const Policy in_force = must_read(place, policy, place.view.policies.in_force(root));
  if (takes_calls(in_force.limit.algorithm())) return root;
  if (!gives_permits(in_force.limit.algorithm())) {
    throw Error(
        Errc::bad_limit,
        fmt::format("{}: policy \"{}\" is a counter: it denies no key anything, so there is "
                    "none to deny or to let through; whoever compares does that",
                    place.path, policy));
  }
  throw Error(Errc::bad_limit,
              fmt::format("{}: policy \"{}\" is {}: a key of permits has a slot for each, and they "
                          "are out until they are given back; change the limit of all, or give "
                          "the key a policy of its own",
                          place.path, policy, in_force.limit.to_string()));
}

void check_key(const Place& place, std::string_view key) {
  if (!key.empty()) return;
  throw Error(Errc::bad_option,
              fmt::format("{}: the key is empty; a key has at least one byte", place.path));
}

/// Returns a ban's length. Errors: as Segment::ban.
StandingChange ban_of(const Place& place, std::chrono::nanoseconds length) {
  if (length == kNever) return {.act = StandingAct::ban, .is_for_ever = true};
  if (length <= std::chrono::nanoseconds(0) || length > kBanMax) {
    throw Error(
        Errc::bad_option,
        fmt::format("{}: a ban lasts longer than nothing, and no longer than 73 years; give "
                    "such a length, or ban for ever",
                    place.path));
  }
  return {.act = StandingAct::ban, .length_ns = static_cast<std::uint64_t>(length.count())};
}

JournalInfo describe(const shm::JournalImage& image) {
  using enum shm::JournalText;
  JournalInfo info;
  info.number = image.number;
  info.change = static_cast<Change>(image.kind);
  info.policy = std::string(image.of(policy));
  info.key = std::string(image.of(key));
  info.before = std::string(image.of(before));
  info.after = std::string(image.of(after));
  info.reason = std::string(image.of(reason));
  info.cut = image.cut != 0;
  info.when = to_wall_time(image.unix_ns);
  info.uid = image.uid;
  info.pid = image.pid;
  return info;
}

/// Whether a change made a key stand as it does.
bool makes(Change change, Standing standing) noexcept {
  switch (standing) {
    case Standing::override_:
      return change == Change::override_set;
    case Standing::ban:
      return change == Change::banned;
    case Standing::allow:
      return change == Change::allowed;
    case Standing::none:
      break;
  }
  return false;
}

/// Finds who put a key where it stands: the last that did.
std::optional<JournalInfo> change_behind(const std::vector<JournalInfo>& journal,
                                         const StandingInfo& info) {
  const auto is_it = [&](const JournalInfo& change) {
    return info.key && makes(change.change, info.standing) && change.policy == info.policy &&
           std::string_view(*info.key).substr(0, change.key.size()) == change.key;
  };
  const auto at = std::find_if(journal.rbegin(), journal.rend(), is_it);
  return at != journal.rend() ? std::optional(*at) : std::nullopt;
}

}  // namespace

std::string_view to_string(Standing standing) noexcept {
  switch (standing) {
    case Standing::none:
      break;
    case Standing::override_:
      return "override";
    case Standing::allow:
      return "allowed";
    case Standing::ban:
      return "banned";
  }
  return "none";
}

std::string_view to_string(Change change) noexcept {
  switch (change) {
    case Change::policy_set:
      return "policy set";
    case Change::policy_removed:
      return "policy removed";
    case Change::limits_off:
      return "limits off";
    case Change::limits_on:
      return "limits on";
    case Change::override_set:
      return "override set";
    case Change::override_unset:
      return "override unset";
    case Change::banned:
      return "banned";
    case Change::unbanned:
      return "unbanned";
    case Change::allowed:
      return "allowed";
    case Change::disallowed:
      return "disallowed";
    case Change::trial_begun:
      return "trial begun";
    case Change::trial_ended:
      return "trial ended";
    case Change::repaired:
      return "repaired";
  }
  return "unknown";
}

bool Segment::change_standing_of(std::string_view policy, std::string_view key,
                                 const StandingChange& change, std::string_view reason) {
  core_->look_at_once();  // a change must not go into a segment that was left
  View& view = core_->view();
  const Place place{view, path()};
  check_writable(place);
  check_key(place, key);
  const std::uint16_t root = root_for_standings(place, policy);
  return change_standing(view, path(), {root, policy, key}, change, reason);
}

bool Segment::set_override(std::string_view policy, std::string_view key, const Limit& limit) {
  core_->look_at_once();
  View& view = core_->view();
  const Place place{view, path()};
  check_writable(place);
  check_key(place, key);
  const std::uint16_t root = root_for_standings(place, policy);
  if (!takes_calls(limit.algorithm())) {
    throw Error(
        Errc::bad_limit,
        fmt::format("{}: {} {}, and policy \"{}\" limits calls; give a limit of calls", path(),
                    limit.to_string(),
                    gives_permits(limit.algorithm()) ? "gives permits" : "only counts", policy));
  }
  const std::uint16_t id = publish_override(place, policy, limit);
  return change_standing(view, path(), {root, policy, key},
                         {.act = StandingAct::set_override, .override_id = id}, {});
}

bool Segment::unset_override(std::string_view policy, std::string_view key) {
  return change_standing_of(policy, key, {.act = StandingAct::unset_override}, {});
}

bool Segment::ban(std::string_view policy, std::string_view key, std::chrono::nanoseconds length,
                  std::string_view reason) {
  return change_standing_of(policy, key, ban_of({core_->view(), path()}, length), reason);
}

bool Segment::unban(std::string_view policy, std::string_view key) {
  if (!change_standing_of(policy, key, {.act = StandingAct::unban}, {})) return false;
  const View& view = core_->view();
  forget_conduct(view, hasher_for(view.mapping, policy), key);
  return true;
}

bool Segment::allow(std::string_view policy, std::string_view key, std::string_view reason) {
  return change_standing_of(policy, key, {.act = StandingAct::allow}, reason);
}

bool Segment::disallow(std::string_view policy, std::string_view key) {
  return change_standing_of(policy, key, {.act = StandingAct::disallow}, {});
}

std::vector<JournalInfo> Segment::journal() const {
  std::vector<JournalInfo> all;
  for (const shm::JournalImage& image : shm::Journal(core_->view().mapping).read())
    all.push_back(describe(image));
  return all;
}

std::vector<StandingInfo> Segment::standings() const {
  const std::vector<JournalInfo> changes = journal();
  std::vector<StandingInfo> all;
  for_each_key([&](const KeyInfo& row) {
    if (row.standing == Standing::none) return;
    StandingInfo info;
    info.standing = row.standing;
    info.policy = row.policy;
    info.key = row.key;
    info.key_truncated = row.key_truncated;
    info.limit = row.own_limit;
    info.until = row.until;
    info.level = row.ban_level;
    info.change = change_behind(changes, info);
    all.push_back(std::move(info));
  });
  return all;
}

}  // namespace rl
