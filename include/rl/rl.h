/**
 * \file
 * The library for C, and for whatever calls C: limits that all processes of a host share.
 *
 *     librl_segment_t *segment;
 *     librl_limiter_t *api;
 *     if (librl_open("web", NULL, &segment) != 0 ||
 *         librl_limiter(segment, "api", "100/s burst=200", &api) != 0)
 *       die(librl_last_error());
 *     ...
 *     if (librl_acquire(api, ip, strlen(ip), 1, NULL) == 0) reply_429();
 *
 * Each function is one of the C++ library (rl/limiter.hpp, rl/segment.hpp, rl/keys.hpp,
 * rl/http.hpp), whose words on accuracy and progress hold here; what is said here is what differs.
 *
 * Names begin with librl_ and LIBRL_; what begins with rl_ is readline's.
 *
 * Return values: a function that decides returns 1 (allowed), 0 (denied) or a negative code; what
 * sets up returns 0 or a negative code. A code is from LIBRL_E...; librl_strerror() has words for
 * it, librl_last_error() the sentence with what failed, with what, and what to do. No C++ exception
 * leaves the library: memory that is not to be had is LIBRL_ENOMEM. A null pointer where something is
 * needed is LIBRL_EINVALID, and never the end of the program. errno says nothing after a call.
 *
 * Units: durations in nanoseconds; counts are calls of cost 1; sizes in bytes. Keys are any bytes
 * with a size and need no zero at the end; one of more than PTRDIFF_MAX bytes (-1 that became a size)
 * is none. Names and limits are strings that have a zero at the end.
 *
 * Growth: a structure begins with its size, which the INIT macro of its name sets. The library
 * reads and writes that much of it and no more, so a program goes on with a newer library as it was
 * compiled; what an older one does not know is left as the program had it (and refused as
 * LIBRL_EINVALID in what is passed in, unless it is zero). A size that is none is LIBRL_EINVALID, and
 * nothing is charged then.
 *
 * Threads and processes: a segment and a limiter may be used by any number of threads at once, and
 * in a forked child as before; a permit by one thread at a time, and it is its process's alone.
 * A thread must not be cancelled (pthread_cancel) in a call: that ends the program.
 * Handles are freed by nobody else: librl_close() and librl_limiter_free() in any order, when no
 * call on that handle is under way.
 */
#ifndef RL_RL_H
#define RL_RL_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define LIBRL_API __attribute__((visibility("default")))
#else
#define LIBRL_API
#endif

/** The version of this header; librl_version() has the library's. */
#define LIBRL_VERSION "0.1.0"

typedef struct librl_segment librl_segment_t; /**< a handle on a segment */
typedef struct librl_limiter_s
    librl_limiter_t;                        /**< a policy of it, or a list of some, to be asked */
typedef struct librl_permit librl_permit_t; /**< a permit of a concurrency limit */

/** What went wrong; returned as they are, all below zero. Numbers are for ever. */
enum {
  LIBRL_EINVALID = -1,    /**< an argument that makes no sense: a null handle, an empty key, a cost
                                   of 0, a call that the limit does not take; or a read-only segment */
  LIBRL_ENOMEM = -2,      /**< no memory for a handle */
  LIBRL_EBAD_NAME = -3,   /**< a name that no segment or policy can have */
  LIBRL_EBAD_LIMIT = -4,  /**< a limit that does not parse or cannot be represented */
  LIBRL_EBAD_OPTION = -5, /**< an option outside its range */
  LIBRL_ENOT_FOUND = -6,  /**< no segment under that name */
  LIBRL_EEXISTS = -7,     /**< the name is taken */
  LIBRL_EPERMISSION = -8, /**< the file may not be opened, or its owner is not trusted */
  LIBRL_ENOT_A_SEGMENT = -9,  /**< the file is something else */
  LIBRL_EWRONG_VERSION = -10, /**< another layout */
  LIBRL_EWRONG_HOST = -11,    /**< made under another boot or time namespace */
  LIBRL_ECORRUPT = -12,       /**< cut short, or with fields that contradict each other */
  LIBRL_ENO_SPACE = -13,      /**< no room in the memory for the table, or in the table for a key */
  LIBRL_ETOO_MANY = -14,      /**< no policy entry is free */
  LIBRL_EUNKNOWN_POLICY = -15,
  LIBRL_EREAD_ONLY = -16,
  LIBRL_EUNSUPPORTED = -17, /**< this CPU or kernel lacks something */
  LIBRL_ESYSTEM = -18,      /**< another system call failed; the sentence has which */
  LIBRL_EUNEXPECTED = -19   /**< anything else; the sentence has what */
};

