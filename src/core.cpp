#include "src/core.hpp"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>

#include <rl/error.hpp>

#include "src/change.hpp"
#include "src/counting.hpp"

namespace rl {

View::View(shm::Mapping mapped, const std::string& path)
    : mapping(std::move(mapped)),
      table(mapping.table()),
      labels(mapping.labels()),
      policies(mapping),
      known(policies),
      clock(mapping.clock_epoch(), mapping.header(), mapping.writable()),
      participant(mapping, path),
      stripes(mapping, participant),
      decides(mapping.writable()) {}

View::View(shm::Mapping::Unshared own, StandIn* for_what, bool has_keys)
    : mapping(std::move(own.mapping)),
      table(mapping.table()),
      labels(mapping.labels()),
      policies(mapping),
      known(policies),
      clock(mapping.clock_epoch(), mapping.header(), mapping.writable()),
      participant(mapping, std::move(own.seats)),
      stripes(mapping, participant),
      decides(has_keys),
      forsaken(!has_keys),
      stand_in(for_what) {}

SegmentCore::SegmentCore(std::string name, std::string path, shm::Mapping mapping, bool any_owner)
    : name_(std::move(name)), path_(std::move(path)), any_owner_(any_owner), view_(nullptr) {
  begin_with(std::make_unique<View>(std::move(mapping), path_));
}

SegmentCore::SegmentCore(shm::Mapping::Unshared own)
    : name_("(private)"), path_(name_), any_owner_(false), has_name_(false), view_(nullptr) {
  begin_with(std::make_unique<View>(std::move(own), nullptr, true));
}

void SegmentCore::begin_with(std::unique_ptr<View> view) noexcept {
  attend(*view);
  followed_.store(view.get(), std::memory_order_release);
  view_.store(view.release(), std::memory_order_release);
}

/// A view's clock looks around for all of us, and this process takes its seat in it.
void SegmentCore::attend(View& view) noexcept {
  view.clock.set_look_hook(
      [](void* self) noexcept { return static_cast<SegmentCore*>(self)->look_around(); }, this);
  if (view.mapping.writable()) view.participant.attend();
}

SegmentCore::~SegmentCore() {
  for (View* view = view_.load(std::memory_order_relaxed);
       view != nullptr;) {  // no other user is left
    delete std::exchange(view, view->previous);
  }
}

namespace {

/// One of all processes tells it.
void say_if_tsc_was_left(const View& view) noexcept {
  shm::HalfWord& said = view.mapping.header().said_tsc_left;
  std::uint32_t not_yet = 0;
  // relaxed, both: elects who tells it, and orders nothing.
  if (!view.clock.left_tsc() || said.load(std::memory_order_relaxed) != 0) return;
  if (said.compare_exchange_strong(not_yet, 1, std::memory_order_relaxed))
    note_event(view, EventKind::left_tsc, kNoPolicy, {});
}

}  // namespace

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
    if (now.mapping.writable()) {
      const std::optional<shm::Sitter> before = now.participant.sitter();
      if (now.participant.renew() && before) now.stripes.leave(*before);  // others may have them
      say_if_tsc_was_left(now);
    }
    if (now.stand_in != nullptr) {
      come_back(now);
    } else if (has_name_ && !look_at_name(now)) {
      next_in_ns = 50'000'000;
    }
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
  bool is_copy = false;
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
        is_copy = true;
        retire(old);
      } catch (const Error& second) {
        if (second.code() != Errc::exists) throw;
      }
    }
  }
  if (!fresh) return true;
  if (old.mapping.writable()) retire(old);
  auto view = std::make_unique<View>(std::move(*fresh), path_);
  if (is_copy) note_event(*view, EventKind::copied, kNoPolicy, {});
  adopt(old, std::move(view));
  return true;
}

void SegmentCore::adopt(View& old, std::unique_ptr<View> fresh) {
  fresh->previous = &old;
  attend(*fresh);
  View* expected = &old;
  // release: pairs with view(); the fields of the fresh view.
  if (!view_.compare_exchange_strong(expected, fresh.get(), std::memory_order_acq_rel,
                                     std::memory_order_relaxed)) {
    return;
  }
  // release: pairs with is_followed. Later than the view: who asks in between goes on with the old.
  followed_.store(fresh.release(), std::memory_order_release);
  warned_.store(false, std::memory_order_relaxed);
  // The segment before the last was left at least a second ago. Its memory goes back to the tmpfs,
  // which would otherwise fill up when names are removed again and again; a thread that has been
  // stopped in it all that time finds an empty table.
  if (View* const last_but_one = old.previous; last_but_one != nullptr) {
    last_but_one->forsaken.store(true, std::memory_order_relaxed);
    last_but_one->decides.store(false, std::memory_order_relaxed);
    if (last_but_one->mapping.writable()) last_but_one->participant.leave();
    last_but_one->mapping.forsake();
    last_but_one->stripes.end();  // of private memory now
  }
  if (old.stand_in != nullptr) return say_it_is_back();
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
  auto bound = bind(segment_->view(), wanted_);
  const bool is_told =
      wanted_ && bound->policy.limit != *wanted_ && bound->view->stand_in == nullptr;
  binding_.store(bound.release(), std::memory_order_release);
  if (is_told) say_what_differs();
}

