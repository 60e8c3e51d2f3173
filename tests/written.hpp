/// \file
/// A file that holds given bytes.
#pragma once

#include <fstream>
#include <string>
#include <string_view>

#include "tests/rlctl.hpp"

namespace rl::test {

/// In a folder of its own, and gone with the scope.
class Written {
 public:
  explicit Written(std::string_view bytes) : path_(folder_.at("log")) {
    std::ofstream(path_, std::ios::binary) << bytes;
  }
  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  Folder folder_;
  std::string path_;
};

}  // namespace rl::test
