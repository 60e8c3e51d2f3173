// What `rlctl top` makes of looks and keys: rates, order, filter, pages; without a terminal.
#include <doctest/doctest.h>

#include <algorithm>
#include <clocale>
#include <map>
#include <random>
#include <string>

#include "tests/support.hpp"
#include "tools/rlctl/text.hpp"
#include "tools/rlctl/top/page.hpp"
#include "tools/rlctl/top/table_walk.hpp"

namespace rl::test {
namespace {

using namespace ctl::live;
using Rates = std::vector<double>;

Row row_of(std::uint64_t slot, const std::string& name, KeyCounts counts, KeyCounts since = {},
           double left = 0.5) {
  Row row;
  row.measure = {slot, slot + 1'000, counts, since, left, ctl::escape(name)};
  row.key.policy = "api";
  row.key.key = name;
  row.key.idle = false;
  row.key.limit = 10;
  row.key.remaining = 5;
  return row;
}

Look look_of(std::vector<Row> rows, double from_s, double at_s) {
  Look look;
  look.info.name = "web";
  look.has_rates = true;
  look.from_s = from_s;
  look.at_s = at_s;
  look.taken = rows.size();
  look.rows = std::move(rows);
  look.policies = {"api", "login"};
  return look;
}

Look three_keys(double from_s = 0) {
  return look_of({row_of(1, "ann", {5, 90}, {1, 40}, 0), row_of(2, "bob", {70, 1}, {30, 0}, 0.9),
                  row_of(3, "cid", {6, 95}, {2, 4}, 0.2)},
                 from_s, from_s + 2);
}

std::string names_of(const Model& model) {
  std::string names;
  for (const Row& row : model.rows()) names += row.measure.name + " ";
  return names;
}

void type(Model& model, const std::string& text) {
  for (const char letter : text) model.press({Input::text, std::string(1, letter)});
}

std::string text_of(const Page& page) {
  std::string text;
  for (const Line& line : page) text += line.text() + '\n';
  return text;
}

bool holds(const std::string& text, std::string_view part) {
  return text.find(part) != text.npos;
}

// --- the last minute

TEST_CASE("what_comes_evenly_is_the_same_in_each_second_however_late_a_look_is") {
  LastMinute minute;
  minute.add(0, 4, 40);
  minute.add(4, 4.5, 5);
  minute.add(4.5, 7, 50);
  CHECK(minute.rates() == Rates{10, 10, 10, 10, 15, 20, 20});
}

TEST_CASE("a_minute_is_sixty_whole_seconds_and_what_is_before_falls_out") {
  LastMinute minute;
  CHECK(minute.rates().empty());
  for (int second = 0; second < 100; ++second) minute.add(second, second + 1, second);
  const Rates rates = minute.rates();
  REQUIRE(rates.size() == LastMinute::kSeconds);
  CHECK(rates.front() == 40);
  CHECK(rates.back() == 99);
}

TEST_CASE("seconds_of_which_nothing_is_known_have_nothing") {
  LastMinute minute;
  minute.add(0, 2, 20);
  minute.add(5, 6, 7);
  CHECK(minute.rates() == Rates{10, 10, 0, 0, 0, 7});
  minute.add(1'000'000, 1'000'001, 3);
  const Rates rates = minute.rates();
  CHECK(rates.size() == LastMinute::kSeconds);
  CHECK(rates.back() == 3);
  CHECK(std::count(rates.begin(), rates.end(), 0.0) == LastMinute::kSeconds - 1);
}

TEST_CASE("a_look_that_comes_after_days_costs_no_walk_over_them") {
  LastMinute minute;
  minute.add(0, 1e15, 1e15);
  const Rates rates = minute.rates();
  CHECK(rates.size() == LastMinute::kSeconds);
  for (const double rate : rates) CHECK(rate == doctest::Approx(1).epsilon(0.2));
}

// --- what was counted

TEST_CASE("what_was_added_is_known_from_the_second_look_on") {
  CountMemory memory(10);
  CHECK(memory.is_whole());
  memory.begin();
  CHECK(!memory.note(3, 77, {100, 200}));
  memory.begin();
  const auto since = memory.note(3, 77, {103, 250});
  REQUIRE(since);
  CHECK(since->allowed == 3);
  CHECK(since->denied == 50);
}

TEST_CASE("a_key_that_is_new_in_a_slot_or_began_anew_has_counted_all_of_it_since") {
  CountMemory memory(10);
  memory.begin();
  (void)memory.note(3, 77, {100, 200});
  memory.begin();
  CHECK(memory.note(3, 78, {4, 5})->denied == 5);
  memory.begin();
  CHECK(memory.note(3, 78, {1, 2})->denied == 2);
  CHECK(memory.note(4, 79, {6, 0})->allowed == 6);
}

TEST_CASE("a_count_that_passes_four_billion_has_its_difference") {
  CountMemory memory(10);
  const std::uint64_t edge = std::uint64_t{1} << 32;
  memory.begin();
  (void)memory.note(0, 5, {edge - 3, 0});
  memory.begin();
  CHECK(memory.note(0, 5, {edge + 4, 0})->allowed == 7);
}

/// Has eight keys share a place; the one at `active` counts at each look.
std::vector<std::optional<KeyCounts>> look_at_eight(CountMemory& memory, std::uint64_t active,
                                                    std::uint64_t look) {
  std::vector<std::optional<KeyCounts>> since;
  memory.begin();
  for (std::uint64_t slot = 0; slot < 8; ++slot)
    since.push_back(memory.note(slot, slot + 100, {slot == active ? 10 * look : 7, 0}));
  return since;
}

TEST_CASE("where_slots_share_a_place_the_active_key_gets_it_and_no_rate_is_made_up") {
  for (std::uint64_t active = 0; active < 8; ++active) {
    CAPTURE(active);
    CountMemory memory(8, 1);
    CHECK(!memory.is_whole());
    std::uint64_t looks_with_rate = 0;
    for (std::uint64_t look = 1; look <= 100; ++look) {
      const auto since = look_at_eight(memory, active, look);
      for (std::uint64_t slot = 0; slot < 8; ++slot)
        if (since[slot]) CHECK(since[slot]->allowed == (slot == active ? 10 : 0));
      looks_with_rate += since[active] ? 1U : 0U;
    }
    CHECK(looks_with_rate > 20);
  }
}

// --- order and filter

TEST_CASE("each_order_is_total_so_that_nothing_that_stands_still_changes_places") {
  std::mt19937_64 random(seed());
  INFO("seed ", seed());
  std::vector<Measure> all;
  for (std::uint64_t slot = 0; slot < 60; ++slot) {
    Measure measure{slot, slot, {random() % 3, random() % 3}, {}, double(random() % 3) / 2, {}};
    if (random() % 3 != 0) measure.since = KeyCounts{random() % 2, random() % 2};
    if (random() % 3 != 0) measure.name = std::string(1, static_cast<char>('a' + random() % 3));
    all.push_back(measure);
  }
  for (const Sort sort : {Sort::denied, Sort::allowed, Sort::remaining, Sort::key}) {
    for (const Measure& a : all)
      for (const Measure& b : all)
        CHECK(is_above(a, b, sort) + is_above(b, a, sort) == (a.slot == b.slot ? 0 : 1));
    for (int i = 0; i < 2'000; ++i) {
      const Measure& a = all[random() % 60];
      const Measure& b = all[random() % 60];
      const Measure& c = all[random() % 60];
      if (is_above(a, b, sort) && is_above(b, c, sort)) CHECK(is_above(a, c, sort));
    }
  }
}

TEST_CASE("letters_sort_at_once_what_the_last_look_has_brought_and_ask_for_another") {
  Model model{{}};
  model.take(three_keys());
  CHECK(names_of(model) == "ann cid bob ");
  CHECK(!model.is_due());
  type(model, "a");
  CHECK(names_of(model) == "bob cid ann ");
  CHECK(model.is_due());
  CHECK(model.wish().sort == Sort::allowed);
  model.take(three_keys(2));
  CHECK(!model.is_due());
  type(model, "r");
  CHECK(names_of(model) == "ann cid bob ");
  type(model, "k");
  CHECK(names_of(model) == "ann bob cid ");
  type(model, "d");
  CHECK(names_of(model) == "ann cid bob ");
}

TEST_CASE("what_is_typed_filters_with_each_letter_and_escape_ends_it") {
  Model model{{}};
  model.take(three_keys());
  type(model, "/b");
  CHECK(names_of(model) == "bob ");
  CHECK(model.wish().pattern.text() == "b");
  type(model, "x");
  CHECK(names_of(model) == "");
  model.press({Input::backspace});
  CHECK(names_of(model) == "bob ");
  model.press({Input::enter});
  type(model, "q");
  CHECK(model.is_over());
  model.press({Input::escape});
  CHECK(names_of(model) == "ann cid bob ");
}

TEST_CASE("backspace_takes_a_character_off_and_not_a_byte") {
  Model model{{}};
  model.take(three_keys());
  type(model, "/b");
  model.press({Input::text, "語"});
  CHECK(model.wish().pattern.text() == "b語");
  model.press({Input::backspace});
  CHECK(model.wish().pattern.text() == "b");
}

TEST_CASE("a_filter_with_a_star_matches_the_whole_key_and_others_a_part") {
  CHECK(Pattern("b*").takes("bob"));
  CHECK(!Pattern("o*").takes("bob"));
  CHECK(Pattern("o").takes("bob"));
  CHECK(Pattern("").takes(""));
  CHECK(!Pattern("a").takes(""));
  CHECK(Pattern("\\x1b").takes("a\\x1bz"));
}

TEST_CASE("a_glob_that_is_given_as_an_option_matches_the_whole_key_as_list_has_it") {
  CHECK(Pattern::glob("bob").takes("bob"));
  CHECK(!Pattern::glob("o").takes("bob"));
  CHECK(Pattern::glob("b*").takes("bob"));
  CHECK(Pattern::glob("").takes("bob"));
}

// --- what is shown

TEST_CASE("frozen_is_what_was_shown_and_the_minute_goes_on") {
  Model model{{}};
  model.take(three_keys());
  type(model, " ");
  CHECK(model.is_frozen());
  Look later = three_keys(2);
  later.since_all = {8, 6};
  later.rows.pop_back();
  model.take(later);
  CHECK(names_of(model) == "ann cid bob ");
  CHECK(model.minute().denied.rates() == Rates{0, 0});
  type(model, "f");
  model.take(three_keys(4));
  CHECK(model.minute().denied.rates() == Rates{0, 0, 3, 3, 0, 0});
}

TEST_CASE("who_was_chosen_stays_so_wherever_it_goes_and_home_stays_on_top") {
  Model model{{}};
  model.take(three_keys());
  model.press({Input::down});
  CHECK(model.rows()[model.selected()].measure.name == "cid");
  Look look = three_keys(2);
  look.rows[2].measure.since = KeyCounts{0, 999};
  model.take(look);
  CHECK(names_of(model) == "cid ann bob ");
  CHECK(model.selected() == 0);
  model.press({Input::home});
  model.take(three_keys(4));
  CHECK(model.selected() == 0);
  CHECK(model.rows()[0].measure.name == "ann");
  model.press({Input::end});
  CHECK(model.selected() == 2);
  model.take(look_of({}, 6, 8));
  CHECK(model.selected() == 0);
}

TEST_CASE("pages_move_by_what_the_screen_has_room_for") {
  std::vector<Row> rows;
  for (std::uint64_t i = 0; i < 100; ++i)
    rows.push_back(row_of(i, "key" + std::to_string(i), {0, 1'000 - i}));
  Model model{{}};
  model.take(look_of(rows, 0, 1));
  model.set_room(10);
  model.press({Input::page_down});
  CHECK(model.selected() == 9);
  CHECK(model.first_on_screen() == 0);
  model.press({Input::page_down});
  CHECK(model.selected() == 18);
  CHECK(model.first_on_screen() == 9);
  model.press({Input::up});
  CHECK(model.first_on_screen() == 9);
  model.press({Input::page_up});
  CHECK(model.first_on_screen() == 8);
}

TEST_CASE("policies_are_chosen_in_turn_and_have_totals_of_their_own") {
  Model model{{}};
  model.take(three_keys());
  type(model, "p");
  CHECK(model.wish().policy == "api");
  CHECK(!model.since());
  Look look = three_keys(2);
  look.since_all = {50, 50};
  look.since_policy = {4, 2};
  model.take(look);
  CHECK(model.since()->allowed == 4);
  CHECK(model.minute().allowed.rates() == Rates{2, 2});
  type(model, "p");
  CHECK(model.wish().policy == "login");
  CHECK(names_of(model) == "");
  type(model, "p");
  CHECK(model.wish().policy == "");
  CHECK(model.since()->allowed == 50);
}

Event denial_of(const std::string& policy, const std::string& key) {
  Event event;
  event.kind = EventKind::denied;
  event.policy = policy;
  event.key = key;
  event.pid = 4'711;
  event.reason = Reason::limited;
  return event;
}

TEST_CASE("one_key_alone_has_its_rates_and_what_happened_to_it_and_to_nobody_else") {
  Model model{{}};
  Look look = three_keys();
  look.events = {denial_of("api", "ann"), denial_of("api", "bob"), denial_of("login", "ann")};
  model.take(look);
  model.press({Input::enter});
  CHECK(model.mode() == Mode::key);
  CHECK(model.wish().one == 1'001);
  const std::string text = text_of(page_of(model, {}, {30, 100}));
  CHECK(holds(text, "api ann"));
  CHECK(holds(text, "     20/s"));
  CHECK(model.events_of_one().size() == 1);
  CHECK(holds(text, "4711"));
  Look without = look_of({}, 2, 4);
  model.take(without);
  CHECK(holds(text_of(page_of(model, {}, {30, 100})), "it has no slot any more"));
  type(model, "q");
  CHECK(!model.is_over());
  CHECK(model.mode() == Mode::table);
  CHECK(model.wish().one == 0);
}

TEST_CASE("that_limits_are_off_is_loud_on_the_smallest_screen") {
  Model model{{}};
  Look look = three_keys();
  look.info.off_since = std::chrono::system_clock::time_point();
  model.take(look);
  for (const Size size : {Size{5, 20}, Size{24, 80}, Size{4, 30}}) {
    const Page page = page_of(model, {}, size);
    CHECK(holds(text_of(page), "LIMITS ARE OFF"));
  }
}

TEST_CASE("a_first_look_has_no_rates_and_does_not_say_nought") {
  Model model{{}};
  Look look = three_keys();
  look.has_rates = false;
  model.take(look);
  const std::string text = text_of(page_of(model, {}, {24, 80}));
  CHECK(holds(text, "      -/s"));
  CHECK(!holds(text, " 0/s"));
}

TEST_CASE("no_page_is_wider_or_higher_than_its_screen_and_none_obeys_a_key") {
  (void)std::setlocale(LC_CTYPE, "C.UTF-8");  // as rlctl does, for how wide a character is
  const std::string odd = "\x1b[2J日本語のキー" + std::string(1, '\n') +
                          "\xff\xc2\x9b"
                          "e\xcc\x81";
  std::vector<Row> rows{row_of(1, odd, {1, 2}, {3, 4}), row_of(2, "plain", {1, 2}),
                        row_of(3, std::string(31, 'w'), {std::uint64_t{1} << 47, 1})};
  rows[1].key.standing = Standing::ban;
  rows[1].key.until = Instant::max();
  rows[2].key.limit = rows[2].key.remaining = ~std::uint64_t{0};
  for (const Mode mode : {Mode::table, Mode::typing, Mode::key, Mode::help}) {
    Model model{{}};
    Look look = look_of(rows, 0, 1);
    look.info.name = odd;
    look.notice = odd;
    look.events = {denial_of("api", odd), denial_of("api", "plain")};
    look.rows[0].key.policy = odd;
    model.take(look);
    if (mode == Mode::typing) type(model, "/");
    if (mode == Mode::help) type(model, "?");
    if (mode == Mode::key) model.press({Input::enter});
    CHECK(model.mode() == mode);
    for (std::size_t lines = 0; lines < 40; ++lines) {
      for (std::size_t columns = 0; columns < 130; columns += columns < 30 ? 1 : 7) {
        CAPTURE(lines);
        CAPTURE(columns);
        const Page page = page_of(model, {}, {lines, columns});
        REQUIRE(page.size() <= std::max<std::size_t>(lines, 1));
        for (const Line& line : page) {
          const std::string text = line.text();
          REQUIRE(ctl::width_of(text) <= columns);
          for (const char c : text) REQUIRE((static_cast<unsigned char>(c) >= ' ' && c != 0x7f));
        }
      }
    }
  }
}

// --- a table

struct Walking {
  explicit Walking(const Scratch& scratch)
      : view(shm::Mapping::attach(scratch.path(), shm::Access::read_only, false), scratch.path()),
        walk(view) {}
  View view;
  TableWalk walk;
};

TEST_CASE("a_walk_finds_the_rates_that_calls_had_and_the_first_of_each_order") {
  Scratch scratch({.keys = 2'000, .clock = ClockSource::manual});
  Limiter api = scratch->limiter("api", Limit::parse("3/d"));
  std::mt19937_64 random(seed());
  INFO("seed ", seed());
  std::map<std::string, KeyCounts> since;
  const auto call = [&](int calls) {
    since.clear();
    for (int i = 0; i < calls; ++i) {
      const std::string key = "key" + std::to_string(random() % (1 + random() % 200));
      ++(api.try_acquire(key) ? since[key].allowed : since[key].denied);
    }
  };
  Walking walking(scratch);
  call(2'000);
  (void)walking.walk.walk({});
  call(2'000);
  Wish wish{.sort = Sort::key, .pattern = {}, .policy = {}, .rows = 1'000};
  const Walked walked = walking.walk.walk(wish);
  CHECK(walked.keys == walked.first.size());
  CHECK(walked.live == walked.keys);
  const std::size_t called = since.size();
  std::size_t found = 0;
  for (const Measure& measure : walked.first) {
    REQUIRE(measure.since);
    const KeyCounts expected = since[measure.name];
    CHECK(measure.since->allowed == expected.allowed);
    CHECK(measure.since->denied == expected.denied);
    found += expected.allowed + expected.denied != 0 ? 1U : 0U;
  }
  CHECK(found == called);
  for (const Sort sort : {Sort::denied, Sort::allowed, Sort::remaining, Sort::key}) {
    wish.sort = sort;
    wish.rows = 1'000;
    std::vector<Measure> all = walking.walk.walk(wish).first;
    CHECK(std::is_sorted(all.begin(), all.end(),
                         [&](const Measure& a, const Measure& b) { return is_above(a, b, sort); }));
    wish.rows = 7;
    const std::vector<Measure> seven = walking.walk.walk(wish).first;
    REQUIRE(seven.size() == 7);
    for (std::size_t i = 0; i < 7; ++i) CHECK(seven[i].identity == all[i].identity);
  }
}

TEST_CASE("a_walk_leaves_out_what_is_no_key_and_takes_only_what_is_wished_for") {
  Scratch scratch({.keys = 500, .clock = ClockSource::manual});
  Limiter api = scratch->limiter("api", Limit::parse("1/d ban_after=2/m ban=10m"));
  Limiter login = scratch->limiter("login", Limit::parse("5/d"));
  scratch->set_candidate("login", Limit::parse("1/d"));
  for (int i = 0; i < 2; ++i) (void)api.try_acquire("ann");  // has conduct, beside its slot
  (void)login.try_acquire("ann");                            // has a candidate's
  (void)login.try_acquire("bob");
  Walking walking(scratch);
  CHECK(walking.walk.walk({}).keys == 3);
  Wish wish;
  wish.policy = "login";
  const Walked of_login = walking.walk.walk(wish);
  CHECK(of_login.taken == 2);
  CHECK(of_login.keys == 2);
  CHECK(of_login.live == 2);
  wish.pattern = Pattern("b*");
  const Walked walked = walking.walk.walk(wish);
  REQUIRE(walked.first.size() == 1);
  CHECK(walked.first[0].name == "bob");
  CHECK(walked.first[0].left == doctest::Approx(0.8));
}

}  // namespace
}  // namespace rl::test
