// Many keys at once, and many limits at once, for C.
#include <array>

#include "src/all_of.hpp"
#include "src/c_abi.hpp"

namespace rl::c {
namespace {

/// How many keys are converted at a time; the library fetches as many.
constexpr std::size_t kChunk = 32;

/// Where the answers to many keys go, and what they come to.
class Answers {
 public:
  Answers(std::uint8_t* allowed, librl_decision_t* decisions) noexcept
      : allowed_(allowed), row_(decisions) {}

  void add(const Decision& told, std::size_t which = 0) noexcept {
    row_.tell(count_, told, {.which = which});
    allowed_[count_++] = told.allowed ? 1 : 0;
    passed_ += told.allowed ? 1 : 0;
    makes_sense_ |= told.reason != Reason::invalid;
  }
  [[nodiscard]] std::int64_t result() const noexcept {
    return makes_sense_ ? passed_ : std::int64_t{LIBRL_EINVALID};
  }

 private:
  std::uint8_t* allowed_;
  Row row_;
  std::size_t count_ = 0;
  std::int64_t passed_ = 0;
  bool makes_sense_ = false;  ///< at least one of the calls
};

void acquire_chunk(Limiter& limiter, std::span<const librl_key_t> keys, std::uint64_t cost,
                   Answers& answers) noexcept {
  std::array<std::string_view, kChunk> views;
  std::array<Decision, kChunk> told;
  for (std::size_t i = 0; i < keys.size(); ++i) views[i] = key_of(keys[i].data, keys[i].size);
  limiter.try_acquire_batch(std::span(views).first(keys.size()), told, cost);
  for (std::size_t i = 0; i < keys.size(); ++i) answers.add(told[i]);
}

/// Returns how many limits are asked; 0 where one of the asks has none.
std::size_t limits_of(std::span<const librl_ask_t> asks) noexcept {
  std::size_t limits = 0;
  for (const librl_ask_t& ask : asks) {
    if (ask.limiter == nullptr) return 0;
    limits += ask.limiter->count;
  }
  return limits;
}

/// Returns what the limits of a list were told, as if they had been asked alone.
AllOf told_to_list(const AllOf& all, std::size_t first, std::size_t count) noexcept {
  AllOf told;
  std::copy_n(all.each.begin() + first, count, told.each.begin());
  conclude(told, count);
  return told;
}

}  // namespace
}  // namespace rl::c

int64_t librl_acquire_many(librl_limiter_t* limiter, const librl_key_t* keys, size_t count,
                           uint64_t cost, uint8_t* allowed, librl_decision_t* decisions) {
  using namespace rl::c;
  if (limiter == nullptr) return LIBRL_EINVALID;
  if (count == 0) return 0;
  if (keys == nullptr || allowed == nullptr || !rl::c::can_take_row(decisions))
    return LIBRL_EINVALID;
  Answers answers(allowed, decisions);
  if (limiter->is_list()) {
    for (const librl_key_t& key : std::span(keys, count)) {
      const rl::AllOf told = limiter->asked->try_acquire(key_of(key.data, key.size), cost);
      answers.add(told.decision, told.which);
    }
    return answers.result();
  }
  for (std::size_t first = 0; first < count; first += kChunk)
    acquire_chunk(limiter->one, {keys + first, std::min(kChunk, count - first)}, cost, answers);
  return answers.result();
}

int librl_acquire_all(const librl_ask_t* asks, size_t count, librl_decision_t* decision,
                      librl_decision_t* each) {
  using namespace rl::c;
  if (asks == nullptr || count == 0 || count > LIBRL_ASKS_MAX || !rl::c::can_take_row(each))
    return refuse(decision);
  const std::span all_asks(asks, count);
  const std::size_t limits = limits_of(all_asks);
  const Row row(each);
  if (limits == 0 || limits > LIBRL_ASKS_MAX || !can_take(decision)) {
    for (std::size_t i = 0; i < count; ++i) row.tell(i, {.reason = rl::Reason::invalid});
    return refuse(decision);
  }
  rl::AskedTogether together;
  for (const librl_ask_t& ask : all_asks) {
    for (std::size_t i = 0; i < ask.limiter->count; ++i)
      together.add((*ask.limiter)[i], key_of(ask.key, ask.key_size), ask.cost);
  }
  const rl::AllOf all = together.decide();
  std::size_t which = 0;
  for (std::size_t i = 0, first = 0; i < count; ++i) {
    const librl_limiter_t& limiter = *asks[i].limiter;
    if (first <= all.which) which = i;
    if (limiter.is_list()) {
      const rl::AllOf told = told_to_list(all, first, limiter.count);
      row.tell(i, told.decision, {.which = told.which});
    } else {
      row.tell(i, all.each[first]);
    }
    first += limiter.count;
  }
  tell(decision, all.decision, {.which = which});
  return answer(all.decision);
}
