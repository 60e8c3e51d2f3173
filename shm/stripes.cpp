#include "shm/stripes.hpp"

#include <pthread.h>

#include <algorithm>

#include "shm/clock.hpp"
#include "shm/fork_files.hpp"

namespace rl::shm {
namespace {

constexpr auto relaxed = std::memory_order_relaxed;

constexpr std::uint32_t kBoards = 64;  ///< segments of one process whose threads have stripes
constexpr std::uint32_t kNoBoard = kBoards;
constexpr std::uint32_t kFirstRetry = 4'096;
constexpr std::uint32_t kLastRetry = 1U << 24;
constexpr std::uint64_t kAskEveryNs = 1'000'000'000;

/// Which threads of this process have which stripes of a segment. Never freed: a thread may end
/// after its segment.
struct Board {
  std::atomic<bool> is_used{false};
  std::atomic<std::uint64_t> us{0};           ///< as whom stripes were taken last; 0: none were
  std::atomic<std::uint64_t> next_ask_ns{0};  ///< when the kernel may be asked who is dead
  std::array<std::atomic<std::uint64_t>, kStripes> thread{};  ///< 0: no thread
};
constinit Board boards[kBoards];

/// What a thread has, and of which segments it found no stripe.
struct Held {
  struct Stripe {
    std::uint32_t board;
    std::uint32_t index;
  };
  struct Missed {
    std::uint64_t of = 0;  ///< the id of the stripes; 0: none
    std::uint32_t adds = 0;
    std::uint32_t next_try = kFirstRetry;
  };
  static constexpr std::size_t kMax = 8;  ///< in one segment more, a thread counts with the others

