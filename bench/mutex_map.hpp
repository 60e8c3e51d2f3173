/// \file
/// The first peer: what one would write with Boost.Interprocess alone. A map in shared memory, from
/// key to theoretical arrival time, behind one mutex.
#pragma once

#include <algorithm>
#include <boost/interprocess/allocators/allocator.hpp>
#include <boost/interprocess/containers/map.hpp>
#include <boost/interprocess/managed_shared_memory.hpp>
#include <boost/interprocess/sync/interprocess_mutex.hpp>
#include <boost/interprocess/sync/scoped_lock.hpp>
#include <cstdint>
#include <cstring>
#include <string_view>
#include <utility>

#include "bench/scratch.hpp"

namespace rl::bench {

namespace ipc = boost::interprocess;

/// Decides as a token bucket does; a process that dies holding the mutex stops all others for ever.
class MutexMap {
 public:
  static constexpr const char* kName = "Boost map, one mutex";

  /// Makes room for `keys` keys. Errors: boost::interprocess::interprocess_exception.
  explicit MutexMap(std::size_t keys)
      : name_(unique_name()),
        file_("/dev/shm/" + name_),
        memory_(ipc::create_only, name_.c_str(), keys * kBytesPerKey + (1U << 20)),
        mutex_(memory_.construct<ipc::interprocess_mutex>("mutex")()),
        map_(memory_.construct<Map>("map")(Less(), memory_.get_segment_manager())) {}

  /// Charges one token of `interval_ns` if the key's debt stays within `tolerance_ns`.
  bool try_acquire(std::string_view text, std::uint64_t now_ns, std::uint64_t interval_ns,
                   std::uint64_t tolerance_ns) {
    Key key{};
    std::memcpy(key.bytes, text.data(), std::min(text.size(), sizeof key.bytes));
    const ipc::scoped_lock lock(*mutex_);
    std::uint64_t& tat = map_->try_emplace(key, 0U).first->second;
    const std::uint64_t after = std::max(tat, now_ns) + interval_ns;
    if (after - now_ns > tolerance_ns) return false;
    tat = after;
    return true;
  }

 private:
  /// Short keys in the node itself: faster than a string with an allocation of its own.
  struct Key {
    char bytes[16];
  };
  struct Less {
    bool operator()(const Key& a, const Key& b) const noexcept {
      return std::memcmp(a.bytes, b.bytes, sizeof a.bytes) < 0;
    }
  };
  using Item = std::pair<const Key, std::uint64_t>;
  using Allocator = ipc::allocator<Item, ipc::managed_shared_memory::segment_manager>;
  using Map = ipc::map<Key, std::uint64_t, Less, Allocator>;
  static constexpr std::size_t kBytesPerKey = 128;

  std::string name_;
  RemovedFile file_;
  ipc::managed_shared_memory memory_;
  ipc::interprocess_mutex* mutex_;
  Map* map_;
};

}  // namespace rl::bench
