/// \file
/// The table's protocol as production compiles it, under the memory model of C++ instead of that of
/// the CPU at hand: relacy lets a load return any value that its order allows, and looks for data
/// races. The slots are relacy's atomics, loaded with the orders that shm/slot.hpp names; so
/// weakening one of those there is seen here. Orders that are too weak are then planted, and each
/// must be found, as what it is.
///
/// Not seen here: the swap of shm/slot.hpp, a builtin, has no order to name. It is taken for
/// seq_cst, which is less than it is. And a slot is one location to relacy, so a load of its state
/// never sees less than the load of its tag before it: an old tag with a new state, never a new tag
/// with an old state. In production the tag's load forbids that by being an acquire, as the swap
/// writes both halves at once; but a weaker tag would not be found for that reason here.
///
/// RL_DEEP=1 tries more; RL_TRACE=1 prints the history of each execution that failed.

// Before all else: it includes what it needs of the system, and then redefines words of C++.
#include <relacy/relacy.hpp>
#undef memory_order_relaxed
#undef memory_order_consume
#undef memory_order_acquire
#undef memory_order_release
#undef memory_order_acq_rel
#undef memory_order_seq_cst
#undef new
#undef delete
#undef malloc
#undef calloc
#undef realloc
#undef free
#undef assert
#undef errno

#include <array>
#include <cstdio>
#include <cstdlib>
#include <new>
#include <optional>
#include <ostream>
#include <string>
#include <vector>

#include "shm/table.hpp"

namespace rl::shm {
/// For relacy's histories.
std::ostream& operator<<(std::ostream& out, const SlotWords& words) {
  return out << '{' << identity_of(words.tag) << '|' << policy_of(words.tag) << ", " << words.state
             << '}';
}
}  // namespace rl::shm

