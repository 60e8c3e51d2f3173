/// \file
/// Making, changing and removing policies: what a starting program and an operator do. No decision
/// comes here.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include <rl/error.hpp>
#include <rl/limits.hpp>

#include "src/core.hpp"

namespace rl {

/// Where a change is made: a view that can be written, and the path for errors.
struct Place {
  const View& view;
  const std::string& path;
};

/// Errors: Error (read_only) for a view that can only be read.
void check_writable(const Place& place);

/// Errors: Error (bad_limit) for a limit of more permits than the segment has room for.
void check_room_for_permits(const Place& place, const Limit& limit);

/// Errors: Error (bad_limit) for a list that has a concurrency limit or a counter: a list takes calls.
void check_limits(const Limits& limits);

/// Returns the policy in force under a name: 0 when there is none, or it was removed.
std::uint16_t policy_in_force(const View& view, std::string_view name) noexcept;

/// Returns the Error (unknown_policy) for a name that none in force has: with the nearest that one
/// has, or what to do otherwise.
Error no_such_policy(const Place& place, std::string_view name, std::string_view what_to_do);

/// Reads a policy; nothing for one that is damaged, or of a newer library.
std::optional<Policy> read_policy(const shm::PolicyTable& policies, std::uint16_t id) noexcept;
/// Returns the limit of a policy as text; empty when there is none.
std::string limit_text(const shm::PolicyTable& policies, std::uint16_t id);

/// Reads a policy. Errors: Error (corrupt) for one that is damaged, or of a newer library.
Policy must_read(const Place& place, std::string_view name, std::uint16_t id);

/// Returns the policy in force under a name; makes it when there is none. One that stands, stands.
/// Errors: Error (too_many, bad_name, corrupt, bad_limit, read_only).
std::uint16_t make_policy(const Place& place, std::string_view name, const Limit& limit);

/// Puts a limit in force under a name, whatever is in force there, and returns its id. When it is
/// in force already, only Spent::reset changes anything. Errors: as make_policy; bad_limit, too,
/// for permits in the place of calls.
std::uint16_t change_policy(const Place& place, std::string_view name, const Limit& limit,
                            Spent spent);

/// Errors: Error (bad_limit) when what is in force under a name cannot become this limit.
void check_can_become(const Place& place, std::string_view name, const Limit& limit);

/// Puts no limit in force under a name. Returns whether there was one. Errors: as make_policy.
bool remove_policy(const Place& place, std::string_view name);

/// Notes what a program asked for where another limit stands, so that an operator sees both. Errors:
/// as make_policy.
void note_asked(const Place& place, std::string_view name, const Limit& limit);

/// Dates what hangs behind `root` and has no date yet, as of now: before the last of it is taken for
/// the policy in force. What it is charged must not lie before a date that somebody gives it later.
void date_changes(const View& view, std::uint16_t root) noexcept;

/// Publishes an entry that is no root (an override, a ban, what was asked for), unless there is an
/// equal one, whose id is returned. Errors: as make_policy.
std::uint16_t publish_beside(const Place& place, std::string_view name, const Limit& limit,
                             shm::PolicyKind kind, std::uint16_t parent);

/// Publishes the entry of an override, and what a policy that bans for denials needs beside it.
/// Errors: as make_policy.
std::uint16_t publish_override(const Place& place, std::string_view name, const Limit& limit);

/// Publishes the entry of a ban or an allow of keys that come back under `parent`, unless there is
/// one. Errors: as make_policy.
std::uint16_t publish_standing(const Place& place, std::string_view name, shm::PolicyKind kind,
                               std::uint16_t parent);

/// Returns a limit of which nothing counts but how it bans: as that of limits that ban alike.
/// Requires one that bans.
[[nodiscard]] Limit conduct_limit(const Limit& limit);

/// Returns the entry that the conduct of a limit's keys is kept under: published if there is none; 0
/// for a limit that bans nobody. Errors: as make_policy.
std::uint16_t publish_conduct(const Place& place, std::string_view name, const Limit& limit);

/// Returns the constants of a new entry, with the times as they are now.
shm::PolicyConstants new_constants(const View& view, const Limit& limit) noexcept;

}  // namespace rl
