#include "tools/rlctl/top/screen.hpp"

#include <fmt/format.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <string>

// Its macros have names of ours.
#define NCURSES_NOMACROS
#include <curses.h>
#include <term.h>
#undef lines
#undef columns

#include <rl/error.hpp>

#include "tools/rlctl/lost_memory.hpp"

namespace rl::ctl::live {
namespace {

/// What gives the terminal back in a handler of a signal, where curses may not be called.
struct Rescue {
  termios modes{};
  std::string text;
};
Rescue rescue;

constexpr std::array<int, 3> kFatal{SIGBUS, SIGSEGV, SIGABRT};

/// Only what a handler may call: write, tcsetattr, _exit, raise.
void give_back_and_die(int signal) {
  (void)!::write(STDOUT_FILENO, rescue.text.data(), rescue.text.size());
  (void)::tcsetattr(STDIN_FILENO, TCSANOW, &rescue.modes);
  if (signal == SIGBUS) end_as_memory_is_lost();
  (void)::raise(signal);  // the handler was for once: now it ends the process
}

std::string capability(const char* name) {
  const char* const text = ::tigetstr(name);
  const bool is_none = text == nullptr || text == reinterpret_cast<const char*>(-1);
  return is_none ? "" : text;
}

/// Of `modes`, the terminal's as they were before curses.
void prepare_rescue(const termios& modes) {
  rescue.modes = modes;
  rescue.text = capability("sgr0") + capability("cnorm") + capability("rmkx") + capability("rmcup");
  for (const int signal : kFatal) {
    struct sigaction action {};
    action.sa_handler = give_back_and_die;
    action.sa_flags = SA_RESETHAND | SA_NODEFER;
    (void)::sigaction(signal, &action, nullptr);
  }
}

void forget_rescue() {
  for (const int signal : kFatal) (void)::signal(signal, SIG_DFL);
  say_when_memory_is_lost();
}

void begin_colours() {
  if (!terminal().has_colours || !::has_colors()) return;
  ::start_color();
  ::use_default_colors();
  constexpr std::array<short, 3> kColours{COLOR_GREEN, COLOR_YELLOW, COLOR_RED};
  for (const short colour : kColours) ::init_pair(colour, colour, -1);
}

attr_t attribute_of(const std::optional<Paint>& paint) {
  if (!paint) return A_NORMAL;
  const bool colours = terminal().has_colours && ::has_colors();
  const auto coloured = [&](short colour) {
    return colours ? static_cast<attr_t>(COLOR_PAIR(colour)) : A_NORMAL;
  };
  switch (*paint) {
    case Paint::strong:
      return A_BOLD;
    case Paint::faint:
      return A_DIM;
    case Paint::good:
      return coloured(COLOR_GREEN);
    case Paint::warn:
      return coloured(COLOR_YELLOW) | A_BOLD;
    case Paint::bad:
      break;
  }
  return coloured(COLOR_RED) | (colours ? A_NORMAL : A_BOLD);
}

std::optional<Input> named_key(wint_t code) {
  switch (code) {
    case KEY_UP:
      return Input{Input::up};
    case KEY_DOWN:
      return Input{Input::down};
    case KEY_PPAGE:
      return Input{Input::page_up};
    case KEY_NPAGE:
      return Input{Input::page_down};
    case KEY_HOME:
      return Input{Input::home};
    case KEY_END:
      return Input{Input::end};
    case KEY_BACKSPACE:
      return Input{Input::backspace};
    case KEY_ENTER:
      return Input{Input::enter};
    default:
      return std::nullopt;
  }
}

/// Returns what a character stands for; nothing for those that stand for nothing here.
std::optional<Input> typed_key(wint_t code) {
  if (code == L'\n' || code == L'\r') return Input{Input::enter};
  if (code == 27) return Input{Input::escape};
  if (code == 8 || code == 127) return Input{Input::backspace};
  if (code < 32) return std::nullopt;
  std::array<char, MB_LEN_MAX> bytes{};
  const int size = ::wctomb(bytes.data(), static_cast<wchar_t>(code));
  if (size <= 0) return std::nullopt;
  return Input{Input::text, std::string(bytes.data(), static_cast<std::size_t>(size))};
}

void set_modes() {
  ::cbreak();
  ::noecho();
  ::nonl();
  ::keypad(stdscr, TRUE);
  ::nodelay(stdscr, TRUE);
  (void)::curs_set(0);
}

}  // namespace

bool Screen::is_there() {
  const char* const type = std::getenv("TERM");
  const std::string_view name = type == nullptr ? "" : type;
  return ::isatty(STDIN_FILENO) == 1 && ::isatty(STDOUT_FILENO) == 1 && !name.empty() &&
         name != "dumb";
}

Screen::Screen() {
  termios modes{};
  (void)::tcgetattr(STDIN_FILENO, &modes);
  if (::newterm(nullptr, stdout, stdin) == nullptr) {
    throw Error(
        Errc::unsupported,
        fmt::format("TERM={}: this terminal is not known here; set TERM to one that is, such "
                    "as xterm, or send the output elsewhere (rlctl top ... | cat)",
                    std::getenv("TERM")));
  }
  ::set_escdelay(25);
  prepare_rescue(modes);
  begin_colours();
  set_modes();
}

Screen::~Screen() {
  forget_rescue();
  ::endwin();
}

void Screen::draw(const Page& page) {
  ::erase();
  for (std::size_t y = 0; y < page.size(); ++y) {
    const Line& line = page[y];
    ::move(static_cast<int>(y), 0);
    for (const Span& span : line.spans) {
      const attr_t bar = line.is_bar ? A_REVERSE : A_NORMAL;
      ::attrset(static_cast<int>(attribute_of(span.paint) | bar));
      ::addstr(span.text.c_str());
    }
    if (line.is_bar) ::chgat(-1, A_REVERSE, 0, nullptr);
  }
  ::attrset(A_NORMAL);
  ::refresh();
}

std::optional<Input> Screen::key() {
  while (true) {  // ends: with what was typed
    wint_t code = 0;
    const int kind = ::get_wch(&code);
    if (kind == ERR) return std::nullopt;
    if (const auto input = kind == KEY_CODE_YES ? named_key(code) : typed_key(code)) return input;
  }
}

Size Screen::size() {
  winsize size{};
  if (::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_row == 0 || size.ws_col == 0)
    return {static_cast<std::size_t>(std::max(::getmaxy(stdscr), 1)),
            static_cast<std::size_t>(std::max(::getmaxx(stdscr), 1))};
  return {size.ws_row, size.ws_col};
}

void Screen::resize() {
  const Size now = size();
  (void)::resizeterm(static_cast<int>(now.rows), static_cast<int>(now.columns));
  ::clearok(stdscr, TRUE);
}

void Screen::leave() {
  ::endwin();
}

void Screen::come_back() {
  ::reset_prog_mode();
  (void)::curs_set(0);
  resize();
  ::refresh();
}

}  // namespace rl::ctl::live
