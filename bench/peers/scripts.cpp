/// \file
/// Limits of other languages' libraries: a script that reads how many decisions to make, on how many
/// keys, makes them, and answers. Its loop and its keys are in what it takes, as they are in ours.
#include <optional>

#include "bench/peers/turns.hpp"

namespace rl::bench {
namespace {

class Script {
 public:
  /// Errors: NotHere, with the reason that it gives itself.
  Script(const std::vector<std::string>& command, const std::string& log)
      : server_(Server::Piped(), command, log), wire_(server_.wire()) {
    tell(0, 1);
  }
  /// Makes decisions on one key, or on that many at random.
  void tell(std::uint64_t steps, std::uint32_t keys) {
    try {
      (void)wire_.ask(fmt::format("{} {}\n", steps, keys), 1, "\n");
    } catch (const NotHere& e) {
      throw server_.failure(e.what());
    }
  }
  /// Returns what that takes, of `beside`'s CPU time, too.
  Turn turn(const std::string& name, std::uint64_t count, std::uint32_t keys,
            const Server* beside = nullptr) {
    return {name, count, [this, keys, beside](std::uint64_t steps, unsigned) {
              const auto cpu_ns = [&] {
                return server_.cpu_ns() + (beside == nullptr ? 0 : beside->cpu_ns());
              };
              const std::uint64_t before = cpu_ns();
              tell(steps, keys);
              return static_cast<double>(cpu_ns() - before);
            }};
  }

 private:
  Server server_;
  Wire wire_;
};

}  // namespace

void add_apcu(Rows& rows) {
  const std::string php = find_program("php", "php-cli and php-apcu");
  rows.report().note(version_of(php, "-v"));
  // Without the hint a million keys lie in lists of hundreds.
  Script script({php, "-d", "apc.enable_cli=1", "-d", "apc.shm_size=512M", "-d",
                 "apc.entries_hint=1000000", "-d", "memory_limit=1G", RL_BENCH_PEERS "/apcu.php"},
                rows.folder().path_of("apcu.log"));
  for (const KeySet& keys : {rows.hot(), rows.many()})
    rows.add(keys, "APCu", {script.turn("apcu_inc", 320'000, keys.count)});
}

void add_python_limits(Rows& rows) {
  const std::string python = find_program("python3", "python3-limits");
  const std::string program = RL_BENCH_PEERS "/python_limits.py";
  const std::string log = rows.folder().path_of("limits.log");
  Script memory({python, program, "memory://"}, log);
  std::vector<Turn> turns{memory.turn("in its memory", 9'600, 1)};
  std::optional<Server> server;
  std::optional<Script> shared;
  try {
    const std::string redis = find_program("redis-server", "redis-server");
    const std::string socket = rows.folder().path_of("limits");
    server.emplace(redis_command(redis, socket, rows.folder()),
                   rows.folder().path_of("limits.redis.log"));
    (void)server->connect(socket);
    shared.emplace(std::vector{python, program, "redis+unix://" + socket}, log);
    turns.push_back(shared->turn("in Redis", 1'600, 1, &*server));
  } catch (const NotHere& e) {
    rows.report().skip("Python limits in Redis", e.what());
  }
  const std::string segment = unique_name();
  const RemovedFile removed("/dev/shm/rl." + segment);
  std::optional<Script> storage;
  std::optional<Script> binding;
  try {
    storage.emplace(std::vector{python, program, "shm://" + segment}, log);
    turns.push_back(storage->turn("in librl", 9'600, 1));
    binding.emplace(std::vector{python, program, "librl://" + segment}, log);
    turns.push_back(binding->turn("librl for Python", 96'000, 1));
  } catch (const NotHere& e) {
    rows.report().skip("librl for Python", e.what());
  }
  rows.add(rows.hot(), "Python limits", turns);
}

}  // namespace rl::bench
