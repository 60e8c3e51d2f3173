/// \file
/// Standard output, which may be a full disk, and standard error.
#pragma once

#include <string_view>

namespace rl::ctl {

/// Makes sure that 0, 1 and 2 are open, so that no segment is ever opened as one of them and
/// written to; a reader that goes away (`| head`) ends the process quietly. Call it first.
void prepare_output() noexcept;
/// Makes SIGPIPE what it was before, for another program that takes this one's place.
void leave_output() noexcept;

/// Writes to standard output. Errors: Error (system) when the text cannot be written.
void put(std::string_view text);
/// Writes what is still buffered. Errors: as put().
void finish_output();

/// Says one sentence on standard error, escaped, so that it is always one line.
void complain(std::string_view sentence) noexcept;

}  // namespace rl::ctl
