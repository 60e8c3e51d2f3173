#include "tools/metrics/exposition.hpp"

#include <fmt/format.h>

#include <cmath>
#include <unordered_set>

#include "tools/rlctl/text.hpp"

namespace rl::metrics {
namespace {

/// Source: exposition formats, "Comments, help text, and type information".
std::string escaped(std::string_view text, std::string_view which) {
  std::string out;
  for (const char c : text) {
    if (which.find(c) != which.npos) out += '\\';
    out += c == '\n' ? 'n' : c;
  }
  return out;
}

std::string text_of(const Labels& labels) {
  std::string text;
  for (const auto& [name, value] : labels) {
    text += fmt::format("{}{}=\"{}\"", text.empty() ? "{" : ",", name,
                        escaped(ctl::escape(value), "\\\"\n"));
  }
  return text.empty() ? text : text + '}';
}

}  // namespace

std::string_view to_string(Type type) noexcept {
  switch (type) {
    case Type::gauge:
      return "gauge";
    case Type::counter:
      return "counter";
    case Type::histogram:
      return "histogram";
  }
  return "untyped";
}

std::string to_text(const Number& number) {
  if (const auto* whole = std::get_if<std::uint64_t>(&number)) return fmt::format("{}", *whole);
  const double value = std::get<double>(number);
  if (std::isnan(value)) return "NaN";
  if (std::isinf(value)) return value > 0 ? "+Inf" : "-Inf";
  return fmt::format("{}", value);
}

std::string to_text(std::span<const Family> families) {
  std::string text;
  for (const Family& family : families) {
    if (family.samples.empty()) continue;
    text += fmt::format("# HELP {} {}\n# TYPE {} {}\n", family.name, escaped(family.help, "\\\n"),
                        family.name, to_string(family.type));
    std::unordered_set<std::string> written;
    for (const Sample& sample : family.samples) {
      std::string series =
          fmt::format("{}{}{}", family.name, sample.suffix, text_of(sample.labels));
      const auto [at, is_new] = written.insert(std::move(series));
      if (is_new) text += fmt::format("{} {}\n", *at, to_text(sample.value));
    }
  }
  return text;
}

}  // namespace rl::metrics
