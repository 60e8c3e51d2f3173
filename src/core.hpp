/// \file
/// What stands behind the handles: a segment as this process sees it.
///
/// A name can be removed or replaced under live processes (rm, systemd's RemoveIPC at logout); from
/// then on old and new workers would count apart. So each process looks at the name once a second
/// of use and moves over to the new segment, which it makes itself, from the old one's contents, if
/// there is none. Handles therefore never hold a mapping; they hold a core, which holds the current
/// view. Views that were left stay mapped until the core ends, because another thread may be
/// deciding on them.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include <rl/limit.hpp>

#include "shm/clock.hpp"
#include "shm/mapping.hpp"
#include "shm/participant.hpp"
#include "shm/policies.hpp"
#include "shm/stripes.hpp"
#include "src/first_denials.hpp"
#include "src/known_policies.hpp"
#include "src/policy.hpp"
#include "src/stand_in.hpp"

namespace rl {

struct SegmentOptions;

/// One mapping with all that reads it. Immutable once it is current.
struct View {
  View(shm::Mapping mapped, const std::string& path);
  /// In private memory, for want of a segment, or (null) as a segment that has no name. Without keys
  /// it answers, and decides nothing.
  View(shm::Mapping::Unshared own, StandIn* for_what, bool has_keys);

  shm::Mapping mapping;
  shm::Table<shm::Slot> table;
  shm::Labels labels;
  shm::PolicyTable policies;
  KnownPolicies known;
  shm::Clock clock;
  shm::Participant participant;
  shm::Stripes stripes;  ///< what this process's threads count
  FirstDenials first_denials;
  std::atomic<bool> decides;          ///< false for a read-only mapping, and for a forsaken one
  std::atomic<bool> forsaken{false};  ///< its memory was let go of, or it never held keys
  View* previous = nullptr;
  StandIn* stand_in = nullptr;  ///< there was no segment to map

  /// Whether an operator has switched all limits off. acquire: pairs with the CAS of the switch;
  /// nothing hangs on it but the word.
  [[nodiscard]] bool is_off() const noexcept {
    return mapping.header().off_unix_ns.load(std::memory_order_acquire) != 0;
  }
};

/// A segment of this process. Threads and processes: any; nothing in it locks.
class SegmentCore {
 public:
  SegmentCore(std::string name, std::string path, shm::Mapping mapping, bool any_owner);
  /// Of a segment that is not to be had yet.
  SegmentCore(std::string name, std::string path, std::unique_ptr<StandIn> stand_in,
              bool any_owner);
  /// Of one in private memory, which has no name and so is never looked for.
  explicit SegmentCore(shm::Mapping::Unshared own);
  SegmentCore(const SegmentCore&) = delete;
  SegmentCore& operator=(const SegmentCore&) = delete;
  ~SegmentCore();

  [[nodiscard]] const std::string& name() const noexcept { return name_; }
  [[nodiscard]] const std::string& path() const noexcept { return path_; }
  /// acquire: pairs with the CAS in adopt; the view's fields.
  [[nodiscard]] View& view() const noexcept { return *view_.load(std::memory_order_acquire); }

  /// Whether calls go on with this view as they are: it is the current one, and nothing stands in
  /// for it. acquire: pairs with the release in adopt; the view's fields, as above.
  [[nodiscard]] bool is_followed(const View* view) const noexcept {
    return followed_.load(std::memory_order_acquire) == view;
  }
  /// Returns what stood or stands in for the segment, or null.
  [[nodiscard]] const StandIn* stand_in() const noexcept { return stand_in_.get(); }
  /// Returns a view without keys, for policies whose limit nobody knows, beside one that stands in
  /// with keys.
  [[nodiscard]] View& blank() const noexcept { return *blank_; }
  /// Counts a call that a stand-in answers, and looks for the segment when it is time to.
  void come_by() noexcept;

  /// Looks whether this process was forked and, once a second, whether the name still shows our
  /// segment. Returns whether this process's clock is the segment's.
  bool look_around() noexcept;

  /// Looks at the name now, whenever that was done last.
  void look_at_once() noexcept;

  /// Says a line, but only one for each view.
  void warn_once(const char* why) noexcept;

 private:
  bool shares_the_clock(const View& now) noexcept;
  bool look_at_name(View& now);
  void come_back(View& stand_in);
  void attend(View& view) noexcept;
  void begin_with(std::unique_ptr<View> view) noexcept;
  void say_it_is_back() const;
  bool move_over(View& old);
  void adopt(View& old, std::unique_ptr<View> fresh);