/** Why a call was allowed or denied; the words of rlctl are librl_reason()'s. */
enum {
  LIBRL_OK = 0,          /**< allowed by the limit */
  LIBRL_LIMITED = 1,     /**< denied: come back after retry_after_ns */
  LIBRL_NEVER = 2,       /**< denied: the cost is above what may pass at once */
  LIBRL_BANNED = 3,      /**< denied: the key is banned */
  LIBRL_OVERRIDE = 4,    /**< decided by a limit of the key's own, or as it is on the allow-list */
  LIBRL_SHADOW = 5,      /**< allowed, though the limit would deny: it only watches */
  LIBRL_FULL = 6,        /**< no room in the table: the policy's when_full decided */
  LIBRL_UNAVAILABLE = 7, /**< the segment cannot be used; allowed or denied by on_failure */
  LIBRL_INVALID = 8,     /**< the call made no sense */
  LIBRL_OFF = 9          /**< allowed: limits are switched off, or the policy was removed */
};

/** Stands for "at no time" in retry_after_ns. */
#define LIBRL_NEVER_NS INT64_MAX

/** The answer to a call. */
typedef struct librl_decision {
  uint32_t size;      /**< sizeof(librl_decision_t) */
  int32_t allowed;    /**< 1 or 0 */
  int32_t reason;     /**< LIBRL_OK and so on */
  uint32_t policy;    /**< the id of the policy that decided */
  uint64_t limit;     /**< the most that may pass at once */
  uint64_t remaining; /**< how much of that is left */
  int64_t
      retry_after_ns; /**< until the same call can pass: true; LIBRL_NEVER_NS when it never can */
  int64_t reset_after_ns; /**< until the key is as good as new */
  int64_t wait_ns;        /**< how long an admitted call has to wait before it goes ahead */
  int64_t at_ns;          /**< of librl_reserve: the instant, on the segment's clock */
  uint64_t which;   /**< of a list, and of librl_acquire_all: the index of the one that decided */
  uint64_t cost;    /**< for librl_refund and librl_settle: what was charged */
  uint64_t charged; /**< and the state it left; 0 when nothing is to be given back */
} librl_decision_t;
#define LIBRL_DECISION_INIT \
  { sizeof(librl_decision_t), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 }

/** How librl_open() opens. */
enum {
  LIBRL_OPEN_OR_CREATE = 0, /**< attaches, or makes the segment if there is none */
  LIBRL_OPEN_EXISTING = 1,  /**< only attaches */
  LIBRL_CREATE = 2,         /**< only makes it */
  LIBRL_OPEN_READ_ONLY = 3, /**< attaches for librl_peek() and the like */
  LIBRL_OPEN_PRIVATE = 4    /**< a segment of this process alone, without a name; for tests */
};

/** What is done without a segment; see rl/fallback.hpp. Of LIBRL_OPEN_OR_CREATE only. */
enum {
  LIBRL_FAIL_OPEN_CALL = 0, /**< librl_open() fails */
  LIBRL_FAIL_ALLOW = 1,     /**< calls pass, uncounted, until the segment is there */
  LIBRL_FAIL_DENY = 2,      /**< none passes until then */
  LIBRL_FAIL_LOCAL = 3      /**< this process keeps the limits alone, divided by `share` */
};

