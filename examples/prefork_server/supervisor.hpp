/// \file
/// The parent of a preforked server: keeps its workers alive, and ends them with itself.
#pragma once

#include <functional>

namespace examples {

/// Forks `workers` processes that run `work`, and one anew for each that ends, until SIGTERM or
/// SIGINT; then ends them all and returns. Prints each start and each end; `started` is called once
/// the first ones are there.
///
/// A worker that ends within a second of its start is followed by the next one only after a pause,
/// 100 ms at first and twice as long each time, up to 5 s.
void supervise(unsigned workers, const std::function<void()>& work,
               const std::function<void()>& started);

}  // namespace examples
