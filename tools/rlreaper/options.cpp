#include "tools/rlreaper/options.hpp"

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include <set>

#include <rl/error.hpp>
#include <rl/version.hpp>

#include "shm/mapping.hpp"
#include "tools/rlctl/output.hpp"
#include "tools/rlctl/text.hpp"
#include "tools/rlreaper/checkpoint.hpp"
#include "tools/rlreaper/sinks.hpp"

namespace rl::reaper {
namespace {

constexpr const char* kAbout =
    "Keeps segments of librl tidy: frees what is idle, gives back permits of the dead, watches the "
    "clock and the name, and writes checkpoints. Limits hold without it.";

constexpr const char* kFooter =
    "\nSIGHUP reads the configuration file again, and makes files of events anew that were moved "
    "away; SIGUSR1 says what is going on, SIGTERM ends.\n"
    "Exit code: 0 when it was ended by a signal, 2 for an error.";

/// The arguments as they are written.
struct Words {
  std::string rate;
  std::string idle;
  std::string every;
  std::string keep;
  std::string prometheus;
};

void check(const Options& options) {
  if (options.segments.empty())
    throw Error(Errc::bad_option, "no segment; give one, such as web; see `rlreaper --help`");
  if (options.rate == 0)
    throw Error(Errc::bad_option, "--rate: at 0 nothing is swept; give 1 or more");
  std::set<std::string> paths;
  std::set<std::string> checkpoints;
  for (const std::string& name : options.segments) {
    paths.insert(shm::path_of(name));
    checkpoints.insert(checkpoint_file(options.checkpoint, name));
  }
  if (paths.size() != options.segments.size())
    throw Error(Errc::bad_option, "a segment is given twice; give each once");
  check_sinks(options.events);
  if (options.checkpoint.empty() && options.restore)
    throw Error(Errc::bad_option, "--restore: from what is not said; give --checkpoint FILE, too");
  if (!options.checkpoint.empty() && checkpoints.size() != options.segments.size()) {
    throw Error(Errc::bad_option,
                "--checkpoint: one file for several segments; put %s where their names go, or give "
                "each a reaper of its own where these are the same");
  }
}

}  // namespace

std::optional<Options> read_options(int argc, const char* const* argv) {
  Options options;
  Words words;
  CLI::App app(kAbout, "rlreaper");
  app.footer(kFooter);
  app.get_formatter()->label("Positionals", "Arguments");
  app.add_option("segments", options.segments,
                 "names such as web (POSIX shared memory), or absolute paths")
      ->type_name("");
  app.add_option("--rate", words.rate, "slots that are looked at in a second; 1M if not given")
      ->type_name("N");
  app.add_option("--idle", words.idle, "how long a key stays that owes nothing; 10s if not given")
      ->type_name("D");
  app.add_option("--checkpoint", options.checkpoint,
                 "write what the keys owe to this file; %s is the segment's name")
      ->type_name("FILE");
  app.add_option("--every", words.every, "how often; 10s if not given")->type_name("D");
  app.add_option("--keep", words.keep,
                 "keep so many older ones as FILE.1, FILE.2, ...; 1 if not given")
      ->type_name("N");
  app.add_flag("--restore", options.restore,
               "make a segment that is not there from its last checkpoint");
  app.add_option("--events", options.events,
                 "write what happens to a sink: jsonl:FILE, syslog or journald; may be given again")
      ->type_name("SINK")
      ->allow_extra_args(false);
  app.add_option("--prometheus", words.prometheus,
                 "serve the segments' numbers at http://ADDRESS:PORT/metrics, such as "
                 "127.0.0.1:9464; :9464 for all addresses")
      ->type_name("ADDRESS:PORT");
  app.add_option("--top-denied", options.top_denied,
                 "serve the N keys that were denied most, too, by their text")
      ->type_name("N")
      ->check(CLI::Range(0, static_cast<int>(Reaper::kRankMax)));
  app.add_flag("--any-owner", options.any_owner, "trust a segment of any owner");
  app.set_config("--config", "", "read options from this file, a line each: rate = \"2M\"");
  app.allow_config_extras(CLI::config_extras_mode::error);
  app.set_version_flag("--version", "rlreaper " RL_VERSION);
  try {
    app.parse(argc, argv);
  } catch (const CLI::CallForHelp&) {
    ctl::put(app.help());
    return std::nullopt;
  } catch (const CLI::CallForVersion&) {
    ctl::put("rlreaper " RL_VERSION "\n");
    return std::nullopt;
  } catch (const CLI::ParseError& e) {
    throw Error(Errc::bad_option, fmt::format("{}; see `rlreaper --help`", e.what()));
  }
  if (!words.rate.empty()) options.rate = ctl::parse_count("--rate", words.rate, 1'000'000'000);
  if (!words.idle.empty()) options.idle_for = ctl::parse_duration("--idle", words.idle);
  if (!words.every.empty()) options.every = ctl::parse_duration("--every", words.every);
  if (!words.keep.empty()) options.keep = ctl::parse_count("--keep", words.keep, 1'000);
  if (!words.prometheus.empty())
    options.prometheus = parse_listen_at("--prometheus", words.prometheus);
  check(options);
  return options;
}

}  // namespace rl::reaper
