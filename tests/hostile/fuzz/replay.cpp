/// \file
/// Runs a fuzz target once on every file of its corpus, with any compiler and no fuzzer: what was
/// ever found stays found. Usage: replay_TARGET FOLDER
#include <cstdio>
#include <exception>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size);

namespace {

std::string read_whole(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

}  // namespace

int main(int argc, char** argv) {
  int tried = 0;
  int failed = 0;
  for (int i = 1; i < argc; ++i) {
    for (const auto& file : std::filesystem::directory_iterator(argv[i])) {
      const std::string bytes = read_whole(file.path());
      std::fprintf(stderr, "%s\n", file.path().c_str());  // the last one named is what crashed
      ++tried;
      try {
        LLVMFuzzerTestOneInput(reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size());
      } catch (const std::exception& e) {
        ++failed;
        std::printf("%s: %s\n", file.path().c_str(), e.what());
      }
    }
  }
  // As doctest says it, so that tools/count-tests counts each input as a case.
  std::printf("test cases: %d | %d passed | %d failed | 0 skipped\n", tried, tried - failed,
              failed);
  return failed == 0 && tried > 0 ? 0 : 1;
}
