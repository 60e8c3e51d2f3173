#include "tests/stepping/operations.hpp"

namespace rl::test {
namespace {

/// Publishes the entries of all that a key can be put under, in one order: what the victim has
/// learned of an id stays true when a script is undone.
Script with_entries(const Script& then = {}) {
  const Script under_limit = {
      {Step::ban, 'x'}, {Step::unban, 'x'}, {Step::allow, 'x'}, {Step::disallow, 'x'}};
  return under_limit + Script{{Step::set_override, 'x'}} + under_limit +
         Script{{Step::unset_override, 'x'}, {Step::reset, 'x'}} + then;
}

using Names = std::vector<std::string_view>;

/// Beside a call: all that an operator can do to its key, and those who ask meanwhile.
const Names kOperators = {"the same key",      "a ban",
                          "a ban and its end", "a ban that is over in time",
                          "an override",       "an override that stays",
                          "a key let through"};
/// Beside a change: it has up to twenty thousand instructions, most of them checksums of entries.
const Names kCallers = {"the same key until it is denied", "a reset", "a later clock",
                        "a ban and its end", "an override"};
/// Beside a denial that is counted: those who are denied, too, and who forgives it.
const Names kDenied = {"the same key", "the same key until it is denied", "a ban and its end"};
/// Beside a call that a limit on trial decides, too.
const Names kOnTrial = {"the same key", "a reset", "an operator's word", "a later clock"};

}  // namespace

const std::vector<Operation>& operations_apart() {
  static const std::vector<Operation> kOperations = {
      // --- calls that meet it on their way ---
      {.name = "insert beside an operator",
       .before = with_entries(),
       .step = {Step::acquire},
       .rivals = kOperators},
      {.name = "consume beside an operator",
       .before = with_entries({{Step::acquire}}),
       .step = {Step::acquire, 'k', 2},
       .rivals = kOperators},
      {.name = "deny beside an operator",
       .before = with_entries({{Step::acquire, 'k', 4}}),
       .step = {Step::acquire, 'k', 2},
       .rivals = kOperators},
      {.name = "consume beside an operator, batch",
       .before = with_entries({{Step::acquire}}),
       .step = {Step::batch, 'k', 2},
       .rivals = kOperators},
      {.name = "refund beside an operator",
       .before = with_entries({{Step::acquire, 'k', 2}}),
       .step = {Step::refund, 'k', 2},
       .rivals = kOperators},
      {.name = "charge beside an operator",
       .before = with_entries({{Step::acquire, 'k', 2}}),
       .step = {Step::charge, 'k', 2},
       .rivals = kOperators},
      {.name = "reset beside an operator",
       .before = with_entries({{Step::acquire, 'k', 2}}),
       .step = {Step::reset},
       .rivals = kOperators},

      // --- calls on a key that is put apart ---
      {.name = "call of a banned key",
       .before = with_entries({{Step::acquire, 'k', 3}, {Step::ban}}),
       .step = {Step::acquire},
       .rivals = kOperators},
      {.name = "call when the ban is over",
       .before = with_entries({{Step::acquire, 'k', 3}, {Step::ban}, {Step::advance}}),
       .step = {Step::acquire},
       .rivals = kOperators},
      {.name = "call when the ban over an override is over",
       .before = with_entries(
           {{Step::acquire, 'k', 3}, {Step::set_override}, {Step::ban}, {Step::advance}}),
       .step = {Step::acquire, 'k', 2},
       .rivals = kOperators},
      {.name = "call of a key with an override",
       .before = with_entries({{Step::set_override}, {Step::acquire, 'k', 6}}),
       .step = {Step::acquire, 'k', 2},
       .rivals = kOperators},
      {.name = "call of a key that is let through",
       .before = with_entries({{Step::acquire, 'k', 3}, {Step::allow}}),
       .step = {Step::acquire, 'k', 4},
       .rivals = kOperators},
      {.name = "peek at a banned key",
       .before = with_entries({{Step::acquire, 'k', 3}, {Step::ban}}),
       .step = {Step::peek},
       .rivals = kOperators},
      {.name = "refund of a banned key",
       .before = with_entries({{Step::acquire, 'k', 3}, {Step::ban}}),
       .step = {Step::refund, 'k', 3},
       .rivals = kOperators},
      {.name = "charge of a banned key",
       .before = with_entries({{Step::acquire, 'k', 3}, {Step::ban}}),
       .step = {Step::charge, 'k', 2},
       .rivals = kOperators},
      {.name = "reset of a banned key",
       .before = with_entries({{Step::acquire, 'k', 3}, {Step::ban}}),
       .step = {Step::reset},
       .rivals = kOperators},
      {.name = "reset of a key with an override",
       .before = with_entries({{Step::set_override}, {Step::acquire, 'k', 3}}),
       .step = {Step::reset},
       .rivals = kOperators},
      {.name = "reset of all, some of them put apart",
       .before = with_entries({{Step::acquire, 'k', 3},
                               {Step::ban},
                               {Step::set_override, 'l'},
                               {Step::acquire, 'l', 6},
                               {Step::acquire, 'm'}}),
       .step = {Step::reset_all},
       .rivals = kOperators},

      // --- slots that stay, and those that do not any more ---
      {.name = "evict beside a banned key",
       .before = with_entries(Script{{Step::ban, 'z', kForEver}} + crowd(2, 15)),
       .step = {Step::acquire},
       .rivals = {"the same key", "a later clock"}},
      {.name = "overwrite a ban that is over",
       .before = with_entries(Script{{Step::ban, 'z'}} + crowd(2, 15) + Script{{Step::advance}}),
       .step = {Step::acquire},
       .rivals = {"the same key", "a later clock"}},
      {.name = "reap beside keys that are put apart",
       .before = with_entries({{Step::acquire},
                               {Step::ban},
                               {Step::acquire, 'l'},
                               {Step::set_override, 'l'},
                               {Step::allow, 'm'},
                               {Step::ban, 'n', 3},
                               {Step::advance, 'k', 2}}),
       .step = {Step::reap},
       .rivals = kOperators},

      // --- what an operator does ---
      {.name = "ban a new key",
       .before = with_entries(),
       .step = {Step::ban},
       .rivals = {"the same key", "a ban and its end"}},
      {.name = "ban a key that owes",
       .before = with_entries({{Step::acquire, 'k', 3}}),
       .step = {Step::ban},
       .rivals = kCallers},
      {.name = "ban for longer",
       .before = with_entries({{Step::acquire, 'k', 3}, {Step::ban}}),
       .step = {Step::ban, 'k', kForEver},
       .rivals = kCallers},
      {.name = "ban a key with an override",
       .before = with_entries({{Step::set_override}, {Step::acquire, 'k', 6}}),
       .step = {Step::ban},
       .rivals = {"the same key", "an override"}},
      {.name = "ban a key, evicting",
       .before = with_entries(crowd(2)),
       .step = {Step::ban},
       .rivals = {"the same key"}},
      {.name = "ban the first key of a policy",
       .before = {{Step::acquire, 'k', 2}},
       .step = {Step::ban},
       .rivals = {"the same key", "a reset"}},
      {.name = "unban",
       .before = with_entries({{Step::acquire, 'k', 3}, {Step::ban, 'k', 2}}),
       .step = {Step::unban},
       .rivals = kCallers},
      {.name = "allow a key that owes",
       .before = with_entries({{Step::acquire, 'k', 3}}),
       .step = {Step::allow},
       .rivals = {"the same key", "a ban and its end"}},
      {.name = "allow a banned key",
       .before = with_entries({{Step::acquire, 'k', 3}, {Step::ban, 'k', 2}}),
       .step = {Step::allow},
       .rivals = {"a later clock", "a ban and its end"}},
      {.name = "disallow",
       .before = with_entries({{Step::acquire, 'k', 5}, {Step::allow}, {Step::advance}}),
       .step = {Step::disallow},
       .rivals = kCallers},
      {.name = "set an override of a new key",
       .before = with_entries(),
       .step = {Step::set_override},
       .rivals = {"the same key", "an override"}},
      {.name = "set an override of a key that owes",
       .before = with_entries({{Step::acquire, 'k', 3}}),
       .step = {Step::set_override},
       .rivals = kCallers},
      {.name = "set an override of a banned key",
       .before = with_entries({{Step::acquire, 'k', 3}, {Step::ban, 'k', 2}}),
       .step = {Step::set_override},
       .rivals = {"a later clock", "a ban and its end"}},
      {.name = "unset an override",
       .before = with_entries({{Step::set_override}, {Step::acquire, 'k', 3}}),
       .step = {Step::unset_override},
       .rivals = kCallers},

      // --- beside a limit on trial: both decide ---
      {.name = "insert beside a trial",
       .before = {{Step::begin_trial}},
       .step = {Step::acquire},
       .rivals = kOnTrial},
      {.name = "deny beside a trial that admits",
       .before = {{Step::begin_trial}, {Step::acquire, 'k', 4}},
       .step = {Step::acquire, 'k', 2},
       .rivals = kOnTrial},

      // --- a limit that bans for denials: what denies last bans ---
      {.name = "first denial of a key",
       .before = {{Step::acquire, 'k', 5}},
       .step = {Step::acquire},
       .bans = true,
       .rivals = kDenied},
      {.name = "denial that is counted",
       .before = {{Step::acquire, 'k', 5}, {Step::acquire}},
       .step = {Step::acquire},
       .bans = true,
       .rivals = kDenied},
      {.name = "denial that bans",
       .before = {{Step::acquire, 'k', 5}, {Step::acquire}, {Step::acquire}},
       .step = {Step::acquire},
       .bans = true,
       .rivals = kDenied},

      // --- a slot that is corrupt: nobody takes it, and whoever mends it leaves what came instead ---
      {.name = "insert beside a corrupt slot",
       .before = {{Step::spoil}},
       .step = {Step::acquire},
       .rivals = {"the same key", "a reset", "a repair"}},
      {.name = "reap beside a corrupt slot",
       .before = {{Step::acquire}, {Step::spoil, 'l'}, {Step::advance}},
       .step = {Step::reap},
       .rivals = {"the same key", "a repair"}},
      {.name = "mend a corrupt slot",
       .before = {{Step::acquire, 'l', 2}, {Step::spoil}},
       .step = {Step::mend},
       .rivals = {"the same key", "a reset", "a repair"}},

      // --- a load ---
      {.name = "load a new key",
       .before = with_entries(),
       .step = {Step::load, 'k', 3},
       .rivals = kOperators},
      {.name = "load a key that owes",
       .before = with_entries({{Step::acquire, 'k', 4}}),
       .step = {Step::load, 'k', 3},
       .rivals = kOperators},
      {.name = "load a banned key",
       .before = with_entries({{Step::acquire, 'k', 4}, {Step::ban}}),
       .step = {Step::load, 'k', 3},
       .rivals = kOperators},
  };
  return kOperations;
}

}  // namespace rl::test
