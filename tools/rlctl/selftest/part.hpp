/// \file
/// What a part of the self-test has to say.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace rl::selftest {

using Json = nlohmann::ordered_json;

/// One part: a line for people, the same counts for programs, and what was wrong.
struct Part {
  std::string name;
  std::string text;
  Json counts;
  std::vector<std::string> faults;  ///< empty: it holds

  void add(std::vector<std::string> more) {
    faults.insert(faults.end(), std::make_move_iterator(more.begin()),
                  std::make_move_iterator(more.end()));
  }
};

}  // namespace rl::selftest
