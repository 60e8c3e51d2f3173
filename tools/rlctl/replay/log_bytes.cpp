#include "tools/rlctl/replay/log_bytes.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <new>
#include <string_view>

#include <rl/error.hpp>

#include "tools/rlctl/input.hpp"

namespace rl::ctl {
namespace {

constexpr std::size_t kBufferBytes = std::size_t{256} << 10;

/// What a member of gzip begins with. Source: RFC 1952, section 2.3.1.
bool is_packed(std::span<const char> bytes) noexcept {
  return bytes.size() >= 2 && bytes[0] == '\x1f' && bytes[1] == '\x8b';
}

shm::Fd opened(const std::string& file, const std::string& name) {
  const auto failed = [&](const std::string& why) {
    return Error(
        Errc::bad_option,
        fmt::format("{}: {}; give a log that can be read, or - for standard input", name, why));
  };
  shm::Fd fd = file == "-" ? shm::Fd(::dup(STDIN_FILENO)) : shm::open_file(file.c_str(), O_RDONLY);
  if (!fd) throw failed(shm::errno_text(errno));
  struct stat st {};
  if (::fstat(fd.get(), &st) == 0 && S_ISDIR(st.st_mode)) throw failed("it is a directory");
  return fd;
}

}  // namespace

/// zlib's state, and what it says of it.
class LogBytes::Unpacker {
 public:
  Unpacker() {
    constexpr int kGzipOnly = 15 + 16;
    if (::inflateInit2(&stream_, kGzipOnly) != Z_OK) throw std::bad_alloc();
  }
  Unpacker(const Unpacker&) = delete;
  Unpacker& operator=(const Unpacker&) = delete;
  ~Unpacker() { ::inflateEnd(&stream_); }

  /// Takes some off `packed`, and returns how much it has put into `to`.
  std::size_t step(std::span<char>& packed, std::span<char> to, const std::string& name) {
    stream_.next_in = reinterpret_cast<Bytef*>(packed.data());
    stream_.avail_in = static_cast<uInt>(packed.size());
    stream_.next_out = reinterpret_cast<Bytef*>(to.data());
    stream_.avail_out = static_cast<uInt>(to.size());
    const int result = ::inflate(&stream_, Z_NO_FLUSH);
    packed = packed.last(stream_.avail_in);
    if (result == Z_MEM_ERROR) throw std::bad_alloc();
    if (result != Z_OK && result != Z_STREAM_END && result != Z_BUF_ERROR) {
      throw Error(Errc::corrupt,
                  fmt::format("{}: its compressed data is damaged ({}); nothing was replayed, get "
                              "the file anew",
                              name, stream_.msg != nullptr ? stream_.msg : "no reason given"));
    }
    is_between_members_ = result == Z_STREAM_END;
    if (is_between_members_) ::inflateReset(&stream_);
    return to.size() - stream_.avail_out;
  }
  [[nodiscard]] bool is_between_members() const noexcept { return is_between_members_; }

 private:
  z_stream stream_{};
  bool is_between_members_ = true;
};

LogBytes::LogBytes(const std::string& file)
    : name_(file == "-" ? "standard input" : file),
      fd_(opened(file, name_)),
      buffer_(kBufferBytes) {
  struct stat st {};
  if (::fstat(fd_.get(), &st) == 0 && S_ISREG(st.st_mode))
    bytes_there_ = static_cast<std::uint64_t>(st.st_size);
  // A pipe may bring its first byte alone.
  while (packed_.size() < 2 && refill()) {
  }
  if (is_packed(packed_)) unpacker_ = std::make_unique<Unpacker>();
}

LogBytes::~LogBytes() = default;

std::size_t LogBytes::read_file(std::span<char> to) {
  const std::size_t got = read_some(fd_.get(), to, name_);
  bytes_read_ += got;
  return got;
}

/// Reads on behind what is packed still, of which there is less than a buffer. Returns false at the
/// end of the file.
bool LogBytes::refill() {
  if (!packed_.empty()) std::memmove(buffer_.data(), packed_.data(), packed_.size());
  const std::size_t kept = packed_.size();
  const std::size_t got = read_file(std::span(buffer_).subspan(kept));
  packed_ = std::span(buffer_).first(kept + got);
  return got != 0;
}

std::size_t LogBytes::read(std::span<char> to) {
  if (unpacker_) return unpack(to);
  return packed_.empty() ? read_file(to) : take_packed(to);
}

/// Gives out what was read to see whether it is packed.
std::size_t LogBytes::take_packed(std::span<char> to) {
  const std::size_t size = std::min(to.size(), packed_.size());
  std::memcpy(to.data(), packed_.data(), size);
  packed_ = packed_.subspan(size);
  return size;
}

std::size_t LogBytes::unpack(std::span<char> to) {
  for (;;) {  // ends: each turn takes some of the file, or is the last
    if (packed_.empty() && !refill()) {
      if (unpacker_->is_between_members()) return 0;
      throw Error(
          Errc::corrupt,
          fmt::format("{}: its compressed data ends in the middle; nothing was replayed, get "
                      "the rest, or replay what is there with `zcat LOG | rlctl replay -`",
                      name_));
    }
    // As gzip itself takes it: zeros behind a member are padding, of a tape or a block.
    if (unpacker_->is_between_members() && packed_[0] == '\0') {
      packed_ = packed_.subspan(1);
      continue;
    }
    if (const std::size_t got = unpacker_->step(packed_, to, name_); got != 0) return got;
  }
}

}  // namespace rl::ctl
