/// \file
/// Creating and publishing (publish.cpp), copying (copy.cpp), attaching to and checking (mapping.cpp)
/// the file of a segment.
///
/// A segment is created whole, then published: an unnamed file (O_TMPFILE) is reserved, filled and
/// only then linked to its name. No process ever sees half a segment, of two rival creators exactly
/// one wins (EEXIST tells the other), and a creator that dies leaves nothing.
///
/// Memory is reserved at creation, so too little room is an error then and not a SIGBUS later.
///
/// After attach every byte is input. What is trusted (geometry, secret, clock) was checked once and
/// lies in private memory; the rest is masked or range-checked where it is read.
#pragma once

#include <sys/types.h>

#include <boost/interprocess/mapped_region.hpp>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "shm/clock.hpp"
#include "shm/geometry.hpp"
#include "shm/labels.hpp"
#include "shm/os.hpp"
#include "shm/table.hpp"

namespace rl::shm {

class Mapping;

/// How to make a segment; ranges are checked by create.
struct CreateOptions {
  std::uint64_t keys;
  std::uint32_t policies;
  bool labels;
  unsigned mode;
  std::string owner;
  std::string group;
  bool automatic_clock;
  ClockKind clock;
  bool huge_pages;  ///< where the kernel has them (huge_pages.hpp)
  std::optional<Hash128> secret =
      {};  ///< of the segment whose keys this one is to know; else random
  /// Fills the segment, through a mapping of its own, while nobody else can see it. What it throws
  /// leaves nothing behind.
  std::function<void(Mapping)> fill = {};
};

enum class Access { read_only, read_write };

/// Turns a segment's name into the path of its file. Errors: Error (bad_name).
std::string path_of(std::string_view name);

/// Returns what the constants' checksum must be.
std::uint64_t header_checksum(const HeaderConstants& constants) noexcept;

/// A mapped segment: attached, checked, with its geometry in private memory.
/// Threads and processes: immutable after construction; usable by any thread and after fork().
class Mapping {
 public:
  /// Creates and publishes. Errors: exists, no_space, permission, bad_option, system.
  static Mapping create(const std::string& path, const CreateOptions& options);

  /// Attaches. Errors: not_found, permission, not_a_segment, wrong_version, wrong_host, corrupt.
  static Mapping attach(const std::string& path, Access access, bool any_owner);

  /// Attaches, or creates if there is none: of several that do so at once one creates, the others
  /// attach. Errors: as both, but not_found and exists only where somebody removes and makes it
  /// again and again.
  static Mapping attach_or_create(const std::string& path, const CreateOptions& options,
                                  bool any_owner);

  /// A segment that no other process sees, and none can find: in private memory, so that a forked
  /// child goes on with a copy of its own. Owner, group and mode say nothing here. Errors: as
  /// create, without those of files.
  struct Unshared;
  static Unshared create_unshared(const CreateOptions& options, bool with_seats);

  /// What becomes of a member's state in a copy, whose seats are new: for its policy to say.
  using StateInCopy = std::uint64_t (*)(const PolicyConstants& policy, std::uint64_t state);

  /// Creates a segment of the same shape and contents as `old` under `path`, for the processes that
  /// still have `old` mapped after its name was removed. Errors as create.
  static Mapping recreate(const std::string& path, const Mapping& old, StateInCopy in_copy);

  /// Puts private, empty memory in the place of the shared: lets go of a segment that was left,
  /// though a thread that was stopped in the middle of a call may still look at it.
  void forsake() noexcept;

  /// Removes the name of a segment, of whatever version or damage; returns false if there is none,
  /// or if somebody else removed it meanwhile.
  /// Marks it as retired, so that processes that still have it mapped wait for a new one and do not
  /// copy it. Errors: not_a_segment for any other file, permission, system.
  static bool remove(const std::string& path);

  Mapping(Mapping&&) = default;
  Mapping& operator=(Mapping&&) = default;

