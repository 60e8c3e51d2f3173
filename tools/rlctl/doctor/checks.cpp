#include "tools/rlctl/doctor/checks.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "tools/rlctl/text.hpp"

namespace rl::ctl {
namespace {

constexpr std::array<Check, 21> kChecks{{
    {"opens", false, check_that_it_opens},
    {"name", false, check_name},
    {"switch", true, check_switch},
    {"slots", true, check_slots},
    {"policies", true, check_policies},
    {"policy_ids", true, check_policy_ids},
    {"permissions", false, check_permissions},
    {"remove_ipc", false, check_remove_ipc},
    {"room", false, check_room},
    {"memory", false, check_memory},
    {"time_namespace", false, check_time_namespace},
    {"tsc", true, check_tsc},
    {"drift", true, check_drift},
    {"fill", true, check_fill},
    {"full_lists", true, check_full_lists},
    {"lookups", true, check_lookups},
    {"hot_key", true, check_hot_key},
    {"ipv6", true, check_ipv6},
    {"reaper", true, check_reaper},
    {"seats", true, check_seats},
    {"huge_pages", false, check_huge_pages},
}};

}  // namespace

std::span<const Check> checks() {
  return kChecks;
}

Diagnosis diagnose(const HostFacts& host, const SegmentFacts& segment) {
  Diagnosis diagnosis;
  for (const Check& check : checks()) {
    if (check.needs_open && !segment.open) continue;
    Findings findings = check.run(host, segment);
    if (findings.empty()) diagnosis.fine.push_back(check.name);
    for (Finding& finding : findings) diagnosis.found.push_back({check.name, std::move(finding)});
  }
  std::stable_sort(diagnosis.found.begin(), diagnosis.found.end(),
                   [](const Found& a, const Found& b) { return a.finding.harm > b.finding.harm; });
  return diagnosis;
}

std::string shell_word(std::string_view word) {
  const auto is_plain = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           std::string_view("-_./:@%+,=").find(c) != std::string_view::npos;
  };
  if (!word.empty() && std::all_of(word.begin(), word.end(), is_plain)) return std::string(word);
  const std::string shown = escape(word);
  const bool is_escaped = shown != word;  // $'...' reads what escape() writes
  std::string text = is_escaped ? "$'" : "'";
  for (const char c : shown) {
    if (c == '\'') {
      text += is_escaped ? "\\'" : "'\\''";
    } else {
      text += c;
    }
  }
  return text + "'";
}

std::string rights_of(const SegmentFacts& segment) {
  std::string options;
  if (segment.mode != 0600) options += fmt::format(" --mode {:04o}", segment.mode & 0666U);
  if (segment.uid != 0) options += fmt::format(" --owner {}", segment.uid);
  if (segment.gid != 0) options += fmt::format(" --group {}", segment.gid);
  return options;
}

std::string made_anew(const SegmentFacts& segment, std::string_view options) {
  const std::string name = shell_word(segment.name);
  const std::string base = segment.name.substr(segment.name.rfind('/') + 1);
  const std::string dump = shell_word(base + ".dump");
  const std::string beside = shell_word(segment.name + ".new");
  std::string command =
      fmt::format("rlctl dump {} --output {} && rlctl load {} --create", name, dump, beside);
  if (!options.empty()) command += fmt::format(" {}", options);
  command += rights_of(segment);
  return command + fmt::format(" --input {} && mv -T {} {}", dump,
                               shell_word(segment.path + ".new"), shell_word(segment.path));
}

}  // namespace rl::ctl
