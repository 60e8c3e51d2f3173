#include "shm/journal.hpp"

#include <unistd.h>

#include <algorithm>

#include "shm/clock.hpp"

namespace rl::shm {
namespace {

constexpr std::size_t kWords = sizeof(JournalRecord) / sizeof(Word);

/// Lays texts one after the other. The policy's name always fits; of the room that is left, each
/// gets its share at least.
void lay_out(JournalImage& image,
             const std::array<std::string_view, kJournalTexts>& texts) noexcept {
  std::size_t used = 0;
  for (std::size_t i = 0; i < kJournalTexts; ++i) {
    const std::size_t left = sizeof image.text - used;
    const std::size_t room = i == 0 ? kPolicyNameMax : left / (kJournalTexts - i);
    const std::size_t size = std::min(texts[i].size(), room);
    (void)texts[i].copy(image.text + used, size);  // also of none, which is at no address
    image.lengths[i] = static_cast<std::uint8_t>(size);
    if (size < texts[i].size()) image.cut = static_cast<std::uint8_t>(image.cut | 1U << i);
    used += size;
  }
}

}  // namespace

std::string_view JournalImage::of(JournalText which) const noexcept {
  std::size_t at = 0;
  for (std::size_t i = 0; i < static_cast<std::size_t>(which); ++i) at += lengths[i];
  const std::size_t size = lengths[static_cast<std::size_t>(which)];
  return at + size <= sizeof text ? std::string_view(text + at, size) : std::string_view();
}

std::uint64_t Journal::checksum(const JournalImage& image) const noexcept {
  unsigned char bytes[sizeof image];
  std::memcpy(bytes, &image, sizeof image);
  return hasher_(bytes + sizeof image.checksum, sizeof image - sizeof image.checksum).low;
}

void Journal::write(std::uint8_t kind,
                    const std::array<std::string_view, kJournalTexts>& texts) const noexcept {
  JournalImage image{};
  // relaxed: draws a number, and orders nothing.
  image.number = mapping_.header().journal_next.fetch_add(1, std::memory_order_relaxed);
  image.unix_ns = read_unix_ns();
  image.uid = ::geteuid();
  image.pid = static_cast<std::uint32_t>(::getpid());
  image.kind = kind;
  lay_out(image, texts);
  image.checksum = checksum(image);
  std::uint64_t words[kWords];
  std::memcpy(words, &image, sizeof image);
  JournalRecord& record = mapping_.journal()[image.number % kJournalRecords];
  // relaxed words; a reader trusts the checksum, not the order.
  for (std::size_t i = 0; i < kWords; ++i)
    record.words[i].store(words[i], std::memory_order_relaxed);
}

std::vector<JournalImage> Journal::read() const {
  std::vector<JournalImage> records;
  for (std::uint64_t i = 0; i < kJournalRecords; ++i) {
    std::uint64_t words[kWords];
    for (std::size_t word = 0; word < kWords; ++word)  // relaxed: as they are written
      words[word] = mapping_.journal()[i].words[word].load(std::memory_order_relaxed);
    JournalImage image;
    std::memcpy(&image, words, sizeof image);
    if (image.checksum == checksum(image)) records.push_back(image);
  }
  std::sort(records.begin(), records.end(),
            [](const JournalImage& a, const JournalImage& b) { return a.number < b.number; });
  return records;
}

}  // namespace rl::shm
