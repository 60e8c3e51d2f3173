/// \file
/// Lines whose fields have names: an object of JSON, or LTSV (LABEL:VALUE with tabs between).
#pragma once

#include <array>
#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace rl::ctl {

/// A field as it stands in the line. What is escaped in JSON stays so: see unescape().
struct NamedField {
  enum Kind : unsigned char {
    text,    ///< a string of JSON, without its quotes, or a value of LTSV
    word,    ///< a number, true, false or null
    nested,  ///< an object or an array, with its brackets
  };
  std::string_view name;
  std::string_view value;
  Kind kind = text;
};

/// The fields of one line. Nothing is allocated; of a line that has more fields than fit the rest is
/// not known.
class NamedLine {
 public:
  static constexpr std::size_t kFieldsMax = 128;

  /// Read a line; return whether it is such a line. Only one that is gets fields.
  bool read_json(std::string_view line) noexcept;
  bool read_ltsv(std::string_view line) noexcept;

  /// Returns a field by its name. In JSON "request.remote_ip" is also the field remote_ip of the
  /// object in request.
  [[nodiscard]] std::optional<NamedField> find(std::string_view name) const noexcept;

  [[nodiscard]] std::span<const NamedField> fields() const noexcept {
    return std::span(fields_).first(size_);
  }

 private:
  void add(const NamedField& field) noexcept;

  std::array<NamedField, kFieldsMax> fields_;
  std::size_t size_ = 0;
};

/// Returns a string of JSON without its escapes, in `scratch` where there are some. Two spellings of
/// a string are one text then; what is no escape stays as it is.
std::string_view unescape(std::string_view text, std::string& scratch);

}  // namespace rl::ctl
