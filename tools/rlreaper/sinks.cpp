#include "tools/rlreaper/sinks.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <set>

#include "src/nearest.hpp"
#include "tools/rlctl/event_text.hpp"
#include "tools/rlreaper/datagrams.hpp"

namespace rl::reaper {
namespace {

using ctl::Json;

constexpr std::string_view kSyslogSocket = "/dev/log";
constexpr std::string_view kJournalSocket = "/run/systemd/journal/socket";

/// Returns a line for people, without the time.
std::string line_of(const Record& record) {
  const std::string text =
      record.lost != 0 ? ctl::text_of_lost(record.lost) : ctl::text_of(record.event);
  return record.segment.empty() ? text : fmt::format("{}: {}", ctl::escape(record.segment), text);
}

/// What is worth a look at night is a warning, what somebody did a notice; denials are daily work.
int priority_of(const Record& record) {
  if (record.lost != 0) return LOG_WARNING;
  switch (record.event.kind) {
    case EventKind::denied:
    case EventKind::permit_reclaimed:
      return LOG_INFO;
    case EventKind::banned:
    case EventKind::changed:
      return LOG_NOTICE;
    case EventKind::evicted:
    case EventKind::full:
    case EventKind::left_tsc:
    case EventKind::copied:
      break;
  }
  return LOG_WARNING;
}

/// A file of JSON, an object a line. Several processes may append to one.
class JsonLines : public Sink {
 public:
  JsonLines(std::string name, std::string file) : Sink(std::move(name)), file_(std::move(file)) {}

  [[nodiscard]] std::string text_of(const Record& record) const override {
    Json object;
    if (!record.segment.empty()) object["segment"] = ctl::escape(record.segment);
    object.update(record.lost != 0 ? ctl::json_of_lost(record.lost) : ctl::json_of(record.event));
    return object.dump() + '\n';
  }
  /// A FIFO that nobody reads is an error at once, and one that is full says so.
  [[nodiscard]] shm::Fd open() const override {
    shm::Fd fd = shm::open_file(
        file_.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0600);
    if (!fd) throw shm::os_error(fmt::format("{}: opening it", file_), errno);
    return fd;
  }
  [[nodiscard]] bool is_current(int fd) const override {
    struct stat named {};
    struct stat opened {};
    return ::stat(file_.c_str(), &named) == 0 && ::fstat(fd, &opened) == 0 &&
           named.st_dev == opened.st_dev && named.st_ino == opened.st_ino;
  }

 private:
  std::string file_;
};

/// A socket of a service. When that starts anew the next write fails, and it is opened again.
class Socket : public Sink {
 public:
  Socket(std::string name, std::string path) : Sink(std::move(name)), path_(std::move(path)) {}

  [[nodiscard]] shm::Fd open() const override {
    shm::Fd fd = datagrams_to(path_);
    if (!fd) throw shm::os_error(fmt::format("{}: connecting to it", path_), errno);
    return fd;
  }
  [[nodiscard]] bool is_current(int) const override { return true; }

 private:
  std::string path_;
};

/// A message as the C library's syslog() sends it. Source: RFC 3164, section 4.1, without a host.
class Syslog : public Socket {
 public:
  using Socket::Socket;

  [[nodiscard]] std::string text_of(const Record& record) const override {
    const std::time_t when = record.lost != 0
                                 ? std::time(nullptr)
                                 : std::chrono::system_clock::to_time_t(
                                       std::chrono::floor<std::chrono::seconds>(record.event.when));
    std::tm local{};
    ::localtime_r(&when, &local);
    std::array<char, 32> time{};
    (void)std::strftime(time.data(), time.size(), "%b %e %H:%M:%S", &local);
    return fmt::format("<{}>{} rlreaper[{}]: {}", LOG_DAEMON | priority_of(record), time.data(),
                       ::getpid(), line_of(record));
  }
};

/// An entry of the journal, with fields of our own. Source: systemd, "Native Journal Protocol".
class Journal : public Socket {
 public:
  using Socket::Socket;

  [[nodiscard]] std::string text_of(const Record& record) const override {
    std::string entry;
    add(entry, "MESSAGE", line_of(record));
    add(entry, "PRIORITY", fmt::format("{}", priority_of(record)));
    add(entry, "SYSLOG_IDENTIFIER", "rlreaper");
    add(entry, "RL_SEGMENT", record.segment);
    if (record.lost != 0) {
      add(entry, "RL_KIND", "lost");
      add(entry, "RL_COUNT", fmt::format("{}", record.lost));
      return entry;
    }
    const Json object = ctl::json_of(record.event);
    for (const auto& [name, value] : object.items()) {
      if (name == "policy" || name == "key") continue;  // those as they are, below
      const std::string text = value.is_string() ? value.get<std::string>()
                               : value.is_null() ? ""
                                                 : value.dump();
      add(entry, "RL_" + upper(name), text);
    }
    add(entry, "RL_POLICY", record.event.policy);
    add(entry, "RL_KEY", record.event.key);
    return entry;
  }

 private:
  static std::string upper(std::string name) {
    for (char& c : name)
      if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
    return name;
  }
  /// Adds a field, if it is not empty; one with a newline goes with its size before it.
  static void add(std::string& entry, std::string_view name, std::string_view value) {
    if (value.empty()) return;
    entry += name;
    if (value.find('\n') == value.npos) {
      entry += '=';
    } else {
      entry += '\n';
      for (std::size_t i = 0; i < 8; ++i)  // little-endian
        entry += static_cast<char>(static_cast<std::uint64_t>(value.size()) >> 8 * i & 0xff);
    }
    entry += value;
    entry += '\n';
  }
};

[[noreturn]] void refuse(const std::string& text) {
  Nearest nearest(std::string_view(text).substr(0, text.find(':')));
  for (const char* name : {"jsonl", "syslog", "journald"}) nearest.offer(name);
  throw Error(
      Errc::bad_option,
      nearest.name().empty()
          ? fmt::format("--events \"{}\": give jsonl:FILE, syslog or journald", text)
          : fmt::format("--events \"{}\": did you mean \"{}\"? There are jsonl:FILE, syslog "
                        "and journald",
                        text, nearest.name()));
}

}  // namespace

std::unique_ptr<Sink> make_sink(const std::string& text) {
  const std::size_t colon = text.find(':');
  const std::string kind = text.substr(0, colon);
  const std::string path = colon == text.npos ? "" : text.substr(colon + 1);
  if (kind != "jsonl" && kind != "syslog" && kind != "journald") refuse(text);
  if (path.empty() && (kind == "jsonl" || colon != text.npos)) {
    throw Error(Errc::bad_option, fmt::format("--events {0}: its file is not said; give {0}{1}PATH",
                                              text, colon == text.npos ? ":" : ""));
  }
  if (kind == "jsonl") return std::make_unique<JsonLines>(text, path);
  const auto path_or = [&](std::string_view usual) {
    return path.empty() ? std::string(usual) : path;
  };
  if (kind == "syslog") return std::make_unique<Syslog>(text, path_or(kSyslogSocket));
  return std::make_unique<Journal>(text, path_or(kJournalSocket));
}

void check_sinks(const std::vector<std::string>& texts) {
  std::set<std::string> given;
  for (const std::string& text : texts) {
    (void)make_sink(text);
    if (!given.insert(text).second)
      throw Error(Errc::bad_option, fmt::format("--events {}: given twice; give it once", text));
  }
}

}  // namespace rl::reaper
