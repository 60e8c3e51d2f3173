#include <fmt/format.h>
#include <unistd.h>

#include <random>

#include "tools/rlctl/common.hpp"
#include "tools/rlctl/report.hpp"
#include "tools/rlctl/selftest/selftest.hpp"
#include "tools/rlctl/verbs.hpp"

namespace rl::ctl {
namespace {

constexpr std::uint64_t kSecondsDefault = 10;
constexpr std::uint64_t kSecondsMost = 86'400;

/// Prints at once: the next part takes seconds, and a reader that left ends us here, where nothing
/// of ours is left behind.
void put_now(const std::string& text) {
  put(text);
  finish_output();
}

void put_part(const selftest::Part& part, bool json) {
  const bool holds = part.faults.empty();
  if (json) {
    Json object{{"part", part.name}, {"ok", holds}};
    object.update(part.counts);
    object["faults"] = part.faults;
    put_now(object.dump() + '\n');
    return;
  }
  std::string text =
      fmt::format("{:<9}  {:<6}  {}\n", part.name, holds ? "ok" : "FAILED", part.text);
  for (const std::string& fault : part.faults) text += fmt::format("{:<9}  -  {}\n", "", fault);
  put_now(text);
}

/// Ends as the signal would have ended us, now that nothing is left to clean up.
[[noreturn]] void end_by(int signal) {
  (void)::signal(signal, SIG_DFL);
  (void)::raise(signal);
  ::_exit(128 + signal);
}

}  // namespace

int selftest(const Arguments& arguments) {
  const std::uint64_t seconds = arguments.count(Arg::seconds, kSecondsDefault, kSecondsMost);
  if (seconds == 0) throw Error(Errc::bad_option, "--seconds 0: give at least 1");
  const bool json = arguments.has(Arg::json);
  const std::uint64_t seed = arguments.count(Arg::seed, std::random_device()());
  if (!json)
    put_now(fmt::format("librl " RL_VERSION ", selftest of about {} s, seed {}\n", seconds, seed));
  bool holds = false;
  try {
    holds = selftest::run(seconds, seed, [&](const selftest::Part& part) { put_part(part, json); });
  } catch (const selftest::Interrupted& interrupted) {
    end_by(interrupted.signal);
  }
  if (json) {
    put_json(Json{{"part", "verdict"},
                  {"ok", holds},
                  {"version", RL_VERSION},
                  {"seconds", seconds},
                  {"seed", seed}});
  } else {
    put(fmt::format("{:<9}  {}\n", "verdict",
                    holds
                        ? "ok: this machine keeps what librl promises"
                        : "FAILED: do not rely on librl here, and please report the lines above"));
  }
  return holds ? 0 : 1;
}

}  // namespace rl::ctl
