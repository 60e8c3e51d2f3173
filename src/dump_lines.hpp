/// \file
/// The lines of a dump that is read, and the members of each. Every byte is input: of any length,
/// and no JSON, perhaps.
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include <rl/dump.hpp>
#include <rl/error.hpp>

namespace rl {

/// No line that a dump has is longer.
inline constexpr std::size_t kLineMax = 1U << 16;

/// What a line is refused with.
inline Error refused(std::uint64_t line, const std::string& why) {
  return {Errc::corrupt, fmt::format("line {} of the dump: {}; nothing is loaded of it, take the "
                                     "dump anew",
                                     line, why)};
}

/// Gives the lines of a source, without their ends.
class Lines {
 public:
  explicit Lines(const Dump::Source& source) : source_(source) {}

  /// Of the line that was given last; before the first, 0.
  [[nodiscard]] std::uint64_t number() const noexcept { return number_; }

  /// Returns the next line, which is good until the one after; nothing at the end.
  std::optional<std::string_view> next() {
    ++number_;
    std::size_t end;
    while ((end = buffer_.find('\n', at_)) == buffer_.npos) {  // ends: the source does, or the room
      if (buffer_.size() - at_ > kLineMax)
        throw refused(number_, fmt::format("longer than {} bytes", kLineMax));
      if (!fill()) return rest();
    }
    const std::string_view line(buffer_.data() + at_, end - at_);
    at_ = end + 1;
    return line;
  }

 private:
  bool fill() {
    buffer_.erase(0, std::exchange(at_, 0));
    const std::size_t had = buffer_.size();
    buffer_.resize(had + kLineMax);
    const std::size_t got = source_(std::span(buffer_).subspan(had));
    buffer_.resize(had + std::min(got, kLineMax));
    return got != 0;
  }
  [[nodiscard]] std::optional<std::string_view> rest() const {
    if (at_ != buffer_.size()) throw refused(number_, "its end is missing: the dump was cut short");
    return std::nullopt;
  }

  const Dump::Source& source_;
  std::string buffer_;
  std::size_t at_ = 0;
  std::uint64_t number_ = 0;
};

/// The members of a line's object, each checked as it is asked for.
class Members {
 public:
  Members(const nlohmann::json& object, std::uint64_t line) : object_(object), line_(line) {}

  [[nodiscard]] bool has(const char* name) const { return object_.contains(name); }

  [[nodiscard]] std::uint64_t number(const char* name, std::uint64_t most) const {
    const nlohmann::json* const value = find(name);
    if (value == nullptr || !value->is_number_unsigned() || value->get<std::uint64_t>() > most)
      throw bad(name, fmt::format("is no number from 0 to {}", most));
    return value->get<std::uint64_t>();
  }
  [[nodiscard]] std::uint64_t number(const char* name, std::uint64_t least,
                                     std::uint64_t most) const {
    const std::uint64_t value = number(name, most);
    if (value < least) throw bad(name, fmt::format("is no number from {} to {}", least, most));
    return value;
  }
  [[nodiscard]] bool flag(const char* name) const {
    const nlohmann::json* const value = find(name);
    if (value == nullptr || !value->is_boolean()) throw bad(name, "is neither true nor false");
    return value->get<bool>();
  }
  [[nodiscard]] const std::string& text(const char* name) const {
    const nlohmann::json* const value = find(name);
    if (value == nullptr || !value->is_string()) throw bad(name, "is no text");
    return value->get_ref<const std::string&>();
  }
  /// The bytes that a text has a character for each, U+0000 to U+00FF: in UTF-8 one byte or two.
  [[nodiscard]] std::string bytes(const char* name, std::size_t most) const {
    const std::string& utf8 = text(name);
    std::string bytes;
    for (std::size_t i = 0; i < utf8.size(); ++i) {
      auto byte = static_cast<unsigned char>(utf8[i]);
      if (byte >= 0xc4) throw bad(name, "has a character above U+00FF");
      if (byte >= 0x80)  // the parser has seen that one byte follows
        byte =
            static_cast<unsigned char>(byte << 6 | (static_cast<unsigned char>(utf8[++i]) & 0x3f));
      bytes += static_cast<char>(byte);
    }
    if (bytes.size() > most) throw bad(name, fmt::format("has more than {} bytes", most));
    return bytes;
  }
  /// A word in hexadecimal, of just so many digits, that stands `from` a place in a text.
  [[nodiscard]] std::uint64_t word(const char* name, std::size_t digits, std::size_t from = 0,
                                   std::size_t all = 0) const {
    const std::string& hex = text(name);
    std::uint64_t value = 0;
    const char* const begin = hex.data() + from;
    const bool is_long = hex.size() == std::max(all, digits);
    if (!is_long || std::from_chars(begin, begin + digits, value, 16).ptr != begin + digits)
      throw bad(name, fmt::format("is no {} hexadecimal digits", std::max(all, digits)));
    return value;
  }
  [[nodiscard]] Error bad(const char* name, const std::string& why) const {
    return refused(line_, fmt::format("\"{}\" {}", name, why));
  }

 private:
  [[nodiscard]] const nlohmann::json* find(const char* name) const {
    const auto at = object_.find(name);
    return at == object_.end() ? nullptr : &*at;
  }

  const nlohmann::json& object_;
  std::uint64_t line_;
};

}  // namespace rl
