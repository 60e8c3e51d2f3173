/// \file
/// What a replay needs to know of a line of a log: when it was, and whose call.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include <rl/keys.hpp>

#include "tools/rlctl/replay/combined_line.hpp"
#include "tools/rlctl/replay/log_time.hpp"
#include "tools/rlctl/replay/named_line.hpp"

namespace rl::ctl {

enum class LogFormat : std::uint8_t { combined, json, ltsv };
std::string_view name_of(LogFormat format) noexcept;
/// Returns the format in which most of these lines, the first of a log, can be read; nothing where
/// none can. `time_field`: as LineReader has it.
std::optional<LogFormat> guessed_format(std::span<const std::string_view> lines,
                                        const std::string& time_field = {});

/// By what calls are told apart.
struct KeyChoice {
  PrefixLengths prefix;  ///< of an address
  std::string field;     ///< empty: the address

  /// Reads "ip", "ip/24" (IPv4), "ip/48" (above 32: IPv6), "ip/24/48" (both), or the name of a
  /// field. Errors: Error (bad_option).
  static KeyChoice parse(std::string_view text);
  [[nodiscard]] bool is_address() const noexcept { return field.empty(); }
  /// Returns it in words: "ip (IPv6 by /64)".
  [[nodiscard]] std::string to_string() const;
};

/// What became of a line.
enum class LineRead : std::uint8_t {
  entry,
  other_format,  ///< it is no line of the format
  no_time,       ///< it has none, or one that cannot be read
  no_key,        ///< nobody is named in it: the field is missing, empty or "-"
};
/// Returns why a line is left out, in words.
std::string_view text_of(LineRead read) noexcept;

struct LogEntry {
  UnixNs unix_ns = 0;
  std::string_view key;     ///< good until the next line is read
  bool is_address = false;  ///< the key is one, or the network of one
};

/// Reads the lines of a log of one format. Nothing is allocated for a line, but where a string of
/// JSON is escaped and longer than any before.
class LineReader {
 public:
  /// `time_field`: where the time stands in lines with named fields; empty: where it does by the
  /// usual names. Errors: Error (bad_option) for a field that the format does not have.
  LineReader(LogFormat format, KeyChoice key, std::string time_field);

  /// Only an entry sets all its parts.
  LineRead read(std::string_view line, LogEntry& entry);
  [[nodiscard]] LogFormat format() const noexcept { return format_; }

 private:
  LineRead read_combined(std::string_view line, LogEntry& entry);
  LineRead read_named(LogEntry& entry);
  [[nodiscard]] std::optional<UnixNs> time_of_named();
  [[nodiscard]] std::optional<NamedField> client_of_named() const;
  LineRead take_key(std::string_view text, LogEntry& entry);
  LineRead take_address(std::string_view text, LogEntry& entry);

  LogFormat format_;
  KeyChoice key_;
  std::string time_field_;
  CombinedField combined_;
  NamedLine named_;
  ClfTimes clf_times_;
  AddressKey address_;
  std::string last_address_;
  std::string scratch_;
};

}  // namespace rl::ctl