enum {
  LIBRL_NO_LABELS = 1,  /**< do not keep the text of keys */
  LIBRL_ANY_OWNER = 2,  /**< accept a segment whose owner is neither this user nor root */
  LIBRL_SMALL_PAGES = 4 /**< HugePages::never */
};

enum {
  LIBRL_CLOCK_AUTO = 0,
  LIBRL_CLOCK_TSC = 1,
  LIBRL_CLOCK_BOOTTIME = 2,
  LIBRL_CLOCK_MANUAL = 3
};

/** How a segment is opened, or made; 0 and NULL stand for the defaults of rl::SegmentOptions. */
typedef struct librl_options {
  uint32_t size;       /**< sizeof(librl_options_t) */
  uint32_t open;       /**< LIBRL_OPEN_... */
  uint32_t on_failure; /**< LIBRL_FAIL_... */
  uint32_t flags;      /**< LIBRL_NO_LABELS | LIBRL_ANY_OWNER | LIBRL_SMALL_PAGES */
  uint64_t share;      /**< of LIBRL_FAIL_LOCAL: how many processes there are; 0: 1 */
  uint64_t keys;       /**< room for so many at the same time; 0: 65,536 */
  uint32_t mode;       /**< of the file; 0: 0600 */
  uint32_t policies;   /**< room for so many; 0: 1,024 */
  uint32_t clock;      /**< LIBRL_CLOCK_... */
  uint32_t reserved;   /**< 0 */
  const char* owner;   /**< user; NULL: the creator */
  const char* group;
} librl_options_t;
#define LIBRL_OPTIONS_INIT \
  { sizeof(librl_options_t), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 }

/* --- errors ----------------------------------------------------------------------------------- */

/** Returns the library's version, such as "0.1.0". */
LIBRL_API const char* librl_version(void);
/** Returns a few words for a code; never NULL. The text is for ever. */
LIBRL_API const char* librl_strerror(int code);
/** Returns the sentence of this thread's last call from "segments" or "limiters" below that
 * returned a negative code; "" when there was none. It is there until the thread's next such call.
 * Decisions, permits, keys and fields say all that they know by their code. */
LIBRL_API const char* librl_last_error(void);
/** Returns the word of a reason, as rlctl prints it; "?" for a number that is none. */
LIBRL_API const char* librl_reason(int reason);

/** Receives what the library must say and cannot return; `is_warning` is 0 or 1. */
typedef void (*librl_log_fn)(int is_warning, const char* line, size_t size, void* context);
/** Sends log lines to `fn`; NULL restores stderr. Call it before other threads decide. A line has no
 * zero at its end, and is there until `fn` returns; an exception that leaves it ends there. */
LIBRL_API void librl_set_log(librl_log_fn fn, void* context);

/* --- segments --------------------------------------------------------------------------------- */

/** Opens a segment ("web" is /dev/shm/rl.web; a path is taken as it is). `options` may be NULL.
 * Returns 0, with `*segment` set, or a code, with `*segment` NULL. */
LIBRL_API int librl_open(const char* name, const librl_options_t* options,
                         librl_segment_t** segment);
/** Frees the handle; limiters of it go on. NULL is fine. */
LIBRL_API void librl_close(librl_segment_t* segment);
/** Removes the name of a segment. Returns 1, 0 if there was none, or a code. */
LIBRL_API int librl_remove(const char* name);
/** Returns where the segment is, "" of none; it lives as long as the handle. */
LIBRL_API const char* librl_path(const librl_segment_t* segment);
/** Returns the segment's time, in ns since it was made, or LIBRL_EINVALID. */
LIBRL_API int64_t librl_now(const librl_segment_t* segment);
/** Moves a manual clock forward. Errors: LIBRL_EBAD_OPTION on any other clock, or below 0. */
LIBRL_API int librl_advance_clock(librl_segment_t* segment, int64_t by_ns);
/** Forgets what all keys have consumed; `*forgotten` (may be NULL) is how many. */
LIBRL_API int librl_reset_all(librl_segment_t* segment, uint64_t* forgotten);
/** Returns whether this process goes on without the segment now: 1 or 0. */
LIBRL_API int librl_is_without_segment(const librl_segment_t* segment);

