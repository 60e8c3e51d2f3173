/// \file
/// rlctl: looks into, sets up and asks the limits of a segment from outside.
///
/// Principles:
///   - Reading never writes: peek, show, list, info and clock map the segment read-only.
///   - One shot: a verb looks once and prints; the same bytes on a terminal and when redirected.
///   - `--json` everywhere: an object a line, exact numbers; text is for people, with units.
///   - Survives `| head`: ends quietly. A full disk is an error, not a shorter answer.
///   - What is read from a segment is input: escaped before it is shown.
///   - Exit code 0 yes, 1 no (denied), 2 error, with one sentence on standard error.
#include <array>
#include <clocale>
#include <exception>

#include <rl/rl.hpp>

#include "tools/rlctl/command_line.hpp"
#include "tools/rlctl/output.hpp"
#include "tools/rlctl/verbs.hpp"

namespace rl::ctl {
namespace {

const std::array<Verb, 15>& verbs() {
  using enum Arg;
  static const std::array<Verb, 15> table{{
      {"create",
       "Make a segment",
       {segment},
       {keys, mode, labels, owner, group, policies, clock},
       create},
      {"info", "Describe a segment", {segment}, {any_owner}, info},
      {"policy set",
       "Make a limit, or a list of limits with commas",
       {segment, policy, limit},
       {any_owner},
       policy_set},
      {"policy list", "List the limits", {segment}, {any_owner}, policy_list},
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
       {only_policy, match, sort, rows, any_owner},
       list},
      {"reset",
       "Forget what a key, or every key, has consumed",
       {segment},
       {policy, key, key_file, all, force, any_owner},
       reset},
      {"rm", "Remove a segment", {segment}, {force, any_owner}, remove},
      {"clock",
       "Tell a segment's time; move a manual clock",
       {segment},
       {advance, any_owner},
       ctl::clock},
      {"explain", "Say in plain words what a limit allows", {limit}, {}, explain},
      {"selftest",
       "Try on this machine, on segments of its own, that what librl promises holds: exactness, "
       "kills and stops, clock, memory",
       {},
       {seconds, seed},
       ctl::selftest},
  }};
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
