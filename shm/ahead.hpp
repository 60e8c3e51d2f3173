/// \file
/// Lines that are not in the cache are asked for before they are used. Only hints: nothing is read.
#pragma once

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

/// Asks for the line where most keys are that are not at home, and for the counts beside home,
/// before anybody knows where the key is: they come while the home line does, not one after another.
/// (Inlined, as the others: g++ leaves out calls of functions that do nothing but prefetch.)
template <class Cell>
[[gnu::always_inline]] inline void prefetch_beside_home(const Table<Cell>& table,
                                                        const KeyHash& key) noexcept {
  const CandidateList list = table.candidates(key);
  prefetch(&table.slot(list.slot_at(CandidateList::kBeyondHome[0])));
  prefetch(&table.counts(list.slot_at(0)));
}

}  // namespace rl::shm
