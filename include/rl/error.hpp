/// \file
/// What goes wrong at set-up, and where the library says what it cannot return.
///
/// Decisions never throw. Opening, creating, parsing and naming do: they throw one type, Error,
/// whose text is one sentence with what failed, with what, and what to do.
#ifndef RL_ERROR_HPP
#define RL_ERROR_HPP

#include <stdexcept>
#include <string>
#include <string_view>

#include <rl/export.hpp>

namespace rl {

/// Names the kind of failure, for programs; the text of the Error is for people.
enum class Errc {
  bad_name,        ///< a segment or policy name that cannot be one
  bad_limit,       ///< a limit that does not parse or cannot be represented
  bad_option,      ///< a number of keys, a mode, ... outside its range
  not_found,       ///< no segment under that name
  exists,          ///< create: the name is taken
  permission,      ///< the file may not be opened, or its owner is not trusted
  not_a_segment,   ///< the file is something else, or no file at all
  wrong_version,   ///< another layout version or fingerprint
  wrong_host,      ///< made under another boot or time namespace
  corrupt,         ///< truncated, grown, or with fields that contradict each other
  no_space,        ///< the tmpfs has no room for the table, or the table none for a key
  too_many,        ///< the segment has no free policy entry, or no place for one more that stays
  unknown_policy,  ///< no policy of that name
  read_only,       ///< the segment was opened for reading
  unsupported,     ///< this CPU or kernel lacks something the segment needs
  system,          ///< any other failed system call; the text has its name and errno
};

/// Is thrown by everything that sets up, never by a decision.
class RL_EXPORT Error : public std::runtime_error {
 public:
  Error(Errc code, const std::string& sentence) : std::runtime_error(sentence), code_(code) {}
  /// Returns the kind of failure.
  [[nodiscard]] Errc code() const noexcept { return code_; }

 private:
  Errc code_;
};

/// How much a log line matters.
enum class Severity { info, warning };

/// Receives what the library must say and cannot return: a segment that was unlinked under us, a
/// clock that was left, a limit in the code that is not the one in force.
///
/// Threads and processes: may be called from any thread that decides; must not throw.
using LogFn = void (*)(Severity severity, std::string_view line, void* context) noexcept;

/// Sends log lines to `fn`; a null `fn` restores the default, one line on stderr per warning.
///
/// Threads and processes: call it before other threads decide; a forked child inherits it.
RL_EXPORT void set_log(LogFn fn, void* context = nullptr) noexcept;

}  // namespace rl

#endif
