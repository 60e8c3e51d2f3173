/// \file
/// The words of a condition (tools/rlctl/where.hpp), and where in the text they stand.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace rl::ctl {

enum class Compare : std::uint8_t { equal, differs, less, at_most, more, at_least, glob };

struct Token {
  enum Kind : std::uint8_t { end, word, quoted, compare, open, close };
  Kind kind = end;
  std::size_t at = 0;     ///< bytes before it
  std::string_view text;  ///< as it was typed; of what is quoted, what stands in the quotes
  Compare comparison{};
};

/// A text as tokens, one after the other. Errors: of all members Error (bad_option) with the place.
class Tokens {
 public:
  explicit Tokens(std::string_view text) : text_(text) { step(); }

  [[nodiscard]] const Token& now() const noexcept { return now_; }
  [[nodiscard]] bool is_word(std::string_view word) const noexcept {
    return now_.kind == Token::word && now_.text == word;
  }
  /// Goes on if that word stands here. Returns whether it did.
  [[nodiscard]] bool take(std::string_view word);
  void step();
  /// Returns what stands here as a value: without its quotes, each that stood there twice once.
  [[nodiscard]] std::string value() const;

  [[noreturn]] void fail(std::size_t at, std::string_view sentence) const;
  /// Names what stands here instead of what should.
  [[noreturn]] void fail_here(std::string_view wanted) const;
  /// Refuses what others write for ours, such as && for and.
  void check_for_habits() const;

 private:
  void take_bytes(std::size_t count);
  void take_word();
  void take_quoted(char quote);
  void take_operator();

  std::string_view text_;
  std::size_t next_ = 0;
  Token now_;
};

/// Returns a typed word as a sentence repeats it: escaped, in quotes, and not without end.
std::string quoted(std::string_view text);

}  // namespace rl::ctl
