#include "tools/rlctl/replay/log_format.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <utility>

#include <rl/error.hpp>

#include "tools/rlctl/address_text.hpp"
#include "tools/rlctl/text.hpp"

namespace rl::ctl {
namespace {

/// Where times stand by the usual names, the finer ones first: in variables of nginx, what Logstash,
/// Caddy and Traefik write.
constexpr std::array<std::string_view, 8> kTimes{"msec",      "@timestamp", "ts",   "time_iso8601",
                                                 "timestamp", "StartUTC",   "time", "time_local"};
/// Where a client's address stands by the usual names.
constexpr std::array<std::string_view, 11> kClients{
    "remote_addr", "client_ip",         "remote_ip",         "clientip",  "ip",       "client",
    "ClientHost",  "request.client_ip", "request.remote_ip", "client.ip", "source.ip"};
/// LTSV's own name for it (ltsv.org); in JSON "host" is mostly the server.
constexpr std::string_view kClientOfLtsv = "host";

bool is_missing(std::string_view text) noexcept {
  return text.empty() || text == "-";
}

/// Whether a field names nobody; an object or an array is no name.
bool is_missing(const NamedField& field) noexcept {
  return field.kind == NamedField::nested || is_missing(field.value) ||
         (field.kind == NamedField::word && field.value == "null");
}

/// Returns the address in a text, perhaps with a port, or the first of those that proxies have put
/// in a row.
AddressKey address_in(std::string_view text, PrefixLengths prefix) {
  const AddressKey plain(text, prefix);
  if (plain) return plain;
  return AddressKey(without_port(without_blanks(text.substr(0, text.find(',')))), prefix);
}

std::optional<unsigned> prefix_length(std::string_view text) noexcept {
  unsigned length = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), length);
  if (error != std::errc() || end != text.data() + text.size() || length > 128) return std::nullopt;
  return length;
}

/// Reads what stands behind "ip/".
std::optional<PrefixLengths> prefixes(std::string_view text) noexcept {
  PrefixLengths lengths;
  const std::size_t slash = text.find('/');
  const auto first = prefix_length(text.substr(0, slash));
  if (!first) return std::nullopt;
  if (slash == text.npos) {
    (*first <= 32 ? lengths.ipv4 : lengths.ipv6) = *first;
    return lengths;
  }
  const auto second = prefix_length(text.substr(slash + 1));
  if (!second || *first > 32) return std::nullopt;
  return PrefixLengths{*first, *second};
}

std::size_t lines_read(LogFormat format, std::span<const std::string_view> lines,
                       const std::string& time_field) {
  // A combined log is told to be one all the same; then its reader refuses the field.
  LineReader reader(format, {}, format == LogFormat::combined ? std::string() : time_field);
  LogEntry entry;
  const auto is_of_it = [&](std::string_view line) {
    const LineRead read = reader.read(line, entry);
    return read == LineRead::entry || read == LineRead::no_key;
  };
  return static_cast<std::size_t>(std::count_if(lines.begin(), lines.end(), is_of_it));
}

}  // namespace

std::string_view name_of(LogFormat format) noexcept {
  switch (format) {
    case LogFormat::combined:
      return "combined";
    case LogFormat::json:
      return "json";
    case LogFormat::ltsv:
      break;
  }
  return "ltsv";
}

std::optional<LogFormat> guessed_format(std::span<const std::string_view> lines,
                                        const std::string& time_field) {
  std::optional<LogFormat> best;
  std::size_t most = 0;
  for (const LogFormat format : {LogFormat::combined, LogFormat::json, LogFormat::ltsv}) {
    const std::size_t count = lines_read(format, lines, time_field);
    if (count <= most) continue;
    most = count;
    best = format;
  }
  return best;
}

KeyChoice KeyChoice::parse(std::string_view text) {
  if (text == "ip") return {};
  if (text.starts_with("ip/")) {
    if (const auto lengths = prefixes(text.substr(3))) return {*lengths, {}};
    throw Error(Errc::bad_option,
                fmt::format("--key {}: give ip, or with leading bits ip/24 for IPv4, ip/48 (above "
                            "32) for IPv6, ip/24/48 for both",
                            text));
  }
  if (text.empty()) throw Error(Errc::bad_option, "--key \"\": give ip, or the name of a field");
  return {{}, std::string(text)};
}

