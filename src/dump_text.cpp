#include "src/dump_text.hpp"

#include <fmt/format.h>

#include <iterator>

#include <rl/version.hpp>

namespace rl {
namespace {

constexpr std::size_t kBufferBytes = 1U << 16;

auto end_of(std::string& text) {
  return std::back_inserter(text);
}

/// Writes bytes as a JSON string, a character for each.
void put_bytes(std::string& to, std::string_view bytes) {
  to += '"';
  for (const char c : bytes) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < ' ' || byte > '~') {
      fmt::format_to(end_of(to), "\\u{:04x}", byte);
    } else {
      if (c == '"' || c == '\\') to += '\\';
      to += c;
    }
  }
  to += '"';
}

std::string_view name_of(shm::ClockKind clock) noexcept {
  switch (clock) {
    case shm::ClockKind::tsc:
      return "tsc";
    case shm::ClockKind::boottime:
      return "boottime";
    case shm::ClockKind::manual:
      break;
  }
  return "manual";
}

void put_owed(std::string& to, const Owed& owed, Algorithm algorithm) {
  switch (algorithm) {
    case Algorithm::token_bucket:
    case Algorithm::leaky:
      fmt::format_to(end_of(to), ",\"debt_ns\":{}", owed.ns);
      break;
    case Algorithm::sliding_window:
      fmt::format_to(end_of(to), ",\"before\":{}", owed.before);
      [[fallthrough]];
    case Algorithm::fixed_window:
      fmt::format_to(end_of(to), ",\"count\":{},\"into_ns\":{}", owed.count, owed.into_ns);
      break;
    case Algorithm::counter:
      fmt::format_to(end_of(to), ",\"count\":{},\"left_ns\":{}", owed.count, owed.ns);
      break;
    case Algorithm::concurrency:
      break;
  }
}

}  // namespace

void DumpWriter::write(const DumpedSegment& segment, const DumpedFacts& facts) {
  fmt::format_to(end_of(buffer_),
                 "{{\"librl_dump\":{},\"library\":\"{}\",\"layout\":{},\"segment\":", kDumpFormat,
                 RL_VERSION, shm::kLayoutVersion);
  put_bytes(buffer_, facts.segment);
  fmt::format_to(end_of(buffer_),
                 ",\"unix_ns\":{},\"now_ns\":{},\"keys\":{},\"pairs\":{},\"policies\":{},"
                 "\"labels\":{},\"clock\":\"{}\",\"secret\":\"{:016x}{:016x}\",\"off_unix_ns\":{}",
                 facts.unix_ns, facts.now_ns, segment.keys, segment.pairs, segment.policies,
                 segment.labels, name_of(segment.clock), segment.secret.high, segment.secret.low,
                 segment.off_unix_ns);
  end_line();
}

void DumpWriter::write(const DumpedPolicy& policy) {
  fmt::format_to(end_of(buffer_), "{{\"policy\":{},\"name\":", policy.id);
  put_bytes(buffer_, policy.name);
  // The interval is what a debt is counted in, rounded as this library does.
  fmt::format_to(end_of(buffer_), ",\"kind\":\"limit\",\"limit\":\"{}\",\"interval_ns\":{}",
                 policy.limit.to_string(), policy.limit.interval().count());
  if (policy.trial) fmt::format_to(end_of(buffer_), ",\"trial\":\"{}\"", policy.trial->to_string());
  end_line();
}

/// Says whose it is.
void DumpWriter::begin_key_line(const DumpedKey& key) {
  fmt::format_to(end_of(buffer_), "{{\"policy\":{}", key.policy);
  switch (key.known) {
    case KeyKnown::text:
      buffer_ += ",\"key\":";
      put_bytes(buffer_, key.view());
      break;
    case KeyKnown::hash:
      buffer_ += ",\"begins\":";
      put_bytes(buffer_, key.view());
      fmt::format_to(end_of(buffer_), ",\"place\":\"{:016x}\",\"sides\":{}", key.hash.place,
                     key.hash.sides);
      break;
    case KeyKnown::slot:
      fmt::format_to(end_of(buffer_), ",\"slot\":{}", key.slot_index);
      break;
  }
  if (key.known != KeyKnown::text)
    fmt::format_to(end_of(buffer_), ",\"identity\":\"{:012x}\"", key.hash.identity);
}

void DumpWriter::write(const DumpedStanding& standing) {
  begin_key_line(standing.where);
  fmt::format_to(end_of(buffer_), ",\"standing\":\"{}\"", to_string(standing.standing));
  if (standing.limit)
    fmt::format_to(end_of(buffer_), ",\"limit\":\"{}\"", standing.limit->to_string());
  if (standing.left_ns) fmt::format_to(end_of(buffer_), ",\"left_ns\":{}", *standing.left_ns);
  if (standing.standing == Standing::ban)
    fmt::format_to(end_of(buffer_), ",\"owed\":{},\"level\":{}", standing.owed, standing.level);
  end_line();
}

void DumpWriter::write(const DumpedConduct& conduct) {
  begin_key_line(conduct.where);
  const Remembered& what = conduct.what;
  fmt::format_to(end_of(buffer_), ",\"conduct\":\"{}\",\"denials\":{},\"level\":{},\"left_ns\":{}",
                 conduct.bans.to_string(), what.denials, what.level, what.left_ns);
  end_line();
}

void DumpWriter::write(const DumpedKey& key, Algorithm algorithm) {
  begin_key_line(key);
  put_owed(buffer_, key.owed, algorithm);
  fmt::format_to(end_of(buffer_), ",\"allowed\":{},\"denied\":{}", key.allowed_count,
                 key.denied_count);
  end_line();
}

std::uint64_t DumpWriter::finish() {
  fmt::format_to(end_of(buffer_), "{{\"lines\":{}", lines_ + 1);
  end_line();
  sink_(buffer_);
  buffer_.clear();
  return lines_;
}

void DumpWriter::end_line() {
  chain_ = shm::Hasher(chain_)(buffer_.data() + line_at_, buffer_.size() - line_at_);
  fmt::format_to(end_of(buffer_), ",\"sum\":\"{:016x}\"}}\n", chain_.low);
  ++lines_;
  if (buffer_.size() >= kBufferBytes) {
    sink_(buffer_);
    buffer_.clear();
  }
  line_at_ = buffer_.size();
}

}  // namespace rl
