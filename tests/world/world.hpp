/// \file
/// What the tests of a failing world share: statements that hold in a forked child, where doctest
/// cannot count, a tmpfs that nobody else sees, and lines that the library said.
#pragma once

#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include <chrono>
#include <cstdio>
#include <functional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>

#include <doctest/doctest.h>

#include "tests/support.hpp"

namespace rl::test {

/// How long something that happens "within a second of use" may take here.
inline constexpr std::chrono::seconds kTenSeconds{10};

/// A child's exit code for "this machine or user does not let me try": only before it did anything,
/// so that a failure is never taken for it.
inline constexpr int kNotAllowed = 77;

/// Ends a child's body with its line when something that must hold does not.
inline void must(bool holds, std::string_view what, int line = __builtin_LINE()) {
  if (holds) return;
  std::fprintf(stderr, "line %d: this does not hold: %.*s\n", line, static_cast<int>(what.size()),
               what.data());
  throw std::runtime_error("a statement does not hold");
}

/// Runs `call`, which must throw an Error of this kind, and returns its sentence.
inline std::string refused(Errc code, const std::function<void()>& call,
                           int line = __builtin_LINE()) {
  try {
    call();
  } catch (const Error& e) {
    const std::string sentence = e.what();
    must(e.code() == code, "the kind of the error: " + sentence, line);
    must(sentence.find('\n') == std::string::npos, "one sentence: " + sentence, line);
    return sentence;
  }
  must(false, "an Error is thrown", line);
  return {};
}

inline bool contains(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

/// Calls `step` until `done`, for ten seconds at most; returns whether it was done.
template <class Done, class Step>
bool until(Done&& done, Step&& step) {
  const auto start = std::chrono::steady_clock::now();
  while (!done()) {
    if (std::chrono::steady_clock::now() - start > kTenSeconds) return done();
    step();
  }
  return true;
}
inline void pause_a_little() {
  std::this_thread::sleep_for(std::chrono::milliseconds(2));
}

/// The lines that the library says in this process and its children, counted; the last is kept.
struct Said {
  std::atomic<int> lines{0};
  char last[512] = {};
};
inline void listen(Said& said) {
  set_log(
      [](Severity, std::string_view line, void* context) noexcept {
        auto& to = *static_cast<Said*>(context);
        (void)line.copy(to.last, sizeof to.last - 1);
        to.last[std::min(line.size(), sizeof to.last - 1)] = '\0';
        ++to.lines;
      },
      &said);
}

/// Runs `body` in a forked child and returns its exit code, kNotAllowed said as a skip.
template <class Body>
int in_child(Body&& body) {
  Child child(std::forward<Body>(body));
  const int code = child.wait();
  if (code == kNotAllowed) skip("this user or machine does not allow it");
  return code;
}

/// Holds in a test case: the child did all it had to, or was not allowed to try.
inline bool is_well(int exit_code) {
  return exit_code == 0 || exit_code == kNotAllowed;
}

/// Leaves the mounts of everybody else alone from here on, or the process.
inline void leave_mount_namespace() {
  if (!leave_mounts_alone()) ::_exit(kNotAllowed);
}

/// Runs `body(folder)` in a child with a tmpfs of its own, which ends with the child whatever
/// happens. Skips where mounting is not allowed.
template <class Body>
int on_tmpfs(const std::string& options, Body&& body) {
  const std::string folder = "/tmp/rl-" + unique_name();
  REQUIRE(::mkdir(folder.c_str(), 0700) == 0);
  const int code = in_child([&] {
    leave_mount_namespace();
    if (::mount("tmpfs", folder.c_str(), "tmpfs", 0, (options + ",mode=0755").c_str()) != 0)
      ::_exit(kNotAllowed);
    body(folder);
  });
  ::rmdir(folder.c_str());
  return code;
}

inline bool remount(const std::string& folder, unsigned long flags, const std::string& options) {
  return ::mount("tmpfs", folder.c_str(), "tmpfs", MS_REMOUNT | flags, options.c_str()) == 0;
}

inline std::uint64_t free_bytes(const std::string& folder) {
  struct statvfs fs {};
  must(::statvfs(folder.c_str(), &fs) == 0, "statvfs");
  return std::uint64_t{fs.f_bavail} * fs.f_frsize;
}

inline bool is_there(const std::string& path) {
  struct stat st {};
  return ::lstat(path.c_str(), &st) == 0;
}

}  // namespace rl::test