std::string KeyChoice::to_string() const {
  if (!is_address()) return escape(field);
  if (prefix.ipv4 == 32) return fmt::format("ip (IPv6 by /{})", prefix.ipv6);
  return fmt::format("ip (IPv4 by /{}, IPv6 by /{})", prefix.ipv4, prefix.ipv6);
}

std::string_view text_of(LineRead read) noexcept {
  switch (read) {
    case LineRead::entry:
      break;
    case LineRead::other_format:
      return "not of this format";
    case LineRead::no_time:
      return "without a time that can be read";
    case LineRead::no_key:
      return "that name nobody by this key";
  }
  return "a request";
}

LineReader::LineReader(LogFormat format, KeyChoice key, std::string time_field)
    : format_(format),
      key_(std::move(key)),
      time_field_(std::move(time_field)),
      combined_(combined_field(key_.is_address() ? "address" : key_.field)) {
  if (format_ != LogFormat::combined) return;
  if (combined_ == nullptr) {
    throw Error(Errc::bad_option,
                fmt::format("--key {}: a combined log has no field of that name; give ip or one of "
                            "{}",
                            key_.field, combined_field_names()));
  }
  if (!time_field_.empty()) {
    throw Error(Errc::bad_option,
                "--time: in a combined log the time has its own place; leave it out");
  }
}

LineRead LineReader::read(std::string_view line, LogEntry& entry) {
  switch (format_) {
    case LogFormat::combined:
      return read_combined(line, entry);
    case LogFormat::json:
      if (!named_.read_json(line)) return LineRead::other_format;
      break;
    case LogFormat::ltsv:
      if (!named_.read_ltsv(line)) return LineRead::other_format;
      break;
  }
  return read_named(entry);
}

LineRead LineReader::read_combined(std::string_view line, LogEntry& entry) {
  const auto parts = CombinedLine::from(line);
  if (!parts) return LineRead::other_format;
  const auto time = clf_times_.read(parts->time);
  if (!time) return LineRead::no_time;
  entry.unix_ns = *time;
  return take_key(combined_(*parts), entry);
}

LineRead LineReader::read_named(LogEntry& entry) {
  const auto time = time_of_named();
  if (!time) return LineRead::no_time;
  entry.unix_ns = *time;
  const auto field = key_.is_address() ? client_of_named() : named_.find(key_.field);
  if (!field || is_missing(*field)) return LineRead::no_key;
  const bool is_escaped = format_ == LogFormat::json && field->kind == NamedField::text;
  return take_key(is_escaped ? unescape(field->value, scratch_) : field->value, entry);
}

/// Of the usual names the first one that is there and can be read.
std::optional<UnixNs> LineReader::time_of_named() {
  const auto read = [&](std::string_view name) -> std::optional<UnixNs> {
    const auto field = named_.find(name);
    if (!field || field->kind == NamedField::nested) return std::nullopt;
    if (const auto ns = clf_times_.read(field->value)) return ns;
    return read_any_time(field->value);
  };
  if (!time_field_.empty()) return read(time_field_);
  for (const std::string_view name : kTimes)
    if (const auto ns = read(name)) return ns;
  return std::nullopt;
}

/// Of the usual names the first one that names somebody.
std::optional<NamedField> LineReader::client_of_named() const {
  for (const std::string_view name : kClients)
    if (const auto field = named_.find(name); field && !is_missing(*field)) return field;
  return format_ == LogFormat::ltsv ? named_.find(kClientOfLtsv) : std::nullopt;
}

LineRead LineReader::take_key(std::string_view text, LogEntry& entry) {
  if (is_missing(text)) return LineRead::no_key;
  entry.key = text;
  entry.is_address = false;
  return key_.is_address() ? take_address(text, entry) : LineRead::entry;
}

/// An address counts by its network; what is none, as where a server looks names up, by its text.
LineRead LineReader::take_address(std::string_view text, LogEntry& entry) {
  if (text != last_address_) {  // clients come in rows
    address_ = address_in(text, key_.prefix);
    last_address_ = text;
  }
  if (!address_) return LineRead::entry;
  entry.key = address_.view();
  entry.is_address = true;
  return LineRead::entry;
}

}  // namespace rl::ctl
