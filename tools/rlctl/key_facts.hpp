/// \file
/// All that a segment keeps of one key, under every policy: what `rlctl why` answers from.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <rl/rl.hpp>

#include "tools/rlctl/list_room.hpp"

namespace rl::ctl {

/// A permit of the key that is out.
struct PermitOut {
  std::uint32_t pid = 0;  ///< its holder, as its own namespace has it; 0: nobody knows
  std::chrono::nanoseconds left{0};
};

/// How often the key was denied lately by a limit that bans for it (src/conduct.hpp).
struct DenialsCounted {
  std::uint32_t count = 0;
  std::uint32_t level = 0;  ///< bans in a row that are remembered
  std::chrono::nanoseconds left{0};
};

/// What a limit on trial would let the key have.
struct OnTrial {
  Limit limit;
  std::uint64_t remaining = 0;
  std::uint64_t denied_count = 0;
  std::chrono::nanoseconds reset_after{0};
};

/// What there is under one policy.
struct PolicyFacts {
  PolicyInfo policy;
  Decision next;                ///< what a call of cost 1 would get now
  std::optional<KeyInfo> slot;  ///< nothing: as good as never seen
  std::optional<DenialsCounted> denials;
  std::optional<OnTrial> trial;
  std::vector<PermitOut> permits;
  std::optional<JournalInfo> change;  ///< who put it where it stands
  Room room = Room::there;            ///< for a first call; not looked at for permits and counts

  /// Whether anything is kept of the key here.
  [[nodiscard]] bool has_any() const noexcept {
    return slot || denials || trial || !permits.empty();
  }
  /// Returns what a counter has of the key; nothing of what is none, or tells nothing now.
  [[nodiscard]] std::optional<std::uint64_t> count() const noexcept {
    const bool is_told = policy.limit && policy.limit->algorithm() == Algorithm::counter &&
                         next.reason == Reason::ok;
    return is_told ? std::optional(next.limit - next.remaining) : std::nullopt;
  }
};

struct KeyFacts {
  std::string key;
  std::vector<PolicyFacts> policies;    ///< all that are in force, or the ones asked for
  std::vector<std::string> unreadable;  ///< policies that are damaged
  std::optional<std::chrono::system_clock::time_point> off_since;
  std::vector<Event> events;         ///< that the rings still hold of it, the oldest first
  std::vector<JournalInfo> journal;  ///< of all keys
  Instant now{};

  [[nodiscard]] bool is_known() const noexcept;
};

/// Looks keys up in one segment, which it never writes to.
class KeyLooker {
 public:
  /// `only`: the policy to look under, or that list; empty for all. Errors: Error as
  /// Segment::open_read_only; unknown_policy.
  KeyLooker(const Segment& segment, const std::string& only, bool any_owner);
  KeyLooker(const KeyLooker&) = delete;
  KeyLooker& operator=(const KeyLooker&) = delete;
  ~KeyLooker();

  /// Returns what there is of a key. Costs a look for each policy; reads no other slot.
  [[nodiscard]] KeyFacts look_at(const std::string& key);
  /// Returns a key that is kept and is written nearly so; empty for none. Reads the whole table.
  [[nodiscard]] std::string nearest_to(const std::string& key) const;

 private:
  struct Inside;
  std::optional<PolicyFacts> look_under(const PolicyInfo& policy, const std::string& key,
                                        const std::vector<JournalInfo>& journal);

  Segment segment_;
  std::vector<PolicyInfo> policies_;
  std::unique_ptr<Inside> inside_;
};

}  // namespace rl::ctl
