// rlreaper --events: what happened goes to files, syslog and the journal, and no sink holds up
// another, whatever becomes of it.
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>

#include "tests/events.hpp"
#include "tests/rlreaper.hpp"

namespace rl::test {
namespace {

using namespace std::chrono_literals;
using Keys = std::vector<std::string>;

const SegmentOptions kSmall{.keys = 1'000};

/// Returns the keys of the denials in a file of JSON lines, of which the last may be under way.
Keys keys_in(const std::string& file) {
  const std::string all = contents(file);
  return denied_keys(json_lines(all.substr(0, all.rfind('\n') + 1)));
}

bool get_to(const std::string& file, const Keys& keys) {
  const bool came = poll_until([&] { return keys_in(file) == keys; });
  if (!came) MESSAGE("it has:\n" << contents(file));
  return came;
}

/// Ends it as a service manager does. Returns whether it ended well, and in time.
bool ends_well(Running& reaper) {
  const auto begin = std::chrono::steady_clock::now();
  reaper->signal(SIGTERM);
  return reaper->wait() == 0 && std::chrono::steady_clock::now() - begin < 10s;
}

/// Has it say what became of a sink. Returns how many records were written, dropped or failed at.
std::uint64_t count_of(Running& reaper, const std::string& sink, const std::string& what) {
  const std::string head = "events to " + sink + ": ";
  const int before = reaper.times(head);
  reaper->signal(SIGUSR1);
  REQUIRE(poll_until([&] { return reaper.times(head) > before; }));
  std::string said = reaper.said();
  said.erase(0, said.rfind(head));
  const std::size_t end = said.find(" " + what);
  REQUIRE(end != said.npos);
  return std::stoull(said.substr(said.rfind(' ', end - 1) + 1));
}

/// A service that takes datagrams under a path, as syslogd and journald do.
class Service {
 public:
  explicit Service(std::string path)
      : path_(std::move(path)),
        fd_(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)) {
    sockaddr_un at{};
    at.sun_family = AF_UNIX;
    std::strncpy(at.sun_path, path_.c_str(), sizeof at.sun_path - 1);
    REQUIRE(::bind(fd_, reinterpret_cast<sockaddr*>(&at), sizeof at) == 0);
  }
  Service(const Service&) = delete;
  Service& operator=(const Service&) = delete;
  ~Service() {
    ::close(fd_);
    ::unlink(path_.c_str());
  }
  /// Waits for the next datagram that has a text in it; empty when none comes.
  std::string next_with(std::string_view part) {
    std::string text;
    (void)poll_until([&] {
      std::array<char, 8'192> buffer{};
      ssize_t size;
      while ((size = ::recv(fd_, buffer.data(), buffer.size(), 0)) > 0) {
        text.assign(buffer.data(), static_cast<std::size_t>(size));
        if (text.find(part) != text.npos) return true;
      }
      text.clear();
      return false;
    });
    return text;
  }

 private:
  std::string path_;
  int fd_;
};

/// A segment, and an rlreaper that writes what happens there to a file.
struct ToFile {
  Folder folder;
  Scratch segment{kSmall};
  std::string file = folder.at("events.jsonl");
  Running reaper{folder, {segment.name(), "--events", "jsonl:" + file}};
};

TEST_CASE("denials_of_workers_come_out_as_lines_of_json") {
  const Folder folder;
  Scratch segment(kSmall);
  const std::string file = folder.at("events.jsonl");
  be_denied(segment.name(), {"early"});  // before there is a reaper
  Running reaper(folder, {segment.name(), "--events", "jsonl:" + file});
  REQUIRE(get_to(file, {"early"}));
  const pid_t worker = be_denied(segment.name(), {"ann", kOddKey});
  REQUIRE(get_to(file, {"early", "ann", kOddKeyEscaped}));
  const std::vector<Json> events = json_lines(contents(file));
  CHECK(events.back()["segment"] == segment.name());
  CHECK(events.back()["pid"] == worker);
  CHECK(events.back()["limit"] == 1);
  CHECK(count_of(reaper, "jsonl:" + file, "written") == events.size());
  struct stat st {};
  REQUIRE(::stat(file.c_str(), &st) == 0);
  CHECK((st.st_mode & 0777) == 0600);  // it has keys
  CHECK(ends_well(reaper));
}

TEST_CASE("what_happens_just_before_the_end_is_written") {
  ToFile to;
  auto& [folder, segment, file, reaper] = to;
  be_denied(segment.name(), {"early"});
  REQUIRE(get_to(file, {"early"}));
  be_denied(segment.name(), {"late"});
  CHECK(ends_well(reaper));
  CHECK(keys_in(file) == Keys{"early", "late"});
}

TEST_CASE("who_takes_over_from_a_killed_one_goes_on_and_repeats_nothing") {
  const Folder folder;
  Scratch segment(kSmall);
  const std::string file = folder.at("events.jsonl");
  const Words words{segment.name(), "--events", "jsonl:" + file};
  Running first(folder, words);
  REQUIRE(first.says("sweeping"));
  Running second(folder, words);
  REQUIRE(second.says("standing by"));
  be_denied(segment.name(), {"ann"});
  REQUIRE(get_to(file, {"ann"}));
  first->signal(SIGKILL);
  CHECK(first->wait() == 128 + SIGKILL);
  be_denied(segment.name(), {"bob"});
  REQUIRE(second.says("sweeping"));
  be_denied(segment.name(), {"cid"});
  CHECK(get_to(file, {"ann", "bob", "cid"}));
  CHECK(ends_well(second));
}

TEST_CASE("a_segment_that_is_replaced_is_followed") {
  ToFile to;
  auto& [folder, segment, file, reaper] = to;
  be_denied(segment.name(), {"ann"});
  REQUIRE(get_to(file, {"ann"}));
  Segment::remove(segment.name());
  REQUIRE(reaper.says("has vanished"));
  const Segment other = Segment::create(segment.name(), kSmall);
  be_denied(segment.name(), {"bob"});
  CHECK(get_to(file, {"ann", "bob"}));
  CHECK(ends_well(reaper));
}

TEST_CASE("a_file_that_cannot_be_written_is_said_once_tried_again_and_then_has_all") {
  const Folder folder;
  Scratch segment(kSmall);
  const std::string file = folder.at("later/events.jsonl");
  const std::string good = folder.at("good.jsonl");
  Running reaper(folder,
                 {segment.name(), "--events", "jsonl:" + file, "--events", "jsonl:" + good});
  be_denied(segment.name(), {"ann"});
  REQUIRE(reaper.says("later/events.jsonl: opening it: No such file"));
  REQUIRE(get_to(good, {"ann"}));
  REQUIRE(poll_until([&] { return count_of(reaper, "jsonl:" + file, "failed") > 1; }));
  CHECK(reaper.times("trying again each second") == 1);
  std::filesystem::create_directory(folder.at("later"));
  CHECK(get_to(file, {"ann"}));
  CHECK(reaper.says("written again"));
  CHECK(ends_well(reaper));
}

TEST_CASE("a_full_disk_is_said_once_and_holds_up_nobody") {
  const Folder folder;
  Scratch segment(kSmall);
  const std::string good = folder.at("good.jsonl");
  Running reaper(folder,
                 {segment.name(), "--events", "jsonl:/dev/full", "--events", "jsonl:" + good});
  be_denied(segment.name(), {"ann"});
  REQUIRE(reaper.says("ENOSPC"));
  CHECK(get_to(good, {"ann"}));
  CHECK(poll_until([&] { return count_of(reaper, "jsonl:/dev/full", "failed") > 1; }));
  CHECK(count_of(reaper, "jsonl:/dev/full", "written") == 0);
  CHECK(reaper.times("trying again each second") == 1);
  CHECK(ends_well(reaper));
  CHECK(reaper.says("were not written"));
}

TEST_CASE("a_file_that_is_rotated_away_is_made_anew") {
  ToFile to;
  auto& [folder, segment, file, reaper] = to;
  be_denied(segment.name(), {"ann"});
  REQUIRE(get_to(file, {"ann"}));
  REQUIRE(::rename(file.c_str(), (file + ".1").c_str()) == 0);
  reaper->signal(SIGHUP);  // as logrotate does
  REQUIRE(poll_until([&] { return ::access(file.c_str(), F_OK) == 0; }));
  be_denied(segment.name(), {"bob"});
  CHECK(get_to(file, {"bob"}));
  REQUIRE(::unlink(file.c_str()) == 0);  // and without a word
  be_denied(segment.name(), {"cid"});
  CHECK(get_to(file, {"cid"}));
  CHECK(keys_in(file + ".1") == Keys{"ann"});
  CHECK(ends_well(reaper));
}

TEST_CASE("a_sink_that_is_slow_loses_its_own_events_and_says_where") {
  const Folder folder;
  Scratch segment(kSmall);
  segment->set_denials_per_event(1);
  const std::string fifo = folder.at("fifo");
  const std::string good = folder.at("good.jsonl");
  REQUIRE(::mkfifo(fifo.c_str(), 0600) == 0);
  const int out = ::open(fifo.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  Running reaper(folder,
                 {segment.name(), "--events", "jsonl:" + fifo, "--events", "jsonl:" + good});
  REQUIRE(reaper.says("sweeping"));
  {
    Child worker([&] {
      Segment own = Segment::open(segment.name());
      Limiter api = own.limiter("api", Limit::per_day(1));
      while (true) {  // ends: it is killed
        for (int i = 0; i < 100; ++i) (void)api.try_acquire("ann");
        ::usleep(1'000);
      }
    });
    REQUIRE(poll_until([&] { return count_of(reaper, "jsonl:" + fifo, "dropped") > 0; }));
  }
  be_denied(segment.name(), {"bob"});
  const auto last_is = [&](const std::string& key) {
    return contents(good).find("\"key\":\"" + key + "\"") != std::string::npos;
  };
  CHECK(poll_until([&] { return last_is("bob"); }));
  CHECK(count_of(reaper, "jsonl:" + good, "written") > 8'192);  // more than a queue holds
  // Now somebody reads: what comes next is told, and before it how many are missing.
  std::string read;
  REQUIRE(poll_until([&] {
    std::array<char, 65'536> buffer{};
    for (ssize_t got = 0; (got = ::read(out, buffer.data(), buffer.size())) > 0;)
      read.append(buffer.data(), static_cast<std::size_t>(got));
    be_denied(segment.name(), {unique_name()});
    const std::vector<Json> told = json_lines(read.substr(0, read.rfind('\n') + 1));
    return std::any_of(told.begin(), told.end(), [](const Json& record) {
      return record["kind"] == "lost" && !record.contains("segment");
    });
  }));
  CHECK(ends_well(reaper));
  ::close(out);
}

TEST_CASE("a_fifo_that_nobody_empties_does_not_hold_up_the_end") {
  const Folder folder;
  Scratch segment({.keys = 10'000});
  const std::string fifo = folder.at("fifo");
  REQUIRE(::mkfifo(fifo.c_str(), 0600) == 0);
  const int out = ::open(fifo.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  REQUIRE(::fcntl(out, F_SETPIPE_SZ, 4'096) == 4'096);
  Running reaper(folder, {segment.name(), "--events", "jsonl:" + fifo});
  REQUIRE(reaper.says("sweeping"));
  Keys keys;
  for (int i = 0; i < 200; ++i) keys.push_back("key-" + std::to_string(i));
  be_denied(segment.name(), keys);
  REQUIRE(poll_until([&] { return count_of(reaper, "jsonl:" + fifo, "written") > 0; }));
  CHECK(ends_well(reaper));
  CHECK(reaper.says("were not written"));
  ::close(out);
}

TEST_CASE("syslog_gets_one_line_whatever_is_in_a_key") {
  const Folder folder;
  Scratch segment(kSmall);
  Service syslog(folder.at("log"));
  Running reaper(folder, {segment.name(), "--events", "syslog:" + folder.at("log")});
  be_denied(segment.name(), {kOddKey});
  const std::string message = syslog.next_with("denied");
  CAPTURE(message);
  CHECK(message.starts_with("<30>"));  // daemon, info
  CHECK(std::none_of(message.begin(), message.end(), [](char c) { return c >= 0 && c < ' '; }));
  const std::string ident = " rlreaper[" + std::to_string(reaper->pid()) + "]: ";
  CHECK(message.find(ident) == std::string_view("<30>Nov 22 05:49:07").size());
  CHECK(message.find(ident + segment.name() + ": denied api " + kOddKeyEscaped +
                     ": limited, 0 of 1 left, passes in ") != message.npos);
  segment->ban("api", "bob", 10min);
  CHECK(syslog.next_with(": banned api bob").starts_with("<29>"));
  CHECK(ends_well(reaper));
}

/// Returns the fields of an entry. Source: systemd, "Native Journal Protocol".
std::map<std::string, std::string> fields_of(std::string_view entry) {
  std::map<std::string, std::string> fields;
  while (!entry.empty()) {  // ends: each field is taken off
    const std::size_t name_end = entry.find_first_of("=\n");
    REQUIRE(name_end != entry.npos);
    const std::string name(entry.substr(0, name_end));
    std::size_t size = 0;
    const bool has_size = entry[name_end] == '\n';
    entry.remove_prefix(name_end + 1);
    if (has_size) {
      REQUIRE(entry.size() > 8);
      for (std::size_t i = 0; i < 8; ++i)
        size |= static_cast<std::size_t>(static_cast<unsigned char>(entry[i])) << 8 * i;
      entry.remove_prefix(8);
    } else {
      size = entry.find('\n');
    }
    REQUIRE(size < entry.size());
    REQUIRE(entry[size] == '\n');
    fields[name] = entry.substr(0, size);
    entry.remove_prefix(size + 1);
  }
  return fields;
}

TEST_CASE("the_journal_gets_fields_that_hold_any_bytes") {
  const Folder folder;
  Scratch segment(kSmall);
  Service journal(folder.at("journal"));
  Running reaper(folder, {segment.name(), "--events", "journald:" + folder.at("journal")});
  const pid_t worker = be_denied(segment.name(), {kOddKey});
  auto fields = fields_of(journal.next_with("denied"));
  CHECK(fields["MESSAGE"].starts_with(segment.name() + ": denied api " + kOddKeyEscaped + ": "));
  CHECK(fields["MESSAGE"].find('\n') == std::string::npos);
  CHECK(fields["PRIORITY"] == "6");
  CHECK(fields["SYSLOG_IDENTIFIER"] == "rlreaper");
  CHECK(fields["RL_SEGMENT"] == segment.name());
  CHECK(fields["RL_KIND"] == "denied");
  CHECK(fields["RL_POLICY"] == "api");
  CHECK((fields["RL_KEY"] == kOddKey));
  CHECK(fields["RL_PID"] == std::to_string(worker));
  CHECK(fields["RL_REASON"] == "limited");
  CHECK(fields["RL_REMAINING"] == "0");
  CHECK(ends_well(reaper));
}

TEST_CASE("a_service_that_starts_anew_gets_what_happened_meanwhile") {
  const Folder folder;
  Scratch segment(kSmall);
  const std::string path = folder.at("journal");
  auto journal = std::make_unique<Service>(path);
  Running reaper(folder, {segment.name(), "--events", "journald:" + path});
  be_denied(segment.name(), {"ann"});
  CHECK(fields_of(journal->next_with("RL_KIND=denied"))["RL_KEY"] == "ann");
  journal.reset();
  be_denied(segment.name(), {"bob"});
  REQUIRE(reaper.says("trying again each second"));
  journal = std::make_unique<Service>(path);
  CHECK(fields_of(journal->next_with("RL_KIND=denied"))["RL_KEY"] == "bob");
  CHECK(ends_well(reaper));
}

TEST_CASE("sinks_come_and_go_with_the_configuration") {
  const Folder folder;
  Scratch segment(kSmall);
  const std::string config = folder.at("config");
  const std::string one = folder.at("one.jsonl");
  const std::string two = folder.at("two.jsonl");
  std::ofstream(config) << "events = [\"jsonl:" << one << "\"]\n";
  Running reaper(folder, {segment.name(), "--config", config});
  be_denied(segment.name(), {"ann"});
  REQUIRE(get_to(one, {"ann"}));
  std::ofstream(config) << "events = [\"jsonl:" << one << "\", \"jsonl:" << two << "\"]\n";
  reaper->signal(SIGHUP);
  REQUIRE(poll_until([&] { return ::access(two.c_str(), F_OK) == 0; }));
  be_denied(segment.name(), {"bob"});
  CHECK(get_to(one, {"ann", "bob"}));
  CHECK(get_to(two, {"bob"}));
  std::ofstream(config) << "events = [\"jsonl:" << two << "\"]\n";
  reaper->signal(SIGHUP);
  REQUIRE(poll_until([&] { return reaper.times("configuration read again") == 2; }));
  be_denied(segment.name(), {"cid"});
  CHECK(get_to(two, {"bob", "cid"}));
  CHECK(keys_in(one) == Keys{"ann", "bob"});
  std::ofstream(config) << "events = [\"jurnald\"]\n";
  reaper->signal(SIGHUP);
  CHECK(reaper.says("did you mean \"journald\"?"));
  CHECK(ends_well(reaper));
}

TEST_CASE("what_is_no_sink_is_refused_with_those_that_there_are") {
  const auto refused = [](Words words, std::string_view part) {
    words.insert(words.begin(), {program("RLREAPER"), "web"});
    const Ran ran = run(words);
    CAPTURE(ran.err);
    CHECK(ran.exit_code == 2);
    CHECK(ran.err.find(part) != std::string::npos);
  };
  refused({"--events", "jurnald"}, "did you mean \"journald\"?");
  refused({"--events", "kafka"}, "give jsonl:FILE, syslog or journald");
  refused({"--events", "jsonl"}, "give jsonl:PATH");
  refused({"--events", "syslog", "--events", "syslog"}, "given twice");
}

}  // namespace
}  // namespace rl::test
