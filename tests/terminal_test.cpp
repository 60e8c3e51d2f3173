/// What rlctl shows on a terminal, and what it shows elsewhere. A real program on a real
/// pseudo-terminal.
#include <pty.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cmath>
#include <cstdlib>
#include <string>
#include <utility>
#include <vector>

#include "tests/rlctl.hpp"
#include "tools/rlctl/terminal.hpp"
#include "tools/rlctl/text.hpp"

namespace {

using rl::ctl::bar;
using rl::ctl::Paint;
using rl::ctl::paint;
using rl::ctl::sparkline;
using rl::ctl::Terminal;
using rl::ctl::width_of;

constexpr Terminal kColours{.is_one = true, .has_colours = true, .has_blocks = true};
constexpr Terminal kPlain{};
constexpr Terminal kBlocks{.has_blocks = true};

using Setting = std::pair<const char*, const char*>;

/// Runs rlctl with a new terminal as its standard output and returns what it wrote to it, without the
/// carriage returns that the terminal adds.
std::string on_a_terminal(const rl::test::Words& arguments, const std::vector<Setting>& settings) {
  const std::string program = rl::test::rlctl_path();
  std::vector<char*> words{const_cast<char*>(program.c_str())};
  for (const std::string& word : arguments) words.push_back(const_cast<char*>(word.c_str()));
  words.push_back(nullptr);
  int terminal = -1;
  const pid_t pid = ::forkpty(&terminal, nullptr, nullptr, nullptr);
  REQUIRE(pid >= 0);
  if (pid == 0) {
    ::setenv("TERM", "xterm", 1);
    ::unsetenv("NO_COLOR");
    for (const auto& [name, value] : settings) ::setenv(name, value, 1);
    ::execv(program.c_str(), words.data());
    ::_exit(127);
  }
  std::string shown;
  std::array<char, 4'096> part{};
  for (ssize_t n = 0; (n = ::read(terminal, part.data(), part.size())) > 0;)  // ends: it exits
    shown.append(part.data(), static_cast<std::size_t>(n));
  ::close(terminal);
  int status = 0;
  REQUIRE(::waitpid(pid, &status, 0) == pid);
  std::erase(shown, '\r');
  return shown;
}

}  // namespace

TEST_CASE("a_colour_goes_around_the_text_and_a_newline_stays_the_end") {
  CHECK(paint(Paint::bad, "denied", kColours) == "\x1b[31mdenied\x1b[0m");
  CHECK(paint(Paint::strong, "key\n", kColours) == "\x1b[1mkey\x1b[0m\n");
  CHECK(paint(Paint::good, "", kColours).empty());
}

TEST_CASE("without_colours_a_painted_text_is_itself") {
  for (const Paint each : {Paint::strong, Paint::faint, Paint::good, Paint::warn, Paint::bad})
    CHECK(paint(each, "denied", kPlain) == "denied");
}

TEST_CASE("a_colour_takes_no_column") {
  CHECK(width_of(paint(Paint::warn, "ab\u00e9", kColours)) == width_of("ab\u00e9"));
  CHECK(width_of("\x1b[31") == 0);  // never written, yet no way out of the text
}

TEST_CASE("a_bar_is_as_wide_as_it_is_asked_to_be_whatever_its_share") {
  const double nothing = std::nan("");
  for (const Terminal& on : {kPlain, kBlocks})
    for (const double share : {-1.0, 0.0, 0.01, 0.33, 0.5, 0.99, 1.0, 7.0, nothing})
      for (const std::size_t columns : {0U, 1U, 10U}) {
        CAPTURE(share);
        CHECK(width_of(bar(share, columns, on)) == columns);
      }
}

TEST_CASE("a_bar_shows_eighths_of_a_column_or_whole_ones_in_ascii") {
  CHECK(bar(0.5, 4, kPlain) == "##..");
  CHECK(bar(0.5, 4, kBlocks) == "██  ");
  CHECK(bar(0.53125, 4, kBlocks) == "██▏ ");
  CHECK(bar(1, 2, kBlocks) == "██");
}

TEST_CASE("a_sparkline_has_its_greatest_value_at_the_top") {
  const std::vector<double> values{0, 1, 2, 7};
  CHECK(sparkline(values, kBlocks) == "▁▂▃█");
  CHECK(sparkline(values, kPlain) == "_.:#");
  CHECK(sparkline(std::vector<double>{0, 0}, kBlocks) == "▁▁");
  CHECK(sparkline({}, kBlocks).empty());
}

TEST_CASE("a_terminal_shows_the_words_of_a_file_and_colours_that_NO_COLOR_and_dumb_forbid") {
  const rl::test::Made web;
  REQUIRE(rl::test::rlctl({"policy", "set", web.name(), "api", "1/h"}).exit_code == 0);
  REQUIRE(rl::test::rlctl({"ban", web.name(), "api", "mallory", "--for", "ever"}).exit_code == 0);
  const rl::test::Words list{"list", web.name()};
  const std::string plain = rl::test::rlctl(list).out;
  CHECK(plain.find('\x1b') == plain.npos);
  CHECK(on_a_terminal(list, {{"NO_COLOR", "1"}}) == plain);
  CHECK(on_a_terminal(list, {{"TERM", "dumb"}}) == plain);

  std::string colourful = on_a_terminal(list, {});
  CHECK(colourful.find("\x1b[31mban") != colourful.npos);
  while (colourful.find("\x1b[") != colourful.npos) {  // ends: each round takes one away
    const std::size_t at = colourful.find("\x1b[");
    colourful.erase(at, colourful.find('m', at) - at + 1);
  }
  CHECK(colourful == plain);
}
