/// \file
/// rlctl: looks into, sets up and asks the limits of a segment from outside.
///
/// Principles:
///   - Reading never writes: peek, show, list, info, events and clock map the segment read-only.
///   - One shot: a verb looks once and prints; the same bytes on a terminal and when redirected.
///     Only `events --follow` goes on.
///   - `--json` everywhere: an object a line, exact numbers; text is for people, with units.
///   - Survives `| head`: ends quietly. A full disk is an error, not a shorter answer.
///   - What is read from a segment is input: escaped before it is shown.
///   - Exit code 0 yes: it is done, or was so before (the text, and "changed", tell which). 1 no: a
///     call is denied; of a dump, a load, a self-test or metrics not all is well. 2 error, with one
///     sentence on standard error, as for what is named and is not there.
#include <clocale>
#include <exception>
#include <vector>

#include <rl/rl.hpp>

#include "tools/rlctl/command_line.hpp"
#include "tools/rlctl/output.hpp"
#include "tools/rlctl/verbs.hpp"

namespace rl::ctl {
namespace {

const std::vector<Verb>& verbs() {
  using enum Arg;
  static const std::vector<Verb> table{
      {"create",
       "Make a segment",
       {segment},
       {keys, mode, labels, owner, group, policies, clock},
       create},
      {"info", "Describe a segment", {segment}, {any_owner}, info},
      {"policy set",
       "Put a limit, or a list of limits with commas, in force",
       {segment, policy, limit},
       {spent, any_owner},
       policy_set},
      {"policy shadow",
       "Have a limit watch only, or deny again",
       {segment, policy, on_off},
       {any_owner},
       policy_shadow},
      {"policy trial",
       "Try a limit, or a list, beside the one in force, which decides; off ends that",
       {segment, policy, limit},
       {any_owner},
       policy_trial},
      {"policy compare",
       "Tell what the limit on trial would have done",
       {segment, policy},
       {any_owner},
       policy_compare},
      {"policy promote",
       "Put the limit on trial in force",
       {segment, policy},
       {spent, any_owner},
       policy_promote},
      {"policy rm", "Put no limit in force", {segment, policy}, {any_owner}, policy_remove},
      {"policy list",
       "List the limits, or all that they ever were",
       {segment},
       {history, only_policy, any_owner},
       policy_list},
      {"apply",
       "Make a segment's limits what a file says; make the segment if there is none",
       {segment, file},
       {dry_run, prune, any_owner},
       apply},
      {"export", "Write a segment's limits as such a file", {segment}, {any_owner}, export_limits},
      {"acquire",
       "Charge a call to a key, if its limit allows it",
       {segment, policy},
       {key, key_file, cost, any_owner},
       acquire},
      {"peek",
       "Say what acquire would answer, and charge nothing",
       {segment, policy},
       {key, key_file, cost, any_owner},
       peek},
      {"show", "Show one key", {segment, policy}, {key, key_file, any_owner}, show},
      {"list",
       "List the keys, in any order unless sorted",
       {segment},
       {only_policy, match, sort, rows, heavy, any_owner},
       list},
      {"reset",
       "Forget what a key, or every key, has consumed",
       {segment},
       {policy, key, key_file, all, force, any_owner},
       reset},
      {"off", "Let every call of a segment pass, until on", {segment}, {any_owner}, off},
      {"on", "Put the limits of a segment in force again", {segment}, {any_owner}, on},
      {"override set",
       "Put a key under a limit of its own; of a list, under one for each",
       {segment, policy, key, limit},
       {any_owner},
       override_set},
      {"override unset",
       "Put a key under its policy's limit again",
       {segment, policy},
       {key, key_file, any_owner},
       override_unset},
      {"override list",
       "List the keys with a limit of their own",
       {segment},
       {any_owner},
       override_list},
      {"ban",
       "Deny a key for a time, whatever it does",
       {segment, policy},
       {key, key_file, for_, reason, any_owner},
       ban},
      {"unban", "End the ban of a key", {segment, policy}, {key, key_file, any_owner}, unban},
      {"bans", "List the banned keys", {segment}, {any_owner}, bans},
      {"allow",
       "Let a key pass, whatever it does",
       {segment, policy},
       {key, key_file, reason, any_owner},
       allow},
      {"disallow",
       "Limit a key again that was allowed",
       {segment, policy},
       {key, key_file, any_owner},
       disallow},
      {"allows", "List the keys that pass whatever they do", {segment}, {any_owner}, allows},
      {"history", "List who changed what by hand", {segment}, {any_owner}, ctl::history},
      {"events",
       "List what happened lately: denials, bans, evictions, changes",
       {segment},
       {follow, only_policy, only_key, kind, sample, any_owner},
       ctl::events},
      {"rm", "Remove a segment", {segment}, {force, any_owner}, remove},
      {"clock",
       "Tell a segment's time; move a manual clock",
       {segment},
       {advance, any_owner},
       ctl::clock},
      {"metrics",
       "Write the numbers of segments as Prometheus reads them",
       {segments},
       {output, count, any_owner},
       ctl::metrics},
      {"dump",
       "Write what the keys owe as text, with the segment's secret; see `rlctl load`",
       {segment},
       {output, any_owner},
       dump},
      {"load",
       "Load a dump; keys that it does not name stay",
       {segment},
       {input, create_new, partial, keys, mode, labels, owner, group, policies, clock, any_owner},
       load},
      {"explain", "Say in plain words what a limit allows", {limit}, {}, explain},
      {"selftest",
       "Try on this machine, on segments of its own, that what librl promises holds: exactness, "
       "kills and stops, clock, memory",
       {},
       {seconds, seed},
       ctl::selftest},
  };
  return table;
}

int run(int argc, const char* const* argv) {
  const Command command = parse(verbs(), argc, argv);
  int code = 0;
  if (command.verb != nullptr) {
    code = command.verb->run(command.arguments);
  } else {
    put(command.text);
  }
  finish_output();
  return code;
}

}  // namespace
}  // namespace rl::ctl

int main(int argc, char** argv) {
  rl::ctl::prepare_output();
  // How wide a character is; Debian always has this locale, and without it columns are off.
  (void)std::setlocale(LC_CTYPE, "C.UTF-8");
  rl::set_log([](rl::Severity severity, std::string_view line, void*) noexcept {
    if (severity == rl::Severity::warning) rl::ctl::complain(line);
  });
  try {
    return rl::ctl::run(argc, argv);
  } catch (const std::exception& e) {
    rl::ctl::complain(e.what());
    return 2;
  }
}
