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
      clock(mapping.clock_epoch(), mapping.header().boottime_offset_ns, mapping.header().manual_ns,
            mapping.writable()),
      participant(mapping, path) {}

SegmentCore::SegmentCore(std::string name, std::string path, shm::Mapping mapping, bool any_owner)
    : name_(std::move(name)), path_(std::move(path)), any_owner_(any_owner), view_(nullptr) {
  auto view = std::make_unique<View>(std::move(mapping), path_);
  view->clock.set_look_hook(
      [](void* self) noexcept { static_cast<SegmentCore*>(self)->look_around(); }, this);
  if (view->mapping.writable()) view->participant.attend();
  view_.store(view.release(), std::memory_order_release);
}

SegmentCore::~SegmentCore() {
  for (View* view = view_.load(std::memory_order_relaxed);
       view != nullptr;) {  // no other user is left
    delete std::exchange(view, view->previous);
  }
}

void SegmentCore::look_around() noexcept try {
  View& now = view();
  if (now.mapping.writable()) now.participant.attend();

  constexpr std::uint64_t kEveryNs = 1'000'000'000;
  const std::uint64_t time = shm::read_boottime_ns();
  std::uint64_t due = next_look_ns_.load(std::memory_order_relaxed);
  // relaxed: the CAS only elects the one thread that looks.
  if (time < due ||
      !next_look_ns_.compare_exchange_strong(due, time + kEveryNs, std::memory_order_relaxed)) {
    return;
  }
  struct stat st {};
  if (::stat(path_.c_str(), &st) == 0) {
    if (st.st_dev == now.mapping.device() && st.st_ino == now.mapping.inode()) return;
    move_over(now);
    return;
  }
  const int error = errno;
  const int file = now.mapping.writable() ? now.participant.file() : -1;
  const bool unlinked = file < 0 || (::fstat(file, &st) == 0 && st.st_nlink == 0);
  if (error == ENOENT && unlinked) {
    move_over(now);
  } else {
    warn_once("its name cannot be reached from this process, which goes on with the segment it has",
              error);
  }
} catch (const std::exception& e) {
  warn_once(e.what(), 0);
} catch (...) {
  warn_once("unknown failure", 0);
}

/// The name is gone or shows another segment: use what is there, or make it from what we have.
void SegmentCore::move_over(View& old) {
  std::optional<shm::Mapping> fresh;
  const auto access = old.mapping.writable() ? shm::Access::read_write : shm::Access::read_only;
  for (int tries = 0; !fresh && tries < 3;
       ++tries) {  // ends: somebody may remove what we just found
    try {
      fresh.emplace(shm::Mapping::attach(path_, access, any_owner_));
    } catch (const Error& e) {
      if (e.code() != Errc::not_found || !old.mapping.writable()) throw;
      try {
        fresh.emplace(shm::Mapping::recreate(path_, old.mapping));
      } catch (const Error& second) {
        if (second.code() != Errc::exists) throw;
      }
    }
  }
  if (fresh) adopt(old, std::make_unique<View>(std::move(*fresh), path_));
}

void SegmentCore::adopt(View& old, std::unique_ptr<View> fresh) {
  fresh->previous = &old;
  fresh->clock.set_look_hook(
      [](void* self) noexcept { static_cast<SegmentCore*>(self)->look_around(); }, this);
  if (fresh->mapping.writable()) fresh->participant.attend();
  View* expected = &old;
  // release: pairs with view(); the fields of the fresh view.
  if (view_.compare_exchange_strong(expected, fresh.get(), std::memory_order_acq_rel,
                                    std::memory_order_relaxed)) {
    (void)fresh.release();
    shm::log(Severity::warning, fmt::format("{}: the segment was removed or replaced under this "
                                            "process, which moved over to the new "
                                            "one; for up to a second limits were counted apart",
                                            path_));
  }
}

void SegmentCore::warn_once(const char* why, int error) noexcept {
  if (warned_.exchange(true, std::memory_order_relaxed))
    return;        // elects one thread, orders nothing
  char line[512];  // in a decision, possibly out of memory: nothing is allocated
  const int size = std::snprintf(
      line, sizeof line, "%s: the segment was removed or replaced, and cannot be followed: %s%s%s",
      path_.c_str(), why, error != 0 ? ": " : "", error != 0 ? ::strerrordesc_np(error) : "");
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

std::unique_ptr<Binding> LimiterCore::bind(View& view, const std::optional<Limit>& limit) const {
  std::uint16_t id = view.policies.find(policy_name_);
  if (id == 0) {
    if (!limit) {
      shm::PolicyTable::check_name(policy_name_);
      throw Error(Errc::unknown_policy,
                  fmt::format("{}: no policy \"{}\"; make it with `rlctl policy set {} {} LIMIT`",
                              segment_->path(), policy_name_, segment_->name(), policy_name_));
    }
    if (!view.mapping.writable()) {
      throw Error(
          Errc::read_only,
          fmt::format("{}: opened for reading, so policy \"{}\" cannot be made; open it for "
                      "writing",
                      segment_->path(), policy_name_));
    }
    id = view.policies.find_or_publish(constants_of(*limit, view.clock.now(), shm::read_unix_ns()),
                                       policy_name_);
  }
  const auto constants = view.policies.read(id);
  const std::optional<Policy> policy = constants ? policy_from(*constants) : std::nullopt;
  if (!policy) {
    throw Error(
        Errc::corrupt,
        fmt::format("{}: policy \"{}\" (id {}) is damaged or made by a newer librl; remove the "
                    "segment and create it anew",
                    segment_->path(), policy_name_, id));
  }
  return std::make_unique<Binding>(
      Binding{&view, id, *policy, hasher_for(view.mapping, policy_name_), nullptr});
}

const Binding& LimiterCore::rebind() noexcept {
  Binding* seen = binding_.load(std::memory_order_acquire);
  View& view = segment_->view();
  if (&view == refused_.load(std::memory_order_relaxed)) return *seen;
  try {
    std::unique_ptr<Binding> fresh = bind(view, seen->policy.limit);
    fresh->previous = seen;
    if (binding_.compare_exchange_strong(seen, fresh.get(), std::memory_order_acq_rel,
                                         std::memory_order_acquire)) {
      return *fresh.release();
    }
  } catch (...) {
    // The new segment cannot take this policy: go on with the old one, and do not try at every
    // call.
    refused_.store(&view, std::memory_order_relaxed);
  }
  return *seen;
}

}  // namespace rl
