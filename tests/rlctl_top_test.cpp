// rlctl top on a real terminal.
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <memory>
#include <random>

#include "tests/pane.hpp"

namespace rl::test {
namespace {

/// A segment with keys of each kind, and calls that go on until the scope ends.
class Traffic {
 public:
  Traffic() : scratch_(SegmentOptions{.keys = 1'000}) {
    Limiter api = scratch_->limiter("api", Limit::parse("5/d"));
    Limiter login = scratch_->limiter("login", Limit::parse("1000000/s"));
    scratch_->ban("api", "eve", std::chrono::hours(1), "test");
    for (int i = 0; i < 5; ++i) (void)api.try_acquire("ann");
    (void)api.try_acquire("cid\x1b[2J");
    (void)api.try_acquire("日本");
    calls_.emplace_back([&] {
      Segment segment = Segment::open(scratch_.name());
      Limiter denies = segment.limiter("api");
      Limiter allows = segment.limiter("login");
      while (true) {  // ends: killed
        (void)denies.try_acquire("ann");
        (void)allows.try_acquire("bob");
        ::usleep(1'000);
      }
    });
  }
  [[nodiscard]] const std::string& name() const { return scratch_.name(); }
  [[nodiscard]] std::string path() const { return scratch_.path(); }
  Segment* operator->() { return &*scratch_; }
  [[nodiscard]] std::uint64_t denials() { return scratch_->find("api", "ann")->denied_count; }

 private:
  Scratch scratch_;
  std::vector<Child> calls_;
};

TEST_CASE("it_sorts_filters_freezes_and_shows_one_key_as_keys_are_pressed") {
  if (!has_tmux()) return;
  Traffic traffic;
  const Pane pane;
  pane.top(traffic.name());
  CHECK(pane.shows("\nann ", "\nbob "));
  const std::string screen = pane.screen();
  CHECK(holds(screen, traffic.name() + "  librl "));
  CHECK(holds(screen, "cid\\x1b[2J"));
  CHECK(holds(screen, "日本"));
  CHECK(holds(screen, "banned"));
  CHECK(pane.shows("█"));
  pane.type("a");
  CHECK(pane.shows("\nbob ", "\nann "));
  pane.type("k");
  CHECK(pane.shows("\nann ", "\nbob "));
  pane.type("/bo");
  CHECK(pane.hides("\nann "));
  CHECK(pane.shows("keys with: bo_"));
  pane.press("Escape");
  CHECK(pane.shows("\nann "));
  pane.type("p");
  CHECK(pane.hides("\nbob "));
  pane.type("pp");
  CHECK(pane.shows("\nbob "));

  pane.type(" ");
  CHECK(pane.shows("FROZEN"));
  const std::string frozen = pane.screen();
  const std::uint64_t denials = traffic.denials();
  CHECK(poll_until([&] { return traffic.denials() > denials + 200; }));
  CHECK(pane.screen() == frozen);
  pane.type(" ");
  CHECK(pane.hides("FROZEN"));

  pane.type("d");
  pane.press("Home");
  CHECK(pane.shows("\nann ", "\nbob "));
  pane.press("Enter");
  CHECK(pane.shows("\napi ann"));
  CHECK(pane.shows("what happened to it lately"));
  CHECK(pane.shows("limited, 0 of 5 left"));
  pane.type("?");
  CHECK(pane.shows("any key goes back"));
  pane.type("x");
  CHECK(pane.shows("\napi ann"));
  pane.press("Escape");
  CHECK(pane.shows("denied/s*"));
  pane.type("q");
  CHECK(pane.is_as_before());
}

TEST_CASE("it_follows_the_size_of_the_terminal_however_small") {
  if (!has_tmux()) return;
  Traffic traffic;
  const Pane pane;
  const pid_t pid = pane.top(traffic.name());
  const auto resize = [&](int columns, int lines) {
    (void)pane.tmux({"resize-window", "-x", std::to_string(columns), "-y", std::to_string(lines)});
  };
  resize(20, 5);
  CHECK(pane.shows("\nann "));
  for (const auto& [columns, lines] : {std::pair(1, 1), {2, 2}, {3, 40}, {200, 2}})
    resize(columns, lines);
  resize(180, 50);
  CHECK(pane.shows("q quit"));
  CHECK(pane.shows("\nann "));
  CHECK(pane.child() == pid);
  pane.type("q");
  CHECK(pane.is_as_before());
}

TEST_CASE("whatever_ends_it_gives_the_terminal_back_as_it_was") {
  if (!has_tmux()) return;
  Traffic traffic;
  const Pane pane;
  for (const int signal : {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGBUS}) {
    CAPTURE(signal);
    const pid_t pid = pane.top(traffic.name());
    CHECK(pane.said("#{alternate_on}#{cursor_flag}") == "10");
    ::kill(pid, signal);
    CHECK(pane.is_as_before());
    CHECK(poll_until([&] { return pane.child() == 0; }));
    pane.ask_for_code();
    CHECK(pane.shows(signal == SIGBUS ? "\ncode 2\n" : "\ncode 0\n"));
    CHECK(holds(pane.screen(), "memory is gone") == (signal == SIGBUS));
    pane.type("clear; echo before\n");
    CHECK(pane.hides("code"));
  }
  pane.top(traffic.name());
  pane.press("C-c");
  CHECK(pane.is_as_before());
}

TEST_CASE("it_stops_and_goes_on_as_the_shell_wants_it") {
  if (!has_tmux()) return;
  Traffic traffic;
  const Pane pane;
  const pid_t pid = pane.top(traffic.name());
  pane.press("C-z");
  CHECK(pane.is_as_before());
  CHECK(pane.shows("Stopped"));
  pane.type("fg\n");
  CHECK(pane.shows("denied/s*"));
  CHECK(pane.said("#{alternate_on}") == "1");
  ::kill(pid, SIGSTOP);
  CHECK(poll_until([&] { return pane.said("#{pane_current_command}") == "sh"; }));
  pane.type("clear\n");
  CHECK(pane.hides("denied/s"));
  pane.type("fg\n");
  CHECK(pane.shows("denied/s*"));
  pane.type("q");
  CHECK(pane.is_as_before());
}

TEST_CASE("it_ends_when_its_terminal_goes_away") {
  if (!has_tmux()) return;
  Traffic traffic;
  pid_t pid = 0;
  {
    const Pane pane;
    pid = pane.top(traffic.name());
  }
  CHECK(poll_until([&] { return ::kill(pid, 0) != 0; }));
}

TEST_CASE("it_says_that_the_segment_was_removed_and_goes_on_with_a_new_one") {
  if (!has_tmux()) return;
  const std::string name = unique_name();
  const RemoveAtEnd remove(name);
  Segment first = Segment::create(name, {.keys = 100});
  (void)first.limiter("api", Limit::parse("5/d")).try_acquire("old");
  const Pane pane;
  pane.top(name);
  CHECK(pane.shows("\nold "));
  Segment::remove(name);
  CHECK(pane.shows("was removed"));
  CHECK(pane.shows("\nold "));
  Segment second = Segment::create(name, {.keys = 100});
  (void)second.limiter("api", Limit::parse("5/d")).try_acquire("new");
  CHECK(pane.shows("was replaced"));
  CHECK(pane.shows("\nnew "));
  second.switch_limits(false);
  CHECK(pane.shows("LIMITS ARE OFF"));
}

TEST_CASE("a_segment_that_is_truncated_meanwhile_is_an_error_that_can_be_read") {
  if (!has_tmux()) return;
  const Made made;
  const Pane pane;
  pane.top(made.name());
  REQUIRE(::truncate(made.path().c_str(), 4'096) == 0);
  CHECK(pane.is_as_before());
  CHECK(pane.shows("was truncated"));
  pane.ask_for_code();
  CHECK(pane.shows("\ncode 2\n"));
}

TEST_CASE("bytes_gone_wrong_are_shown_as_far_as_they_make_sense") {
  if (!has_tmux()) return;
  Traffic traffic;
  const Pane pane;
  const pid_t pid = pane.top(traffic.name());
  std::mt19937_64 random(seed());
  INFO("seed ", seed());
  struct stat st {};
  REQUIRE(::stat(traffic.path().c_str(), &st) == 0);
  const int fd = ::open(traffic.path().c_str(), O_RDWR | O_CLOEXEC);
  for (int i = 0; i < 20'000; ++i) {  // all but the header
    const std::uint64_t noise = random();
    const auto at =
        4'096 + static_cast<off_t>(random() % static_cast<std::uint64_t>(st.st_size - 8'192));
    REQUIRE(::pwrite(fd, &noise, sizeof noise, at) == sizeof noise);
    if (i % 4'000 == 0) pane.press("Down");
  }
  ::close(fd);
  pane.type("k");
  CHECK(pane.shows("key*"));
  CHECK(pane.child() == pid);
  pane.press("Enter");
  CHECK(pane.hides("denied/s"));
  pane.press("Escape");
  CHECK(pane.shows("denied/s"));
  pane.type("q");
  CHECK(pane.is_as_before());
}

TEST_CASE("colours_and_blocks_are_where_they_may_be") {
  if (!has_tmux()) return;
  Traffic traffic;
  const auto coloured = [](const Pane& pane) {
    return holds(pane.tmux({"capture-pane", "-p", "-e"}).out, "\x1b[31m");
  };
  {
    const Pane pane;
    pane.top(traffic.name());
    CHECK(poll_until([&] { return coloured(pane); }));
    pane.type("q");
    CHECK(pane.is_as_before());
    pane.top(traffic.name(), "", "NO_COLOR=1 ");
    CHECK(pane.shows("\nann "));
    CHECK(!coloured(pane));
  }
  const Pane plain(100, 30, "C");
  plain.top(traffic.name());
  CHECK(plain.shows("\\xe6\\x97\\xa5"));
  const std::string screen = plain.screen();
  CHECK(std::all_of(screen.begin(), screen.end(), [](char c) { return c > 0; }));
}

TEST_CASE("a_reader_that_stalls_does_not_keep_it_from_ending") {
  Traffic traffic;
  int ends[2];
  REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
  (void)::fcntl(ends[1], F_SETPIPE_SZ, 4'096);
  const std::string path = rlctl_path();
  Child child([&] {
    (void)::dup2(ends[1], STDOUT_FILENO);
    ::execl(path.c_str(), path.c_str(), "top", traffic.name().c_str(), "--interval", "1ms",
            "--looks", "1000000", nullptr);
  });
  int waiting = 0;
  CHECK(poll_until([&] { return ::ioctl(ends[0], FIONREAD, &waiting) == 0 && waiting > 0; }));
  ::usleep(200'000);  // it writes until there is no room
  child.signal(SIGTERM);
  siginfo_t info{};
  const auto id = static_cast<id_t>(child.pid());
  CHECK(poll_until([&] {
    return ::waitid(P_PID, id, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid != 0;
  }));
  CHECK(info.si_status == 0);
  for (const int end : ends) ::close(end);
}

TEST_CASE("a_terminal_that_cannot_be_drawn_on_gets_lines_or_a_sentence") {
  if (!has_tmux()) return;
  Traffic traffic;
  const Pane pane;
  pane.type("TERM=dumb " + rlctl_path() + " top " + traffic.name() + " --interval 50ms\n");
  CHECK(pane.shows("policy limit"));
  pane.type("TERM=no-such " + rlctl_path() + " top " + traffic.name() + "\n");
  CHECK(pane.shows("this terminal is not known here"));
  CHECK(pane.is_as_before());
}

}  // namespace
}  // namespace rl::test
