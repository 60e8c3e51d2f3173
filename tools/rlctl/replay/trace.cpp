#include "tools/rlctl/replay/trace.hpp"

#include <algorithm>
#include <limits>

#include <rl/error.hpp>

#include "shm/os.hpp"

namespace rl::ctl {
namespace {

constexpr std::size_t kIndexFirst = 1'024;

shm::Hasher fresh_hasher() {
  const shm::Random128 random = shm::random_bits();
  return shm::Hasher({random.low, random.high});
}

}  // namespace

Trace::Trace() : hasher_(fresh_hasher()), index_(kIndexFirst) {}

void Trace::add(std::string_view key, std::uint64_t unix_ns) {
  constexpr std::uint64_t kSecondNs = 1'000'000'000;
  has_whole_seconds_ = has_whole_seconds_ && unix_ns % kSecondNs == 0;
  if (!times_.empty() && unix_ns < times_.back()) {
    ++backwards_;
    furthest_back_ns_ = std::max(furthest_back_ns_, times_.back() - unix_ns);
    unix_ns = times_.back();
  }
  keys_of_.push_back(id_of(key));
  times_.push_back(unix_ns);
}

Trace::KeyId Trace::id_of(std::string_view key) {
  const std::uint64_t hash = hasher_(key.data(), key.size()).low;
  const std::size_t mask = index_.size() - 1;
  std::size_t at = hash & mask;
  for (; index_[at] != 0; at = (at + 1) & mask) {  // ends: half of the index is empty
    const KeyId id = index_[at] - 1;
    if (texts_[id].hash == hash && this->key(id) == key) return id;
  }
  if (texts_.size() >= std::numeric_limits<KeyId>::max() - 1)
    throw Error(Errc::bad_option, "more keys than a replay can count; replay a part of the log");
  const auto id = static_cast<KeyId>(texts_.size());
  texts_.push_back({hash, bytes_.size(), static_cast<std::uint32_t>(key.size())});
  bytes_ += key;
  index_[at] = id + 1;
  if (texts_.size() * 2 > index_.size()) grow_index();
  return id;
}

void Trace::grow_index() {
  std::vector<KeyId> index(index_.size() * 2);
  const std::size_t mask = index.size() - 1;
  for (KeyId id = 0; id < texts_.size(); ++id) {
    std::size_t at = texts_[id].hash & mask;
    while (index[at] != 0) at = (at + 1) & mask;  // ends: as in id_of
    index[at] = id + 1;
  }
  index_ = std::move(index);
}

}  // namespace rl::ctl
