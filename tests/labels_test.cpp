#include "shm/labels.hpp"

#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "shm/counts.hpp"

namespace rl::shm {
namespace {

constexpr Hash128 kSecret{1, 2};

/// A key of this identity, whose place is of no matter.
constexpr KeyHash key_of(std::uint64_t identity) {
  return {identity, 5, 1};
}

struct LabelsFixture {
  std::vector<Label> storage{4};
  Labels labels{storage.data(), kSecret};
};

TEST_CASE_FIXTURE(LabelsFixture, "a_label_reads_back_as_written") {
  for (const std::string& key : {std::string("k"), std::string("user:42"),
                                 std::string(kLabelTextBytes, 'x'), std::string("\0\xff\n", 3)}) {
    labels.write(2, key_of(77), key);
    const LabelText label = labels.read(2, 77);
    CHECK(label.known);
    CHECK(label.view() == key);
    CHECK_FALSE(label.truncated);
  }
}

TEST_CASE_FIXTURE(LabelsFixture, "a_long_key_is_cut_and_says_where_it_belongs") {
  const std::string key(kLabelTextBytes + 1, 'y');
  for (std::uint32_t sides = 0; sides < 4; ++sides) {
    const KeyHash hash{77, 0x0123'4567'89ab'cdef, sides};
    labels.write(0, hash, key);
    const LabelText label = labels.read(0, 77);
    CHECK(label.known);
    CHECK(label.truncated);
    CHECK(label.view() == key.substr(0, kLabelBeginBytes));
    CHECK(label.hash.identity == hash.identity);
    CHECK(label.hash.place == hash.place);
    CHECK(label.hash.sides == hash.sides);
  }
}

TEST_CASE_FIXTURE(LabelsFixture, "a_beginning_is_the_label_that_the_long_key_had") {
  const KeyHash hash{77, ~std::uint64_t{0}, 3};
  labels.write(0, hash, std::string(100, 'y'));
  labels.write_beginning(1, hash, labels.read(0, 77).view());
  for (int i = 0; i < 9; ++i) CHECK(storage[0].words[i] == storage[1].words[i]);
  labels.write_beginning(2, hash, "");  // bytes from elsewhere may say so
  CHECK(labels.read(2, 77).known);
  CHECK(labels.read(2, 77).view() == "");
  CHECK(labels.read(2, 77).hash.place == hash.place);
}

TEST_CASE_FIXTURE(LabelsFixture, "a_late_writer_puts_its_name_on_nobody_else") {
  labels.write(1, key_of(77), "alice");
  CHECK_FALSE(labels.read(1, 78).known);
}

TEST_CASE_FIXTURE(LabelsFixture, "a_label_with_any_bit_gone_wrong_is_unknown") {
  labels.write(3, key_of(77), "alice");
  for (auto& word : storage[3].words) {
    for (unsigned bit = 0; bit < 32; ++bit) {
      word.fetch_xor(1U << bit);
      CHECK_FALSE(labels.read(3, 77).known);
      word.fetch_xor(1U << bit);
    }
  }
  CHECK(labels.read(3, 77).known);
}

TEST_CASE("a_segment_without_labels_knows_none") {
  Labels none(nullptr, kSecret);
  none.write(0, key_of(77), "alice");
  CHECK_FALSE(none.read(0, 77).known);
}

TEST_CASE("a_count_belongs_to_one_key_and_starts_anew_with_the_next") {
  Word word{0};
  for (int i = 0; i < 3; ++i) add_count(word, 0x1234'0000'0001);
  CHECK(read_count(word, 0x1234'0000'0001) == 3);
  CHECK(read_count(word, 0x1234'0000'0002) == 0);
  add_count(word, 0x1234'0000'0002);
  CHECK(read_count(word, 0x1234'0000'0002) == 1);
  CHECK(read_count(word, 0x1234'0000'0001) == 0);
}

}  // namespace
}  // namespace rl::shm
