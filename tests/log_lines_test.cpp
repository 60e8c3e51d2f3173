// How `rlctl replay` takes lines out of the bytes of a log, plain or compressed.
#include "tools/rlctl/replay/log_lines.hpp"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "tests/written.hpp"

namespace rl::test {
namespace {

using ctl::LogLines;
using std::string_view_literals::operator""sv;

std::string packed(std::string_view text) {
  z_stream stream{};
  REQUIRE(::deflateInit2(&stream, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) == Z_OK);
  std::string out(::deflateBound(&stream, text.size()) + 64, '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
  stream.avail_in = static_cast<uInt>(text.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  REQUIRE(::deflate(&stream, Z_FINISH) == Z_STREAM_END);
  out.resize(stream.total_out);
  ::deflateEnd(&stream);
  return out;
}

std::vector<std::string> lines_of(std::string_view bytes) {
  const Written file(bytes);
  LogLines lines(file.path());
  std::vector<std::string> all;
  for (std::string_view line; lines.next(line);) all.emplace_back(line);
  return all;
}

using Lines = std::vector<std::string>;

std::string sentence_of(std::string_view bytes) {
  try {
    (void)lines_of(bytes);
  } catch (const Error& e) {
    return e.what();
  }
  return "";
}

}  // namespace

TEST_CASE("lines_end_in_a_newline_or_a_return_and_one_or_with_the_log") {
  CHECK(lines_of("") == Lines{});
  CHECK(lines_of("a") == Lines{"a"});
  CHECK(lines_of("a\n") == Lines{"a"});
  CHECK(lines_of("a\r\nb\r\n") == Lines{"a", "b"});
  CHECK(lines_of("\n\na\n") == Lines{"", "", "a"});
  CHECK(lines_of("a\0b\nc"sv) == Lines{std::string("a\0b", 3), "c"});
}

TEST_CASE("lines_are_whole_wherever_a_read_ends") {
  std::string text;
  Lines expected;
  for (int i = 0; i < 60'000; ++i) {
    expected.push_back(std::string(static_cast<std::size_t>(i) % 97, 'x') + std::to_string(i));
    text += expected.back() + "\n";
  }
  CHECK((lines_of(text) == expected));
  CHECK((lines_of(packed(text)) == expected));
}

TEST_CASE("of_a_line_that_is_too_long_the_beginning_is_handed_out_and_the_next_line_is_whole") {
  for (const std::size_t size :
       {LogLines::kLineMax, LogLines::kLineMax + 1, LogLines::kLineMax * 5}) {
    CAPTURE(size);
    const Lines lines = lines_of("first\n" + std::string(size, 'x') + "\nlast\n");
    REQUIRE(lines.size() == 3);
    CHECK(lines[0] == "first");
    CHECK((lines[1] == std::string(LogLines::kLineMax, 'x')));
    CHECK(lines[2] == "last");
  }
  CHECK(lines_of(std::string(LogLines::kLineMax * 4, 'x')).size() == 1);
}

TEST_CASE("looking_ahead_takes_nothing") {
  const Written file("a\nb\nc");
  LogLines lines(file.path());
  CHECK(lines.look_ahead(2) == std::vector<std::string_view>{"a", "b"});
  Lines all;
  for (std::string_view line; lines.next(line);) all.emplace_back(line);
  CHECK(all == Lines{"a", "b", "c"});
}

TEST_CASE("looking_ahead_into_a_pipe_waits_for_lines_that_are_still_to_come") {
  const Folder folder;
  const std::string path = folder.at("pipe");
  REQUIRE(::mkfifo(path.c_str(), 0600) == 0);
  std::thread writer([&] {
    const int fd = ::open(path.c_str(), O_WRONLY);
    for (const std::string_view part : {"# a heading\n", "b\nc", "d"}) {
      (void)!::write(fd, part.data(), part.size());
      int unread = 1;
      while (unread != 0 && ::ioctl(fd, FIONREAD, &unread) == 0) std::this_thread::yield();
    }
    ::close(fd);
  });
  LogLines lines(path);
  CHECK(lines.look_ahead(50) == std::vector<std::string_view>{"# a heading", "b", "cd"});
  Lines all;
  for (std::string_view line; lines.next(line);) all.emplace_back(line);
  writer.join();
  CHECK(all == Lines{"# a heading", "b", "cd"});
}

TEST_CASE("several_compressed_files_in_a_row_are_one_log_and_zeros_behind_are_padding") {
  CHECK(lines_of(packed("a\nb") + packed("c\nd\n")) == Lines{"a", "bc", "d"});
  CHECK(lines_of(packed("a\n") + std::string(512, '\0')) == Lines{"a"});
  CHECK(lines_of(packed("")) == Lines{});
}

TEST_CASE("compressed_data_that_is_cut_off_or_damaged_is_told") {
  const std::string whole = packed(std::string(100'000, 'x') + "\n");
  for (const std::size_t size : {std::size_t{2}, std::size_t{10}, whole.size() - 1}) {
    CAPTURE(size);
    CHECK(sentence_of(whole.substr(0, size)).find("ends in the middle") != std::string::npos);
  }
  std::string damaged = whole;
  damaged[damaged.size() / 2] = static_cast<char>(damaged[damaged.size() / 2] ^ 0x55);
  CHECK(sentence_of(damaged).find("damaged") != std::string::npos);
  CHECK(sentence_of(whole + "rest").find("damaged") != std::string::npos);
}

}  // namespace rl::test
