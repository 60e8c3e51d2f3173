#include "src/entries.hpp"

#include <fmt/format.h>

#include <rl/error.hpp>

#include "src/change.hpp"
#include "src/policy.hpp"

namespace rl {
namespace {

using shm::PolicyKind;

/// Returns what an entry says; nothing for one that is damaged, as that is nobody's equal.
std::optional<Policy> policy_of(const shm::PolicyTable& policies, std::uint16_t id) noexcept {
  const auto constants = policies.read(id);
  return constants ? policy_from(*constants) : std::nullopt;
}

/// Returns the limit that tells an entry from others of its name and kind.
std::string limit_of(const shm::PolicyTable& policies, const Policy& policy) {
  switch (policy.kind) {
    case PolicyKind::override_:
    case PolicyKind::conduct:
      return policy.limit.to_string();
    case PolicyKind::ban:
    case PolicyKind::allow:
      if (const auto parent = policy_of(policies, policy.parent)) {
        if (parent->kind == PolicyKind::override_) return parent->limit.to_string();
      }
      return {};
    default:
      return {};
  }
}

}  // namespace

EntryCount::EntryCount(const shm::PolicyTable& policies)
    : capacity_(policies.capacity()), left_(policies.capacity() - policies.used()) {
  policies.walk([&](std::uint16_t id) {
    const auto constants = policies.read(id);
    const auto policy = policy_of(policies, id);
    if (policy) there_.emplace(shm::name_of(*constants), policy->kind, limit_of(policies, *policy));
    return false;
  });
}

bool EntryCount::take(std::string name, PolicyKind kind, std::string limit) {
  const bool is_new = there_.emplace(std::move(name), kind, std::move(limit)).second;
  needed_ += is_new ? 1 : 0;
  return is_new;
}

void EntryCount::take_what_bans(const std::string& name, const Limit& limit,
                                const std::string& parent) {
  if (limit.ban_after() == 0) return;
  (void)take(name, PolicyKind::conduct, conduct_limit(limit).to_string());
  (void)take(name, PolicyKind::ban, parent);
}

void EntryCount::set_policy(const std::string& name, const Limit& limit) {
  take_what_bans(name, limit, {});
  const bool is_first = take(name, PolicyKind::limit, {});
  needed_ += is_first ? 0 : 1;  // else it hangs behind what it replaces
}

void EntryCount::set_override(const std::string& name, const Limit& limit) {
  const std::string text = limit.to_string();
  (void)take(name, PolicyKind::override_, text);
  take_what_bans(name, limit, text);
}

void EntryCount::put_apart(const std::string& name, PolicyKind kind,
                           const std::optional<Limit>& parent) {
  (void)take(name, kind, parent ? parent->to_string() : std::string());
}

void EntryCount::check_room(std::string_view path) const {
  if (needed_ <= left_) return;
  throw Error(
      Errc::too_many,
      fmt::format("{}: this takes {} policy {}, and {} of {} are left; nothing was changed; "
                  "move it into a segment with more (rlctl dump, then load --create "
                  "--policies)",
                  path, needed_, needed_ == 1 ? "entry" : "entries", left_, capacity_));
}

}  // namespace rl
