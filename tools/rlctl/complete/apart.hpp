/// \file
/// Work that must not take long, nor take the program with it.
#pragma once

#include <chrono>
#include <functional>
#include <string>
#include <string_view>

namespace rl::ctl {

using Tell = std::function<void(std::string_view)>;

/// Does work in a process of its own, and returns what it has told until it ended, however it did, or
/// until the time was over: a segment may be large, or be cut short while it is read. Exceptions end
/// the work. Where there can be no other process nothing is told.
std::string told_apart(std::chrono::milliseconds most,
                       const std::function<void(const Tell&)>& work);

}  // namespace rl::ctl