  std::uint64_t thread = 0;  ///< tells threads apart, also from those of before; 0: not yet known
  std::array<Stripe, kMax> stripes{};  ///< as far as their boards say so, too
  std::array<Missed, kMax> missed{};
};
constinit thread_local Held held;

std::atomic<std::uint64_t> next_thread{1};
std::atomic<std::uint64_t> next_id{1};

/// What runs at the end of each thread that has a stripe. A key, and not a thread_local with a
/// destructor: registering that takes a lock of the loader's, and ends the process where there is no
/// memory for it.
constexpr pthread_key_t kNoKey = ~pthread_key_t{0};
std::atomic<pthread_key_t> end_key{kNoKey};

/// Before the code of the destructor goes away.
[[gnu::destructor]] void delete_key() noexcept {
  const pthread_key_t key = end_key.exchange(kNoKey, relaxed);
  if (key != kNoKey) ::pthread_key_delete(key);
}

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

/// Also what can be nobody: bytes gone wrong.
bool is_dead(const Mapping& mapping, std::uint64_t owner, Liveness& liveness) noexcept {
  const Sitter sitter = sitter_of(owner);
  return sitter.seat >= mapping.geometry().seat_capacity || !liveness.is_alive(sitter);
}

/// Whether it is time to ask the kernel again, and we are who does.
bool may_ask(Board& board) noexcept {
  const std::uint64_t now = read_boottime_ns();
  std::uint64_t next = board.next_ask_ns.load(relaxed);
  // relaxed: elects one thread, and orders nothing.
  return now >= next && board.next_ask_ns.compare_exchange_strong(next, now + kAskEveryNs, relaxed);
}

/// Returns where a thread can note one more: where there is none, or one that is not its any more, as
/// the segment was let go of.
Held::Stripe* room_for_one() noexcept {
  for (Held::Stripe& stripe : held.stripes) {
    if (boards[stripe.board].thread[stripe.index].load(relaxed) != held.thread) return &stripe;
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
void Stripes::end_thread(void*) noexcept {
  forget_mine();
  for (const Held::Stripe& stripe : held.stripes) {
    std::uint64_t ours = held.thread;
    // release: pairs with the acquire in take(); what was counted.
    boards[stripe.board].thread[stripe.index].compare_exchange_strong(
        ours, 0, std::memory_order_release, relaxed);
  }
}

Stripes::Stripes(const Mapping& mapping, Participant& participant) noexcept
    : mapping_(mapping),
      participant_(participant),
      board_(take_board()),
      id_(next_id.fetch_add(1, relaxed)) {
  static constinit std::atomic<bool> registered{false};
  in_forked_children(registered, [] { forget_all(); });
  pthread_key_t none = kNoKey;
  pthread_key_t key = kNoKey;
  const bool is_made =
      end_key.load(relaxed) == kNoKey && ::pthread_key_create(&key, end_thread) == 0;
  if (is_made && !end_key.compare_exchange_strong(none, key, relaxed)) ::pthread_key_delete(key);
}

Stripes::~Stripes() {
  end();
}

void Stripes::leave(const Sitter& before) noexcept {
  leave(owner_word(before));
}

/// Not what another thread has taken under our new name by now.
void Stripes::leave(std::uint64_t us) noexcept {
  const std::uint32_t board = board_.load(relaxed);
  if (board == kNoBoard) return;
  id_.store(next_id.fetch_add(1, relaxed), relaxed);
  for (std::uint32_t i = 1; us != 0 && i < kStripes; ++i) {
    std::uint64_t thread = boards[board].thread[i].load(relaxed);
    if (change_owner(owner_of(mapping_, i), us, 0))
      boards[board].thread[i].compare_exchange_strong(thread, 0, relaxed);
  }
}

void Stripes::end() noexcept {
  const std::uint32_t board = board_.load(relaxed);
  if (board == kNoBoard) return;
  leave(boards[board].us.exchange(0, relaxed));
  for (auto& thread : boards[board].thread) {
    if (thread.load(relaxed) != 0) thread.store(0, relaxed);
  }
  board_.store(kNoBoard, relaxed);
  // release: pairs with the acquire in take_board.
  boards[board].is_used.store(false, std::memory_order_release);
}

std::uint64_t Stripes::add_slowly(std::uint32_t cell, std::uint32_t word,
                                  std::uint64_t count) noexcept {
  const std::uint64_t id = id_.load(relaxed);
  Held::Missed& missed = held.missed[id % held.missed.size()];
  if (cell <= kOwnPolicies && (missed.of != id || ++missed.adds >= missed.next_try)) {
    if (const std::uint32_t index = take(); index != 0) {
      missed = {};
      mine_[id % kMine] = {id, mapping_.stripe(index)};
      return add(cell, word, count);
    }
    const bool is_again = missed.of == id;
    missed = {id, 0, is_again ? std::min(2 * missed.next_try, kLastRetry) : kFirstRetry};
  }
  return mapping_.stripe(0)[cell].words[word].fetch_add(count, relaxed) + count;
}

/// Returns a stripe for this thread, or 0.
std::uint32_t Stripes::take() noexcept {
  const std::uint32_t board = board_.load(relaxed);
  const std::optional<Sitter> sitter = participant_.sitter();
  const pthread_key_t key = end_key.load(relaxed);
  if (board == kNoBoard || !sitter || key == kNoKey) return 0;
  // Any value but null has the key's destructor run.
  if (::pthread_setspecific(key, &held) != 0) return 0;
  if (held.thread == 0) held.thread = next_thread.fetch_add(1, relaxed);
  const std::uint64_t us = owner_word(*sitter);
  boards[board].us.store(us, relaxed);
  constexpr std::uint32_t kOthers = kStripes - 1;
  const auto each = [&](auto&& takes) noexcept {
    for (std::uint32_t i = 0; i < kOthers; ++i) {  // from a place of our own on
      const std::uint32_t index = 1 + (sitter->seat + i) % kOthers;
      if (takes(index)) return index;
    }
    return std::uint32_t{0};
  };
  const auto is_mine = [&](std::uint32_t index) noexcept {
    return boards[board].thread[index].load(relaxed) == held.thread &&
           owner_of(mapping_, index).load(relaxed) == us;
  };
  if (const std::uint32_t index = each(is_mine); index != 0) return index;
  Held::Stripe* const place = room_for_one();
  if (place == nullptr) return 0;
  *place = {board, 0};  // the first is nobody's
  place->index =
      each([&](std::uint32_t index) noexcept { return take(board, index, us, nullptr); });
  if (place->index == 0 && may_ask(boards[board])) {
    Liveness liveness(participant_);
    place->index =
        each([&](std::uint32_t index) noexcept { return take(board, index, us, &liveness); });
  }
  return place->index;
}

bool Stripes::take(std::uint32_t board, std::uint32_t index, std::uint64_t us,
                   Liveness* liveness) noexcept {
  std::atomic<std::uint64_t>& thread = boards[board].thread[index];
  std::uint64_t nobody = 0;
  // acquire: pairs with the release of a thread that has ended.
  if (thread.load(relaxed) != held.thread &&
      !thread.compare_exchange_strong(nobody, held.thread, std::memory_order_acquire, relaxed))
    return false;
  Word& owner = owner_of(mapping_, index);
  const std::uint64_t seen = owner.load(relaxed);
  const bool may_take =
      seen == 0 || (seen != us && liveness != nullptr && is_dead(mapping_, seen, *liveness));
  if (seen == us || (may_take && change_owner(owner, seen, us))) return true;
  thread.store(0, relaxed);
  return false;
}

void Stripes::add_insert(std::uint32_t line) noexcept {
  (void)add(0, StripeHead::first_line + line, 1);
}

std::uint32_t Stripes::tidy(const Mapping& mapping, Liveness& liveness) noexcept {
  std::uint32_t freed = 0;
  for (std::uint32_t i = 1; i < kStripes; ++i) {
    Word& owner = owner_of(mapping, i);
    const std::uint64_t seen = owner.load(relaxed);
    if (seen != 0 && is_dead(mapping, seen, liveness) && change_owner(owner, seen, 0)) ++freed;
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
  held = {};
  for (Board& board : boards) {
    if (!board.is_used.load(relaxed)) continue;
    board.us.store(0, relaxed);
    board.next_ask_ns.store(0, relaxed);
    for (auto& thread : board.thread) {
      if (thread.load(relaxed) != 0) thread.store(0, relaxed);
    }
  }
}

}  // namespace rl::shm