namespace {

using rl::shm::is_member_of;
using rl::shm::KeyHash;
using rl::shm::make_tag;
using rl::shm::SlotWords;
using rl::shm::Standing;
using rl::shm::Table;
using rl::shm::Transition;

constexpr rl::memory_order order_of(std::memory_order order) {
  switch (order) {
    case std::memory_order::relaxed:
      return rl::mo_relaxed;
    case std::memory_order::acquire:
      return rl::mo_acquire;
    case std::memory_order::release:
      return rl::mo_release;
    case std::memory_order::acq_rel:
      return rl::mo_acq_rel;
    default:
      return rl::mo_seq_cst;
  }
}

/// The orders of a slot's three accesses.
struct Orders {
  rl::memory_order tag = order_of(rl::shm::kTagOrder);
  rl::memory_order words = order_of(rl::shm::kWordsOrder);
  rl::memory_order swap = rl::mo_seq_cst;
  bool fences = false;  ///< a full fence before and after the swap
};
Orders orders;

/// What was seen to happen, in all executions of a search.
struct Evidence {
  std::uint64_t swaps = 0, failed_swaps = 0;
  std::uint64_t old_values = 0;  ///< loads that did not return the last value of the slot
};
Evidence seen;

constexpr std::uint16_t kPolicy = 7;
constexpr std::uint16_t kNewPolicy = 8;
constexpr std::uint16_t kStickyPolicy = 9;
constexpr KeyHash kKey{0xabcd, 0x1234'5678'9abc'def0, 2};
constexpr std::uint64_t kBystander = 0x1000;

/// A slot over relacy's atomics. Only few slots move in a scenario; the others are constants, which
/// cost no turn.
class ModelSlot {
 public:
  void make_live(SlotWords words) {
    live_.emplace();
    live_->store(words, rl::mo_relaxed, RL_INFO);
  }
  void make_constant(SlotWords words) { constant_ = words; }

  [[nodiscard]] std::uint64_t tag() const { return live_ ? load(orders.tag).tag : constant_.tag; }
  /// Two loads, each of which may see another value.
  [[nodiscard]] SlotWords words() const {
    if (!live_) return constant_;
    const std::uint64_t tag = load(orders.words).tag;
    return {tag, load(orders.words).state};
  }
  bool compare_exchange(SlotWords expected, SlotWords desired) {
    if (!live_) return false;
    if (orders.fences) rl::atomic_thread_fence(rl::mo_seq_cst, RL_INFO);
    const bool done = live_->compare_exchange_strong(expected, desired, orders.swap, RL_INFO);
    if (orders.fences) rl::atomic_thread_fence(rl::mo_seq_cst, RL_INFO);
    ++(done ? seen.swaps : seen.failed_swaps);
    return done;
  }
  /// What all would agree on.
  [[nodiscard]] SlotWords last_words() const { return live_ ? live_->debug_value() : constant_; }

 private:
  [[nodiscard]] SlotWords load(rl::memory_order order) const {
    const SlotWords words = live_->load(order, RL_INFO);
    if (words != live_->debug_value()) ++seen.old_values;
    return words;
  }

  std::optional<rl::atomic<SlotWords>> live_;
  SlotWords constant_;
};

/// Counts calls: the state is the number of charges.
struct CountingRules {
  std::uint16_t policy;
  std::uint64_t& nonces;  ///< of the thread: none is drawn twice

  Transition step(std::uint16_t under, std::uint64_t state) noexcept {
    return {Transition::store, under, state + 1};
  }
  Transition first() noexcept { return {Transition::store, policy, 1}; }
  Transition idle() noexcept { return {Transition::store, policy, 0}; }
  void begin_judging() noexcept {}
  Standing judge(std::uint16_t under, std::uint64_t state) noexcept {
    if (under == kStickyPolicy) return Standing::sticky;
    return state == 0 ? Standing::idle : Standing::owing;
  }
  std::uint64_t tokens_owed(std::uint16_t, std::uint64_t state) noexcept { return state; }
  bool may_evict() noexcept { return false; }
  std::uint64_t nonce() noexcept { return nonces++; }
  void prefetch_beside(std::uint64_t) noexcept {}
  void on_evicted() noexcept {}
  void on_idle_overwritten() noexcept {}
  void on_tentative_freed() noexcept {}
};

/// How a search ends, word for word.
constexpr const char* kHolds = "holds";
constexpr const char* kTwoMembers = "S violated: the key is a member in two slots";
constexpr const char* kLostCharge = "A violated: a charge is lost, or counted twice";
constexpr const char* kEntryNotSeen = "A violated: a policy's entry is read in a race";
constexpr const char* kEndless = "P violated: a call does not end";

/// What a thread does, in order.
enum class Act {
  call,          ///< one charge on the key
  free_first,    ///< frees the first live slot, if it is idle
  reset,         ///< frees the key's slot
  new_policy,    ///< writes a policy's entry, then calls under it
  read_by_tag,   ///< finds the key and reads the entry of the policy in its tag
  step_by_words  ///< finds the key, and reads the entry of the policy that its words are under
};

/// The live slots are positions of the key's list.
struct Live {
  int position;
  SlotWords words;
};
constexpr SlotWords kIdleOfAnother{make_tag(kBystander, kPolicy), 0};
constexpr SlotWords kOfTheDead{make_tag(kKey.identity, 0), 7'000};

struct Scenario {
  const char* name;
  std::vector<Live> live;
  std::vector<std::vector<Act>> threads;
  bool has_rivals = true;  ///< whether swaps must be seen to fail
};
const Scenario* scenario;
const char* violation = nullptr;

/// The table of the execution under way. Not an object of its own, because relacy leaves a failed
/// execution without destroying anything; nor on the heap, which relacy keeps an eye on.
using Pairs = std::array<rl::shm::BasicPair<ModelSlot>, 2>;
alignas(Pairs) std::byte room_for_pairs[sizeof(Pairs)];

template <rl::thread_id_t kThreads>
struct Suite : rl::test_suite<Suite<kThreads>, kThreads> {
  Pairs* pairs = ::new (room_for_pairs) Pairs;
  Table<ModelSlot> table{pairs->data(), 2};
  rl::var<int> entries[10];
  std::uint64_t charges = 0;
  std::uint64_t forgiven = 0;
  std::array<std::uint64_t, kThreads> nonces{};

  ~Suite() { pairs->~Pairs(); }
  static void violated(const char* what) {
    violation = what;
    RL_ASSERT(violation == nullptr);
  }
  ModelSlot& at(int position) { return table.slot(table.candidates(kKey).slot_at(position)); }

  void before() {
    for (std::uint64_t i = 0; i < table.slot_count(); ++i) {
      table.slot(i).make_constant({make_tag(kBystander + 1 + i, kStickyPolicy), 1});
    }
    for (const Live& live : scenario->live) at(live.position).make_live(live.words);
    entries[kPolicy](RL_INFO) = 1;
  }
  void thread(unsigned self) {
    nonces[self] = 1'000 * (self + 1);
    for (const Act act : scenario->threads[self]) perform(act, nonces[self]);
  }
  void perform(Act act, std::uint64_t& its_nonces) {
    CountingRules rules{act == Act::new_policy ? kNewPolicy : kPolicy, its_nonces};
    switch (act) {
      case Act::new_policy:
        entries[kNewPolicy](RL_INFO) = 1;
        [[fallthrough]];
      case Act::call:
        charges += table.update(kKey, rules).outcome == rl::shm::Update::decided ? 1 : 0;
        break;
      case Act::free_first:
        table.free_if(table.candidates(kKey).slot_at(scenario->live.front().position),
                      [](SlotWords words) { return words == kIdleOfAnother; });
        break;
      case Act::reset:
        reset();
        break;
      case Act::read_by_tag:
      case Act::step_by_words:
        read_entry(act == Act::read_by_tag);
        break;
    }
  }
  void reset() {
    const std::uint64_t index = table.find(kKey);
    if (index == table.kNowhere) return;
    std::uint64_t state = 0;
    const bool done = table.free_if(index, [&](SlotWords words) {
      state = words.state;
      return is_member_of(words.tag, kKey.identity);
    });
    if (done) forgiven += state;
  }
  void read_entry(bool by_tag) {
    const std::uint64_t index = table.find(kKey);
    if (index == table.kNowhere) return;
    const ModelSlot& slot = table.slot(index);
    const std::uint64_t tag = by_tag ? slot.tag() : slot.words().tag;
    if (is_member_of(tag, kKey.identity) && entries[rl::shm::policy_of(tag)](RL_INFO) != 1) {
      violated("A violated: a slot was read under a policy that is not there yet");
    }
  }
  [[nodiscard]] int members() {
    int count = 0;
    for (const Live& live : scenario->live) {
      count += is_member_of(at(live.position).last_words().tag, kKey.identity) ? 1 : 0;
    }
    return count;
  }
  void invariant() {
    if (members() > 1) violated(kTwoMembers);
  }
  void after() {
    if (members() > 1) violated(kTwoMembers);
    std::uint64_t state = 0;
    for (const Live& live : scenario->live) {
      const SlotWords words = at(live.position).last_words();
      if (is_member_of(words.tag, kKey.identity)) state = words.state;
    }
    if (state + forgiven != charges) violated(kLostCharge);
  }
};

struct Outcome {
  std::string what;
  std::string figures;
};

struct Search {
  rl::scheduler_type_e kind = rl::random_scheduler_type;
  unsigned preemptions = 0;
  std::uint64_t iterations = 0;
};

/// Anything else that relacy does not like is no violation of ours, but the test's own fault.
std::string what_failed(rl::test_result_e result) {
  switch (result) {
    case rl::test_result_user_assert_failed:
    case rl::test_result_user_invariant_failed:
      return violation != nullptr ? violation : "an assertion of nobody's failed";
    case rl::test_result_livelock:
      return kEndless;
    case rl::test_result_data_race:
      return kEntryNotSeen;  // nothing else is shared but by atomics
    default:
      return std::string("the test is at fault: ") + test_result_str(result);
  }
}

Outcome simulate(const Scenario& told, const Orders& used, const Search& search) {
  scenario = &told;
  orders = used;
  violation = nullptr;
  seen = {};
  std::ostream nowhere(nullptr);
  rl::test_params params;
  params.progress_stream = &nowhere;
  if (std::getenv("RL_TRACE") == nullptr) params.output_stream = &nowhere;
  params.search_type = search.kind;
  params.context_bound = search.preemptions;
  params.iteration_count = static_cast<rl::iteration_t>(search.iterations);
  params.execution_depth_limit = 4'000;
  const bool is_well =
      told.threads.size() == 2 ? rl::simulate<Suite<2>>(params) : rl::simulate<Suite<3>>(params);
  return {is_well ? kHolds : what_failed(params.test_result),
          std::to_string(params.stop_iteration) + " executions tried, " +
              std::to_string(seen.swaps) + " swaps, " + std::to_string(seen.failed_swaps) +
              " failed, " + std::to_string(seen.old_values) + " old values read"};
}

int passed = 0, failed = 0;

void report(bool is_good, const std::string& name, const std::string& what) {
  ++(is_good ? passed : failed);
  std::printf("%s  %s: %s\n", is_good ? "ok    " : "FAILED", name.c_str(), what.c_str());
}

/// What holds must have been tried: loads saw old values, and rivals' swaps failed.
void expect(const char* expected, const char* name, const Scenario& told, const Orders& used,
            const Search& search) {
  Outcome outcome = simulate(told, used, search);
  if (outcome.what == kHolds &&
      (seen.old_values == 0 || (told.has_rivals && seen.failed_swaps == 0)))
    outcome.what = "holds, but nothing was tried";
  report(outcome.what == expected, std::string(name) + told.name,
         outcome.what + ", " + outcome.figures);
}

const Scenario kTwoInserts{"S_A_two_inserts_while_a_slot_falls_free",
                           {{0, kIdleOfAnother}, {1, SlotWords{}}},
                           {{Act::call}, {Act::free_first, Act::call}}};
const Scenario kThreeInserts{"S_A_three_inserts_while_a_slot_falls_free",
                             {{0, kIdleOfAnother}, {1, SlotWords{}}, {9, SlotWords{}}},
                             {{Act::call}, {Act::free_first, Act::call}, {Act::call, Act::call}}};
const Scenario kTheDead{"S_A_two_inserts_meet_a_tentative_of_the_dead",
                        {{0, kIdleOfAnother}, {1, SlotWords{}}, {9, kOfTheDead}},
                        {{Act::call}, {Act::free_first, Act::call}}};
const Scenario kReset{"S_A_two_calls_and_a_reset",
                      {{0, kIdleOfAnother}, {1, SlotWords{}}},
                      {{Act::call, Act::call}, {Act::free_first, Act::call}, {Act::reset}}};
const Scenario kPublicationByTag{"A_a_policy_is_whole_for_who_reads_its_id_in_a_tag",
                                 {{0, SlotWords{}}},
                                 {{Act::new_policy}, {Act::read_by_tag}},
                                 false};
const Scenario kPublicationByWords{"A_a_policy_is_whole_for_who_reads_its_id_in_the_words",
                                   {{0, SlotWords{}}},
                                   {{Act::new_policy}, {Act::step_by_words}},
                                   false};

void production_holds(bool is_brief) {
  const std::string_view deep = std::getenv("RL_DEEP") != nullptr ? std::getenv("RL_DEEP") : "";
  const bool is_deep = !deep.empty() && deep != "0";  // as in tests/support.hpp, which is not here
  const std::uint64_t iterations = is_brief ? 5'000 : is_deep ? 5'000'000 : 200'000;
  const Search random{rl::random_scheduler_type, 0, iterations};
  const Orders production;
  for (const Scenario* told : {&kTwoInserts, &kThreeInserts, &kTheDead, &kReset, &kPublicationByTag,
                               &kPublicationByWords}) {
    expect(kHolds, "", *told, production, random);
  }
  if (is_brief) return;

  // Every execution in which threads are interrupted so often at most, at whatever accesses.
  const Search few{rl::fair_context_bound_scheduler_type, is_deep ? 3U : 2U, 0};
  const Search some{rl::fair_context_bound_scheduler_type, is_deep ? 5U : 4U, 0};
  expect(kHolds, "exhaustively_", kTwoInserts, production, some);
  expect(kHolds, "exhaustively_", kTheDead, production, some);
  expect(kHolds, "exhaustively_", kReset, production, few);
}

void weaker_orders_are_found() {
  const Search random{rl::random_scheduler_type, 0, 5'000};
  Orders o;
  o.words = rl::mo_acquire;
  expect(kTwoMembers, "scan_is_acquire_", kTwoInserts, o, random);
  o = {};
  o.swap = rl::mo_acq_rel;
  expect(kTwoMembers, "swap_is_acq_rel_", kTwoInserts, o, random);
  o = {};
  o.tag = rl::mo_relaxed;
  expect(kEntryNotSeen, "tag_is_relaxed_", kPublicationByTag, o, random);
  o = {};
  o.tag = o.words = rl::mo_relaxed;
  expect(kEntryNotSeen, "words_are_relaxed_", kPublicationByWords, o, random);
  o = {};
  o.swap = rl::mo_acquire;
  expect(kEntryNotSeen, "swap_is_acquire_", kPublicationByWords, o, random);

  // What the builtin of Slot::compare_exchange is, a swap between two full fences, is stronger than
  // a swap that is seq_cst: with it, acquire loads would do.
  o = {};
  o.words = rl::mo_acquire;
  o.fences = true;
  expect(kHolds, "scan_is_acquire_and_swap_is_fenced_", kTwoInserts, o,
         {rl::random_scheduler_type, 0, 200'000});
}

}  // namespace

int main() {
  const char* const mutant = std::getenv("RL_MUTANT");
  const bool has_mutant = mutant != nullptr && *mutant != '\0';
  production_holds(has_mutant);
  if (!has_mutant) weaker_orders_are_found();
  std::printf("test cases: %d | %d passed | %d failed | 0 skipped\n", passed + failed, passed,
              failed);
  return failed == 0 ? 0 : 1;
}
