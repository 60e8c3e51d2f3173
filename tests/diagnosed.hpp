/// \file
/// What tests of `rlctl doctor` and `rlctl repair` share: findings, what they say mends them, and
/// slots that hold what none can hold.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "shm/mapping.hpp"
#include "src/core.hpp"
#include "tests/events.hpp"
#include "tests/rlctl.hpp"
#include "tests/web.hpp"

namespace rl::test {

/// Returns what the doctor finds, of one check or of all.
inline std::vector<Json> findings_of(const std::string& name, std::string_view check = "") {
  const Ran ran = rlctl({"doctor", name, "--json"});
  CAPTURE(ran.err);
  CHECK(ran.exit_code <= 1);
  std::vector<Json> findings;
  bool harms = false;
  for (Json& finding : json_lines(ran.out)) {
    harms |= finding["severity"] != "note";
    CHECK(finding["segment"] == name);
    if (check.empty() || finding["check"] == check) findings.push_back(std::move(finding));
  }
  CHECK(ran.exit_code == (harms ? 1 : 0));
  return findings;
}

/// Does what a finding says mends it, in a folder of its own; `rlctl` is the program under test.
inline Ran do_as_told(const Json& finding) {
  const Folder folder;
  const std::string programs = std::filesystem::path(rlctl_path()).parent_path();
  return run({"bash", "-c",
              "cd " + folder.path() + " && PATH=" + programs + ":$PATH && " +
                  finding["fix"].get<std::string>()});
}

/// Holds that a check finds one thing, of this severity, and nothing once that was mended as told.
inline void check_found_and_mended(const std::string& name, std::string_view check,
                                   std::string_view severity) {
  CAPTURE(check);
  const std::vector<Json> findings = findings_of(name, check);
  REQUIRE(findings.size() == 1);
  CHECK(findings[0]["severity"] == severity);
  const Ran mended = do_as_told(findings[0]);
  CAPTURE(findings[0]["fix"].get<std::string>());
  CAPTURE(mended.err);
  CHECK(mended.exit_code == 0);
  CHECK(findings_of(name, check).empty());
}

/// A process that has a segment open until the end of the scope, and makes no call.
class Idler {
 public:
  explicit Idler(
      const std::string& name, std::function<void()> then = [] {})
      : child_([&] {
          ::signal(SIGTERM, SIG_DFL);  // as doctest has another use for it
          const Segment segment = Segment::open_or_create(name, {.keys = 100});
          then();
          ready_[0].store(true);
          for (;;) ::pause();
        }) {
    REQUIRE(poll_until([&] { return ready_[0].load(); }));
  }
  [[nodiscard]] pid_t pid() const noexcept { return child_.pid(); }
  int wait() noexcept { return child_.wait(); }

 private:
  Shared<std::atomic<bool>> ready_;
  Child child_;
};

/// Writes to the slots of a segment behind the library's back.
class Spoiler {
 public:
  explicit Spoiler(const std::string& path)
      : view_(shm::Mapping::attach(path, shm::Access::read_write, false), path) {}

  /// Puts words into some free slot, from `from` on; returns its index.
  std::uint64_t plant(shm::SlotWords words, std::uint64_t from = 0) {
    const std::uint64_t count = view_.table.slot_count();
    for (std::uint64_t i = 0; i < count; ++i) {
      const std::uint64_t index = (from + i) % count;
      if (view_.mapping.table().slot(index).compare_exchange({}, words)) return index;
    }
    FAIL("no slot is free");
    return count;
  }
  /// Gives a key of a policy a second slot, with its label, where it is looked for after the one that
  /// it has; false where none is free.
  bool plant_second(std::string_view policy, const std::string& key) {
    const auto hash = shm::KeyHash::from(hasher_for(view_.mapping, policy)(key.data(), key.size()));
    const std::uint64_t first = view_.table.find(hash);
    REQUIRE(first != view_.table.kNowhere);
    const shm::CandidateList list = view_.table.candidates(hash);
    bool is_behind = false;
    for (int i = 0; i < shm::CandidateList::kSize; ++i) {
      const std::uint64_t index =
          list.slot_at(shm::CandidateList::kLookOrder[i / 4] + i % shm::CandidateList::kPerLine);
      shm::Slot& slot = view_.mapping.table().slot(index);
      if (is_behind && slot.compare_exchange({}, view_.mapping.table().slot(first).words())) {
        view_.labels.write(index, hash, key);
        return true;
      }
      is_behind |= index == first;
    }
    return false;
  }
  /// Puts words in the place of a key's.
  void replace(std::string_view policy, const std::string& key, std::uint64_t state) {
    const auto hash = shm::KeyHash::from(hasher_for(view_.mapping, policy)(key.data(), key.size()));
    shm::Slot& slot = view_.mapping.table().slot(view_.table.find(hash));
    const shm::SlotWords words = slot.words();
    REQUIRE(slot.compare_exchange(words, {words.tag, state}));
  }
  [[nodiscard]] View& view() noexcept { return view_; }

 private:
  View view_;
};

}  // namespace rl::test
