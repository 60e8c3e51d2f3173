#include "tests/hostile/surface.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <set>
#include <vector>

#include "shm/mapping.hpp"
#include "src/policy.hpp"
#include "tests/dumps.hpp"
#include "tests/hostile/forge.hpp"
#include "tools/rlctl/selftest/table_check.hpp"

// In a build with sanitizers, what UBSan only reports by default is an end, too.
extern "C" const char* __ubsan_default_options();
extern "C" const char* __ubsan_default_options() {
  return "halt_on_error=1:print_stacktrace=1";
}

namespace rl::hostile {
namespace {

using std::chrono::nanoseconds;

bool is_one_line(std::string_view text) {
  return !text.empty() && std::none_of(text.begin(), text.end(), [](char c) {
    return static_cast<unsigned char>(c) < ' ' || c == 0x7f;
  });
}

/// With five limiters they fill a forged segment's table, and more.
constexpr int kNewKeys = 16;

void decide_at_odd_times(Limiter& limiter) {
  constexpr std::int64_t kFar = std::int64_t{1} << 62;
  for (const std::int64_t ns :
       {std::int64_t{0}, std::int64_t{1}, std::int64_t{1} << 50, kFar,
        std::numeric_limits<std::int64_t>::max(), std::numeric_limits<std::int64_t>::min()}) {
    const Instant at{nanoseconds(ns)};
    check(limiter.try_acquire_at(at, key_text(0)));
    check(limiter.try_acquire_at(at, key_text(4), 3));
    check(limiter.peek(key_text(0)));
  }
}

/// All that can be asked besides whether a call passes.
void ask_otherwise(Limiter& limiter) {
  constexpr std::uint64_t kMost = ~std::uint64_t{0};
  for (int i = 0; i < kKeys; ++i) {
    const std::string key = key_text(i);
    const std::uint64_t cost = i % 3 == 0 ? kMost : static_cast<std::uint64_t>(i);
    Reservation r = limiter.reserve(key, 1, i % 2 == 0 ? Instant::max() : Instant{nanoseconds(i)});
    check(r);
    demand(r.at >= Instant{}, "a reservation before the beginning of time");
    if (i % 4 == 0) (void)limiter.refund(key, r);
    check(limiter.acquire_for(key, 1, nanoseconds(0)));
    Decision held = limiter.hold(key, 1);
    check(held);
    (void)limiter.settle(key, held, cost);
    demand(!limiter.settle(key, held, 1), "settled twice");
    Decision d = limiter.charge(key, cost);
    demand(d.cost <= cost, "charged more than was asked for");
    if (d.allowed) d.retry_after = nanoseconds(0);  // here it says when the next call can pass
    check(d);
    if (i % 4 == 1) (void)limiter.refund(key, d);
    if (limiter.set_remaining(key, cost)) check(limiter.peek(key));
  }
}

/// Many keys at once, and several calls together.
void ask_together(Limiter& limiter) {
  std::vector<std::string> names;
  for (int i = 0; i < 3 * kKeys; ++i)
    names.push_back(i < kKeys ? key_text(i) : "one:" + key_text(i));
  const std::vector<std::string_view> keys(names.begin(), names.end());
  std::vector<Decision> decisions(keys.size());
  limiter.try_acquire_batch(keys, decisions);
  for (const Decision& d : decisions) check(d);
  for (std::size_t i = 0; i + 1 < keys.size(); ++i) {
    const Ask asks[] = {{limiter, keys[i]}, {limiter, keys[i + 1], 2}, {limiter, keys[i]}};
    AllOf all = all_of(asks);
    check(all.decision);
    for (std::size_t ask = 0; ask < std::size(asks); ++ask) {
      check(all.each.at(ask));
      demand(!all || all.each.at(ask).allowed, "allowed, though one of them is not");
    }
    if (i % 2 == 0) (void)refund(asks, all);
    demand(i % 2 != 0 || !refund(asks, all), "given back twice");
  }
}

/// All that can be done with permits.
void use_permits(Limiter& limiter) {
  std::vector<Permit> all;
  for (int i = 0; i < kKeys; ++i) {
    const std::string key = key_text(i % 3);
    all.push_back(limiter.permit(key));
    check(all.back().decision());
    check(limiter.peek_permit(key));
    Permit& permit = all.back();
    demand(bool(permit) == permit.decision().allowed, "a permit without a permission");
    if (permit && permit.renew()) demand(permit.lease_end() > Instant{}, "a lease without an end");
    if (i % 2 == 0) (void)permit.fence();
    (void)permit.holds();
    if (i % 3 == 0) (void)permit.release();
    demand(!all.front().release(), "given back twice");
  }
  check(limiter.permit("").decision());
  check(limiter.try_acquire(key_text(0)));
}

}  // namespace

void demand(bool holds, const std::string& what) {
  if (!holds) throw Violation(what);
}

std::optional<Errc> attempt(const std::function<void()>& call) {
  try {
    call();
  } catch (const Error& e) {
    demand(is_one_line(e.what()), std::string("an error that is no sentence: ") + e.what());
    demand(e.code() >= Errc::bad_name && e.code() <= Errc::system, "an error code out of range");
    return e.code();
  }
  return std::nullopt;
}

/// What a reason says of the call.
enum class Says { passes, fails, either };
Says says(Reason reason) {
  switch (reason) {
    case Reason::ok:
    case Reason::off:
    case Reason::shadow:
      return Says::passes;
    case Reason::limited:
    case Reason::never:
    case Reason::unavailable:
    case Reason::invalid:
      return Says::fails;
    case Reason::banned:  // a charge is counted
    case Reason::override_:
    case Reason::full:
      return Says::either;
  }
  throw std::runtime_error("a reason that there is not");
}

void check(const Decision& d) {
  const Says said = says(d.reason);
  demand(said == Says::either || d.allowed == (said == Says::passes), "allowed against reason");
  demand(d.remaining <= d.limit, "remaining above limit");
  demand(d.retry_after.count() >= 0, "retry_after below 0");
  demand(d.reset_after.count() >= 0, "reset_after below 0");
  constexpr std::chrono::nanoseconds kLongest(std::int64_t{1} << 61);  // the longest queue
  demand(d.wait.count() >= 0 && d.wait <= kLongest && (d.allowed || d.wait.count() == 0),
         "a wait out of range");
  // Who only watches says how long it would be.
  const bool watches = d.reason == Reason::shadow;
  demand(!d.allowed || watches || d.retry_after.count() == 0, "retry_after though allowed");
  demand(d.reason != Reason::limited || d.retry_after.count() > 0, "limited, but come at once");
  // A ban may be for ever, and a watcher and an override may never let a cost pass.
  const bool may_be_never = watches || d.reason == Reason::banned || d.reason == Reason::override_;
  demand(may_be_never || (d.retry_after == kNever) == (d.reason == Reason::never), "never, or not");
}

void decide(Limiter& limiter) {
  const std::uint64_t burst = limiter.limit().burst();
  demand(!limiter.limit().to_string().empty(), "a limit without a text");
  (void)limiter.differs();
  constexpr std::uint64_t kMost = ~std::uint64_t{0};
  const std::array costs{std::uint64_t{1}, burst, burst + 1, kMost / 2 + 1, kMost};
  for (int i = 0; i < kKeys; ++i) {
    const std::uint64_t cost = costs[static_cast<std::size_t>(i) % costs.size()];
    check(limiter.peek(key_text(i), cost));
    check(limiter.try_acquire(key_text(i), cost));
  }
  check(limiter.try_acquire(""));
  check(limiter.try_acquire("no cost", 0));
  for (int i = 0; i < kNewKeys; ++i) {
    check(limiter.try_acquire("new:" + std::to_string(i)));
  }
  decide_at_odd_times(limiter);
  ask_otherwise(limiter);
  ask_together(limiter);
  for (int i = 0; i < 4; ++i) (void)limiter.reset(key_text(i));
  check(limiter.try_acquire(key_text(0)));
}

void use_policies(Segment& segment) {
  const auto use = [&](const std::string& name) {
    (void)attempt([&] {
      Limiter limiter = segment.limiter(name, Limit::parse("100/s burst=200"));
      decide(limiter);
    });
    (void)attempt([&] { (void)segment.limiter(name); });
  };
  for (const std::string_view name : kPolicyNames) use(std::string(name));
  for (const std::string& name : {std::string("fresh"), std::string(63, 'n')}) use(name);
  (void)attempt([&] {
    Limiter limiter = segment.limiter("permits", Limit::concurrency(3));
    use_permits(limiter);
  });
  (void)attempt([&] {
    Limiter limiter = segment.limiter("counts", Limit::counter());
    for (int i = 0; i < kKeys; ++i) {
      const Counted told = limiter.count(key_text(i), 1, nanoseconds(1'000'000'000));
      demand(told.count <= kCountedMax, "a count above the most");
      demand(told.counted == (told.count != 0), "counted, and nothing is there");
      (void)limiter.peek_count(key_text(i));
      (void)limiter.reset(key_text(i));
    }
  });
  (void)attempt([&] {
    Limiters limiters = segment.limiters("api", Limits::parse("100/s burst=200, 1000/h"));
    AllOf all = limiters.try_acquire(key_text(0));
    check(all.decision);
    check(limiters.peek(key_text(0)).decision);
    (void)limiters.refund(key_text(0), all);
    (void)limiters.reset(key_text(1));
    demand(limiters.limits().size() == limiters.size(), "a list of another length than its limits");
  });
  (void)attempt([&] { (void)segment.limiter(std::string(64, 'n'), Limit::per_second(1)); });
  for (const std::string_view name : kPolicyNames) {
    (void)attempt([&] { (void)segment.ban(name, key_text(0), nanoseconds(1), "because"); });
    (void)attempt([&] { (void)segment.set_override(name, key_text(1), Limit::per_second(3)); });
    (void)attempt([&] { (void)segment.allow(name, key_text(2)); });
    for (int i = 0; i < kKeys; ++i) {
      (void)attempt([&] { (void)segment.unset_override(name, key_text(i)); });
      (void)attempt([&] { (void)segment.unban(name, key_text(i)); });
      (void)attempt([&] { (void)segment.disallow(name, key_text(i)); });
    }
  }
}

/// What is written of any segment can be read.
void dump(const Segment& segment) {
  std::string text;
  if (attempt([&] { text = test::dumped(segment); })) return;
  try {
    (void)test::read(text);
  } catch (const Error& e) {
    demand(false, std::string("a dump that its own reader refuses: ") + e.what());
  }
}

void look(const Segment& segment) {
  dump(segment);
  demand(segment.now().time_since_epoch().count() >= 0, "a time before the beginning");
  const SegmentInfo info = segment.info();
  demand(info.live + info.idle <= info.slots, "more keys than slots");
  demand(info.policies <= info.policy_room, "more policies than there is room for");
  demand(info.attached <= shm::kSeatsMax, "more processes than seats");
  const std::vector<PolicyInfo> policies = segment.policies();
  demand(policies.size() <= info.policy_room, "a longer list of policies than there is room for");
  std::set<std::uint16_t> ids;
  for (const PolicyInfo& policy : policies)
    demand(ids.insert(policy.id).second, "a policy is listed twice");
  demand(segment.history().size() <= info.policy_room, "a longer history than there is room for");
  for (const PolicyInfo& policy : policies)
    (void)attempt([&] { (void)segment.compare(policy.name); });
  std::uint64_t rows = 0;
  segment.for_each_key([&](const KeyInfo& row) {
    ++rows;
    demand(row.remaining <= row.limit, "a row: remaining above limit");
    demand(row.reset_after.count() >= 0, "a row: reset_after below 0");
    demand(!row.key || row.key->size() <= shm::kLabelTextBytes, "a row: a label too long");
  });
  demand(rows <= info.slots, "more rows than slots");
  demand(segment.standings().size() <= info.slots, "more keys stand apart than there are slots");
  (void)segment.totals();
  (void)segment.denials_per_event();
  for (int polls = 0; polls < 2; ++polls) {
    Events events(segment);
    const EventsRead read = events.poll([](const Event& event) {
      (void)to_string(event.kind);
      demand(event.key.size() <= 62, "a key longer than its room");
    });
    demand(read.delivered <= shm::kEventRings * shm::kEventsPerRing, "more events than room");
  }
  const std::vector<JournalInfo> journal = segment.journal();
  demand(journal.size() <= shm::kJournalRecords, "a journal longer than its room");
  for (const JournalInfo& change : journal)
    demand(change.key.size() + change.reason.size() <= 216, "a record longer than its room");
  for (const std::string_view name : kPolicyNames) {
    for (int i = 0; i < kKeys; ++i) (void)segment.find(name, key_text(i));
  }
}

void check_valid(const std::string& path) {
  const shm::Mapping mapping = shm::Mapping::attach(path, shm::Access::read_only, false);
  const selftest::TableCheck check = selftest::check_table(mapping, std::nullopt);
  demand(check.faults.empty(), check.faults.empty() ? "" : "in a copy: " + check.faults.front());
  demand(check.tentatives == 0, "an unfinished insert was copied");
}

void copy(const std::string& path) {
  const std::string to = path + "-copy";
  const shm::Mapping mapping = shm::Mapping::attach(path, shm::Access::read_write, false);
  (void)shm::Mapping::recreate(to, mapping, state_in_copy);
  check_valid(to);
  (void)Segment::remove(to);
}

std::optional<Errc> use_all(const std::string& path) {
  std::optional<Segment> segment;
  const auto refused = attempt([&] { segment.emplace(Segment::open(path)); });
  const auto unread = attempt([&] { look(Segment::open_read_only(path)); });
  demand(refused == unread, "opened for reading and for writing with different verdicts");
  if (!refused) {
    demand(!attempt([&] { copy(path); }), "it can be opened, but not copied");
    // The name goes before the first reading of the clock, which looks for it and makes it anew.
    const bool rescue = [&] {
      const shm::Mapping mapping = shm::Mapping::attach(path, shm::Access::read_only, false);
      return mapping.header().retired.load(std::memory_order_relaxed) == 0;
    }();
    Segment outlived = Segment::open(path);
    use_policies(*segment);
    look(*segment);
    (void)attempt([&] { segment->advance_clock(nanoseconds(1)); });
    (void)segment->reset_all();
    look(*segment);
    ::unlink(path.c_str());
    (void)outlived.now();
    struct stat st {};
    const bool back = ::stat(path.c_str(), &st) == 0;
    demand(back || !rescue, "the name was not brought back");
    if (back) look(Segment::open(path));
    look(outlived);
    (void)attempt([&] { check(outlived.limiter("api", Limit::per_hour(1)).try_acquire("k")); });
  }
  (void)attempt([&] { (void)Segment::remove(path); });
  ::unlink(path.c_str());
  return refused;
}

void listen() {
  set_log([](Severity, std::string_view line, void*) noexcept {
    if (!is_one_line(line)) std::abort();
  });
}

}  // namespace rl::hostile
