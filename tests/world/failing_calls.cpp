#include "tests/world/failing_calls.hpp"

#include <dirent.h>
#include <doctest/doctest.h>
#include <sys/syscall.h>

#include <algorithm>
#include <cstring>
#include <fstream>
#include <map>

namespace rl::test {
namespace {

// --- what may fail, and how ---------------------------------------------------------------------

struct Failure {
  int error = 0;
  int times = 1;
  std::uint64_t at_most = 0;  ///< not 0: no failure, but a read of so many bytes
};

/// What each call can give on a tmpfs, in a sandbox or when the machine is short of everything.
const std::map<long, std::vector<int>>& errors_of_calls() {
  static const std::map<long, std::vector<int>> errors = {
      {SYS_openat, {EINTR, EMFILE, ENFILE, ENOMEM, EACCES, ENOENT, EIO}},
      {SYS_newfstatat, {ENOMEM, EIO, EACCES}},
      {SYS_stat, {ENOMEM, EIO, EACCES}},
      {SYS_lstat, {ENOMEM, EIO, EACCES}},
      {SYS_fstat, {ENOMEM, EIO}},
      {SYS_read, {EINTR, EIO}},
      {SYS_pread64, {EINTR, EIO}},
      {SYS_pwrite64, {EINTR, EIO, ENOSPC, EPERM}},
      {SYS_fchmod, {EINTR, EPERM, EIO, EROFS}},
      {SYS_fchown, {EINTR, EPERM, EIO, EROFS}},
      {SYS_fallocate, {EINTR, ENOSPC, EFBIG, ENOMEM, EIO, EPERM}},
      {SYS_ftruncate, {EINTR, EIO}},
      {SYS_fstatfs, {EINTR, ENOMEM, EIO, ENOSYS}},
      {SYS_mmap, {ENOMEM, EAGAIN, ENODEV, EACCES, EPERM}},
      {SYS_mremap, {ENOMEM, EAGAIN}},
      {SYS_memfd_create, {EMFILE, ENFILE, ENOMEM, ENOSYS, EPERM}},
      {SYS_madvise, {EINVAL, EAGAIN, ENOMEM}},
      {SYS_linkat,
       {EINTR, EEXIST, ENOSPC, ENOENT, EACCES, EPERM, EMLINK, EROFS, EIO, ENOMEM, EDQUOT}},
      {SYS_unlink, {EINTR, EACCES, EPERM, EBUSY, EROFS, EIO, ENOMEM}},
      {SYS_fcntl, {EINTR, EAGAIN, EACCES, ENOLCK, ENOMEM, EINVAL}},
      {SYS_getrandom, {EINTR, EAGAIN, ENOSYS, EPERM}},
      {SYS_prctl, {EINVAL, EPERM}},
      {SYS_prlimit64, {EPERM, ENOSYS}},
      {SYS_clock_nanosleep, {EINTR, EPERM}},
      {SYS_close, {EINTR, EIO}},
      // These cannot fail, or (munmap of all of a mapping) not in a way that leaves a choice.
      {SYS_getpid, {}},
      {SYS_geteuid, {}},
      {SYS_getegid, {}},
      {SYS_futex, {}},
      {SYS_munmap, {}},
      {SYS_brk, {}},
      {SYS_access, {}},  // the tests' own
  };
  return errors;
}

std::vector<Failure> failures_of(const Point& call, const std::string& text) {
  std::vector<Failure> failures;
  const bool is_fstat = text.compare(0, 6, "fstat ") == 0;  // newer C libraries: a kind of fstatat
  const auto known = errors_of_calls().find(is_fstat ? SYS_fstat : call.number);
  if (known == errors_of_calls().end()) return {{EPERM}, {ENOSYS}};  // a sandbox forbids anything
  for (const int error : known->second) failures.push_back({error, error == EINTR ? 3 : 1});
  const bool nameless = call.number == SYS_openat && (call.arguments[2] & O_TMPFILE) == O_TMPFILE;
  if (nameless) failures.insert(failures.end(), {{ENOSPC}, {EOPNOTSUPP}, {EROFS}, {EISDIR}});
  if (call.number == SYS_pread64 || call.number == SYS_read) {
    failures.push_back({.error = 0, .times = 1, .at_most = call.arguments[2] / 2});
    failures.push_back({.error = 0, .times = 1, .at_most = 1});
  }
  return failures;
}

/// The kind of Error that says the errno of this call.
Errc code_for(const Point& call, int error) {
  switch (error) {
    case EEXIST:
      return Errc::exists;
    case ENOENT:
      return Errc::not_found;
    case EACCES:
    case EPERM:
      return Errc::permission;
    case ENOSPC:
      return Errc::no_space;
    case EFBIG:
    case ENOMEM:
      return call.number == SYS_fallocate ? Errc::no_space : Errc::system;
    case EOPNOTSUPP:
    case EISDIR:
      return Errc::unsupported;
    default:
      return Errc::system;
  }
}

// --- one operation, followed --------------------------------------------------------------------

Held held_now(const std::string& directory) {
  Held held;
  DIR* const fds = ::opendir("/proc/self/fd");
  while (::readdir(fds) != nullptr) ++held.descriptors;
  ::closedir(fds);
  std::ifstream maps("/proc/self/maps");
  for (std::string line; std::getline(maps, line);) {
    held.mappings += line.find(directory) != std::string::npos ? 1 : 0;
  }
  return held;
}

template <std::size_t N>
void copy_text(char (&to)[N], std::string_view text) {
  to[text.copy(to, N - 1)] = '\0';
}

/// Runs the operation and notes how it ended.
void attempt(const Operation& operation, Report& report) {
  try {
    operation.act();
    report.outcome = Report::succeeded;
  } catch (const Error& e) {
    report.outcome = Report::refused;
    report.code = e.code();
    copy_text(report.sentence, e.what());
  } catch (const std::exception& e) {
    report.outcome = Report::alien;
    copy_text(report.sentence, e.what());
  }
}

/// In the child: where its report lies.
const Report* report_of_this_process = nullptr;

void run_in_child(const Operation& operation, const Stage& stage, Report& report) {
  report_of_this_process = &report;
  set_log(
      [](Severity, std::string_view line, void* to) noexcept {
        auto& logged = static_cast<Report*>(to)->logged;
        if (logged[0] == '\0') copy_text(logged, line);
      },
      &report);
  report.at_first = held_now(stage.place.directory());
  if (operation.get_ready) operation.get_ready();
  const std::set<std::string> names = stage.place.names();
  report.before = held_now(stage.place.directory());
  Traced::begin();
  attempt(operation, report);
  Traced::end();
  report.after = held_now(stage.place.directory());
  report.locked = is_locked(stage.path);
  report.renamed = stage.place.names() != names;
  if (report.outcome == Report::succeeded) {
    report.holds = operation.holds();
  } else {
    report.touched = operation.is_untouched && !operation.is_untouched();
    if (!operation.only_logs) operation.act();
    report.holds = operation.holds();
  }
  operation.let_go();
  report.at_last = held_now(stage.place.directory());
}

/// A call as it is on every machine: "openat DIR/s", and "openat DIR/s (2)" when it comes again.
class Normaliser {
 public:
  explicit Normaliser(std::string directory) : directory_(std::move(directory)) {}
  std::string operator()(std::string text) {
    if (const auto at = text.find(directory_); at != std::string::npos) {
      text.replace(at, directory_.size(), "DIR");
    }
    if (const auto at = text.find("DIR/#"); at != std::string::npos) text.resize(at + 5);
    if (const auto at = text.find("/proc/self/fd/"); at != std::string::npos) text.resize(at + 13);
    if (const auto at = text.find(" (deleted)"); at != std::string::npos) text.resize(at);
    const int count = ++counts_[text];
    return count == 1 ? text : text + " (" + std::to_string(count) + ")";
  }

