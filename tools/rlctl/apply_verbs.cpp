// Limits from a file and into one.
#include <optional>

#include "tools/rlctl/common.hpp"
#include "tools/rlctl/input.hpp"
#include "tools/rlctl/limits_file.hpp"
#include "tools/rlctl/plan.hpp"
#include "tools/rlctl/report.hpp"
#include "tools/rlctl/verbs.hpp"

namespace rl::ctl {
namespace {

std::string text_of(const Step& step) {
  if (step.before.empty()) return fmt::format("+ {}: {}\n", step.what, step.after);
  if (step.after.empty()) return fmt::format("- {}: {}\n", step.what, step.before);
  return fmt::format("~ {}: {} -> {}\n", step.what, step.before, step.after);
}

Json json_of(const Step& step) {
  return {{"what", step.what}, {"before", step.before}, {"after", step.after}};
}

std::optional<Segment> open_if_there(const Arguments& arguments, bool reads) {
  try {
    return reads ? open_to_read(arguments) : open_to_write(arguments);
  } catch (const Error& e) {
    if (e.code() != Errc::not_found) throw;
    return std::nullopt;
  }
}

/// What a segment is made with stays; the file may say otherwise.
void say_what_cannot_change(const LimitsFile& file, const Segment& segment) {
  if (!file.segment) return;
  const SegmentInfo info = segment.info();
  if (file.segment->keys != info.keys || file.segment->labels != info.labels) {
    complain(
        fmt::format("{}: has room for {} keys, {} labels; the file says {}, {}, which cannot "
                    "change while it lives: move it with `rlctl dump` and `rlctl load --create`",
                    segment.path(), info.keys, info.labels ? "with" : "without", file.segment->keys,
                    file.segment->labels ? "with" : "without"));
  }
}

/// Makes the segment; nothing when somebody has made it since it was not there. A name that comes and
/// goes ends that.
std::optional<Segment> create_unless_there(const Arguments& arguments, const LimitsFile& file,
                                           int turn) {
  constexpr int kTurnsMax = 3;
  try {
    return Segment::create(arguments.text(Arg::segment), file.segment.value_or(SegmentOptions{}));
  } catch (const Error& e) {
    if (e.code() != Errc::exists || turn == kTurnsMax) throw;
    return std::nullopt;
  }
}

/// What can be foreseen was refused before; a table without room, say, cannot.
void make_all(const std::vector<Step>& steps, Segment& segment) {
  for (std::size_t i = 0; i < steps.size(); ++i) {
    try {
      steps[i].make(segment);
    } catch (const Error& e) {
      throw Error(e.code(), fmt::format("{}; {} of {} changes were made, up to this one: {}",
                                        e.what(), i, steps.size(), steps[i].what));
    }
  }
}

void report(const Arguments& arguments, const std::vector<Step>& steps, bool made, bool creates) {
  if (arguments.has(Arg::json)) {
    Json changes = Json::array();
    for (const Step& step : steps) changes.push_back(json_of(step));
    put_json(
        Json{{made ? "created" : "creates", creates}, {"applied", made}, {"changes", changes}});
    return;
  }
  if (creates) put(fmt::format("+ segment {}\n", escape(arguments.text(Arg::segment))));
  for (const Step& step : steps) put(text_of(step));
  const std::size_t count = steps.size() + (creates ? 1 : 0);
  if (count == 0) {
    put("nothing to change\n");
  } else {
    put(fmt::format("{}{}\n", counted(count, "change", "changes"),
                    made ? "" : ", none of them made"));
  }
}

}  // namespace

int apply(const Arguments& arguments) {
  const std::string& name = arguments.text(Arg::file);
  const LimitsFile file = parse_limits_file(name, read_whole("FILE", name));
  const bool tries = arguments.has(Arg::dry_run);
  for (int turn = 1;; ++turn) {
    std::optional<Segment> segment = open_if_there(arguments, tries);
    const bool creates = !segment;
    const Plan plan(file, segment ? &*segment : nullptr, arguments.has(Arg::any_owner),
                    arguments.has(Arg::prune));
    if (segment) say_what_cannot_change(file, *segment);
    if (creates && !tries) segment = create_unless_there(arguments, file, turn);
    if (!segment && !tries) continue;  // somebody was faster: compare with that one
    if (!tries) make_all(plan.steps(), *segment);
    report(arguments, plan.steps(), !tries, creates);
    for (const std::string& stays : plan.stays()) complain(stays);
    return 0;
  }
}

int export_limits(const Arguments& arguments) {
  Segment segment = open_to_read(arguments);
  std::size_t left_out = 0;
  const std::string text = limits_file_of(segment, left_out);
  if (arguments.has(Arg::json)) {
    // Exact texts, as in the file; so what a terminal would obey or hide is escaped with all that is
    // not ASCII.
    put(Json::parse(limits_file_as_json(text)).dump(-1, ' ', true) + '\n');
  } else {
    put(text);
  }
  if (left_out != 0) {
    complain(fmt::format("{} left out, as comments say; `rlctl dump` keeps them",
                         counted(left_out, "thing was", "things were")));
  }
  return 0;
}

}  // namespace rl::ctl
