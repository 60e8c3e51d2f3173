// Writes what a segment holds as a dump. Only reads the segment.
#include <rl/dump.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <optional>

#include "shm/counts.hpp"
#include "src/change.hpp"
#include "src/core.hpp"
#include "src/dump_text.hpp"
#include "src/follow.hpp"
#include "src/trial.hpp"

namespace rl {
namespace {

/// Writes the lines of one segment, one after the other.
class Dumping {
 public:
  Dumping(const SegmentCore& core, const Dump::Sink& sink)
      : core_(core), view_(core.view()), out_(sink), follower_(view_, view_.clock) {}

  DumpReport write() {
    const shm::HeaderConstants& c = view_.mapping.constants();
    const shm::Geometry& g = view_.mapping.geometry();
    // relaxed: it stands for itself.
    const std::uint64_t off_unix_ns =
        view_.mapping.header().off_unix_ns.load(std::memory_order_relaxed);
    out_.write({.keys = g.keys,
                .pairs = g.pair_count,
                .policies = g.policy_capacity,
                .labels = view_.labels.kept(),
                .clock = view_.clock.kind(),
                .secret = c.secret,
                .off_unix_ns = off_unix_ns},
               {core_.name(), shm::read_unix_ns(), now()});
    report_.off = off_unix_ns != 0;
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

  /// A policy of the dump: what keys of its name owe is told as of this limit.
  struct Dumped {
    std::uint16_t id;
    Policy policy;
  };

  /// Writes those in force; what is for single keys has lines with them. Bytes gone wrong may list
  /// one twice, or two of one name, or of none: such a dump could not be read.
  void write_policies() {
    view_.policies.walk([&](std::uint16_t root) {
      const auto constants = view_.policies.read(root);
      if (!constants || constants->kind != shm::PolicyKind::limit) return false;
      const std::uint16_t id = view_.policies.in_force(root);
      const auto policy = read_policy(view_.policies, id);
      if (!policy || policy->kind != shm::PolicyKind::limit) return false;
      const std::string name(shm::name_of(*constants));
      if (by_id_.contains(id) || by_name_.contains(name) || !is_name(name)) return false;
      by_id_[id] = &by_name_.emplace(name, Dumped{id, *policy}).first->second;
      const std::optional<Limit> trial = trial_beside(id, *policy);
      out_.write(DumpedPolicy{id, name, policy->limit, trial});
      ++report_.policies;
      report_.trials += trial ? 1U : 0U;
      return false;
    });
  }

  [[nodiscard]] std::optional<Limit> trial_beside(std::uint16_t id, const Policy& live) const {
    const auto trial = read_policy(view_.policies, candidate_of(view_, id));
    const bool is_one = trial && trial->kind == shm::PolicyKind::candidate &&
                        takes_calls(trial->limit.algorithm()) &&
                        takes_calls(live.limit.algorithm());
    return is_one ? std::optional(trial->limit) : std::nullopt;
  }

  static bool is_name(std::string_view name) {
    try {
      shm::PolicyTable::check_name(name);
      return true;
    } catch (const Error&) {
      return false;
    }
  }

  /// Returns the policy of the dump with the name that this one has; none: it is not dumped. A key
  /// that has a limit of its own comes under that of all keys: it owes as many tokens there. What is
  /// remembered of a key comes under its policy, too.
  const Dumped* dumped_as(std::uint16_t id) {
    const auto [at, is_new] = by_id_.try_emplace(id, nullptr);
    const auto constants = is_new ? view_.policies.read(id) : std::nullopt;
    if (!constants) return at->second;
    const bool limits = constants->kind == shm::PolicyKind::limit ||
                        constants->kind == shm::PolicyKind::conduct || is_standing(constants->kind);
    const auto named = by_name_.find(std::string(shm::name_of(*constants)));
    if (limits && named != by_name_.end()) at->second = &named->second;
    return at->second;
  }

  void write_slot(std::uint64_t index) {
    const shm::SlotWords words = view_.table.settled(view_.table.slot(index));
    if (!shm::is_member(words.tag)) return;
    // The clock after the slot, and the links after the clock, as for every decision.
    const std::uint16_t id = shm::policy_of(words.tag);
    Followed at = follower_.follow(id, words.state, now(), id);
    if (at.policy == nullptr) {
      ++report_.unreadable;
      return;
    }
    const shm::PolicyKind kind = at.policy->kind;
    if (kind == shm::PolicyKind::candidate) return;
    if (kind == shm::PolicyKind::conduct) return write_conduct(index, words, at);
    if (is_standing(kind)) at = write_standing(index, words, at);
    if (at.policy == nullptr) return;
    if (is_idle(at.policy->parameters, at.state, at.now_ns)) {
      ++report_.idle;
      return;
    }
    const Dumped* const as = dumped_as(at.id);
    if (as == nullptr) {
      ++report_.unreadable;
    } else if (std::holds_alternative<Concurrency>(at.policy->parameters)) {
      report_.permits += kind_of(at.state) == WordKind::permit ? 1U : 0U;
    } else if (std::holds_alternative<Concurrency>(as->policy.parameters)) {
      ++report_.unreadable;  // bytes gone wrong: permits have no calls
    } else {
      // One that was changed since its line was written, or is for single keys: as many tokens.
      const std::uint64_t state =
          converted(at.policy->parameters, at.state, as->policy.parameters, Spent::keep, at.now_ns);
      DumpedKey key = key_at(index, shm::identity_of(words.tag));
      key.policy = as->id;
      key.owed = owed_in(as->policy.parameters, state, at.now_ns);
      out_.write(key, as->policy.limit.algorithm());
      ++report_.keys;
    }
  }

  void write_conduct(std::uint64_t index, shm::SlotWords words, const Followed& at) {
    const auto* const conduct = std::get_if<Conduct>(&at.policy->parameters);
    const Dumped* const as = dumped_as(at.id);
    const bool can_be_read = conduct != nullptr && conduct->denials != 0 && as != nullptr &&
                             takes_calls(as->policy.limit.algorithm());
    if (!can_be_read) {
      // Of a limit that was removed nothing is remembered. All else is bytes gone wrong.
      report_.unreadable += conduct == nullptr || conduct->denials == 0 ? 1U : 0U;
      return;
    }
    const std::uint64_t state = cut(*conduct, at.state, at.now_ns);
    if (is_idle(*conduct, state, at.now_ns)) return;
    DumpedConduct line{key_at(index, shm::identity_of(words.tag)), conduct_limit(at.policy->limit),
                       remembered_in(*conduct, ConductWord::of(state), at.now_ns)};
    line.where.policy = as->id;
    out_.write(line);
    ++report_.conducts;
  }

  /// Writes how a key stands apart, and returns where it stands besides, with a debt that is not in
  /// what was written; nothing more where all was.
  Followed write_standing(std::uint64_t index, shm::SlotWords words, const Followed& at) {
    const shm::PolicyKind kind = at.policy->kind;
    const BanWord word = BanWord::of(at.state);
    const Dumped* const as = dumped_as(at.id);
    if (as == nullptr || !takes_calls(as->policy.limit.algorithm())) {
      ++report_.unreadable;
      return {};
    }
    DumpedStanding standing{
        key_at(index, shm::identity_of(words.tag)), Standing::override_, {}, {}, 0, 0};
    standing.where.policy = as->id;
    Followed under = kind == shm::PolicyKind::override_ ? at : follower_.lifted(at);
    if (under.policy != nullptr && under.policy->kind == shm::PolicyKind::override_) {
      standing.limit = under.policy->limit;
      write(standing);
      standing.limit.reset();
    }
    if (kind == shm::PolicyKind::override_) return under;
    standing.standing = kind == shm::PolicyKind::ban ? Standing::ban : Standing::allow;
    if (kind == shm::PolicyKind::ban) {
      const std::uint64_t until = word.until_ns();
      // No longer than a ban can be made, whatever bytes gone wrong say.
      const std::uint64_t left_ns = until > at.now_ns ? until - at.now_ns : 0;
      if (!word.is_for_ever()) standing.left_ns = std::min(left_ns, TokenBucket::kToleranceMax);
      standing.owed = word.owed.tokens();
      standing.level = word.level;
      under = {};
    }
    write(standing);
    return under;
  }

  void write(const DumpedStanding& standing) {
    out_.write(standing);
    ++report_.standings;
  }

  [[nodiscard]] DumpedKey key_at(std::uint64_t index, std::uint64_t identity) const {
    const shm::LabelText label = view_.labels.read(index, identity);
    DumpedKey key;
    key.hash.identity = identity;
    key.known = KeyKnown::slot;
    key.slot_index = index;
    if (label.known) {
      key.known = label.truncated ? KeyKnown::hash : KeyKnown::text;
      key.size = label.size;
      std::memcpy(key.text, label.text, label.size);
    }
    if (label.truncated) key.hash = label.hash;
    const shm::Counts& counts = view_.table.counts(index);
    key.allowed_count = shm::read_count(counts.allowed, identity);
    key.denied_count = shm::read_count(counts.denied, identity);
    return key;
  }

  const SegmentCore& core_;
  const View& view_;
  DumpWriter out_;
  Follower<View, shm::Clock> follower_;
  std::map<std::string, Dumped> by_name_;
  std::map<std::uint16_t, const Dumped*> by_id_;
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
