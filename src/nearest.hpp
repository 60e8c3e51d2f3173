/// \file
/// What somebody may have meant who typed a name that there is not.
#pragma once

#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace rl {

/// Returns how many letters are put in, left out, exchanged, or swapped with the next one, to make one
/// word of the other.
inline std::size_t slips_between(std::string_view a, std::string_view b) {
  std::vector<std::size_t> earlier(b.size() + 1);  // for the word two letters shorter
  std::vector<std::size_t> last(b.size() + 1);
  std::vector<std::size_t> now(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) now[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::swap(earlier, last);
    std::swap(last, now);
    now[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t exchanged = last[j - 1] + (a[i - 1] == b[j - 1] ? 0U : 1U);
      now[j] = std::min({last[j] + 1, now[j - 1] + 1, exchanged});
      const bool is_swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
      if (is_swapped) now[j] = std::min(now[j], earlier[j - 2] + 1);
    }
  }
  return now[b.size()];
}

/// Finds the name that is nearest to what was typed, if one is near: a slip in two letters, or in
/// three, up to three in long names.
class Nearest {
 public:
  explicit Nearest(std::string_view typed) : typed_(typed) {}

  void offer(std::string_view name) {
    const std::size_t shorter = std::min(name.size(), typed_.size());
    if (std::max(name.size(), typed_.size()) - shorter >= too_many_) return;
    const std::size_t slips = slips_between(typed_, name);
    if (slips >= too_many_) return;
    too_many_ = slips;
    name_ = name;
  }
  /// Returns the first of the nearest; empty when none is near.
  [[nodiscard]] const std::string& name() const noexcept { return name_; }

 private:
  std::string_view typed_;
  std::size_t too_many_ = std::min<std::size_t>((typed_.size() + 1) / 3, 3) + 1;
  std::string name_;
};

}  // namespace rl
