#include "tests/hostile/forge.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cstring>
#include <stdexcept>

#include "shm/counts.hpp"
#include "shm/os.hpp"
#include "src/policy.hpp"

namespace rl::hostile {
namespace {

constexpr shm::Hash128 kSecret{0x0123'4567'89ab'cdef, 0xfedc'ba98'7654'3210};
constexpr std::uint64_t kAgeNs = 1'000'000'000'000'000;  // of a manual clock: eleven days
constexpr std::uint64_t kOwedNs = 500'000'000;

/// A clock that began a while ago. Once in a process, as the calibration takes its time.
const shm::ClockEpoch& epoch_of(shm::ClockKind kind) {
  static const shm::ClockEpoch manual = shm::start_clock(false, shm::ClockKind::manual);
  static const shm::ClockEpoch boottime = shm::start_clock(false, shm::ClockKind::boottime);
  if (kind == shm::ClockKind::manual) return manual;
  if (kind == shm::ClockKind::boottime) return boottime;
  static const shm::ClockEpoch tsc =
      shm::tsc_is_trusted()
          ? shm::start_clock(false, shm::ClockKind::tsc)
          : shm::ClockEpoch{shm::ClockKind::tsc, boottime.boottime_ns, 1, 1U << 31, 1};
  return tsc;
}

}  // namespace

std::string key_text(int i) {
  return "user:" + std::to_string(i);
}

Forged::Forged(const Shape& shape)
    : geometry_(shm::geometry_for(shape.keys, shape.policies, shape.seats, shape.labels)),
      pages_(std::make_unique<Page[]>(geometry_.total_bytes / shm::kPageBytes)) {
  make_header(shape);
  make_policies();
  make_keys();
  seal_header();
  seal_policies();
}

void Forged::make_header(const Shape& shape) {
  const shm::ClockEpoch& epoch = epoch_of(shape.clock);
  const shm::BootId boot = shm::boot_id();
  shm::HeaderConstants& c = header().constants;
  c.magic = shm::kMagic;
  c.layout_version = shm::kLayoutVersion;
  c.header_bytes = sizeof(shm::Header);
  c.fingerprint = shm::layout_fingerprint();
  c.total_bytes = geometry_.total_bytes;
  c.generation = 42;
  c.created_unix_ns = epoch.unix_ns;
  c.creator_uid = ::geteuid();
  c.creator_pid = 1;
  std::memcpy(c.creator_version, "forged", 6);
  c.keys = geometry_.keys;
  c.pair_count = geometry_.pair_count;
  c.policy_capacity = geometry_.policy_capacity;
  c.seat_capacity = geometry_.seat_capacity;
  c.label_bytes = geometry_.label_bytes;
  c.clock_kind = static_cast<std::uint32_t>(shape.clock);
  c.seats_offset = geometry_.seats_offset;
  c.policies_offset = geometry_.policies_offset;
  c.journal_offset = geometry_.journal_offset;
  c.events_offset = geometry_.events_offset;
  c.stripes_offset = geometry_.stripes_offset;
  c.pairs_offset = geometry_.pairs_offset;
  c.labels_offset = geometry_.labels_offset;
  c.secret = kSecret;
  c.boot_id[0] = boot.words[0];
  c.boot_id[1] = boot.words[1];
  c.time_namespace = shm::time_namespace();
  c.epoch_boottime_ns = epoch.boottime_ns;
  c.epoch_tsc = epoch.tsc;
  c.ns_per_tick_32 = epoch.ns_per_tick_32;
  c.epoch_unix_ns = epoch.unix_ns;
  header().clock_anchor.compare_exchange({}, {epoch.tsc, epoch.boottime_ns});
  if (shape.clock == shm::ClockKind::manual) {
    now_ns_ = kAgeNs;
    header().manual_ns.store(kAgeNs, std::memory_order_relaxed);
  }
}

void Forged::make_policies() {
  constexpr auto relaxed = std::memory_order_relaxed;
  constexpr std::uint32_t kCount = std::size(kPolicyNames);
  for (std::uint32_t id = 1; id <= kCount; ++id) {
    shm::PolicyConstants& c = policy(id).constants;
    c = constants_of(Limit::parse(kPolicyLimits[id - 1]),
                     {0, header().constants.created_unix_ns, header().constants.epoch_unix_ns});
    c.name_bytes = static_cast<std::uint8_t>(kPolicyNames[id - 1].size());
    std::memcpy(c.name, kPolicyNames[id - 1].data(), c.name_bytes);
    if (id < kCount) policy(id).next.store(id + 1, relaxed);
  }
  header().policy_first.store(1, relaxed);
  header().policy_next.store(kCount + 1, relaxed);
}

void Forged::make_keys() {
  shm::Labels labels = this->labels();
  for (int i = 0; i < kKeys; ++i) {
    const std::string text = key_text(i);
    const auto id = static_cast<std::uint16_t>(i % 3 + 1);
    const std::string_view name = kPolicyNames[id - 1];
    const shm::Hasher hasher(shm::Hasher(kSecret)(name.data(), name.size()));
    const auto key = shm::KeyHash::from(hasher(text.data(), text.size()));
    const shm::CandidateList list = table().candidates(key);
    // Every third key owes nothing any more.
    const std::uint64_t state = i % 4 == 3 ? 0 : now_ns_ + kOwedNs;
    for (int position = 0; position < shm::CandidateList::kSize; ++position) {
      const std::uint64_t index = list.slot_at(position);
      if (!slot(index).compare_exchange({}, {shm::make_tag(key.identity, id), state})) continue;
      shm::add_count(table().counts(index).allowed, key.identity);
      labels.write(index, key, text);
      break;
    }
  }
}

shm::Labels Forged::labels() noexcept {
  return {geometry_.label_bytes != 0 ? &at<shm::Label>(geometry_.labels_offset) : nullptr, kSecret};
}

void Forged::seal_header() noexcept {
  header().constants.checksum = shm::header_checksum(header().constants);
}

void Forged::seal_policies() noexcept {
  const shm::Hasher hasher(header().constants.secret);
  for (std::uint32_t id = 1; id <= geometry_.policy_capacity; ++id) {
    unsigned char image[sizeof id + sizeof(shm::PolicyConstants)];
    std::memcpy(image, &id, sizeof id);
    std::memcpy(image + sizeof id, &policy(id).constants, sizeof(shm::PolicyConstants));
    policy(id).checksum = hasher(image, sizeof image).low;
  }
}

void Forged::write_to(const std::string& path, std::uint64_t size) const {
  const shm::Fd fd = shm::open_file(path.c_str(), O_RDWR | O_CREAT | O_TRUNC, 0600);
  const auto whole = static_cast<std::size_t>(geometry_.total_bytes);
  const bool written = fd && ::pwrite(fd.get(), data(), whole, 0) >= 0 &&
                       ::ftruncate(fd.get(), static_cast<off_t>(size)) == 0;
  if (!written) throw std::runtime_error("cannot write " + path);
}

}  // namespace rl::hostile
