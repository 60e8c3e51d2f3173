/// \file
/// Runs many trials, each of which may crash, hang or throw. They run one after the other in a
/// child process, which is fast; where one ends the child or the deadline passes, it is named and a
/// new child goes on with the next.
#pragma once

#include <algorithm>
#include <array>
#include <cstring>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <doctest/doctest.h>

#include "tests/hostile/scratch.hpp"
#include "tests/hostile/surface.hpp"
#include "tests/support.hpp"

namespace rl::hostile {

struct Trial {
  std::string name;
  /// Returns why it was refused, or nothing where it worked; throws where a promise was broken.
  std::function<std::optional<Errc>()> run;
};

/// Ten times what the slowest sound trial takes on a slow machine under sanitizers.
inline constexpr unsigned kDeadlineSeconds = 20;

/// How the trials ended: how many worked, and how many were refused with each reason.
struct Outcomes {
  static constexpr std::size_t kReasons = static_cast<std::size_t>(Errc::system) + 1;
  std::size_t worked = 0;
  std::array<std::size_t, kReasons> refused{};

  [[nodiscard]] std::size_t refusals(Errc code) const {
    return refused[static_cast<std::size_t>(code)];
  }
  [[nodiscard]] std::size_t tried() const {
    std::size_t sum = worked;
    for (const std::size_t count : refused) sum += count;
    return sum;
  }
  [[nodiscard]] std::string text() const {
    return std::to_string(tried()) + " tried: " + std::to_string(worked) + " worked, " +
           std::to_string(refusals(Errc::not_a_segment)) + " refused as no segment, " +
           std::to_string(refusals(Errc::wrong_version)) + " as another version, " +
           std::to_string(refusals(Errc::wrong_host)) + " as another host's, " +
           std::to_string(refusals(Errc::corrupt)) + " as corrupt";
  }
};

/// Fails the test for every trial that ends badly, by its name.
inline Outcomes run_trials(const std::vector<Trial>& trials) {
  struct Progress {
    std::size_t current;
    Outcomes outcomes;
    char why[256];
  };
  test::Shared<Progress> shared;
  Progress& progress = shared[0];
  int failures = 0;
  for (std::size_t next = 0; next < trials.size() && failures < 10; next = progress.current + 1) {
    std::strcpy(progress.why, "ended by a sanitizer, see above");
    test::Child child([&] {
      // The parent tells of a crash; the framework's handlers would do so in the child, too.
      for (const int crash : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT}) ::signal(crash, SIG_DFL);
      end_with_parent();
      listen();
      for (progress.current = next; progress.current < trials.size(); ++progress.current) {
        ::alarm(kDeadlineSeconds);
        try {
          const auto refused = trials[progress.current].run();
          ++(refused ? progress.outcomes.refused[static_cast<std::size_t>(*refused)]
                     : progress.outcomes.worked);
        } catch (const std::exception& e) {
          std::strncpy(progress.why, e.what(), sizeof progress.why - 1);
          throw;
        }
      }
    });
    const int code = child.wait();
    if (code == 0) break;
    ++failures;
    const std::string why = code == 1               ? progress.why
                            : code == 128 + SIGALRM ? "it did not end"
                                                    : "ended with " + std::to_string(code);
    FAIL_CHECK(why << ": trial " << progress.current << ", " << trials[progress.current].name
                   << ", RL_TEST_SEED=" << test::seed());
  }
  return progress.outcomes;
}

/// Removes what lies at scratch_path() at the end of the scope.
struct CleanUp {
  CleanUp() = default;
  CleanUp(const CleanUp&) = delete;
  CleanUp& operator=(const CleanUp&) = delete;
  ~CleanUp() { remove_scratch(); }
};

}  // namespace rl::hostile