void LimiterCore::say_what_differs() const {
  const Binding& bound = *binding_.load(std::memory_order_acquire);
  shm::log(Severity::warning,
           fmt::format("{}: policy {} is {} in the segment, {} in the code; the segment's stands",
                       segment_->path(), policy_name_, bound.policy.limit.to_string(),
                       wanted_->to_string()));
  if (!bound.view->mapping.writable()) return;
  try {
    note_asked({*bound.view, segment_->path()}, policy_name_, *wanted_);
  } catch (const Error&) {
    // No entry is left to note it in: it was said, and that is enough to go on.
  }
}

LimiterCore::~LimiterCore() {
  for (Binding* bound = binding_.load(std::memory_order_relaxed); bound != nullptr;) {
    delete std::exchange(bound, bound->previous);
  }
}

/// A starting program makes what is not there, or was removed; one that runs takes what there is.
std::unique_ptr<Binding> LimiterCore::bind(View& view, const std::optional<Limit>& limit) {
  std::uint16_t id = policy_in_force(view, policy_name_);
  if (id == 0 && !limit) {
    shm::PolicyTable::check_name(policy_name_);
    if (view.stand_in != nullptr) return bind_to_nothing(view);
    throw no_such_policy(
        {view, segment_->path()}, policy_name_,
        fmt::format("make it with `rlctl policy set {} {} LIMIT`", segment_->name(), policy_name_));
  }
  if (limit) {
    const Limit ours = view.stand_in != nullptr ? view.stand_in->limit_of(*limit) : *limit;
    id = make_policy({view, segment_->path()}, policy_name_, ours);
  }
  return bind_to(view, id);
}

std::unique_ptr<Binding> LimiterCore::bind_to(View& view, std::uint16_t id) {
  return std::make_unique<Binding>(Binding{&view, id, hasher_for(view.mapping, policy_name_),
                                           must_read({view, segment_->path()}, policy_name_, id),
                                           nullptr, &view.policies.links_word(id), &outdated_});
}

/// Binds to what is in force in the current view.
const Binding& LimiterCore::rebind() noexcept {
  Binding* seen = binding_.load(std::memory_order_acquire);
  const bool stands_in = seen->view->stand_in != nullptr;
  if (stands_in) segment_->come_by();
  View& view = segment_->view();
  if (seen->view == &view && !outdated_.load(std::memory_order_relaxed)) return *seen;
  const std::uint64_t time = shm::read_boottime_ns();
  if (time < next_try_ns_.load(std::memory_order_relaxed)) return *seen;
  // Before the links are read: a change that is noted from now on is for the next time. relaxed, as
  // where it is noted.
  outdated_.store(false, std::memory_order_relaxed);
  try {
    const std::uint16_t root = view.policies.find(policy_name_);
    date_changes(view, root);
    const std::uint16_t id = root != 0 ? view.policies.in_force(root) : root;
    if (seen->view == &view && seen->id == id) return *seen;  // noted by who was behind
    // What is there stands, also that a policy was removed. Else what was asked for comes along, and
    // what was in force: a new segment may be an empty one. But what a stand-in had in force was a
    // part of a limit, or none.
    std::unique_ptr<Binding> fresh =
        id != 0 ? bind_to(view, id)
                : bind(view, stands_in ? wanted_ : std::optional(seen->policy.limit));
    if (fresh->view != seen->view || fresh->id != seen->id) {
      fresh->previous = seen;
      if (binding_.compare_exchange_strong(seen, fresh.get(), std::memory_order_acq_rel,
                                           std::memory_order_acquire)) {
        return *fresh.release();
      }
      return *seen;
    }
  } catch (...) {
    outdated_.store(true, std::memory_order_relaxed);
    segment_->warn_once("the segment does not take or show a policy of this process");
  }
  // The segment does not let us have the policy (now): go on with the old one, which follows the
  // links all the same, and try again in a second.
  next_try_ns_.store(time + 1'000'000'000, std::memory_order_relaxed);
  return *seen;
}

}  // namespace rl
