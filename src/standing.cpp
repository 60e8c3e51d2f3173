#include "src/standing.hpp"

#include <fmt/format.h>

#include <array>

#include <rl/error.hpp>

#include "src/carried_debt.hpp"
#include "src/escalation.hpp"
#include "src/journal.hpp"
#include "src/limit_text.hpp"
#include "src/rules.hpp"

namespace rl {
namespace {

using shm::PolicyKind;

/// An entry that a key can be put under.
struct EntryOf {
  PolicyKind kind{};
  std::uint16_t parent = 0;
  friend bool operator==(const EntryOf&, const EntryOf&) = default;
};
struct KnownEntry {
  EntryOf what;
  std::uint16_t id = 0;
};

/// Where a key is put.
struct Stand {
  std::uint16_t id;
  std::uint64_t state;
};

/// Drives the table through one change of where a key stands (shm::Rules): as a call does, but its
/// step also says under which entry the key goes. Which one that is depends on where the key
/// stands, and an entry cannot be published in the middle of a step: it says which it needs, and is
/// driven again.
class Changer : public CallRules<OwnTime> {
 public:
  enum class Outcome { done, nothing, needs_entry, is_allowed, unreadable, no_time };

  Changer(const Binding& binding, std::uint16_t root, const StandingChange& change,
          const KnownEntry& entry) noexcept
      : CallRules(binding, OwnTime{&binding.view->clock}, Acquire{1}),
        binding_(binding),
        root_(root),
        change_(change),
        entry_(entry),
        follower_(*binding.view, binding.view->clock) {}

  shm::Transition step(std::uint16_t policy, std::uint64_t state) noexcept {
    const shm::Transition stays{shm::Transition::keep, policy, state};
    outcome_ = Outcome::no_time;
    const std::uint64_t now = binding_.view->clock.now();
    if (now == shm::Clock::kNoTime) return stays;
    outcome_ = Outcome::unreadable;
    Followed at = follower_.follow(policy, state, now, binding_.id);
    if (at.policy == nullptr) return stays;
    at.state = cut(at.policy->parameters, at.state, at.now_ns);
    was_ = {at.policy->kind, at.policy->limit, at.state};
    outcome_ = Outcome::nothing;
    const std::optional<Stand> to = place(at);
    if (!to) return stays;
    outcome_ = Outcome::done;
    return {shm::Transition::store, to->id, to->state};
  }
  shm::Transition first() noexcept { return step(binding_.id, 0); }

  [[nodiscard]] Outcome outcome() const noexcept { return outcome_; }
  [[nodiscard]] const EntryOf& needed() const noexcept { return needed_; }

  /// Where the key stood.
  struct Was {
    PolicyKind kind = PolicyKind::limit;
    std::optional<Limit> limit;
    std::uint64_t state = 0;
  };
  [[nodiscard]] const Was& was() const noexcept { return was_; }

 private:
  std::optional<Stand> place(const Followed& at) noexcept {
    const bool is_banned = at.policy->kind == PolicyKind::ban;
    const bool is_allowed = at.policy->kind == PolicyKind::allow;
    switch (change_.act) {
      case StandingAct::ban:
        return is_banned ? later_ban(at) : ban(at);
      case StandingAct::allow:
        if (is_allowed) return std::nullopt;
        return allow(at);
      case StandingAct::unban:
        return is_banned ? lift(at) : std::nullopt;
      case StandingAct::disallow:
        return is_allowed ? lift(at) : std::nullopt;
      case StandingAct::set_override:
        if (is_banned || is_allowed) return under(at, change_.override_id);
        return convert(at, change_.override_id);
      case StandingAct::unset_override:
        if (is_banned || is_allowed) return under(at, root_);
        if (at.policy->kind != PolicyKind::override_) return std::nullopt;
        return convert(at, binding_.view->policies.in_force(root_));
    }
    return std::nullopt;
  }

  [[nodiscard]] BanWord word_of_ban(std::uint64_t now_ns) const noexcept {
    const std::uint64_t until =
        change_.is_for_ever ? kTickForEver : tick_not_before(now_ns + change_.length_ns);
    return {until, {}, std::min(change_.level, BanWord::kLevelMax)};
  }

  std::optional<Stand> ban(const Followed& at) noexcept {
    if (at.policy->kind == PolicyKind::allow) {
      outcome_ = Outcome::is_allowed;
      return std::nullopt;
    }
    BanWord word = word_of_ban(at.now_ns);
    const std::uint64_t as_of = word.is_for_ever() ? at.now_ns : word.until_ns();
    word.owed = RoundedTokens::up(all_owed(at.policy->parameters, at.state, as_of));
    return put({PolicyKind::ban, parent_of(at)}, word);
  }

