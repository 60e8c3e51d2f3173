#include "tools/rlctl/progress_bar.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>
#include <utility>

#include "tools/rlctl/terminal.hpp"

namespace rl::ctl {
namespace {

constexpr std::chrono::milliseconds kEvery(100);

void say(std::string_view text) {
  (void)std::fwrite(text.data(), 1, text.size(), stderr);
  (void)std::fflush(stderr);
}

}  // namespace

ProgressBar::ProgressBar(std::string what)
    : what_(std::move(what)),
      is_seen_(::isatty(STDERR_FILENO) == 1),
      next_(std::chrono::steady_clock::now() + kEvery) {}

ProgressBar::~ProgressBar() {
  if (is_drawn_) say("\r\x1b[K");
}

void ProgressBar::show(std::uint64_t done, std::uint64_t all) {
  if (!is_seen_) return;
  const auto now = std::chrono::steady_clock::now();
  if (now < next_) return;
  next_ = now + kEvery;
  is_drawn_ = true;
  if (all == 0) return say(fmt::format("\r{} {}\x1b[K", what_, done));
  const double share = static_cast<double>(done) / static_cast<double>(all);
  say(fmt::format("\r{} {} {:3.0f} %\x1b[K", what_, bar(share, 30), share * 100));
}

}  // namespace rl::ctl
