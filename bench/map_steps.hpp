/// \file
/// One decision by the Boost map, as a step of a measured loop and of several processes.
#pragma once

#include <cstdint>

#include "bench/crews.hpp"
#include "bench/loops.hpp"
#include "bench/mutex_map.hpp"

namespace rl::bench {

inline constexpr std::uint64_t kSecondNs = 1'000'000'000;
inline constexpr std::uint64_t kDayNs = 86'400 * kSecondNs;

template <class Map, class Keys, class Clock>
struct MapDecisions {
  Map& map;
  Keys keys;
  Clock clock;
  std::uint64_t interval_ns;
  std::uint64_t tolerance_ns;
  void start(unsigned round) { keys.start(round); }
  bool operator()() {
    return map.try_acquire(KeyText(keys.next()).view(), clock.now(), interval_ns, tolerance_ns);
  }
};
template <class Keys, class Clock>
using MutexMapDecisions = MapDecisions<MutexMap, Keys, Clock>;

/// Returns who asks a map, by a limit that is never reached. It is used by the crew.
template <class Map, class Clock>
Crew crew_of_map(Map& map, Clock clock) {
  return {
      Map::kName, [&map, clock](Lane& lane, KeyRange range) {
        RandomKeys keys(range.count, range.first);
        keys.start(lane.index());
        Clock mine = clock;
        lane.run([&] { map.try_acquire(KeyText(keys.next()).view(), mine.now(), 1, kSecondNs); });
      }};
}

}  // namespace rl::bench
