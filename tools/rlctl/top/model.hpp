/// \file
/// What `rlctl top` shows, and what keys do to it: looks and keys in, rows and wishes out. Knows no
/// segment and no terminal.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <string>
#include <vector>

#include "tools/rlctl/top/last_minute.hpp"
#include "tools/rlctl/top/rows.hpp"

namespace rl::ctl::live {

/// A key of the keyboard.
struct Input {
  enum Kind : std::uint8_t {
    text,  ///< what was typed, in UTF-8
    enter,
    escape,
    backspace,
    up,
    down,
    page_up,
    page_down,
    home,
    end,
  } kind = text;
  std::string typed{};
};

/// What came of calls in the last minute.
struct Minute {
  LastMinute allowed;
  LastMinute denied;
  void add(const Look& look, const KeyCounts& since);
};

enum class Mode : std::uint8_t {
  table,
  typing,  ///< the filter, below the table
  key,     ///< everything of one key
  help,
};

class Model {
 public:
  explicit Model(Wish wish) : wish_(std::move(wish)) {}

  /// Takes what a look has found. While it is frozen, what is shown stays.
  void take(Look look);
  void press(const Input& input);
  /// Says how many rows the screen has room for, for paging.
  void set_room(std::size_t rows);

  [[nodiscard]] const Wish& wish() const noexcept { return wish_; }
  [[nodiscard]] bool is_over() const noexcept { return is_over_; }
  /// Whether something was asked for that the last look was not made for.
  [[nodiscard]] bool is_due() const noexcept { return is_due_; }

  [[nodiscard]] Mode mode() const noexcept { return mode_; }
  [[nodiscard]] bool is_frozen() const noexcept { return is_frozen_; }
  [[nodiscard]] const Look& look() const noexcept { return look_; }
  /// Of the policy that is chosen, or of all.
  [[nodiscard]] const Minute& minute() const noexcept { return shown_minute_; }
  /// Returns the decisions since the last look, of the policy that is chosen, or of all; nothing
  /// before there was a look for it.
  [[nodiscard]] std::optional<KeyCounts> since() const;

  /// Returns the rows as they are wished for now; a wish that came after the look is applied to
  /// what the look has brought.
  [[nodiscard]] const std::vector<Row>& rows() const noexcept { return rows_; }
  [[nodiscard]] std::size_t selected() const noexcept { return selected_; }
  /// Returns the first row on the screen, so that the selected one is on it.
  [[nodiscard]] std::size_t first_on_screen() const noexcept { return first_; }

  /// Returns the key that is shown alone, as it was seen last; nothing before it was.
  [[nodiscard]] const Row& one() const noexcept { return one_; }
  [[nodiscard]] bool one_is_there() const noexcept { return look_.one.has_value(); }
  [[nodiscard]] const Minute& minute_of_one() const;
  /// Returns what happened to it, the latest first.
  [[nodiscard]] std::vector<Event> events_of_one() const;

 private:
  void press_in_table(const Input& input);
  void press_in_filter(const Input& input);
  void press_in_key(const Input& input);
  void press_letter(char letter);
  bool move(Input::Kind kind);
  void move_to(std::size_t row);
  void sort_by(Sort sort);
  void next_policy();
  void filter_by(std::string text);
  void open_key();
  void close_key();
  void freeze();
  void wish_changed();
  void show(Look look);
  void arrange();
  void keep_selected();
  void remember(const Look& look);

  Wish wish_;
  Mode mode_ = Mode::table;
  Mode before_help_ = Mode::table;
  bool is_over_ = false;
  bool is_due_ = false;
  bool is_frozen_ = false;

  Look look_;                ///< what is shown
  std::string look_policy_;  ///< that it was made for
  std::vector<Row> rows_;    ///< of it, by the wish
  std::size_t selected_ = 0;
  std::uint64_t selected_key_ = 0;  ///< its identity, once it was chosen; 0: whatever is on top
  std::size_t first_ = 0;
  std::size_t room_ = 10;
  Row one_;

  Minute all_;
  Minute chosen_;  ///< of the policy that is chosen, since it is
  Minute shown_minute_;
  std::map<std::uint64_t, Minute> minutes_;  ///< of the keys that a look brought, by identity
  static constexpr std::size_t kEvents = 2'048;
  std::deque<Event> events_;  ///< the last ones
};

}  // namespace rl::ctl::live
