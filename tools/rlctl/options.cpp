#include "tools/rlctl/options.hpp"

#include <algorithm>
#include <array>

namespace rl::ctl {
namespace {

constexpr std::array<Option, kArgCount> kOptions{{
    {Arg::about, "VERB", "", "a verb such as list or policy set, or the first word of several",
     Completes::verbs, "", true},
    {Arg::typed, "WORD", "",
     "after --: the words so far, with rlctl the first; the last is being typed, and may be empty",
     Completes::nothing, "", true, true},
    {Arg::line, "--line", "TEXT",
     "in the place of words: the line so far, with quotes; so are the answers then"},
    {Arg::breaks, "--breaks", "CHARACTERS",
     "where bash begins anew to complete (COMP_WORDBREAKS): answers begin behind the last of them"},
    {Arg::keeps, "--keeps", "CHARACTERS",
     "those of them that stay with what follows, as @ does while bash completes names of hosts"},
    {Arg::segment, "SEGMENT", "",
     "a name such as web (POSIX shared memory), or an absolute path on a tmpfs",
     Completes::segments},
    {Arg::segments, "SEGMENT", "", "names such as web, or absolute paths", Completes::segments, "",
     true},
    {Arg::one_segment, "SEGMENT", "", "a name such as web, or an absolute path; all without it",
     Completes::segments},
    {Arg::folders, "DIR", "", "a folder beside /dev/shm (/run/librl, if there is one)",
     Completes::files, "", true},
    {Arg::policy, "NAME", "", "the policy's name", Completes::policies},
    {Arg::limit, "LIMIT", "",
     "such as 100/s, 1000/h burst=50, leaky 10/s queue=50, window 1000/h, sliding 100/m, "
     "concurrency 20 lease=30s or counter; options for any rate: when_full=, floor=, shadow, "
     "ban_after= with "
     "ban=",
     Completes::nothing, "", true},
    {Arg::on_off, "on|off", "", "on or off", Completes::words, "on off"},
    {Arg::file, "FILE", "",
     "a file of limits in TOML, as `rlctl export` writes it; - for standard input",
     Completes::files},
    {Arg::key, "KEY", "", "who is limited; put -- before a key that begins with a dash",
     Completes::keys},
    {Arg::run_key, "KEY", "", "who is limited; from --key-file where it begins with a dash",
     Completes::keys},
    {Arg::key_file, "--key-file", "FILE",
     "read the key's bytes from a file, - for standard input, whole", Completes::files},
    {Arg::cost, "--cost", "N", "how much the call costs (1)"},
    {Arg::wait, "--wait", "DURATION",
     "wait for the call's turn, or for a permit, but not longer than this, such as 30s"},
    {Arg::on_failure, "--on-failure", "allow|deny",
     "whether the command runs where there is no segment, or it cannot be used (deny)",
     Completes::words, "allow deny"},
    {Arg::command, "COMMAND", "", "after --: the command, and all that it is given",
     Completes::files, "", true, true},
    {Arg::keys, "--keys", "N",
     "room for this many keys that owe something at the same time (65536)"},
    {Arg::mode, "--mode", "MODE", "octal permissions of the file (0600)"},
    {Arg::labels, "--labels", "on|off",
     "keep the beginning of keys as text, so that they can be shown (on)", Completes::words,
     "on off"},
    {Arg::owner, "--owner", "USER", "give the file to this user"},
    {Arg::group, "--group", "GROUP", "give the file to this group"},
    {Arg::policies, "--policies", "N", "room for policies over the segment's life (1024)"},
    {Arg::clock, "--clock", "NAME", "auto, tsc, boottime, or manual for tests (auto)",
     Completes::words, "auto tsc boottime manual"},
    {Arg::huge_pages, "--huge-pages", "auto|never",
     "pages of 2 MiB where the kernel has them, which make large tables faster (auto)",
     Completes::words, "auto never"},
    {Arg::spent, "--spent", "keep|scale|reset",
     "what becomes of what keys have used: as many calls, the same share of what passes at once, "
     "or nothing (keep)",
     Completes::words, "keep scale reset"},
    {Arg::history, "--history", "", "all that the limits ever were, by whom and since when"},
    {Arg::only_policy, "--policy", "NAME", "only this policy, or its keys", Completes::policies},
    {Arg::match, "--match", "GLOB", "only keys that match, as they are shown, such as 'user:*'"},
    {Arg::where, "--where", "CONDITION",
     "only keys of which this holds, such as 'denied>100 and policy=api'; of policy, key, known, "
     "truncated, allowed, denied, used, remaining, limit, full_in, state, part, holder, own_limit, "
     "with = != < <= > >= ~ (a glob), and, or, not, ( )"},
    {Arg::sort, "--sort", "BY",
     "key, allowed, denied (most first), remaining (fewest first), or another field that --where "
     "knows; -denied: the other way round",
     Completes::words,
     "policy key known truncated allowed denied used remaining limit full_in state part holder "
     "own_limit"},
    {Arg::columns, "--columns", "NAMES",
     "only these, in this order, such as policy,key,denied: of policy, key, allowed, denied, used, "
     "remaining, limit, full_in, state, idle, part, holder, standing, own_limit, policy_limit; of "
     "--json these members"},
    {Arg::rows, "--rows", "N", "at most so many rows; of events, the last"},
    {Arg::heavy, "--heavy", "N",
     "the N keys that were denied most since they are in the table, and nothing else"},
    {Arg::live_sort, "--sort", "BY",
     "denied or allowed (most in a second first), remaining (fewest first) or key (denied)",
     Completes::words, "denied allowed remaining key"},
    {Arg::interval, "--interval", "DURATION", "how long from look to look, such as 500ms (1s)"},
    {Arg::looks, "--looks", "N", "print so many looks and end, also on a terminal (1 elsewhere)"},
    {Arg::all, "--all", "", "all keys of all policies"},
    {Arg::force, "--force", "", "even while processes are attached"},
    {Arg::yes, "--yes", "", "do it, and not only show what would be done"},
    {Arg::advance, "--advance", "DURATION", "move a manual clock forward, such as 90s"},
    {Arg::output, "--output", "FILE", "write to this file, whole or not at all", Completes::files},
    {Arg::input, "--input", "FILE", "read this file instead of standard input", Completes::files},
    {Arg::create_new, "--create", "", "make the segment, by default as the one that was dumped"},
    {Arg::partial, "--partial", "",
     "leave keys out whose text is not known whole and that cannot be placed"},
    {Arg::any_owner, "--any-owner", "",
     "trust a segment whose owner is neither this user nor root"},
    {Arg::for_, "--for", "DURATION", "how long the ban lasts, such as 10m; or: ever"},
    {Arg::reason, "--reason", "TEXT", "why, for whoever looks later"},
    {Arg::dry_run, "--dry-run", "", "say what would change, and change nothing"},
    {Arg::prune, "--prune", "", "take away what the file does not name"},
    {Arg::count, "--count", "", "count the slots that are taken, too: reads the whole table"},
    {Arg::seconds, "--seconds", "N", "how long to take, about (10)"},
    {Arg::seed, "--seed", "N",
     "repeat the random choices of a run that printed this (a fresh one)"},
    {Arg::processes, "--processes", "N", "how many ask together (one for each CPU)"},
    {Arg::many_keys, "--keys", "N", "how many keys are many (100000)"},
    {Arg::follow, "--follow", "", "go on with what happens, until a signal ends it"},
    {Arg::only_key, "--key", "KEY", "only this key", Completes::keys},
    {Arg::kind, "--kind", "KIND", "only these, such as denied, banned or changed", Completes::words,
     "denied banned evicted full changed permit_reclaimed left_tsc copied"},
    {Arg::since, "--since", "DURATION", "only what happened within that time, such as 5m"},
    {Arg::sample, "--sample", "N",
     "have one in N denials of a thread bring an event from now on; 1: each"},
    {Arg::log, "LOG", "", "an access log, plain or compressed by gzip; - for standard input",
     Completes::files},
    {Arg::key_by, "--key", "ip|FIELD",
     "whom calls are counted by: ip, ip/24 or ip/48 for networks of IPv4 or IPv6, or a field of "
     "the "
     "log such as user or path (ip, IPv6 by /64)"},
    {Arg::log_format, "--format", "FORMAT",
     "combined (or common), json (an object a line) or ltsv (what the first lines are)",
     Completes::words, "combined common json ltsv"},
    {Arg::time_field, "--time", "FIELD",
     "where the time stands in lines with named fields: ISO 8601, since the epoch, or as in a "
     "combined log (msec, @timestamp, ts, time and their like)"},
    {Arg::in_force, "--policy", "SEGMENT/NAME", "the limit in force there, in the place of LIMIT"},
    {Arg::suggest, "--suggest", "SHARE",
     "look for the smallest limit of that shape that denies at most that share, such as 0.1%"},
    {Arg::plot, "--plot", "FILE", "draw it, as SVG, into this file, whole or not at all",
     Completes::files},
    {Arg::json, "--json", "", "print JSON, one object a line"},
}};

consteval bool is_in_order() {
  for (std::size_t i = 0; i < kArgCount; ++i)
    if (kOptions[i].arg != static_cast<Arg>(i)) return false;
  return true;
}
static_assert(is_in_order(), "a row for each Arg, in the order of Arg");

}  // namespace

std::span<const Option> options() noexcept {
  return kOptions;
}

const Option& option(Arg arg) noexcept {
  return kOptions[static_cast<std::size_t>(arg)];
}

std::vector<std::string_view> words_of(const Option& option) {
  std::vector<std::string_view> words;
  for (std::string_view rest = option.words; !rest.empty();) {  // ends: each round takes a word
    words.push_back(rest.substr(0, rest.find(' ')));
    rest.remove_prefix(std::min(words.back().size() + 1, rest.size()));
  }
  return words;
}

}  // namespace rl::ctl