/* --- limiters --------------------------------------------------------------------------------- */

/** Makes `*limiter` that of a policy. With `limits`, such as "10/s burst=20" or a list "100/s,
 * 1000/h" (of which all must allow), the policy is made if the segment has none of that name; when
 * it has one, that stands: see librl_differs(). With NULL the policy must exist. Returns 0 or a code,
 * with `*limiter` NULL.
 *
 * Of a list, librl_acquire, _peek, _acquire_many, _acquire_all and _reset ask all, and what they charge
 * is not given back. For every other call, give it one of the limits: librl_limiter_at(). */
LIBRL_API int librl_limiter(librl_segment_t* segment, const char* policy, const char* limits,
                            librl_limiter_t** limiter);
/** Puts `limits`, a limit or a list, in force under a name, in all processes at their next call; makes
 * the policy if there is none. What keys have used stays used. Nothing changes when they are in force
 * already; each change takes a policy entry for good (librl_options_t.policies). Returns 0 or a code.
 * It is for who has been told to change them: a program that starts asks with librl_limiter(), so
 * that it does not undo what was changed by hand. */
LIBRL_API int librl_set_policy(librl_segment_t* segment, const char* policy, const char* limits);
/** Frees the handle. NULL is fine. */
LIBRL_API void librl_limiter_free(librl_limiter_t* limiter);
/** Returns how many limits there are: 1, or those of a list. */
LIBRL_API size_t librl_limiter_count(const librl_limiter_t* limiter);
/** Makes `*one` the limiter of the list's `index`th limit, a handle of its own. */
LIBRL_API int librl_limiter_at(const librl_limiter_t* limiter, size_t index, librl_limiter_t** one);
/** Writes the limit in force, as text with a zero at the end, as far as `size` bytes reach. Returns how
 * long it is without the zero, or a code. */
LIBRL_API int librl_limit_text(const librl_limiter_t* limiter, char* buffer, size_t size);
/** Returns 1 when the limit in force is not the one that was asked for, else 0. */
LIBRL_API int librl_differs(const librl_limiter_t* limiter);
/** Checks a limit, or a list, without a segment. Returns 0 or LIBRL_EBAD_LIMIT. */
LIBRL_API int librl_check_limits(const char* limits);

/* --- calls: 1, 0, or a code; `decision` may be NULL where there is nothing to know -------------- */

/** Charges `cost` to the key if the limit allows it. */
LIBRL_API int librl_acquire(librl_limiter_t* limiter, const void* key, size_t key_size,
                            uint64_t cost, librl_decision_t* decision);
/** The same at a time that was read with librl_now(); see Limiter::try_acquire_at. */
LIBRL_API int librl_acquire_at(librl_limiter_t* limiter, int64_t now_ns, const void* key,
                               size_t key_size, uint64_t cost, librl_decision_t* decision);
/** The same for a call of low priority, which leaves the limit's floor. */
LIBRL_API int librl_acquire_low(librl_limiter_t* limiter, const void* key, size_t key_size,
                                uint64_t cost, librl_decision_t* decision);

/** A key among many. */
typedef struct librl_key {
  const void* data;
  size_t size;
} librl_key_t;
/** Decides many keys in their order, `allowed[i]` (1 or 0) for `keys[i]`, and `decisions[i]` where
 * `decisions` is not NULL: all of them have the size of the first, which is written into the others.
 * Returns how many were allowed, or LIBRL_EINVALID when none of the calls made sense. */
