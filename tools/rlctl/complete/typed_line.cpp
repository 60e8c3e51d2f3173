#include "tools/rlctl/complete/typed_line.hpp"

#include <algorithm>

namespace rl::ctl {
namespace {

constexpr std::string_view kBlanks = " \t\n";
/// Behind these another command begins.
constexpr std::string_view kOperators = ";|&()";
/// What a shell would do something about.
constexpr std::string_view kSpecial = " \t\n\"'\\$`;|&()<>*?[]{}~#!";

bool is_in(char c, std::string_view characters) {
  return characters.find(c) != characters.npos;
}

class LineReader {
 public:
  LineReader(std::string_view breaks, std::string_view keeps) : breaks_(breaks), keeps_(keeps) {
    begin_command();
  }

  void take(char c) {
    if (escaped_) {
      // Within double quotes only some characters need it, and it stands before the others.
      if (line_.quote == '"' && !is_in(c, "\"\\$`")) add('\\');
      add(c);
      escaped_ = false;
    } else if (c == '\\' && line_.quote != '\'') {
      escaped_ = true;
    } else if (line_.quote != 0) {
      c == line_.quote ? close() : add(c);
    } else if (c == '\'' || c == '"') {
      open(c);
    } else if (is_in(c, kBlanks)) {
      end_word();
    } else if (is_in(c, kOperators)) {
      begin_command();
    } else {
      add(c);
      if (is_in(c, breaks_)) line_.done = word().size() - (is_in(c, keeps_) ? 1 : 0);
    }
  }

  TypedLine finish() {
    if (line_.quote != 0) line_.done = opened_at_;
    return std::move(line_);
  }

 private:
  std::string& word() { return line_.words.back(); }
  void add(char c) {
    word() += c;
    has_word_ = true;
  }
  void open(char c) {
    line_.quote = c;
    opened_at_ = word().size();
    has_word_ = true;  // '' is a word, too
  }
  void close() { line_.quote = 0; }
  void end_word() {
    if (has_word_) line_.words.emplace_back();
    has_word_ = false;
    line_.done = 0;
  }
  void begin_command() {
    line_.words.assign(1, "");
    has_word_ = false;
    line_.done = 0;
  }

  std::string_view breaks_;
  std::string_view keeps_;
  TypedLine line_;
  std::size_t opened_at_ = 0;
  bool has_word_ = false;
  bool escaped_ = false;
};

std::string with_backslashes(std::string_view text, std::string_view before) {
  std::string typed;
  for (const char c : text) {
    if (is_in(c, before)) typed += '\\';
    typed += c;
  }
  return typed;
}

}  // namespace

TypedLine read_line(std::string_view line, std::string_view breaks, std::string_view keeps) {
  LineReader reader(breaks, keeps);
  for (const char c : line) reader.take(c);
  return reader.finish();
}

std::optional<std::string> rest_to_type(const TypedLine& line, std::string_view word) {
  const std::string_view rest = word.substr(std::min(line.done, word.size()));
  switch (line.quote) {
    case '\'':
      if (is_in('\'', rest)) return {};
      return std::string(rest);
    case '"':
      if (is_in('!', rest)) return {};  // bash would look for it in the history
      return with_backslashes(rest, "\"\\$`");
    default:
      return with_backslashes(rest, kSpecial);
  }
}

}  // namespace rl::ctl
