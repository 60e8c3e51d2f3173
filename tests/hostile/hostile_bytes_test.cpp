/// \file
/// Hostile bytes: whoever may write the file knows its secret, too, so every field of every struct,
/// whole pages and the ends of the file are set to anything, and the checksums either left or made
/// to fit. Attaching then refuses with a reason, or all that the library can do is done to the
/// segment (surface.hpp) and ends within the deadline, within its ranges, and without a crash.
#include <doctest/doctest.h>

#include <cstring>
#include <random>

#include "tests/hostile/fields.hpp"
#include "tests/hostile/forge.hpp"
#include "tests/hostile/trials.hpp"

namespace rl::hostile {
namespace {

using Random = std::mt19937_64;

/// One field of one struct of a forged segment.
struct Place {
  std::string name;
  std::size_t at;
  std::size_t size;
};

template <std::size_t kCount>
void add_places(std::vector<Place>& places, const std::array<Field, kCount>& fields,
                const std::string& which, std::size_t at) {
  for (const Field& field : fields) {
    // A table of its own covers what is a struct itself.
    const bool nested = field.name.ends_with(".constants") || field.name.ends_with(".health");
    if (!nested) places.push_back({which + std::string(field.name), at + field.offset, field.size});
  }
}

/// Every field of the header, and of some of each of the other structs: the first, one in the
/// middle of its life, and the last.
std::vector<Place> places_of(const shm::Geometry& g) {
  std::vector<Place> places;
  const auto at = [](std::uint64_t offset) { return static_cast<std::size_t>(offset); };
  add_places(places, kConstantsFields, "", 0);
  add_places(places, kHeaderFields, "", 0);
  add_places(places, kHealthFields, "", offsetof(shm::Header, health));
  for (const std::uint64_t i : {std::uint64_t{0}, std::uint64_t{g.seat_capacity} - 1}) {
    add_places(places, kSeatFields, "seat " + std::to_string(i) + " ",
               at(g.seats_offset + i * sizeof(shm::Seat)));
  }
  for (const std::uint32_t id : {1U, 2U, 3U, 8U}) {
    const std::string which = "policy " + std::to_string(id) + " ";
    const std::size_t entry = at(g.policies_offset + (id - 1) * sizeof(shm::PolicyEntry));
    add_places(places, kPolicyFields, which, entry);
    add_places(places, kPolicyConstantsFields, which,
               entry + offsetof(shm::PolicyEntry, constants));
  }
  for (const std::uint64_t i :
       {std::uint64_t{0}, std::uint64_t{1}, std::uint64_t{5}, g.pair_count * 8 - 1}) {
    const std::string which = "slot " + std::to_string(i) + " ";
    const std::size_t pair = at(g.pairs_offset + i / 8 * sizeof(shm::Pair));
    add_places(places, kSlotFields, which, pair + i % 8 * sizeof(shm::Slot));
    add_places(places, kCountsFields, which,
               pair + offsetof(shm::Pair, counts) + i % 8 * sizeof(shm::Counts));
    if (g.label_bytes != 0)
      add_places(places, kLabelFields, which, at(g.labels_offset + i * sizeof(shm::Label)));
  }
  return places;
}

/// How many trials: each is a process, which a sanitizer makes ten times dearer.
int trials_of(int usual, int deep) {
  if (test::is_deep()) return deep;
  return test::kSanitized ? usual / 5 : usual;
}

enum class Value { zero, ones, sign, one_more, one_less, half, random };
constexpr std::array<std::pair<Value, const char*>, 7> kValues{{{Value::zero, "0"},
                                                                {Value::ones, "all ones"},
                                                                {Value::sign, "the sign bit"},
                                                                {Value::one_more, "one more"},
                                                                {Value::one_less, "one less"},
                                                                {Value::half, "2^62"},
                                                                {Value::random, "random"}}};

/// Bytes are counted up from the least: little-endian, as all of the layout.
void set(unsigned char* field, std::size_t size, Value value, Random& random) {
  switch (value) {
    case Value::zero:
      std::memset(field, 0, size);
      return;
    case Value::ones:
      std::memset(field, 0xff, size);
      return;
    case Value::sign:
    case Value::half:
      std::memset(field, 0, size);
      field[size - 1] = value == Value::sign ? 0x80 : 0x40;
      return;
    case Value::one_more:
      for (std::size_t i = 0; i < size && ++field[i] == 0; ++i) {
      }
      return;
    case Value::one_less:
      for (std::size_t i = 0; i < size && field[i]-- == 0; ++i) {
      }
      return;
    case Value::random:
      for (std::size_t i = 0; i < size; ++i) field[i] = static_cast<unsigned char>(random());
      return;
  }
}

Shape random_shape(Random& random) {
  constexpr std::array kClocks{shm::ClockKind::manual, shm::ClockKind::boottime,
                               shm::ClockKind::tsc};
  return {.labels = random() % 4 != 0, .clock = kClocks[random() % 3]};
}

/// Spoils a fresh forged segment, and seals or does not; a trial for `use_all`.
template <class Spoil>
Trial trial(std::string name, const Shape& shape, bool sealed, Spoil spoil) {
  name += sealed ? ", sealed" : ", not sealed";
  return {std::move(name), [=] {
            Forged forged(shape);
            spoil(forged);
            if (sealed) {
              forged.seal_policies();
              forged.seal_header();
            }
            forged.write_to(scratch_path());
            return use_all(scratch_path());
          }};
}

TEST_CASE("what_the_layout_leaves_unused_is_zero_in_a_segment_that_was_used") {
  test::Scratch segment({.keys = 18, .policies = 8});
  (void)segment->limiter("api", Limit::per_second(10)).try_acquire("k");
  const shm::Mapping mapping = shm::Mapping::attach(segment.path(), shm::Access::read_only, false);
  const auto check_unused = [](const auto& fields, const void* object) {
    for (const Field& field : fields) {
      if (field.used) continue;
      const auto* bytes = static_cast<const unsigned char*>(object) + field.offset;
      CAPTURE(field.name);
      CHECK(std::all_of(bytes, bytes + field.size, [](unsigned char b) { return b == 0; }));
    }
  };
  check_unused(kHeaderFields, &mapping.header());
  check_unused(kConstantsFields, &mapping.header().constants);
  for (int i = 0; i < 1'024; ++i) check_unused(kSeatFields, mapping.seats() + i);
  check_unused(kPolicyFields, mapping.policies());
  check_unused(kPolicyConstantsFields, &mapping.policies()->constants);
}

TEST_CASE("SP_a_forged_segment_is_a_valid_one") {
  const CleanUp clean_up;
  std::vector<Trial> trials;
  for (const bool labels : {false, true}) {
    for (const auto clock :
         {shm::ClockKind::manual, shm::ClockKind::boottime, shm::ClockKind::tsc}) {
      trials.push_back(
          trial("untouched", {.labels = labels, .clock = clock}, false, [](Forged& forged) {
            forged.write_to(scratch_path());
            check_valid(scratch_path());
          }));
    }
  }
  CHECK(run_trials(trials).worked == trials.size());
}

TEST_CASE("SP_any_field_set_to_anything_is_refused_or_used_safely") {
  const CleanUp clean_up;
  Random random(test::seed());
  std::vector<Trial> trials;
  for (const Place& place : places_of(Forged({}).geometry())) {
    // What decides whether it is a segment at all is always tried whole.
    const bool is_constant = place.at < sizeof(shm::HeaderConstants);
    for (const auto& [value, text] : kValues) {
      for (const bool sealed : {false, true}) {
        const std::uint64_t seed = random();
        if (test::kSanitized && !is_constant && seed % 4 != 0) continue;
        Shape shape = random_shape(random);
        shape.labels = true;  // the places say so
        trials.push_back(trial(place.name + " = " + text, shape, sealed,
                               [place, value = value, seed](Forged& forged) {
                                 Random own(seed);
                                 set(forged.bytes().data() + place.at, place.size, value, own);
                               }));
      }
    }
  }
  const Outcomes outcomes = run_trials(trials);
  MESSAGE("single fields: " << outcomes.text());
  CHECK(outcomes.worked > 0);
  for (const Errc code :
       {Errc::not_a_segment, Errc::wrong_version, Errc::wrong_host, Errc::corrupt})
    CHECK(outcomes.refusals(code) > 0);
}

TEST_CASE("SP_several_fields_at_once_are_refused_or_used_safely") {
  const CleanUp clean_up;
  Random random(test::seed() + 1);
  std::vector<Trial> trials;
  for (int i = 0; i < trials_of(1'500, 40'000); ++i) {
    const std::uint64_t seed = random();
    // The constants are left alone in most, as else hardly one would be attached to.
    const bool constants = random() % 4 == 0;
    trials.push_back(trial("several fields " + std::to_string(seed), random_shape(random),
                           random() % 2 == 0, [seed, constants](Forged& forged) {
                             Random own(seed);
                             const std::vector<Place> places = places_of(forged.geometry());
                             for (auto left = 2 + own() % 6; left > 0;) {
                               const Place& place = places[own() % places.size()];
                               if (!constants && place.at < sizeof(shm::HeaderConstants)) continue;
                               --left;
                               set(forged.bytes().data() + place.at, place.size,
                                   kValues[own() % kValues.size()].first, own);
                             }
                           }));
  }
  const Outcomes outcomes = run_trials(trials);
  MESSAGE("several fields: " << outcomes.text());
  CHECK(outcomes.worked > trials.size() / 4);
}

TEST_CASE("SP_random_pages_and_bytes_are_refused_or_used_safely") {
  const CleanUp clean_up;
  Random random(test::seed() + 2);
  std::vector<Trial> trials;
  for (int i = 0; i < trials_of(1'000, 20'000); ++i) {
    const std::uint64_t seed = random();
    trials.push_back(trial("random bytes " + std::to_string(seed), random_shape(random),
                           random() % 2 == 0, [seed](Forged& forged) {
                             Random own(seed);
                             const std::span<unsigned char> bytes = forged.bytes();
                             const std::size_t pages = bytes.size() / shm::kPageBytes;
                             if (own() % 2 == 0) {  // a page, never that of the header
                               const std::size_t page = 1 + own() % (pages - 1);
                               set(bytes.data() + page * shm::kPageBytes, shm::kPageBytes,
                                   kValues[own() % kValues.size()].first, own);
                               return;
                             }
                             for (auto left = 1 + own() % 500; left > 0; --left) {
                               const std::size_t at =
                                   sizeof(shm::HeaderConstants) +
                                   own() % (bytes.size() - sizeof(shm::HeaderConstants));
                               bytes[at] = static_cast<unsigned char>(own());
                             }
                           }));
  }
  const Outcomes outcomes = run_trials(trials);
  MESSAGE("pages and bytes: " << outcomes.text());
  CHECK(outcomes.worked == trials.size());
}

}  // namespace
}  // namespace rl::hostile