LIBRL_API int64_t librl_acquire_many(librl_limiter_t* limiter, const librl_key_t* keys,
                                     size_t count, uint64_t cost, uint8_t* allowed,
                                     librl_decision_t* decisions);

/** One of the calls that librl_acquire_all() makes together. */
typedef struct librl_ask {
  librl_limiter_t* limiter;
  const void* key;
  size_t key_size;
  uint64_t cost;
} librl_ask_t;
#define LIBRL_ASKS_MAX 16
/** Charges all or none of up to 16 limits, a list counting as many as it has. `decision->which` is the
 * ask that decided; `each`, if not NULL, has `count` decisions, all of the size of the first. Of a
 * list it has what the list was told, `which` being the limit that decided. See rl::all_of. */
LIBRL_API int librl_acquire_all(const librl_ask_t* asks, size_t count, librl_decision_t* decision,
                                librl_decision_t* each);

/** Says what librl_acquire() would answer, and charges nothing. */
LIBRL_API int librl_peek(const librl_limiter_t* limiter, const void* key, size_t key_size,
                         uint64_t cost, librl_decision_t* decision);
/** Reserves an instant not later than `deadline_ns` on the segment's clock. */
LIBRL_API int librl_reserve(librl_limiter_t* limiter, const void* key, size_t key_size,
                            uint64_t cost, int64_t deadline_ns, librl_decision_t* decision);
/** Waits up to `timeout_ns` for its turn; the only call that sleeps. */
LIBRL_API int librl_acquire_for(librl_limiter_t* limiter, const void* key, size_t key_size,
                                uint64_t cost, int64_t timeout_ns, librl_decision_t* decision);
/** Charges what has already happened, whatever the limit says. */
LIBRL_API int librl_charge(librl_limiter_t* limiter, const void* key, size_t key_size,
                           uint64_t cost, librl_decision_t* decision);
/** Acquires an estimate, to be followed by librl_settle(); `decision` must not be NULL. */
LIBRL_API int librl_hold(librl_limiter_t* limiter, const void* key, size_t key_size,
                         uint64_t estimate, librl_decision_t* decision);
/** Makes of what was held what it really cost. Returns 1 when it is settled now, else 0. */
LIBRL_API int librl_settle(librl_limiter_t* limiter, const void* key, size_t key_size,
                           librl_decision_t* held, uint64_t actual);
/** Gives back what an admitted call charged, once. Returns 1 when anything was given back, else 0. */
LIBRL_API int librl_refund(librl_limiter_t* limiter, const void* key, size_t key_size,
                           librl_decision_t* decision);
/** Makes `tokens` left. Returns 1 when that is so now, else 0. */
LIBRL_API int librl_set_remaining(librl_limiter_t* limiter, const void* key, size_t key_size,
                                  uint64_t tokens);
/** Forgets what the key has consumed. Returns 1 when there was anything, else 0. */
LIBRL_API int librl_reset(librl_limiter_t* limiter, const void* key, size_t key_size);

/* --- counters --------------------------------------------------------------------------------- */

/** What a key counts. */
typedef struct librl_count_s {
  uint32_t size;         /**< sizeof(librl_count_t) */
  int32_t reason;        /**< LIBRL_OK, or why it is not counted, such as LIBRL_FULL */
  uint64_t count;        /**< after the call; 0 when it is not counted */
  int64_t expires_in_ns; /**< until it is 0 again; 0 when it is */
} librl_count_t;
#define LIBRL_COUNT_INIT \
  { sizeof(librl_count_t), 0, 0, 0 }

