/// \file
/// Servers of keys and values, one Unix socket away, on the same CPU as whoever asks: nobody has to be
/// woken on another one, and the time counts the work of both.
#include <sys/types.h>
#include <unistd.h>

#include <fstream>
#include <iterator>

#include "bench/peers/turns.hpp"

namespace rl::bench {
namespace {

/// A turn of somebody who asks a server, with the CPU time of both.
template <class Keys>
Turn asking(std::string name, std::uint64_t steps, std::uint64_t depth, const Server& server,
            Asker& asker, Keys keys) {
  return {std::move(name), steps, [&, keys, depth](std::uint64_t count, unsigned round) {
            Keys mine = keys;
            mine.start(round);
            const std::uint64_t before = own_cpu_ns() + server.cpu_ns();
            asker.ask(mine, count, depth);
            return static_cast<double>(own_cpu_ns() + server.cpu_ns() - before);
          }};
}

/// Both rows of one server.
void add_both(Rows& rows, const std::string& peer, const std::string& what, const Server& server,
              Asker& asker) {
  const auto add = [&](const KeySet& set, auto keys) {
    rows.add(set, peer,
             {asking(what + ", one by one", 6'400, kOneByOne, server, asker, keys),
              asking(what + ", 32 in a row", 12'800, kInARow, server, asker, keys)});
  };
  add(rows.hot(), HotKey());
  add(rows.many(), RandomKeys(rows.many().count));
}

std::string text_of(const std::string& path) {
  std::ifstream file(path);
  if (!file) throw NotHere(fmt::format("{} is not there", path));
  return {std::istreambuf_iterator<char>(file), {}};
}

/// One argument of a command in Redis' protocol.
std::string argument(const std::string& text) {
  return fmt::format("${}\r\n{}\r\n", text.size(), text);
}

std::string load_script(Wire& wire, const std::string& script) {
  const std::string request =
      fmt::format("*3\r\n{}{}{}", argument("SCRIPT"), argument("LOAD"), argument(script));
  constexpr std::size_t kHead = 5;  // "$40\r\n"
  constexpr std::size_t kSha = 40;
  const std::string reply(wire.ask(request, 2, "\r\n"));
  if (!reply.starts_with("$40\r\n") || reply.size() < kHead + kSha)
    throw NotHere(fmt::format("takes no script: {}", reply));
  return reply.substr(kHead, kSha);
}

}  // namespace

std::vector<std::string> redis_command(const std::string& program, const std::string& socket,
                                       const Folder& folder) {
  return {program,        "--port", "0",     "--unixsocket",    socket, "--save", "",
          "--appendonly", "no",     "--dir", folder.path_of("")};
}

void add_redis(Rows& rows) {
  const std::string program = find_program("redis-server", "redis-server");
  rows.report().note(version_of(program, "--version"));
  const std::string socket = rows.folder().path_of("redis");
  const Server server(redis_command(program, socket, rows.folder()),
                      rows.folder().path_of("redis.log"));
  Wire wire = server.connect(socket);
  const std::string sha = load_script(wire, text_of(RL_BENCH_PEERS "/gcra.lua"));
  // A call owes a millisecond, and nobody may owe so much that he is denied.
  const std::string limit = argument("1000") + argument("1000000000000000");
  const std::string key_head = fmt::format("${}\r\n", KeyText::kBytes);
  // Keys that owe an hour: they are there, as those of a busy limit are.
  Asker filling(
      wire,
      {fmt::format("*6\r\n{}{}{}{}", argument("EVALSHA"), argument(sha), argument("1"), key_head),
       "\r\n" + argument("3600000000") + argument("1000000000000000"), ":1\r\n", "\r\n"});
  EachKey each;
  filling.ask(each, rows.many().count, kInARow);
  Asker asker(wire, {fmt::format("*6\r\n{}{}{}{}", argument("EVALSHA"), argument(sha),
                                 argument("1"), key_head),
                     "\r\n" + limit, ":1\r\n", "\r\n"});
  add_both(rows, "Redis", "GCRA script", server, asker);
}

void add_memcached(Rows& rows) {
  const std::string program = find_program("memcached", "memcached");
  rows.report().note(version_of(program, "-V"));
  const std::string socket = rows.folder().path_of("memcached");
  std::vector<std::string> command{program, "-s", socket, "-t", "1", "-m", "512"};
  if (::geteuid() == 0) command.insert(command.end(), {"-u", "root"});  // it insists on being told
  const Server server(command, rows.folder().path_of("memcached.log"));
  Wire wire = server.connect(socket);
  Asker filling(wire, {"set ", " 0 0 1\r\n0\r\n", "STORED", "\r\n"});
  EachKey each;
  filling.ask(each, rows.many().count, kInARow);
  Asker asker(wire, {"incr ", " 1\r\n", "", "\r\n"});
  add_both(rows, "memcached", "incr", server, asker);
}

}  // namespace rl::bench
