/**
 * \file
 * A request: asked, rejected, or held up without blocking the worker. See ngx_librl.h.
 *
 * A request is asked once, in the first location with limits that it comes to: a redirect within
 * nginx, an error page and subrequests are part of it.
 */
#include "ngx_librl.h"

#include <time.h>

#define NS_PER_MS 1000000
#define ADDRESS_KEY_MAX 48 /* the longest is a network of IPv6 in full */

/* --- the context ----------------------------------------------------------------------------------- */

/* Runs when the request goes. Who hung up while it waited gives back what it was charged. */
static void forget(void* data) {
  ngx_librl_context_t* context = data;
  ngx_uint_t i;

  if (!context->is_waiting) return;
  for (i = 0; i < context->count; ++i) {
    ngx_librl_asked_t* asked = &context->asked[i];
    (void)librl_refund(asked->part->limiter, asked->key.data, asked->key.len, &asked->decision);
  }
}

/* nginx clears the contexts of a request that it redirects, but not what is to be cleaned up. */
ngx_librl_context_t* ngx_librl_context_of(ngx_http_request_t* r) {
  ngx_pool_cleanup_t* cleanup;
  ngx_librl_context_t* context = ngx_http_get_module_ctx(r->main, ngx_http_librl_module);

  if (context != NULL || !r->main->internal) return context;
  for (cleanup = r->main->pool->cleanup; cleanup != NULL; cleanup = cleanup->next) {
    if (cleanup->handler == forget) return cleanup->data;
  }
  return NULL;
}

static ngx_librl_context_t* add_context(ngx_http_request_t* r, const ngx_librl_asked_t* asked,
                                        ngx_uint_t count) {
  ngx_pool_cleanup_t* cleanup = ngx_pool_cleanup_add(r->pool, sizeof(ngx_librl_context_t));
  ngx_librl_context_t* context;

  if (cleanup == NULL) return NULL;
  context = cleanup->data;
  ngx_memzero(context, sizeof *context);
  cleanup->handler = forget;
  context->count = count;
  context->asked = ngx_palloc(r->pool, count * sizeof *asked);
  if (context->asked == NULL) return NULL;
  ngx_memcpy(context->asked, asked, count * sizeof *asked);
  ngx_http_set_ctx(r, context, ngx_http_librl_module);
  return context;
}

/* --- keys ------------------------------------------------------------------------------------------ */

void ngx_librl_client_key(ngx_http_request_t* r, unsigned ipv4_prefix, unsigned ipv6_prefix,
                          ngx_str_t* key) {
  const ngx_connection_t* c = r->connection;
  int size;

  key->len = 0;
  key->data = ngx_pnalloc(r->pool, ADDRESS_KEY_MAX);
  if (key->data == NULL) return;
  size = librl_sockaddr_key(c->sockaddr, c->socklen, ipv4_prefix, ipv6_prefix, (char*)key->data,
                            ADDRESS_KEY_MAX);
  if (size > 0)
    key->len = (size_t)size;
  else
    *key = c->addr_text; /* of a Unix socket: "unix:" for all */
}

static ngx_int_t find_key(ngx_http_request_t* r, const ngx_librl_limit_t* limit, ngx_str_t* key) {
  if (!limit->is_client)
    return ngx_http_complex_value(r, (ngx_http_complex_value_t*)&limit->key, key);
  ngx_librl_client_key(r, limit->ipv4_prefix, limit->ipv6_prefix, key);
  return key->data != NULL ? NGX_OK : NGX_ERROR;
}

/* Fills in what a request is to be asked, one for each limit of each list. A key that is empty is not
 * limited, as with limit_req. Returns how many there are, or NGX_ERROR. */
static ngx_int_t find_asked(ngx_http_request_t* r, const ngx_array_t* limits,
                            ngx_librl_asked_t* asked) {
  const librl_decision_t none = LIBRL_DECISION_INIT;
  const ngx_librl_limit_t* limit = limits->elts;
  ngx_uint_t i, part, count = 0;
  ngx_str_t key;

  for (i = 0; i < limits->nelts; ++i) {
    const ngx_librl_policy_t* policy = limit[i].policy;

    if (find_key(r, &limit[i], &key) != NGX_OK) return NGX_ERROR;
    if (key.len == 0) continue;
    for (part = 0; part < policy->part_count; ++part, ++count) {
      if (count == LIBRL_ASKS_MAX) {
        ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                      "rl_limit: a request can be asked for %d limits, and here are more",
                      LIBRL_ASKS_MAX);
        return NGX_ERROR;
      }
      asked[count].limit = &limit[i];
      asked[count].part = &policy->parts[part];
      asked[count].key = key;
      asked[count].decision = none;
    }
  }
  return (ngx_int_t)count;
}

