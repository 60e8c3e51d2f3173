/// \file
/// One look at a segment, and the order of its rows: what is read goes in, what is shown comes out.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include <rl/rl.hpp>

#include "tools/rlctl/top/count_memory.hpp"

namespace rl::ctl::live {

enum class Sort : std::uint8_t { denied, allowed, remaining, key };
std::string_view to_string(Sort sort) noexcept;

/// Where a key stands in the orders.
struct Measure {
  std::uint64_t slot = 0;
  std::uint64_t identity = 0;
  KeyCounts counts;                ///< since the key has its slot
  std::optional<KeyCounts> since;  ///< the last look, where that is known
  double left = 1;                 ///< the share that is left, 0 to 1
  std::string name;  ///< as it is shown; read where the order or the filter asks for it
};

/// Returns whether `a` stands above `b`: by rate the most first, then by count, then by slot, so that
/// nothing that stands still changes places; by what is left, the least first; unknown names last.
bool is_above(const Measure& a, const Measure& b, Sort sort);

/// A key that is shown.
struct Row {
  Measure measure;
  KeyInfo key;
  std::string limit;  ///< its policy's, or its own, as text
};

/// What is asked of the names of keys, as they are shown.
class Pattern {
 public:
  Pattern() = default;
  /// As it is typed: that they hold this, or, where there is *, ? or [ in it, that they match it.
  explicit Pattern(std::string text);
  /// As `list --match` takes it: that they match this, whatever is in it.
  static Pattern glob(std::string text);
  [[nodiscard]] bool takes(const std::string& name) const;
  [[nodiscard]] const std::string& text() const noexcept { return text_; }
  [[nodiscard]] bool is_empty() const noexcept { return text_.empty(); }
  [[nodiscard]] bool is_glob() const noexcept { return is_glob_; }

 private:
  std::string text_;
  bool is_glob_ = false;
};

/// Which rows a look is to bring.
struct Wish {
  Sort sort = Sort::denied;
  Pattern pattern;
  std::string policy;        ///< the name of the only one; empty: all
  std::size_t rows = 1'000;  ///< at most so many
  std::uint64_t one = 0;     ///< the identity of a key that is shown alone; 0: none
};

/// What one look at a segment has found.
struct Look {
  SegmentInfo info;
  ReaperInfo reaper;
  KeyCounts since_all;      ///< what was decided since the last look: exact, of Segment::totals
  KeyCounts since_policy;   ///< the same of the policy that the wish names
  double from_s = 0;        ///< when the last look was, by a clock that only goes on
  double at_s = 0;          ///< when this was
  bool has_rates = false;   ///< there was a last look
  std::string policy;       ///< the only one whose keys were looked at; empty: all
  std::uint64_t keys = 0;   ///< that have a slot, of the policy
  std::uint64_t live = 0;   ///< of them, that owe something
  std::uint64_t taken = 0;  ///< keys that the wish takes, of which `rows` are the first
  bool is_whole = true;     ///< the rates of all keys are known
  std::vector<Row> rows;
  std::optional<Row> one;             ///< that the wish names; nothing when it has no slot
  std::vector<std::string> policies;  ///< names, in order
  std::vector<Event> events;          ///< that happened since the last look
  std::uint64_t events_lost = 0;
  std::string notice;  ///< what is odd about the segment; empty for nothing

  [[nodiscard]] double seconds() const noexcept { return at_s - from_s; }
  /// Returns a rate of calls in a second; nothing where it is not known.
  [[nodiscard]] std::optional<double> rate(const std::optional<KeyCounts>& counted,
                                           std::uint64_t KeyCounts::*which) const noexcept {
    if (!has_rates || !counted || !(seconds() > 0)) return std::nullopt;
    return static_cast<double>((*counted).*which) / seconds();
  }
};

}  // namespace rl::ctl::live
