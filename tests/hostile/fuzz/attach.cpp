/// \file
/// Attaching, for libFuzzer: any bytes in place of the header's constants and all that follows, any
/// length of the file. It is refused with a reason, or everything is done to it.

#include "tests/hostile/fuzz/patches.hpp"
#include "tests/hostile/scratch.hpp"
#include "tests/hostile/surface.hpp"

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  using namespace rl::hostile;
  listen();
  const Patched patched = Patches({data, size}).apply(true);
  const std::string path = scratch_path();
  patched.forged.write_to(path, patched.file_bytes);
  (void)use_all(path);
  return 0;
}
