/// \file
/// The terminal as a whole: pages out, keys in. The only file that knows curses.
#pragma once

#include <optional>

#include "tools/rlctl/top/page.hpp"

namespace rl::ctl::live {

/// Takes the terminal when it is made and gives it back as it was (lines, cursor, echo) when it ends,
/// also when bytes that are gone end the process (SIGBUS). One at a time.
class Screen {
 public:
  /// Errors: Error (unsupported) for a terminal that curses does not know, or that cannot be drawn on.
  Screen();
  Screen(const Screen&) = delete;
  Screen& operator=(const Screen&) = delete;
  ~Screen();

  /// Whether standard input and output are a terminal that can be drawn on.
  static bool is_there();

  void draw(const Page& page);
  /// Returns a key that was pressed; nothing when there is none, now.
  std::optional<Input> key();
  /// Takes the size that the terminal has now.
  void resize();
  [[nodiscard]] static Size size();
  /// Gives the terminal back for a while.
  void leave();
  /// Takes it again, and draws all of it anew at the next draw().
  void come_back();
};

}  // namespace rl::ctl::live
