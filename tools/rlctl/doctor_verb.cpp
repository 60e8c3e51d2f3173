// `rlctl doctor`: what is wrong, why, and what mends it.
#include <algorithm>
#include <filesystem>

#include "shm/mapping.hpp"
#include "tools/rlctl/common.hpp"
#include "tools/rlctl/doctor/checks.hpp"
#include "tools/rlctl/doctor/host_facts.hpp"
#include "tools/rlctl/report.hpp"
#include "tools/rlctl/verbs.hpp"

namespace rl::ctl {
namespace {

Json json_of(const std::string& segment, const Found& found) {
  const Finding& finding = found.finding;
  Json object{
      {"segment", escape(segment)}, {"check", found.check},   {"severity", to_string(finding.harm)},
      {"symptom", finding.symptom}, {"cause", finding.cause}, {"fix", finding.fix}};
  for (const auto& [name, number] : finding.numbers)
    std::visit([&, &key = name](const auto& value) { object[key] = value; }, number);
  return object;
}

Paint paint_of(Harm harm) {
  switch (harm) {
    case Harm::bad:
      return Paint::bad;
    case Harm::warning:
      return Paint::warn;
    case Harm::note:
      break;
  }
  return Paint::faint;
}

std::string summary(const std::string& name, const Diagnosis& diagnosis) {
  const auto count = [&](Harm harm) {
    return std::count_if(diagnosis.found.begin(), diagnosis.found.end(),
                         [&](const Found& found) { return found.finding.harm == harm; });
  };
  std::string text;
  for (const Harm harm : {Harm::bad, Harm::warning, Harm::note}) {
    const auto found = count(harm);
    if (found == 0) continue;
    const bool has_plural = found > 1 && harm != Harm::bad;
    text += fmt::format("{}{} {}{}", text.empty() ? "" : ", ", found, to_string(harm),
                        has_plural ? "s" : "");
  }
  return fmt::format("{}: {}\n", escape(name), text.empty() ? "nothing found" : text);
}

void put_text(const std::string& name, const SegmentFacts& facts, const Diagnosis& diagnosis) {
  if (facts.open) put(headline(facts.open->info));
  put(paint(Paint::strong, summary(name, diagnosis)));
  for (const auto& [check, finding] : diagnosis.found) {
    put(fmt::format("{}  {}: {}\n",
                    paint(paint_of(finding.harm), fmt::format("{:<7}", to_string(finding.harm))),
                    check, finding.symptom));
    put(fmt::format("         why: {}\n         fix: {}\n", finding.cause,
                    paint(Paint::strong, finding.fix)));
  }
  if (!diagnosis.fine.empty())
    put(fmt::format("{}     {}\n", paint(Paint::good, "fine"), fmt::join(diagnosis.fine, ", ")));
}

/// Returns all names, those too that only processes still have.
std::vector<std::string> names_in(const HostSegments& host) {
  std::vector<std::string> names;
  for (const SegmentFile& file : host.files) {
    const bool is_nameless = file.path.find("/#") != file.path.npos;  // it never had one
    if (!is_nameless && (names.empty() || names.back() != file.name)) names.push_back(file.name);
  }
  return names;
}

/// Returns the folders in which the named segment, or any, may lie.
std::vector<std::string> folders_for(const Arguments& arguments) {
  if (!arguments.has(Arg::one_segment)) return usual_folders();
  const std::string path = shm::path_of(arguments.text(Arg::one_segment));
  return {path.substr(0, std::max<std::size_t>(path.rfind('/'), 1))};
}

/// Whether there is anything to look at under a name.
bool is_anywhere(const SegmentFacts& facts) {
  return facts.is_there || !facts.holders.empty();
}

}  // namespace

int doctor(const Arguments& arguments) {
  const HostFacts host = facts_of_host();
  const HostSegments segments = files_of_host(folders_for(arguments));
  std::vector<std::string> names = names_in(segments);
  if (arguments.has(Arg::one_segment)) names = {arguments.text(Arg::one_segment)};
  if (names.empty() && !arguments.has(Arg::json)) put("no segment on this host\n");
  bool harms = false;
  const char* between = "";
  for (const std::string& name : names) {
    const SegmentFacts facts = facts_of_segment(name, segments, arguments.has(Arg::any_owner));
    if (!is_anywhere(facts)) {
      if (arguments.has(Arg::one_segment)) throw Error(facts.unopened_code, facts.unopened);
      continue;  // it went while we looked
    }
    const Diagnosis diagnosis = diagnose(host, facts);
    harms |= std::any_of(diagnosis.found.begin(), diagnosis.found.end(),
                         [](const Found& found) { return found.finding.harm != Harm::note; });
    if (arguments.has(Arg::json)) {
      for (const Found& found : diagnosis.found) put_json(json_of(name, found));
    } else {
      put(std::exchange(between, "\n"));
      put_text(name, facts, diagnosis);
    }
  }
  return harms ? 1 : 0;
}

}  // namespace rl::ctl
