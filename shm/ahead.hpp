/// \file
/// Looking for many keys at once: lines that are not in the cache are asked for long before they
/// are used, and nothing branches on what cannot be predicted. Only hints: whoever goes on to a
/// slot reads it again, and its compare-and-swap says whether it was the one.
#pragma once

#include <bit>
#include <cstdint>

#include "shm/table.hpp"

namespace rl::shm {

/// For writing: what is asked for is about to be changed.
[[gnu::always_inline]] inline void prefetch(const void* line) noexcept {
  __builtin_prefetch(line, 1);
}

/// Asks for the key's home line and the counts beside it. Reads nothing.
template <class Cell>
[[gnu::always_inline]] inline void prefetch_home(const Table<Cell>& table,
                                                 const CandidateList& list) noexcept {
  prefetch(&table.slot(list.slot_at(0)));
  prefetch(&table.counts(list.slot_at(0)));
}

/// Asks for the other lines of a key's list. (Inlined, as the others: g++ leaves out calls of
/// functions that do nothing but prefetch.)
template <class Cell>
[[gnu::always_inline]] inline void prefetch_beyond_home(const Table<Cell>& table,
                                                        const CandidateList& list) noexcept {
  for (int p = CandidateList::kPerLine; p < CandidateList::kSize; p += CandidateList::kPerLine)
    prefetch(&table.slot(list.slot_at(p)));
}

/// Returns the index of the slot with this very tag in the line that begins at `first`, or
/// kNowhere.
template <class Cell>
[[nodiscard, gnu::always_inline]] inline std::uint64_t find_in_line(const Table<Cell>& table,
                                                                    std::uint64_t first,
                                                                    std::uint64_t tag) noexcept {
  const Cell* const line = &table.slot(first);
  std::uint32_t found = 0;  // a bit for each slot
  for (int i = 0; i < CandidateList::kPerLine; ++i)
    found |= std::uint32_t{line[i].tag() == tag} << i;
  return found != 0 ? first + static_cast<std::uint32_t>(std::countr_zero(found)) : table.kNowhere;
}

/// The same in all lines but the first, with the counts beside the slot asked for.
template <class Cell>
[[nodiscard]] std::uint64_t find_beyond_home(const Table<Cell>& table, const CandidateList& list,
                                             std::uint64_t tag) noexcept {
  for (int p = CandidateList::kPerLine; p < CandidateList::kSize; p += CandidateList::kPerLine) {
    const std::uint64_t index = find_in_line(table, list.slot_at(p), tag);
    if (index == table.kNowhere) continue;
    prefetch(&table.counts(index));
    return index;
  }
  return table.kNowhere;
}

}  // namespace rl::shm
