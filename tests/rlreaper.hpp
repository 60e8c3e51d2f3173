/// \file
/// What the tests of rlreaper share: the program, and what it says.
#pragma once

#include <fcntl.h>

#include <fstream>
#include <iterator>
#include <string>
#include <string_view>
#include <vector>

#include "tests/rlctl.hpp"
#include "tests/web.hpp"

namespace rl::test {

inline std::string content_of(const std::string& file) {
  std::ifstream in(file);
  return {std::istreambuf_iterator<char>(in), {}};
}

inline int count_of(std::string_view part, const std::string& all) {
  int count = 0;
  for (std::size_t at = 0; (at = all.find(part, at)) != all.npos; at += part.size()) ++count;
  return count;
}

/// rlreaper, with what it says in a file.
class Running {
 public:
  Running(const Folder& folder, Words arguments, const std::string& notify = {})
      : log_(folder.at("log-" + unique_name())), child_([&] {
          const int fd = ::open(log_.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
          ::dup2(fd, 2);
          if (!notify.empty()) ::setenv("NOTIFY_SOCKET", notify.c_str(), 1);
          arguments.insert(arguments.begin(), program("RLREAPER"));
          std::vector<char*> words;
          for (std::string& word : arguments) words.push_back(word.data());
          words.push_back(nullptr);
          ::execv(words[0], words.data());
          ::_exit(127);
        }) {}
  [[nodiscard]] bool says(std::string_view part) const {
    const bool found = poll_until([&] { return content_of(log_).find(part) != std::string::npos; });
    if (!found) MESSAGE("it said:\n" << content_of(log_));
    return found;
  }
  [[nodiscard]] std::string said() const { return content_of(log_); }
  /// Says how often a text stands in what it said.
  [[nodiscard]] int times(std::string_view part) const { return count_of(part, said()); }
  Child& operator*() noexcept { return child_; }
  Child* operator->() noexcept { return &child_; }

 private:
  std::string log_;
  Child child_;
};

inline const SegmentOptions kSmall{.keys = 1'000};

}  // namespace rl::test