 private:
  std::string directory_;
  std::map<std::string, int> counts_;
};

struct Call {
  Point point;
  std::string text;
};

/// Follows the operation once, without a failure.
std::vector<Call> calls_of(const Operation& operation, const Stage& stage) {
  try {
    throw Error(Errc::system, "what the runtime does at the first exception of a process");
  } catch (const Error&) {
  }
  if (operation.prepare) operation.prepare();
  Shared<Report> report;
  Traced child([&] { run_in_child(operation, stage, report[0]); }, stage.place.directory(),
               Traced::Watch::calls);
  Normaliser normalised(stage.place.directory());
  std::vector<Call> calls;
  while (const auto at = child.next()) {
    if (at->kind == Point::entry) calls.push_back({*at, normalised(child.describe(*at))});
  }
  REQUIRE(child.finish() == 0);
  REQUIRE(report[0].outcome == Report::succeeded);
  REQUIRE(report[0].holds);
  if (operation.judge) operation.judge(report[0]);
  if (operation.tidy) operation.tidy();
  return calls;
}

/// Lets the child run to its n-th call, and makes that one fail, and as many like it as are to.
void fail_the_call(Traced& child, std::size_t n, const Call& call, const Failure& failure) {
  std::size_t seen = 0;
  int left = failure.times;
  while (left > 0) {
    const auto at = child.next();
    if (!at) break;
    if (at->kind != Point::entry || seen++ < n) continue;
    if (seen == n + 1) {
      REQUIRE(at->number == call.point.number);
    } else if (at->number != call.point.number) {
      break;  // it was not called again
    }
    --left;
    if (failure.at_most != 0) {
      child.set_argument(2, failure.at_most);
    } else if (at->number == SYS_close) {
      child.fail_after(failure.error);
    } else {
      child.fail(failure.error);
    }
  }
  REQUIRE(left < failure.times);
}

void check_the_refusal(const Operation& operation, const Report& report, const Call& call,
                       const Failure& failure) {
  const std::string sentence = report.sentence;
  REQUIRE_MESSAGE(report.outcome == Report::refused, sentence);
  if (!operation.only_logs) CHECK(report.code == code_for(call.point, failure.error));
  // Somebody else is at it: nothing to say, and looked at again soon.
  const bool taken = operation.only_logs && call.point.number == SYS_fcntl &&
                     (failure.error == EAGAIN || failure.error == EACCES);
  CHECK(sentence.empty() == taken);
  CHECK(sentence.find('\n') == std::string::npos);
  if (report.code == Errc::system && !operation.only_logs) {
    CHECK(sentence.find(::strerrorname_np(failure.error)) != std::string::npos);
  }
  CHECK(report.after == report.before);
  if (!operation.only_logs) CHECK_FALSE(report.locked);
  CHECK_FALSE(report.touched);
  CHECK_FALSE(report.renamed);
}

/// Returns why the call may fail so without harm, or null.
const Optional* why_harmless(const Operation& operation, const Call& call, const Failure& failure) {
  const auto found = std::find_if(
      operation.optional.begin(), operation.optional.end(), [&](const Optional& optional) {
        const auto& only = optional.only;
        return optional.call == call.text &&
               (only.empty() || std::find(only.begin(), only.end(), failure.error) != only.end());
      });
  return found != operation.optional.end() ? &*found : nullptr;
}

struct Tally {
  int calls = 0;
  int failures = 0;
  int refused = 0;
};

void try_one(const Operation& operation, const Stage& stage, std::size_t n, const Call& call,
             const Failure& failure, Tally& tally) {
  const std::string error = failure.at_most != 0 ? "short" : ::strerrorname_np(failure.error);
  INFO(operation.name, ": call ", n, ", ", call.text, ", ", error);
  const auto unused = stage.place.used();
  if (operation.prepare) operation.prepare();
  Shared<Report> shared;
  const Report& report = shared[0];
  {
    Traced child([&] { run_in_child(operation, stage, shared[0]); }, stage.place.directory(),
                 Traced::Watch::calls);
    fail_the_call(child, n, call, failure);
    const int ended = child.finish();
    INFO("sentence: ", report.sentence, report.logged);
    CHECK(ended == 0);
  }
  INFO("sentence: ", report.sentence, report.logged);
  ++tally.failures;
  const Optional* const optional = why_harmless(operation, call, failure);
  if (report.outcome == Report::succeeded) {
    const bool may = optional != nullptr || failure.error == EINTR || failure.at_most != 0 ||
                     call.point.number == SYS_close;
    CHECK_MESSAGE(may, "succeeded though a call failed that it needs");
  } else {
    ++tally.refused;
    CHECK(optional == nullptr);
    check_the_refusal(operation, report, call, failure);
  }
  CHECK(report.holds);
  const int kept = optional != nullptr ? optional->keeps : 0;
  CHECK(report.at_last.descriptors - kept ==
        report.at_first.descriptors - operation.gives_up.descriptors);
  CHECK(report.at_last.mappings == report.at_first.mappings - operation.gives_up.mappings);
  if (operation.judge) operation.judge(report);
  if (operation.tidy) operation.tidy();
  CHECK(stage.place.names().empty());
  CHECK(stage.place.used() == unused);
  stage.place.clear();  // so that one fault is not reported again and again
}

}  // namespace

bool is_locked(const std::string& path, off_t from, off_t bytes) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return false;
  struct flock lock {};
  lock.l_type = F_RDLCK;
  lock.l_whence = SEEK_SET;
  lock.l_start = from;
  lock.l_len = bytes;
  const bool locked = ::fcntl(fd, F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
  ::close(fd);
  return locked;
}

const OptionalCalls& host_calls() {
  static const OptionalCalls calls = {
      {"openat /proc/sys/kernel/random/boot_id", "then a reboot is not told by the boot id"},
      {"read /proc/sys/kernel/random/boot_id", "then a reboot is not told by the boot id"},
      {"fstatat /proc/self/ns/time", "then time namespaces are not compared"},
      {"fstatfs DIR/s", "then it is not told whether all of the file has memory"},
      {"prctl", "a kernel that will not say has not forbidden the TSC"},
      {"prctl (2)", "a kernel that will not say has not forbidden the TSC"},
  };
  return calls;
}

OptionalCalls all_of(std::initializer_list<OptionalCalls> lists) {
  OptionalCalls all;
  for (const auto& list : lists) all.insert(all.end(), list.begin(), list.end());
  return all;
}

std::string first_warning() {
  return report_of_this_process->logged;
}

void try_all(const Operation& operation, const Stage& stage) {
  Tally tally;
  const std::vector<Call> calls = calls_of(operation, stage);
  for (std::size_t n = 0; n < calls.size(); ++n) {
    if (operation.only && !operation.only(calls[n].text)) continue;
    ++tally.calls;
    for (const Failure& failure : failures_of(calls[n].point, calls[n].text)) {
      try_one(operation, stage, n, calls[n], failure, tally);
    }
  }
  // An `only` that names none of the calls would try nothing.
  CHECK_MESSAGE(tally.calls > 0, operation.name);
  CHECK_MESSAGE(tally.failures >= tally.calls, operation.name);
  MESSAGE(operation.name, ": ", tally.calls, " calls, ", tally.failures, " failures tried, ",
          tally.refused, " refused with an error, the others harmless");
}

}  // namespace rl::test
