/// \file
/// Everything that can stand behind a verb: one table, from which the command line is read, and help,
/// completion of shells and the check of the manual pages are made.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace rl::ctl {

/// Names everything that can stand behind a verb.
enum class Arg : std::uint8_t {
  about,
  typed,
  line,
  breaks,
  keeps,
  segment,
  segments,
  one_segment,
  folders,
  policy,
  limit,
  on_off,
  file,
  key,
  run_key,
  key_file,
  cost,
  wait,
  on_failure,
  command,
  keys,
  mode,
  labels,
  owner,
  group,
  policies,
  clock,
  huge_pages,
  spent,
  history,
  only_policy,
  match,
  where,
  sort,
  columns,
  rows,
  heavy,
  live_sort,
  interval,
  looks,
  all,
  force,
  yes,
  advance,
  output,
  input,
  create_new,
  partial,
  any_owner,
  for_,
  reason,
  dry_run,
  prune,
  count,
  seconds,
  seed,
  processes,
  many_keys,
  follow,
  only_key,
  kind,
  since,
  sample,
  log,
  key_by,
  log_format,
  time_field,
  in_force,
  suggest,
  plot,
  json,
};
inline constexpr std::size_t kArgCount = static_cast<std::size_t>(Arg::json) + 1;

/// What a shell offers where an argument is being typed.
enum class Completes : std::uint8_t {
  nothing,
  verbs,
  segments,  ///< that there are on this host
  policies,  ///< of the segment that stands before
  keys,      ///< of the policy that stands before
  files,
  words,  ///< Option::words
};

struct Option {
  Arg arg;
  std::string_view spelling;  ///< "SEGMENT" where it stands by its place, or "--keys"
  std::string_view value;     ///< what stands behind an option; empty for a flag
  std::string_view help;
  Completes completes = Completes::nothing;
  std::string_view words = {};    ///< with spaces between, where there are only so many
  bool takes_many = false;        ///< words up to the next option, unquoted
  bool is_behind_dashes = false;  ///< all words after --, whatever they are
};

/// Returns all, in the order of Arg.
std::span<const Option> options() noexcept;
const Option& option(Arg arg) noexcept;

/// Returns Option::words, one by one.
std::vector<std::string_view> words_of(const Option& option);

/// Returns how an argument is written: "SEGMENT" or "--keys".
inline std::string_view spelling(Arg arg) noexcept {
  return option(arg).spelling;
}
/// Whether it is known by its place and has no name.
inline bool is_positional(Arg arg) noexcept {
  return !spelling(arg).starts_with('-');
}

}  // namespace rl::ctl
