// A concurrency limit that is changed again and again while processes take permits, give them back,
// and are killed: what each held is recorded, and held to the guarantee (A).

#include <doctest/doctest.h>

#include <algorithm>
#include <random>
#include <thread>
#include <vector>

#include "tests/no_key_twice.hpp"
#include "tests/support.hpp"

namespace rl {
namespace {

using namespace std::chrono_literals;
using std::chrono::steady_clock;

constexpr std::size_t kProcesses = 4;
constexpr std::size_t kPermitsEach = 3;  // at once: together they want twice what there ever is
constexpr std::uint64_t kMost = 6;
constexpr int kChanges = 200;

/// From when to when a permit was certainly held, and when it was asked for.
struct Holding {
  std::int64_t asked_ns;
  std::int64_t from_ns;
  std::atomic<std::int64_t> to_ns;  ///< 0: not given back
  std::uint64_t limit;              ///< that it was given under
};

/// What a worker holds, as it writes it down; others read it when it is over or dead.
struct Book {
  static constexpr std::size_t kHoldings = 200'000;
  std::atomic<std::size_t> used;
  std::atomic<std::uint64_t> denied;
  std::atomic<std::uint64_t> refused;  ///< renewals of what is one too many
  std::atomic<std::uint64_t> lost;     ///< what was held, and could not be given back
  Holding holdings[kHoldings];
};

std::int64_t now_ns(Segment& segment) {
  return segment.now().time_since_epoch().count();
}

/// Takes permits of one key, renews them and gives them back, until it is told to end.
class Worker {
 public:
  Worker(Segment& segment, Limiter& limiter, Book& book)
      : segment_(segment), limiter_(limiter), book_(book) {}

  void work(const std::atomic<bool>& end) {
    std::mt19937 choose(static_cast<unsigned>(::getpid()));
    while (!end && book_.used + kPermitsEach < Book::kHoldings) {
      if (held_.size() < kPermitsEach && choose() % 2 == 0) take();
      if (!held_.empty() && choose() % 8 == 0 && !held_[choose() % held_.size()].permit.renew())
        ++book_.refused;
      if (choose() % 16 == 0) std::this_thread::yield();
      if (!held_.empty() && choose() % 2 == 0) give_back(choose() % held_.size());
    }
    while (!held_.empty()) give_back(0);
  }

 private:
  struct Held {
    Permit permit;
    Holding* holding;
  };

  void take() {
    const std::int64_t asked_ns = now_ns(segment_);
    Permit permit = limiter_.permit("hot");
    if (!permit) {
      ++book_.denied;
      return;
    }
    Holding& holding = book_.holdings[book_.used];
    holding.asked_ns = asked_ns;
    holding.from_ns = now_ns(segment_);
    holding.limit = permit.decision().limit;
    holding.to_ns = 0;
    ++book_.used;
    held_.push_back({std::move(permit), &holding});
  }

  void give_back(std::size_t which) {
    Held held = std::move(held_[which]);
    held_.erase(held_.begin() + static_cast<std::ptrdiff_t>(which));
    held.holding->to_ns = now_ns(segment_);
    if (!held.permit.release()) ++book_.lost;
  }

