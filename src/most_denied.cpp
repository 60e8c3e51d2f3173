#include "src/most_denied.hpp"

#include <algorithm>
#include <set>
#include <tuple>
#include <utility>

#include "shm/counts.hpp"
#include "src/permit_words.hpp"

namespace rl {
namespace {

/// By denials; those whose text is not known last among equals.
auto order_of(const DeniedKey& row) {
  return std::tuple(~row.denied, !row.key, std::string_view(row.key ? *row.key : row.policy),
                    std::string_view(row.policy));
}

}  // namespace

bool is_counted_key(const View& view, shm::SlotWords words) noexcept {
  std::optional<Policy> spare;
  const Policy* const policy = view.known.find(shm::policy_of(words.tag), spare).policy;
  if (policy == nullptr || !(is_limit(policy->kind) || is_standing(policy->kind))) return false;
  return !std::holds_alternative<Concurrency>(policy->parameters) ||
         kind_of(words.state) == WordKind::hint;
}

MostDenied::MostDenied(std::size_t count) : count_(count) {
  kept_.reserve(count);
}

bool MostDenied::is_before(const Seen& a, const Seen& b) noexcept {
  return std::tuple(b.denied, a.index) < std::tuple(a.denied, b.index);
}

void MostDenied::look_at(const View& view, std::uint64_t first, std::uint64_t slots) noexcept {
  const std::uint64_t end = std::min(view.table.slot_count(), first + slots);
  for (std::uint64_t index = first; index < end; ++index) {
    const shm::SlotWords words = view.table.slot(index).words();
    if (!shm::is_member(words.tag)) continue;
    const std::uint64_t identity = shm::identity_of(words.tag);
    const shm::Counts& counts = view.table.counts(index);
    const std::uint64_t denied = shm::read_count(counts.denied, identity);
    const std::uint64_t least = kept_.size() < count_ ? 0 : kept_.front().denied;
    if (denied <= least || !is_counted_key(view, words)) continue;
    keep({denied, shm::read_count(counts.allowed, identity), index, words.tag});
  }
}

void MostDenied::keep(const Seen& seen) noexcept {
  if (kept_.size() == count_) {
    std::pop_heap(kept_.begin(), kept_.end(), is_before);
    kept_.pop_back();
  }
  kept_.push_back(seen);  // there is room: no allocation
  std::push_heap(kept_.begin(), kept_.end(), is_before);
}

std::vector<DeniedKey> MostDenied::ranking(const View& view) const {
  std::vector<Seen> sorted = kept_;
  std::sort(sorted.begin(), sorted.end(), is_before);
  std::set<std::pair<std::uint64_t, std::string>> known;
  std::vector<DeniedKey> rows;
  for (const Seen& seen : sorted) {
    const std::uint64_t identity = shm::identity_of(seen.tag);
    DeniedKey row;
    if (const auto constants = view.policies.read(shm::policy_of(seen.tag)))
      row.policy = shm::name_of(*constants);
    if (!known.emplace(identity, row.policy).second) continue;
    if (const shm::LabelText label = view.labels.read(seen.index, identity); label.known) {
      row.key = std::string(label.view());
      row.key_truncated = label.truncated;
    }
    row.denied = seen.denied;
    row.allowed = seen.allowed;
    rows.push_back(std::move(row));
  }
  std::sort(rows.begin(), rows.end(),
            [](const DeniedKey& a, const DeniedKey& b) { return order_of(a) < order_of(b); });
  return rows;
}

}  // namespace rl
