/// \file
/// Checkpoints: the dump of a segment in a file, again and again. There is a whole one at any
/// instant, whoever is killed when.
///
///     FILE      the last, written beside and renamed when it is on the disk
///     FILE.1    the one before, and so on, as many as are kept
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include <rl/rl.hpp>

namespace rl::reaper {

/// Returns where the checkpoints of a segment are: the pattern with the segment's name for %s. (A
/// name that is a path loses what is before its last slash.)
std::string checkpoint_file(std::string_view pattern, std::string_view segment);

/// Writes a checkpoint. `goes_on` is asked now and then; when it says no, all is as before, and so
/// is the answer. Errors: Error, as of files and of Dump::write; then all is as before, too.
bool write_checkpoint(const Segment& segment, const std::string& file, std::uint64_t keep,
                      const std::function<bool()>& goes_on);

/// What a segment was made of.
struct Restored {
  std::string file;  ///< empty: there was no checkpoint
  LoadReport report;
};

/// Makes a segment from its last checkpoint that can be read; says why of each that cannot. Errors:
/// as Dump::create.
Restored restore(const std::string& segment, const std::string& file, std::uint64_t keep);

}  // namespace rl::reaper
