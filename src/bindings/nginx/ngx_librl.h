/**
 * \file
 * The module for nginx, its parts and what they share.
 *
 *     ngx_http_librl_module.c  the directives, and what a location has of them
 *     ngx_librl_set_zone.c     rl_zone: from words to what is meant
 *     ngx_librl_set_limit.c    rl_limit: the same
 *     ngx_librl_words.c        what both read alike
 *     ngx_librl_zones.c        segments and policies: opened, taken over at a reload, closed
 *     ngx_librl_handler.c      a request: asked, rejected, or held up without blocking the worker
 *     ngx_librl_answer.c       what is told of it: response fields and variables
 *
 * The module decides nothing: it asks the library (rl/rl.h), and does as that says.
 *
 * Who lives how long: zones and policies belong to a configuration (a cycle of nginx) and go with
 * its pool. The master opens them before it forks, so the workers have them as they are; at a reload
 * it opens them once more, and the old workers go on with the old ones. The counts are in the
 * segments, and do not care.
 */
#ifndef NGX_LIBRL_H
#define NGX_LIBRL_H

#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include <rl/rl.h>

/** Where a directive stands, for what is found wrong with it later. */
typedef struct {
  u_char* file;
  ngx_uint_t line;
} ngx_librl_place_t;

/** A segment: rl_zone. Strings here and below have a zero at their end. */
typedef struct {
  ngx_str_t name;
  ngx_str_t path; /**< as librl_open() takes it */
  ngx_librl_place_t place;
  librl_options_t options;
  librl_segment_t* segment; /**< NULL in `nginx -t` when there is none yet */
} ngx_librl_zone_t;

/** One of a policy's limits: a policy of its own to the library. */
typedef struct {
  ngx_str_t name; /**< "api", and of a list "api#2" and so on */
  librl_limiter_t* limiter;
  unsigned is_leaky : 1; /**< has a queue of its own, when the configuration was read */
} ngx_librl_part_t;

/** A policy of a zone, of which all rl_limit that name it have the one handle. */
typedef struct {
  ngx_str_t name;
  ngx_str_t zone_name;
  ngx_str_t text; /**< the limit as it is written, and empty where nobody has written any */
  ngx_librl_place_t place;
  ngx_librl_zone_t* zone;
  ngx_librl_part_t* parts; /**< NULL until the zone is open */
  ngx_uint_t part_count;
} ngx_librl_policy_t;

/** What a request is asked for: rl_limit. */
typedef struct {
  ngx_librl_policy_t* policy;
  ngx_librl_place_t place;
  ngx_http_complex_value_t key; /**< not used for the client's address */
  ngx_uint_t status;
  ngx_msec_t wait_max; /**< 0: it waits for nothing */
  unsigned ipv4_prefix;
  unsigned ipv6_prefix;
  unsigned is_client : 1;         /**< the key is the client's address */
  unsigned is_wait_max_given : 1; /**< delay=TIME, and not delay alone */
} ngx_librl_limit_t;

/** What a configuration has of us. */
typedef struct {
  ngx_array_t zones;    /**< of ngx_librl_zone_t* */
  ngx_array_t policies; /**< of ngx_librl_policy_t* */
} ngx_librl_conf_t;

/** What a location has. */
typedef struct {
  ngx_array_t* limits; /**< of ngx_librl_limit_t; NULL: nobody has said */
  ngx_flag_t headers;
  ngx_uint_t log_level;
} ngx_librl_location_t;

typedef enum {
  NGX_LIBRL_PASSED = 0,
  NGX_LIBRL_DELAYED,
  NGX_LIBRL_REJECTED,
  NGX_LIBRL_DELAYED_DRY_RUN,
  NGX_LIBRL_REJECTED_DRY_RUN
} ngx_librl_status_t;

/** What was asked for a request: one limit with its key, and what it was told. */
typedef struct {
  const ngx_librl_limit_t* limit;
  const ngx_librl_part_t* part;
  ngx_str_t key;
  librl_decision_t decision;
} ngx_librl_asked_t;

/** What became of a request; it lives as long as the request does. */
typedef struct {
  ngx_librl_status_t status;
  ngx_uint_t count;
  ngx_librl_asked_t* asked; /**< `count` of them */
  ngx_uint_t which;         /**< the one that decided */
  int64_t go_at_ns;         /**< on CLOCK_MONOTONIC, while is_waiting */
  unsigned is_waiting : 1;
} ngx_librl_context_t;

/** A module as nginx knows it. Of what it tells modules ours want to hear of init_module at most. */
#define NGX_LIBRL_MODULE(context, directives, type, init_module)                   \
  {                                                                                \
    NGX_MODULE_V1, context, directives, type, NULL /* init master */, init_module, \
        NULL /* init process */, NULL /* init thread */, NULL /* exit thread */,   \
        NULL /* exit process */, NULL /* exit master */, NGX_MODULE_V1_PADDING     \
  }

extern ngx_module_t ngx_librl_module;      /**< of the core: zones and policies */
extern ngx_module_t ngx_http_librl_module; /**< of HTTP: all the rest */

/* ngx_librl_words.c */
/** Returns what stands behind `name`, such as "keys=", in a word that begins so; else NULL. */
u_char* ngx_librl_value_of(const ngx_str_t* word, const char* name);
/** Reads a number of that base, up to `max`; returns NGX_ERROR for what is none. */
ngx_int_t ngx_librl_number_of(const u_char* text, int base, ngx_int_t max);
/** Says what is wrong with a word. Returns NGX_CONF_ERROR. */
char* ngx_librl_refuse(ngx_conf_t* cf, const ngx_str_t* word, const char* why);
ngx_librl_place_t ngx_librl_place_of(ngx_conf_t* cf);

/* ngx_librl_set_zone.c */
char* ngx_librl_set_zone(ngx_conf_t* cf, ngx_command_t* command, void* conf);

/* ngx_librl_set_limit.c */
char* ngx_librl_set_limit(ngx_conf_t* cf, ngx_command_t* command, void* conf);
/** Refuses limits that cannot be asked together. */
char* ngx_librl_check_together(ngx_conf_t* cf, const ngx_array_t* limits);

/* ngx_librl_zones.c */
/** Returns what is wrong with a limit for requests, or its name, as a sentence; NULL: nothing. */
const char* ngx_librl_check_limit(const ngx_str_t* name, const ngx_str_t* text);
/** Returns the same of the options of a zone. */
const char* ngx_librl_check_options(const librl_options_t* options);

/* ngx_librl_handler.c */
/** Asks a request's limits; the phase is NGX_HTTP_PREACCESS_PHASE. */
ngx_int_t ngx_librl_handle(ngx_http_request_t* r);
/** Returns what became of the request, or NULL if it was asked for nothing. */
ngx_librl_context_t* ngx_librl_context_of(ngx_http_request_t* r);
/** Writes the key of the client's address; `*key` is empty when there is no memory. */
void ngx_librl_client_key(ngx_http_request_t* r, unsigned ipv4_prefix, unsigned ipv6_prefix,
                          ngx_str_t* key);

/* ngx_librl_answer.c */
/** Adds RateLimit-Policy, RateLimit, and to a rejection Retry-After. */
ngx_int_t ngx_librl_add_headers(ngx_http_request_t* r, const ngx_librl_context_t* context);
ngx_int_t ngx_librl_add_variables(ngx_conf_t* cf);

#endif
