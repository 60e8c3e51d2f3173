#include "shm/journal.hpp"

#include <unistd.h>

#include <algorithm>

#include "shm/clock.hpp"
#include "shm/record.hpp"

namespace rl::shm {
namespace {

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
  image.checksum = checksum_of(hasher_, image);
  store_image(mapping_.journal()[image.number % kJournalRecords], image);
}

std::vector<JournalImage> Journal::read() const {
  std::vector<JournalImage> records;
  for (std::uint64_t i = 0; i < kJournalRecords; ++i) {
    const auto image = load_image<JournalImage>(mapping_.journal()[i]);
    if (image.checksum == checksum_of(hasher_, image)) records.push_back(image);
  }
  std::sort(records.begin(), records.end(),
            [](const JournalImage& a, const JournalImage& b) { return a.number < b.number; });
  return records;
}

}  // namespace rl::shm
