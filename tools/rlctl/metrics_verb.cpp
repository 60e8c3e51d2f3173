#include "tools/metrics/families.hpp"

#include "tools/rlctl/common.hpp"
#include "tools/rlctl/new_file.hpp"
#include "tools/rlctl/report.hpp"
#include "tools/rlctl/verbs.hpp"

namespace rl::ctl {
namespace {

metrics::Known known_of(const Arguments& arguments, const std::string& name) {
  const Segment segment =
      Segment::open_read_only(name, {.any_owner = arguments.has(Arg::any_owner)});
  metrics::Known known = metrics::known_of(segment);
  if (arguments.has(Arg::count)) known.slots = metrics::count_slots(segment);
  return known;
}

std::string json_lines(std::span<const metrics::Family> families) {
  std::string lines;
  for (const metrics::Family& family : families) {
    for (const metrics::Sample& sample : family.samples) {
      Json object{{"name", std::string(family.name) + std::string(sample.suffix)},
                  {"type", metrics::to_string(family.type)}};
      for (const auto& [name, value] : sample.labels)
        object["labels"][std::string(name)] = escape(value);
      std::visit([&](auto value) { object["value"] = value; }, sample.value);
      lines += object.dump() + '\n';
    }
  }
  return lines;
}

void put_out(const Arguments& arguments, const std::string& text) {
  if (!arguments.has(Arg::output)) return put(text);
  NewFile file(arguments.text(Arg::output), 0644);  // for a collector that is another user
  file.write(text);
  file.keep();
}

}  // namespace

/// That a segment cannot be read is a number, too (rl_segment_up): it is written and said, and not
/// all is well.
int metrics(const Arguments& arguments) {
  std::vector<metrics::Facts> all;
  int code = 0;
  for (const std::string& name : arguments.values(Arg::segments)) {
    metrics::Facts& facts = all.emplace_back(metrics::Facts{name, {}});
    try {
      facts.known = known_of(arguments, name);
    } catch (const Error& e) {
      if (e.code() == Errc::bad_name) throw;
      complain(e.what());
      code = 1;
    }
  }
  const std::vector<metrics::Family> families = metrics::families_of(all);
  put_out(arguments, arguments.has(Arg::json) ? json_lines(families) : metrics::to_text(families));
  return code;
}

}  // namespace rl::ctl
