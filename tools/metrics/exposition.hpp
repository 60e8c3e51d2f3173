/// \file
/// What Prometheus reads: families of samples, in its text exposition format 0.0.4.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace rl::metrics {

enum class Type : std::uint8_t {
  gauge,      ///< goes up and down
  counter,    ///< only goes up, or begins anew with its segment
  histogram,  ///< its samples are of buckets, of their sum and of their count
};

/// Returns the word that stands behind # TYPE.
std::string_view to_string(Type type) noexcept;

/// A whole number is written as one: no digit of a count is lost.
using Number = std::variant<std::uint64_t, double>;

/// Returns a number as Prometheus reads it.
std::string to_text(const Number& number);

/// Names and values; the values are any bytes.
using Labels = std::vector<std::pair<std::string_view, std::string>>;

struct Sample {
  std::string_view suffix;  ///< of a histogram's: "_bucket", "_sum" or "_count"
  Labels labels;
  Number value;
};

/// All samples of one name, of all segments.
struct Family {
  std::string_view name;
  Type type;
  std::string_view help;
  std::vector<Sample> samples;
};

/// Writes the families, those without samples left out. Of samples of one name and the same labels
/// the first is written: a segment's bytes are input, and Prometheus refuses a text that has one
/// twice. Values of labels are as rlctl shows bytes: what is not UTF-8 is \xNN, and a backslash two.
std::string to_text(std::span<const Family> families);

/// What a text of this format is called in HTTP.
inline constexpr std::string_view kContentType = "text/plain; version=0.0.4; charset=utf-8";

}  // namespace rl::metrics
