#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include <doctest/doctest.h>

#include "tests/support.hpp"

void rl::test::skip(std::string_view why) {
  MESSAGE("SKIPPED: ", std::string(why));
}
