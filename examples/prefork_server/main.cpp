/// \file
/// A preforked web server whose workers share rate limits: the parent opens the segment and forks,
/// the workers accept on one socket and decide in shared memory.
///
/// Prints "worker PID started" for each worker, then "listening on 127.0.0.1:PORT".
#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <cerrno>
#include <stdexcept>
#include <string>
#include <system_error>
#include <vector>

#include "examples/cli.hpp"
#include "examples/prefork_server/say.hpp"
#include "examples/prefork_server/supervisor.hpp"
#include "examples/prefork_server/worker.hpp"

namespace {

/// Opens a listening socket on loopback and puts the port that it got into `port`.
int listen_on(std::uint16_t& port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  auto* any = reinterpret_cast<sockaddr*>(&address);
  socklen_t bytes = sizeof address;
  const int yes = 1;
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0 || ::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes) != 0 ||
      ::bind(fd, any, bytes) != 0 || ::listen(fd, SOMAXCONN) != 0 ||
      ::getsockname(fd, any, &bytes) != 0) {
    throw std::runtime_error(
        fmt::format("cannot listen on 127.0.0.1:{}: {}; choose another port, or 0 for a free one",
                    port, std::generic_category().message(errno)));
  }
  port = ntohs(address.sin_port);
  return fd;
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("Serves HTTP on 127.0.0.1 from several processes that share a rate limit.",
               "prefork_server");
  std::uint16_t port = 8080;
  unsigned workers = 4;
  std::string segment_name = "web";
  std::string policy = "api";
  std::string limit_text = "100/s burst=200";
  rl::SegmentOptions segment_options;
  std::vector<std::string> networks;
  rl::PrefixLengths prefix;
  app.add_option("--port", port, "port on 127.0.0.1; 0 takes a free one")->capture_default_str();
  app.add_option("--workers", workers, "how many processes answer")
      ->check(CLI::Range(1, 256))
      ->capture_default_str();
  app.add_option("--limit", limit_text, "what each client may do")->capture_default_str();
  app.add_option("--segment", segment_name, "name of the segment")->capture_default_str();
  app.add_option("--policy", policy, "name of the policy")->capture_default_str();
  app.add_option("--keys", segment_options.keys, "room for that many clients in a new segment")
      ->capture_default_str();
  app.add_option("--trusted-proxy", networks,
                 "believe X-Forwarded-For of peers in this network, such as 10.0.0.0/8 or ::1; may "
                 "be given again");
  app.add_option("--ipv6-prefix", prefix.ipv6, "how many bits of an IPv6 address are one client")
      ->check(CLI::Range(0, 128))
      ->capture_default_str();

  return examples::run(app, argc, argv, [&] {
    examples::TrustedProxies trusted;
    for (const std::string& network : networks) trusted.add(network);
    const rl::Limit limit = rl::Limit::parse(limit_text);
    const int listener = listen_on(port);
    rl::Segment segment = rl::Segment::open_or_create(segment_name, segment_options);
    const examples::WorkerOptions options{listener, policy, segment.limiter(policy, limit), trusted,
                                          prefix};
    if (options.limiter.differs()) {
      fmt::print(stderr, "prefork_server: {} of {} stands at {}, not {}\n", policy, segment_name,
                 options.limiter.limit().to_string(), limit.to_string());
    }
    examples::supervise(
        workers, [&] { examples::serve(options); },
        [&] { examples::say(fmt::format("listening on 127.0.0.1:{}", port)); });
    return 0;
  });
}
