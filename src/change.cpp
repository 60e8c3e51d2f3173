#include "src/change.hpp"

#include <fmt/format.h>

#include <rl/error.hpp>

#include "src/nearest.hpp"
#include "src/permit_slots.hpp"

namespace rl {
namespace {

/// A manual clock begins at the Unix epoch, so that a replay has the same windows every time.
std::uint64_t unix_time_at_0(const View& view) noexcept {
  return view.clock.kind() == shm::ClockKind::manual ? 0 : view.mapping.constants().epoch_unix_ns;
}

bool is_removed(const Policy& policy) noexcept {
  return policy.kind == shm::PolicyKind::removed;
}

void check_can_become(const Place& place, std::string_view name, const Limit& from,
                      const Limit& to) {
  if (can_become(from, to)) return;
  throw Error(
      Errc::bad_limit,
      fmt::format("{}: policy \"{}\" is {}, and cannot become {} while programs ask for it: "
                  "calls, permits and counts are asked for in different ways; give the new limit a "
                  "name of its own",
                  place.path, name, from.to_string(), to.to_string()));
}

/// Returns the constants of a limit, with the entry that its keys' conduct is kept under.
shm::PolicyConstants constants_for(const Place& place, std::string_view name, const Limit& limit) {
  shm::PolicyConstants constants = new_constants(place.view, limit);
  constants.parent = publish_conduct(place, name, limit);
  return constants;
}

/// Hangs a limit behind the one in force, unless `stays(policy in force)`.
template <class Stays>
std::uint16_t succeed(const Place& place, std::string_view name, std::uint16_t root,
                      const Limit& limit, Spent spent, Stays&& stays) {
  const View& view = place.view;
  const auto make = [&](std::uint16_t last) -> std::optional<shm::PolicyConstants> {
    const Policy policy = must_read(place, name, last);
    if (stays(policy)) return std::nullopt;
    shm::PolicyConstants constants = constants_for(place, name, limit);
    // Nothing was counted while there was no limit.
    constants.spent = static_cast<std::uint16_t>(is_removed(policy) ? Spent::reset : spent);
    if (const auto* const permits = std::get_if<Concurrency>(&policy.parameters)) {
      const bool is_settled = !has_permits_of_before(view, *permits, view.clock.now());
      continue_permits(constants, *permits, last, is_settled);
    }
    return constants;
  };
  const std::uint16_t id = view.policies.succeed(root, name, make);
  date_changes(view, root);
  // Now, as there may be no entry left when it is needed.
  if (limit.ban_after() != 0) (void)publish_standing(place, name, shm::PolicyKind::ban, root);
  return id;
}

}  // namespace

void check_writable(const Place& place) {
  if (place.view.mapping.writable()) return;
  throw Error(Errc::read_only,
              fmt::format("{}: opened for reading, so nothing can be made or changed; open it for "
                          "writing",
                          place.path));
}

/// Every permit needs a slot, and only as many are promised as there are keys.
void check_room_for_permits(const Place& place, const Limit& limit) {
  if (place.view.stand_in != nullptr) return;  // it has room for what one key can have
  const std::uint64_t keys = place.view.mapping.geometry().keys;
  if (!gives_permits(limit.algorithm()) || limit.count() <= keys) return;
  throw Error(
      Errc::bad_limit,
      fmt::format("{}: {} permits of one key, but the segment has room for {} keys, and each "
                  "permit takes the room of one; allow at most {}, or create it with more "
                  "keys",
                  place.path, limit.count(), keys, keys));
}

Error no_such_policy(const Place& place, std::string_view name, std::string_view what_to_do) {
  const View& view = place.view;
  Nearest nearest(name);
  view.policies.walk([&](std::uint16_t id) {
    const auto constants = view.policies.read(id);
    const bool is_root = constants && constants->kind == shm::PolicyKind::limit;
    if (!is_root || !shm::PolicyTable::can_be_name(shm::name_of(*constants))) return false;
    const auto in_force = read_policy(view.policies, view.policies.in_force(id));
    if (in_force && !is_removed(*in_force)) nearest.offer(shm::name_of(*constants));
    return false;
  });
  const std::string& found = nearest.name();
  const std::string advice =
      found.empty() ? std::string(what_to_do) : fmt::format("did you mean \"{}\"?", found);
  return {Errc::unknown_policy, fmt::format("{}: no policy \"{}\"; {}", place.path, name, advice)};
}

std::optional<Policy> read_policy(const shm::PolicyTable& policies, std::uint16_t id) noexcept {
  const auto constants = policies.read(id);
  return constants ? policy_from(*constants) : std::nullopt;
}

std::string limit_text(const shm::PolicyTable& policies, std::uint16_t id) {
  const auto policy = read_policy(policies, id);
  return policy ? policy->limit.to_string() : "";
}

Policy must_read(const Place& place, std::string_view name, std::uint16_t id) {
  if (auto policy = read_policy(place.view.policies, id)) return *policy;
  throw Error(
      Errc::corrupt,
      fmt::format("{}: policy \"{}\" (id {}) is damaged or made by a newer librl; remove the "
                  "segment and create it anew",
                  place.path, name, id));
}

void date_changes(const View& view, std::uint16_t root) noexcept {
  if (!view.mapping.writable()) return;  // who cannot write charges nothing, either
  for (std::uint16_t id = root, steps = 0; steps < view.policies.capacity(); ++steps) {
    const std::uint16_t next = view.policies.successor(id);
    if (next == 0) return;
    const std::uint64_t now = view.clock.now();
    if (view.policies.changed_ns(id) == 0 && now != shm::Clock::kNoTime)
      (void)view.policies.date(id, now);
    id = next;
  }
}

shm::PolicyConstants new_constants(const View& view, const Limit& limit) noexcept {
  return constants_of(limit, {view.clock.now(), shm::read_unix_ns(), unix_time_at_0(view)});
}

std::uint16_t policy_in_force(const View& view, std::string_view name) noexcept {
  const std::uint16_t root = view.policies.find(name);
  if (root == 0) return 0;
  date_changes(view, root);
  const std::uint16_t id = view.policies.in_force(root);
  const auto policy = read_policy(view.policies, id);
  return policy && is_removed(*policy) ? std::uint16_t{0} : id;
}

std::uint16_t make_policy(const Place& place, std::string_view name, const Limit& limit) {
  const View& view = place.view;
  if (const std::uint16_t id = policy_in_force(view, name); id != 0) {
    check_room_for_permits(place, must_read(place, name, id).limit);
    return id;
  }
  check_writable(place);
  check_room_for_permits(place, limit);
  const std::uint16_t root = view.policies.find_or_publish(constants_for(place, name, limit), name);
  return succeed(place, name, root, limit, Spent::reset,
                 [](const Policy& policy) { return !is_removed(policy); });
}

std::uint16_t change_policy(const Place& place, std::string_view name, const Limit& limit,
                            Spent spent) {
  const View& view = place.view;
  check_writable(place);
  check_room_for_permits(place, limit);
  const bool is_new = view.policies.find(name) == 0;
  const std::uint16_t root = view.policies.find_or_publish(constants_for(place, name, limit), name);
  return succeed(place, name, root, limit, is_new ? Spent::keep : spent, [&](const Policy& policy) {
    if (is_removed(policy)) return false;
    check_can_become(place, name, policy.limit, limit);
    return policy.limit == limit && (is_new || spent != Spent::reset);
  });
}

void check_can_become(const Place& place, std::string_view name, const Limit& limit) {
  if (const std::uint16_t id = policy_in_force(place.view, name); id != 0)
    check_can_become(place, name, must_read(place, name, id).limit, limit);
}

bool remove_policy(const Place& place, std::string_view name) {
  const View& view = place.view;
  check_writable(place);
  const std::uint16_t root = view.policies.find(name);
  if (root == 0) return false;
  bool was_there = false;
  const auto make = [&](std::uint16_t last) -> std::optional<shm::PolicyConstants> {
    const Policy policy = must_read(place, name, last);
    was_there = !is_removed(policy);
    if (!was_there) return std::nullopt;
    shm::PolicyConstants constants = new_constants(view, policy.limit);
    constants.kind = shm::PolicyKind::removed;
    return constants;
  };
  (void)view.policies.succeed(root, name, make);
  date_changes(view, root);
  return was_there;
}

std::uint16_t publish_beside(const Place& place, std::string_view name, const Limit& limit,
                             shm::PolicyKind kind, std::uint16_t parent) {
  check_writable(place);
  shm::PolicyConstants constants = new_constants(place.view, limit);
  constants.kind = kind;
  constants.parent = parent;
  return place.view.policies.publish(constants, name, [&](const shm::PolicyConstants& there) {
    if (there.kind != kind || there.parent != parent || shm::name_of(there) != name) return false;
    const auto policy = policy_from(there);
    return policy && policy->limit == limit;
  });
}

std::uint16_t publish_standing(const Place& place, std::string_view name, shm::PolicyKind kind,
                               std::uint16_t parent) {
  // The parent's limit, for people to read; but a ban denies, also where the limit only watches.
  const Limit limit = must_read(place, name, parent).limit.shadow(false);
  return publish_beside(place, name, limit, kind, parent);
}

/// One entry serves all that ban alike. A slot that keeps conduct takes the room of no key that owes
/// something.
Limit conduct_limit(const Limit& limit) {
  return Limit::per(1, std::chrono::seconds(1))
      .when_full(WhenFull::deny)
      .ban_after(limit.ban_after(), limit.ban_within(), limit.ban());
}

std::uint16_t publish_conduct(const Place& place, std::string_view name, const Limit& limit) {
  if (limit.ban_after() == 0) return 0;
  return publish_beside(place, name, conduct_limit(limit), shm::PolicyKind::conduct, 0);
}

void note_asked(const Place& place, std::string_view name, const Limit& limit) {
  (void)publish_beside(place, name, limit, shm::PolicyKind::asked, 0);
}

std::uint16_t publish_override(const Place& place, std::string_view name, const Limit& limit) {
  const std::uint16_t conduct = publish_conduct(place, name, limit);
  const std::uint16_t id = publish_beside(place, name, limit, shm::PolicyKind::override_, conduct);
  if (conduct != 0) (void)publish_standing(place, name, shm::PolicyKind::ban, id);
  return id;
}

}  // namespace rl
