/// \file
/// The first peer: what one would write with Boost.Interprocess alone. A map in shared memory, from
/// key to theoretical arrival time, behind one mutex, or some of them, each behind its own.
#pragma once

#include <algorithm>
#include <array>
#include <boost/interprocess/allocators/allocator.hpp>
#include <boost/interprocess/containers/map.hpp>
#include <boost/interprocess/managed_shared_memory.hpp>
#include <boost/interprocess/sync/interprocess_mutex.hpp>
#include <boost/interprocess/sync/scoped_lock.hpp>
#include <cstdint>
#include <cstring>
#include <functional>
#include <string_view>
#include <utility>

#include "bench/scratch.hpp"

namespace rl::bench {

namespace ipc = boost::interprocess;

/// Decides as a token bucket does; a process that dies holding a mutex stops all others for ever.
template <std::size_t kStripes>
class LockedMap {
  static_assert(kStripes == 1 || kStripes == 64, "what its name says");

 public:
  static constexpr const char* kName =
      kStripes == 1 ? "Boost map, one mutex" : "Boost map, 64 mutexes";

  /// Makes room for `keys` keys. Errors: boost::interprocess::interprocess_exception.
  explicit LockedMap(std::size_t keys)
      : name_(unique_name()),
        file_("/dev/shm/" + name_),
        memory_(ipc::create_only, name_.c_str(), keys * kBytesPerKey + (1U << 20)) {
    for (Stripe*& stripe : stripes_) {
      stripe = memory_.construct<Stripe>(ipc::anonymous_instance)(memory_.get_segment_manager());
    }
  }

  /// Charges one token of `interval_ns` if the key's debt stays within `tolerance_ns`.
  bool try_acquire(std::string_view text, std::uint64_t now_ns, std::uint64_t interval_ns,
                   std::uint64_t tolerance_ns) {
    Key key{};
    std::memcpy(key.bytes, text.data(), std::min(text.size(), sizeof key.bytes));
    Stripe& stripe = *stripes_[kStripes == 1 ? 0 : std::hash<std::string_view>()(text) % kStripes];
    const ipc::scoped_lock lock(stripe.mutex);
    std::uint64_t& tat = stripe.map.try_emplace(key, 0U).first->second;
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
  /// Apart from each other, so that a lock disturbs no other.
  struct alignas(64) Stripe {
    explicit Stripe(const Allocator& allocator) : map(Less(), allocator) {}
    ipc::interprocess_mutex mutex;
    Map map;
  };
  static constexpr std::size_t kBytesPerKey = 128;

  std::string name_;
  RemovedFile file_;
  ipc::managed_shared_memory memory_;
  std::array<Stripe*, kStripes> stripes_{};
};

using MutexMap = LockedMap<1>;
using StripedMap = LockedMap<64>;

}  // namespace rl::bench
