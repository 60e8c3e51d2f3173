#include "tools/rlctl/where_tokens.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include <rl/error.hpp>

#include "tools/rlctl/text.hpp"

namespace rl::ctl {
namespace {

struct Operator {
  std::string_view text;
  Compare compare;
};
/// Those of two characters first.
constexpr std::array<Operator, 7> kOperators{{{"!=", Compare::differs},
                                              {"<=", Compare::at_most},
                                              {">=", Compare::at_least},
                                              {"=", Compare::equal},
                                              {"<", Compare::less},
                                              {">", Compare::more},
                                              {"~", Compare::glob}}};

/// What others write for ours.
struct Habit {
  std::string_view text;
  std::string_view instead;
};
constexpr std::array<Habit, 9> kHabits{{{"==", "="},
                                        {"<>", "!="},
                                        {"=<", "<="},
                                        {"=>", ">="},
                                        {"=~", "~"},
                                        {"!~", "not FIELD ~ GLOB"},
                                        {"&&", "and"},
                                        {"||", "or"},
                                        {"!", "not, or !="}}};

bool is_space(char c) noexcept {
  return c == ' ' || c == '\t' || c == '\n';
}
bool is_of_a_word(char c) noexcept {
  return !is_space(c) && std::string_view("()=!<>~'\"").find(c) == std::string_view::npos;
}

}  // namespace

/// A typed word as a sentence repeats it.
std::string quoted(std::string_view text) {
  constexpr std::size_t kMost = 40;
  const std::string shown = escape(text);
  std::size_t end = std::min(shown.size(), kMost);
  while (end < shown.size() && (shown[end] & '\xc0') == '\x80') --end;  // ends: a character does
  return fmt::format("\"{}{}\"", shown.substr(0, end), end < shown.size() ? "..." : "");
}

bool Tokens::take(std::string_view word) {
  if (!is_word(word)) return false;
  step();
  return true;
}

void Tokens::step() {
  while (next_ < text_.size() && is_space(text_[next_])) ++next_;
  now_ = {Token::end, next_, {}, {}};
  if (next_ == text_.size()) return;
  const char c = text_[next_];
  if (c == '(' || c == ')') {
    now_.kind = c == '(' ? Token::open : Token::close;
    take_bytes(1);
  } else if (c == '"' || c == '\'') {
    take_quoted(c);
  } else if (is_of_a_word(c)) {
    take_word();
  } else {
    take_operator();
  }
}

std::string Tokens::value() const {
  if (now_.kind != Token::quoted) return std::string(now_.text);
  const char quote = text_[now_.at];
  std::string value;
  for (std::size_t i = 0; i < now_.text.size(); ++i) {
    value += now_.text[i];
    if (now_.text[i] == quote) ++i;
  }
  return value;
}

void Tokens::fail(std::size_t at, std::string_view sentence) const {
  const std::string_view before = text_.substr(0, at);
  const auto characters =
      std::count_if(before.begin(), before.end(), [](char c) { return (c & '\xc0') != '\x80'; });
  throw Error(Errc::bad_option, fmt::format("--where: at {}: {}", characters + 1, sentence));
}

void Tokens::fail_here(std::string_view wanted) const {
  const std::string found = now_.kind == Token::end ? "the end" : quoted(now_.text);
  fail(now_.at, fmt::format("{} where {} should stand", found, wanted));
}

void Tokens::check_for_habits() const {
  const std::string_view rest = text_.substr(now_.at);
  if (now_.kind == Token::quoted || rest.starts_with("!=")) return;
  for (const Habit& habit : kHabits) {
    if (!rest.starts_with(habit.text)) continue;
    fail(now_.at, fmt::format("\"{}\" means nothing here; write {}", habit.text, habit.instead));
  }
}

void Tokens::take_bytes(std::size_t count) {
  now_.text = text_.substr(next_, count);
  next_ += count;
}

void Tokens::take_word() {
  std::size_t end = next_;
  while (end < text_.size() && is_of_a_word(text_[end])) ++end;
  now_.kind = Token::word;
  take_bytes(end - next_);
}

void Tokens::take_quoted(char quote) {
  now_.kind = Token::quoted;
  std::size_t end = next_ + 1;
  while (true) {  // ends: `end` grows
    end = text_.find(quote, end);
    if (end == text_.npos) fail(next_, "a quote that has no end");
    if (!text_.substr(end + 1).starts_with(quote)) break;
    end += 2;
  }
  now_.text = text_.substr(next_ + 1, end - next_ - 1);
  next_ = end + 1;
}

void Tokens::take_operator() {
  check_for_habits();
  for (const Operator& op : kOperators) {
    if (!text_.substr(next_).starts_with(op.text)) continue;
    now_.kind = Token::compare;
    now_.comparison = op.compare;
    return take_bytes(op.text.size());
  }
}

}  // namespace rl::ctl
