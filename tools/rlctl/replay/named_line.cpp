#include "tools/rlctl/replay/named_line.hpp"

#include <algorithm>
#include <charconv>
#include <cstdint>

namespace rl::ctl {
namespace {

constexpr std::string_view kBlanks = " \t\r\n";

void skip_blanks(std::string_view& rest) noexcept {
  rest.remove_prefix(std::min(rest.find_first_not_of(kBlanks), rest.size()));
}

bool skip(std::string_view& rest, char c) noexcept {
  skip_blanks(rest);
  if (!rest.starts_with(c)) return false;
  rest.remove_prefix(1);
  return true;
}

/// Takes a string off the text, which begins with its quote. Returns what is between the quotes.
std::optional<std::string_view> take_string(std::string_view& rest) noexcept {
  for (std::size_t i = 1; i < rest.size(); ++i) {
    if (rest[i] == '\\') {
      ++i;
    } else if (rest[i] == '"') {
      const std::string_view inside = rest.substr(1, i - 1);
      rest.remove_prefix(i + 1);
      return inside;
    }
  }
  return std::nullopt;
}

/// Takes an object or an array off the text: as far as its brackets, of whatever kind, are closed.
std::optional<std::string_view> take_nested(std::string_view& rest) noexcept {
  const std::string_view whole = rest;
  std::size_t depth = 0;
  while (!rest.empty()) {
    const char c = rest.front();
    if (c == '"') {
      if (!take_string(rest)) return std::nullopt;
      continue;
    }
    rest.remove_prefix(1);
    if (c == '{' || c == '[') ++depth;
    if ((c == '}' || c == ']') && --depth == 0) return whole.substr(0, whole.size() - rest.size());
  }
  return std::nullopt;
}

/// Takes a number, true, false or null.
std::optional<std::string_view> take_word(std::string_view& rest) noexcept {
  const std::size_t end = std::min(rest.find_first_of(",}] \t\r\n\":{["), rest.size());
  if (end == 0) return std::nullopt;
  const std::string_view word = rest.substr(0, end);
  rest.remove_prefix(end);
  return word;
}

std::optional<NamedField> take_member(std::string_view& rest) noexcept {
  skip_blanks(rest);
  if (!rest.starts_with('"')) return std::nullopt;
  const auto name = take_string(rest);
  if (!name || !skip(rest, ':')) return std::nullopt;
  skip_blanks(rest);
  NamedField field{*name, {}, NamedField::text};
  std::optional<std::string_view> value;
  if (rest.starts_with('"')) {
    value = take_string(rest);
  } else if (rest.starts_with('{') || rest.starts_with('[')) {
    field.kind = NamedField::nested;
    value = take_nested(rest);
  } else {
    field.kind = NamedField::word;
    value = take_word(rest);
  }
  if (!value) return std::nullopt;
  field.value = *value;
  return field;
}

/// Calls `add` for each member of an object, which takes the whole text. Returns whether it is one.
template <class Add>
bool read_object(std::string_view text, const Add& add) noexcept {
  if (!skip(text, '{')) return false;
  bool is_first = true;
  while (!skip(text, '}')) {
    if (!is_first && !skip(text, ',')) return false;
    is_first = false;
    const auto member = take_member(text);
    if (!member) return false;
    add(*member);
  }
  skip_blanks(text);
  return text.empty();
}

/// Returns what a field is under a name that begins with the field's and a dot: in JSON, a field of
/// the object that it holds. Ends: with each object the name gets shorter.
std::optional<NamedField> within(const NamedField& field, std::string_view name) noexcept {
  const std::size_t size = field.name.size();
  if (field.kind != NamedField::nested || !name.starts_with(field.name) || name.size() <= size ||
      name[size] != '.')
    return std::nullopt;
  name.remove_prefix(size + 1);
  std::optional<NamedField> found;
  (void)read_object(field.value, [&](const NamedField& member) {
    if (!found) found = member.name == name ? std::optional(member) : within(member, name);
  });
  return found;
}

bool is_label(std::string_view name) noexcept {
  return !name.empty() && std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '.' || c == '-' || c == '@';
  });
}

