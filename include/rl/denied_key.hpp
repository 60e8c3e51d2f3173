/// \file
/// A key that was denied, in a ranking of those that were denied most.
#ifndef RL_DENIED_KEY_HPP
#define RL_DENIED_KEY_HPP

#include <cstdint>
#include <optional>
#include <string>

namespace rl {

/// How often a key was denied since it has the slot that it has now.
///
/// Accuracy: each slot counts for its own key, so nothing is estimated, and no key takes a count
/// over from another, as in sketches that have fewer places than there are keys: a ranking has no
/// error of its own. A count begins anew when the key was idle and its slot was swept or taken, or
/// the key was reset or evicted; without contention it is exact, rivals may lose some of it.
struct DeniedKey {
  std::string policy;                ///< its name
  std::optional<std::string> key{};  ///< absent without labels, or when the label is not this key's
  bool key_truncated = false;        ///< the label holds only the beginning
  std::uint64_t denied = 0;
  std::uint64_t allowed = 0;  ///< of permits 0: those are counted by permit
};

}  // namespace rl

#endif
