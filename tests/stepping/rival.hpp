/// \file
/// Another process that performs scripts when told to, while the one that tells it stands still.
#pragma once

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <optional>
#include <string>
#include <vector>

#include "tests/stepping/steps.hpp"
#include "tests/support.hpp"

namespace rl::test {

/// Steps are performed by an Actor of its own, and each comes to an Outcome; both go through a
/// pipe.
template <class Actor, class Step, class Outcome>
class BasicRival {
 public:
  using Script = std::vector<Step>;

  /// How long a script may take before whoever waits for it is called blocked: ten times the second
  /// within which everything is expected.
  static constexpr int kDeadlineMs = 10'000;

  explicit BasicRival(const std::string& segment) : channel_(), child_([&] { serve(segment); }) {
    // Ready when it answers the empty script: from here on it takes no seat and opens nothing.
    if (!run({})) throw std::runtime_error("the rival process did not start");
  }

  /// Returns what each step came to, or nothing when the rival did not finish in time.
  std::optional<std::vector<Outcome>> run(const Script& script) {
    const std::size_t count = script.size();
    send(channel_.ours, &count, sizeof count);
    send(channel_.ours, script.data(), count * sizeof(Step));
    std::vector<Outcome> outcomes(count);
    char ready = 0;
    pollfd fd{channel_.ours, POLLIN, 0};
    if (::poll(&fd, 1, kDeadlineMs) <= 0 || !receive(channel_.ours, &ready, 1) ||
        !receive(channel_.ours, outcomes.data(), count * sizeof(Outcome))) {
      return std::nullopt;
    }
    return outcomes;
  }

 private:
  struct Channel {
    int ours = -1;
    int theirs = -1;
    Channel() {
      int ends[2];
      if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) std::abort();
      ours = ends[0];
      theirs = ends[1];
    }
    ~Channel() {
      ::close(ours);
      ::close(theirs);
    }
  };

  static void send(int fd, const void* from, std::size_t bytes) {
    if (bytes != 0 && ::send(fd, from, bytes, MSG_NOSIGNAL) != static_cast<ssize_t>(bytes)) {
      throw std::runtime_error("the channel to the rival is broken");
    }
  }
  static bool receive(int fd, void* to, std::size_t bytes) {
    return bytes == 0 || ::recv(fd, to, bytes, MSG_WAITALL) == static_cast<ssize_t>(bytes);
  }

  void serve(const std::string& segment) {
    ::close(std::exchange(channel_.ours, -1));  // so that the end of the test is the end of this
    Actor actor(segment);
    (void)actor.act({Step::peek});  // the first look at clock and name is behind it
    for (std::size_t count = 0; receive(channel_.theirs, &count, sizeof count);) {
      Script script(count);
      if (!receive(channel_.theirs, script.data(), count * sizeof(Step))) return;
      // What it learned in the last script was undone: there is no such policy yet.
      if constexpr (requires { actor.bind_anew(); }) actor.bind_anew();
      std::vector<Outcome> outcomes;
      for (const Step& step : script) outcomes.push_back(actor.act(step));
      send(channel_.theirs, "", 1);
      send(channel_.theirs, outcomes.data(), count * sizeof(Outcome));
    }
  }

  Channel channel_;
  Child child_;
};

using Rival = BasicRival<Actor, Step, Outcome>;

}  // namespace rl::test
