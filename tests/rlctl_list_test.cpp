// `rlctl list`: which keys, in which order, and what of them.
#include <algorithm>
#include <atomic>
#include <nlohmann/json.hpp>
#include <sstream>
#include <thread>

#include "tests/rlctl.hpp"

namespace rl::test {
namespace {

/// Keys of two policies: some denied, one banned, one allowed, one with a limit of its own.
struct Web : Made {
  Web() {
    policy("api", "1/s burst=3");
    policy("login", "1/h burst=5");
    ask("api", "user:1", 5);
    ask("api", "user:2", 2);
    ask("api", "user:3", 4);
    ask("login", "host", 1);
    const auto done = [&](Words words) { REQUIRE(rlctl(std::move(words)).exit_code == 0); };
    done({"ban", name(), "api", "bot", "--for", "ever"});
    done({"allow", name(), "api", "monitor"});
    done({"override", "set", name(), "login", "vip", "100/s"});
  }
  void ask(const char* policy, const char* key, int times) const {
    for (int i = 0; i < times; ++i) REQUIRE(rlctl({"acquire", name(), policy, key}).exit_code < 2);
  }
  [[nodiscard]] Ran list(std::initializer_list<std::string> options) const {
    Words words{"list", name()};
    words.insert(words.end(), options);
    return rlctl(words);
  }
  /// The keys that a condition takes, by name.
  [[nodiscard]] std::string where(const std::string& condition) const {
    const Ran ran = list({"--where", condition, "--sort", "key", "--columns", "key", "--json"});
    CHECK(ran.err == "");
    CHECK(ran.exit_code == 0);
    std::istringstream lines(ran.out);
    std::string keys;
    for (std::string line; std::getline(lines, line);)
      keys += nlohmann::json::parse(line).at("key").get<std::string>() + ' ';
    return keys;
  }
};

TEST_CASE("where_takes_the_keys_of_which_it_holds") {
  const Web web;
  CHECK(web.where("known") == "bot host monitor user:1 user:2 user:3 vip ");
  CHECK(web.where("denied>0 and policy=api") == "user:1 user:3 ");
  CHECK(web.where("denied > 1") == "user:1 ");
  CHECK(web.where("not denied > 1 and key ~ user:*") == "user:2 user:3 ");
  CHECK(web.where("state=banned or state=allowed") == "bot monitor ");
  CHECK(web.where("own_limit") == "vip ");
  CHECK(web.where("full_in=never") == "bot ");
  CHECK(web.where("full_in>5m and full_in<never") == "host ");
  CHECK(web.where("used>=2 and remaining<2") == "user:1 user:2 user:3 ");
  CHECK(web.where("policy != api and not (key=vip)") == "host ");
  CHECK(web.where("key=nobody") == "");
}

TEST_CASE("where_and_the_other_filters_take_what_all_of_them_take") {
  const Web web;
  const auto rows = [&](std::initializer_list<std::string> options) {
    return web.list(options).out;
  };
  CHECK(rows({"--where", "denied>0", "--match", "*3", "--columns", "key"}) == "key\nuser:3\n");
  CHECK(rows({"--where", "denied>0", "--policy", "login", "--columns", "key"}) == "key\n");
  CHECK(rows({"--where", "key~user:*", "--rows", "1", "--sort", "-key", "--columns", "key"}) ==
        "key\nuser:3\n");
}

TEST_CASE("columns_choose_what_is_printed") {
  const Web web;
  check_answer(web.list({"--columns", "denied,key,used,state", "--sort", "denied", "--rows", "3"}),
               0,
               "denied  key     used  state\n"
               "     2  user:1     3  live\n"
               "     1  user:3     3  live\n"
               "     0  bot        0  banned for ever\n");
  check_answer(
      web.list({"--columns", "denied,key,state", "--sort", "denied", "--rows", "2", "--json"}), 0,
      R"({"denied_count":2,"key":"user:1","state":"live"})"
      "\n"
      R"({"denied_count":1,"key":"user:3","state":"live"})"
      "\n");
}

TEST_CASE("sort_takes_every_field_and_the_other_way_round") {
  const Web web;
  const auto first = [&](const std::string& by) {
    const Ran ran = web.list({"--sort", by, "--rows", "1", "--columns", "key"});
    CHECK(ran.err == "");
    return ran.out;
  };
  CHECK(first("denied") == "key\nuser:1\n");
  CHECK(first("-denied") == "key\nbot\n");
  CHECK(first("-key") == "key\nvip\n");
  CHECK(first("used") == "key\nuser:1\n");
  CHECK(first("limit") == "key\nvip\n");
  CHECK(first("full_in") == "key\nbot\n");
  CHECK(first("-state") == "key\nbot\n");
  CHECK(first("-policy") == "key\nhost\n");
}

TEST_CASE("nothing_is_sorted_differently_for_being_cut") {
  const Web web;
  const std::string all = web.list({"--sort", "denied"}).out;
  std::string some = web.list({"--sort", "denied", "--rows", "1000"}).out;
  CHECK(some == all);
  CHECK(std::count(all.begin(), all.end(), '\n') == 8);
}

TEST_CASE("a_condition_on_keys_needs_keys_that_are_kept") {
  const Made segment({"--labels", "off"});
  segment.policy("api", "1/s");
  REQUIRE(rlctl({"acquire", segment.name(), "api", "k"}).exit_code == 0);
  check_error(rlctl({"list", segment.name(), "--where", "denied>0 or key=k"}), "keeps no labels");
  CHECK(rlctl({"list", segment.name(), "--where", "not known", "--columns", "key"}).out ==
        "key\n(unknown)\n");
}

TEST_CASE("heavy_has_no_condition_and_no_columns") {
  const Web web;
  check_error(web.list({"--heavy", "3", "--where", "denied>0"}), "--where");
  check_error(web.list({"--heavy", "3", "--columns", "key"}), "--columns");
}

TEST_CASE("that_limits_are_off_is_said_whatever_the_columns") {
  const Web web;
  REQUIRE(rlctl({"off", web.name()}).exit_code == 0);
  CHECK(web.list({"--columns", "key", "--where", "key=host"}).out.starts_with("LIMITS ARE OFF"));
  const std::string json = web.list({"--columns", "key", "--where", "key=host", "--json"}).out;
  CHECK(json.starts_with(R"({"key":"host","off_since":")"));
  CHECK(web.list({"--columns", "part", "--where", "key=host", "--json"})
            .out.starts_with(R"({"off_since":")"));
}

TEST_CASE("a_listing_reads_and_does_not_write") {
  const Web web;
  const std::string before = contents(web.path());
  CHECK(web.list({"--where", "denied>0", "--sort", "-used", "--columns", "key,own_limit"})
            .exit_code == 0);
  CHECK(contents(web.path()) == before);
}

TEST_CASE("a_listing_ends_well_when_its_reader_goes") {
  const std::string name = unique_name();
  const RemoveAtEnd end(name);
  Limiter limiter = Segment::create(name, {.keys = 20'000}).limiter("api", Limit::parse("1/h"));
  for (int i = 0; i < 20'000; ++i) (void)limiter.try_acquire("user:" + std::to_string(i));
  for (const char* form : {"", "--json"}) {
    CAPTURE(form);
    const Ran ran = shell("$RLCTL list " + name + " " + form + " | head -n 2");
    CHECK(std::count(ran.out.begin(), ran.out.end(), '\n') == 2);
    CHECK(ran.err == "");
    const Ran full = shell("$RLCTL list " + name + " " + form + " > /dev/full");
    CHECK(full.exit_code == 2);
    CHECK(full.err.find("writing to standard output") != full.err.npos);
  }
}

TEST_CASE("rows_that_change_while_they_are_read_are_whole_rows") {
  const std::string name = unique_name();
  const RemoveAtEnd end(name);
  const Segment segment = Segment::create(name, {.keys = 6'000});
  std::atomic<bool> is_over{false};
  std::atomic<std::uint64_t> calls{0};
  std::thread traffic([&] {
    Limiter limiter = Segment(segment).limiter("api", Limit::parse("1/h burst=500000"));
    // relaxed: says no more than "stop", and that there was traffic.
    for (std::uint64_t i = 0; !is_over.load(std::memory_order_relaxed); ++i) {
      (void)limiter.try_acquire("user:" + std::to_string(i * i % 5'003), 1 + i % 7);
      calls.fetch_add(1, std::memory_order_relaxed);
    }
  });
  const auto look = [&](std::initializer_list<std::string> options) {
    Words words{"list", name};
    words.insert(words.end(), options);
    return rlctl(words);
  };
  while (calls.load(std::memory_order_relaxed) < 50'000) std::this_thread::yield();
  const std::uint64_t before = calls.load(std::memory_order_relaxed);
  const Ran table = look({});
  const Ran sorted = look({"--sort", "denied", "--json"});
  const Ran json = look({"--json"});
  CHECK(calls.load(std::memory_order_relaxed) > before);
  is_over.store(true, std::memory_order_relaxed);
  traffic.join();
  std::istringstream lines(table.out);
  std::string line;
  std::getline(lines, line);
  CHECK(line.starts_with("policy  key "));
  std::size_t rows = 0;
  while (std::getline(lines, line)) {
    ++rows;
    REQUIRE(line.starts_with("api     user:"));
    REQUIRE(line.ends_with("  live   1/h burst=500000"));
    std::istringstream words(line);
    std::size_t count = 0;
    for (std::string word; words >> word;) ++count;
    REQUIRE((count == 11 || count == 13));  // 9 columns; a limit is two words, a time two or four
  }
  CHECK(rows > 1'000);
  for (const Ran* const ran : {&sorted, &json}) {
    std::istringstream objects(ran->out);
    std::size_t found = 0;
    for (; std::getline(objects, line); ++found) REQUIRE(nlohmann::json::accept(line));
    CHECK(found > 1'000);
  }
}

}  // namespace
}  // namespace rl::test
