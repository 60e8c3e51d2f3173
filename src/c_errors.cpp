// What went wrong, in numbers and in words; and the log.
#include <pthread.h>

#include <atomic>
#include <new>

#include <rl/error.hpp>
#include <rl/version.hpp>

#include "src/c_abi.hpp"

namespace rl::c {
namespace {

constexpr auto relaxed = std::memory_order_relaxed;

constexpr const char* kWords[] = {
    "no error",
    "an argument makes no sense",
    "no memory",
    "not a name",
    "not a limit",
    "an option is outside its range",
    "no such segment",
    "the name is taken",
    "not permitted",
    "not a segment",
    "another layout version",
    "made under another boot or time namespace",
    "the segment is corrupt",
    "no room",
    "no policy entry is free",
    "no such policy",
    "opened for reading",
    "not supported here",
    "a system call failed",
    "unexpected",
};
static_assert(std::size(kWords) == 1 - LIBRL_EUNEXPECTED);

int code_of(Errc code) noexcept {
  switch (code) {
    case Errc::bad_name:
      return LIBRL_EBAD_NAME;
    case Errc::bad_limit:
      return LIBRL_EBAD_LIMIT;
    case Errc::bad_option:
      return LIBRL_EBAD_OPTION;
    case Errc::not_found:
      return LIBRL_ENOT_FOUND;
    case Errc::exists:
      return LIBRL_EEXISTS;
    case Errc::permission:
      return LIBRL_EPERMISSION;
    case Errc::not_a_segment:
      return LIBRL_ENOT_A_SEGMENT;
    case Errc::wrong_version:
      return LIBRL_EWRONG_VERSION;
    case Errc::wrong_host:
      return LIBRL_EWRONG_HOST;
    case Errc::corrupt:
      return LIBRL_ECORRUPT;
    case Errc::no_space:
      return LIBRL_ENO_SPACE;
    case Errc::too_many:
      return LIBRL_ETOO_MANY;
    case Errc::unknown_policy:
      return LIBRL_EUNKNOWN_POLICY;
    case Errc::read_only:
      return LIBRL_EREAD_ONLY;
    case Errc::unsupported:
      return LIBRL_EUNSUPPORTED;
    case Errc::system:
      return LIBRL_ESYSTEM;
  }
  return LIBRL_EUNEXPECTED;
}

/// A thread's last error. The sentence is allocated: the room for variables of threads is short in a
/// program that loads the library when it runs.
struct Last {
  int code = 0;
  char* sentence =
      nullptr;  ///< null where there was no memory for it: the words of the code do then
};
constinit thread_local Last last;

/// Frees the sentence at the end of its thread. A key, and not a destructor: see shm/stripes.cpp.
constexpr pthread_key_t kNoKey = ~pthread_key_t{0};
std::atomic<pthread_key_t> end_key{kNoKey};

[[gnu::destructor]] void delete_key() noexcept {
  const pthread_key_t key = end_key.exchange(kNoKey, relaxed);
  if (key != kNoKey) ::pthread_key_delete(key);
}

void free_sentence(void* sentence) noexcept {
  last = {};
  delete[] static_cast<char*>(sentence);
}

/// Says whether the thread's end is told of a sentence, which may be null.
bool is_freed_at_end(const char* sentence) noexcept {
  pthread_key_t key = end_key.load(relaxed);
  if (key == kNoKey) {
    if (::pthread_key_create(&key, free_sentence) != 0) return false;
    // relaxed: the key says all.
    if (pthread_key_t first = kNoKey; !end_key.compare_exchange_strong(first, key, relaxed)) {
      ::pthread_key_delete(key);  // another thread was first
      key = first;
    }
  }
  return ::pthread_setspecific(key, sentence) == 0;
}

/// Who reads the log; the context goes with rl::set_log.
std::atomic<librl_log_fn> log_fn{nullptr};

void log_to_c(Severity severity, std::string_view line, void* context) noexcept {
  const librl_log_fn fn = log_fn.load(relaxed);
  if (fn == nullptr) return;
  try {
    fn(severity == Severity::warning ? 1 : 0, line.data(), line.size(), context);
  } catch (...) {  // from a program in C++; a decision must not end in it
  }
}

}  // namespace

int fail(int code, std::string_view sentence) noexcept {
  delete[] std::exchange(last.sentence, nullptr);
  last.code = code;
  auto* const kept = new (std::nothrow) char[sentence.size() + 1];
  if (kept != nullptr) kept[sentence.copy(kept, sentence.size())] = '\0';
  if (is_freed_at_end(kept)) {
    last.sentence = kept;
  } else {
    delete[] kept;
  }
  return code;
}

int fail_by_exception() noexcept {
  try {
    throw;
  } catch (const Error& e) {
    return fail(code_of(e.code()), e.what());
  } catch (const std::bad_alloc&) {
    return fail(LIBRL_ENOMEM, "no memory; free some, or raise the limit of this process");
  } catch (const std::exception& e) {
    return fail(LIBRL_EUNEXPECTED, e.what());
  } catch (...) {
    return fail(LIBRL_EUNEXPECTED, "something was thrown that is no error of this library");
  }
}

}  // namespace rl::c

const char* librl_version() {
  return RL_VERSION;
}

const char* librl_strerror(int code) {
  if (code > 0) return "no error";
  if (code < LIBRL_EUNEXPECTED) return "no code of this library";
  return rl::c::kWords[-code];
}

const char* librl_last_error() {
  using rl::c::last;
  if (last.code == 0) return "";
  return last.sentence != nullptr ? last.sentence : librl_strerror(last.code);
}

const char* librl_reason(int reason) {
  if (reason < LIBRL_OK || reason > LIBRL_OFF) return "?";
  return rl::to_string(static_cast<rl::Reason>(reason)).data();  // a literal, so it ends in a zero
}

void librl_set_log(librl_log_fn fn, void* context) {
  rl::c::log_fn.store(fn, rl::c::relaxed);  // relaxed: rl::set_log publishes it with the context
  rl::set_log(fn != nullptr ? &rl::c::log_to_c : nullptr, context);
}
