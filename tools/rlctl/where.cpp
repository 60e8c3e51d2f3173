#include "tools/rlctl/where.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <vector>

#include <rl/error.hpp>

#include "tools/rlctl/text.hpp"
#include "tools/rlctl/where_tokens.hpp"

namespace rl::ctl {
namespace {

struct Comparison {
  KeyField field{};
  Compare compare{};
  std::uint64_t number = 0;
  std::string text;  ///< of a field that is a text
};

bool holds(std::uint64_t is, Compare compare, std::uint64_t asked) noexcept {
  switch (compare) {
    case Compare::equal:
      return is == asked;
    case Compare::differs:
      return is != asked;
    case Compare::less:
      return is < asked;
    case Compare::at_most:
      return is <= asked;
    case Compare::more:
      return is > asked;
    case Compare::at_least:
      return is >= asked;
    case Compare::glob:
      break;  // of texts
  }
  return false;
}

bool holds(const Comparison& c, const KeyInfo& row) {
  if (field_info(c.field).kind != FieldKind::text)
    return holds(number_in(row, c.field), c.compare, c.number);
  if (c.field == KeyField::key && !row.key) return c.compare == Compare::differs;
  std::string spare;
  const std::string_view is = shown(c.field == KeyField::key ? *row.key : row.policy, spare);
  if (c.compare != Compare::glob) return (is == c.text) == (c.compare == Compare::equal);
  return matches(c.text, std::string(is));
}

}  // namespace

/// One condition, or several together.
struct Where::Term {
  enum Kind : std::uint8_t { one, all, any, none };
  Kind kind = one;
  Comparison comparison;
  std::vector<Term> terms;  ///< of `none` one

  [[nodiscard]] bool is_true_of(const KeyInfo& row) const {
    const auto is_true = [&](const Term& term) { return term.is_true_of(row); };
    switch (kind) {
      case one:
        return holds(comparison, row);
      case all:
        return std::all_of(terms.begin(), terms.end(), is_true);
      case any:
        return std::any_of(terms.begin(), terms.end(), is_true);
      case none:
        break;
    }
    return std::none_of(terms.begin(), terms.end(), is_true);
  }
  [[nodiscard]] bool asks_for(KeyField field) const {
    if (kind == one) return comparison.field == field;
    return std::any_of(terms.begin(), terms.end(),
                       [&](const Term& term) { return term.asks_for(field); });
  }
};

namespace {

using Term = Where::Term;

/// Reads terms by recursive descent, to a depth that no stack minds.
class Reader {
 public:
  explicit Reader(std::string_view text) : tokens_(text) {}

  Term read() {
    if (tokens_.now().kind == Token::end)
      tokens_.fail(0, "nothing is asked; give a condition such as denied>100");
    Term term = read_any();
    tokens_.check_for_habits();
    if (tokens_.now().kind == Token::close)
      tokens_.fail(tokens_.now().at, "a \")\" that has no beginning");
    if (tokens_.now().kind != Token::end) tokens_.fail_here("and, or, or the end");
    return term;
  }

 private:
  Term read_any() {
    return read_list(Term::any, "or",
                     [&] { return read_list(Term::all, "and", [&] { return read_one(); }); });
  }

  template <class ReadNext>
  Term read_list(Term::Kind kind, std::string_view between, ReadNext read_next) {
    Term first = read_next();
    if (!tokens_.is_word(between)) return first;
    Term list{kind, {}, {}};
    list.terms.push_back(std::move(first));
    while (tokens_.take(between)) list.terms.push_back(read_next());  // ends: the text does
    return list;
  }

  Term read_one() {
    constexpr int kDeepest = 64;
    const std::size_t at = tokens_.now().at;
    if (depth_ == kDeepest)
      tokens_.fail(at, fmt::format("more than {} within each other; say it flatter", kDeepest));
    ++depth_;
    Term term;
    if (tokens_.take("not")) {
      term.kind = Term::none;
      term.terms.push_back(read_one());
    } else if (tokens_.now().kind == Token::open) {
      term = read_in_parentheses();
    } else {
      term.comparison = read_comparison();
    }
    --depth_;
    return term;
  }

  Term read_in_parentheses() {
    const std::size_t at = tokens_.now().at;
    tokens_.step();
    Term term = read_any();
    if (tokens_.now().kind == Token::end) tokens_.fail(at, "a \"(\" that has no end");
    if (tokens_.now().kind != Token::close) {
      tokens_.check_for_habits();
      tokens_.fail_here("and, or, or \")\"");
    }
    tokens_.step();
    return term;
  }

