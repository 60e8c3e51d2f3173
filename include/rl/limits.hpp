/// \file
/// Several limits for one key: "100/s burst=200, 1000/h".
#ifndef RL_LIMITS_HPP
#define RL_LIMITS_HPP

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include <rl/export.hpp>
#include <rl/limit.hpp>

namespace rl {

/// From one to eight limits in their order, all of which must allow a call.
///
///     limits = limit { "," limit }
///
/// Errors: who makes a Limits throws Error (bad_limit) for none, or for more than eight.
class RL_EXPORT Limits {
 public:
  static constexpr std::size_t kMax = 8;

  explicit Limits(std::vector<Limit> limits);

  /// Reads limits with commas between them. Errors: Error (bad_limit) that shows the place.
  static Limits parse(std::string_view text);

  [[nodiscard]] std::size_t size() const noexcept { return limits_.size(); }
  [[nodiscard]] const Limit& operator[](std::size_t i) const noexcept { return limits_[i]; }
  [[nodiscard]] auto begin() const noexcept { return limits_.begin(); }
  [[nodiscard]] auto end() const noexcept { return limits_.end(); }

  /// Prints the shortest text that parse() reads back to equal Limits.
  [[nodiscard]] std::string to_string() const;

  friend bool operator==(const Limits&, const Limits&) = default;

 private:
  std::vector<Limit> limits_;
};

}  // namespace rl

#endif
