#include "src/entries.hpp"

#include <fmt/format.h>

#include <algorithm>

#include <rl/error.hpp>

#include "src/change.hpp"
#include "src/policy.hpp"

namespace rl {
namespace {

using shm::PolicyKind;

/// Returns the limit that tells an entry from others of its name and kind.
std::string limit_of(const shm::PolicyTable& policies, const Policy& policy) {
  switch (policy.kind) {
    case PolicyKind::override_:
    case PolicyKind::conduct:
      return policy.limit.to_string();
    case PolicyKind::ban:
    case PolicyKind::allow:
      if (const auto parent = read_policy(policies, policy.parent)) {
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
    const auto policy = read_policy(policies, id);  // one that is damaged is nobody's equal
    if (policy) there_.emplace(shm::name_of(*constants), policy->kind, limit_of(policies, *policy));
    return false;
  });
}

std::uint32_t EntryCount::left() const noexcept {
  const std::uint32_t common = left_ - std::min(left_, shm::ids_kept(capacity_));
  return needed_to_last_ > common ? common : left_;
}

bool EntryCount::fits() const noexcept {
  return needed_to_last_ <= left() && needed_ <= left_;
}

void EntryCount::take_common() noexcept {
  needed_to_last_ = ++needed_;
}

bool EntryCount::take(std::string name, PolicyKind kind, std::string limit) {
  if (!there_.emplace(std::move(name), kind, std::move(limit)).second) return false;
  if (kind == PolicyKind::ban || kind == PolicyKind::allow) {
    ++needed_;
  } else {
    take_common();
  }
  return true;
}

void EntryCount::take_what_bans(const std::string& name, const Limit& limit,
                                const std::string& parent) {
  if (limit.ban_after() == 0) return;
  keep_conduct(name, limit);
  (void)take(name, PolicyKind::ban, parent);
}

void EntryCount::set_policy(const std::string& name, const Limit& limit) {
  take_what_bans(name, limit, {});
  // Else it hangs behind what it replaces.
  if (!take(name, PolicyKind::limit, {})) take_common();
}

void EntryCount::set_override(const std::string& name, const Limit& limit) {
  const std::string text = limit.to_string();
  (void)take(name, PolicyKind::override_, text);
  take_what_bans(name, limit, text);
}

void EntryCount::keep_conduct(const std::string& name, const Limit& bans) {
  (void)take(name, PolicyKind::conduct, conduct_limit(bans).to_string());
}

void EntryCount::put_apart(const std::string& name, PolicyKind kind,
                           const std::optional<Limit>& parent) {
  (void)take(name, kind, parent ? parent->to_string() : std::string());
}

void EntryCount::check_room(std::string_view path) const {
  if (fits()) return;
  const std::uint32_t kept = left_ - left();
  const std::string but_kept =
      kept == 0 ? "" : fmt::format(" (and {} kept for bans and allowed keys)", kept);
  throw Error(
      Errc::too_many,
      fmt::format("{}: this takes {} policy {}, and {} of {} are left{}; nothing was changed; "
                  "move it into a segment with more (rlctl dump, then load --create "
                  "--policies)",
                  path, needed_, needed_ == 1 ? "entry" : "entries", left(), capacity_, but_kept));
}

}  // namespace rl