  /// What was owed at the end of the first is owed at the end of the second.
  std::optional<Stand> later_ban(const Followed& at) const noexcept {
    BanWord word = BanWord::of(at.state);
    const BanWord later = word_of_ban(at.now_ns);
    if (later.until <= word.until) return std::nullopt;
    word.until = later.until;
    word.level = std::max(word.level, later.level);
    return Stand{at.id, word.state()};
  }

  std::optional<Stand> allow(const Followed& at) noexcept {
    const bool is_banned = at.policy->kind == PolicyKind::ban;
    const RoundedTokens owed =
        is_banned ? BanWord::of(at.state).owed
                  : RoundedTokens::up(all_owed(at.policy->parameters, at.state, at.now_ns));
    return put({PolicyKind::allow, parent_of(at)}, {tick_not_before(at.now_ns), owed, 0});
  }

  std::optional<Stand> lift(const Followed& at) noexcept {
    const Followed to = follower_.lifted(at);
    if (to.policy == nullptr || to.id == at.id) {
      outcome_ = Outcome::unreadable;
      return std::nullopt;
    }
    return Stand{to.id, to.state};
  }

  /// Another limit for the key to come back under. Its word is in tokens: it stays.
  std::optional<Stand> under(const Followed& at, std::uint16_t parent) noexcept {
    if (at.policy->parent == parent) return std::nullopt;
    return put({at.policy->kind, parent}, BanWord::of(at.state));
  }

  std::optional<Stand> convert(const Followed& at, std::uint16_t to) noexcept {
    if (at.id == to) return std::nullopt;
    const KnownPolicy limit = binding_.view->known.find(to, spare_);
    if (limit.policy == nullptr) {
      outcome_ = Outcome::unreadable;
      return std::nullopt;
    }
    return Stand{to, converted(at.policy->parameters, at.state, limit.policy->parameters,
                               Spent::keep, at.now_ns)};
  }

  std::optional<Stand> put(const EntryOf& entry, const BanWord& word) noexcept {
    needed_ = entry;
    if (entry_.id == 0 || entry != entry_.what) {
      outcome_ = Outcome::needs_entry;
      return std::nullopt;
    }
    return Stand{entry_.id, word.state()};
  }

  [[nodiscard]] std::uint16_t parent_of(const Followed& at) const noexcept {
    if (at.policy->kind == PolicyKind::override_) return at.id;
    return is_standing(at.policy->kind) ? at.policy->parent : root_;
  }

