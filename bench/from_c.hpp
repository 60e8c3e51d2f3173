/// \file
/// A decision as a program in C makes it: through librl.so, by a pointer that the loader filled in.
#pragma once

#include <dlfcn.h>
#include <rl/rl.h>

#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>

#include "bench/loops.hpp"

namespace rl::bench {

/// The functions of librl.so, beside the library that the benchmark is linked with: two copies of the
/// same code, on one segment.
class LibraryForC {
 public:
  /// Errors: std::runtime_error when it cannot be loaded.
  LibraryForC() {
    if (library_ == nullptr) throw std::runtime_error(::dlerror());
  }

  decltype(&librl_open) open = find<decltype(&librl_open)>("librl_open");
  decltype(&librl_close) close = find<decltype(&librl_close)>("librl_close");
  decltype(&librl_limiter) limiter = find<decltype(&librl_limiter)>("librl_limiter");
  decltype(&librl_limiter_free) free = find<decltype(&librl_limiter_free)>("librl_limiter_free");
  decltype(&librl_acquire) acquire = find<decltype(&librl_acquire)>("librl_acquire");

 private:
  // No dlclose: threads that have decided are known to it until the process ends.
  static inline void* const library_ = ::dlopen(RL_BENCH_LIBRL, RTLD_NOW | RTLD_LOCAL);

  template <class Function>
  static Function find(const char* name) {
    void* const at = library_ != nullptr ? ::dlsym(library_, name) : nullptr;
    if (at == nullptr) throw std::runtime_error(::dlerror());
    return reinterpret_cast<Function>(at);
  }
};

/// A policy of a segment, as C has it.
class LimiterForC {
 public:
  LimiterForC(const LibraryForC& library, const std::string& path, const char* policy)
      : library_(library) {
    librl_segment_t* segment = nullptr;
    const bool is_open = library_.open(path.c_str(), nullptr, &segment) == 0 &&
                         library_.limiter(segment, policy, nullptr, &limiter_) == 0;
    library_.close(segment);  // the limiter goes on
    if (!is_open) throw std::runtime_error("librl.so does not open the segment");
  }
  LimiterForC(const LimiterForC&) = delete;
  LimiterForC& operator=(const LimiterForC&) = delete;
  ~LimiterForC() { library_.free(limiter_); }

  [[nodiscard]] decltype(&librl_acquire) acquire() const noexcept { return library_.acquire; }
  [[nodiscard]] librl_limiter_t* get() const noexcept { return limiter_; }

 private:
  const LibraryForC& library_;
  librl_limiter_t* limiter_ = nullptr;
};

/// librl_acquire, one call a step, with its decision.
template <class Keys>
struct DecisionsFromC {
  librl_limiter_t* limiter;
  decltype(&librl_acquire) acquire;
  Keys keys;

  void start(unsigned round) {
    keys.start(round);
    if (!(*this)()) throw std::runtime_error("a row is not what it says it is");
    keys.start(round);
  }
  bool operator()() {
    const KeyText text(keys.next());
    librl_decision_t decision;
    decision.size = sizeof decision;  // all the rest is written
    return opaque(acquire)(limiter, text.view().data(), text.view().size(), 1, &decision) == 1 &&
           opaque(decision.remaining) != 0;
  }
};

}  // namespace rl::bench
