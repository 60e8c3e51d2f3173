// `rlctl list`: the keys of a segment.
#include <limits>

#include "tools/rlctl/common.hpp"
#include "tools/rlctl/key_columns.hpp"
#include "tools/rlctl/key_filter.hpp"
#include "tools/rlctl/key_order.hpp"
#include "tools/rlctl/verbs.hpp"

namespace rl::ctl {
namespace {

/// What is to be printed of the keys that are shown.
struct Listing {
  KeyColumns columns;
  bool json;
  std::uint64_t most;
};

Listing listing_of(const Arguments& arguments) {
  const bool json = arguments.has(Arg::json);
  return {arguments.has(Arg::columns) ? KeyColumns::parse(arguments.text(Arg::columns))
                                      : KeyColumns::usual(json),
          json, arguments.count(Arg::rows, std::numeric_limits<std::uint64_t>::max())};
}

void put_sorted(const Segment& segment, KeyOrder order, KeyFilter& filter, LimitTexts& limits,
                const Listing& listing) {
  SortedKeys keys(order, listing.most);
  segment.for_each_key([&](const KeyInfo& row) {
    if (filter.takes(row)) keys.add(row);
  });
  put_keys(
      [&](const auto& visit) {
        keys.for_each([&](const KeyInfo& row) { visit({row, limits[row]}); });
      },
      listing.columns, listing.json, segment.vitals());
}

void put_as_they_lie(const Segment& segment, KeyFilter& filter, LimitTexts& limits,
                     const Listing& listing) {
  put_keys(
      [&](const auto& visit) {
        std::uint64_t left = listing.most;
        segment.for_each_key([&](const KeyInfo& row) {
          if (left == 0 || !filter.takes(row)) return;
          --left;
          visit({row, limits[row]});
        });
      },
      listing.columns, listing.json, segment.vitals());
}

}  // namespace

int list(const Arguments& arguments) {
  if (arguments.has(Arg::heavy)) return list_heavy(arguments);
  const Listing listing = listing_of(arguments);
  std::optional<KeyOrder> order;
  if (arguments.has(Arg::sort)) order = KeyOrder::parse(arguments.text(Arg::sort));
  std::optional<Where> where;
  if (arguments.has(Arg::where)) where.emplace(arguments.text(Arg::where));
  Segment segment = open_to_read(arguments);
  LimitTexts limits(segment);
  KeyFilter filter(arguments, std::move(where), segment, limits);
  if (order) {
    put_sorted(segment, *order, filter, limits, listing);
  } else {
    put_as_they_lie(segment, filter, limits, listing);
  }
  return 0;
}

}  // namespace rl::ctl
