#include "tools/rlctl/top/model.hpp"

#include <algorithm>
#include <utility>

namespace rl::ctl::live {
namespace {

/// Takes the last character off, not the last byte.
void drop_last(std::string& text) {
  while (!text.empty()) {
    const auto byte = static_cast<unsigned char>(text.back());
    text.pop_back();
    if ((byte & 0xc0U) != 0x80U) return;
  }
}

/// Whether an event is of a key; of a long one only the beginning is known on either side.
bool is_of(const Event& event, const KeyInfo& key) {
  if (event.policy != key.policy || !key.key || event.key.empty()) return false;
  if (key.key_truncated) return event.key.starts_with(*key.key);
  return event.key == *key.key;
}

}  // namespace

void Minute::add(const Look& look, const KeyCounts& since) {
  if (!look.has_rates) return;
  allowed.add(look.from_s, look.at_s, static_cast<double>(since.allowed));
  denied.add(look.from_s, look.at_s, static_cast<double>(since.denied));
}

void Model::take(Look look) {
  is_due_ = false;
  remember(look);
  if (!is_frozen_) show(std::move(look));
}

/// What the last minute and the events are made of, shown or not.
void Model::remember(const Look& look) {
  all_.add(look, look.since_all);
  chosen_.add(look, look.since_policy);
  std::map<std::uint64_t, Minute> kept;
  const auto keep = [&](const Row& row) {
    const auto [at, is_new] = kept.try_emplace(row.measure.identity);
    if (!is_new) return;
    if (const auto old = minutes_.find(row.measure.identity); old != minutes_.end())
      at->second = std::move(old->second);
    at->second.add(look, row.measure.since.value_or(KeyCounts{}));
  };
  for (const Row& row : look.rows) keep(row);
  if (look.one) keep(*look.one);
  minutes_ = std::move(kept);
  for (const Event& event : look.events) events_.push_back(event);
  while (events_.size() > kEvents) events_.pop_front();
}

void Model::show(Look look) {
  look_ = std::move(look);
  look_policy_ = wish_.policy;
  shown_minute_ = wish_.policy.empty() ? all_ : chosen_;
  if (look_.one) one_ = *look_.one;
  arrange();
}

std::optional<KeyCounts> Model::since() const {
  if (wish_.policy.empty()) return look_.since_all;
  return look_policy_ == wish_.policy ? std::optional(look_.since_policy) : std::nullopt;
}

/// Filters and sorts what there is by what is wished for now.
void Model::arrange() {
  rows_.clear();
  for (const Row& row : look_.rows) {
    const bool is_of_policy = wish_.policy.empty() || row.key.policy == wish_.policy;
    if (is_of_policy && wish_.pattern.takes(row.measure.name)) rows_.push_back(row);
  }
  std::sort(rows_.begin(), rows_.end(),
            [&](const Row& a, const Row& b) { return is_above(a.measure, b.measure, wish_.sort); });
  keep_selected();
}

/// Who was chosen stays so wherever it goes, and is on the screen.
void Model::keep_selected() {
  const auto at = std::find_if(rows_.begin(), rows_.end(), [&](const Row& row) {
    return row.measure.identity == selected_key_;
  });
  if (selected_key_ != 0 && at != rows_.end())
    selected_ = static_cast<std::size_t>(at - rows_.begin());
  selected_ = std::min(selected_, rows_.empty() ? 0 : rows_.size() - 1);
  const std::size_t room = std::max<std::size_t>(room_, 1);
  first_ = std::min(first_, selected_);
  if (selected_ >= first_ + room) first_ = selected_ - room + 1;
}

void Model::set_room(std::size_t rows) {
  room_ = rows;
  keep_selected();
}

void Model::press(const Input& input) {
  switch (mode_) {
    case Mode::table:
      return press_in_table(input);
    case Mode::typing:
      return press_in_filter(input);
    case Mode::key:
      return press_in_key(input);
    case Mode::help:
      mode_ = before_help_;
  }
}

void Model::press_in_table(const Input& input) {
  if (move(input.kind)) return;
  if (input.kind == Input::enter) return open_key();
  if (input.kind == Input::escape && !wish_.pattern.is_empty()) return filter_by("");
  if (input.kind == Input::text && input.typed.size() == 1) press_letter(input.typed.front());
}

void Model::press_letter(char letter) {
  switch (letter) {
    case 'q':
      is_over_ = true;
      break;
    case 'd':
      return sort_by(Sort::denied);
    case 'a':
      return sort_by(Sort::allowed);
    case 'r':
      return sort_by(Sort::remaining);
    case 'k':
      return sort_by(Sort::key);
    case 'p':
      return next_policy();
    case ' ':
    case 'f':
      return freeze();
    case '/':
      mode_ = Mode::typing;
      break;
    case '?':
    case 'h':
      before_help_ = mode_;
      mode_ = Mode::help;
      break;
    default:
      break;
  }
}

void Model::press_in_filter(const Input& input) {
  std::string text = wish_.pattern.text();
  switch (input.kind) {
    case Input::text:
      return filter_by(text + input.typed);
    case Input::backspace:
      drop_last(text);
      return filter_by(text);
    case Input::enter:
      mode_ = Mode::table;
      break;
    case Input::escape:
      mode_ = Mode::table;
      return filter_by("");
    default:
      (void)move(input.kind);
  }
}

void Model::press_in_key(const Input& input) {
  if (input.kind == Input::escape || input.kind == Input::enter || input.kind == Input::backspace)
    return close_key();
  if (input.kind != Input::text || input.typed.size() != 1) return;
  const char letter = input.typed.front();
  if (letter == 'q') return close_key();
  if (letter == ' ' || letter == 'f' || letter == '?' || letter == 'h') press_letter(letter);
}

/// Returns whether the key is one that moves.
bool Model::move(Input::Kind kind) {
  const std::size_t page = std::max<std::size_t>(room_, 2) - 1;
  const std::size_t last = rows_.empty() ? 0 : rows_.size() - 1;
  switch (kind) {
    case Input::up:
      move_to(selected_ - std::min<std::size_t>(selected_, 1));
      return true;
    case Input::down:
      move_to(std::min(selected_ + 1, last));
      return true;
    case Input::page_up:
      move_to(selected_ - std::min(selected_, page));
      return true;
    case Input::page_down:
      move_to(std::min(selected_ + page, last));
      return true;
    case Input::home:
      move_to(0);
      selected_key_ = 0;  // whatever is on top
      return true;
    case Input::end:
      move_to(last);
      return true;
    default:
      return false;
  }
}

void Model::move_to(std::size_t row) {
  selected_ = row;
  selected_key_ = row < rows_.size() ? rows_[row].measure.identity : 0;
  keep_selected();
}

void Model::wish_changed() {
  is_due_ = true;
  arrange();
}

void Model::sort_by(Sort sort) {
  wish_.sort = sort;
  move_to(0);
  selected_key_ = 0;
  wish_changed();
}

/// Goes on to the next policy; after the last to all of them.
void Model::next_policy() {
  const std::vector<std::string>& names = look_.policies;
  auto at = std::find(names.begin(), names.end(), wish_.policy);
  at = wish_.policy.empty() ? names.begin() : at == names.end() ? at : at + 1;
  wish_.policy = at == names.end() ? "" : *at;
  chosen_ = {};
  if (!is_frozen_) shown_minute_ = wish_.policy.empty() ? all_ : chosen_;
  wish_changed();
}

void Model::filter_by(std::string text) {
  wish_.pattern = Pattern(std::move(text));
  wish_changed();
}

void Model::open_key() {
  if (rows_.empty()) return;
  one_ = rows_[selected_];
  look_.one = one_;
  wish_.one = one_.measure.identity;
  mode_ = Mode::key;
}

void Model::close_key() {
  wish_.one = 0;
  mode_ = Mode::table;
}

void Model::freeze() {
  is_frozen_ = !is_frozen_;
  if (!is_frozen_) is_due_ = true;
}

const Minute& Model::minute_of_one() const {
  static const Minute none;
  const auto at = minutes_.find(one_.measure.identity);
  return at == minutes_.end() ? none : at->second;
}

std::vector<Event> Model::events_of_one() const {
  std::vector<Event> events;
  for (auto event = events_.rbegin(); event != events_.rend(); ++event)
    if (is_of(*event, one_.key)) events.push_back(*event);
  return events;
}

}  // namespace rl::ctl::live
