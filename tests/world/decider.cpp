// A small user of the library, built by several compilers: makes a segment, decides on it beside
// another of its kind, and writes down all that it reads there. See two_compilers_test.sh.
//
// usage: decider create SEGMENT POLICY LIMIT
//        decider hammer SEGMENT POLICY LIMIT ROUND CALLS GATE   waits for the file GATE, then calls
//        decider read SEGMENT
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include <rl/rl.hpp>

namespace {

/// Prints how often the hot key and a thousand new ones were admitted.
int hammer(char** words) {
  rl::Segment segment = rl::Segment::open(words[0]);
  rl::Limiter hot = segment.limiter(words[1], rl::Limit::parse(words[2]));
  rl::Limiter once = segment.limiter(std::string("once-") + words[1], rl::Limit::per_day(1));
  const std::string round = words[3];
  const long calls = std::strtol(words[4], nullptr, 10);
  std::puts("ready");
  std::fflush(stdout);
  while (::access(words[5], F_OK) != 0) {  // ends: the script makes it, or ends us
  }
  long admitted = 0;
  long admitted_once = 0;
  for (long i = 0; i < calls; ++i) {
    admitted += hot.try_acquire("hot-" + round) ? 1 : 0;
    if (i % 100 == 0) {
      const std::string key = "new-" + round + "-" + std::to_string(i / 100 % 1'000);
      admitted_once += once.try_acquire(key) ? 1 : 0;
    }
  }
  std::printf("%ld %ld\n", admitted, admitted_once);
  return 0;
}

/// Prints what any reader must find the same, in an order of its own.
int read(const char* name) {
  const rl::Segment segment = rl::Segment::open_read_only(name);
  const rl::SegmentInfo info = segment.info();
  std::printf(
      "layout %u by %s, %llu keys in %llu slots, %llu bytes, %u policies, %llu evicted\n",
      info.layout_version, info.creator_version.c_str(), static_cast<unsigned long long>(info.keys),
      static_cast<unsigned long long>(info.slots), static_cast<unsigned long long>(info.bytes),
      info.policies, static_cast<unsigned long long>(info.evicted));
  for (const rl::PolicyInfo& policy : segment.policies()) {
    std::printf("policy %u %s %s\n", policy.id, policy.name.c_str(),
                policy.limit ? policy.limit->to_string().c_str() : "?");
  }
  std::vector<std::string> rows;
  segment.for_each_key([&](const rl::KeyInfo& key) {
    rows.push_back(key.policy + " " + key.key.value_or("?") + " " +
                   std::to_string(key.allowed_count) + "/" + std::to_string(key.denied_count) +
                   ", " + std::to_string(key.remaining) + " of " + std::to_string(key.limit));
  });
  std::sort(rows.begin(), rows.end());
  for (const std::string& row : rows) std::puts(row.c_str());
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    const std::string verb = argc > 2 ? argv[1] : "";
    if (verb == "create" && argc == 5) {
      rl::Segment segment = rl::Segment::create(argv[2], {.keys = 20'000});
      (void)segment.limiter(argv[3], rl::Limit::parse(argv[4]));
      return 0;
    }
    if (verb == "hammer" && argc == 8) return hammer(argv + 2);
    if (verb == "read" && argc == 3) return read(argv[2]);
    std::fputs("usage: see the head of decider.cpp\n", stderr);
  } catch (const std::exception& e) {
    std::fprintf(stderr, "decider: %s\n", e.what());
  }
  return 2;
}
