/// \file
/// What tests of events share: processes that are denied, and lines of JSON as a program reads them.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include "tests/support.hpp"

namespace rl::test {

/// A key that nothing may take as it is: a new line, a control byte, and one that is no UTF-8.
inline const std::string kOddKey("a\nb\x01\xff");
inline const std::string kOddKeyEscaped("a\\x0ab\\x01\\xff");

/// A process of its own that opens a segment and is denied under "api" with each of these keys, for
/// the first time: each brings an event. It has ended. Returns its process number.
inline pid_t be_denied(const std::string& segment, const std::vector<std::string>& keys) {
  Child worker([&] {
    Segment own = Segment::open(segment);
    Limiter api = own.limiter("api", Limit::per_day(1));
    for (const std::string& key : keys)
      if (!api.try_acquire(key) || api.try_acquire(key)) ::_exit(1);
  });
  const pid_t pid = worker.pid();
  REQUIRE(worker.wait() == 0);
  return pid;
}

using Json = nlohmann::json;

/// Reads lines of JSON; each must be whole.
inline std::vector<Json> json_lines(const std::string& text) {
  std::vector<Json> objects;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    CAPTURE(line);
    Json object = Json::parse(line, nullptr, false);
    REQUIRE(object.is_object());
    objects.push_back(std::move(object));
  }
  return objects;
}

/// Returns the keys of the denials among them, in order.
inline std::vector<std::string> denied_keys(const std::vector<Json>& objects) {
  std::vector<std::string> keys;
  for (const Json& object : objects)
    if (object["kind"] == "denied") keys.push_back(object["key"]);
  return keys;
}

/// Returns how many events are told to be missing.
inline std::uint64_t lost_of(const std::vector<Json>& objects) {
  std::uint64_t lost = 0;
  for (const Json& object : objects)
    if (object["kind"] == "lost") lost += object["count"].get<std::uint64_t>();
  return lost;
}

}  // namespace rl::test
