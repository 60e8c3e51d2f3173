#include <rl/limiters.hpp>

#include <fmt/format.h>

#include <algorithm>

#include <rl/segment.hpp>

#include "src/all_of.hpp"
#include "src/change.hpp"
#include "src/entries.hpp"
#include "src/limit_text.hpp"

namespace rl {
namespace {

bool is_of_calls(const Limit& limit) noexcept {
  return takes_calls(limit.algorithm());
}

/// A list has to be one that a call can be asked of.
template <class Text>
Error takes_no_calls(const Text& limits, Algorithm algorithm) {
  return {Errc::bad_limit, fmt::format("\"{}\": {}; give it a policy of its own",
                                       limits.to_string(), why_no_calls(algorithm))};
}

/// Before anything is made or changed; the last has the longest name.
void check_list(std::string_view policy, const Limits& limits) {
  check_limits(limits);
  shm::PolicyTable::check_name(Limiters::policy(policy, limits.size() - 1));
}

/// Whether there was a limit of this name, and is none.
bool was_removed(const View& view, std::string_view policy) noexcept {
  return view.policies.find(policy) != 0 && policy_in_force(view, policy) == 0;
}

/// Whether there is a limit of this name that can be a part of a list.
bool is_part(const Place& place, const std::string& policy) {
  const std::uint16_t id = policy_in_force(place.view, policy);
  return id != 0 && is_of_calls(must_read(place, policy, id).limit);
}

/// Returns how long a list is, of which so many limits are named.
std::size_t size_of_list(const Place& place, std::string_view policy, std::size_t size) {
  while (size < Limits::kMax && is_part(place, Limiters::policy(policy, size))) ++size;
  return size;
}

/// Errors: Error (too_many) when a list cannot become another for want of policy entries.
void check_entries(const Place& place, std::string_view policy, const Limits& limits,
                   std::size_t was, Spent spent) {
  EntryCount entries(place.view.policies);
  for (std::size_t i = 0; i < limits.size(); ++i) {
    const std::string part = Limiters::policy(policy, i);
    const std::uint16_t id = policy_in_force(place.view, part);
    const bool stays =
        id != 0 && spent != Spent::reset && must_read(place, part, id).limit == limits[i];
    if (!stays) entries.set_policy(part, limits[i]);
  }
  for (std::size_t i = limits.size(); i < was; ++i) entries.remove_policy();
  entries.check_room(place.path);
}

}  // namespace

void check_limits(const Limits& limits) {
  const auto other = std::find_if_not(limits.begin(), limits.end(), is_of_calls);
  if (limits.size() > 1 && other != limits.end()) throw takes_no_calls(limits, other->algorithm());
}

Limiters Segment::limiters(std::string_view policy, const Limits& limits) {
  check_list(policy, limits);
  const View& view = core_->view();
  // What the segment has stands, and may be no part of a list.
  const bool was_there = policy_in_force(view, policy) != 0;
  if (limits.size() > 1 && was_there) {
    const Limit first = limiter(policy).limit();
    if (!is_of_calls(first)) throw takes_no_calls(first, first.algorithm());
  }
  std::vector<Limiter> all;
  for (std::size_t i = 0; i < limits.size(); ++i) {
    const std::string part = Limiters::policy(policy, i);
    if (was_there && was_removed(view, part)) break;  // the list was made shorter
    all.push_back(limiter(part, limits[i]));
  }
  add_rest(policy, all);
  return {policy, std::move(all), limits.size()};
}

Limiters Segment::limiters(std::string_view policy) {
  std::vector<Limiter> all{limiter(policy)};
  add_rest(policy, all);
  return {policy, std::move(all), 0};
}

/// Adds the limits of a list that the segment has beyond those that are known.
void Segment::add_rest(std::string_view policy, std::vector<Limiter>& all) {
  while (all.size() < Limits::kMax) {
    const std::string name = Limiters::policy(policy, all.size());
    if (!is_part({core_->view(), path()}, name)) return;
    all.push_back(limiter(name));
  }
}

void Segment::set_policy(std::string_view policy, const Limits& limits, Spent spent) {
  check_list(policy, limits);
  core_->look_at_once();
  const Place place{core_->view(), path()};
  for (std::size_t i = 0; i < limits.size(); ++i)
    check_can_become(place, Limiters::policy(policy, i), limits[i]);
  // Of permits and of counts it is no list, and what is named like a part is none.
  std::size_t size = !is_of_calls(limits[0]) ? 1 : size_of_list(place, policy, limits.size());
  check_entries(place, policy, limits, size, spent);
  for (std::size_t i = 0; i < limits.size(); ++i)
    set_policy(Limiters::policy(policy, i), limits[i], spent);
  // From the end, so that a list never has a hole.
  while (size > limits.size()) (void)remove_policy(Limiters::policy(policy, --size));
}

AllOf Limiters::try_acquire(std::string_view key, std::uint64_t cost) noexcept {
  AskedTogether together;
  for (Limiter& limiter : limiters_) together.add(limiter, key, cost);
  return together.decide();
}

AllOf Limiters::peek(std::string_view key, std::uint64_t cost) const noexcept {
  AllOf all;
  for (std::size_t i = 0; i < limiters_.size(); ++i) all.each[i] = limiters_[i].peek(key, cost);
  conclude(all, limiters_.size());
  return all;
}

bool Limiters::refund(std::string_view key, AllOf& all) noexcept {
  bool given = false;
  for (std::size_t i = limiters_.size(); i-- > 0;) given |= limiters_[i].refund(key, all.each[i]);
  return given;
}

bool Limiters::reset(std::string_view key) noexcept {
  bool any = false;
  for (Limiter& limiter : limiters_) any |= limiter.reset(key);
  return any;
}

std::string Limiters::policy(std::size_t i) const {
  return policy(name_, i);
}

std::string Limiters::policy(std::string_view name, std::size_t i) {
  return i == 0 ? std::string(name) : fmt::format("{}#{}", name, i + 1);
}

Limits Limiters::limits() const {
  std::vector<Limit> limits;
  for (const Limiter& limiter : limiters_) limits.push_back(limiter.limit());
  return Limits(std::move(limits));
}

bool Limiters::differs() const noexcept {
  return (wanted_ != 0 && wanted_ != limiters_.size()) ||
         std::any_of(limiters_.begin(), limiters_.end(),
                     [](const Limiter& l) { return l.differs(); });
}

}  // namespace rl
