#include "shm/stripes.hpp"

#include <pthread.h>

namespace rl::shm {
namespace {

constexpr auto relaxed = std::memory_order_relaxed;

constexpr std::uint32_t kBoards = 64;  ///< segments of one process whose threads have stripes
constexpr std::uint32_t kNoBoard = kBoards;
constexpr std::uint32_t kRetryEvery = 4'096;

/// Which threads of this process have which stripes of a segment. Never freed: a thread may end
/// after its segment.
struct Board {
  std::atomic<bool> is_used{false};
  std::atomic<std::uint64_t> us{0};  ///< as whom stripes were taken; 0: none were
  std::array<std::atomic<std::uint64_t>, kStripes> thread{};  ///< 0: no thread
};
constinit Board boards[kBoards];

/// What a thread has.
struct Held {
  struct Stripe {
    std::uint32_t board;
    std::uint32_t index;
  };
  static constexpr std::size_t kMax = 16;  ///< in one segment more, a thread counts with the others

  std::uint64_t thread = 0;  ///< tells threads apart, also from those of before; 0: not yet known
  bool has_ended = false;    ///< what else ends with it may still count
  std::size_t count = 0;
  std::array<Stripe, kMax> stripes{};
};
constinit thread_local Held held;

std::atomic<std::uint64_t> next_thread{1};
std::atomic<std::uint64_t> next_id{1};

std::uint64_t owner_word(const Sitter& sitter) noexcept {
  return std::uint64_t{sitter.seat + 1} << 48 | (sitter.generation & kIdentityMask);
}
Sitter sitter_of(std::uint64_t owner) noexcept {
  return {static_cast<std::uint32_t>(owner >> 48) - 1, owner & kIdentityMask};
}

Word& owner_of(const Mapping& mapping, std::uint32_t index) noexcept {
  return mapping.stripe_head(index).words[StripeHead::owner];
}
/// acq_rel: pairs with itself; who takes a stripe sees all that who had it has counted.
bool change_owner(Word& owner, std::uint64_t from, std::uint64_t to) noexcept {
  return owner.compare_exchange_strong(from, to, std::memory_order_acq_rel,
                                       std::memory_order_relaxed);
}

std::uint64_t sum_of(const Mapping& mapping, std::uint32_t cell, std::uint32_t word) noexcept {
  std::uint64_t sum = mapping.stripe(0)[cell].words[word].load(relaxed);
  if (cell > own_policies(mapping.geometry().policy_capacity)) return sum;
  for (std::uint32_t i = 1; i < kStripes; ++i)
    sum += mapping.stripe(i)[cell].words[word].load(relaxed);
  return sum;
}

/// Makes room for one more among what a thread has: where that is not its any more, as the segment
/// was let go of.
Held::Stripe* room_for_one() noexcept {
  for (Held::Stripe& stripe : held.stripes) {
    const auto at = static_cast<std::size_t>(&stripe - held.stripes.data());
    if (at == held.count)
      ++held.count;
    else if (boards[stripe.board].thread[stripe.index].load(relaxed) == held.thread)
      continue;
    return &stripe;
  }
  return nullptr;
}

std::uint32_t take_board() noexcept {
  for (std::uint32_t i = 0; i < kBoards; ++i) {
    // acquire: pairs with the release in ~Stripes; the board is clear.
    if (!boards[i].is_used.exchange(true, std::memory_order_acquire)) return i;
  }
  return kNoBoard;
}

}  // namespace

constinit thread_local Stripes::Mine Stripes::mine_[Stripes::kMine]
    __attribute__((tls_model("initial-exec"))) = {};

/// Gives a thread's stripes back to its process when it ends.
struct ThreadsEnd {
  ~ThreadsEnd() {
    Stripes::forget_mine();
    for (std::size_t i = 0; i < held.count; ++i) {
      std::uint64_t ours = held.thread;
      // release: pairs with the acquire in take(); what was counted.
      boards[held.stripes[i].board].thread[held.stripes[i].index].compare_exchange_strong(
          ours, 0, std::memory_order_release, relaxed);
    }
    held.count = 0;
    held.has_ended = true;
  }
  /// Has it run at the end of this thread.
  void arm() const noexcept {}
};

namespace {
thread_local ThreadsEnd threads_end;
}  // namespace

Stripes::Stripes(const Mapping& mapping, Participant& participant) noexcept
    : mapping_(mapping),
      participant_(participant),
      board_(take_board()),
      id_(next_id.fetch_add(1, relaxed)) {
  static constinit std::atomic<bool> registered{false};
  if (!registered.exchange(true, relaxed)) ::pthread_atfork(nullptr, nullptr, [] { forget_all(); });
}

Stripes::~Stripes() {
  leave();
  // release: pairs with the acquire in take_board.
  if (board_ != kNoBoard) boards[board_].is_used.store(false, std::memory_order_release);
}

void Stripes::leave() noexcept {
  if (board_ == kNoBoard) return;
  Board& board = boards[board_];
  id_.store(next_id.fetch_add(1, relaxed), relaxed);
  const std::uint64_t us = board.us.exchange(0, relaxed);
  for (std::uint32_t i = 1; us != 0 && i < kStripes; ++i)
    (void)change_owner(owner_of(mapping_, i), us, 0);
  for (auto& thread : board.thread) {
    if (thread.load(relaxed) != 0) thread.store(0, relaxed);
  }
}

std::uint64_t Stripes::add_slowly(std::uint32_t cell, std::uint32_t word,
                                  std::uint64_t count) noexcept {
  const std::uint64_t id = id_.load(relaxed);
  Mine& mine = mine_[id % kMine];
  if (cell <= kOwnPolicies && (mine.missed != id || ++mine.adds == kRetryEvery)) {
    mine.missed = id;
    mine.adds = 0;
    if (const std::uint32_t index = take(); index != 0) {
      mine = {id, mapping_.stripe(index), 0, 0};
      return add(cell, word, count);
    }
  }
  return mapping_.stripe(0)[cell].words[word].fetch_add(count, relaxed) + count;
}

/// Returns a stripe for this thread, or 0.
std::uint32_t Stripes::take() noexcept {
  if (board_ == kNoBoard || held.has_ended) return 0;
  const std::optional<Sitter> sitter = participant_.sitter();
  if (!sitter) return 0;
  threads_end.arm();
  if (held.thread == 0) held.thread = next_thread.fetch_add(1, relaxed);
  const std::uint64_t us = owner_word(*sitter);
  boards[board_].us.store(us, relaxed);
  constexpr std::uint32_t kOthers = kStripes - 1;
  const auto each = [&](auto&& takes) noexcept {
    for (std::uint32_t i = 0; i < kOthers; ++i) {  // from a place of our own on
      const std::uint32_t index = 1 + (sitter->seat + i) % kOthers;
      if (takes(index)) return index;
    }
    return std::uint32_t{0};
  };
  const auto is_mine = [&](std::uint32_t index) noexcept {
    return boards[board_].thread[index].load(relaxed) == held.thread &&
           owner_of(mapping_, index).load(relaxed) == us;
  };
  if (const std::uint32_t index = each(is_mine); index != 0) return index;
  Held::Stripe* const place = room_for_one();
  if (place == nullptr) return 0;
  *place = {board_, 0};  // the first is nobody's
  place->index = each([&](std::uint32_t index) noexcept { return take(index, us, nullptr); });
  if (place->index == 0) {
    Liveness liveness(participant_);
    place->index = each([&](std::uint32_t index) noexcept { return take(index, us, &liveness); });
  }
  return place->index;
}

bool Stripes::take(std::uint32_t index, std::uint64_t us, Liveness* liveness) noexcept {
  std::atomic<std::uint64_t>& thread = boards[board_].thread[index];
  std::uint64_t nobody = 0;
  // acquire: pairs with the release of a thread that has ended.
  if (thread.load(relaxed) != held.thread &&
      !thread.compare_exchange_strong(nobody, held.thread, std::memory_order_acquire, relaxed))
    return false;
  Word& owner = owner_of(mapping_, index);
  const std::uint64_t seen = owner.load(relaxed);
  const bool may_take =
      seen == 0 || (seen != us && liveness != nullptr && !liveness->is_alive(sitter_of(seen)));
  if (seen == us || (may_take && change_owner(owner, seen, us))) return true;
  thread.store(0, relaxed);
  return false;
}

void Stripes::add_insert(std::uint32_t line) noexcept {
  (void)add(0, StripeHead::first_line + line % 4, 1);
}

std::uint32_t Stripes::tidy(const Mapping& mapping, Liveness& liveness) noexcept {
  std::uint32_t freed = 0;
  for (std::uint32_t i = 1; i < kStripes; ++i) {
    Word& owner = owner_of(mapping, i);
    const std::uint64_t seen = owner.load(relaxed);
    if (seen != 0 && !liveness.is_alive(sitter_of(seen)) && change_owner(owner, seen, 0)) ++freed;
  }
  return freed;
}

std::uint64_t Stripes::sum(const Mapping& mapping, std::uint16_t policy,
                           PolicyTally::Which which) noexcept {
  return sum_of(mapping, policy, which);
}
std::uint64_t Stripes::sum(const Mapping& mapping, std::uint32_t word_of_head) noexcept {
  return sum_of(mapping, 0, word_of_head);
}

void Stripes::forget_mine() noexcept {
  for (Mine& mine : mine_) mine = {};
}

/// In the one thread of a forked child: what its parent's threads had is not its.
void Stripes::forget_all() noexcept {
  forget_mine();
  held.thread = 0;
  held.count = 0;
  for (Board& board : boards) {
    if (!board.is_used.load(relaxed)) continue;
    board.us.store(0, relaxed);
    for (auto& thread : board.thread) {
      if (thread.load(relaxed) != 0) thread.store(0, relaxed);
    }
  }
}

}  // namespace rl::shm
