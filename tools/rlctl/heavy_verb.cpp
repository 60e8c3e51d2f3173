// `rlctl list --heavy`: the keys that were denied most.
#include "tools/rlctl/common.hpp"
#include "tools/rlctl/report.hpp"
#include "tools/rlctl/verbs.hpp"

namespace rl::ctl {
namespace {

struct HeavyRow {
  DeniedKey key;
};

Json json_of(const HeavyRow& row) {
  const DeniedKey& key = row.key;
  Json object{{"policy", escape(key.policy)},
              {"key", key.key ? Json(escape(*key.key)) : Json(nullptr)}};
  if (key.key_truncated) object["key_truncated"] = true;
  object["denied_count"] = key.denied;
  object["allowed_count"] = key.allowed;
  return object;
}

Cells cells_of(const HeavyRow& row) {
  const DeniedKey& key = row.key;
  return {escape(key.policy), shown_key(key.key, key.key_truncated), fmt::format("{}", key.denied),
          fmt::format("{}", key.allowed)};
}

Table table_for(const HeavyRow*) {
  return Table({{"policy", Table::left},
                {"key", Table::left},
                {"denied", Table::right},
                {"allowed", Table::right}});
}

void check_that_it_stands_alone(const Arguments& arguments) {
  for (const Arg other :
       {Arg::only_policy, Arg::match, Arg::where, Arg::sort, Arg::columns, Arg::rows}) {
    if (!arguments.has(other)) continue;
    throw Error(
        Errc::bad_option,
        fmt::format("--heavy and {}: --heavy looks at all keys and has an order of its own; "
                    "leave one out, or see --sort denied",
                    spelling(other)));
  }
}

}  // namespace

int list_heavy(const Arguments& arguments) {
  check_that_it_stands_alone(arguments);
  const std::uint64_t most = arguments.count(Arg::heavy, 0);
  if (most == 0) throw Error(Errc::bad_option, "--heavy 0: lists nothing; give at least 1");
  const Segment segment = open_to_read(arguments);
  const std::vector<DeniedKey> rows = segment.most_denied(most);
  put_rows<HeavyRow>(
      [&](const auto& visit) {
        for (const DeniedKey& key : rows) visit({key});
      },
      arguments.has(Arg::json), segment.vitals());
  return 0;
}

}  // namespace rl::ctl
