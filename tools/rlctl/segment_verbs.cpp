#include <limits>

#include "tools/rlctl/common.hpp"
#include "tools/rlctl/report.hpp"
#include "tools/rlctl/verbs.hpp"

namespace rl::ctl {
namespace {

/// Throws while processes are attached, or while nobody can know.
std::uint32_t check_unused(const Arguments& arguments) {
  const std::string& name = arguments.text(Arg::segment);
  std::uint32_t attached = 0;
  try {
    attached = open_to_read(arguments).info().attached;
  } catch (const Error& e) {
    const bool broken = e.code() == Errc::wrong_version || e.code() == Errc::wrong_host ||
                        e.code() == Errc::corrupt;
    if (!broken) throw;  // nothing that is no segment, or is not to be touched, is ever removed
    if (!arguments.has(Arg::force)) {
      throw Error(e.code(), fmt::format("{}; whether processes are attached cannot be told: stop "
                                        "them, then remove it with --force",
                                        e.what()));
    }
  }
  if (attached != 0 && !arguments.has(Arg::force)) {
    throw Error(Errc::exists,
                fmt::format("{}: {} attached and would go on with it, nameless, until there is a "
                            "new one; stop them first, or say --force",
                            name, processes_are(attached)));
  }
  return attached;
}

}  // namespace

SegmentOptions creation_options(const Arguments& arguments, SegmentOptions options) {
  options.keys = arguments.count(Arg::keys, options.keys);
  if (arguments.has(Arg::mode))
    options.mode = parse_mode(spelling(Arg::mode), arguments.text(Arg::mode));
  options.labels = choice(arguments, Arg::labels, options.labels, {{"on", true}, {"off", false}});
  options.clock = choice(arguments, Arg::clock, options.clock,
                         {{"auto", ClockSource::automatic},
                          {"tsc", ClockSource::tsc},
                          {"boottime", ClockSource::boottime},
                          {"manual", ClockSource::manual}});
  options.huge_pages = choice(arguments, Arg::huge_pages, options.huge_pages,
                              {{"auto", HugePages::automatic}, {"never", HugePages::never}});
  if (arguments.has(Arg::owner)) options.owner = arguments.text(Arg::owner);
  if (arguments.has(Arg::group)) options.group = arguments.text(Arg::group);
  options.policies = static_cast<std::uint32_t>(
      arguments.count(Arg::policies, options.policies, std::numeric_limits<std::uint32_t>::max()));
  return options;
}

int create(const Arguments& arguments) {
  const Segment segment =
      Segment::create(arguments.text(Arg::segment), creation_options(arguments));
  SegmentInfo made = segment.info();
  if (made.attached > 0) --made.attached;  // this process, which is about to leave
  if (arguments.has(Arg::json)) {
    put_json(json_of(made));
  } else {
    put(fmt::format("created {}: room for {} keys, {}\n", escape(made.path), made.keys,
                    human_bytes(made.bytes)));
  }
  return 0;
}

std::string headline(const SegmentInfo& info) {
  const auto age = std::chrono::duration_cast<std::chrono::nanoseconds>(
      std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now() - info.created));
  return fmt::format("librl {}, layout {}; made by process {}, {} ago\n",
                     escape(info.creator_version), info.layout_version, info.creator_pid,
                     human_duration(age));
}

int info(const Arguments& arguments) {
  const Segment segment = open_to_read(arguments);
  const SegmentInfo found = segment.info();
  if (arguments.has(Arg::json)) {
    Json object = json_of(found);
    object["reaper"] = json_of(segment.reaper());
    put_json(object);
  } else {
    put_text(found, segment.reaper());
  }
  return 0;
}

namespace {

/// Prints what became of the switch.
int switch_limits(const Arguments& arguments, bool on) {
  Segment segment = open_to_write(arguments);
  const bool changed = segment.switch_limits(on);
  const SegmentInfo found = segment.info();
  if (arguments.has(Arg::json)) {
    put_json(Json{{"name", escape(found.name)},
                  {"off_since", found.off_since ? Json(iso_time(*found.off_since)) : Json(nullptr)},
                  {"off_allowed", found.off_allowed},
                  {"changed", changed}});
  } else if (on) {
    put(fmt::format("limits of {} are on{}; calls that passed while they were off: {}\n",
                    escape(found.name), changed ? "" : " already", found.off_allowed));
  } else {
    put(fmt::format("limits of {} are off{}: every call passes until `rlctl on {}`\n",
                    escape(found.name), changed ? "" : " already", escape(found.name)));
  }
  return 0;
}

}  // namespace

int off(const Arguments& arguments) {
  return switch_limits(arguments, false);
}

int on(const Arguments& arguments) {
  return switch_limits(arguments, true);
}

int remove(const Arguments& arguments) {
  const std::string& name = arguments.text(Arg::segment);
  const std::uint32_t attached = check_unused(arguments);
  const bool removed = Segment::remove(name);
  if (arguments.has(Arg::json)) {
    put_json(Json{{"name", escape(name)}, {"removed", removed}, {"attached", attached}});
  } else if (!removed) {
    put(fmt::format("{} is gone: somebody else removed it meanwhile\n", escape(name)));
  } else if (attached != 0) {
    put(
        fmt::format("removed {}; {} still attached, and {} on with what is there until the next "
                    "segment of that name\n",
                    escape(name), processes_are(attached), attached == 1 ? "goes" : "go"));
  } else {
    put(fmt::format("removed {}\n", escape(name)));
  }
  return 0;
}

int clock(const Arguments& arguments) {
  Segment segment =
      arguments.has(Arg::advance) ? open_to_write(arguments) : open_to_read(arguments);
  if (arguments.has(Arg::advance))
    segment.advance_clock(parse_duration(spelling(Arg::advance), arguments.text(Arg::advance)));
  const std::chrono::nanoseconds now = segment.now().time_since_epoch();
  if (arguments.has(Arg::json)) {
    put_json(Json{{"name", escape(segment.name())}, {"now_ns", now.count()}});
  } else {
    put(fmt::format("{} ({} ns)\n", human_duration(now), now.count()));
  }
  return 0;
}

}  // namespace rl::ctl
