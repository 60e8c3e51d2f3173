#include <fcntl.h>
#include <unistd.h>

#include <cerrno>

#include "tools/rlctl/common.hpp"
#include "tools/rlctl/input.hpp"
#include "tools/rlctl/new_file.hpp"
#include "tools/rlctl/report.hpp"
#include "tools/rlctl/verbs.hpp"

namespace rl::ctl {
namespace {

std::string keys(std::uint64_t count) {
  return counted(count, "key", "keys");
}
std::string policies(std::uint64_t count) {
  return counted(count, "policy", "policies");
}
/// Said behind the keys, if there are any.
std::string standings(std::uint64_t count) {
  return count == 0 ? "" : "; " + counted(count, "that stands apart", "that stand apart");
}

/// Said behind them.
std::string remembered(std::uint64_t conducts) {
  return conducts == 0 ? ""
                       : "; " + counted(conducts, "whose denials are remembered",
                                        "whose denials are remembered");
}

/// What a dump does not have and somebody may miss.
void complain_of_what_is_left_out(const DumpReport& report) {
  if (report.permits != 0) {
    complain(fmt::format("left out: {}, as who has them cannot be moved",
                         counted(report.permits, "permit that is out", "permits that are out")));
  }
  if (report.unreadable != 0) {
    complain(
        fmt::format("left out: {} of policies that are damaged or of a newer librl; see `rlctl "
                    "policy list`",
                    keys(report.unreadable)));
  }
}

void put_report(const Arguments& arguments, const DumpReport& report) {
  const std::string& file = arguments.text(Arg::output);
  if (arguments.has(Arg::json)) {
    put_json(Json{{"file", escape(file)},
                  {"lines", report.lines},
                  {"policies", report.policies},
                  {"keys", report.keys},
                  {"standings", report.standings},
                  {"conducts", report.conducts},
                  {"trials", report.trials},
                  {"off", report.off},
                  {"idle", report.idle},
                  {"permits", report.permits},
                  {"unreadable", report.unreadable}});
    return;
  }
  std::string text =
      fmt::format("dumped {} of {} to {}{}{}; {} that owe{} nothing left out", keys(report.keys),
                  policies(report.policies), escape(file), standings(report.standings),
                  remembered(report.conducts), report.idle, report.idle == 1 ? "s" : "");
  if (report.trials != 0)
    text += "; " + counted(report.trials, "limit on trial", "limits on trial");
  if (report.off) text += "; limits are off";
  put(text + '\n');
}

/// Reads a file, or standard input.
class Input {
 public:
  explicit Input(const Arguments& arguments) : name_("standard input") {
    if (!arguments.has(Arg::input)) return;
    name_ = arguments.text(Arg::input);
    file_ = shm::open_file(name_.c_str(), O_RDONLY);
    if (!file_) throw shm::os_error(fmt::format("{}: opening it", name_), errno);
  }
  std::size_t read(std::span<char> to) const {
    return read_some(file_ ? file_.get() : STDIN_FILENO, to, name_);
  }

 private:
  std::string name_;
  shm::Fd file_;
};

LoadReport load_into(const Arguments& arguments, const Dump& dump) {
  const LoadOptions options{.partial = arguments.has(Arg::partial)};
  if (arguments.has(Arg::create_new)) {
    return dump.create(arguments.text(Arg::segment), creation_options(arguments, dump.options()),
                       options);
  }
  for (const Arg arg : {Arg::keys, Arg::mode, Arg::labels, Arg::owner, Arg::group, Arg::policies,
                        Arg::clock, Arg::huge_pages}) {
    if (!arguments.has(arg)) continue;
    throw Error(Errc::bad_option,
                fmt::format("{} is for a segment that is made; add --create, or leave it out",
                            spelling(arg)));
  }
  Segment segment = open_to_write(arguments);
  return dump.load(segment, options);
}

void put_report(const Arguments& arguments, const LoadReport& report) {
  const std::string& segment = arguments.text(Arg::segment);
  if (arguments.has(Arg::json)) {
    put_json(Json{{"name", escape(segment)},
                  {"policies_made", report.policies},
                  {"policies_differing", report.differing},
                  {"keys", report.keys},
                  {"standings", report.standings},
                  {"conducts", report.conducts},
                  {"trials", report.trials},
                  {"was_off", report.was_off},
                  {"off", report.was_off && arguments.has(Arg::create_new)},
                  {"idle", report.idle},
                  {"no_room", report.no_room},
                  {"unknown", report.unknown}});
    return;
  }
  std::string text = fmt::format("loaded {} into {}; {} made", keys(report.keys), escape(segment),
                                 policies(report.policies));
  if (report.differing != 0) {
    text += fmt::format("; {} with another limit here, under which debts are as many tokens",
                        policies(report.differing));
  }
  text += standings(report.standings);
  text += remembered(report.conducts);
  if (report.trials != 0) {
    text += fmt::format("; {} on, counted anew", counted(report.trials, "trial goes", "trials go"));
  }
  if (report.idle != 0) text += fmt::format("; {} that owe nothing here", keys(report.idle));
  put(text + '\n');
}

/// Nobody who loads at a boot looks for this unless it is said.
void complain_of_limits_that_were_off(const Arguments& arguments) {
  const std::string segment = escape(arguments.text(Arg::segment));
  complain(arguments.has(Arg::create_new)
               ? fmt::format("limits of {} are off, as they were: every call passes until `rlctl "
                             "on {}`",
                             segment, segment)
               : fmt::format("limits were off when the dump was taken; {} is in use, and keeps its "
                             "own switch (`rlctl off {}` switches them off)",
                             segment, segment));
}

}  // namespace

int dump(const Arguments& arguments) {
  const Segment segment = open_to_read(arguments);
  DumpReport report;
  if (arguments.has(Arg::output)) {
    NewFile file(arguments.text(Arg::output));
    report = Dump::write(segment, [&](std::string_view text) { file.write(text); });
    file.keep();
    put_report(arguments, report);
  } else {
    report = Dump::write(segment, [](std::string_view text) { put(text); });
  }
  complain_of_what_is_left_out(report);
  return report.unreadable == 0 ? 0 : 1;
}

int load(const Arguments& arguments) {
  const Input input(arguments);
  const Dump dump = Dump::read([&](std::span<char> to) { return input.read(to); });
  const LoadReport report = load_into(arguments, dump);
  put_report(arguments, report);
  if (report.was_off) complain_of_limits_that_were_off(arguments);
  if (report.no_room != 0) {
    complain(
        fmt::format("{} found no room, and what they owed is forgotten; load into a segment "
                    "with more keys (--create --keys)",
                    keys(report.no_room)));
  }
  if (report.unknown != 0) {
    complain(
        fmt::format("{} left out, as their text is not known whole, and what they owed is "
                    "forgotten",
                    keys(report.unknown)));
  }
  return report.is_whole() ? 0 : 1;
}

}  // namespace rl::ctl
