/**
 * \file
 * What is told of a decision: response fields, and variables. See ngx_librl.h.
 */
#include "ngx_librl.h"

/* --- response fields ------------------------------------------------------------------------------- */

static ngx_int_t add_header(ngx_http_request_t* r, const ngx_str_t* name, const ngx_str_t* value) {
  ngx_table_elt_t* header;

  if (value->len == 0) return NGX_OK;
  header = ngx_list_push(&r->headers_out.headers);
  if (header == NULL) return NGX_ERROR;
  ngx_memzero(header, sizeof *header);
  header->hash = 1;
  header->key = *name;
  header->value = *value;
  return NGX_OK;
}

/* Returns the fields of a limit each, in one line; a list of RFC 9651 may stand so. */
static ngx_int_t add_policies(ngx_http_request_t* r, const ngx_librl_context_t* context) {
  static const ngx_str_t name = ngx_string("RateLimit-Policy");
  ngx_str_t value;
  ngx_uint_t i;
  u_char* end;

  value.data = ngx_pnalloc(r->pool, context->count * (LIBRL_FIELD_MAX + 2));
  if (value.data == NULL) return NGX_ERROR;
  end = value.data;
  for (i = 0; i < context->count; ++i) {
    const ngx_librl_part_t* part = context->asked[i].part;
    u_char* const begin = end == value.data ? end : ngx_cpymem(end, ", ", 2);
    const int size = librl_ratelimit_policy((const char*)part->name.data, part->limiter, 0,
                                            (char*)begin, LIBRL_FIELD_MAX);
    if (size > 0) end = begin + size;
  }
  value.len = (size_t)(end - value.data);
  return add_header(r, &name, &value);
}

static ngx_int_t add_standing(ngx_http_request_t* r, const ngx_librl_asked_t* asked) {
  static const ngx_str_t name = ngx_string("RateLimit");
  ngx_str_t value;
  int size;

  value.data = ngx_pnalloc(r->pool, LIBRL_FIELD_MAX);
  if (value.data == NULL) return NGX_ERROR;
  size = librl_ratelimit((const char*)asked->part->name.data, asked->part->limiter,
                         &asked->decision, (char*)value.data, LIBRL_FIELD_MAX);
  value.len = size > 0 ? (size_t)size : 0;
  return add_header(r, &name, &value);
}

/* Returns Retry-After, empty when there is no such time. */
static ngx_int_t find_retry_after(ngx_http_request_t* r, const ngx_librl_asked_t* asked,
                                  ngx_str_t* value) {
  int size;

  value->len = 0;
  value->data = ngx_pnalloc(r->pool, LIBRL_FIELD_MAX);
  if (value->data == NULL) return NGX_ERROR;
  size = librl_retry_after(&asked->decision, (char*)value->data, LIBRL_FIELD_MAX);
  if (size > 0) value->len = (size_t)size;
  return NGX_OK;
}

ngx_int_t ngx_librl_add_headers(ngx_http_request_t* r, const ngx_librl_context_t* context) {
  static const ngx_str_t name = ngx_string("Retry-After");
  const ngx_librl_asked_t* asked = &context->asked[context->which];
  ngx_str_t retry_after;

  if (add_policies(r, context) != NGX_OK || add_standing(r, asked) != NGX_OK) return NGX_ERROR;
  if (context->status != NGX_LIBRL_REJECTED) return NGX_OK;
  if (find_retry_after(r, asked, &retry_after) != NGX_OK) return NGX_ERROR;
  return add_header(r, &name, &retry_after);
}

/* --- variables ------------------------------------------------------------------------------------- */

/* Which one is asked for. */
enum { STATUS, REMAINING, LIMIT, RETRY_AFTER, POLICY, REASON };

static void set_text(ngx_http_variable_value_t* v, u_char* data, size_t size) {
  v->valid = 1;
  v->no_cacheable = 0;
  v->not_found = 0;
  v->data = data;
  v->len = (unsigned)size & 0xfffffff;
}

static ngx_int_t set_number(ngx_http_request_t* r, ngx_http_variable_value_t* v, uint64_t number) {
  u_char* data = ngx_pnalloc(r->pool, NGX_INT64_LEN);

  if (data == NULL) return NGX_ERROR;
  set_text(v, data, (size_t)(ngx_sprintf(data, "%uL", number) - data));
  return NGX_OK;
}

static ngx_int_t set_status(ngx_http_variable_value_t* v, ngx_librl_status_t status) {
  static ngx_str_t words[] = {ngx_string("PASSED"), ngx_string("DELAYED"), ngx_string("REJECTED"),
                              ngx_string("DELAYED_DRY_RUN"), ngx_string("REJECTED_DRY_RUN")};

  set_text(v, words[status].data, words[status].len);
  return NGX_OK;
}

static ngx_int_t set_retry_after(ngx_http_request_t* r, ngx_http_variable_value_t* v,
                                 const ngx_librl_asked_t* asked) {
  ngx_str_t value;

  if (find_retry_after(r, asked, &value) != NGX_OK) return NGX_ERROR;
  set_text(v, value.data, value.len);
  v->not_found = value.len == 0;
  return NGX_OK;
}

/* Of a request that was asked for nothing there is nothing to tell. */
static ngx_int_t get_told(ngx_http_request_t* r, ngx_http_variable_value_t* v, uintptr_t which) {
  const ngx_librl_context_t* context = ngx_librl_context_of(r);
  const ngx_librl_asked_t* asked;
  const char* reason;

  if (context == NULL) {
    v->not_found = 1;
    return NGX_OK;
  }
  asked = &context->asked[context->which];
  switch (which) {
    case STATUS:
      return set_status(v, context->status);
    case REMAINING:
      return set_number(r, v, asked->decision.remaining);
    case LIMIT:
      return set_number(r, v, asked->decision.limit);
    case RETRY_AFTER:
      return set_retry_after(r, v, asked);
    case POLICY:
      set_text(v, asked->part->name.data, asked->part->name.len);
      return NGX_OK;
    default:
      reason = librl_reason(asked->decision.reason);
      set_text(v, (u_char*)reason, ngx_strlen(reason));
      return NGX_OK;
  }
}

static ngx_int_t get_client(ngx_http_request_t* r, ngx_http_variable_value_t* v, uintptr_t unused) {
  ngx_str_t key;

  (void)unused;
  ngx_librl_client_key(r, 32, 64, &key);
  if (key.data == NULL) return NGX_ERROR;
  set_text(v, key.data, key.len);
  return NGX_OK;
}

ngx_int_t ngx_librl_add_variables(ngx_conf_t* cf) {
  static struct {
    ngx_str_t name;
    ngx_http_get_variable_pt get;
    uintptr_t which;
  } all[] = {{ngx_string("rl_status"), get_told, STATUS},
             {ngx_string("rl_remaining"), get_told, REMAINING},
             {ngx_string("rl_limit"), get_told, LIMIT},
             {ngx_string("rl_retry_after"), get_told, RETRY_AFTER},
             {ngx_string("rl_policy"), get_told, POLICY},
             {ngx_string("rl_reason"), get_told, REASON},
             {ngx_string("rl_client"), get_client, 0}};
  size_t i;

  for (i = 0; i < sizeof all / sizeof all[0]; ++i) {
    ngx_http_variable_t* variable =
        ngx_http_add_variable(cf, &all[i].name, NGX_HTTP_VAR_NOCACHEABLE);
    if (variable == NULL) return NGX_ERROR;
    variable->get_handler = all[i].get;
    variable->data = all[i].which;
  }
  return NGX_OK;
}
