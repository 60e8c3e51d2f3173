/// \file
/// Work that must not take long, nor take the program with it.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

namespace rl::ctl {

using Tell = std::function<void(std::string_view)>;

enum class ApartEnd : std::uint8_t {
  done,         ///< by itself, or with an exception
  memory_lost,  ///< a file was cut short while it was read (lost_memory.hpp)
  stopped,      ///< its time was over, it was killed, or there could be no other process
};

struct ToldApart {
  std::string text;
  ApartEnd end = ApartEnd::stopped;
};

/// Does work in a process of its own, and returns what it has told until it ended, however it did, or
/// until the time was over: a segment may be large, or be cut short while it is read.
ToldApart told_apart(std::chrono::milliseconds most, const std::function<void(const Tell&)>& work);

}  // namespace rl::ctl
