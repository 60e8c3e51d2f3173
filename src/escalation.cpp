#include "src/escalation.hpp"

#include <array>

#include "src/decide.hpp"
#include "src/permit_slots.hpp"
#include "src/standing.hpp"

namespace rl {
namespace {

/// Counts a denial (an operation, as those of src/operations.hpp).
struct NoteDenial {
  Conduct conduct;
  ConductStep last{};

  [[nodiscard]] Verdict act(const Parameters& parameters, std::uint64_t state,
                            std::uint64_t now_ns) noexcept {
    Verdict verdict{};
    verdict.state = state;
    last = {};
    // By bytes gone wrong it may be another's.
    if (!std::holds_alternative<Conduct>(parameters)) return verdict;
    last = after_denial(conduct, state, now_ns);
    verdict.allowed = true;
    verdict.state = last.word.state();
    return verdict;
  }
};

Conduct conduct_of(const Limit& limit) noexcept {
  return {limit.ban_after(), static_cast<std::uint64_t>(limit.ban_within().count()),
          static_cast<std::uint64_t>(limit.ban().count())};
}

/// Says in the journal why: there is no person to ask.
std::string_view reason_of(std::array<char, 64>& text, const Limit& limit) noexcept {
  const int size = std::snprintf(text.data(), text.size(), "%llu denials",
                                 static_cast<unsigned long long>(limit.ban_after()));
  return {text.data(), static_cast<std::size_t>(std::max(size, 0))};
}

/// Bans the key, if there is room for one more that stays.
void escalate(const Binding& binding, const Policy& policy, std::uint16_t id, std::string_view key,
              const ConductStep& step) noexcept try {
  View& view = *binding.view;
  const auto constants = view.policies.read(id);
  if (!constants) return;
  const std::string path;  // names the segment in errors, which nobody reads here
  const std::string_view name = shm::name_of(*constants);
  const std::uint16_t root = view.policies.find(name);
  if (root == 0) return;
  std::array<char, 64> reason;
  (void)change_standing(view, path, {root, name, key},
                        {.act = StandingAct::ban, .length_ns = step.length_ns, .level = step.level},
                        reason_of(reason, policy.limit));
} catch (...) {
  // No entry or no room is left for a ban: the limit goes on as it was.
}

}  // namespace

shm::KeyHash hash_of_conduct(const shm::Hasher& keys, std::string_view key) noexcept {
  return hash_of_part(keys, keys(key.data(), key.size()), WordKind::conduct, 0);
}

void note_denial(const Binding& binding, const Policy& policy, std::uint16_t id,
                 std::string_view key) noexcept {
  View& view = *binding.view;
  std::optional<Policy> spare;
  const KnownPolicy kept = view.known.find(policy.parent, spare);
  if (kept.policy == nullptr || kept.policy->kind != shm::PolicyKind::conduct) return;
  const Binding conduct{&view,        policy.parent, binding.hasher,
                        *kept.policy, nullptr,       &view.policies.links_word(policy.parent)};
  CallRules<OwnTime, NoteDenial> rules(conduct, OwnTime{&view.clock},
                                       NoteDenial{conduct_of(policy.limit)});
  const shm::Update update = apply(conduct, key, hash_of_conduct(binding.hasher, key), rules);
  const bool is_counted = update.outcome == shm::Update::decided && !rules.is_unavailable();
  const ConductStep& step = rules.operation().last;
  if (is_counted && step.bans) escalate(binding, policy, id, key, step);
}

void forget_conduct(const View& view, const shm::Hasher& keys, std::string_view key) noexcept {
  const shm::KeyHash hash = hash_of_conduct(keys, key);
  const std::uint64_t index = view.table.find(hash);
  if (index == view.table.kNowhere) return;
  (void)view.table.free_if(
      index, [&](shm::SlotWords words) { return shm::is_member_of(words.tag, hash.identity); });
}

}  // namespace rl
