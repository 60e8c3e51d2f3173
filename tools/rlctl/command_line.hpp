/// \file
/// The command line: a table of verbs, and the arguments that one of them was given.
#pragma once

#include <array>
#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace rl::ctl {

/// Names everything that can stand behind a verb.
enum class Arg : std::uint8_t {
  segment,
  segments,
  policy,
  limit,
  on_off,
  file,
  key,
  key_file,
  cost,
  keys,
  mode,
  labels,
  owner,
  group,
  policies,
  clock,
  spent,
  history,
  only_policy,
  match,
  sort,
  rows,
  heavy,
  all,
  force,
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
  follow,
  only_key,
  kind,
  sample,
  json,
};
inline constexpr std::size_t kArgCount = static_cast<std::size_t>(Arg::json) + 1;

/// What was given, as text; each verb reads the numbers that it needs.
class Arguments {
 public:
  void set(Arg arg, std::string text) { texts_[index(arg)] = std::move(text); }
  [[nodiscard]] bool has(Arg arg) const noexcept { return texts_[index(arg)].has_value(); }
  /// Returns the text, empty when it was not given.
  [[nodiscard]] const std::string& text(Arg arg) const noexcept;
  /// Errors: Error (bad_option) for what is no number or above `most`.
  [[nodiscard]] std::uint64_t count(
      Arg arg, std::uint64_t otherwise,
      std::uint64_t most = std::numeric_limits<std::uint64_t>::max()) const;

 private:
  static std::size_t index(Arg arg) noexcept { return static_cast<std::size_t>(arg); }
  std::array<std::optional<std::string>, kArgCount> texts_;
};

/// Returns how an argument is written: "SEGMENT" or "--keys".
std::string_view spelling(Arg arg) noexcept;

/// One thing that rlctl can do. Its exit code is 0 for yes and 1 for no; errors are thrown.
struct Verb {
  std::string_view name;     ///< one word, or two such as "policy set"
  std::string_view summary;  ///< for --help
  std::vector<Arg> needs;    ///< in order
  std::vector<Arg> takes;    ///< optional
  int (*run)(const Arguments&);
};

/// What the command line asks for: a verb, or a text to print.
struct Command {
  const Verb* verb = nullptr;
  Arguments arguments;
  std::string text;
};

/// Errors: Error (bad_option) with a sentence for whatever cannot be understood.
Command parse(std::span<const Verb> verbs, int argc, const char* const* argv);

}  // namespace rl::ctl
