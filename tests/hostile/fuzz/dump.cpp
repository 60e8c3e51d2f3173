/// \file
/// Dumps, for libFuzzer: any lines, with sums that fit, as they stand, and behind the beginning of a
/// real dump. They are refused with a reason, or loaded.

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <rl/rl.hpp>

#include "tests/dumps.hpp"
#include "tests/hostile/scratch.hpp"

namespace {

constexpr const char* kHead =
    R"({"librl_dump":2,"keys":20,"pairs":5,"policies":9,"labels":true,"clock":"manual",)"
    R"("secret":"000102030405060708090a0b0c0d0e0f","off_unix_ns":7)";
constexpr const char* kPolicies[] = {
    R"({"policy":1,"name":"api","kind":"limit","limit":"1/s burst=9","interval_ns":1000000000)",
    R"({"policy":2,"name":"win","kind":"limit","limit":"sliding 9/m","interval_ns":6666666667)"};

/// Loads it, if it is one, into a segment that is like the dumped one.
void try_to_load(std::string_view text) {
  static const std::string name = rl::hostile::scratch_path();
  try {
    const rl::Dump dump = rl::test::read(text);
    rl::SegmentOptions options = dump.options();
    options.keys %= 50;  // which keeps it quick
    (void)dump.create(name, options, {.partial = true});
    (void)rl::test::dumped(rl::Segment::open(name));
  } catch (const rl::Error&) {
  }
  rl::Segment::remove(name);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  try_to_load(text);
  std::vector<std::string> bodies{kHead};
  bodies.insert(bodies.end(), std::begin(kPolicies), std::end(kPolicies));
  for (std::string& line : rl::test::lines_of(text)) {
    if (line.ends_with('\n')) line.pop_back();
    bodies.push_back(line);
  }
  bodies.push_back("{\"lines\":" + std::to_string(bodies.size() + 1));
  try_to_load(rl::test::sealed(bodies));
  return 0;
}