/* --- the question ---------------------------------------------------------------------------------- */

/* Charges all or none. Returns what the library does: 1, 0 or a code. */
static int ask_all(ngx_librl_asked_t* asked, ngx_uint_t count, ngx_uint_t* which) {
  librl_ask_t asks[LIBRL_ASKS_MAX];
  librl_decision_t each[LIBRL_ASKS_MAX];
  librl_decision_t decision = LIBRL_DECISION_INIT;
  ngx_uint_t i;
  int answer;

  for (i = 0; i < count; ++i) {
    asks[i].limiter = asked[i].part->limiter;
    asks[i].key = asked[i].key.data;
    asks[i].key_size = asked[i].key.len;
    asks[i].cost = 1;
    each[i] = asked[i].decision;
  }
  answer = librl_acquire_all(asks, count, &decision, each);
  for (i = 0; i < count; ++i) asked[i].decision = each[i];
  *which = decision.which;
  return answer;
}

/* One limit alone; where a request may wait, it takes its place in line. A leaky limit says itself how
 * long that may be: acquire stands in its queue, to the end, and reserve as long as delay=TIME allows. */
static int ask_one(ngx_librl_asked_t* asked) {
  const ngx_librl_limit_t* limit = asked->limit;
  librl_limiter_t* limiter = asked->part->limiter;
  int64_t deadline_ns;

  if (limit->wait_max == 0 || (asked->part->is_leaky && !limit->is_wait_max_given))
    return librl_acquire(limiter, asked->key.data, asked->key.len, 1, &asked->decision);
  deadline_ns =
      librl_now(limit->policy->zone->segment) + (int64_t)limit->wait_max * (int64_t)NS_PER_MS;
  return librl_reserve(limiter, asked->key.data, asked->key.len, 1, deadline_ns, &asked->decision);
}

/* Whether the limit in force only watches, whoever said so. */
static ngx_uint_t only_watches(const ngx_librl_asked_t* asked) {
  char text[256];

  if (librl_limit_text(asked->part->limiter, text, sizeof text) < 0) return 0;
  return strstr(text, " shadow") != NULL;
}

/* Returns how long the request waits, and notes what becomes of it. */
static int64_t conclude(ngx_librl_context_t* context, int answer) {
  int64_t wait_ns = 0;
  ngx_uint_t i;

  if (answer == 0) {
    context->status = NGX_LIBRL_REJECTED;
    return 0;
  }
  for (i = 0; i < context->count; ++i) {
    const ngx_librl_asked_t* asked = &context->asked[i];
    const librl_decision_t* decision = &asked->decision;

    if (decision->reason == LIBRL_SHADOW) {
      context->status = NGX_LIBRL_REJECTED_DRY_RUN;
      context->which = i;
    } else if (asked->limit->wait_max == 0 || decision->wait_ns <= 0) {
      continue;
    } else if (!only_watches(asked)) {
      wait_ns = ngx_max(wait_ns, decision->wait_ns);
    } else if (context->status == NGX_LIBRL_PASSED) {
      context->status = NGX_LIBRL_DELAYED_DRY_RUN;
    }
  }
  if (wait_ns > 0) context->status = NGX_LIBRL_DELAYED;
  return wait_ns;
}

/* --- waiting --------------------------------------------------------------------------------------- */

