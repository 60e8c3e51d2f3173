/// \file
/// What the tests of rlctl share: running the real program, and segments for it to work on.
#pragma once

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

#include <doctest/doctest.h>

#include "tests/support.hpp"

namespace rl::test {

using Words = std::vector<std::string>;

inline std::string rlctl_path() {
  const char* path = std::getenv("RLCTL");
  REQUIRE_MESSAGE(path != nullptr, "RLCTL says where the program is; meson test sets it");
  return path;
}

inline Ran rlctl(Words arguments, std::string_view input = {}) {
  arguments.insert(arguments.begin(), rlctl_path());
  return run(arguments, input);
}

/// Runs a line of shell in which $RLCTL is the program.
inline Ran shell(const std::string& line) {
  (void)rlctl_path();
  return run({"sh", "-c", line});
}

/// What an answer looks like: the whole of standard output, and silence on the other.
inline void check_answer(const Ran& ran, int exit_code, std::string_view out) {
  CHECK(ran.exit_code == exit_code);
  CHECK(ran.out == out);
  CHECK(ran.err == "");
}

/// What every error looks like: exit code 2, or what a verb has for that, nothing on standard output,
/// and one sentence.
inline void check_error(const Ran& ran, std::string_view part, int exit_code = 2) {
  CAPTURE(ran.err);
  CHECK(ran.exit_code == exit_code);
  CHECK(ran.out == "");
  CHECK(ran.err.starts_with("rlctl: "));
  CHECK(std::count(ran.err.begin(), ran.err.end(), '\n') == 1);
  CHECK(ran.err.ends_with('\n'));
  CHECK(ran.err.find(part) != ran.err.npos);
}

inline constexpr std::string_view kDigits = "0123456789";

/// Returns the text with every run of `characters` that stands after `prefix` replaced by `by`.
inline std::string masked(std::string text, std::string_view prefix, std::string_view characters,
                          std::string_view by) {
  for (std::size_t at = 0; (at = text.find(prefix, at)) != text.npos;) {  // ends: `at` grows
    at += prefix.size();
    const std::size_t end = std::min(text.find_first_not_of(characters, at), text.size());
    text.replace(at, end - at, by);
  }
  return text;
}

/// A segment on a manual clock that rlctl made, so that no process is attached to it.
class Made {
 public:
  explicit Made(const Words& options = {}) : name_(unique_name()), end_(name_) {
    Words words{"create", name_, "--keys", "100", "--clock", "manual"};
    words.insert(words.end(), options.begin(), options.end());
    const Ran ran = rlctl(words);
    REQUIRE_MESSAGE(ran.exit_code == 0, ran.err);
  }
  [[nodiscard]] const std::string& name() const noexcept { return name_; }
  [[nodiscard]] std::string path() const { return "/dev/shm/rl." + name_; }
  void policy(const std::string& policy, const std::string& limit) const {
    REQUIRE(rlctl({"policy", "set", name_, policy, limit}).exit_code == 0);
  }
  /// Replaces what differs from run to run or from layout to layout.
  [[nodiscard]] std::string masked(std::string text) const {
    for (std::size_t at = 0; (at = text.find(name_)) != text.npos;)  // ends: each is replaced
      text.replace(at, name_.size(), "NAME");
    for (const char* prefix : {"created    ", "created\":\""})
      text = test::masked(text, prefix, "0123456789-:TZ", "TIME");
    for (const char* prefix :
         {"process ", "creator_pid\":", "creator_uid\":", "slots\":", "idle, "})
      text = test::masked(text, prefix, kDigits, "N");
    text = test::masked(text, "size       ", "0123456789. KMiB", "SIZE");
    return test::masked(text, "process N, ", "0123456789. nsumhid", "AGE ");
  }

 private:
  std::string name_;
  RemoveAtEnd end_;
};

/// A directory of the test's own, removed with all that is in it.
class Folder {
 public:
  Folder() {
    path_ = "/dev/shm/" + unique_name();
    REQUIRE(::mkdir(path_.c_str(), 0700) == 0);
    ::chmod(path_.c_str(), 0755);
  }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  ~Folder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  [[nodiscard]] std::string at(const std::string& file) const { return path_ + "/" + file; }
  [[nodiscard]] const std::string& path() const noexcept { return path_; }

 private:
  std::string path_;
};

}  // namespace rl::test
