#include "tools/rlctl/key_fields.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <vector>

#include "src/nearest.hpp"
#include "tools/rlctl/text.hpp"

namespace rl::ctl {
namespace {

constexpr std::array<std::string_view, 2> kNoYes{"no", "yes"};
constexpr std::array<std::string_view, 5> kStates{"idle", "live", "override", "allowed", "banned"};
/// In the order of SlotPart.
constexpr std::array<std::string_view, 6> kParts{"key",   "permit",    "hint",
                                                 "fence", "candidate", "conduct"};

constexpr std::array<FieldInfo, 14> kFields{{
    {KeyField::policy, "policy", FieldKind::text},
    {KeyField::key, "key", FieldKind::text},
    {KeyField::known, "known", FieldKind::word, kNoYes},
    {KeyField::truncated, "truncated", FieldKind::word, kNoYes},
    {KeyField::allowed, "allowed", FieldKind::count},
    {KeyField::denied, "denied", FieldKind::count},
    {KeyField::used, "used", FieldKind::count},
    {KeyField::remaining, "remaining", FieldKind::count},
    {KeyField::limit, "limit", FieldKind::count},
    {KeyField::full_in, "full_in", FieldKind::duration},
    {KeyField::state, "state", FieldKind::word, kStates},
    {KeyField::part, "part", FieldKind::word, kParts},
    {KeyField::holder, "holder", FieldKind::count},
    {KeyField::own_limit, "own_limit", FieldKind::word, kNoYes},
}};

consteval bool is_in_order() {
  for (std::size_t i = 0; i < kFields.size(); ++i)
    if (kFields[i].field != static_cast<KeyField>(i)) return false;
  return true;
}
static_assert(is_in_order(), "a row for each KeyField, in the order of KeyField");

/// Its place in kStates.
std::uint64_t state_of(const KeyInfo& row) noexcept {
  switch (row.standing) {
    case Standing::none:
      break;
    case Standing::override_:
      return 2;
    case Standing::allow:
      return 3;
    case Standing::ban:
      return 4;
  }
  return row.idle ? 0 : 1;
}

}  // namespace

bool FieldInfo::is_yes_or_no() const noexcept {
  return words.data() == kNoYes.data();
}

std::span<const FieldInfo> key_fields() noexcept {
  return kFields;
}

const FieldInfo& field_info(KeyField field) noexcept {
  return kFields[static_cast<std::size_t>(field)];
}

const FieldInfo* find_field(std::string_view name) noexcept {
  const auto* const at = std::find_if(kFields.begin(), kFields.end(),
                                      [&](const FieldInfo& info) { return info.name == name; });
  return at == kFields.end() ? nullptr : at;
}

std::string suggestion(std::string_view typed, std::span<const std::string_view> names,
                       std::string_view what) {
  Nearest nearest(typed);
  for (const std::string_view name : names) nearest.offer(name);
  return nearest.name().empty() ? fmt::format("{} {}", what, fmt::join(names, ", "))
                                : fmt::format("did you mean \"{}\"?", nearest.name());
}

std::string suggested_field(std::string_view typed) {
  std::vector<std::string_view> names;
  for (const FieldInfo& info : kFields) names.push_back(info.name);
  return suggestion(typed, names, "the fields are");
}

std::uint64_t number_in(const KeyInfo& row, KeyField field) noexcept {
  switch (field) {
    case KeyField::policy:
    case KeyField::key:
      break;  // texts
    case KeyField::known:
      return row.key ? 1 : 0;
    case KeyField::truncated:
      return row.key_truncated ? 1 : 0;
    case KeyField::allowed:
      return row.allowed_count;
    case KeyField::denied:
      return row.denied_count;
    case KeyField::used:
      return row.limit - std::min(row.limit, row.remaining);
    case KeyField::remaining:
      return row.remaining;
    case KeyField::limit:
      return row.limit;
    case KeyField::full_in:
      if (is_banned_for_ever(row)) return kNeverNs;
      return static_cast<std::uint64_t>(std::max<std::int64_t>(row.reset_after.count(), 0));
    case KeyField::state:
      return state_of(row);
    case KeyField::part:
      return static_cast<std::uint64_t>(row.part);
    case KeyField::holder:
      return row.holder_pid;
    case KeyField::own_limit:
      return row.own_limit ? 1 : 0;
  }
  return 0;
}

std::string_view word_in(const KeyInfo& row, KeyField field) noexcept {
  return field_info(field).words[number_in(row, field)];
}

std::string full_in(const KeyInfo& row) {
  return full_in(is_banned_for_ever(row) ? kNever : row.reset_after);
}

}  // namespace rl::ctl
