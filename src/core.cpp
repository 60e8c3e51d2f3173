#include "src/core.hpp"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>

#include <rl/error.hpp>

namespace rl {

View::View(shm::Mapping mapped, const std::string& path)
    : mapping(std::move(mapped)),
      table(mapping.table()),
      labels(mapping.labels()),
      policies(mapping),
      clock(mapping.clock_epoch(), mapping.header(), mapping.writable()),
      participant(mapping, path),
      decides(mapping.writable()) {}

SegmentCore::SegmentCore(std::string name, std::string path, shm::Mapping mapping, bool any_owner)
    : name_(std::move(name)), path_(std::move(path)), any_owner_(any_owner), view_(nullptr) {
  auto view = std::make_unique<View>(std::move(mapping), path_);
  view->clock.set_look_hook(
      [](void* self) noexcept { return static_cast<SegmentCore*>(self)->look_around(); }, this);
  if (view->mapping.writable()) view->participant.attend();
  view_.store(view.release(), std::memory_order_release);
}

SegmentCore::~SegmentCore() {
  for (View* view = view_.load(std::memory_order_relaxed);
       view != nullptr;) {  // no other user is left
    delete std::exchange(view, view->previous);
  }
}

bool SegmentCore::look_around() noexcept {
  if (!shares_the_clock(view())) return false;
  if (view().mapping.writable()) view().participant.attend();

  // relaxed: a hint. Too late a reading costs one more look.
  if (shm::read_boottime_ns() < next_look_ns_.load(std::memory_order_relaxed)) return true;
  // Elects the one thread of this process that looks; nobody else does until it has finished. A
  // child that was forked during a look has nobody who finishes it: its own thread takes over.
  const std::uint64_t self = shm::process_token();
  std::uint64_t looker = looker_.load(std::memory_order_relaxed);
  if (looker == self || !looker_.compare_exchange_strong(looker, self, std::memory_order_acquire,
                                                         std::memory_order_relaxed)) {
    return true;
  }
  View& now = view();  // after the election: not one that the last looker has left
  std::uint64_t next_in_ns = 1'000'000'000;
  try {
    if (now.mapping.writable()) now.participant.renew();
    if (!look_at_name(now)) next_in_ns = 50'000'000;
  } catch (const std::exception& e) {
    warn_once(e.what());
  } catch (...) {
    warn_once("unknown failure");
  }
  next_look_ns_.store(shm::read_boottime_ns() + next_in_ns, std::memory_order_relaxed);
  looker_.store(0, std::memory_order_release);  // pairs with the CAS above: the view it adopted
  return true;
}

void SegmentCore::look_at_once() noexcept {
  next_look_ns_.store(0, std::memory_order_relaxed);  // a hint, as in look_around
  (void)look_around();
}

/// A forked child may live in another time namespace, whose CLOCK_BOOTTIME is offset: its limits
/// would all be open, or all shut, and its word would take everybody off the TSC. Looked at once in
/// each process.
bool SegmentCore::shares_the_clock(const View& now) noexcept {
  const std::uint64_t self = shm::process_token();
  if (looked_in_process_.load(std::memory_order_acquire) == self)
    return clock_is_shared_.load(std::memory_order_relaxed);
  const std::uint64_t ours = shm::time_namespace();
  const std::uint64_t segments = now.mapping.constants().time_namespace;
  const bool shared = ours == 0 || segments == 0 || ours == segments;
  clock_is_shared_.store(shared, std::memory_order_relaxed);
  looked_in_process_.store(self,
                           std::memory_order_release);  // pairs with the acquire above: the verdict
  if (!shared) warn_once("this process was forked into another time namespace and cannot use it");
  return shared;
}

namespace {

/// From now on nobody copies the old one: a process that slept through this would bring back what
/// was spent since. (One that is killed between giving the copy its name and this leaves that open
/// for whoever comes next.)
void retire(View& view) noexcept {
  // release: pairs with is_retired; nothing hangs on it but the word itself.
  view.mapping.header().retired.store(1, std::memory_order_release);
}
bool is_retired(const View& view) noexcept {
  return view.mapping.header().retired.load(std::memory_order_acquire) != 0;
}

}  // namespace

/// Returns false when another process is just making the segment anew: look again soon.
bool SegmentCore::look_at_name(View& now) {
  struct stat st {};
  const auto finds = [&] { return ::stat(path_.c_str(), &st) == 0; };
  const auto follow = [&] {
    return (st.st_dev == now.mapping.device() && st.st_ino == now.mapping.inode()) ||
           move_over(now);
  };
  if (finds()) return follow();
  const int error = errno;
  const int file = now.mapping.writable() ? now.participant.file() : -1;
  const bool ours = now.mapping.is_shown_by(file);
  const bool unlinked = !ours || (::fstat(file, &st) == 0 && st.st_nlink == 0);
  if (error != ENOENT || !unlinked) {
    warn_once("its name cannot be reached from this process");
  } else if (is_retired(now)) {
    // A successor had the name before ours was marked: were we stopped in between, it is there now.
    if (finds()) return follow();
    warn_once(
        "it was removed on purpose, or succeeded by another that is gone, too; waiting for a new "
        "one");
  } else {
    return move_over(now);
  }
  return true;
}

/// The name is gone or shows another segment: use what is there, or make it from what we have.
/// Returns false when another process is at it.
bool SegmentCore::move_over(View& old) {
  std::optional<shm::Mapping> fresh;
  const auto access = old.mapping.writable() ? shm::Access::read_write : shm::Access::read_only;
  for (int tries = 0; !fresh && tries < 3;
       ++tries) {  // ends: somebody may remove what we just found
    try {
      fresh.emplace(shm::Mapping::attach(path_, access, any_owner_));
    } catch (const Error& e) {
      if (e.code() != Errc::not_found || !old.mapping.writable()) throw;
      // One process copies, so that a hundred do not fill the tmpfs with a hundred copies. The lock
      // is the kernel's, on a byte of the old file; it ends with its holder, and nobody waits for
      // it.
      const shm::Participant::CopyLock lock(old.participant);
      if (!lock) return false;
      // We may have slept since we looked: somebody has copied it, and removed the copy, perhaps.
      if (is_retired(old)) continue;
      try {
        fresh.emplace(shm::Mapping::recreate(path_, old.mapping, state_in_copy));
        retire(old);
      } catch (const Error& second) {
        if (second.code() != Errc::exists) throw;
      }
    }
  }
  if (!fresh) return true;
  if (old.mapping.writable()) retire(old);
  adopt(old, std::make_unique<View>(std::move(*fresh), path_));
  return true;
}

void SegmentCore::adopt(View& old, std::unique_ptr<View> fresh) {
  fresh->previous = &old;
  fresh->clock.set_look_hook(
      [](void* self) noexcept { return static_cast<SegmentCore*>(self)->look_around(); }, this);
  if (fresh->mapping.writable()) fresh->participant.attend();
  View* expected = &old;
  // release: pairs with view(); the fields of the fresh view.
  if (!view_.compare_exchange_strong(expected, fresh.get(), std::memory_order_acq_rel,
                                     std::memory_order_relaxed)) {
    return;
  }
  (void)fresh.release();
  warned_.store(false, std::memory_order_relaxed);
  // The segment before the last was left at least a second ago. Its memory goes back to the tmpfs,
  // which would otherwise fill up when names are removed again and again; a thread that has been
  // stopped in it all that time finds an empty table.
  if (View* const last_but_one = old.previous; last_but_one != nullptr) {
    last_but_one->forsaken.store(true, std::memory_order_relaxed);
    last_but_one->decides.store(false, std::memory_order_relaxed);
    if (last_but_one->mapping.writable()) last_but_one->participant.leave();
    last_but_one->mapping.forsake();
  }
  shm::log(Severity::warning, fmt::format("{}: the segment was removed or replaced under this "
                                          "process, which moved over to the new one; "
                                          "for up to a second limits were counted apart",
                                          path_));
}

/// Once for each segment: what is wrong stays wrong, and comes by every second.
void SegmentCore::warn_once(const char* why) noexcept {
  if (warned_.exchange(true, std::memory_order_relaxed))
    return;        // elects one thread, orders nothing
  char line[512];  // in a decision, possibly out of memory: nothing is allocated
  const int size = std::snprintf(
      line, sizeof line, "%s: the segment cannot be followed, limits may be counted apart: %s",
      path_.c_str(), why);
  if (size > 0)
    shm::log(Severity::warning, {line, std::min(static_cast<std::size_t>(size), sizeof line - 1)});
}

shm::Hasher hasher_for(const shm::Mapping& mapping, std::string_view policy_name) noexcept {
  const shm::Hasher master(mapping.constants().secret);
  return shm::Hasher(master(policy_name.data(), policy_name.size()));
}

LimiterCore::LimiterCore(std::shared_ptr<SegmentCore> segment, std::string policy,
                         std::optional<Limit> wanted)
    : segment_(std::move(segment)), policy_name_(std::move(policy)), wanted_(std::move(wanted)) {
  binding_.store(bind(segment_->view(), wanted_).release(), std::memory_order_release);
  if (wanted_ && binding().policy.limit != *wanted_) {
    shm::log(Severity::info,
             fmt::format("{}: policy {} is {} in the segment, {} in the code; the segment's stands",
                         segment_->path(), policy_name_, binding().policy.limit.to_string(),
                         wanted_->to_string()));
  }
}

LimiterCore::~LimiterCore() {
  for (Binding* bound = binding_.load(std::memory_order_relaxed); bound != nullptr;) {
    delete std::exchange(bound, bound->previous);
  }
}

namespace {

/// A manual clock begins at the Unix epoch, so that a replay has the same windows every time.
std::uint64_t unix_time_at_0(const View& view) noexcept {
  return view.clock.kind() == shm::ClockKind::manual ? 0 : view.mapping.constants().epoch_unix_ns;
}

shm::PolicyConstants constants_in(const View& view, const Limit& limit) noexcept {
  return constants_of(limit, {view.clock.now(), shm::read_unix_ns(), unix_time_at_0(view)});
}

}  // namespace

/// Every permit needs a slot, and only as many are promised as there are keys.
void check_room_for_permits(const View& view, const std::string& path, const Limit& limit) {
  const std::uint64_t keys = view.mapping.geometry().keys;
  if (limit.algorithm() != Algorithm::concurrency || limit.count() <= keys) return;
  throw Error(
      Errc::bad_limit,
      fmt::format("{}: {} permits of one key, but the segment has room for {} keys, and each "
                  "permit takes the room of one; allow at most {}, or create it with more "
                  "keys",
                  path, limit.count(), keys, keys));
}

Parameters parameters_in(const View& view, const Limit& limit) noexcept {
  const auto policy = policy_from(constants_in(view, limit));
  return policy ? policy->parameters : Parameters();  // it holds what it has written itself
}

std::unique_ptr<Binding> bind_policy(View& view, const SegmentNames& segment,
                                     const std::string& policy_name,
                                     const std::optional<Limit>& limit) {
  std::uint16_t id = view.policies.find(policy_name);
  if (id == 0) {
    if (!limit) {
      shm::PolicyTable::check_name(policy_name);
      throw Error(Errc::unknown_policy,
                  fmt::format("{}: no policy \"{}\"; make it with `rlctl policy set {} {} LIMIT`",
                              segment.path, policy_name, segment.name, policy_name));
    }
    if (!view.mapping.writable()) {
      throw Error(
          Errc::read_only,
          fmt::format("{}: opened for reading, so policy \"{}\" cannot be made; open it for "
                      "writing",
                      segment.path, policy_name));
    }
    check_room_for_permits(view, segment.path, *limit);
    id = view.policies.find_or_publish(constants_in(view, *limit), policy_name);
  }
  const auto constants = view.policies.read(id);
  const std::optional<Policy> policy = constants ? policy_from(*constants) : std::nullopt;
  if (!policy) {
    throw Error(
        Errc::corrupt,
        fmt::format("{}: policy \"{}\" (id {}) is damaged or made by a newer librl; remove the "
                    "segment and create it anew",
                    segment.path, policy_name, id));
  }
  check_room_for_permits(view, segment.path, policy->limit);
  return std::make_unique<Binding>(
      Binding{&view, id, hasher_for(view.mapping, policy_name), *policy, nullptr});
}

const Binding& LimiterCore::rebind() noexcept {
  Binding* seen = binding_.load(std::memory_order_acquire);
  View& view = segment_->view();
  const std::uint64_t time = shm::read_boottime_ns();
  if (time < next_try_ns_.load(std::memory_order_relaxed)) return *seen;
  try {
    // What was asked for comes along, and else what was in force: a new segment may be an empty
    // one.
    std::unique_ptr<Binding> fresh = bind(view, seen->policy.limit);
    fresh->previous = seen;
    if (binding_.compare_exchange_strong(seen, fresh.get(), std::memory_order_acq_rel,
                                         std::memory_order_acquire)) {
      return *fresh.release();
    }
  } catch (...) {
    // The new segment does not take this policy (now): go on with the old one, and try again in a
    // second.
    next_try_ns_.store(time + 1'000'000'000, std::memory_order_relaxed);
    segment_->warn_once("the new segment does not take a policy of this process");
  }
  return *seen;
}

}  // namespace rl
