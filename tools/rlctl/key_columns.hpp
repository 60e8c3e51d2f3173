/// \file
/// What is printed of a key: columns of a table, members of a JSON object, all of them or those that
/// are asked for.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include <rl/segment.hpp>

#include "tools/rlctl/report.hpp"

namespace rl::ctl {

/// A key beside the text of the limit that it is under, empty when that cannot be read. Both are
/// somebody else's, and are looked at at once.
struct KeyRow {
  const KeyInfo& key;
  std::string_view policy_limit;
};

/// One thing to print of a key. In JSON it adds its members, each after a comma; what a key is not
/// (truncated, banned, a part of another) it leaves out.
struct KeyColumn {
  std::string_view name;
  std::string_view title;
  Table::Side side;
  void (*add_cell)(std::string& text, const KeyRow& row);
  void (*add_json)(std::string& object, const KeyRow& row);
};

/// Columns in the order in which they are printed.
class KeyColumns {
 public:
  /// Those that are printed when nothing else is asked for.
  static KeyColumns usual(bool json);
  /// Those that "policy,key,denied" names. Errors: Error (bad_option).
  static KeyColumns parse(std::string_view names);

  /// Adds an object, and the members of `more` (as ,"name":value) at its end.
  void append_json(std::string& line, const KeyRow& row, std::string_view more) const;
  [[nodiscard]] Table table() const;
  /// Makes `cells` those of a row, in the memory that they have.
  void fill(Cells& cells, const KeyRow& row) const;

 private:
  std::vector<const KeyColumn*> columns_;
};

/// Prints keys as they come, holding none, as put_rows does.
void put_keys(const Source<KeyRow>& source, const KeyColumns& columns, bool json,
              const SegmentInfo& info);

}  // namespace rl::ctl
