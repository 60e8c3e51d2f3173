// `rlctl segments`: what is on this host.
#include <pwd.h>

#include <algorithm>

#include "tools/rlctl/common.hpp"
#include "tools/rlctl/host/segment_files.hpp"
#include "tools/rlctl/report.hpp"
#include "tools/rlctl/verbs.hpp"

namespace rl::ctl {
namespace {

std::vector<std::string> folders_of(const Arguments& arguments) {
  if (!arguments.has(Arg::folders)) return usual_folders();
  std::vector<std::string> folders{std::string(kSharedMemory)};
  for (std::string folder : arguments.values(Arg::folders)) {
    while (folder.size() > 1 && folder.back() == '/') folder.pop_back();
    if (std::find(folders.begin(), folders.end(), folder) == folders.end())
      folders.push_back(folder);
  }
  return folders;
}

std::string user_name(uid_t uid) {
  const passwd* const user = ::getpwuid(uid);
  return user != nullptr ? escape(user->pw_name) : fmt::format("{}", uid);
}

std::chrono::nanoseconds age_of(const SegmentFile& file) {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
      std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now() - *file.created));
}

template <class Value>
Json json_or_null(const std::optional<Value>& value) {
  return value ? Json(*value) : Json(nullptr);
}

Json json_of(const SegmentFile& file) {
  Json object{{"name", escape(file.name)},
              {"path", escape(file.path)},
              {"state", to_string(file.state)},
              {"owner", user_name(file.uid)},
              {"uid", file.uid},
              {"gid", file.gid},
              {"mode", fmt::format("{:04o}", file.mode)},
              {"bytes", file.bytes},
              {"keys", json_or_null(file.keys)},
              {"fill_ratio", json_or_null(file.fill)},
              {"fill_is_sampled", file.is_fill_sampled},
              {"attached", json_or_null(file.attached)},
              {"pids", file.pids},
              {"created", file.created ? Json(iso_time(*file.created)) : Json(nullptr)},
              {"age_ns", file.created ? Json(age_of(file).count()) : Json(nullptr)}};
  if (!file.why.empty()) object["why"] = escape(file.why);
  return object;
}

std::string fill_text(const SegmentFile& file) {
  if (!file.fill) return "-";
  return fmt::format("{}{:.1f} %", file.is_fill_sampled ? "about " : "", 100 * *file.fill);
}

std::string painted_state(FileState state) {
  const std::string_view word = to_string(state);
  if (state == FileState::fine) return paint(Paint::good, word);
  const bool is_harmless = state == FileState::orphaned || state == FileState::being_made;
  return paint(is_harmless ? Paint::warn : Paint::bad, word);
}

Cells cells_of(const SegmentFile& file) {
  return {escape(file.name),
          painted_state(file.state),
          file.keys ? fmt::format("{}", *file.keys) : "-",
          fill_text(file),
          file.attached ? fmt::format("{}", *file.attached) : "-",
          file.created ? human_duration(age_of(file)) : "-",
          user_name(file.uid),
          fmt::format("{:04o}", file.mode),
          escape(file.path)};
}

/// Says how many there are, and how many of each kind.
std::string count_of(const std::vector<SegmentFile>& files) {
  if (files.empty()) return "no segment on this host\n";
  std::string line = counted(files.size(), "segment", "segments");
  const char* before = ": ";
  for (int state = 0; state <= static_cast<int>(FileState::unopened); ++state) {
    const auto count = std::count_if(files.begin(), files.end(), [&](const SegmentFile& file) {
      return file.state == static_cast<FileState>(state);
    });
    if (count == 0) continue;
    line += fmt::format("{}{} {}", before, count, to_string(static_cast<FileState>(state)));
    before = ", ";
  }
  return line + '\n';
}

void put_text(const HostSegments& host) {
  put(count_of(host.files));
  Table table({{"name", Table::left},
               {"state", Table::left},
               {"keys", Table::right},
               {"fill", Table::right},
               {"attached", Table::right},
               {"age", Table::right},
               {"owner", Table::left},
               {"mode", Table::left},
               {"path", Table::left}});
  for (const SegmentFile& file : host.files) table.measure(cells_of(file));
  if (!host.files.empty()) put(paint(Paint::strong, table.header()));
  for (const SegmentFile& file : host.files) put(table.line(cells_of(file)));
  for (const SegmentFile& file : host.files)
    if (!file.why.empty())
      put(fmt::format("{}: {}: {}\n", escape(file.name), to_string(file.state), escape(file.why)));
  if (host.mappers.unseen != 0) {
    put(fmt::format(
        "{} may not be looked into by this user; a segment without a name that only such "
        "have is not listed\n",
        counted(host.mappers.unseen, "process", "processes")));
  }
}

}  // namespace

/// A folder that cannot be read is said, and not all is well.
int segments(const Arguments& arguments) {
  const HostSegments host = segments_of_host(folders_of(arguments), arguments.has(Arg::any_owner));
  if (arguments.has(Arg::json)) {
    for (const SegmentFile& file : host.files) put_json(json_of(file));
  } else {
    put_text(host);
  }
  for (const std::string& sentence : host.unread) complain(sentence);
  return host.unread.empty() ? 0 : 1;
}

}  // namespace rl::ctl
