/// \file
/// One decision beside what a service asks today: servers, proxies, and other languages' libraries.
/// Who is not installed is skipped, with a word.
#include <sched.h>

#include <utility>

#include "bench/last_will.hpp"
#include "bench/peers/turns.hpp"

namespace rl::bench {
namespace {

/// Keeps this program and its servers on one CPU. Where it may not choose, it goes on without.
void stay_on_one_cpu() {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(static_cast<unsigned>(std::max(::sched_getcpu(), 0)), &set);
  (void)::sched_setaffinity(0, sizeof set, &set);
}

}  // namespace

int run(int argc, char** argv) {
  const std::pair<const char*, void (*)(Rows&)> peers[] = {
      {"Redis", add_redis},         {"memcached", add_memcached},
      {"nginx", add_nginx},         {"nginx with librl", add_nginx_module},
      {"OpenResty", add_openresty}, {"HAProxy", add_haproxy},
      {"APCu", add_apcu},           {"Python", add_python_limits}};
  CLI::App app("Times a decision beside what asks a server, or another language's library.");
  Options options;
  std::string only;
  add_options(app, options);
  app.add_option("--only", only, "One peer alone, by its name")->type_name("PEER");
  CLI11_PARSE(app, argc, argv);
  Report report(options,
                "A decision, and servers and libraries: CPU time of all who take part, on one CPU",
                "ns");
  const LastWill segments;
  stay_on_one_cpu();
  Rows rows(report);
  rows.add(rows.hot(), "nobody", {});
  for (const auto& [name, add] : peers) {
    if (!only.empty() && only != name) continue;
    try {
      add(rows);
    } catch (const NotHere& e) {
      report.skip(name, e.what());
    }
  }
  report.finish();
  return 0;
}

}  // namespace rl::bench
