/// \file
/// A scribbler: a process that writes over a LIVE segment, words and pages, nonsense and cunning,
/// while others decide on it, open limiters, list it, and every reader of rlctl looks at it. None
/// of them crashes or hangs, no decision leaves its range, and what rlctl prints is bounded,
/// parses, and never reaches the terminal as anything but text.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/mman.h>

#include <chrono>
#include <cstdlib>
#include <cstring>
#include <random>

#include "shm/os.hpp"
#include "tests/hostile/forge.hpp"
#include "tests/hostile/terminal.hpp"
#include "tests/hostile/trials.hpp"
#include "tests/rlctl.hpp"

namespace rl::hostile {
namespace {

using Random = std::mt19937_64;
using Clock = std::chrono::steady_clock;
constexpr auto kRelaxed = std::memory_order_relaxed;

/// Writes to the file of a forged segment behind everybody's back. The constants of the header are
/// spared: who is attached never reads them again, and who attaches would only refuse.
class Scribbler {
 public:
  Scribbler(const std::string& path, const Shape& shape, std::uint64_t seed)
      : pristine_(shape), wild_(shape), random_(seed) {
    const shm::Fd fd = shm::open_file(path.c_str(), O_RDWR);
    at_ = static_cast<unsigned char*>(
        ::mmap(nullptr, size(), PROT_READ | PROT_WRITE, MAP_SHARED, fd.get(), 0));
    demand(at_ != MAP_FAILED, "mmap");
  }
  Scribbler(const Scribbler&) = delete;
  Scribbler& operator=(const Scribbler&) = delete;
  ~Scribbler() { ::munmap(at_, size()); }

  /// One stroke. Every other one restores a page, or little of the segment would stay alive.
  void scribble() {
    switch (random_() % 8) {
      case 0:
        return write_word(random_());
      case 1:
        return write_word(kLikely[random_() % std::size(kLikely)]);
      case 2:
        return write_page();
      case 3:
        return write_policy();
      case 4:
        return write_slot();
      default:
        return restore_page();
    }
  }

