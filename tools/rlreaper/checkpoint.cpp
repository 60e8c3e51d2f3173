#include "tools/rlreaper/checkpoint.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <optional>

#include "shm/os.hpp"
#include "tools/rlctl/input.hpp"
#include "tools/rlctl/new_file.hpp"
#include "tools/rlreaper/service.hpp"

namespace rl::reaper {
namespace {

std::string nth(const std::string& file, std::uint64_t n) {
  return n == 0 ? file : fmt::format("{}.{}", file, n);
}

[[noreturn]] void fail(const char* what, const std::string& path) {
  throw shm::os_error(fmt::format("{}: {} it", path, what), errno);
}

/// Gives a file a second name, in the place of what had it: at any instant there is something of that
/// name, if there was.
void copy_name(const std::string& from, const std::string& to) {
  const std::string beside = fmt::format("{}.{}.new", to, ::getpid());
  (void)::unlink(beside.c_str());  // what a killed process of our number has left
  if (::link(from.c_str(), beside.c_str()) != 0) {
    if (errno == ENOENT) return;
    fail("linking", from);
  }
  const bool is_renamed = ::rename(beside.c_str(), to.c_str()) == 0;
  const int error = errno;
  (void)::unlink(beside.c_str());  // it failed, or both were names of one file and it did nothing
  errno = error;
  if (!is_renamed) fail("renaming", beside);
}

/// Gives each older one the next number, and the last one the first.
void put_back(const std::string& file, std::uint64_t keep) {
  for (std::uint64_t n = keep; n > 0; --n) copy_name(nth(file, n - 1), nth(file, n));
}

struct Interrupted {};

std::optional<Dump> read(const std::string& file) {
  const shm::Fd fd = shm::open_file(file.c_str(), O_RDONLY);
  if (!fd && errno == ENOENT) return std::nullopt;
  if (!fd) fail("opening", file);
  return Dump::read([&](std::span<char> to) { return ctl::read_some(fd.get(), to, file); });
}

/// What cannot be read must not take the place of an older one that can.
void put_aside(const std::string& file, const char* why) {
  const std::string aside = file + ".refused";
  const bool is_moved = ::rename(file.c_str(), aside.c_str()) == 0;
  say(fmt::format("{}: {}; it is not used{}", file, why,
                  is_moved ? ", and is " + aside + " now" : ""));
}

}  // namespace

std::string checkpoint_file(std::string_view pattern, std::string_view segment) {
  std::string file(pattern);
  const std::string_view name = segment.substr(segment.rfind('/') + 1);
  for (std::size_t at = 0; (at = file.find("%s", at)) != file.npos; at += name.size())
    file.replace(at, 2, name);
  return file;
}

bool write_checkpoint(const Segment& segment, const std::string& file, std::uint64_t keep,
                      const std::function<bool()>& goes_on) {
  try {
    ctl::NewFile fresh(file);
    Dump::write(segment, [&](std::string_view text) {
      if (!goes_on()) throw Interrupted();
      fresh.write(text);
    });
    fresh.sync();  // what fails before here leaves all as it was
    put_back(file, keep);
    fresh.keep();
    return true;
  } catch (const Interrupted&) {
    return false;
  }
}

Restored restore(const std::string& segment, const std::string& file, std::uint64_t keep) {
  for (std::uint64_t n = 0; n <= keep; ++n) {
    std::optional<Dump> dump;
    try {
      dump = read(nth(file, n));
    } catch (const Error& e) {
      put_aside(nth(file, n), e.what());
    }
    if (!dump) continue;
    return {nth(file, n), dump->create(segment, dump->options(), {.partial = true})};
  }
  return {};
}

}  // namespace rl::reaper