  Comparison read_comparison() {
    const Token token = tokens_.now();
    tokens_.check_for_habits();
    if (token.kind != Token::word) tokens_.fail_here("a field");
    const FieldInfo* const field = find_field(token.text);
    if (field == nullptr) {
      tokens_.fail(token.at, fmt::format("no field is named {}; {}", quoted(token.text),
                                         suggested_field(token.text)));
    }
    tokens_.step();
    if (tokens_.now().kind != Token::compare) {
      if (field->is_yes_or_no()) return {field->field, Compare::equal, 1, {}};
      tokens_.check_for_habits();
      tokens_.fail_here(fmt::format("a comparison of {}, such as {},", field->name,
                                    field->kind == FieldKind::text ? "= or ~" : "= or !="));
    }
    const Compare compare = read_compare(*field);
    Comparison comparison{field->field, compare, 0, {}};
    read_value(*field, comparison);
    tokens_.step();
    return comparison;
  }

  Compare read_compare(const FieldInfo& field) {
    const Token& token = tokens_.now();
    const bool is_equal =
        token.comparison == Compare::equal || token.comparison == Compare::differs;
    const bool is_glob = token.comparison == Compare::glob;
    const bool is_text = field.kind == FieldKind::text;
    const bool is_word = field.kind == FieldKind::word;
    if ((is_text && !is_equal && !is_glob) || (is_word && !is_equal) || (!is_text && is_glob)) {
      tokens_.fail(token.at, fmt::format("{} is {}; compare it with {}", field.name,
                                         is_text   ? "a text"
                                         : is_word ? "one of a few words"
                                                   : "a number",
                                         is_text   ? "=, != or ~"
                                         : is_word ? "= or !="
                                                   : "=, !=, <, <=, > or >="));
    }
    const Compare compare = token.comparison;
    tokens_.step();
    return compare;
  }

  void read_value(const FieldInfo& field, Comparison& comparison) {
    const Token& token = tokens_.now();
    tokens_.check_for_habits();
    if (token.kind != Token::word && token.kind != Token::quoted)
      tokens_.fail_here(fmt::format("what {} is compared with", field.name));
    const std::string value = tokens_.value();
    switch (field.kind) {
      case FieldKind::text:
        return read_text(token, value, comparison);
      case FieldKind::word:
        return read_word(field, value, comparison);
      case FieldKind::count:
      case FieldKind::duration:
        break;
    }
    try {
      comparison.number = field.kind == FieldKind::count ? parse_count(field.name, value)
                                                         : read_duration(field.name, value);
    } catch (const Error& e) {
      tokens_.fail(token.at, e.what());
    }
  }

  static std::uint64_t read_duration(std::string_view name, const std::string& value) {
    if (value == "now") return 0;
    if (value == "never") return kNeverNs;
    return static_cast<std::uint64_t>(parse_duration(name, value).count());
  }

  /// A text is compared as it is shown, and none is shown with a byte that a terminal obeys.
  void read_text(const Token& token, const std::string& value, Comparison& comparison) {
    const auto is_control = [](char c) { return (c >= 0 && c < ' ') || c == 0x7f; };
    if (std::any_of(value.begin(), value.end(), is_control))
      tokens_.fail(
          token.at,
          "a control byte, which no text is shown with; write what a listing shows in its place");
    const bool is_between = value == "and" || value == "or" || value == "not";
    if (token.kind == Token::word && is_between)
      tokens_.fail(token.at, fmt::format("\"{}\" joins conditions; put a text that is called so "
                                         "in quotes",
                                         value));
    comparison.text = value;
  }

  void read_word(const FieldInfo& field, const std::string& value, Comparison& comparison) {
    const auto at = std::find(field.words.begin(), field.words.end(), value);
    if (at == field.words.end()) {
      tokens_.fail(tokens_.now().at, fmt::format("{} is never {}; {}", field.name, quoted(value),
                                                 suggestion(value, field.words, "it is one of")));
    }
    comparison.number = static_cast<std::uint64_t>(at - field.words.begin());
  }

  Tokens tokens_;
  int depth_ = 0;
};

}  // namespace

Where::Where(std::string_view text) : root_(std::make_shared<const Term>(Reader(text).read())) {}

bool Where::operator()(const KeyInfo& row) const {
  return root_->is_true_of(row);
}

bool Where::asks_for(KeyField field) const {
  return root_->asks_for(field);
}

}  // namespace rl::ctl
