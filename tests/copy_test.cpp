// A segment is copied while its limits are changed. What else happens beside a copy:
// processes_test.cpp.
#include <doctest/doctest.h>

#include <functional>
#include <string>

#include <rl/rl.hpp>

#include "shm/mapping.hpp"
#include "src/policy.hpp"
#include "tests/no_key_twice.hpp"
#include "tests/support.hpp"

namespace rl {
namespace {

constexpr int kKeys = 40;
constexpr SegmentOptions kByHand{.keys = 200, .clock = ClockSource::manual};

std::string key_of(int i) {
  return "key-" + std::to_string(i);
}

/// What happens when the copy has read a key's slot and comes to the next.
std::function<void()> beside_the_copy;

std::uint64_t state_with_rivals(const shm::PolicyConstants& policy, std::uint64_t state) {
  beside_the_copy();
  return state_in_copy(policy, state);
}

/// Copies a segment, and returns the copy.
Segment copy_of(Segment& segment, const std::string& name) {
  const auto old = shm::Mapping::attach(segment.path(), shm::Access::read_write, false);
  (void)shm::Mapping::recreate(shm::path_of(name), old, state_with_rivals);
  test::check_that_no_key_has_two_slots(shm::path_of(name));
  return Segment::open(name);
}

TEST_CASE("A_keys_that_a_change_moves_while_their_segment_is_copied_keep_what_they_owe") {
  test::Scratch segment(kByHand);
  Limiter api = segment->limiter("api", Limit::parse("1/h burst=10"));
  for (int i = 0; i < kKeys; ++i) REQUIRE(api.try_acquire(key_of(i), 3));
  int read = 0;  // slots
  beside_the_copy = [&] {
    if (++read != kKeys / 2) return;
    segment->set_policy("api", Limit::parse("1/h burst=20"));
    segment->ban("api", "bot", std::chrono::hours(1));
    for (int i = 0; i < kKeys; ++i) REQUIRE(api.try_acquire(key_of(i)));
  };
  const std::string name = test::unique_name();
  const test::RemoveAtEnd end(name);
  Segment copy = copy_of(*segment, name);
  CHECK(read == kKeys / 2 + kKeys + 1);  // up to the change and beyond, and all of them again
  Limiter again = copy.limiter("api");
  for (int i = 0; i < kKeys; ++i) {
    CHECK(again.peek(key_of(i)).limit == 20);
    CHECK(again.peek(key_of(i)).remaining == 16);
  }
  CHECK(again.try_acquire("bot").reason == Reason::banned);
}

TEST_CASE("P_a_copy_beside_changes_without_end_ends") {
  test::Scratch segment(kByHand);
  Limiter api = segment->limiter("api", Limit::parse("1/h burst=10"));
  for (int i = 0; i < kKeys; ++i) REQUIRE(api.try_acquire(key_of(i), 3));
  std::uint64_t read = 0;
  beside_the_copy = [&] {
    REQUIRE(++read <= 10 * kKeys);
    segment->set_policy("api", Limit::parse("1/h").burst(10 + read));
    REQUIRE(api.try_acquire(key_of(static_cast<int>(read) % kKeys)));
  };
  const std::string name = test::unique_name();
  const test::RemoveAtEnd end(name);
  Segment copy = copy_of(*segment, name);
  CHECK(read > kKeys);
  CHECK(copy.limiter("api").limit().burst() > 10);
}

}  // namespace
}  // namespace rl
