/// \file
/// A real terminal for tests: that of tmux, whose screen is read as a person would.
#pragma once

#include <fcntl.h>
#include <termios.h>

#include <fstream>
#include <sstream>
#include <string>
#include <string_view>

#include "tests/rlctl.hpp"
#include "tests/web.hpp"

namespace rl::test {

/// Whether a text holds another.
inline bool holds(const std::string& text, std::string_view part) {
  return text.find(part) != text.npos;
}

/// Whether there is one to be had; else the test is skipped.
inline bool has_tmux() {
  if (shell("command -v tmux").exit_code == 0) return true;
  skip("tmux is not here");
  return false;
}

/// A shell in a detached tmux of its own, which ends with the scope.
class Pane {
 public:
  explicit Pane(int columns = 100, int lines = 30, const std::string& locale = "C.UTF-8")
      : socket_(folder_.at("tmux")) {
    const Ran ran =
        tmux({"-f", "/dev/null", "-u", "new-session", "-d", "-x", std::to_string(columns), "-y",
              std::to_string(lines),
              "exec env -i PATH=/usr/bin:/bin TERM=screen-256color PS1='$ ' LC_ALL=" + locale +
                  " sh -i"});
    REQUIRE_MESSAGE(ran.exit_code == 0, ran.err);
    tty_ = said("#{pane_tty}");
    type("echo before\n");
    REQUIRE(shows("before\n"));
  }
  Pane(const Pane&) = delete;
  Pane& operator=(const Pane&) = delete;
  ~Pane() { (void)tmux({"kill-server"}); }

  Ran tmux(Words words) const {
    words.insert(words.begin(), {"tmux", "-S", socket_});
    return run(words);
  }
  /// Returns what a format of tmux stands for.
  [[nodiscard]] std::string said(const std::string& format) const {
    std::string text = tmux({"display-message", "-p", format}).out;
    if (text.ends_with('\n')) text.pop_back();
    return text;
  }
  void type(const std::string& text) const { (void)tmux({"send-keys", "-l", text}); }
  void press(const std::string& key) const { (void)tmux({"send-keys", key}); }
  /// Has the shell say what the last program ended with, on a line of its own: what is typed before
  /// the prompt is there is shown before it.
  void ask_for_code() const { type("printf '\\ncode %s\\n' $?\n"); }
  [[nodiscard]] std::string screen() const { return tmux({"capture-pane", "-p"}).out; }
  [[nodiscard]] std::string line(std::size_t number) const {
    std::istringstream lines(screen());
    std::string text;
    for (std::size_t i = 0; i <= number; ++i) std::getline(lines, text);
    return text;
  }

  [[nodiscard]] bool shows(std::string_view part) const {
    const bool shown = poll_until([&] { return holds(screen(), part); });
    if (!shown) MESSAGE(screen());
    return shown;
  }
  /// Waits until one text stands above another.
  [[nodiscard]] bool shows(std::string_view upper, std::string_view lower) const {
    const bool shown = poll_until([&] {
      const std::string text = screen();
      return holds(text, upper) && holds(text, lower) && text.find(upper) < text.find(lower);
    });
    if (!shown) MESSAGE(screen());
    return shown;
  }
  [[nodiscard]] bool hides(std::string_view part) const {
    return poll_until([&] { return !holds(screen(), part); });
  }

  /// Whether the terminal is as a shell has it: its lines, its cursor, and what is typed is shown.
  [[nodiscard]] bool is_as_before() const {
    return poll_until([&] {
      const int fd = ::open(tty_.c_str(), O_RDWR | O_NOCTTY | O_CLOEXEC);
      termios modes{};
      const bool known = ::tcgetattr(fd, &modes) == 0;
      ::close(fd);
      const bool echoes = (modes.c_lflag & ECHO) != 0 && (modes.c_lflag & ICANON) != 0;
      return known && echoes && said("#{alternate_on}#{cursor_flag}") == "01" &&
             holds(screen(), "before");
    });
  }

  /// The process that the shell runs; 0: none.
  [[nodiscard]] pid_t child() const {
    const std::string shell = said("#{pane_pid}");
    std::ifstream children("/proc/" + shell + "/task/" + shell + "/children");
    pid_t pid = 0;
    children >> pid;
    return pid;
  }
  /// Starts rlctl top, until its table is there.
  pid_t top(const std::string& segment, const std::string& options = {},
            const std::string& environment = {}) const {
    type(environment + rlctl_path() + " top " + segment + " --interval 50ms " + options + "\n");
    REQUIRE(shows("denied/s"));
    const pid_t pid = child();
    REQUIRE(pid > 0);
    return pid;
  }

 private:
  Folder folder_;
  std::string socket_;
  std::string tty_;
};

}  // namespace rl::test