  [[nodiscard]] const HeaderConstants& constants() const noexcept { return constants_; }
  [[nodiscard]] const Geometry& geometry() const noexcept { return geometry_; }
  [[nodiscard]] bool writable() const noexcept { return access_ == Access::read_write; }
  [[nodiscard]] dev_t device() const noexcept { return device_; }
  [[nodiscard]] ino_t inode() const noexcept { return inode_; }

  [[nodiscard]] Header& header() const noexcept { return at<Header>(0); }
  [[nodiscard]] Seat* seats() const noexcept { return &at<Seat>(geometry_.seats_offset); }
  [[nodiscard]] PolicyEntry* policies() const noexcept {
    return &at<PolicyEntry>(geometry_.policies_offset);
  }
  [[nodiscard]] JournalRecord* journal() const noexcept {
    return &at<JournalRecord>(geometry_.journal_offset);
  }
  [[nodiscard]] EventRing* event_rings() const noexcept {
    return &at<EventRing>(geometry_.events_offset);
  }
  /// The cells of a stripe: its head, and then by the ids of policies, from 1.
  [[nodiscard]] PolicyTally* stripe(std::uint32_t index) const noexcept {
    return &at<PolicyTally>(geometry_.stripes_offset +
                            stripe_offset(geometry_.policy_capacity, index));
  }
  [[nodiscard]] StripeHead& stripe_head(std::uint32_t index) const noexcept {
    return *reinterpret_cast<StripeHead*>(stripe(index));
  }
  [[nodiscard]] Table<Slot> table() const noexcept {
    return {&at<Pair>(geometry_.pairs_offset), geometry_.pair_count};
  }
  [[nodiscard]] Labels labels() const noexcept {
    return {geometry_.label_bytes != 0 ? &at<Label>(geometry_.labels_offset) : nullptr,
            constants_.secret};
  }
  [[nodiscard]] ClockEpoch clock_epoch() const noexcept;
  /// Returns how much of the segment lies in huge pages. Reads a byte of each; the kernel looks through
  /// the page tables of the process for it, which takes a second of one of many GB.
  [[nodiscard]] std::uint64_t huge_bytes() const;

  /// Opens the segment's file anew: a description of its own, which the mapping does not keep alive
  /// in a forked child. `known` is a descriptor of the same file, or -1, for when the name is gone.
  /// Returns an empty Fd when neither leads to this file.
  [[nodiscard]] Fd reopen(const std::string& path, int known) const noexcept;
  /// Whether the descriptor is open and shows this segment's file.
  [[nodiscard]] bool is_shown_by(int fd) const noexcept;

 private:
  Mapping() = default;
  struct Ownership {
    unsigned mode;
    uid_t uid;  ///< -1: as it comes
    gid_t gid;
  };
  struct Contents {
    const Mapping& old;
    StateInCopy in_copy;
  };
  static HeaderConstants constants_for(const CreateOptions& options);
  /// Makes the unnamed file, has `fill(mapping)` fill it, and gives it its name. `fill` may map it
  /// once more by its descriptor.
  using Fill = std::function<void(Mapping& mapping, int fd)>;
  static Mapping publish(const std::string& path, const HeaderConstants& constants,
                         const Ownership& ownership, bool huge_pages, const Fill& fill);
  void map(const std::string& path, int fd, Access access, const HeaderConstants& constants);
  void begin() noexcept;
  std::uint32_t copy_policies(const Mapping& old, std::vector<bool>& copied);
  void copy_from(const Contents& contents);

  template <class T>
  [[nodiscard]] T& at(std::uint64_t offset) const noexcept {
    return *reinterpret_cast<T*>(static_cast<char*>(region_.get_address()) + offset);
  }

  boost::interprocess::mapped_region region_;
  HeaderConstants constants_{};
  Geometry geometry_;
  Access access_ = Access::read_only;
  dev_t device_ = 0;
  ino_t inode_ = 0;
  unsigned mode_ = 0;
  uid_t uid_ = 0;
  gid_t gid_ = 0;
};

struct Mapping::Unshared {
  Mapping mapping;
  Fd seats;  ///< the file on which seats are locked; empty if not wanted, or not to be had
};

}  // namespace rl::shm