 private:
  static constexpr std::uint64_t kLikely[] = {0,
                                              1,
                                              2,
                                              3,
                                              8,
                                              9,
                                              ~std::uint64_t{0},
                                              ~std::uint64_t{0} - 1,
                                              std::uint64_t{1} << 63,
                                              std::uint64_t{1} << 62,
                                              0x0000'0001'0000'0001,
                                              0x0000'0002'0000'0001};

  [[nodiscard]] std::size_t size() noexcept { return wild_.bytes().size(); }
  void copy(std::size_t at, const void* from, std::size_t bytes) {
    constexpr std::size_t kFirst = sizeof(shm::HeaderConstants);
    if (at < kFirst) {
      from = static_cast<const unsigned char*>(from) + (kFirst - at);
      bytes -= std::min(bytes, kFirst - at);
      at = kFirst;
    }
    std::memcpy(at_ + at, from, bytes);  // plain stores
  }
  void write_word(std::uint64_t word) {
    // The header's live words and the slots are hit more often than their size would have it.
    const std::size_t begin = sizeof(shm::HeaderConstants);
    const std::size_t live = random_() % 3 == 0 ? 256 : size() - begin;
    copy(begin + random_() % (live / 8) * 8, &word, sizeof word);
  }
  void write_page() {
    unsigned char page[shm::kPageBytes];
    const std::uint64_t pattern = random_() % 2 == 0 ? 0 : random_();
    for (std::size_t i = 0; i < sizeof page; i += 8) {
      const std::uint64_t word = pattern == 0 ? random_() : pattern;
      std::memcpy(page + i, &word, sizeof word);
    }
    copy(random_page(), page, sizeof page);
  }
  /// A policy whose checksum holds, with a hostile name or number, linked to anything.
  void write_policy() {
    const auto id = static_cast<std::uint32_t>(1 + random_() % 4);
    shm::PolicyEntry& entry = wild_.policy(id);
    entry.constants = pristine_.policy(1 + id % 3).constants;
    entry.next.store(static_cast<std::uint32_t>(random_() % 6), kRelaxed);
    std::memcpy(entry.constants.name, "\x1b[31m\xff\n\x9b", 8);
    entry.constants.name_bytes = static_cast<std::uint8_t>(random_() % 10);
    if (random_() % 2 == 0) entry.constants.burst = kLikely[random_() % std::size(kLikely)];
    if (random_() % 2 == 0) entry.constants.created_unix_ns = random_();
    wild_.seal_policies();
    copy(offset_of(&entry), &entry, sizeof entry);
  }
  /// A slot of a known key somewhere else, or with another state or policy.
  void write_slot() {
    const std::uint64_t count = wild_.table().slot_count();
    const std::uint64_t from = random_() % count;
    const std::uint64_t to = random_() % count;
    shm::SlotWords words = pristine_.slot(from).words();
    if (random_() % 2 == 0) words.state = kLikely[random_() % std::size(kLikely)];
    if (random_() % 4 == 0)
      words.tag = shm::make_tag(shm::identity_of(words.tag), random_() % 5 & 0xffffU);
    copy(offset_of(&wild_.slot(to)), &words, sizeof words);
  }
  void restore_page() {
    const std::size_t at = random_page();
    copy(at, pristine_.bytes().data() + at, shm::kPageBytes);
  }
  [[nodiscard]] std::size_t random_page() {
    return random_() % (size() / shm::kPageBytes) * shm::kPageBytes;
  }
  [[nodiscard]] std::size_t offset_of(const void* object) noexcept {
    return static_cast<std::size_t>(static_cast<const unsigned char*>(object) -
                                    wild_.bytes().data());
  }

  Forged pristine_;
  Forged wild_;
  unsigned char* at_;
  Random random_;
};

/// What the processes of a round did.
struct Round {
  std::atomic<std::uint64_t> strokes;
  std::atomic<std::uint64_t> uses;
  char why[256];
};

/// Every verb of rlctl that reads.
std::vector<test::Words> reading_verbs(const std::string& path) {
  return {{"info", path},
          {"policy", "list", path},
          {"clock", path},
          {"list", path},
          {"list", path, "--policy", "api"},
          {"list", path, "--match", "*"},
          {"list", path, "--rows", "3"},
          {"list", path, "--sort", "key"},
          {"list", path, "--sort", "allowed"},
          {"list", path, "--sort", "denied"},
          {"list", path, "--where", "known and not key ~ '*\\*' or full_in>1s"},
          {"list", path, "--sort", "-used", "--columns", "key,own_limit,state,policy_limit"},
          {"list", path, "--sort", "remaining", "--rows", "5"},
          {"show", path, "api", key_text(0)},
          {"show", path, "nobody", key_text(0)},
          {"peek", path, "api", key_text(0)},
          {"peek", path, "slow", key_text(1), "--cost", "18446744073709551615"},
          {"dump", path},
          {"metrics", path},
          {"metrics", path, "--count"},
          {"explain", "100/s", "burst=200"}};
}

/// What metrics may say beside: families, and some numbers for each of 1,024 policies.
constexpr std::size_t kNumbersMax = 200 + 1'024 * 10;

/// Runs a verb and holds its answer to what must hold on any segment. Returns whether it answered.
bool read(test::Words words, bool json, std::size_t lines_max) {
  // In a build with sanitizers: what they find must not look like the answer "no", which is 1.
  ::setenv("ASAN_OPTIONS", "exitcode=99", 0);
  ::setenv("UBSAN_OPTIONS", "halt_on_error=1:exitcode=99", 0);
  if (json) words.push_back("--json");
  const test::Ran ran = test::rlctl(words);
  CAPTURE(words);
  CAPTURE(ran.err);
  CHECK(ran.exit_code >= 0);
  CHECK(ran.exit_code <= 2);  // above are signals, the deadline's too
  CHECK(is_harmless(ran.err));
  if (ran.exit_code == 2) {
    CHECK(ran.err.starts_with("rlctl: "));
    CHECK(ran.out.empty());
    return false;
  }
  if (words[0] == "metrics") lines_max += kNumbersMax;
  CHECK_NOTHROW(check_output(ran.out, json, lines_max));
  return true;
}

/// The processes decide, open, list and reset until `end`; a broken promise is written down.
void use_until(Clock::time_point end, const std::string& path, bool copies, Round& round) {
  try {
    Segment segment = Segment::open(path);
    while (Clock::now() < end) {
      ::alarm(kDeadlineSeconds);
      use_policies(segment);
      look(segment);
      look(Segment::open_read_only(path));
      (void)segment.reset_all();
      use_policies(segment);
      if (copies) copy(path);
      ++round.uses;
    }
  } catch (const std::exception& e) {
    std::strncpy(round.why, e.what(), sizeof round.why - 1);
    throw;
  }
}

/// Returns how many of rlctl's runs answered, and how many refused.
std::pair<int, int> read_until(Clock::time_point end, const std::string& path,
                               std::size_t lines_max) {
  int answered = 0;
  int refused = 0;
  const std::vector<test::Words> verbs = reading_verbs(path);
  for (std::size_t i = 0; i < 2 * verbs.size() || Clock::now() < end; ++i)
    ++(read(verbs[i % verbs.size()], i / verbs.size() % 2 == 1, lines_max) ? answered : refused);
  return {answered, refused};
}

void scribble_on(shm::ClockKind clock, const char* clock_name) {
  const CleanUp clean_up;
  const Shape shape{.clock = clock};
  const std::string path = scratch_path();
  Forged forged(shape);
  forged.write_to(path);
  test::Shared<Round> shared;
  Round& round = shared[0];
  const auto end = Clock::now() + std::chrono::milliseconds(test::is_deep() ? 60'000 : 1'500);
  test::Child scribbler([&] {
    end_with_parent();
    Scribbler pen(path, shape, test::seed());
    for (;; ++round.strokes) pen.scribble();  // ends with the test, which kills it
  });
  std::vector<test::Child> users;
  for (int i = 0; i < 2; ++i) {
    users.emplace_back([&, i] {
      end_with_parent();
      listen();
      use_until(end, path, i == 0, round);
    });
  }
  const auto [answered, refused] = read_until(end, path, forged.table().slot_count() + 20);
  for (test::Child& user : users) {
    const int code = user.wait();
    CHECK_MESSAGE(code == 0, "a process that decides ended with " << code << ": " << round.why);
  }
  const std::string name(clock_name);
  MESSAGE("clock " << name << ": " << round.strokes.load() << " strokes, " << round.uses.load()
                   << " uses of everything, rlctl answered " << answered << " times and refused "
                   << refused);
  CHECK(round.strokes > 1'000);
  CHECK(round.uses > 0);
  CHECK(answered > 0);
}

TEST_CASE("SP_beside_a_scribbler_nobody_crashes_or_hangs_and_every_answer_is_in_its_range") {
  INFO("RL_TEST_SEED=" << test::seed());
  scribble_on(shm::ClockKind::manual, "manual");
  scribble_on(shm::ClockKind::boottime, "boottime");
  scribble_on(shm::ClockKind::tsc, "tsc");
}

TEST_CASE("S_names_and_labels_reach_the_terminal_as_text_only") {
  const CleanUp clean_up;
  const std::string path = scratch_path();
  const std::string evil =
      "\x1b[2J\x1b]0;pwned\x07\r\n\x9b"
      "31m\xe2\x80\xae\xff";
  Forged forged({});
  std::memcpy(forged.header().constants.creator_version, evil.data(), 8);
  forged.header().constants.created_unix_ns = std::uint64_t{1} << 63;
  forged.header().manual_ns.store(std::uint64_t{1} << 63, kRelaxed);
  for (const std::uint32_t id : {1U, 2U}) {
    shm::PolicyConstants& c = forged.policy(id).constants;
    std::memcpy(c.name, evil.data(), evil.size());
    c.name_bytes = static_cast<std::uint8_t>(evil.size());
  }
  forged.seal_policies();
  forged.seal_header();
  shm::Labels labels = forged.labels();
  for (std::uint64_t i = 0; i < forged.table().slot_count(); ++i)
    labels.write(i, {shm::identity_of(forged.slot(i).tag()), 0, 0}, evil);
  forged.write_to(path);
  for (const test::Words& words : reading_verbs(path)) {
    for (const bool json : {false, true}) (void)read(words, json, 60);
  }
  const test::Ran list = test::rlctl({"list", path});
  CHECK(list.out.find("\\x1b[2J\\x1b]0;pwned\\x07\\x0d\\x0a") != list.out.npos);
  CHECK(test::rlctl({"clock", path, "--json"}).out.find("\"now_ns\":-") == std::string::npos);
  const test::Ran info = test::rlctl({"info", path});
  CHECK(info.out.find("librl \\x1b[2J") != info.out.npos);
}

TEST_CASE("P_a_list_full_of_ids_that_no_policy_has_ends") {
  const CleanUp clean_up;
  const std::string path = scratch_path();
  // As many slots as there are ids, and as many policies on the list, none of them whole.
  Forged forged({.keys = 36'864, .policies = shm::kPoliciesMax});
  for (std::uint32_t id = 1; id < shm::kPoliciesMax; ++id)
    forged.policy(id).next.store(id + 1, kRelaxed);
  for (std::uint64_t i = 0; i < forged.table().slot_count(); ++i) {
    const auto id = static_cast<std::uint16_t>(1 + i % shm::kPoliciesMax);
    const shm::SlotWords to{shm::make_tag(i + 1, id), ~std::uint64_t{0}};
    forged.slot(i).compare_exchange(forged.slot(i).words(), to);
  }
  forged.write_to(path);
  const std::size_t lines_max = forged.table().slot_count() + 20;
  CHECK(read({"list", path}, false, lines_max));
  CHECK(read({"list", path}, true, lines_max));
  CHECK(read({"list", path, "--sort", "remaining", "--rows", "10"}, false, 11));
  CHECK(read({"policy", "list", path}, false, lines_max));
  CHECK(read({"info", path}, false, 20));
}

}  // namespace
}  // namespace rl::hostile
