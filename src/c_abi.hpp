/// \file
/// What the functions of include/rl/rl.h are made of: the handles behind its names, the one place where
/// exceptions end, and how keys and decisions cross. For src/c_*.cpp: each function there is a call of
/// the C++ library between two conversions.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include <rl/rl.h>
#include <rl/limiter.hpp>
#include <rl/limiters.hpp>
#include <rl/segment.hpp>

struct librl_segment {
  rl::Segment segment;
};

struct librl_limiter_s {
  rl::Limiter one;                     ///< the only limit, or the first of a list
  std::size_t count = 1;               ///< how many limits there are
  std::vector<rl::Limiter> list = {};  ///< each of a list; of one limit, none
  std::optional<rl::Limiters> asked =
      {};  ///< what librl_limiter() was given; of librl_limiter_at(): nothing

  [[nodiscard]] bool is_list() const noexcept { return count != 1; }
  [[nodiscard]] rl::Limiter& operator[](std::size_t i) noexcept {
    return is_list() ? list[i] : one;
  }
  [[nodiscard]] const rl::Limiter& operator[](std::size_t i) const noexcept {
    return is_list() ? list[i] : one;
  }
};

struct librl_permit {
  rl::Permit permit;
};

namespace rl::c {

/// Keeps a sentence for librl_last_error(). Returns the code.
int fail(int code, std::string_view sentence) noexcept;
/// The same of the exception that is being handled.
int fail_by_exception() noexcept;

/// Calls what may throw. Returns what it returns, or the code of what it threw.
template <class Call>
auto guarded(Call&& call) noexcept -> decltype(call()) {
  try {
    return call();
  } catch (...) {
    return fail_by_exception();
  }
}

/// Makes a handle of what a call returns. Returns 0, or a code, with `*handle` null.
template <class Handle, class Make>
int make_handle(Handle** handle, Make&& make) noexcept {
  return guarded([&] {
    *handle = new Handle(make());
    return 0;
  });
}

/// A key that is none is the empty one, which every call of the library refuses. So is one that is
/// larger than any object: a length below zero that became a size.
[[gnu::always_inline]] inline std::string_view key_of(const void* key, std::size_t size) noexcept {
  const bool is_none = key == nullptr || size > PTRDIFF_MAX;
  return {static_cast<const char*>(key), is_none ? 0 : size};
}

/// Whether a decision can be written there, or need not be. The first two fields are the least.
inline bool can_take(const librl_decision_t* decision) noexcept {
  return decision == nullptr || decision->size >= offsetof(librl_decision_t, reason);
}

/// The same of a row of them, which lie as far apart as the first says: what is larger than any that
/// will ever be was never set.
inline bool can_take_row(const librl_decision_t* first) noexcept {
  constexpr std::uint32_t kSizeMax = 4096;
  return can_take(first) && (first == nullptr || first->size <= kSizeMax);
}

/// What is told beside an rl::Decision.
struct Beside {
  std::int64_t at_ns = 0;
  std::size_t which = 0;
};

/// Has a field loaded by itself. The library has stored it just now, and a CPU hands on what is not in
/// the cache yet only to a load that is no wider than the store was: two fields at once would wait.
template <class T>
[[gnu::always_inline]] inline T alone(T field) noexcept {
  asm("" : "+r"(field));
  return field;
}

[[gnu::always_inline]] inline void fill(librl_decision_t& to, const Decision& told,
                                        Beside beside) noexcept {
  to.allowed = told.allowed ? 1 : 0;
  to.reason = static_cast<std::int32_t>(told.reason);
  to.policy = told.policy;
  to.limit = alone(told.limit);
  to.remaining = alone(told.remaining);
  to.retry_after_ns = alone(told.retry_after.count());
  to.reset_after_ns = alone(told.reset_after.count());
  to.wait_ns = alone(told.wait.count());
  to.at_ns = beside.at_ns;
  to.which = beside.which;
  to.cost = alone(told.cost);
  to.charged = alone(told.charged);
}

/// Writes as much as a structure of another size has, its size, too.
void fill_part(void* to, std::uint32_t size, const Decision& told, Beside beside) noexcept;

/// Whether that is what nearly every call gives: nothing, or a structure of our size.
inline bool is_usual(const librl_decision_t* decision) noexcept {
  return decision == nullptr || decision->size == sizeof *decision;
}

/// Requires can_take(to).
[[gnu::always_inline]] inline void tell(librl_decision_t* to, const Decision& told,
                                        Beside beside = {}) noexcept {
  if (to == nullptr) return;
  if (to->size == sizeof *to) [[likely]] {
    fill(*to, told, beside);
  } else {
    fill_part(to, to->size, told, beside);
  }
}

/// Reads a decision that the program hands back; nothing where it cannot be one.
std::optional<Decision> read(const librl_decision_t* from) noexcept;

/// Decisions in a row, each as large as the first says.
class Row {
 public:
  explicit Row(librl_decision_t* first) noexcept
      : at_(reinterpret_cast<std::byte*>(first)), size_(first != nullptr ? first->size : 0) {}

  void tell(std::size_t i, const Decision& told, Beside beside = {}) const noexcept {
    if (at_ != nullptr) fill_part(at_ + i * size_, size_, told, beside);
  }

 private:
  std::byte* at_;
  std::uint32_t size_;
};

/// What a call returns that was told so.
[[gnu::always_inline]] inline int answer(const Decision& told) noexcept {
  if (told.allowed) return 1;
  return told.reason == Reason::invalid ? LIBRL_EINVALID : 0;
}

/// What a call gets that makes no sense before the library is asked.
int refuse(librl_decision_t* decision) noexcept;

/// Whether a limiter is there, and is of one limit: what most calls are for.
inline bool is_one(const librl_limiter_t* limiter) noexcept {
  return limiter != nullptr && !limiter->is_list();
}

}  // namespace rl::c
