// rlctl segments: what is on this host, told though single files are bad, gone or somebody else's.
#include <doctest/doctest.h>

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <fstream>

#include "tests/diagnosed.hpp"
#include "tools/rlctl/host/mapped_files.hpp"

namespace rl::test {
namespace {

/// Returns the row of a segment, or null.
Json row_of(const Ran& ran, const std::string& name) {
  for (const Json& row : json_lines(ran.out))
    if (row["name"] == name) return row;
  return nullptr;
}

TEST_CASE("a_line_of_proc_maps_is_read_and_what_is_private_or_no_file_is_not") {
  using ctl::mapped_file_in;
  const auto file = mapped_file_in(
      "7f0000000000-7f0000001000 rw-s 00000000 00:1a 42                         /dev/shm/rl.web");
  REQUIRE(file);
  CHECK(file->id.device == makedev(0, 0x1a));
  CHECK(file->id.inode == 42);
  CHECK(file->path == "/dev/shm/rl.web");
  CHECK(file->is_writable);
  CHECK(!file->is_deleted);
  const auto gone = mapped_file_in("1-2 r--s 00000000 fd:01 7 /dev/shm/rl.a b (deleted)");
  REQUIRE(gone);
  CHECK(gone->path == "/dev/shm/rl.a b");
  CHECK(gone->is_deleted);
  CHECK(!gone->is_writable);
  CHECK(gone->id.device == makedev(0xfd, 1));
  for (const char* line :
       {"", "1-2", "1-2 rw-p 00000000 00:1a 42 /dev/shm/rl.web", "1-2 rw-s 0 00:1a 0 /dev/zero",
        "1-2 rw-s 00000000 00:1a 42", "1-2 rw-s 00000000 001a 42 /x", "1-2 rw-s 0 00:1a 4x /x",
        "1-2 rw-s 00000000 00:1a 42 anon_inode:x"}) {
    CAPTURE(line);
    CHECK(!mapped_file_in(line));
  }
}

TEST_CASE("a_segment_is_fine_with_a_process_and_orphaned_without") {
  const Made segment;
  segment.policy("api", "1/h");
  REQUIRE(rlctl({"acquire", segment.name(), "api", "k"}).exit_code == 0);
  Json row = row_of(rlctl({"segments", "--json"}), segment.name());
  REQUIRE(!row.is_null());
  CHECK(row["state"] == "orphaned");
  CHECK(row["attached"] == 0);
  CHECK(row["keys"] == 100);
  CHECK(row["fill_ratio"] > 0.0);
  CHECK(row["fill_is_sampled"] == false);
  CHECK(row["mode"] == "0600");
  CHECK(row["uid"] == ::geteuid());
  CHECK(row["pids"].empty());
  CHECK(row["why"].get<std::string>().find("`rlctl rm " + segment.name()) != std::string::npos);
  const Idler idler(segment.name());
  row = row_of(rlctl({"segments", "--json"}), segment.name());
  REQUIRE(!row.is_null());
  CHECK(row["state"] == "fine");
  CHECK(row["attached"] == 1);
  CHECK(row["pids"] == Json::array({idler.pid()}));
  CHECK(!row.contains("why"));
}

TEST_CASE("of_a_large_table_some_slots_tell_how_full_it_is_and_that_is_said") {
  Scratch segment({.keys = 100'000, .labels = false});
  Limiter api = segment->limiter("api", Limit::per_day(10));
  for (int i = 0; i < 60'000; ++i) (void)api.try_acquire("k" + std::to_string(i));
  const Json row = row_of(rlctl({"segments", "--json"}), segment.name());
  REQUIRE(!row.is_null());
  CHECK(row["fill_is_sampled"] == true);
  const double expected = 60'000.0 / static_cast<double>(segment->info().slots);
  CHECK(row["fill_ratio"] > expected - 0.02);
  CHECK(row["fill_ratio"] < expected + 0.02);
  CHECK(rlctl({"segments"}).out.find("about ") != std::string::npos);
}

TEST_CASE("a_segment_without_a_name_is_told_with_who_has_it") {
  Made segment;
  const Idler idler(segment.name());
  const std::string path = segment.path();
  REQUIRE(::unlink(path.c_str()) == 0);
  const std::string of = segment.name();
  Json row = row_of(rlctl({"segments", "--json"}), of);
  REQUIRE(!row.is_null());
  CHECK(row["state"] == "nameless");
  CHECK(row["keys"] == 100);
  CHECK(row["pids"] == Json::array({idler.pid()}));
  CHECK(row["why"].get<std::string>().find("its name is gone") == 0);
  REQUIRE(rlctl({"create", of, "--keys", "7"}).exit_code == 0);
  int named = 0;
  int nameless = 0;
  for (const Json& one : json_lines(rlctl({"segments", "--json"}).out)) {
    if (one["name"] != of) continue;
    named += one["state"] == "orphaned" && one["keys"] == 7 ? 1 : 0;
    const std::string why = one["why"];
    nameless += one["state"] == "nameless" && why.find("another segment has its name") == 0 ? 1 : 0;
  }
  CHECK(named == 1);
  CHECK(nameless == 1);
}

TEST_CASE("whoever_made_a_segment_and_has_it_is_not_taken_for_one_without_a_name") {
  Scratch segment;
  const Child other([&] { (void)rlctl({"segments"}); });
  int rows = 0;
  for (const Json& row : json_lines(rlctl({"segments", "--json"}).out)) {
    const bool is_ours = row["name"] == segment.name();
    rows += is_ours ? 1 : 0;
    if (!row["pids"].empty() && row["pids"][0] == ::getpid()) CHECK(is_ours);
    if (is_ours) CHECK(row["state"] == "fine");
  }
  CHECK(rows == 1);
}

TEST_CASE("bad_files_are_told_each_with_its_reason_and_spoil_nothing") {
  const Folder folder;
  const std::string good = folder.at("good");
  REQUIRE(rlctl({"create", good, "--keys", "10"}).exit_code == 0);
  const auto copy = [&](const std::string& name) {
    std::filesystem::copy_file(good, folder.at(name));
    return folder.at(name);
  };
  const auto scribble = [](const std::string& file, std::streamoff at, char byte) {
    std::fstream out(file, std::ios::in | std::ios::out | std::ios::binary);
    out.seekp(at).put(byte);
    REQUIRE(out.good());
  };
  scribble(copy("version"), 8, 99);
  scribble(copy("damaged"), 72, 1);
  std::filesystem::resize_file(copy("cut"), 5'000);
  std::ofstream(folder.at("rl.text")) << "no segment";
  std::ofstream(folder.at("text")) << "nobody's business";
  REQUIRE(::symlink(good.c_str(), folder.at("rl.link").c_str()) == 0);
  REQUIRE(::mkfifo(folder.at("rl.fifo").c_str(), 0600) == 0);
  const Ran ran = rlctl({"segments", folder.path(), "--json"});
  CHECK(ran.exit_code == 0);
  CHECK(ran.err == "");
  const auto state = [&](const std::string& name) {
    const Json row = row_of(ran, folder.at(name));
    return row.is_null() ? "none" : row["state"].get<std::string>();
  };
  CHECK(state("good") == "orphaned");
  CHECK(state("version") == "other version");
  CHECK(state("damaged") == "damaged");
  CHECK(state("cut") == "damaged");
  CHECK(state("rl.text") == "foreign");
  CHECK(state("rl.link") == "foreign");
  CHECK(state("rl.fifo") == "foreign");
  CHECK(state("text") == "none");
  const Ran text = rlctl({"segments", folder.path() + "/"});
  CHECK(text.out.find(folder.at("damaged") + ": damaged: ") != text.out.npos);
}

TEST_CASE("what_belongs_to_another_user_is_looked_into_when_told_to") {
  if (::geteuid() != 0) return skip("only root can give files away");
  const Made segment;
  REQUIRE(::chown(segment.path().c_str(), 65'534, 65'534) == 0);
  Json row = row_of(rlctl({"segments", "--json"}), segment.name());
  REQUIRE(!row.is_null());
  CHECK(row["state"] == "foreign");
  CHECK(row["keys"].is_null());
  CHECK(row["uid"] == 65'534);
  row = row_of(rlctl({"segments", "--any-owner", "--json"}), segment.name());
  CHECK(row["state"] == "orphaned");
  CHECK(row["keys"] == 100);
}

TEST_CASE("a_folder_that_cannot_be_read_is_said_and_may_have_spaces") {
  const Folder folder;
  const std::string spaced = folder.at("a b");
  REQUIRE(::mkdir(spaced.c_str(), 0700) == 0);
  std::ofstream(spaced + "/rl.x") << "x";
  const Ran ran = rlctl({"segments", spaced, folder.at("gone"), "--json"});
  CHECK(ran.exit_code == 1);
  CHECK(!row_of(ran, spaced + "/rl.x").is_null());
  CHECK(ran.err ==
        "rlctl: " + folder.at("gone") + ": reading it: No such file or directory (ENOENT)\n");
}

}  // namespace
}  // namespace rl::test
