#include "tests/small_segment.hpp"

#include <doctest/doctest.h>
#include <unistd.h>

#include <set>

#include "shm/mapping.hpp"
#include "tests/traced.hpp"

namespace rl::test {

bool can_trace() {
  static const bool possible = Traced::is_possible();
  if (!possible) skip("this machine does not let a process trace its child");
  set_log([](Severity, std::string_view, void*) noexcept {});
  return possible;
}

void warm_up(const Stage& stage) {
  (void)Segment::create(stage.path, small());
  REQUIRE(Segment::remove(stage.path));
}

SegmentOptions small() {
  return {.keys = 1, .labels = is_deep(), .policies = 2};
}

Limit three() {
  return Limit::parse("3/h burst=3");
}

int allowed_of(Limiter& limiter, int calls) {
  int allowed = 0;
  for (int i = 0; i < calls; ++i) allowed += limiter.try_acquire("k") ? 1 : 0;
  return allowed;
}

int take_all(Segment& segment) {
  Limiter limiter = segment.limiter("api", three());
  // The call that looks around still belongs to the segment that it leaves.
  (void)limiter.peek("k");
  return allowed_of(limiter, 5);
}

int take_all(const std::string& path) {
  Segment segment = Segment::open(path);
  return take_all(segment);
}

void make_used_segment(const std::string& path) {
  Segment segment = Segment::create(path, small());
  Limiter limiter = segment.limiter("api", three());
  REQUIRE(allowed_of(limiter, 1) == 1);
}

bool exists(const std::string& path) {
  return ::access(path.c_str(), F_OK) == 0;
}

bool is_retired(int fd) {
  std::uint32_t word = 0;
  REQUIRE(::pread(fd, &word, sizeof word, offsetof(shm::Header, retired)) == sizeof word);
  return word != 0;
}

void check_that_it_is_whole(const std::string& path, int left) {
  Segment segment = Segment::open(path);
  CHECK(segment.info().keys == small().keys);
  CHECK(segment.info().attached == 1);
  CHECK(take_all(segment) == left);
  check_that_no_key_has_two_slots(path);
}

}  // namespace rl::test