/** Adds `amount` to what the key counts under a policy whose limit is "counter", in one step. The first
 * one begins an expiry of `expiry_ns`, after which all of it is forgotten at once; with `is_elastic`
 * each one begins it anew. Nothing is ever denied: who counts compares. With an amount of 0 it only
 * looks. Returns 1; 0 where it is not counted, as the table has no room for the key, there is no segment
 * or limits are off; or a code. `count` may be NULL. Accuracy: an expiry is rounded up to 4.2 ms. Where the
 * calls of a key give different ones, the one that ends first holds, and with `is_elastic` the last; a
 * count ends at 67,108,863. See Limiter::count. */
LIBRL_API int librl_count(librl_limiter_t* limiter, const void* key, size_t key_size,
                          uint64_t amount, int64_t expiry_ns, int is_elastic, librl_count_t* count);

/* --- permits ---------------------------------------------------------------------------------- */

/** Takes a permit. Returns 1, with `*permit` set (also where nothing limits), or 0 or a code, with
 * `*permit` NULL. */
LIBRL_API int librl_permit_acquire(librl_limiter_t* limiter, const void* key, size_t key_size,
                                   librl_permit_t** permit, librl_decision_t* decision);
/** Gives the permit back and frees it; NULL is fine. Returns 1 when it was still held, else 0. In a
 * forked child it is only freed. */
LIBRL_API int librl_permit_release(librl_permit_t* permit);
/** Begins a lease anew. Returns 1, or 0 when the permit is lost. */
LIBRL_API int librl_permit_renew(librl_permit_t* permit);
/** Returns 1 when the permit is still held, else 0. */
LIBRL_API int librl_permit_holds(const librl_permit_t* permit);
/** Returns a number higher than any that an earlier holder was given, or 0. */
LIBRL_API uint64_t librl_permit_fence(librl_permit_t* permit);
/** Returns when the lease is over, on the segment's clock; INT64_MAX where nothing limits. */
LIBRL_API int64_t librl_permit_lease_end(const librl_permit_t* permit);
/** Says what librl_permit_acquire() would answer, and takes none. */
LIBRL_API int librl_permit_peek(const librl_limiter_t* limiter, const void* key, size_t key_size,
                                librl_decision_t* decision);

/* --- keys: return the size of the key in `buffer`, without a zero at its end, or a code ---------- */

#define LIBRL_KEY_MAX 254 /**< a buffer of so many bytes holds any key made here */

/** Makes the key of an address in text, as rl::AddressKey does; prefixes of 32 and 64 are the usual. */
LIBRL_API int librl_address_key(const char* text, size_t text_size, unsigned ipv4_prefix,
                                unsigned ipv6_prefix, char* buffer, size_t size);
struct sockaddr;
/** The same of a sockaddr_in or sockaddr_in6 of `address_size` bytes. */
LIBRL_API int librl_sockaddr_key(const struct sockaddr* address, size_t address_size,
                                 unsigned ipv4_prefix, unsigned ipv6_prefix, char* buffer,
                                 size_t size);
/** Makes the key of several parts, as rl::CompositeKey does. */
LIBRL_API int librl_composite_key(const librl_key_t* parts, size_t count, char* buffer,
                                  size_t size);

/* --- response fields: return the size of the value, 0 when there is nothing to say, or a code ---- */

#define LIBRL_FIELD_MAX 159 /**< a buffer of so many bytes holds any value */

/** Retry-After, in seconds (RFC 9110). */
LIBRL_API int librl_retry_after(const librl_decision_t* decision, char* buffer, size_t size);
/** RateLimit-Policy, such as "api";q=200;w=2; of a list the limit's at `index`. */
LIBRL_API int librl_ratelimit_policy(const char* policy, const librl_limiter_t* limiter,
                                     size_t index, char* buffer, size_t size);
/** RateLimit, such as "api";r=50;t=30; of a list, of the limit that `decision->which` says. */
LIBRL_API int librl_ratelimit(const char* policy, const librl_limiter_t* limiter,
                              const librl_decision_t* decision, char* buffer, size_t size);

#ifdef __cplusplus
}
#endif

#endif
