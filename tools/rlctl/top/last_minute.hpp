/// \file
/// How often something happened in each second of the last minute.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace rl::ctl::live {

/// Looks come when they come; a line is drawn by the second. What was counted between two looks is
/// taken to have come evenly, so a look that comes late leaves no gap.
class LastMinute {
 public:
  static constexpr std::size_t kSeconds = 60;

  /// Adds what was counted between two instants, in seconds since any beginning. The later one is
  /// not before that of the last call.
  void add(double from_s, double to_s, double count);

  /// Returns the rates of the last whole seconds, the oldest first: `most`, or as many as have been
  /// seen, and sixty at most.
  [[nodiscard]] std::vector<double> rates(std::size_t most = kSeconds) const;

 private:
  /// The second that goes on is beside those that are whole.
  static constexpr std::size_t kPlaces = kSeconds + 1;
  void come_to(std::int64_t second);

  std::array<float, kPlaces> counts_{};
  std::int64_t first_ = 0;  ///< the first second that was seen from its beginning
  std::int64_t now_ = 0;    ///< the second that goes on
  bool is_new_ = true;
};

}  // namespace rl::ctl::live
