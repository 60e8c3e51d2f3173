#include <functional>
#include <random>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include <rl/error.hpp>

#include "tests/support.hpp"
#include "tools/rlctl/where.hpp"

namespace rl::ctl {
namespace {

using std::chrono::nanoseconds;

KeyInfo user_42() {
  KeyInfo row;
  row.policy = "api";
  row.key = "user:42";
  row.allowed_count = 1'000;
  row.denied_count = 150;
  row.limit = 200;
  row.remaining = 80;
  row.reset_after = nanoseconds(3'000'000'000);
  row.idle = false;
  return row;
}

bool holds(std::string_view text, const KeyInfo& row = user_42()) {
  return Where(text)(row);
}

std::string error_of(std::string_view text) {
  try {
    const Where where(text);
  } catch (const Error& e) {
    CHECK(e.code() == Errc::bad_option);
    return e.what();
  }
  return "no error";
}

struct Case {
  const char* text;
  bool is_true;
};

TEST_CASE("each_field_is_compared_as_what_it_is") {
  for (const auto& [text, is_true] : {
           Case{"policy=api", true},
           Case{"policy!=api", false},
           Case{"policy~a*", true},
           Case{"policy ~ '?pi'", true},
           Case{"key=user:42", true},
           Case{"key ~ user:*", true},
           Case{"key~user:[0-3]*", false},
           Case{"key != user:4", true},
           Case{"known", true},
           Case{"known=no", false},
           Case{"truncated", false},
           Case{"not truncated", true},
           Case{"allowed=1000", true},
           Case{"allowed=1k", true},
           Case{"allowed<1k", false},
           Case{"allowed<=1k", true},
           Case{"allowed>=1001", false},
           Case{"allowed < 1M", true},
           Case{"denied>149", true},
           Case{"denied>150", false},
           Case{"denied>=150", true},
           Case{"denied!=150", false},
           Case{"used=120", true},
           Case{"remaining=80", true},
           Case{"limit=200", true},
           Case{"full_in=3s", true},
           Case{"full_in>2999ms", true},
           Case{"full_in<5m", true},
           Case{"full_in=now", false},
           Case{"full_in<never", true},
           Case{"state=live", true},
           Case{"state!=live", false},
           Case{"state=banned", false},
           Case{"part=key", true},
           Case{"part=permit", false},
           Case{"holder=0", true},
           Case{"own_limit", false},
           Case{"own_limit=no", true},
           Case{"own_limit != yes", true},
       }) {
    CAPTURE(text);
    CHECK(holds(text) == is_true);
  }
}

TEST_CASE("not_binds_closer_than_and_and_that_closer_than_or") {
  constexpr const char* kYes = "denied>0";
  constexpr const char* kNo = "denied<0";
  const auto put = [&](std::string text) {  // Y and N stand for what is true and what is not
    for (const auto& [letter, condition] : {std::pair{'Y', kYes}, {'N', kNo}})
      for (std::size_t at = 0; (at = text.find(letter, at)) != text.npos;)
        text.replace(at, 1, condition);
    return text;
  };
  for (const auto& [text, is_true] :
       {Case{"Y or Y and N", true}, Case{"(Y or Y) and N", false}, Case{"N and N or Y", true},
        Case{"N and (N or Y)", false}, Case{"not N and N", false}, Case{"not (N and N)", true},
        Case{"not Y or Y", true}, Case{"not (Y or Y)", false}, Case{"not not Y", true},
        Case{"not not not Y", false}, Case{"Y and Y and N", false}, Case{"N or N or Y", true},
        Case{"((((Y))))", true}, Case{"(Y)and(Y)", true}, Case{"not(Y)", false}}) {
    CAPTURE(text);
    CHECK(holds(put(text)) == is_true);
  }
}

TEST_CASE("white_space_between_words_is_free") {
  for (const char* text : {"denied>100 and policy=api", " denied > 100\tand\n policy = api ",
                           "denied>100 and policy='api'", "(denied>100)and(policy=\"api\")"}) {
    CAPTURE(text);
    CHECK(holds(text));
  }
}

TEST_CASE("texts_are_compared_as_they_are_shown") {
  KeyInfo row = user_42();
  const auto has_key = [&](std::string key, std::string_view text) {
    row.key = std::move(key);
    return holds(text, row);
  };
  CHECK(has_key("a b", "key='a b'"));
  CHECK(has_key("a=b", "key=\"a=b\""));
  CHECK(has_key("it's", "key=\"it's\""));
  CHECK(has_key("it's", "key='it''s'"));
  CHECK(has_key("a\"b", "key=\"a\"\"b\""));
  CHECK(has_key("", "key=''"));
  CHECK(has_key("'", "key=''''"));
  CHECK(has_key("and", "key='and'"));
  CHECK(has_key("\x1b[31m", "key=\\x1b[31m"));
  CHECK(has_key("a\\b", "key=a\\\\b"));
  CHECK(has_key("\xff", "key ~ '\\xf?'"));
  CHECK(has_key("caf\xc3\xa9", "key=caf\xc3\xa9"));
  CHECK(has_key("caf\xc3\xa9", "key~c*\xc3\xa9"));
  CHECK(has_key("2001:db8::1", "key=2001:db8::1"));
  CHECK(has_key("*", "key=*"));
  CHECK_FALSE(has_key("x", "key=*"));
  row.policy = "a b";
  CHECK(holds("policy='a b'", row));
}

TEST_CASE("a_key_that_nobody_knows_equals_nothing") {
  KeyInfo row = user_42();
  row.key.reset();
  CHECK_FALSE(holds("key=''", row));
  CHECK_FALSE(holds("key=user:42", row));
  CHECK_FALSE(holds("key~*", row));
  CHECK(holds("key!=user:42", row));
  CHECK(holds("not known", row));
}

TEST_CASE("a_key_that_stands_apart_has_a_state_of_its_own") {
  KeyInfo row = user_42();
  row.idle = true;
  CHECK(holds("state=idle", row));
  row.standing = Standing::allow;
  CHECK(holds("state=allowed", row));
  row.standing = Standing::override_;
  row.own_limit = Limit::per_second(1);
  CHECK(holds("state=override and own_limit", row));
  row.standing = Standing::ban;
  CHECK(holds("state=banned and full_in=3s and full_in!=never", row));
  row.until = Instant::max();
  CHECK(holds("state=banned and full_in=never and full_in>5m", row));
}

TEST_CASE("what_is_left_above_the_limit_is_nothing_used") {
  KeyInfo row = user_42();
  row.remaining = 300;
  CHECK(holds("used=0", row));
}

TEST_CASE("parts_and_holders_of_permits_are_found") {
  KeyInfo row = user_42();
  row.part = SlotPart::permit;
  row.holder_pid = 4'242;
  CHECK(holds("part=permit and holder=4242", row));
  CHECK(holds("part!=key and holder>0", row));
}

TEST_CASE("it_knows_what_it_asks_for") {
  CHECK(Where("denied>1 and not (key=x or state=live)").asks_for(KeyField::key));
  CHECK_FALSE(Where("denied>1 and not (policy=x or state=live)").asks_for(KeyField::key));
}

TEST_CASE("an_error_says_where_and_what_to_do") {
  struct Wrong {
    std::string text;
    const char* sentence;
  };
  for (const auto& [text, sentence] : std::vector<Wrong>{
           {"", "--where: at 1: nothing is asked; give a condition such as denied>100"},
           {"  ", "--where: at 1: nothing is asked; give a condition such as denied>100"},
           {"denied>100 and polcy=api",
            "--where: at 16: no field is named \"polcy\"; did you mean \"policy\"?"},
           {"x>1",
            "--where: at 1: no field is named \"x\"; the fields are policy, key, known, truncated, "
            "allowed, denied, used, remaining, limit, full_in, state, part, holder, own_limit"},
           {"denied",
            "--where: at 7: the end where a comparison of denied, such as = or !=, should "
            "stand"},
           {"denied>", "--where: at 8: the end where what denied is compared with should stand"},
           {"denied>x", "--where: at 8: denied \"x\": give a whole number, such as 500, 64k or 1M"},
           {"denied>-1",
            "--where: at 8: denied \"-1\": give a whole number, such as 500, 64k or 1M"},
           {"denied>99999999999999999999",
            "--where: at 8: denied 99999999999999999999: that number is too large"},
           {"full_in>3",
            "--where: at 9: full_in \"3\": give a duration, such as 90s: a whole number and ns, "
            "us, "
            "ms, s, m, h or d"},
           {"denied~1", "--where: at 7: denied is a number; compare it with =, !=, <, <=, > or >="},
           {"key<x", "--where: at 4: key is a text; compare it with =, != or ~"},
           {"state>idle", "--where: at 6: state is one of a few words; compare it with = or !="},
           {"state=bannd", "--where: at 7: state is never \"bannd\"; did you mean \"banned\"?"},
           {"state=1",
            "--where: at 7: state is never \"1\"; it is one of idle, live, override, allowed, "
            "banned"},
           {"known=maybe", "--where: at 7: known is never \"maybe\"; it is one of no, yes"},
           {"denied>1 policy=api",
            "--where: at 10: \"policy\" where and, or, or the end should "
            "stand"},
           {"denied>1 and", "--where: at 13: the end where a field should stand"},
           {"and",
            "--where: at 1: no field is named \"and\"; the fields are policy, key, known, "
            "truncated, allowed, denied, used, remaining, limit, full_in, state, part, "
            "holder, own_limit"},
           {"(denied>1", "--where: at 1: a \"(\" that has no end"},
           {"(denied>1 denied>2)",
            "--where: at 11: \"denied\" where and, or, or \")\" should stand"},
           {"denied>1)", "--where: at 9: a \")\" that has no beginning"},
           {"()", "--where: at 2: \")\" where a field should stand"},
           {"'key'=x", "--where: at 1: \"key\" where a field should stand"},
           {"key='x", "--where: at 5: a quote that has no end"},
           {"key=and",
            "--where: at 5: \"and\" joins conditions; put a text that is called so in "
            "quotes"},
           {"key='a\tb'",
            "--where: at 5: a control byte, which no text is shown with; write what a listing "
            "shows in its place"},
           {"denied==1", "--where: at 7: \"==\" means nothing here; write ="},
           {"denied<>1", "--where: at 7: \"<>\" means nothing here; write !="},
           {"denied=>1", "--where: at 7: \"=>\" means nothing here; write >="},
           {"key=~x", "--where: at 4: \"=~\" means nothing here; write ~"},
           {"key!~x", "--where: at 4: \"!~\" means nothing here; write not FIELD ~ GLOB"},
           {"!known", "--where: at 1: \"!\" means nothing here; write not, or !="},
           {"known && known", "--where: at 7: \"&&\" means nothing here; write and"},
           {"(known || known)", "--where: at 8: \"||\" means nothing here; write or"},
           {"key=\xc3\xa9 xor known",
            "--where: at 7: \"xor\" where and, or, or the end should "
            "stand"},
           {std::string(50, 'x'),
            "--where: at 1: no field is named \"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx...\"; the "
            "fields are policy, key, known, truncated, allowed, denied, used, remaining, limit, "
            "full_in, state, part, holder, own_limit"},
       }) {
    CAPTURE(text);
    CHECK(error_of(text) == sentence);
  }
}

TEST_CASE("nesting_has_an_end_before_the_stack_has") {
  const auto nested = [](std::size_t depth, const char* open, const char* close) {
    std::string text;
    for (std::size_t i = 0; i < depth; ++i) text += open;
    text += "known";
    for (std::size_t i = 0; i < depth; ++i) text += close;
    return text;
  };
  CHECK(holds(nested(63, "(", ")")));
  CHECK_FALSE(holds(nested(63, "not ", "")));
  for (const std::size_t depth : {64UL, 1'000'000UL}) {
    CHECK(error_of(nested(depth, "(", ")")) ==
          "--where: at 65: more than 64 within each other; say it flatter");
    CHECK(error_of(nested(depth, "not ", "")) ==
          "--where: at 257: more than 64 within each other; say it flatter");
  }
}

TEST_CASE("a_list_may_be_as_long_as_the_command_line") {
  std::string text = "denied=0";
  for (int i = 0; i < 20'000; ++i) text += " or denied=" + std::to_string(1'000 + i);
  CHECK_FALSE(holds(text));
  CHECK(holds(text + " or denied=150"));
}

/// A random condition beside what it means.
struct Meant {
  std::string text;
  bool is_true;
};

Meant random_condition(std::mt19937_64& random, const KeyInfo& row, int depth) {
  const auto below = [&](std::uint64_t end) { return random() % end; };
  const std::uint64_t kind = depth == 0 ? 0 : below(5);
  if (kind == 0) {
    const std::uint64_t number = below(4);
    switch (below(6)) {
      case 0:
        return {"denied<" + std::to_string(number), row.denied_count < number};
      case 1:
        return {"denied<=" + std::to_string(number), row.denied_count <= number};
      case 2:
        return {"denied > " + std::to_string(number), row.denied_count > number};
      case 3:
        return {"denied>=" + std::to_string(number), row.denied_count >= number};
      case 4:
        return {"key=k" + std::to_string(number), row.key == "k" + std::to_string(number)};
      default:
        return {"key!='k" + std::to_string(number) + "'", row.key != "k" + std::to_string(number)};
    }
  }
  if (kind == 1) {
    const Meant inner = random_condition(random, row, depth - 1);
    return {"not (" + inner.text + ")", !inner.is_true};
  }
  const bool is_and = kind % 2 == 0;
  Meant all{"", is_and};
  for (std::uint64_t i = 0, count = 2 + below(2); i < count; ++i) {
    const Meant inner = random_condition(random, row, depth - 1);
    all.text += (i == 0 ? "" : is_and ? " and " : " or ") + ("(" + inner.text + ")");
    all.is_true = is_and ? all.is_true && inner.is_true : all.is_true || inner.is_true;
  }
  return all;
}

TEST_CASE("random_conditions_mean_what_they_say") {
  const std::uint64_t seed = test::seed();
  INFO("seed " << seed);
  std::mt19937_64 random(seed);
  int true_ones = 0;
  for (int i = 0; i < 5'000; ++i) {
    KeyInfo row;
    row.denied_count = random() % 4;
    row.key = "k" + std::to_string(random() % 4);
    const Meant meant = random_condition(random, row, 3);
    CAPTURE(meant.text);
    REQUIRE(holds(meant.text, row) == meant.is_true);
    true_ones += meant.is_true ? 1 : 0;
  }
  CHECK(true_ones > 500);
  CHECK(true_ones < 4'500);
}

}  // namespace
}  // namespace rl::ctl
