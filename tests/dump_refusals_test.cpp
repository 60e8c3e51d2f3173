// A dump that is not whole, or not as it was written, is refused with the line; nothing of it is
// loaded. And no bytes in the place of a dump do anything else.
#include <rl/dump.hpp>

#include <doctest/doctest.h>

#include <random>
#include <string>
#include <vector>

#include "tests/dumps.hpp"
#include "tests/support.hpp"

namespace rl {
namespace {

using test::body_of;
using test::joined;
using test::lines_of;
using test::read;
using test::sealed;

/// A dump with a key of every kind: a head, four policies, seven keys, a ban and what was remembered
/// before it, the end.
std::string small_dump() {
  const auto dump_with = [](bool labels) {
    test::Scratch segment({.keys = 20, .labels = labels, .clock = ClockSource::manual});
    for (const char* key : {"user:42", "\n\"\\\xff", "a key that is longer than any label is"}) {
      CHECK(segment->limiter("api", Limit::parse("1/h burst=10")).try_acquire(key));
      if (labels) CHECK(segment->limiter("win", Limit::parse("window 5/h")).try_acquire(key));
    }
    CHECK(segment->limiter("slide", Limit::parse("sliding 5/h")).try_acquire("s"));
    segment->set_candidate("slide", Limit::parse("sliding 4/h"));
    Limiter bans = segment->limiter("bans", Limit::parse("1/h ban_after=1/m ban=1m"));
    CHECK(bans.try_acquire("b"));
    CHECK_FALSE(bans.try_acquire("b"));
    return test::dumped(*segment);
  };
  static const std::string text = [&] {
    std::vector<std::string> bodies;
    for (const std::string& line : lines_of(dump_with(true))) bodies.push_back(body_of(line));
    for (const std::string& line : lines_of(dump_with(false))) {
      if (line.find("\"slot\":") == line.npos || line.find("{\"policy\":1") != 0) continue;
      bodies.insert(bodies.end() - 1, body_of(line));
      break;
    }
    bodies.back() = "{\"lines\":" + std::to_string(bodies.size());
    return sealed(bodies);
  }();
  return text;
}

/// Returns the number of the line that the refusal names.
std::size_t refused_line(const std::string& text) {
  try {
    (void)read(text);
  } catch (const Error& e) {
    CAPTURE(e.what());
    CHECK(e.code() == Errc::corrupt);
    const std::string sentence = e.what();
    CHECK(sentence.ends_with("; nothing is loaded of it, take the dump anew"));
    REQUIRE(sentence.starts_with("line "));
    return std::stoul(sentence.substr(5));
  }
  FAIL("it was read");
  return 0;
}

TEST_CASE("the_small_dump_is_one") {
  CHECK(lines_of(small_dump()).size() == 16);
  CHECK_NOTHROW((void)read(small_dump()));
}

TEST_CASE("a_dump_that_is_cut_anywhere_is_refused_at_that_line") {
  const std::string text = small_dump();
  const std::vector<std::string> lines = lines_of(text);
  std::size_t at = 0;
  for (std::size_t line = 0; line < lines.size(); ++line) {
    for (std::size_t i = 0; i < lines[line].size(); ++i, ++at) {
      CAPTURE(at);
      REQUIRE(refused_line(text.substr(0, at)) == line + 1);
    }
  }
  REQUIRE(at == text.size());
}

TEST_CASE("a_byte_that_is_changed_anywhere_is_refused_at_its_line") {
  const std::string text = small_dump();
  const std::vector<std::string> lines = lines_of(text);
  std::size_t at = 0;
  for (std::size_t line = 0; line < lines.size(); ++line) {
    for (std::size_t i = 0; i < lines[line].size(); ++i, ++at) {
      for (const int flip : {1, 2, 32, 128}) {
        std::string changed = text;
        changed[at] = static_cast<char>(changed[at] ^ flip);
        CAPTURE(changed.substr(at, 20));
        try {
          (void)read(changed);
          FAIL("it was read");
        } catch (const Error& e) {
          // Another number of the format is another format.
          if (e.code() == Errc::wrong_version) continue;
        }
        REQUIRE(refused_line(changed) == line + 1);
      }
    }
  }
}

TEST_CASE("a_line_that_is_missing_doubled_or_moved_is_named") {
  const std::vector<std::string> lines = lines_of(small_dump());
  for (std::size_t i = 0; i < lines.size(); ++i) {
    CAPTURE(i);
    std::vector<std::string> changed = lines;
    changed.erase(changed.begin() + static_cast<std::ptrdiff_t>(i));
    CHECK(refused_line(joined(changed)) == i + 1);

    changed = lines;
    changed.insert(changed.begin() + static_cast<std::ptrdiff_t>(i), lines[i]);
    CHECK(refused_line(joined(changed)) == i + 2);

    for (std::size_t j = i + 1; j < lines.size(); ++j) {
      changed = lines;
      std::swap(changed[i], changed[j]);
      CHECK(refused_line(joined(changed)) == i + 1);
    }
  }
}

TEST_CASE("what_stands_behind_the_end_is_refused") {
  const std::string text = small_dump();
  for (const char* more : {"\n", " ", "{}", "{}\n"}) {
    CAPTURE(more);
    CHECK(refused_line(text + more) == 17);
  }
  CHECK(refused_line(text + text) == 17);
}

TEST_CASE("what_is_no_dump_is_refused") {
  for (const char* text : {"", "\n", "{}\n", "[]\n", "null\n", "web\n", "{\"librl_dump\":\"1\"}\n",
                           "{\"librl_dump\":1}\n", "{\"librl_dump\":-1}\n"}) {
    CAPTURE(text);
    CHECK(refused_line(text) == 1);
  }
  CHECK(refused_line(std::string(1'000'000, 'x')) == 1);
  CHECK(refused_line(std::string(60'000, '[') + "\n") == 1);
  CHECK_THROWS_WITH_AS(
      (void)read("{\"librl_dump\":3,\"unheard\":[]}\n"),
      "the dump is of format 3, and this library reads 1 to 2; load it with the version "
      "of librl that wrote it, or a later one",
      Error);
}

TEST_CASE("a_source_that_never_ends_is_left_at_its_first_line") {
  std::size_t asked = 0;
  CHECK_THROWS_AS((void)Dump::read([&](std::span<char> to) {
                    REQUIRE(++asked < 100);
                    std::fill(to.begin(), to.end(), ' ');
                    return to.size();
                  }),
                  Error);
}

/// Edits a member of a line, and makes all sums fit again.
std::string edited(std::size_t line, std::string_view what, std::string_view by) {
  std::vector<std::string> bodies;
  for (const std::string& each : lines_of(small_dump())) bodies.push_back(body_of(each));
  const std::size_t at = bodies[line].find(what);
  REQUIRE_MESSAGE(at != std::string::npos, bodies[line]);
  bodies[line].replace(at, what.size(), by);
  return sealed(bodies);
}

/// Returns the index of the first line that has a member.
std::size_t line_with(std::string_view member) {
  const std::vector<std::string> lines = lines_of(small_dump());
  for (std::size_t i = 0; i < lines.size(); ++i)
    if (lines[i].find(member) != std::string::npos) return i;
  FAIL("no line has it");
  return 0;
}

TEST_CASE("a_forged_line_whose_sum_fits_is_checked_member_by_member") {
  const struct {
    std::string_view in, what, by;
  } forgeries[] = {
      {"librl_dump", "\"keys\":20", "\"keys\":0"},
      {"librl_dump", "\"keys\":20", "\"keys\":-1"},
      {"librl_dump", "\"keys\":20", "\"keys\":1e3"},
      {"librl_dump", "\"keys\":20", "\"keys\":99999999999999999999"},
      {"librl_dump", "\"keys\":20", "\"keys\":\"20\""},
      {"librl_dump", "\"labels\":true", "\"labels\":1"},
      {"librl_dump", "\"clock\":\"manual\"", "\"clock\":\"sun\""},
      {"librl_dump", "\"policies\":1024", "\"policies\":65536"},
      {"librl_dump", "\"secret\":\"", "\"secret\":\"x"},
      {"\"kind\"", "\"kind\":\"limit\"", "\"kind\":\"edict\""},
      {"\"kind\"", "\"limit\":\"1/h burst=10\"", "\"limit\":\"1/h burst=0\""},
      {"\"kind\"", "\"limit\":\"1/h burst=10\"", "\"limit\":\"\""},
      {"\"kind\"", "\"name\":\"api\"", "\"name\":\"\""},
      {"\"kind\"", "\"name\":\"api\"", "\"name\":\"a b\""},
      {"\"kind\"", "\"name\":\"api\"", "\"name\":\"\\u0100\""},
      {"\"kind\"", "\"name\":\"api\"", "\"name\":7"},
      {"\"kind\"", "\"policy\":1", "\"policy\":0"},
      {"\"kind\"", "\"policy\":1", "\"policy\":65536"},
      {"\"kind\"", "\"interval_ns\":3600000000000", "\"interval_ns\":3600000000001"},
      {"\"name\":\"win\"", "\"policy\":2", "\"policy\":1"},
      {"\"name\":\"win\"", "\"name\":\"win\"", "\"name\":\"api\""},
      {"\"key\"", "\"policy\":", "\"policy\":4"},
      {"\"key\":\"user:42\"", "\"key\":\"user:42\"", "\"key\":\"\""},
      {"\"key\":\"user:42\"", "\"key\":\"user:42\"",
       "\"key\":\"0123456789012345678901234567890*\""},
      {"\"key\":\"user:42\"", "\"key\":\"user:42\"", "\"kay\":\"user:42\""},
      {"\"debt_ns\"", "\"debt_ns\":", "\"debt_ns\":9999999"},
      {"\"debt_ns\"", "\"debt_ns\"", "\"depth_ns\""},
      {"\"debt_ns\"", "\"allowed\":", "\"allowed\":-"},
      {"\"before\"", "\"before\":0", "\"before\":9999999999999999999"},
      {"\"count\"", "\"into_ns\"", "\"onto_ns\""},
      {"\"begins\"", "\"begins\":\"", "\"begins\":\"x"},
      {"\"begins\"", "\"place\":\"", "\"place\":\"0"},
      {"\"begins\"", "\"sides\":", "\"sides\":4"},
      {"\"begins\"", "\"identity\":\"", "\"identity\":\"-"},
      {"\"slot\"", "\"slot\":", "\"slot\":99999"},
      {"\"slot\"", "\"identity\"", "\"enmity\""},
      {"librl_dump", "\"off_unix_ns\":0", "\"off_unix_ns\":-1"},
      {"librl_dump", "\"off_unix_ns\":0", "\"off_unix_ns\":true"},
      {"librl_dump", "\"off_unix_ns\"", "\"odd_unix_ns\""},
      {"\"trial\"", "\"trial\":\"sliding 4/h\"", "\"trial\":\"sliding 4/\""},
      {"\"trial\"", "\"trial\":\"sliding 4/h\"", "\"trial\":\"concurrency 4\""},
      {"\"trial\"", "\"trial\":\"sliding 4/h\"", "\"trial\":4"},
      {"\"standing\"", "\"standing\":\"banned\"", "\"standing\":\"bandaged\""},
      {"\"standing\"", "\"level\":0", "\"level\":16"},
      {"\"standing\"", "\"level\"", "\"bevel\""},
      {"\"conduct\"", "\"conduct\":\"1/s when_full=deny ban_after=1/m ban=1m\"",
       "\"conduct\":\"1/s\""},
      {"\"conduct\"", "ban_after=1/m", "ban_after=0/m"},
      {"\"conduct\"", "\"conduct\":\"", "\"conduct\":\"x"},
      {"\"conduct\"", "\"denials\":0", "\"denials\":1048576"},
      {"\"conduct\"", "\"denials\"", "\"denies\""},
      {"\"conduct\"", "\"level\":1", "\"level\":7"},
      {"\"conduct\"", "\"left_ns\":", "\"left_ns\":99999999"},
      {"\"conduct\"", "\"left_ns\"", "\"loft_ns\""},
      {"\"conduct\"", "\"policy\":", "\"policy\":9"},
      {"\"conduct\"", "\"key\":\"b\"", "\"key\":\"\""},
      {"\"lines\"", "\"lines\":16", "\"lines\":15"},
  };
  for (const auto& forgery : forgeries) {
    CAPTURE(forgery.by);
    const std::size_t line = line_with(forgery.in);
    CHECK(refused_line(edited(line, forgery.what, forgery.by)) == line + 1);
  }
}

TEST_CASE("members_that_this_version_does_not_know_are_passed_over") {
  for (const char* of : {"librl_dump", "\"kind\"", "\"key\"", "\"slot\"", "\"standing\"",
                         "\"conduct\"", "\"lines\""}) {
    CAPTURE(of);
    CHECK_NOTHROW((void)read(edited(line_with(of), "{", "{\"later\":[{}],")));
  }
}

TEST_CASE("no_random_bytes_do_anything_but_be_refused_or_loaded") {
  std::mt19937_64 random(test::seed());
  INFO("RL_TEST_SEED=" << test::seed());
  test::Scratch segment({.keys = 20, .clock = ClockSource::manual});
  std::vector<std::string> bodies;
  for (const std::string& line : lines_of(small_dump())) bodies.push_back(body_of(line));
  const std::string_view pieces[] = {"0",       "18446744073709551615",
                                     "\"",      "}",
                                     "{",       "[",
                                     "null",    "-",
                                     "e9",      "\\u00ff",
                                     "\\u0000", ",",
                                     ":",       "\xff",
                                     "true",    "4611686018427387904"};
  std::size_t loaded = 0;
  for (int round = 0; round < 4'000; ++round) {
    std::vector<std::string> changed = bodies;
    for (std::uint64_t edits = 1 + random() % 2; edits != 0; --edits) {
      std::string& line = changed[random() % changed.size()];
      if (line.empty()) continue;
      const std::size_t at = random() % line.size();
      const std::string_view piece = pieces[random() % std::size(pieces)];
      line.replace(at, random() % 3, piece);
      if (random() % 8 == 0) std::swap(changed[random() % changed.size()], line);
    }
    try {
      loaded += read(sealed(changed)).load(*segment, {.partial = true}).keys != 0 ? 1U : 0U;
    } catch (const Error& e) {
      CHECK(std::string_view(e.what()) != "");
    }
  }
  CHECK(loaded != 0);  // edits of keys' texts and of numbers
  CHECK_NOTHROW((void)test::dumped(*segment));
}

TEST_CASE("a_dump_that_is_refused_changes_nothing") {
  test::Scratch segment({.keys = 20, .clock = ClockSource::manual});
  (void)segment->limiter("api", Limit::parse("1/h burst=10")).try_acquire("user:42", 3);
  const std::string before = test::contents(segment.path());
  const std::string text = small_dump();
  CHECK_THROWS_AS((void)read(text.substr(0, text.size() - 1)).load(*segment), Error);
  CHECK_THROWS_AS((void)read(text).load(*segment), Error);  // another secret
  CHECK(test::contents(segment.path()) == before);
}

}  // namespace
}  // namespace rl
