#include "tools/rlctl/key_order.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include <rl/error.hpp>

namespace rl::ctl {

KeyOrder KeyOrder::parse(std::string_view text) {
  const bool is_reversed = text.starts_with('-');
  const std::string_view name = text.substr(is_reversed ? 1 : 0);
  const FieldInfo* const field = find_field(name);
  if (field == nullptr) {
    throw Error(Errc::bad_option, fmt::format("--sort \"{}\": there is no such field; {}", text,
                                              suggested_field(name)));
  }
  return {field->field, is_reversed};
}

/// What is smaller stands first. Texts are compared as such.
std::uint64_t SortedKeys::rank_of(const KeyInfo& row) const {
  const FieldKind kind = field_info(order_.by).kind;
  if (kind == FieldKind::text) return 0;
  const std::uint64_t number = number_in(row, order_.by);
  const bool most_first = kind != FieldKind::word && order_.by != KeyField::remaining;
  return most_first != order_.is_reversed ? ~number : number;
}

int SortedKeys::compared_by_name(const Packed& a, const Packed& b) const {
  if (a.is_known != b.is_known) return a.is_known ? -1 : 1;
  const bool is_known = a.is_known;
  const int by_text = is_known || a.policy_id == b.policy_id
                          ? a.text().compare(b.text())
                          : policies_.at(a.policy_id).name.compare(policies_.at(b.policy_id).name);
  return by_text != 0 ? by_text : int{a.policy_id} - int{b.policy_id};
}

bool SortedKeys::is_before(const Packed& a, const Packed& b) const {
  if (a.rank != b.rank) return a.rank < b.rank;
  if (order_.by == KeyField::policy && a.policy_id != b.policy_id) {
    const int by_policy = policies_.at(a.policy_id).name.compare(policies_.at(b.policy_id).name);
    if (by_policy != 0) return (by_policy < 0) != order_.is_reversed;
  }
  const int by_name = compared_by_name(a, b);
  return order_.by == KeyField::key && order_.is_reversed ? by_name > 0 : by_name < 0;
}

SortedKeys::Packed SortedKeys::pack(const KeyInfo& row) {
  Shared& shared = policies_[row.policy_id];
  shared.name = row.policy;
  if (row.own_limit) shared.own_limit = row.own_limit;
  Packed packed{};
  packed.rank = rank_of(row);
  packed.allowed = row.allowed_count;
  packed.denied = row.denied_count;
  packed.limit = row.limit;
  packed.remaining = row.remaining;
  packed.reset_after_ns = row.reset_after.count();
  packed.holder_pid = row.holder_pid;
  packed.has_own_limit = row.own_limit.has_value();
  packed.policy_id = row.policy_id;
  packed.standing = row.standing;
  packed.part = row.part;
  if (row.key) {
    const std::size_t bytes = std::min(row.key->size(), sizeof packed.key);
    packed.key_bytes = bytes & 0x1fU;
    std::memcpy(packed.key, row.key->data(), bytes);
    packed.is_known = true;
  }
  packed.is_truncated = row.key_truncated;
  packed.is_idle = row.idle;
  packed.is_for_ever = is_banned_for_ever(row);
  return packed;
}

KeyInfo SortedKeys::unpack(const Packed& packed) const {
  KeyInfo row;
  row.policy_id = packed.policy_id;
  const Shared& shared = policies_.at(packed.policy_id);
  row.policy = shared.name;
  if (packed.is_known) row.key = std::string(packed.text());
  row.key_truncated = packed.is_truncated;
  row.allowed_count = packed.allowed;
  row.denied_count = packed.denied;
  row.limit = packed.limit;
  row.remaining = packed.remaining;
  row.reset_after = std::chrono::nanoseconds(packed.reset_after_ns);
  row.idle = packed.is_idle;
  row.part = packed.part;
  row.holder_pid = packed.holder_pid;
  row.standing = packed.standing;
  if (packed.is_for_ever) row.until = Instant::max();
  if (packed.has_own_limit) row.own_limit = shared.own_limit;
  return row;
}

void SortedKeys::add(const KeyInfo& row) {
  const auto before = [&](const Packed& a, const Packed& b) { return is_before(a, b); };
  if (most_ == 0) return;
  rows_.push_back(pack(row));
  if (rows_.size() <= most_) return;
  if (!is_heap_) {
    std::make_heap(rows_.begin(), rows_.end(), before);
    is_heap_ = true;
  } else {
    std::push_heap(rows_.begin(), rows_.end(), before);
  }
  std::pop_heap(rows_.begin(), rows_.end(), before);
  rows_.pop_back();
}

void SortedKeys::for_each(const std::function<void(const KeyInfo&)>& visit) {
  if (!is_sorted_) {
    std::sort(rows_.begin(), rows_.end(),
              [&](const Packed& a, const Packed& b) { return is_before(a, b); });
    is_sorted_ = true;
  }
  for (const Packed& row : rows_) visit(unpack(row));
}

}  // namespace rl::ctl
