// Every verb of rlctl, walked from its table: on bytes that nobody wrote, on a segment that is sound, and
// on a file that is cut short under it.
#include <random>

#include "tests/hostile/walked_verbs.hpp"

namespace rl::hostile {
namespace {

using Random = std::mt19937_64;

struct Region {
  std::string name;
  std::uint64_t at;
  std::uint64_t end;
};

std::vector<Region> regions_of(const shm::Geometry& g) {
  return {{"seats", g.seats_offset, g.policies_offset},
          {"policies", g.policies_offset, g.journal_offset},
          {"journal", g.journal_offset, g.events_offset},
          {"rings of events", g.events_offset, g.stripes_offset},
          {"stripes", g.stripes_offset, g.pairs_offset},
          {"slots", g.pairs_offset, g.labels_offset},
          {"labels", g.labels_offset, g.total_bytes},
          {"all but the constants", sizeof(shm::HeaderConstants), g.total_bytes}};
}

TEST_CASE("P_every_verb_ends_clearly_on_random_bytes_and_a_reader_changes_none") {
  const VerbWalk verbs;
  const Place place;
  Random random(test::seed());
  INFO("RL_TEST_SEED=", test::seed());
  for (const Region& region : regions_of(Forged({}).geometry())) {
    CAPTURE(region.name);
    Forged forged({});
    for (std::uint64_t at = region.at; at < region.end; ++at)
      forged.bytes()[at] = static_cast<unsigned char>(random());
    forged.header().retired.store(0, std::memory_order_relaxed);  // one thread
    if (random() % 2 == 0) forged.seal_policies();
    walk(
        verbs, place, [&] { place.put(forged); }, plainly,
        [](const VerbCommand& command, const Ran& ran, bool is_as_it_was) {
          check_end(ran, command.words);
          CHECK_MESSAGE((!command.reads() || is_as_it_was), text_of(command.words));
        });
  }
}

TEST_CASE("a_reader_changes_no_byte_of_a_segment_that_is_sound") {
  const VerbWalk verbs;
  const Place place;
  const Forged forged({});
  std::size_t answered = 0;
  walk(
      verbs, place, [&] { place.put(forged); }, plainly,
      [&](const VerbCommand& command, const Ran& ran, bool is_as_it_was) {
        check_end(ran, command.words);
        answered += ran.exit_code != 2;
        CHECK_MESSAGE((!command.reads() || is_as_it_was), text_of(command.words));
      });
  CHECK(answered > 60);  // or the commands are wrong, and nothing is read
}

TEST_CASE("a_segment_that_is_cut_short_under_a_verb_is_said_and_no_crash") {
  if (test::kSanitized) return test::skip("a sanitizer wants to be loaded first");
  const char* const cut_short = std::getenv("RL_CUT_SHORT_LIBRARY");
  REQUIRE(cut_short != nullptr);
  const VerbWalk verbs;
  const Place place;
  const Forged forged({});
  std::size_t lost = 0;
  walk(
      verbs, place, [&] { place.put(forged); },
      [&](Words words) {
        words.insert(words.begin(), {"env", std::string("LD_PRELOAD=") + cut_short,
                                     "RL_CUT_SHORT=" + place.path(), test::rlctl_path()});
        return test::run(words);
      },
      [&](const VerbCommand& command, const Ran& ran, bool) {
        check_end(ran, command.words);
        lost += ran.err.find("its file was cut short while it was open") != ran.err.npos;
      });
  CHECK(lost > 40);
}

TEST_CASE("a_segment_that_is_cut_short_while_it_is_followed_is_said_and_no_crash") {
  const Place place;
  place.put(Forged({}));
  REQUIRE(rlctl({"off", place.path()}).exit_code == 0);  // an event
  // The first line says that it looks at the rings, over and over.
  const Ran ran = test::run(
      {"bash", "-c",
       "coproc \"$0\" events \"$1\" --follow --json && read -r line <&\"${COPROC[0]}\" && "
       "truncate -s 0 \"$1\" && wait \"$COPROC_PID\"",
       test::rlctl_path(), place.path()});
  CAPTURE(ran.err);
  CHECK(ran.exit_code == 2);
  CHECK(ran.err.starts_with("rlctl: the segment's memory is gone"));
}

}  // namespace
}  // namespace rl::hostile