  Segment& segment_;
  Limiter& limiter_;
  Book& book_;
  std::vector<Held> held_;
};

/// Holdings as they are judged.
struct Interval {
  std::int64_t asked_ns;
  std::int64_t from_ns;
  std::int64_t to_ns;
  std::uint64_t limit;
};

/// Of those that are out at an instant, one was taken last, after it was asked for and before it was
/// had. At that instant all the others were out: so they are no more than the limit that it was
/// given under. Who may have been the last: whose `from` is after all others' `asked`.
std::uint64_t allowed_for(const std::vector<const Interval*>& out) {
  std::int64_t last_asked_ns = 0;
  for (const Interval* i : out) last_asked_ns = std::max(last_asked_ns, i->asked_ns);
  std::uint64_t most = 0;
  for (const Interval* i : out)
    if (i->from_ns >= last_asked_ns) most = std::max(most, i->limit);
  return most;
}

/// Calls visit(t, out) at each instant t at which a permit was had, with all that were out then.
template <class Visit>
void at_each_beginning(std::vector<Interval> all, Visit&& visit) {
  std::sort(all.begin(), all.end(),
            [](const Interval& a, const Interval& b) { return a.from_ns < b.from_ns; });
  std::vector<const Interval*> out;
  for (const Interval& next : all) {
    // What ends in the same instant may have ended before.
    std::erase_if(out, [&](const Interval* i) { return i->to_ns <= next.from_ns; });
    out.push_back(&next);
    visit(next.from_ns, out);
  }
}

TEST_CASE("A_a_limit_that_is_changed_200_times_under_load_is_never_exceeded_by_what_is_taken") {
  INFO("RL_TEST_SEED=" << test::seed());
  std::mt19937_64 random(test::seed());
  test::Scratch segment({.keys = 100, .clock = ClockSource::boottime});
  Limiter limiter = segment->limiter("up", Limit::concurrency(kMost, 1h));
  test::Shared<Book> books(kProcesses);
  test::Shared<std::atomic<bool>> end;
  const auto spawn = [&](std::size_t p) {
    return test::Child([&, p] { Worker(*segment, limiter, books[p]).work(end[0]); });
  };
  std::vector<test::Child> children;
  for (std::size_t p = 0; p < kProcesses; ++p) children.push_back(spawn(p));

  const auto taken = [&] {
    std::size_t sum = 0;
    for (std::size_t p = 0; p < kProcesses; ++p) sum += books[p].used;
    return sum;
  };
  /// What a killed holder had, it had until then: it had written down what it was about to give.
  const auto end_holdings = [&](Book& book, std::int64_t killed_ns) {
    for (std::size_t i = 0; i < book.used; ++i)
      if (book.holdings[i].to_ns == 0) book.holdings[i].to_ns = killed_ns;
  };
  std::vector<std::pair<std::int64_t, std::uint64_t>> changes;  // when it was made, at the latest
  std::uint64_t limit = kMost;
  int kills = 0;
  for (int change = 0; change < kChanges; ++change) {
    const std::size_t before = taken();
    const auto patience = steady_clock::now() + 20s;
    while (taken() < before + 1 + random() % 100 && steady_clock::now() < patience)
      std::this_thread::yield();
    REQUIRE(taken() > before);  // no permit was lost with its holder
    limit = 1 + (limit + random() % (kMost - 1)) % kMost;
    segment->set_policy("up", Limit::concurrency(limit, 1h));
    changes.emplace_back(now_ns(*segment), limit);
    if (change % 10 != 9) continue;
    const std::size_t victim = random() % kProcesses;
    const std::int64_t killed_ns = now_ns(*segment);
    children[victim].signal(SIGKILL);
    REQUIRE(children[victim].wait() == 128 + SIGKILL);
    ++kills;
    end_holdings(books[victim], killed_ns);
    children[victim] = spawn(victim);
  }
  end[0] = true;
  for (test::Child& child : children) REQUIRE(child.wait() == 0);

  std::vector<Interval> all;
  std::uint64_t denied = 0;
  std::uint64_t refused = 0;
  for (std::size_t p = 0; p < kProcesses; ++p) {
    Book& book = books[p];
    CHECK(book.lost == 0);
    denied += book.denied;
    refused += book.refused;
    for (std::size_t i = 0; i < book.used; ++i) {
      const Holding& h = book.holdings[i];
      if (h.to_ns > h.from_ns) all.push_back({h.asked_ns, h.from_ns, h.to_ns, h.limit});
    }
  }
  std::uint64_t exceeded = 0;
  std::uint64_t at_the_limit = 0;
  at_each_beginning(all, [&](std::int64_t, const std::vector<const Interval*>& out) {
    const std::uint64_t allowed = allowed_for(out);
    exceeded += out.size() > allowed ? 1U : 0U;
    at_the_limit += out.size() == allowed ? 1U : 0U;
  });
  CHECK(exceeded == 0);
  CHECK(at_the_limit > 100);
  const auto lowered_under = std::count_if(changes.begin(), changes.end(), [&](const auto& change) {
    const auto out = std::count_if(all.begin(), all.end(), [&](const Interval& i) {
      return i.from_ns <= change.first && i.to_ns > change.first;
    });
    return static_cast<std::uint64_t>(out) > change.second;
  });
  CHECK(lowered_under > 10);  // more were out than there were any more
  CHECK(denied > 100);
  CHECK(refused > 0);
  MESSAGE(all.size() << " permits, " << denied << " denials, " << refused << " renewals refused, "
                     << lowered_under << " times more were out than the new limit, " << kills
                     << " kills, " << segment->info().gave_up << " calls gave up");

  // All are back, those of the killed, too: as many as the last limit says.
  std::vector<Permit> last;
  const auto patience = steady_clock::now() + 10s;
  while (last.size() < limit && steady_clock::now() < patience)
    if (Permit permit = limiter.permit("hot")) last.push_back(std::move(permit));
  CHECK(last.size() == limit);
  CHECK_FALSE(limiter.permit("hot"));
  test::check_that_no_key_has_two_slots(segment.path());
}

}  // namespace
}  // namespace rl