  std::string name_;
  std::string path_;
  bool any_owner_;
  bool has_name_ = true;
  std::unique_ptr<StandIn> stand_in_;
  std::unique_ptr<View> blank_;
  std::atomic<View*> view_;
  std::atomic<const View*> followed_;  ///< the same; null while something stands in
  std::atomic<std::uint64_t> next_look_ns_{0};
  std::atomic<std::uint64_t> looker_{0};  ///< the process whose thread looks, or 0
  int misses_ = 0;  ///< of the name, one after the other; for who looks, while something stands in
  std::atomic<bool> warned_{false};
  std::atomic<std::uint64_t> looked_in_process_{0};
  std::atomic<bool> clock_is_shared_{true};
};

/// Stands where an id would, for a policy that nobody knows.
inline constexpr std::uint16_t kNoPolicy = 0;

/// A policy on a view: all that a decision needs, in private memory. Immutable.
struct Binding {
  View* view;
  std::uint16_t id;
  shm::Hasher hasher;  ///< keyed with secret and policy name: two policies never share a bucket
  Policy policy;
  Binding* previous;
  const shm::Word* links;                 ///< the policy's, in the segment
  std::atomic<bool>* outdated = nullptr;  ///< the limiter's, if there is one

  /// Whether the policy is in force, and no candidate beside it. acquire: pairs with the CAS that
  /// sets the links (shm/policies.hpp); the entries that they name.
  [[nodiscard]] bool stands_alone() const noexcept {
    return links->load(std::memory_order_acquire) == 0;
  }
  /// Has the limiter bind anew at its next call. relaxed: a hint; the links are looked at anyhow.
  void note_outdated() const noexcept {
    if (outdated != nullptr) outdated->store(true, std::memory_order_relaxed);
  }
};

/// Returns the hash that names and places a policy's keys.
shm::Hasher hasher_for(const shm::Mapping& mapping, std::string_view policy_name) noexcept;

/// Returns how the options of a segment to be made are said to the layer below.
shm::CreateOptions create_options(const SegmentOptions& options);

/// A limiter of this process: follows its segment from view to view.
class LimiterCore {
 public:
  /// Errors: as Segment::limiter. Without a wanted limit the policy must exist.
  LimiterCore(std::shared_ptr<SegmentCore> segment, std::string policy,
              std::optional<Limit> wanted);
  LimiterCore(const LimiterCore&) = delete;
  LimiterCore& operator=(const LimiterCore&) = delete;
  ~LimiterCore();

  /// acquire: pairs with the CAS in rebind; the binding's fields.
  [[nodiscard]] const Binding& binding() noexcept {
    const Binding* bound = binding_.load(std::memory_order_acquire);
    if (!segment_->is_followed(bound->view) || outdated_.load(std::memory_order_relaxed))
        [[unlikely]]
      return rebind();
    return *bound;
  }
  /// Returns the binding to the policy that is in force now, for who is in no hurry.
  [[nodiscard]] const Binding& binding_in_force() noexcept {
    const Binding& bound = binding();
    if (shm::successor_in(bound.links->load(std::memory_order_acquire)) == 0) return bound;
    bound.note_outdated();
    return binding();
  }
  [[nodiscard]] const std::optional<Limit>& wanted() const noexcept { return wanted_; }
  /// Moves over now if the segment has a successor.
  void follow() noexcept { segment_->look_at_once(); }

  /// Where this process begins to look for a permit of a key, by the key's identity: at the one
  /// that it gave back last, or after the one that it took last; nothing when that was another
  /// key's. Then it is best to begin where it always does, as the slot is there. relaxed, both: a
  /// hint.
  [[nodiscard]] std::optional<std::uint32_t> first_permit(std::uint64_t identity) const noexcept {
    const std::uint64_t last = last_permit_.load(std::memory_order_relaxed);
    if (shm::identity_of(last) != identity) return std::nullopt;
    return shm::policy_of(last);
  }
  void begin_at_permit(std::uint64_t identity, std::uint32_t index) noexcept {
    last_permit_.store(shm::make_tag(identity, static_cast<std::uint16_t>(index)),
                       std::memory_order_relaxed);
  }

 private:
  std::unique_ptr<Binding> bind(View& view, const std::optional<Limit>& limit);
  std::unique_ptr<Binding> bind_to(View& view, std::uint16_t id);
  void say_what_differs() const;
  std::unique_ptr<Binding> bind_to_nothing(View& stand_in) const;
  [[gnu::noinline]] const Binding& rebind() noexcept;

  std::shared_ptr<SegmentCore> segment_;
  std::string policy_name_;
  std::optional<Limit> wanted_;
  std::atomic<Binding*> binding_{nullptr};
  std::atomic<bool> outdated_{false};          ///< the policy was changed: bind anew
  std::atomic<std::uint64_t> last_permit_{0};  ///< identity | index, packed like a tag
  std::atomic<std::uint64_t> next_try_ns_{0};  ///< after a new segment did not take the policy
};

}  // namespace rl
