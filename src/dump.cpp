// Writes what a segment holds as a dump. Only reads the segment.
#include <rl/dump.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <set>

#include "shm/counts.hpp"
#include "src/core.hpp"
#include "src/dump_text.hpp"

namespace rl {
namespace {

/// Writes the lines of one segment, one after the other.
class Dumping {
 public:
  Dumping(const SegmentCore& core, const Dump::Sink& sink)
      : core_(core), view_(core.view()), out_(sink) {}

  DumpReport write() {
    const shm::HeaderConstants& c = view_.mapping.constants();
    const shm::Geometry& g = view_.mapping.geometry();
    out_.write({.keys = g.keys,
                .pairs = g.pair_count,
                .policies = g.policy_capacity,
                .labels = view_.labels.kept(),
                .clock = view_.clock.kind(),
                .secret = c.secret},
               {core_.name(), shm::read_unix_ns(), now()});
    write_policies();
    for (std::uint64_t i = 0; i < view_.table.slot_count(); ++i) write_slot(i);
    report_.lines = out_.finish();
    return report_;
  }

 private:
  [[nodiscard]] std::uint64_t now() const {
    const std::uint64_t now = view_.clock.now();
    if (now != shm::Clock::kNoTime) return now;
    throw Error(Errc::wrong_host,
                fmt::format("{}: this process lives in another time namespace than the segment, so "
                            "what keys owe cannot be told; dump it where it is used",
                            core_.path()));
  }

  /// What can be read of a policy; its keys are written under its id. Bytes gone wrong may list one
  /// twice, or two of one name.
  void write_policies() {
    std::set<std::string> names;
    view_.policies.walk([&](std::uint16_t id) {
      const auto constants = view_.policies.read(id);
      const auto policy = constants ? policy_from(*constants) : std::nullopt;
      if (!policy || policies_.contains(id)) return false;
      std::string name(shm::name_of(*constants));
      if (!names.insert(name).second) return false;
      policies_.emplace(id, *policy);
      out_.write(DumpedPolicy{id, std::move(name), policy->limit});
      ++report_.policies;
      return false;
    });
  }

  void write_slot(std::uint64_t index) {
    const shm::SlotWords words = view_.table.settled(view_.table.slot(index));
    if (!shm::is_member(words.tag)) return;
    const auto at = policies_.find(shm::policy_of(words.tag));
    if (at == policies_.end()) {
      ++report_.unreadable;
      return;
    }
    // The clock after the slot, as for every decision: what is owed as of then.
    const Policy& policy = at->second;
    const std::uint64_t as_of = now();
    if (is_idle(policy.parameters, words.state, as_of)) {
      ++report_.idle;
    } else if (std::holds_alternative<Concurrency>(policy.parameters)) {
      report_.permits += kind_of(words.state) == WordKind::permit ? 1U : 0U;
    } else {
      out_.write(key_at(index, words, debt_of(policy.parameters, words.state, as_of)),
                 policy.limit.algorithm());
      ++report_.keys;
    }
  }

  [[nodiscard]] DumpedKey key_at(std::uint64_t index, shm::SlotWords words,
                                 const Debt& debt) const {
    const std::uint64_t identity = shm::identity_of(words.tag);
    const shm::LabelText label = view_.labels.read(index, identity);
    DumpedKey key;
    key.policy = shm::policy_of(words.tag);
    key.hash.identity = identity;
    key.known = KeyKnown::slot;
    key.slot_index = index;
    if (label.known) {
      key.known = label.truncated ? KeyKnown::hash : KeyKnown::text;
      key.size = label.size;
      std::memcpy(key.text, label.text, label.size);
    }
    if (label.truncated) key.hash = label.hash;
    key.debt = debt;
    const shm::Counts& counts = view_.table.counts(index);
    key.allowed_count = shm::read_count(counts.allowed, identity);
    key.denied_count = shm::read_count(counts.denied, identity);
    return key;
  }

  const SegmentCore& core_;
  const View& view_;
  DumpWriter out_;
  std::map<std::uint16_t, Policy> policies_;
  DumpReport report_;
};

ClockSource source_of(shm::ClockKind clock) noexcept {
  switch (clock) {
    case shm::ClockKind::tsc:
      break;
    case shm::ClockKind::boottime:
      return ClockSource::boottime;
    case shm::ClockKind::manual:
      return ClockSource::manual;
  }
  return ClockSource::automatic;
}

}  // namespace

DumpReport Dump::write(const Segment& segment, const Sink& sink) {
  return Dumping(*segment.core_, sink).write();
}

Dump Dump::read(const Source& source) {
  return Dump(std::make_shared<const DumpContents>(read_dump(source)));
}

SegmentOptions Dump::options() const {
  const DumpedSegment& was = contents_->segment;
  SegmentOptions options;
  options.keys = was.keys;
  options.policies = was.policies;
  options.labels = was.labels;
  options.clock = source_of(was.clock);
  return options;
}

}  // namespace rl
