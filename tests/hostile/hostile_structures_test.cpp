/// \file
/// Hostile structures: bytes that each are in range and together are a trap. Lists that are rings,
/// policies that no limit can be, tables full of one key or of nobody's, clocks at the ends of time
/// beside states at the ends of time. All of it sealed, with every clock, and used as a whole
/// (surface.hpp).
#include <doctest/doctest.h>

#include <cstring>
#include <functional>
#include <random>

#include "shm/events.hpp"
#include "shm/journal.hpp"
#include "tests/hostile/forge.hpp"
#include "tests/hostile/trials.hpp"

namespace rl::hostile {
namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;
constexpr std::uint64_t kMost = ~std::uint64_t{0};

struct Trap {
  const char* name;
  void (*set)(Forged&);
};

void trial_for(std::vector<Trial>& trials, const std::string& name, const Shape& shape,
               const std::function<void(Forged&)>& spoil) {
  trials.push_back({name, [=] {
                      Forged forged(shape);
                      spoil(forged);
                      forged.seal_policies();
                      forged.seal_header();
                      forged.write_to(scratch_path());
                      return use_all(scratch_path());
                    }});
}

/// All of them are attached to, with every clock.
void run_traps(const std::string& what, std::span<const Trap> traps) {
  const CleanUp clean_up;
  std::vector<Trial> trials;
  for (const Trap& trap : traps) {
    for (const auto clock : {shm::ClockKind::manual, shm::ClockKind::boottime, shm::ClockKind::tsc})
      trial_for(trials, trap.name, {.clock = clock}, trap.set);
  }
  const Outcomes outcomes = run_trials(trials);
  MESSAGE(what << ": " << outcomes.text());
  CHECK(outcomes.worked == trials.size());
}

void rename(Forged& forged, std::uint32_t id, std::string_view name) {
  shm::PolicyConstants& c = forged.policy(id).constants;
  std::memset(c.name, 0, sizeof c.name);
  std::memcpy(c.name, name.data(), std::min(name.size(), sizeof c.name));
  c.name_bytes = static_cast<std::uint8_t>(name.size());
}

TEST_CASE("SP_lists_of_policies_that_are_no_lists_end") {
  constexpr Trap kTraps[] = {
      {"a ring of two", [](Forged& f) { f.policy(2).next.store(1, kRelaxed); }},
      {"a ring of one", [](Forged& f) { f.policy(1).next.store(1, kRelaxed); }},
      {"a ring behind the first", [](Forged& f) { f.policy(3).next.store(2, kRelaxed); }},
      {"the list leaves its room", [](Forged& f) { f.policy(2).next.store(9, kRelaxed); }},
      {"the list leaves the segment", [](Forged& f) { f.policy(2).next.store(~0U, kRelaxed); }},
      {"the list begins outside", [](Forged& f) { f.header().policy_first.store(~0U, kRelaxed); }},
      {"the list begins at nothing", [](Forged& f) { f.header().policy_first.store(0, kRelaxed); }},
      {"the list begins at its end", [](Forged& f) { f.header().policy_first.store(8, kRelaxed); }},
      {"no id was given out", [](Forged& f) { f.header().policy_next.store(0, kRelaxed); }},
      {"a used id is given out", [](Forged& f) { f.header().policy_next.store(1, kRelaxed); }},
      {"the last id is given out", [](Forged& f) { f.header().policy_next.store(8, kRelaxed); }},
      {"no id is left", [](Forged& f) { f.header().policy_next.store(9, kRelaxed); }},
      {"the next id is huge", [](Forged& f) { f.header().policy_next.store(~0U, kRelaxed); }},
      {"all have one name",
       [](Forged& f) {
         for (const std::uint32_t id : {1U, 2U, 3U}) rename(f, id, "api");
       }},
      {"one succeeds itself", [](Forged& f) { f.policy(1).links.store(1, kRelaxed); }},
      {"successors are a ring",
       [](Forged& f) {
         f.policy(1).links.store(2, kRelaxed);
         f.policy(2).links.store(1, kRelaxed);
       }},
  };
  run_traps("lists of policies", kTraps);
}

TEST_CASE("SP_policies_that_no_limit_can_be_are_refused_or_passed_by") {
  constexpr Trap kTraps[] = {
      {"interval 0", [](Forged& f) { f.policy(1).constants.interval_ns = 0; }},
      {"interval huge", [](Forged& f) { f.policy(1).constants.interval_ns = kMost; }},
      {"burst 0", [](Forged& f) { f.policy(1).constants.burst = 0; }},
      {"burst huge", [](Forged& f) { f.policy(1).constants.burst = kMost; }},
      {"period 0", [](Forged& f) { f.policy(1).constants.period_ns = 0; }},
      {"period huge", [](Forged& f) { f.policy(1).constants.period_ns = kMost; }},
      {"period of 73 years",
       [](Forged& f) {
         f.policy(1).constants.period_ns = std::uint64_t{1} << 61;
         f.policy(1).constants.count = 1;
       }},
      {"count 0", [](Forged& f) { f.policy(1).constants.count = 0; }},
      {"count huge", [](Forged& f) { f.policy(1).constants.count = kMost; }},
      {"horizon 0", [](Forged& f) { f.policy(1).constants.horizon_ns = 0; }},
      {"horizon huge", [](Forged& f) { f.policy(1).constants.horizon_ns = kMost; }},
      {"the longest limit there is",
       [](Forged& f) {
         shm::PolicyConstants& c = f.policy(1).constants;
         c.count = 1;
         c.period_ns = c.interval_ns = 1'000'000;
         c.burst = (std::uint64_t{1} << 61) / 1'000'000;
         c.horizon_ns = c.burst * c.interval_ns;
       }},
      {"algorithm 0", [](Forged& f) { f.policy(1).constants.algorithm = 0; }},
      {"algorithm of tomorrow", [](Forged& f) { f.policy(1).constants.algorithm = 2; }},
      {"flags of tomorrow", [](Forged& f) { f.policy(1).constants.flags = ~0U; }},
      {"a floor of more than all", [](Forged& f) { f.policy(1).constants.floor_percent = ~0U; }},
      {"a floor of almost all", [](Forged& f) { f.policy(1).constants.floor_percent = 99; }},
      {"a ban half given", [](Forged& f) { f.policy(1).constants.ban_after = ~0U; }},
      {"a ban without end",
       [](Forged& f) {
         f.policy(1).constants.ban_after = 1;
         f.policy(1).constants.ban_within_ns = kMost;
         f.policy(1).constants.ban_ns = kMost;
       }},
      {"a lease of calls", [](Forged& f) { f.policy(1).constants.lease_ns = kMost; }},
      {"a concurrency limit over keys that calls have charged",
       [](Forged& f) {
         shm::PolicyConstants& c = f.policy(1).constants;
         c.algorithm = 5;
         c.period_ns = 0;
         c.lease_ns = c.interval_ns = 30'000'000'000;
         c.burst = c.count;
         c.when_full = 2;
       }},
      {"when_full unknown", [](Forged& f) { f.policy(1).constants.when_full = 3; }},
      {"name without end", [](Forged& f) { f.policy(1).constants.name_bytes = 64; }},
      {"name of 255 bytes", [](Forged& f) { f.policy(1).constants.name_bytes = 255; }},
      {"no name", [](Forged& f) { f.policy(1).constants.name_bytes = 0; }},
      {"name that clears the screen",
       [](Forged& f) { rename(f, 1, "\x1b[2J\x1b]0;title\x07\n\r"); }},
      {"name that is no UTF-8", [](Forged& f) { rename(f, 1, "\xff\xc0\x80\xed\xa0\x80\x9b"); }},
      {"made at the end of time",
       [](Forged& f) {
         f.policy(1).constants.created_unix_ns = kMost;
         f.policy(1).constants.created_ns = kMost;
       }},
      {"made at the least number",
       [](Forged& f) { f.policy(1).constants.created_unix_ns = std::uint64_t{1} << 63; }},
  };
  run_traps("policies", kTraps);
}

/// Writes every slot.
void fill(Forged& forged, const std::function<shm::SlotWords(std::uint64_t index)>& words) {
  for (std::uint64_t i = 0; i < forged.table().slot_count(); ++i) {
    const shm::SlotWords to = words(i);
    forged.slot(i).compare_exchange(forged.slot(i).words(), to);
  }
}

/// An identity of a key that the tests ask for.
std::uint64_t known_identity(Forged& forged) {
  for (std::uint64_t i = 0; i < forged.table().slot_count(); ++i)
    if (shm::is_member(forged.slot(i).tag())) return shm::identity_of(forged.slot(i).tag());
  return 1;
}

/// Labels as nobody writes them: longer than their place, but with the checksum that is asked for.
void forge_long_labels(Forged& forged) {
  const shm::Hasher hasher(forged.header().constants.secret);
  for (std::uint64_t i = 0; i < forged.table().slot_count(); ++i) {
    const std::uint64_t identity = shm::identity_of(forged.slot(i).tag());
    unsigned char image[8 + 1 + shm::kLabelTextBytes];
    std::memset(image, 'x', sizeof image);
    std::memcpy(image, &identity, sizeof identity);
    image[8] = 127;
    const auto checksum = static_cast<std::uint32_t>(hasher(image, sizeof image).low);
    unsigned char* const label =
        forged.bytes().data() + forged.geometry().labels_offset + i * sizeof(shm::Label);
    std::memcpy(label, &checksum, sizeof checksum);
    std::memcpy(label + sizeof checksum, image + 8, 1 + shm::kLabelTextBytes);
  }
}

TEST_CASE("SP_tables_full_of_anything_are_used_safely") {
  using shm::make_tag;
  constexpr Trap kTraps[] = {
      {"members of one key",
       [](Forged& f) {
         const std::uint64_t identity = known_identity(f);
         fill(f, [=](std::uint64_t) -> shm::SlotWords { return {make_tag(identity, 1), 0}; });
       }},
      {"tentatives of one key, with one nonce",
       [](Forged& f) {
         const std::uint64_t identity = known_identity(f);
         fill(f, [=](std::uint64_t) -> shm::SlotWords { return {make_tag(identity, 0), 7}; });
       }},
      {"tentatives of everybody, with one nonce",
       [](Forged& f) {
         fill(f, [](std::uint64_t i) -> shm::SlotWords { return {make_tag(i + 1, 0), 7}; });
       }},
      {"tentatives without a nonce",
       [](Forged& f) {
         fill(f, [](std::uint64_t i) -> shm::SlotWords { return {make_tag(i + 1, 0), 0}; });
       }},
      {"slots without an identity",
       [](Forged& f) {
         fill(f, [](std::uint64_t i) -> shm::SlotWords {
           return {make_tag(0, static_cast<std::uint16_t>(i)), i + 1};
         });
       }},
      {"members under policies that are not there",
       [](Forged& f) {
         fill(f, [](std::uint64_t i) -> shm::SlotWords {
           return {make_tag(i + 1, static_cast<std::uint16_t>(60'000 + i)), kMost};
         });
       }},
      {"members under an id that was not given out",
       [](Forged& f) {
         fill(f, [](std::uint64_t i) -> shm::SlotWords { return {make_tag(i + 1, 7), kMost}; });
       }},
      {"members that owe for ever",
       [](Forged& f) {
         fill(f, [](std::uint64_t i) -> shm::SlotWords { return {make_tag(i + 1, 1), kMost}; });
       }},
      {"nothing but ones",
       [](Forged& f) { fill(f, [](std::uint64_t) -> shm::SlotWords {
                         return {kMost, kMost};
                       }); }},
      {"counts of others, at their end",
       [](Forged& f) {
         for (std::uint64_t i = 0; i < f.table().slot_count(); ++i) {
           f.table().counts(i).allowed.store(kMost, kRelaxed);
           const std::uint64_t own = shm::identity_of(f.slot(i).tag()) << 48;
           f.table().counts(i).denied.store(own | shm::kIdentityMask, kRelaxed);
         }
       }},
      {"labels of 127 bytes whose checksum holds", forge_long_labels},
      {"removed on purpose", [](Forged& f) { f.header().retired.store(1, kRelaxed); }},
  };
  run_traps("tables", kTraps);
}

TEST_CASE("SP_clocks_and_states_at_the_ends_of_time_make_no_decision_leave_its_range") {
  const CleanUp clean_up;
  const std::uint64_t kTimes[] = {0,
                                  1,
                                  std::uint64_t{1} << 61,
                                  std::uint64_t{1} << 62,
                                  (std::uint64_t{1} << 63) - 1,
                                  std::uint64_t{1} << 63,
                                  kMost - (std::uint64_t{1} << 61),
                                  kMost - 2'000'000'000,
                                  kMost - 1,
                                  kMost};
  std::vector<Trial> trials;
  for (const std::uint64_t clock : kTimes) {
    for (const std::uint64_t state : kTimes) {
      for (const auto kind :
           {shm::ClockKind::manual, shm::ClockKind::boottime, shm::ClockKind::tsc}) {
        trial_for(trials, "clock " + std::to_string(clock) + ", states " + std::to_string(state),
                  {.clock = kind}, [=](Forged& forged) {
                    shm::HeaderConstants& c = forged.header().constants;
                    forged.header().manual_ns.store(clock, kRelaxed);
                    if (kind == shm::ClockKind::boottime) c.epoch_boottime_ns -= clock;
                    if (kind == shm::ClockKind::tsc)
                      forged.header().boottime_offset_ns.store(clock, kRelaxed);
                    for (std::uint64_t i = 0; i < forged.table().slot_count(); ++i) {
                      const shm::SlotWords was = forged.slot(i).words();
                      if (shm::is_member(was.tag))
                        forged.slot(i).compare_exchange(was, {was.tag, state});
                    }
                  });
      }
    }
  }
  for (const std::uint64_t a : kTimes) {
    for (const std::uint64_t b : kTimes) {
      trial_for(trials, "tsc anchor and epoch " + std::to_string(a) + ", " + std::to_string(b),
                {.clock = shm::ClockKind::tsc}, [=](Forged& forged) {
                  shm::Slot& anchor = forged.header().clock_anchor;
                  anchor.compare_exchange(anchor.words(), {a, b});
                  forged.header().constants.epoch_tsc += b;
                });
      trial_for(trials, "tsc rate " + std::to_string(a) + ", epoch " + std::to_string(b),
                {.clock = shm::ClockKind::tsc}, [=](Forged& forged) {
                  forged.header().constants.ns_per_tick_32 = a != 0 ? a : 2;
                  forged.header().constants.epoch_unix_ns = b;
                  forged.header().constants.created_unix_ns = b;
                  forged.header().constants.epoch_tsc = b;
                });
    }
  }
  const Outcomes outcomes = run_trials(trials);
  MESSAGE("clocks: " << outcomes.text());
  CHECK(outcomes.worked == trials.size());
}

TEST_CASE("SP_keys_that_stand_apart_with_any_word_under_any_entry_are_asked_and_listed") {
  const CleanUp clean_up;
  std::mt19937_64 random(test::seed());
  INFO("RL_TEST_SEED=" << test::seed());
  const std::uint64_t kWords[] = {0,
                                  (std::uint64_t{1} << 63) - 1,
                                  kMost,
                                  std::uint64_t{1} << 62,
                                  random(),
                                  random() >> 1,
                                  random() >> 30};
  const std::uint32_t kParents[] = {0, 1, 2, 3, 4, 8, 9, 65'535};
  std::vector<Trial> trials;
  // The last is of a library to come.
  for (std::uint16_t kind = 1; kind <= 8; ++kind) {
    for (const std::uint32_t parent : kParents) {
      for (const std::uint64_t word : kWords) {
        const std::string name = "kind " + std::to_string(kind) + ", parent " +
                                 std::to_string(parent) + ", word " + std::to_string(word);
        const std::uint64_t next = random() % 4 == 0 ? random() % 5 : 0;
        trial_for(trials, name, {}, [=](Forged& forged) {
          for (const std::uint32_t id : {2U, 3U}) {  // one may be the other's parent
            forged.policy(id).constants.kind = static_cast<shm::PolicyKind>(kind);
            forged.policy(id).constants.parent = parent;
            forged.policy(id).links.store(next, kRelaxed);
          }
          for (std::uint64_t i = 0; i < forged.table().slot_count(); ++i) {
            const shm::SlotWords was = forged.slot(i).words();
            if (shm::is_member(was.tag) && shm::policy_of(was.tag) != 1)
              forged.slot(i).compare_exchange(was, {was.tag, word});
          }
        });
      }
    }
  }
  const Outcomes outcomes = run_trials(trials);
  MESSAGE("keys that stand apart: " << outcomes.text());
  CHECK(outcomes.worked == trials.size());
}

TEST_CASE("SP_a_journal_of_any_bytes_is_read") {
  const CleanUp clean_up;
  std::mt19937_64 random(test::seed());
  INFO("RL_TEST_SEED=" << test::seed());
  std::vector<Trial> trials;
  for (const bool fits : {false, true}) {
    for (int round = 0; round < 20; ++round) {
      const std::uint64_t seed = random();
      trial_for(trials, "journal " + std::to_string(seed), {}, [=](Forged& forged) {
        std::mt19937_64 bytes(seed);
        for (std::uint64_t i = 0; i < shm::kJournalRecords; ++i) {
          shm::JournalImage image;
          std::uint64_t words[sizeof image / 8];
          for (std::uint64_t& word : words) word = bytes();
          std::memcpy(&image, words, sizeof image);
          const shm::Hasher hasher(forged.header().constants.secret);
          if (fits) image.checksum = hasher(&image.number, sizeof image - 8).low;
          const auto at = forged.geometry().journal_offset + i * sizeof image;
          std::memcpy(forged.bytes().data() + at, &image, sizeof image);
        }
        forged.header().journal_next.store(bytes(), kRelaxed);
      });
    }
  }
  const Outcomes outcomes = run_trials(trials);
  MESSAGE("journals: " << outcomes.text());
  CHECK(outcomes.worked == trials.size());
}

TEST_CASE("SP_events_and_stripes_of_any_bytes_are_read_and_written") {
  const CleanUp clean_up;
  std::mt19937_64 random(test::seed());
  INFO("RL_TEST_SEED=" << test::seed());
  std::vector<Trial> trials;
  for (const bool fits : {false, true}) {
    for (int round = 0; round < 10; ++round) {
      const std::uint64_t seed = random();
      trial_for(trials, "events " + std::to_string(seed), {}, [=](Forged& forged) {
        std::mt19937_64 bytes(seed);
        const shm::Geometry& g = forged.geometry();
        const shm::Hasher hasher(forged.header().constants.secret);
        unsigned char* const region = forged.bytes().data();
        for (std::uint64_t at = g.events_offset; at + 8 <= g.pairs_offset; at += 8) {
          const std::uint64_t word = bytes();
          std::memcpy(region + at, &word, sizeof word);
        }
        for (std::uint32_t ring = 0; fits && ring < shm::kEventRings; ++ring) {
          const std::uint64_t at = g.events_offset + ring * sizeof(shm::EventRing);
          const std::uint64_t next = shm::kEventsPerRing;
          std::memcpy(region + at, &next, sizeof next);
          for (std::uint64_t n = 0; n < next; ++n) {
            unsigned char* const record =
                region + at + offsetof(shm::EventRing, records) + n * sizeof(shm::EventRecord);
            shm::EventImage image;
            std::memcpy(&image, record, sizeof image);
            image.number = n;
            image.checksum = hasher(&image.number, sizeof image - 8).low;
            std::memcpy(record, &image, sizeof image);
          }
        }
        forged.header().denials_mask.store(bytes(), kRelaxed);
      });
    }
  }
  const Outcomes outcomes = run_trials(trials);
  MESSAGE("events: " << outcomes.text());
  CHECK(outcomes.worked == trials.size());
}

TEST_CASE("SP_seats_in_any_state_are_taken_or_passed_by") {
  const CleanUp clean_up;
  std::vector<Trial> trials;
  for (const std::uint32_t capacity : {1U, 2U, 1'024U}) {
    for (const std::uint64_t value : {std::uint64_t{0}, std::uint64_t{1} << 48, kMost}) {
      trial_for(trials, std::to_string(capacity) + " seats of " + std::to_string(value),
                {.seats = capacity}, [=](Forged& forged) {
                  for (std::uint32_t i = 0; i < capacity; ++i) {
                    forged.seat(i).generation.store(value, kRelaxed);
                    forged.seat(i).nonce.store(value, kRelaxed);
                    forged.seat(i).pid.store(static_cast<std::uint32_t>(value), kRelaxed);
                    forged.seat(i).since_unix_ns.store(value, kRelaxed);
                  }
                });
    }
  }
  CHECK(run_trials(trials).worked == trials.size());
}

}  // namespace
}  // namespace rl::hostile
