/// \file
/// The bytes of a log: of a file or of standard input, plain or compressed by gzip.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "shm/os.hpp"

namespace rl::ctl {

/// Reads a log from its beginning to its end, unpacked. What is compressed is told by its first
/// bytes, not by its name; several compressed files in a row are one log.
///
/// Errors: Error (bad_option) for what cannot be opened or is a directory; corrupt for compressed
/// data that is damaged or ends too early.
class LogBytes {
 public:
  /// "-" is standard input.
  explicit LogBytes(const std::string& file);
  LogBytes(const LogBytes&) = delete;
  LogBytes& operator=(const LogBytes&) = delete;
  ~LogBytes();

  /// Returns how many bytes it has put into `to`, which is not empty; 0 at the end.
  std::size_t read(std::span<char> to);

  /// Returns how much of the file was read, packed as it lies there, and how much there is; 0 where
  /// nobody knows, as of a pipe.
  [[nodiscard]] std::uint64_t bytes_read() const noexcept { return bytes_read_; }
  [[nodiscard]] std::uint64_t bytes_there() const noexcept { return bytes_there_; }
  [[nodiscard]] const std::string& name() const noexcept { return name_; }

 private:
  class Unpacker;
  std::size_t read_file(std::span<char> to);
  bool refill();
  std::size_t take_packed(std::span<char> to);
  std::size_t unpack(std::span<char> to);

  std::string name_;
  shm::Fd fd_;
  std::uint64_t bytes_there_ = 0;
  std::uint64_t bytes_read_ = 0;
  std::vector<char> buffer_;  ///< of what was read and not given out yet
  std::span<char> packed_;    ///< that, within the buffer
  std::unique_ptr<Unpacker> unpacker_;
};

}  // namespace rl::ctl
