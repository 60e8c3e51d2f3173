// Processes that ask for many keys at once.

#include <doctest/doctest.h>

#include <array>
#include <string>
#include <vector>

#include "tests/no_key_twice.hpp"
#include "tests/support.hpp"

namespace rl {
namespace {

TEST_CASE("A_S_batches_of_four_processes_admit_exactly_the_limit_of_every_key") {
  constexpr int kKeys = 100;
  constexpr int kLimit = 50;
  for (const char* text :
       {"50/3650d", "leaky 1/d queue=49", "window 50/3650d", "sliding 50/3650d"}) {
    CAPTURE(text);
    test::Scratch segment({.keys = kKeys});
    Limiter api = segment->limiter("api", Limit::parse(text));
    test::Shared<std::atomic<int>> admitted(kKeys);
    std::vector<test::Child> children;
    for (int i = 0; i < 4; ++i) {
      children.emplace_back([&] {
        std::vector<std::string> names;
        for (int key = 0; key < kKeys; ++key) names.push_back("user:" + std::to_string(key));
        const std::vector<std::string_view> keys(names.begin(), names.end());
        std::array<Decision, kKeys> decisions;
        for (int round = 0; round < 2 * kLimit; ++round) {
          api.try_acquire_batch(keys, decisions);
          for (std::size_t key = 0; key < keys.size(); ++key)
            admitted[key] += decisions.at(key) ? 1 : 0;
        }
      });
    }
    for (test::Child& child : children) REQUIRE(child.wait() == 0);
    for (std::size_t key = 0; key < kKeys; ++key) REQUIRE(admitted[key] == kLimit);
    test::check_that_no_key_has_two_slots(segment.path());
  }
}

}  // namespace
}  // namespace rl
