/// \file
/// rlctl: looks into, sets up and asks the limits of a segment from outside.
///
/// Principles:
///   - Reading never writes: all that only look (peek, show, list, info, top, doctor, events...) map
///     the segment read-only.
///   - One shot: a verb looks once and prints, the same words on a terminal and when redirected;
///     only a terminal gets colours (unless NO_COLOR is set). Only `events --follow` goes on, and
///     `top`, which draws on a terminal and is as the others elsewhere.
///   - `--json` everywhere: an object a line, exact numbers; text is for people, with units.
///   - Survives `| head`: ends quietly. A full disk is an error, not a shorter answer.
///   - What is read from a segment is input: escaped before it is shown.
///   - Exit code 0 yes: it is done, or was so before (the text, and "changed", tell which). 1 no: a
///     call is denied; of a dump, a self-test, a doctor or metrics not all is well. 2 error, with one
///     sentence on standard error, as for what is named and is not there. `run` has its command's, and
///     for its own what those have who run commands: child_command.hpp.
#include <clocale>
#include <exception>

#include <rl/rl.hpp>

#include "tools/rlctl/command_line.hpp"
#include "tools/rlctl/lost_memory.hpp"
#include "tools/rlctl/output.hpp"
#include "tools/rlctl/verb_table.hpp"

namespace rl::ctl {
namespace {

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
  int error_code = 2;
  // How wide a character is; Debian always has this locale, and without it columns are off.
  (void)std::setlocale(LC_CTYPE, "C.UTF-8");
  rl::set_log([](rl::Severity severity, std::string_view line, void*) noexcept {
    if (severity == rl::Severity::warning) rl::ctl::complain(line);
  });
  try {
    const rl::ctl::Verb* const verb = rl::ctl::verb_named(rl::ctl::verbs(), argc, argv);
    if (verb != nullptr) error_code = verb->error_code;
    rl::ctl::say_when_memory_is_lost(error_code);
    return rl::ctl::run(argc, argv);
  } catch (const std::exception& e) {
    rl::ctl::complain(e.what());
    return error_code;
  }
}
