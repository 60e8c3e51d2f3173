#include "tools/rlctl/top/table_walk.hpp"

#include <algorithm>

#include "shm/counts.hpp"
#include "src/follow.hpp"
#include "src/most_denied.hpp"
#include "tools/rlctl/text.hpp"

namespace rl::ctl::live {
namespace {

/// What a key has left, and under what.
struct Left {
  double share = 1;
  bool is_live = true;  ///< as far as one can tell
  std::uint16_t policy = 0;
};

double share_of(const Policy& policy, std::uint64_t remaining) {
  if (policy.kind == shm::PolicyKind::ban) return 0;
  const std::uint64_t most = most_at_once(policy.parameters);
  if (policy.kind == shm::PolicyKind::allow || most == 0) return 1;
  return static_cast<double>(remaining) / static_cast<double>(most);
}

Left left_of(const View& view, shm::SlotWords words, std::uint64_t now_ns) {
  Follower follower(view, view.clock);
  const Followed at = follower.follow(shm::policy_of(words.tag), words.state, now_ns, 0);
  if (at.policy == nullptr) return {1, true, shm::policy_of(words.tag)};
  const Parameters& parameters = at.policy->parameters;
  const Verdict verdict = peek(parameters, cut(parameters, at.state, now_ns), now_ns, 1);
  return {share_of(*at.policy, verdict.remaining),
          verdict.reset_after_ns != 0 || is_standing(at.policy->kind), at.id};
}

}  // namespace

std::string shown_name(const KeyInfo& key) {
  return key.key ? shown_key(key.key, key.key_truncated) : "";
}

bool TableWalk::is_of(std::uint16_t policy, const std::string& name) {
  const auto [at, is_new] = names_.try_emplace(policy);
  if (is_new) {
    if (const auto constants = view_.policies.read(policy)) at->second = shm::name_of(*constants);
  }
  return at->second == name;
}

bool TableWalk::takes(Measure& measure, const Wish& wish) {
  if (wish.sort != Sort::key && wish.pattern.is_empty()) return true;
  const shm::LabelText label = view_.labels.read(measure.slot, measure.identity);
  if (label.known) measure.name = shown_key(std::string(label.view()), label.truncated);
  return wish.pattern.takes(measure.name);
}

/// Keeps the first in a heap, with the last of them on top.
void TableWalk::keep(Measure&& measure, const Wish& wish, Walked& walked) const {
  std::vector<Measure>& kept = walked.first;
  const auto is_above = [&](const Measure& a, const Measure& b) {
    return live::is_above(a, b, wish.sort);
  };
  if (kept.size() == wish.rows) {
    if (kept.empty() || !is_above(measure, kept.front())) return;
    std::pop_heap(kept.begin(), kept.end(), is_above);
    kept.pop_back();
  }
  kept.push_back(std::move(measure));
  std::push_heap(kept.begin(), kept.end(), is_above);
}

void TableWalk::look_at(std::uint64_t slot, const Wish& wish, std::uint64_t now_ns,
                        Walked& walked) {
  const shm::SlotWords words = view_.table.slot(slot).words();
  if (!shm::is_member(words.tag) || !is_counted_key(view_, words)) return;
  Measure measure;
  measure.slot = slot;
  measure.identity = shm::identity_of(words.tag);
  const shm::Counts& counts = view_.table.counts(slot);
  measure.counts = {shm::read_count(counts.allowed, measure.identity),
                    shm::read_count(counts.denied, measure.identity)};
  measure.since = memory_.note(slot, measure.identity, measure.counts);
  const Left left = left_of(view_, words, now_ns);
  measure.left = left.share;
  if (measure.identity == wish.one) walked.one = measure;
  if (!wish.policy.empty() && !is_of(left.policy, wish.policy)) return;
  ++walked.keys;
  walked.live += left.is_live ? 1U : 0U;
  if (!takes(measure, wish)) return;
  ++walked.taken;
  keep(std::move(measure), wish, walked);
}

Walked TableWalk::walk(const Wish& wish) {
  Walked walked;
  const std::uint64_t now = view_.clock.now();
  const std::uint64_t now_ns = now != shm::Clock::kNoTime ? now : 0;
  memory_.begin();
  for (std::uint64_t slot = 0; slot < view_.table.slot_count(); ++slot)
    look_at(slot, wish, now_ns, walked);
  std::sort_heap(walked.first.begin(), walked.first.end(),
                 [&](const Measure& a, const Measure& b) { return is_above(a, b, wish.sort); });
  return walked;
}

}  // namespace rl::ctl::live
