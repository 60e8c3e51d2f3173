/// \file
/// One segment's file is cut short while rlctl has it mapped. What rlctl was asked of another does not
/// end with it.
#include <doctest/doctest.h>

#include <filesystem>
#include <map>

#include "tests/events.hpp"
#include "tests/hostile/forge.hpp"
#include "tests/rlctl.hpp"

namespace rl::hostile {
namespace {

using test::Ran;
using test::Words;

/// A folder with a segment that is sound, and one that is cut short as soon as somebody maps it.
class TwoSegments {
 public:
  TwoSegments() {
    Forged({}).write_to(sound());
    Forged({}).write_to(cut());
  }
  [[nodiscard]] const std::string& folder() const { return folder_.path(); }
  [[nodiscard]] std::string sound() const { return folder_.at("rl.sound"); }
  [[nodiscard]] std::string cut() const { return folder_.at("rl.cut"); }
  /// Runs rlctl, and cuts the one: when it is mapped, or late, when rlctl makes a file beside it.
  [[nodiscard]] Ran rlctl(Words words, bool is_late = false) const {
    const char* const library = std::getenv("RL_CUT_SHORT_LIBRARY");
    REQUIRE(library != nullptr);
    words.insert(words.begin(), {"env", std::string("LD_PRELOAD=") + library,
                                 "RL_CUT_SHORT=" + cut(), test::rlctl_path()});
    if (is_late) words.insert(words.begin() + 1, "RL_CUT_SHORT_LATE=1");
    return test::run(words);
  }

 private:
  test::Folder folder_;
};

TEST_CASE("doctor_of_one_segment_does_not_end_with_another") {
  if (test::kSanitized) return test::skip("a sanitizer wants to be loaded first");
  const TwoSegments two;
  const Ran other = two.rlctl({"doctor", two.sound()});
  CAPTURE(other.err);
  CHECK(other.exit_code != 2);
  CHECK(other.out.find("nothing found") != other.out.npos);
  // Or nobody would have cut it.
  test::check_error(two.rlctl({"info", two.cut()}), "its file was cut short while it was open");
}

TEST_CASE("a_segment_that_is_cut_short_is_a_row_and_the_others_are_listed") {
  if (test::kSanitized) return test::skip("a sanitizer wants to be loaded first");
  const TwoSegments two;
  const Ran ran = two.rlctl({"segments", two.folder(), "--json"});
  CAPTURE(ran.err);
  CHECK(ran.exit_code == 0);
  CHECK(ran.err == "");
  std::map<std::string, nlohmann::json> rows;
  for (const nlohmann::json& row : test::json_lines(ran.out)) rows.emplace(row["path"], row);
  REQUIRE(rows.contains(two.sound()));
  CHECK(rows[two.sound()]["state"] == "orphaned");
  CHECK(rows[two.sound()]["keys"].is_number());
  REQUIRE(rows.contains(two.cut()));
  CHECK(rows[two.cut()]["state"] == "cut short");
  CHECK(rows[two.cut()]["keys"] == nullptr);
  const TwoSegments anew;
  const Ran text = anew.rlctl({"segments", anew.folder()});
  CHECK(text.exit_code == 0);
  CHECK(text.out.find(anew.cut() + ": cut short: its file was cut short while") != text.out.npos);
}

TEST_CASE("a_dump_of_a_segment_that_is_cut_short_leaves_no_file") {
  if (test::kSanitized) return test::skip("a sanitizer wants to be loaded first");
  const TwoSegments two;
  const test::Folder to;
  const Ran ran = two.rlctl({"dump", two.cut(), "--output", to.at("dump")}, true);
  test::check_error(ran, "its file was cut short while it was open");
  CHECK(std::filesystem::is_empty(to.path()));
}

}  // namespace
}  // namespace rl::hostile
