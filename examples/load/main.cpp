/// \file
/// Sends HTTP traffic of many clients to prefork_server on loopback and holds the answers to the
/// limit: no client may get more than Bound A, all together not less than from an exact limiter.
/// Each address is a client here, so the server wants --ipv6-prefix 128.
///
/// Exit code: 0 both hold, 1 one does not or a request failed, 2 it could not be tried.
#include <fmt/format.h>

#include <fstream>
#include <iostream>
#include <stdexcept>

#include <rl/limit.hpp>
#include "examples/cli.hpp"
#include "examples/load/report.hpp"

namespace {

struct Options {
  examples::SenderOptions sender;
  std::string limit = "100/s burst=200";
  std::vector<std::string> clients;
  std::string log;
  std::string record;
  double seconds = 8;
  std::size_t rows = 20;
};

void add_options(CLI::App& app, Options& options) {
  app.add_option("--port", options.sender.port, "where prefork_server listens")->required();
  app.add_option("--limit", options.limit, "the limit of the server")->capture_default_str();
  auto* clients = app.add_option("--client", options.clients,
                                 "ADDRESS=RATE or ADDRESS=RATExGROUP: a client that sends RATE "
                                 "requests per second, always GROUP at once; may be given again");
  app.add_option("--log", options.log,
                 "replay the clients of this access log in combined format; - is standard input")
      ->excludes(clients);
  app.add_option("--seconds", options.seconds, "how long; a log takes at most that long")
      ->check(CLI::Range(0.1, 3'600.0))
      ->capture_default_str();
  app.add_option("--connections", options.sender.connections, "how many to open at the start")
      ->check(CLI::Range(1, 256))
      ->capture_default_str();
  app.add_option("--kill-half-way", options.sender.kill_half_way,
                 "process id of a worker that gets SIGKILL in the middle")
      ->check(CLI::Range(2, 1 << 22));
  app.add_option("--record", options.record, "write each request to this file");
  app.add_option("--rows", options.rows, "how many clients to show")->capture_default_str();
}

examples::Schedule schedule_of(const Options& options) {
  if (options.log.empty() && options.clients.empty())
    throw std::runtime_error("there is nothing to send; give --client or --log");
  if (options.log.empty()) return examples::steady_schedule(options.clients, options.seconds);
  std::ifstream file;
  if (options.log != "-") {
    file.open(options.log);
    if (!file) throw std::runtime_error(fmt::format("cannot read {}", options.log));
  }
  const auto schedule =
      examples::replayed_schedule(options.log == "-" ? std::cin : file, options.seconds);
  fmt::print("replaying {} requests of {} clients, {:.0f} times as fast; {} lines left out\n",
             schedule.arrivals.size(), schedule.clients.size(), schedule.speed_up,
             schedule.lines_left_out);
  return schedule;
}

void write_record(const std::string& path, const examples::Schedule& schedule,
                  const examples::Recording& recording) {
  std::ofstream file(path);
  file << "key\tscheduled_ns\tsent_ns\tended_ns\tstatus\n";
  for (const examples::Record& r : recording.records) {
    file << schedule.clients[r.client] << '\t' << r.scheduled_ns << '\t' << r.sent_ns << '\t'
         << r.ended_ns << '\t' << r.status << '\n';
  }
  if (!file.flush()) throw std::runtime_error(fmt::format("cannot write {}", path));
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("Sends traffic to prefork_server and judges its answers.", "load");
  Options options;
  add_options(app, options);
  return examples::run(app, argc, argv, [&] {
    const rl::Limit limit = rl::Limit::parse(options.limit);
    const examples::Schedule schedule = schedule_of(options);
    std::cout.flush();
    const examples::Recording recording = examples::send_schedule(schedule, options.sender);
    if (!options.record.empty()) write_record(options.record, schedule, recording);
    const examples::Bucket bucket{limit.interval().count(),
                                  static_cast<std::int64_t>(limit.burst())};
    const examples::Report report = examples::judge(schedule, recording, bucket, options.rows);
    fmt::print("{}", report.text);
    return report.good ? 0 : 1;
  });
}