static int64_t monotonic_ns(void) {
  struct timespec now;

  (void)clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static void wait_for(ngx_http_request_t* r, int64_t wait_ns) {
  r->connection->write->delayed = 1;
  ngx_add_timer(r->connection->write, (ngx_msec_t)((wait_ns + NS_PER_MS - 1) / NS_PER_MS));
}

/* nginx counts milliseconds from when it last looked at the clock, so a timer may end early. */
static void go_on(ngx_http_request_t* r) {
  ngx_event_t* write = r->connection->write;
  ngx_librl_context_t* context = ngx_librl_context_of(r);
  int64_t left_ns;

  if (write->delayed) {
    if (ngx_handle_write_event(write, 0) != NGX_OK)
      ngx_http_finalize_request(r, NGX_HTTP_INTERNAL_SERVER_ERROR);
    return;
  }
  left_ns = context->go_at_ns - monotonic_ns();
  if (left_ns > 0) {
    wait_for(r, left_ns);
    return;
  }
  context->is_waiting = 0;
  if (ngx_handle_read_event(r->connection->read, 0) != NGX_OK) {
    ngx_http_finalize_request(r, NGX_HTTP_INTERNAL_SERVER_ERROR);
    return;
  }
  r->read_event_handler = ngx_http_block_reading;
  r->write_event_handler = ngx_http_core_run_phases;
  ngx_http_core_run_phases(r);
}

static ngx_int_t hold_up(ngx_http_request_t* r, ngx_librl_context_t* context, int64_t wait_ns) {
  ngx_event_t* read = r->connection->read;

  context->is_waiting = 1; /* from here on who goes gives back what he was charged */
  /* What was there to read before is told once more, as it may be the end. */
  if (read->ready) {
    ngx_post_event(read, &ngx_posted_events);
  } else if (ngx_handle_read_event(read, 0) != NGX_OK) {
    return NGX_HTTP_INTERNAL_SERVER_ERROR;
  }
  context->go_at_ns = monotonic_ns() + wait_ns;
  r->read_event_handler = ngx_http_test_reading; /* who hangs up is noticed */
  r->write_event_handler = go_on;
  wait_for(r, wait_ns);
  return NGX_AGAIN;
}

/* --- the phase ------------------------------------------------------------------------------------- */

/* A rejection at the level of rl_log_level, and what is less than one at the next. */
static void log_conclusion(ngx_http_request_t* r, ngx_uint_t rejected_level,
                           const ngx_librl_context_t* context) {
  static const char* const words[] = {"passed", "delayed", "rejected", "delayed, dry run",
                                      "rejected, dry run"};
  const ngx_librl_asked_t* asked = &context->asked[context->which];
  ngx_uint_t level = rejected_level;

  if (context->status == NGX_LIBRL_PASSED) return;
  if (context->status != NGX_LIBRL_REJECTED) level = ngx_min(level + 1, NGX_LOG_INFO);
  ngx_log_error(level, r->connection->log, 0, "rl_limit \"%V\" of \"%V\": %s (%s)",
                &asked->part->name, &asked->limit->policy->zone_name, words[context->status],
                librl_reason(asked->decision.reason));
}

/* What makes no sense to the library is our fault, or the segment's: nobody can be told to come back. */
static ngx_int_t fail(ngx_http_request_t* r, const ngx_librl_asked_t* asked, int code) {
  ngx_log_error(NGX_LOG_ERR, r->connection->log, 0, "rl_limit \"%V\" of \"%V\" cannot be asked: %s",
                &asked->part->name, &asked->limit->policy->zone_name, librl_strerror(code));
  return asked->limit->policy->zone->options.on_failure == LIBRL_FAIL_ALLOW
             ? NGX_DECLINED
             : NGX_HTTP_INTERNAL_SERVER_ERROR;
}

ngx_int_t ngx_librl_handle(ngx_http_request_t* r) {
  const ngx_librl_location_t* location = ngx_http_get_module_loc_conf(r, ngx_http_librl_module);
  ngx_librl_asked_t asked[LIBRL_ASKS_MAX];
  ngx_librl_context_t* context;
  ngx_uint_t which = 0;
  ngx_int_t count;
  int64_t wait_ns;
  int answer;

  if (location->limits == NULL || r != r->main || ngx_librl_context_of(r) != NULL)
    return NGX_DECLINED;
  count = find_asked(r, location->limits, asked);
  if (count == NGX_ERROR) return NGX_HTTP_INTERNAL_SERVER_ERROR;
  if (count == 0) return NGX_DECLINED;
  answer = count == 1 ? ask_one(&asked[0]) : ask_all(asked, (ngx_uint_t)count, &which);
  if (answer < 0) return fail(r, &asked[which], answer);
  context = add_context(r, asked, (ngx_uint_t)count);
  if (context == NULL) return NGX_HTTP_INTERNAL_SERVER_ERROR;
  context->which = which;
  wait_ns = conclude(context, answer);
  log_conclusion(r, location->log_level, context);
  if (location->headers && ngx_librl_add_headers(r, context) != NGX_OK)
    return NGX_HTTP_INTERNAL_SERVER_ERROR;
  if (context->status == NGX_LIBRL_REJECTED)
    return (ngx_int_t)context->asked[context->which].limit->status;
  return wait_ns > 0 ? hold_up(r, context, wait_ns) : NGX_DECLINED;
}
