#include <algorithm>
#include <optional>
#include <set>

#include "tools/rlctl/common.hpp"
#include "tools/rlctl/event_text.hpp"
#include "tools/rlctl/lists.hpp"
#include "tools/rlctl/live_output.hpp"
#include "tools/rlctl/verbs.hpp"

namespace rl::ctl {
namespace {

using namespace std::chrono_literals;

constexpr auto kLookEvery = 100ms;

std::optional<EventKind> kind_of(const Arguments& arguments) {
  using enum EventKind;
  using Choice = std::pair<std::string_view, std::optional<EventKind>>;
  const auto named = [](EventKind kind) { return Choice(to_string(kind), kind); };
  return choice<std::optional<EventKind>>(
      arguments, Arg::kind, std::nullopt,
      {named(denied), named(banned), named(evicted), named(full), named(changed),
       Choice("permit_reclaimed", permit_reclaimed), Choice("left_tsc", left_tsc), named(copied)});
}

/// Which events are asked for.
class Wanted {
 public:
  Wanted(const Arguments& arguments, const Segment& segment)
      : arguments_(arguments), kind_(kind_of(arguments)) {
    if (arguments.has(Arg::since)) {
      from_ = std::chrono::system_clock::now() -
              parse_duration(spelling(Arg::since), arguments.text(Arg::since));
    }
    if (!arguments.has(Arg::only_policy)) return;
    const std::string& name = arguments.text(Arg::only_policy);
    (void)segment.history(name);  // throws for one that there never was
    policies_ = names_in_list(name);
  }
  [[nodiscard]] bool takes(const Event& event) const {
    if (kind_ && event.kind != *kind_) return false;
    if (from_ && event.when < *from_) return false;
    if (!policies_.empty() && !policies_.contains(event.policy)) return false;
    return !arguments_.has(Arg::only_key) || is_of(event, arguments_.text(Arg::only_key));
  }

 private:
  const Arguments& arguments_;
  std::optional<EventKind> kind_;
  std::optional<std::chrono::system_clock::time_point> from_;
  std::set<std::string> policies_;  ///< empty: all
};

/// Reads on from where it was, and tells it in lines; columns become wider as they have to.
class Teller {
 public:
  explicit Teller(const Arguments& arguments)
      : segment_(open_to_read(arguments)),
        wanted_(arguments, segment_),
        is_json_(arguments.has(Arg::json)),
        first_rows_(arguments.count(Arg::rows, kEventsMost, kEventsMost)),
        events_(segment_) {}

  /// Returns the lines; the first have a header, and of these no more than the rows asked for.
  std::string next() {
    std::vector<Event> read;
    const EventsRead result = events_.poll([&](const Event& event) {
      if (wanted_.takes(event)) read.push_back(event);
    });
    const std::uint64_t most = std::exchange(first_rows_, kEventsMost);
    if (read.size() > most) read.erase(read.begin(), read.end() - static_cast<long>(most));
    return is_json_ ? in_json(read, result.lost) : in_text(read, result.lost);
  }

 private:
  static constexpr std::uint64_t kEventsMost = std::numeric_limits<std::int64_t>::max();

  /// Nobody reads the journal for denials.
  [[nodiscard]] std::vector<JournalInfo> journal_for(const std::vector<Event>& read) const {
    const bool has_change = std::any_of(read.begin(), read.end(), [](const Event& event) {
      return event.kind == EventKind::changed || event.kind == EventKind::banned;
    });
    return has_change ? segment_.journal() : std::vector<JournalInfo>();
  }
  [[nodiscard]] std::string in_json(const std::vector<Event>& read, std::uint64_t lost) const {
    const std::vector<JournalInfo> journal = journal_for(read);
    std::string lines;
    if (lost != 0) lines += json_of_lost(lost).dump() + '\n';
    for (const Event& event : read)
      lines += json_of(event, change_told_by(event, journal)).dump() + '\n';
    return lines;
  }
  std::string in_text(const std::vector<Event>& read, std::uint64_t lost) {
    if (lost != 0) complain(text_of_lost(lost));
    const std::vector<JournalInfo> journal = journal_for(read);
    std::vector<Cells> rows;
    for (const Event& event : read) rows.push_back(cells_of(event, change_told_by(event, journal)));
    for (const Cells& cells : rows) table_.measure(cells);
    std::string lines = std::exchange(is_first_, false) ? table_.header() : "";
    for (const Cells& cells : rows) lines += table_.line(cells);
    return lines;
  }

  Segment segment_;
  Wanted wanted_;
  bool is_json_;
  std::uint64_t first_rows_;
  Events events_;
  Table table_ = table_for(static_cast<const Event*>(nullptr));
  bool is_first_ = true;
};

/// Has one in so many denials told from now on.
int set_sample(const Arguments& arguments) {
  for (const Arg other : {Arg::follow, Arg::since, Arg::rows}) {
    if (!arguments.has(other)) continue;
    throw Error(Errc::bad_option,
                fmt::format("--sample: sets how many denials bring an event, and ends; say {} in a "
                            "call of its own",
                            spelling(other)));
  }
  Segment segment = open_to_write(arguments);
  segment.set_denials_per_event(
      static_cast<std::uint32_t>(arguments.count(Arg::sample, 0, std::uint32_t{1} << 31)));
  const std::uint32_t denials = segment.denials_per_event();
  if (arguments.has(Arg::json)) {
    put_json({{"denials_per_event", denials}});
  } else if (denials == 1) {
    put("each denial brings an event\n");
  } else {
    put(fmt::format("one in {} denials of a thread brings an event, and the first of each key\n",
                    denials));
  }
  return 0;
}

}  // namespace

int events(const Arguments& arguments) {
  if (arguments.has(Arg::sample)) return set_sample(arguments);
  Teller teller(arguments);
  if (!arguments.has(Arg::follow)) {
    put(teller.next());
    return 0;
  }
  LiveOutput out;
  while (out.write(teller.next()) && out.wait(kLookEvery)) {  // ends: a signal, or nobody reads
  }
  return 0;
}

}  // namespace rl::ctl
