// All or nothing over several keys, each of which has one slot and one compare-and-swap: look at all of
// them, then charge one after the other, and refund what a rival made useless.
#include <rl/all_of.hpp>

#include <algorithm>
#include <limits>
#include <tuple>

#include "src/decide.hpp"

namespace rl {

/// One call of all_of.
class AskedTogether {
 public:
  explicit AskedTogether(std::span<const Ask> asks) noexcept : asks_(asks) {
    for (std::size_t i = 0; i < asks.size(); ++i) add(i);
    // One order for everybody: of rivals who want the same keys, the later is denied at the first of
    // them, where there is nothing to undo.
    for (std::size_t i = 0; i < count_; ++i) order_[i] = &charges_[i];
    std::sort(order_.begin(), order_.begin() + count_,
              [](const Charge* a, const Charge* b) { return a->place < b->place; });
  }

  [[nodiscard]] AllOf decide() const noexcept {
    AllOf all;
    for (const Charge& charge : charges()) all.each[charge.first] = look(charge);
    const Charge* denier = longest_denial(all);
    for (std::size_t done = 0; denier == nullptr && done < count_; ++done) {
      const Charge& charge = *order_[done];
      all.each[charge.first] = limiter_of(charge).try_acquire(key_of(charge), charge.cost);
      if (all.each[charge.first]) continue;
      denier = &charge;
      undo(all, done);
    }
    all.which = denier != nullptr ? denier->first : least_left(all);
    all.decision = all.each[all.which];
    all.decision.charged = 0;  // `each` has it, so that it is not refunded twice
    if (denier == nullptr) all.decision.wait = longest_wait(all);
    for (std::size_t i = 0; i < asks_.size(); ++i) {
      if (firsts_[i] == i) continue;
      all.each[i] = all.each[firsts_[i]];
      all.each[i].charged = 0;
    }
    return all;
  }

 private:
  /// Where a key's slot is looked for, the same for all processes.
  struct Place {
    std::uint64_t device;
    std::uint64_t inode;
    std::uint16_t policy;
    shm::KeyHash key;

    [[nodiscard]] auto parts() const noexcept {
      return std::tie(device, inode, policy, key.identity, key.place, key.sides);
    }
    friend bool operator<(const Place& a, const Place& b) noexcept { return a.parts() < b.parts(); }
    friend bool operator==(const Place& a, const Place& b) noexcept {
      return a.parts() == b.parts();
    }
  };

  /// The asks for one key of one policy: what they cost together, and the first of them.
  struct Charge {
    Place place;
    std::uint64_t cost;
    std::size_t first;
  };

  static const Binding& binding_of(const Ask& ask) noexcept { return ask.limiter.core_->binding(); }
  static Place place_of(const Ask& ask) noexcept {
    const Binding& binding = binding_of(ask);
    const shm::Mapping& mapping = binding.view->mapping;
    return {mapping.device(), mapping.inode(), binding.id, hash_of(binding, ask.key)};
  }

  [[nodiscard]] std::span<const Charge> charges() const noexcept {
    return std::span(charges_).first(count_);
  }
  [[nodiscard]] Limiter& limiter_of(const Charge& charge) const noexcept {
    return asks_[charge.first].limiter;
  }
  [[nodiscard]] std::string_view key_of(const Charge& charge) const noexcept {
    return asks_[charge.first].key;
  }

  void add(std::size_t i) noexcept {
    const Place place = place_of(asks_[i]);
    const std::uint64_t cost = asks_[i].cost;
    for (Charge& charge : std::span(charges_).first(count_)) {
      if (!(charge.place == place)) continue;
      firsts_[i] = charge.first;
      charge.cost = sum(charge.cost, cost);
      return;
    }
    firsts_[i] = i;
    charges_[count_++] = {place, cost, i};
  }

  /// A cost of 0 makes no sense of the whole; what is above 64 bits never passes, as the most of them
  /// does not.
  static std::uint64_t sum(std::uint64_t a, std::uint64_t b) noexcept {
    if (a == 0 || b == 0) return 0;
    return a + std::min(b, std::numeric_limits<std::uint64_t>::max() - a);
  }

  /// Says what a call would be told, also by a segment that only may be looked at.
  [[nodiscard]] Decision look(const Charge& charge) const noexcept {
    const View& view = *binding_of(asks_[charge.first]).view;
    // relaxed: as in a call; the view came with its binding.
    const bool decides = view.decides.load(std::memory_order_relaxed);
    return decides ? limiter_of(charge).peek(key_of(charge), charge.cost)
                   : refused(view, key_of(charge), charge.cost);
  }

  /// Refunds the first `done` charges, the last of them first: that is the order in which they can
  /// stand in one line.
  void undo(AllOf& all, std::size_t done) const noexcept {
    while (done > 0) {
      const Charge& charge = *order_[--done];
      limiter_of(charge).refund(key_of(charge), all.each[charge.first]);
    }
  }

  /// How long a denial holds; no waiting helps who may not ask, or asks too much.
  static std::chrono::nanoseconds length_of(const Decision& denial) noexcept {
    const bool passes = denial.reason == Reason::limited || denial.reason == Reason::full;
    return passes ? denial.retry_after : kNever;
  }

  [[nodiscard]] const Charge* longest_denial(const AllOf& all) const noexcept {
    const Charge* longest = nullptr;
    for (const Charge& charge : charges()) {
      const Decision& d = all.each[charge.first];
      if (d || (longest != nullptr && length_of(d) <= length_of(all.each[longest->first])))
        continue;
      longest = &charge;
    }
    return longest;
  }

  [[nodiscard]] std::size_t least_left(const AllOf& all) const noexcept {
    const auto left = [&](const Charge& charge) { return all.each[charge.first].remaining; };
    return std::ranges::min_element(charges(), {}, left)->first;
  }

  [[nodiscard]] std::chrono::nanoseconds longest_wait(const AllOf& all) const noexcept {
    std::chrono::nanoseconds longest{0};
    for (const Charge& charge : charges()) longest = std::max(longest, all.each[charge.first].wait);
    return longest;
  }

  std::span<const Ask> asks_;
  std::array<Charge, AllOf::kAsksMax> charges_;  ///< in the order of the asks
  std::size_t count_ = 0;
  std::array<const Charge*, AllOf::kAsksMax> order_;
  std::array<std::size_t, AllOf::kAsksMax> firsts_;  ///< of each ask: the first with its place
};

AllOf all_of(std::span<const Ask> asks) noexcept {
  if (asks.empty() || asks.size() > AllOf::kAsksMax) return {};
  return AskedTogether(asks).decide();
}

bool refund(std::span<const Ask> asks, AllOf& all) noexcept {
  bool given = false;
  for (std::size_t i = std::min(asks.size(), AllOf::kAsksMax); i-- > 0;)
    given |= asks[i].limiter.refund(asks[i].key, all.each[i]);
  return given;
}

}  // namespace rl
