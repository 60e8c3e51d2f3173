// How `rlctl replay` reads the lines of logs: times, formats and keys, without a segment.
#include "tools/rlctl/replay/log_trace.hpp"

#include <doctest/doctest.h>

#include <string>
#include <string_view>
#include <vector>

#include "tests/written.hpp"

namespace rl::test {
namespace {

using ctl::CombinedLine;
using ctl::KeyChoice;
using ctl::LineRead;
using ctl::LineReader;
using ctl::LogEntry;
using ctl::LogFormat;
using ctl::NamedLine;

constexpr std::uint64_t kSecond = 1'000'000'000;
constexpr std::uint64_t kAt = 1'431'857'103 * kSecond;  // 17 May 2015, 10:05:03 UTC
constexpr std::string_view kLine =
    R"(83.149.9.216 - - [17/May/2015:10:05:03 +0000] "GET /a?b=c HTTP/1.1" 200 20 "-" "Mozilla/5.0")";

struct ReadLine {
  LineRead read = LineRead::other_format;
  std::uint64_t unix_ns = 0;
  std::string key;
  friend bool operator==(const ReadLine&, const ReadLine&) = default;
};

ReadLine read_with(LogFormat format, std::string_view key, std::string_view line,
                   const std::string& time = {}) {
  LineReader reader(format, KeyChoice::parse(key), time);
  LogEntry entry;
  const LineRead read = reader.read(line, entry);
  if (read != LineRead::entry) return {read, 0, {}};
  return {read, entry.unix_ns, std::string(entry.key)};
}

std::string key_of(LogFormat format, std::string_view key, std::string_view line) {
  const ReadLine read = read_with(format, key, line);
  CAPTURE(line);
  CHECK(read.read == LineRead::entry);
  CHECK(read.unix_ns == kAt);
  return read.key;
}

}  // namespace

TEST_CASE("times_of_the_common_log_format_are_read_with_their_zone") {
  CHECK(ctl::read_clf_time("17/May/2015:10:05:03 +0000") == kAt);
  CHECK(ctl::read_clf_time("17/May/2015:12:05:03 +0200") == kAt);
  CHECK(ctl::read_clf_time("17/May/2015:05:35:03 -0430") == kAt);
  CHECK(ctl::read_clf_time("16/May/2015:23:05:03 -1100") == kAt);
  CHECK(ctl::read_clf_time("17/May/2015:10:05:03.25 +0000") == kAt + kSecond / 4);
  CHECK(ctl::read_clf_time("29/Feb/2024:00:00:00 +0000") == 1'709'164'800 * kSecond);
  for (const char* wrong :
       {"", "17/May/2015:10:05:03", "17/May/2015:10:05:03 +00001", "17/May/2015:10:05:03 +9999",
        "31/Apr/2015:10:05:03 +0000", "29/Feb/2023:00:00:00 +0000", "17/may/2015:10:05:03 +0000",
        "17/ayJ/2015:10:05:03 +0000", "17/May/2015:24:00:00 +0000", "17/May/1969:10:05:03 +0000",
        "17/May/2200:10:05:03 +0000", "7/May/2015:10:05:03 +0000", "17/May/2015:10:05:03. +0000"}) {
    CAPTURE(wrong);
    CHECK(!ctl::read_clf_time(wrong));
  }
}

TEST_CASE("times_of_iso_8601_are_read_with_their_zone") {
  for (const char* text :
       {"2015-05-17T10:05:03Z", "2015-05-17 10:05:03", "2015-05-17T10:05:03+00:00",
        "2015-05-17T12:05:03+0200", "2015-05-17t06:05:03-04", "2015-05-17T10:05:03.000Z"}) {
    CAPTURE(text);
    CHECK(ctl::read_iso_time(text) == kAt);
  }
  CHECK(ctl::read_iso_time("2015-05-17 12:05:03 +0200") == kAt);
  CHECK(ctl::read_iso_time("2015-05-18T00:05:03+14:00") == kAt);
  CHECK(ctl::read_iso_time("2015-05-17T10:05:03,123456789Z") == kAt + 123'456'789);
  CHECK(ctl::read_iso_time("2015-05-17T10:05:03.1234567891Z") == kAt + 123'456'789);
  CHECK(ctl::read_iso_time("2016-12-31T23:59:60Z") == 1'483'228'800 * kSecond);
  for (const char* wrong :
       {"2015-05-17", "2015-05-17T10:05Z", "2015-13-17T10:05:03Z", "2015-05-17T10:05:03Zulu",
        "2015-05-17T10:05:61Z", "2015-05-17T10:05:03+1500", "2015-05-17T10:05:03+0060",
        "2015-05-17T10:05:03  +0200", "2015-05-17T10:05:03 "}) {
    CAPTURE(wrong);
    CHECK(!ctl::read_iso_time(wrong));
  }
}

TEST_CASE("numbers_since_the_epoch_are_seconds_or_what_their_length_says") {
  CHECK(ctl::read_epoch("1431857103") == kAt);
  CHECK(ctl::read_epoch("1431857103.5") == kAt + kSecond / 2);
  CHECK(ctl::read_epoch("1431857103.123456789012") == kAt + 123'456'789);
  CHECK(ctl::read_epoch("1431857103250") == kAt + kSecond / 4);
  CHECK(ctl::read_epoch("1431857103000.5") == kAt + 500'000);
  CHECK(ctl::read_epoch("1431857103000001") == kAt + 1'000);
  CHECK(ctl::read_epoch("1431857103000000001") == kAt + 1);
  for (const char* wrong :
       {"", ".5", "1.", "-1", "1e9", "99999999999999999999", "x", "4600000000"}) {
    CAPTURE(wrong);
    CHECK(!ctl::read_epoch(wrong));
  }
  CHECK(ctl::read_any_time("[17/May/2015:10:05:03 +0000]") == kAt);
}

TEST_CASE("the_last_time_that_was_read_is_remembered_and_an_empty_one_is_none") {
  ctl::ClfTimes times;
  CHECK(!times.read(""));
  CHECK(times.read("17/May/2015:10:05:03 +0000") == kAt);
  CHECK(times.read("17/May/2015:10:05:03 +0000") == kAt);
  CHECK(times.read("17/May/2015:10:05:04 +0000") == kAt + kSecond);
  CHECK(!times.read("17/May/2015:10:05:0"));
}

TEST_CASE("a_combined_line_has_all_its_parts") {
  const auto line = CombinedLine::from(
      R"(www.example.com:443 2001:db8::7 - jo [17/May/2015:10:05:03 +0000] )"
      R"("GET /a\"b?c HTTP/1.1" 404 0 "http://x/\\" "A \"B\" \x22" "10.0.0.1, 10.0.0.2" 0.5)");
  REQUIRE(line);
  CHECK(line->vhost == "www.example.com:443");
  CHECK(line->address == "2001:db8::7");
  CHECK(line->user == "jo");
  CHECK(line->time == "17/May/2015:10:05:03 +0000");
  CHECK(line->method() == "GET");
  CHECK(line->uri() == R"(/a\"b?c)");
  CHECK(line->path() == R"(/a\"b)");
  CHECK(line->status == "404");
  CHECK(line->referer == R"(http://x/\\)");
  CHECK(line->user_agent == R"(A \"B\" \x22)");
  CHECK(line->forwarded == "10.0.0.1, 10.0.0.2");
}

TEST_CASE("common_lines_and_odd_requests_are_read_too") {
  for (const char* text :
       {R"(1.2.3.4 - - [t] "GET / HTTP/1.0" 200 -)", R"(1.2.3.4 - - [t] "-" 408 -)",
        R"(1.2.3.4 - - [t] "" 400 0 "-" "-")", R"(1.2.3.4 - - [t] "\x16\x03" 400 157)",
        R"(1.2.3.4 - a b [t] "GET / HTTP/1.0" 200)", R"(host.example - - [t] "GET /" 200 1)"}) {
    CAPTURE(text);
    CHECK(CombinedLine::from(text));
  }
  CHECK(CombinedLine::from(R"(1.2.3.4 - a b [t] "GET / HTTP/1.0" 200)")->user == "a b");
  CHECK(CombinedLine::from(R"(1.2.3.4 - - [t] "-" 408 -)")->path() == "");
  CHECK(CombinedLine::from(R"(1.2.3.4 - - [t] "-" 408 -)")->method() == "");
}

TEST_CASE("a_virtual_host_may_be_an_address_itself") {
  const auto line = CombinedLine::from(R"(192.0.2.1 203.0.113.7 - jo [t] "GET / HTTP/1.0" 200 1)");
  REQUIRE(line);
  CHECK(line->vhost == "192.0.2.1");
  CHECK(line->address == "203.0.113.7");
  CHECK(line->user == "jo");
}

TEST_CASE("what_is_no_combined_line_is_told_from_one") {
  for (const char* text :
       {"", " ", "x", "[t]", "1.2.3.4 - - [t]", R"(1.2.3.4 - - [t] "GET)",
        R"(1.2.3.4 - - [t] "a\")", R"(1.2.3.4 - - [t] "a" 2000)", R"(1.2.3.4 - - [t] "a" 20x 1)",
        R"(1.2.3.4 - - [t] "a")", R"(1.2.3.4 - -[t] "a" 200 1)", R"(1.2.3.4 - - [t "a" 200 1)",
        R"( - - [t] "a" 200 1)"}) {
    CAPTURE(text);
    CHECK(!CombinedLine::from(text));
  }
}

TEST_CASE("an_address_counts_by_its_network_and_a_name_by_its_text") {
  const auto with = [](std::string_view address, std::string_view key) {
    return key_of(LogFormat::combined, key,
                  std::string(address) + R"( - - [17/May/2015:10:05:03 +0000] "GET /" 200 1)");
  };
  CHECK(with("203.0.113.7", "ip") == "203.0.113.7");
  CHECK(with("::ffff:203.0.113.7", "ip") == "203.0.113.7");
  CHECK(with("2001:DB8:1:2::7", "ip") == "2001:db8:1:2::/64");
  CHECK(with("2001:DB8:1:2::7", "ip/24") == "2001:db8:1:2::/64");
  CHECK(with("203.0.113.7", "ip/24") == "203.0.113.0/24");
  CHECK(with("203.0.113.7", "ip/48") == "203.0.113.7");
  CHECK(with("2001:DB8:1:2::7", "ip/48") == "2001:db8:1::/48");
  CHECK(with("2001:DB8:1:2::7", "ip/24/128") == "2001:db8:1:2::7");
  CHECK(with("crawler.example", "ip") == "crawler.example");
  for (const char* wrong : {"", "ip/", "ip/129", "ip/x", "ip/33/64", "ip/24/", "ip/24/48/1"}) {
    CAPTURE(wrong);
    CHECK_THROWS_AS(KeyChoice::parse(wrong), Error);
  }
}

TEST_CASE("an_address_is_found_in_front_of_a_port_and_first_in_a_row") {
  const auto with = [](const std::string& address) {
    return key_of(LogFormat::json, "ip", R"({"ts":1431857103,"remote_addr":")" + address + "\"}");
  };
  CHECK(with("1.2.3.4:5000") == "1.2.3.4");
  CHECK(with("1.2.3.4:5001") == "1.2.3.4");
  CHECK(with("[2001:db8::1]:443") == "2001:db8::/64");
  CHECK(with("[2001:db8::1]") == "2001:db8::/64");
  CHECK(with("1.2.3.4, 10.0.0.1") == "1.2.3.4");
  CHECK(with(" 2001:db8::2 , 10.0.0.1") == "2001:db8::/64");
  CHECK(with("crawler.example:80") == "crawler.example:80");
  CHECK(with("[") == "[");
}

TEST_CASE("requests_of_clients_without_an_address_are_counted_where_addresses_are_the_key") {
  const Written file(R"({"ts":1,"ip":"a.example"})"
                     "\n"
                     R"({"ts":1,"ip":"1.2.3.4:5"})"
                     "\n");
  const auto count = [&](std::string_view key) {
    return ctl::read_log({file.path(), {}, KeyChoice::parse(key), {}}).without_address;
  };
  CHECK(count("ip") == 1);
  CHECK(count("ts") == 0);
}

TEST_CASE("a_field_of_a_combined_log_can_be_the_key") {
  CHECK(key_of(LogFormat::combined, "path", kLine) == "/a");
  CHECK(key_of(LogFormat::combined, "uri", kLine) == "/a?b=c");
  CHECK(key_of(LogFormat::combined, "status", kLine) == "200");
  CHECK(key_of(LogFormat::combined, "user_agent", kLine) == "Mozilla/5.0");
  CHECK(key_of(LogFormat::combined, "http_user_agent", kLine) == "Mozilla/5.0");
  CHECK(read_with(LogFormat::combined, "user", kLine).read == LineRead::no_key);
  CHECK(read_with(LogFormat::combined, "referer", kLine).read == LineRead::no_key);
  CHECK_THROWS_AS(LineReader(LogFormat::combined, KeyChoice::parse("tenant"), {}), Error);
  CHECK_THROWS_AS(LineReader(LogFormat::combined, {}, "ts"), Error);
}

TEST_CASE("json_lines_are_read_by_the_usual_names_or_those_given") {
  const LogFormat json = LogFormat::json;
  CHECK(key_of(json, "ip", R"({"remote_addr":"10.0.0.1","msec":1431857103.000,"time":"x"})") ==
        "10.0.0.1");
  CHECK(key_of(json, "ip", R"( {"@timestamp" : "2015-05-17T10:05:03Z", "client_ip":"::1"} )") ==
        "::/64");
  CHECK(key_of(json, "ip", R"({"ts":1431857103,"request":{"x":["}"],"remote_ip":"10.0.0.2"}})") ==
        "10.0.0.2");
  CHECK(key_of(json, "user.id", R"({"time":"17/May/2015:10:05:03 +0000","user":{"id":42}})") ==
        "42");
  CHECK(key_of(json, "user", R"({"ts":1431857103,"user":"a\"\u00e9\/\ud83d\ude00\n"})") ==
        "a\"\xc3\xa9/\xf0\x9f\x98\x80\n");
  CHECK(read_with(json, "user", R"({"at":1431857103,"user":"a"})", "at") ==
        ReadLine{LineRead::entry, kAt, "a"});
  CHECK(read_with(json, "user", R"({"at":1431857103,"user":"a"})").read == LineRead::no_time);
  CHECK(read_with(json, "user", R"({"ts":1431857103,"user":null})").read == LineRead::no_key);
  CHECK(read_with(json, "user", R"({"ts":1431857103})").read == LineRead::no_key);
}

TEST_CASE("a_client_is_the_first_usual_name_that_names_somebody") {
  const auto of = [](const std::string& fields) {
    return key_of(LogFormat::json, "ip", R"({"ts":1431857103,)" + fields + "}");
  };
  CHECK(of(R"("client":{"ip":"1.2.3.4","port":5})") == "1.2.3.4");
  CHECK(of(R"("source":{"ip":"1.2.3.4"})") == "1.2.3.4");
  CHECK(of(R"("remote_addr":"-","client":{"name":"x"},"ClientHost":"1.2.3.4")") == "1.2.3.4");
  CHECK(of(R"("remote_addr":"","client_ip":null,"ip":"1.2.3.4")") == "1.2.3.4");
  CHECK(of(R"("client":["x"],"source.ip":"1.2.3.4")") == "1.2.3.4");
  const auto read = [](std::string_view key, std::string_view line) {
    return read_with(LogFormat::json, key, line).read;
  };
  CHECK(read("ip", R"({"ts":1,"client":{"name":"x"},"ip":null})") == LineRead::no_key);
  CHECK(read("user", R"({"ts":1,"user":{"id":1}})") == LineRead::no_key);
  CHECK(key_of(LogFormat::ltsv, "ip", "time:1431857103\tip:-\thost:1.2.3.4") == "1.2.3.4");
}

TEST_CASE("what_is_no_object_of_json_is_told_from_one") {
  for (const char* text :
       {"", "{", "[]", "{} x", R"({"a"})", R"({"a":})", R"({"a":1,})", R"({"a":1 "b":2})",
        R"({"a":"b)", R"({"a":{"b":1})", R"({a:1})", R"({"a\":1})", "1"}) {
    CAPTURE(text);
    NamedLine line;
    CHECK(!line.read_json(text));
    CHECK(line.fields().empty());
  }
  NamedLine line;
  CHECK(line.read_json("{}"));
  CHECK(line.read_json(R"({"a":[{"b":"]}"}],"c":{"d":{"e":"f"}}})"));
  CHECK(line.find("c.d.e")->value == "f");
  CHECK(!line.find("c.d.x"));
  CHECK(!line.find("c.d.e.f"));
}

TEST_CASE("ltsv_lines_are_read_by_the_usual_names") {
  const std::string line = "time:[17/May/2015:10:05:03 +0000]\thost:10.0.0.1\tua:a:b\tuser:-";
  CHECK(key_of(LogFormat::ltsv, "ip", line) == "10.0.0.1");
  CHECK(key_of(LogFormat::ltsv, "ua", line) == "a:b");
  CHECK(read_with(LogFormat::ltsv, "user", line).read == LineRead::no_key);
  CHECK(read_with(LogFormat::ltsv, "ip", "a b:c").read == LineRead::other_format);
  CHECK(read_with(LogFormat::ltsv, "ip", "abc").read == LineRead::other_format);
}

TEST_CASE("the_format_is_that_of_most_of_the_first_lines") {
  using Views = std::vector<std::string_view>;
  CHECK(ctl::guessed_format(Views{"# a heading", kLine, kLine}) == LogFormat::combined);
  CHECK(ctl::guessed_format(Views{R"({"ts":1431857103,"ip":"1.2.3.4"})"}) == LogFormat::json);
  CHECK(ctl::guessed_format(Views{"time:1431857103\thost:1.2.3.4"}) == LogFormat::ltsv);
  CHECK(ctl::guessed_format(Views{"x",
                                  "\x7f"
                                  "ELF"}) == std::nullopt);
  CHECK(ctl::guessed_format(Views{}) == std::nullopt);
  const Views named{R"({"at":1431857103,"ip":"1.2.3.4"})"};
  CHECK(ctl::guessed_format(named) == std::nullopt);
  CHECK(ctl::guessed_format(named, "at") == LogFormat::json);
  CHECK(ctl::guessed_format(Views{kLine}, "at") == LogFormat::combined);
}

TEST_CASE("what_is_left_out_is_counted_and_the_first_lines_are_kept") {
  std::string log = std::string(kLine) + "\nnonsense\n";
  log += R"(1.2.3.4 - - [yesterday] "GET /" 200 1)";
  log += "\n- - - [17/May/2015:10:05:03 +0000] \"GET /\" 200 1\n";
  for (int i = 0; i < 5; ++i) log += std::string(200, 'y') + "\n";
  const Written file(log);
  const ctl::LogTrace read = ctl::read_log({file.path(), LogFormat::combined, {}, {}});
  CHECK(read.trace.size() == 1);
  CHECK(read.left_out.of(LineRead::other_format) == 6);
  CHECK(read.left_out.of(LineRead::no_time) == 1);
  CHECK(read.left_out.of(LineRead::no_key) == 1);
  CHECK(read.left_out.unparsed() == 7);
  REQUIRE(read.left_out.first.size() == 3);
  CHECK(read.left_out.first[0].number == 2);
  CHECK(read.left_out.first[0].text == "nonsense");
  CHECK(read.left_out.first[2].number == 5);
  CHECK(read.left_out.first[2].text == std::string(80, 'y') + "...");
}

}  // namespace rl::test
