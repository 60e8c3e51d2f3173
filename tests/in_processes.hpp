/// \file
/// The same work in several processes at once.
#pragma once

#include <doctest/doctest.h>

#include <cstddef>
#include <vector>

#include "tests/support.hpp"

namespace rl::test {

/// Runs `body(which)` in so many processes that begin together, and waits for them: none may throw.
template <class Body>
void in_processes(std::size_t count, Body&& body) {
  StartingGun gun;
  std::vector<Child> children;
  for (std::size_t which = 0; which < count; ++which) {
    children.emplace_back([&, which] {
      gun.wait();
      body(which);
    });
  }
  gun.fire();
  for (Child& child : children) REQUIRE(child.wait() == 0);
}

}  // namespace rl::test
