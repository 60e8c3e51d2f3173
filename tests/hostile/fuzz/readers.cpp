/// \file
/// What looks into a segment, for libFuzzer: a header that holds, any bytes behind it. All readers
/// of the library, the verbs of rlctl that read, as text and as JSON, and decisions.

#include <unistd.h>

#include <array>

#include "tests/hostile/fuzz/patches.hpp"
#include "tests/hostile/scratch.hpp"
#include "tests/hostile/surface.hpp"
#include "tests/hostile/terminal.hpp"
#include "tools/rlctl/output.hpp"
#include "tools/rlctl/verbs.hpp"

namespace {
std::string written;
}

// Standard output, caught; and standard error, which here says only that a cost can never pass.
void rl::ctl::put(std::string_view text) {
  written += text;
}
void rl::ctl::complain(std::string_view) noexcept {}

namespace {

using rl::ctl::Arg;
using rl::ctl::Arguments;

void run(int (*verb)(const Arguments&), Arguments arguments, std::size_t lines_max) {
  for (const bool json : {false, true}) {
    if (json) arguments.set(Arg::json, "");
    written.clear();
    const auto error = rl::hostile::attempt([&] { (void)verb(arguments); });
    if (!error) rl::hostile::check_output(written, json, lines_max);
  }
}

/// One of eight ways to look, so that an input costs little and a fuzzer has much to choose from.
void read_with_rlctl(const std::string& path, unsigned way, std::size_t lines_max) {
  Arguments arguments;
  arguments.set(Arg::segment, path);
  constexpr std::array kOrders{"key", "allowed", "denied", "remaining"};
  if (way < kOrders.size()) {
    arguments.set(Arg::sort, kOrders[way]);
    arguments.set(Arg::rows, "7");
    arguments.set(Arg::match, "*");
    return run(rl::ctl::list, arguments, lines_max);
  }
  const std::string policy(rl::hostile::kPolicyNames[way % 3]);
  if (way < 7) {
    run(way == 4   ? rl::ctl::info
        : way == 5 ? rl::ctl::policy_list
                   : rl::ctl::list,
        arguments, lines_max);
    arguments.set(Arg::only_policy, policy);
    return run(rl::ctl::list, arguments, lines_max);
  }
  run(rl::ctl::clock, arguments, lines_max);
  arguments.set(Arg::policy, policy);
  arguments.set(Arg::key, rl::hostile::key_text(static_cast<int>(way % 3)));
  run(rl::ctl::peek, arguments, lines_max);
  run(rl::ctl::show, arguments, lines_max);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  using namespace rl;
  using namespace rl::hostile;
  listen();
  const Patches patches({data, size});
  const Patched patched = patches.apply(false);
  const std::string path = scratch_path();
  patched.forged.write_to(path);
  read_with_rlctl(path, patches.way(), patched.forged.geometry().pair_count * 8 + 20);
  Segment segment = Segment::open(path);
  look(segment);
  (void)attempt([&] {
    Limiter limiter = segment.limiter(kPolicyNames[size % 3], Limit::per_second(10));
    decide(limiter);
  });
  look(segment);
  ::unlink(path.c_str());
  return 0;
}
