/// \file
/// What tests of rlreaper share: the program as a process, with what it says.
#pragma once

#include <fcntl.h>

#include <string>

#include "tests/rlctl.hpp"
#include "tests/web.hpp"

namespace rl::test {

/// A program, with what it says on standard error in a file.
class Started {
 public:
  Started(const Folder& folder, Words command, const std::string& notify = {})
      : log_(folder.at("log-" + unique_name())), child_([&] {
          const int fd = ::open(log_.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
          ::dup2(fd, 2);
          if (!notify.empty()) ::setenv("NOTIFY_SOCKET", notify.c_str(), 1);
          std::vector<char*> words;
          for (std::string& word : command) words.push_back(word.data());
          words.push_back(nullptr);
          ::execvp(words[0], words.data());
          ::_exit(127);
        }) {}
  [[nodiscard]] bool says(std::string_view part) const {
    const bool found = poll_until([&] { return contents(log_).find(part) != std::string::npos; });
    if (!found) MESSAGE("it said:\n" << contents(log_));
    return found;
  }
  [[nodiscard]] std::string said() const { return contents(log_); }
  /// Says how often a text stands in what it said.
  [[nodiscard]] int times(std::string_view part) const {
    const std::string all = said();
    int count = 0;
    for (std::size_t at = 0; (at = all.find(part, at)) != all.npos; at += part.size()) ++count;
    return count;
  }
  Child& operator*() noexcept { return child_; }
  Child* operator->() noexcept { return &child_; }

 private:
  std::string log_;
  Child child_;
};

/// rlreaper.
class Running : public Started {
 public:
  Running(const Folder& folder, Words arguments, const std::string& notify = {})
      : Started(folder, command(std::move(arguments)), notify) {}

 private:
  static Words command(Words arguments) {
    arguments.insert(arguments.begin(), program("RLREAPER"));
    return arguments;
  }
};

/// Returns the number behind a text that a program says, once it does: a port, say.
inline std::uint16_t number_after(const Started& program, const std::string& what) {
  REQUIRE(program.says(what));
  const std::string said = program.said();
  return static_cast<std::uint16_t>(std::stoi(said.substr(said.rfind(what) + what.size())));
}

}  // namespace rl::test
