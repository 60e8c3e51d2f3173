#include "tools/rlctl/top/rows.hpp"

#include <utility>

#include "tools/rlctl/text.hpp"

namespace rl::ctl::live {
namespace {

std::uint64_t added(const Measure& measure, std::uint64_t KeyCounts::*which) {
  return measure.since ? (*measure.since).*which : 0;
}

/// More of what happens, more of what has happened.
bool is_busier(const Measure& a, const Measure& b, std::uint64_t KeyCounts::*which,
               std::uint64_t KeyCounts::*other) {
  const auto order = [&](const Measure& m) {
    return std::tuple(added(m, which), m.counts.*which, added(m, other), m.counts.*other);
  };
  const auto of_a = order(a);
  const auto of_b = order(b);
  return of_a != of_b ? of_a > of_b : a.slot < b.slot;
}

}  // namespace

std::string_view to_string(Sort sort) noexcept {
  switch (sort) {
    case Sort::denied:
      break;
    case Sort::allowed:
      return "allowed";
    case Sort::remaining:
      return "remaining";
    case Sort::key:
      return "key";
  }
  return "denied";
}

bool is_above(const Measure& a, const Measure& b, Sort sort) {
  switch (sort) {
    case Sort::denied:
      break;
    case Sort::allowed:
      return is_busier(a, b, &KeyCounts::allowed, &KeyCounts::denied);
    case Sort::remaining:
      return std::tuple(a.left, a.slot) < std::tuple(b.left, b.slot);
    case Sort::key:
      return std::tuple(a.name.empty(), std::string_view(a.name), a.slot) <
             std::tuple(b.name.empty(), std::string_view(b.name), b.slot);
  }
  return is_busier(a, b, &KeyCounts::denied, &KeyCounts::allowed);
}

Pattern::Pattern(std::string text)
    : text_(std::move(text)), is_glob_(text_.find_first_of("*?[") != text_.npos) {}

Pattern Pattern::glob(std::string text) {
  Pattern pattern(std::move(text));
  pattern.is_glob_ = true;
  return pattern;
}

bool Pattern::takes(const std::string& name) const {
  if (text_.empty()) return true;
  if (is_glob_) return matches(text_, name);
  return name.find(text_) != name.npos;
}

}  // namespace rl::ctl::live