  const Binding& binding_;
  const std::uint16_t root_;
  const StandingChange& change_;
  const KnownEntry entry_;
  Follower<View, shm::Clock> follower_;
  std::optional<Policy> spare_;
  Outcome outcome_ = Outcome::nothing;
  EntryOf needed_;
  Was was_;
};
static_assert(shm::Rules<Changer>);

bool puts_apart(StandingAct act) noexcept {
  return act == StandingAct::ban || act == StandingAct::allow || act == StandingAct::set_override;
}

/// Refuses to put a key apart where its list is half full of what stays.
void check_list(const std::string& path, const Binding& binding, const shm::KeyHash& hash) {
  const shm::Table<shm::Slot>& table = binding.view->table;
  const shm::CandidateList list = table.candidates(hash);
  std::array<shm::SlotWords, shm::CandidateList::kSize> seen;
  for (int i = 0; i < shm::CandidateList::kSize; ++i)
    seen[static_cast<std::size_t>(i)] = table.settled(table.slot(list.slot_at(i)));
  CallRules<OwnTime> rules(binding, OwnTime{&binding.view->clock}, Acquire{1});
  rules.begin_judging();
  int staying = 0;
  for (const shm::SlotWords& words : seen) {
    if (!shm::is_member(words.tag)) continue;
    const bool stays = rules.judge(shm::policy_of(words.tag), words.state) == shm::Standing::sticky;
    if (stays && shm::identity_of(words.tag) == hash.identity) return;  // it is apart already
    staying += stays ? 1 : 0;
  }
  if (staying < kStandingsMax) return;
  throw Error(Errc::too_many,
              fmt::format("{}: {} of the {} places that this key can have are taken by overrides, "
                          "bans, allowed keys and permits, and no more may be; take some of them "
                          "back, or create the segment with more keys",
                          path, staying, shm::CandidateList::kSize));
}

Change change_of(StandingAct act) noexcept {
  switch (act) {
    case StandingAct::ban:
      return Change::banned;
    case StandingAct::unban:
      return Change::unbanned;
    case StandingAct::allow:
      return Change::allowed;
    case StandingAct::disallow:
      return Change::disallowed;
    case StandingAct::set_override:
      return Change::override_set;
    case StandingAct::unset_override:
      break;
  }
  return Change::override_unset;
}

/// Says where a key stood; nothing where all others do.
std::string text_of(const Changer::Was& was) {
  switch (was.kind) {
    case PolicyKind::override_:
      return was.limit->to_string();
    case PolicyKind::ban:
      return BanWord::of(was.state).is_for_ever() ? "banned for ever" : "banned";
    case PolicyKind::allow:
      return "allowed";
    default:
      return {};
  }
}

/// Says how long a ban is, in days, hours, minutes and seconds, rounded up: "9m 19s". One of less
/// than a second is told in milliseconds.
std::string text_of_length(std::uint64_t ns) {
  const auto rounded_up = [&](std::uint64_t unit) { return (ns + (unit - 1)) / unit * unit; };
  constexpr std::uint64_t kMs = 1'000'000;
  constexpr std::uint64_t kSecond = 1'000 * kMs;
  if (ns <= kSecond) return duration_text(rounded_up(kMs));
  std::string text;
  std::uint64_t left = rounded_up(kSecond);
  for (auto unit = kUnits.rbegin(); left != 0; ++unit) {  // ends: they are whole seconds
    const std::uint64_t part = left - left % unit->ns;
    if (part == 0) continue;
    text += fmt::format("{}{}{}", text.empty() ? "" : " ", part / unit->ns, unit->text);
    left -= part;
  }
  return text;
}

/// Says what it was put under.
std::string text_of(const View& view, const StandingChange& change) {
  if (change.act == StandingAct::set_override) return limit_text(view.policies, change.override_id);
  if (change.act != StandingAct::ban) return {};
  if (change.is_for_ever) return "for ever";
  return "for " + text_of_length(change.length_ns);
}

/// Notes a change that was made. That there is no memory for its text does not undo it.
void note(const View& view, const StandingKey& who, const StandingChange& change,
          const Changer::Was& was, std::string_view reason) noexcept {
  try {
    const std::string before = text_of(was);
    const std::string after = text_of(view, change);
    constexpr auto kForEver = static_cast<std::uint64_t>(kNever.count());
    const bool is_ban = change.act == StandingAct::ban;
    const std::uint64_t ban_ns = is_ban ? change.is_for_ever ? kForEver : change.length_ns : 0;
    note_change(view, {change_of(change.act), who.name, who.key, before, after, reason, ban_ns});
  } catch (const std::exception&) {
  }
}

[[noreturn]] void refuse(const std::string& path, Changer::Outcome outcome) {
  switch (outcome) {
    case Changer::Outcome::is_allowed:
      throw Error(Errc::bad_option,
                  fmt::format("{}: the key is on the allow-list, which stands above a ban; take it "
                              "off first (rlctl disallow)",
                              path));
    case Changer::Outcome::unreadable:
      throw Error(Errc::corrupt,
                  fmt::format("{}: the key is under an entry that is damaged or made by a newer "
                              "librl; reset the key, or remove the segment and create it anew",
                              path));
    default:
      throw Error(
          Errc::system,
          fmt::format("{}: this process cannot read the segment's clock; see `rlctl info`", path));
  }
}

[[noreturn]] void refuse_for_room(const std::string& path, shm::Update::Outcome outcome) {
  throw Error(Errc::no_space,
              outcome == shm::Update::full
                  ? fmt::format("{}: the table has no room for the key: all its places are taken "
                                "by keys that owe something; create it with more keys",
                                path)
                  : fmt::format("{}: others changed the key again and again; try again", path));
}

}  // namespace

bool change_standing(View& view, const std::string& path, const StandingKey& who,
                     const StandingChange& change, std::string_view reason) {
  const Place place{view, path};
  check_writable(place);
  const shm::Hasher keys = hasher_for(view.mapping, who.name);
  const auto hash = who.hash.value_or(shm::KeyHash::from(keys(who.key.data(), who.key.size())));
  KnownEntry entry;
  // Each try but two means that somebody else has changed where the key stands.
  for (int tries = 0; tries < kStandingTriesMax; ++tries) {
    const std::uint16_t id = view.policies.in_force(who.root);
    const Binding binding{
        &view, id, keys, must_read(place, who.name, id), nullptr, &view.policies.links_word(id)};
    if (puts_apart(change.act)) check_list(path, binding, hash);
    Changer changer(binding, who.root, change, entry);
    const shm::Update update = view.table.update(hash, changer);
    if (update.outcome != shm::Update::decided) refuse_for_room(path, update.outcome);
    switch (changer.outcome()) {
      case Changer::Outcome::done:
        if (who.hash) {
          view.labels.write_beginning(update.slot_index, hash, who.key);
        } else {
          view.labels.write(update.slot_index, hash, who.key);
        }
        note(view, who, change, changer.was(), reason);
        return true;
      case Changer::Outcome::nothing:
        return false;
      case Changer::Outcome::needs_entry:
        entry = {changer.needed(),
                 publish_standing(place, who.name, changer.needed().kind, changer.needed().parent)};
        break;
      default:
        refuse(path, changer.outcome());
    }
  }
  refuse_for_room(path, shm::Update::gave_up);
}

}  // namespace rl
