// What a decision must not do: ask for memory, or ask the kernel more than it says.

#include <doctest/doctest.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include <array>
#include <cstddef>
#include <cstdlib>
#include <new>
#include <string>

#include "tests/support.hpp"

namespace {
std::atomic<std::uint64_t> allocations{0};
}  // namespace

#if !RL_TEST_SANITIZED
// Replaces the program's own, so that every allocation of the library is seen.
void* operator new(std::size_t size) {
  allocations.fetch_add(1, std::memory_order_relaxed);
  if (void* at = std::malloc(size)) return at;
  throw std::bad_alloc();
}
void operator delete(void* at) noexcept {
  std::free(at);
}
void operator delete(void* at, std::size_t) noexcept {
  std::free(at);
}
#endif

namespace rl {
namespace {

using namespace std::chrono_literals;

TEST_CASE("a_decision_allocates_nothing_whether_it_inserts_allows_denies_or_evicts") {
  if (test::kSanitized) {
    test::skip("a sanitizer has an allocator of its own");
    return;
  }
  test::Scratch segment({.keys = 100});
  Limiter api = segment->limiter("api", Limit::per_hour(2));
  // Other policies' slots are judged when a list is full: their limits are read without a text.
  Limiter window = segment->limiter("window", Limit::fixed_window(123'456'789, 1'234'567s));
  Limiter leaky = segment->limiter("leaky", Limit::leaky(123'456'789, 1'234'567s, 5));
  Limiter sliding = segment->limiter("sliding", Limit::sliding_window(123'456, 1'234'567s));
  Limiter uploads = segment->limiter("uploads", Limit::concurrency(20));
  std::vector<Permit> permits;
  for (int i = 0; i < 20; ++i) permits.push_back(uploads.permit("k"));
  std::array<char, 16> key{};
  const auto run = [&] {
    for (int i = 0; i < 5'000; ++i) {
      const int size = std::snprintf(key.data(), key.size(), "user:%d", i % 700);
      const std::string_view text(key.data(), static_cast<std::size_t>(size));
      (void)api.try_acquire(text);
      if (i % 7 == 0) (void)window.try_acquire(text);
      if (i % 7 == 1) (void)leaky.try_acquire(text);
      if (i % 7 == 2) (void)sliding.try_acquire(text);
      (void)api.try_acquire_at(Instant{}, text);
      const std::array<std::string_view, 3> texts{text, "a", text};
      std::array<Decision, 3> decisions;
      api.try_acquire_batch(texts, decisions);
      AllOf all = all_of({{api, text}, {api, "a"}});
      (void)refund({{api, text}, {api, "a"}}, all);
      (void)api.peek(text);
      if (i % 10 == 0) (void)api.reset(text);
    }
  };
  const std::uint64_t before = allocations.load();
  run();
  CHECK(allocations.load() == before);
  CHECK(segment->info().evicted > 0);

  // With a limit on trial beside the one in force.
  segment->set_candidate("api", Limit::sliding_window(1, 1'234'567s));
  const std::uint64_t before_trial = allocations.load();
  run();
  CHECK(allocations.load() == before_trial);
  CHECK(segment->compare("api")->by_candidate.denied > 0);
  CHECK(allocations.load() > before);  // the counter counts
}

TEST_CASE("the_fields_of_a_response_allocate_nothing") {
  if (test::kSanitized) {
    return test::skip("a sanitizer has an allocator of its own");
  }
  const std::string name(http::kPolicyNameMax, '"');
  const Limit limit = Limit::per_hour(2);
  Decision decision;
  decision.reason = Reason::limited;
  decision.limit = limit.burst();
  decision.retry_after = std::chrono::minutes(30);
  decision.reset_after = std::chrono::hours(1);
  std::array<char, http::kFieldMax> buffer{};
  const std::uint64_t before = allocations.load();
  const bool all = !http::retry_after(decision, buffer).empty() &&
                   !http::ratelimit_policy(name, limit, buffer).empty() &&
                   !http::ratelimit(name, limit, decision, buffer).empty() &&
                   !http::x_ratelimit_limit(decision, buffer).empty() &&
                   !http::x_ratelimit_remaining(decision, buffer).empty() &&
                   !http::x_ratelimit_reset(decision, buffer).empty();
  CHECK(allocations.load() == before);
  CHECK(all);
}

TEST_CASE("a_key_of_an_address_or_of_parts_allocates_nothing") {
  if (test::kSanitized) {
    return test::skip("a sanitizer has an allocator of its own");
  }
  const std::string route(300, 'r');
  const std::uint64_t before = allocations.load();
  std::size_t bytes = 0;
  for (int i = 0; i < 100; ++i) {
    for (const AddressKey& key : address_keys("2001:db8:1:2:3:4:5:6", {{.ipv6 = 127}, {}}))
      bytes += CompositeKey("user:42", i, key).view().size();
    bytes += AddressKey("203.0.113.7").view().size() + AddressKey(route).view().size();
    bytes += CompositeKey("user:42", std::string_view(route)).view().size();
  }
  const std::uint64_t after = allocations.load();
  CHECK(after == before);
  CHECK(bytes > 0);
}

/// From now on the kernel kills this process for any system call but stat, write and exit.
void forbid_system_calls() {
  const auto allow = [](unsigned number) {
    return sock_filter{BPF_JMP | BPF_JEQ | BPF_K, 0, 1, number};
  };
  const sock_filter yes{BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW};
  std::array filter{sock_filter{BPF_LD | BPF_W | BPF_ABS, 0, 0, offsetof(seccomp_data, nr)},
                    allow(SYS_newfstatat),
                    yes,
                    allow(SYS_exit_group),
                    yes,
                    sock_filter{BPF_RET | BPF_K, 0, 0, SECCOMP_RET_KILL_PROCESS}};
  sock_fprog program{static_cast<unsigned short>(filter.size()), filter.data()};
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) ::_exit(77);
  if (::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0) ::_exit(77);
}

TEST_CASE("decisions_make_no_system_call_but_one_stat_a_second") {
  if (test::kSanitized) {
    test::skip("a sanitizer makes system calls of its own");
    return;
  }
  test::Scratch segment({.keys = 1'000});
  if (segment->info().clock != ClockSource::tsc) {
    test::skip("no trusted TSC here");
    return;
  }
  test::Child child([&] {
    Limiter api = segment->limiter("api", Limit::per_second(1'000));
    (void)api.try_acquire("first");  // takes the child's seat
    forbid_system_calls();
    const Instant start = segment->now();
    for (int i = 0; segment->now() - start < std::chrono::milliseconds(1'500); ++i) {
      const char key[] = {'k', static_cast<char>('a' + i % 26),
                          static_cast<char>('a' + i / 26 % 26)};
      (void)api.try_acquire(std::string_view(key, sizeof key));
    }
    ::_exit(0);
  });
  const int code = child.wait();
  if (code == 77) {
    test::skip("no seccomp here");
    return;
  }
  CHECK(code == 0);
}

}  // namespace
}  // namespace rl