void append_utf8(std::string& text, std::uint32_t code) {
  const auto byte = [&](std::uint32_t value) { text += static_cast<char>(value); };
  if (code < 0x80) return byte(code);
  if (code < 0x800) {
    byte(0xc0 | code >> 6);
  } else if (code < 0x10000) {
    byte(0xe0 | code >> 12);
    byte(0x80 | (code >> 6 & 0x3f));
  } else {
    byte(0xf0 | code >> 18);
    byte(0x80 | (code >> 12 & 0x3f));
    byte(0x80 | (code >> 6 & 0x3f));
  }
  byte(0x80 | (code & 0x3f));
}

/// Takes "\uNNNN" off a text.
std::optional<std::uint32_t> take_unit(std::string_view& rest) noexcept {
  std::uint32_t unit = 0;
  if (rest.size() < 6 || !rest.starts_with("\\u")) return std::nullopt;
  const auto [end, error] = std::from_chars(rest.data() + 2, rest.data() + 6, unit, 16);
  if (error != std::errc() || end != rest.data() + 6) return std::nullopt;
  rest.remove_prefix(6);
  return unit;
}

/// Takes a character that is written so; above 0xffff it takes two of them. Source: RFC 8259,
/// section 7.
bool take_unicode(std::string_view& rest, std::string& text) {
  const auto unit = take_unit(rest);
  if (!unit) return false;
  if (*unit >= 0xd800 && *unit < 0xdc00) {
    std::string_view behind = rest;
    const auto low = take_unit(behind);
    if (low && *low >= 0xdc00 && *low < 0xe000) {
      rest = behind;
      append_utf8(text, 0x10000 + ((*unit - 0xd800) << 10) + (*low - 0xdc00));
      return true;
    }
  }
  append_utf8(text, *unit);
  return true;
}

}  // namespace

void NamedLine::add(const NamedField& field) noexcept {
  if (size_ < fields_.size()) fields_[size_++] = field;
}

bool NamedLine::read_json(std::string_view line) noexcept {
  size_ = 0;
  const bool is_object = read_object(line, [&](const NamedField& field) { add(field); });
  if (!is_object) size_ = 0;
  return is_object;
}

bool NamedLine::read_ltsv(std::string_view line) noexcept {
  size_ = 0;
  while (!line.empty()) {
    const std::size_t end = std::min(line.find('\t'), line.size());
    const std::string_view part = line.substr(0, end);
    line.remove_prefix(std::min(end + 1, line.size()));
    if (part.empty()) continue;
    const std::size_t colon = part.find(':');
    if (colon == part.npos || !is_label(part.substr(0, colon))) {
      size_ = 0;
      return false;
    }
    add({part.substr(0, colon), part.substr(colon + 1), NamedField::text});
  }
  return size_ != 0;
}

std::optional<NamedField> NamedLine::find(std::string_view name) const noexcept {
  for (const NamedField& field : fields())
    if (field.name == name) return field;
  if (name.find('.') == name.npos) return std::nullopt;
  for (const NamedField& field : fields())
    if (const auto found = within(field, name)) return found;
  return std::nullopt;
}

std::string_view unescape(std::string_view text, std::string& scratch) {
  if (text.find('\\') == text.npos) return text;
  scratch.clear();
  while (!text.empty()) {
    constexpr std::string_view kEscapes = "\"\\/bfnrt";
    constexpr std::string_view kMeant = "\"\\/\b\f\n\r\t";
    const std::size_t plain = std::min(text.find('\\'), text.size());
    scratch += text.substr(0, plain);
    text.remove_prefix(plain);
    if (text.empty()) break;
    const std::size_t which = text.size() > 1 ? kEscapes.find(text[1]) : kEscapes.npos;
    if (which != kEscapes.npos) {
      scratch += kMeant[which];
      text.remove_prefix(2);
    } else if (!take_unicode(text, scratch)) {
      scratch += text.front();
      text.remove_prefix(1);
    }
  }
  return scratch;
}

}  // namespace rl::ctl
