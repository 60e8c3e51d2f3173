/**
 * \file
 * rl_limit: from words to what is meant. See ngx_librl.h.
 *
 * The library looks at the limits themselves, so what it would refuse is refused here, with the line.
 */
#include "ngx_librl.h"

/* How long `delay` alone makes a request wait at most, of a limit without a queue. */
#define WAIT_MAX_MS 5000

/* Returns the policy of that name, made if nobody has named it before; NULL without memory. */
static ngx_librl_policy_t* policy_for(ngx_conf_t* cf, const ngx_str_t* zone,
                                      const ngx_str_t* name) {
  ngx_librl_conf_t* conf = (ngx_librl_conf_t*)ngx_get_conf(cf->cycle->conf_ctx, ngx_librl_module);
  ngx_librl_policy_t **policies = conf->policies.elts, **entry, *policy;
  ngx_uint_t i;

  for (i = 0; i < conf->policies.nelts; ++i) {
    if (ngx_strcmp(policies[i]->zone_name.data, zone->data) == 0 &&
        ngx_strcmp(policies[i]->name.data, name->data) == 0)
      return policies[i];
  }
  policy = ngx_pcalloc(cf->pool, sizeof *policy);
  entry = ngx_array_push(&conf->policies);
  if (policy == NULL || entry == NULL) return NULL;
  *entry = policy;
  policy->zone_name = *zone;
  policy->name = *name;
  policy->place = ngx_librl_place_of(cf);
  return policy;
}

/* Adds " shadow" to each limit of a list. Returns an empty text without memory. */
static ngx_str_t in_shadow(ngx_pool_t* pool, const ngx_str_t* text) {
  static const ngx_str_t word = ngx_string(" shadow");
  ngx_str_t all = ngx_null_string;
  size_t i, commas = 0;
  u_char* end;

  for (i = 0; i < text->len; ++i) commas += text->data[i] == ',';
  end = ngx_pnalloc(pool, text->len + (commas + 1) * word.len + 1);
  if (end == NULL) return all;
  all.data = end;
  for (i = 0; i < text->len; ++i) {
    if (text->data[i] == ',') end = ngx_cpymem(end, word.data, word.len);
    *end++ = text->data[i];
  }
  end = ngx_cpymem(end, word.data, word.len);
  *end = '\0';
  all.len = (size_t)(end - all.data);
  return all;
}

/* All who give a policy a limit give it the same one; who gives none goes by theirs. */
static char* set_text(ngx_conf_t* cf, ngx_librl_policy_t* policy, const ngx_str_t* written,
                      ngx_uint_t is_shadow) {
  ngx_str_t text = *written;
  const char* wrong;

  if (text.len == 0) {
    if (!is_shadow) return NGX_CONF_OK;
    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "\"shadow\" stands beside a limit, and there is none");
    return NGX_CONF_ERROR;
  }
  if (is_shadow && (text = in_shadow(cf->pool, written)).len == 0) return NGX_CONF_ERROR;
  if ((wrong = ngx_librl_check_limit(&policy->name, &text)) != NULL) {
    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "rl_limit \"%V\": %s", &policy->name, wrong);
    return NGX_CONF_ERROR;
  }
  if (policy->text.len == 0) {
    policy->text = text;
    policy->place = ngx_librl_place_of(cf);
    return NGX_CONF_OK;
  }
  if (ngx_strcmp(policy->text.data, text.data) == 0) return NGX_CONF_OK;
  ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                     "policy \"%V\" of rl_zone \"%V\" is \"%V\" here and \"%V\" in %s:%ui",
                     &policy->name, &policy->zone_name, &text, &policy->text, policy->place.file,
                     policy->place.line);
  return NGX_CONF_ERROR;
}

static char* set_key(ngx_conf_t* cf, const ngx_str_t* word, const u_char* value,
                     ngx_librl_limit_t* limit) {
  ngx_http_compile_complex_value_t compile;
  ngx_str_t text = {ngx_strlen(value), (u_char*)value};

  if (limit->is_client || limit->key.value.data != NULL)
    return ngx_librl_refuse(cf, word, "a second key");
  if (text.len == 0) return ngx_librl_refuse(cf, word, "a key is a text with variables");
  if (ngx_strcmp(value, "$binary_remote_addr") == 0 || ngx_strcmp(value, "$rl_client") == 0) {
    limit->is_client = 1;
    return NGX_CONF_OK;
  }
  ngx_memzero(&compile, sizeof compile);
  compile.cf = cf;
  compile.value = &text;
  compile.complex_value = &limit->key;
  return ngx_http_compile_complex_value(&compile) == NGX_OK ? NGX_CONF_OK : NGX_CONF_ERROR;
}

static char* set_wait(ngx_conf_t* cf, const ngx_str_t* word, u_char* value,
                      ngx_librl_limit_t* limit) {
  ngx_str_t text = {ngx_strlen(value), value};
  ngx_int_t wait = ngx_parse_time(&text, 0);

  if (wait == NGX_ERROR || wait == 0 || wait > 24 * 3600 * 1000)
    return ngx_librl_refuse(cf, word, "it is a time such as 500ms or 2s, up to a day");
  limit->wait_max = (ngx_msec_t)wait;
  limit->is_wait_max_given = 1;
  return NGX_CONF_OK;
}

static char* set_prefix(ngx_conf_t* cf, const ngx_str_t* word, const u_char* value, ngx_int_t max,
                        unsigned* prefix) {
  ngx_int_t bits = ngx_librl_number_of(value, 10, max);

  if (bits == NGX_ERROR) return ngx_librl_refuse(cf, word, "it is a number of bits of the address");
  *prefix = (unsigned)bits;
  return NGX_CONF_OK;
}

static char* set_status(ngx_conf_t* cf, const ngx_str_t* word, const u_char* value,
                        ngx_librl_limit_t* limit) {
  ngx_int_t status = ngx_librl_number_of(value, 10, 599);

  if (status < 400) return ngx_librl_refuse(cf, word, "it is from 400 to 599");
  limit->status = (ngx_uint_t)status;
  return NGX_CONF_OK;
}

/* What else stands there is the limit. */
typedef struct {
  ngx_str_t text;
  ngx_uint_t is_shadow;
  ngx_uint_t has_prefix;
} words_t;

static char* set_limit_option(ngx_conf_t* cf, ngx_str_t* word, ngx_librl_limit_t* limit,
                              words_t* words) {
  u_char* value;

  if ((value = ngx_librl_value_of(word, "key=")) != NULL) return set_key(cf, word, value, limit);
  if ((value = ngx_librl_value_of(word, "status=")) != NULL)
    return set_status(cf, word, value, limit);
  if ((value = ngx_librl_value_of(word, "delay=")) != NULL) return set_wait(cf, word, value, limit);
  if ((value = ngx_librl_value_of(word, "ipv4_prefix=")) != NULL) {
    words->has_prefix = 1;
    return set_prefix(cf, word, value, 32, &limit->ipv4_prefix);
  }
  if ((value = ngx_librl_value_of(word, "ipv6_prefix=")) != NULL) {
    words->has_prefix = 1;
    return set_prefix(cf, word, value, 128, &limit->ipv6_prefix);
  }
  if (ngx_strcmp(word->data, "delay") == 0) {
    if (limit->wait_max == 0) limit->wait_max = WAIT_MAX_MS;
    return NGX_CONF_OK;
  }
  if (ngx_strcmp(word->data, "shadow") == 0) {
    words->is_shadow = 1;
    return NGX_CONF_OK;
  }
  if (words->text.len != 0 || word->len == 0)
    return ngx_librl_refuse(cf, word,
                            "rl_limit has one limit, in quotes where there is a space in it");
  words->text = *word;
  return NGX_CONF_OK;
}

/* `rl_limit off;` has nothing asked here, whatever is asked around it. */
static char* set_off(ngx_conf_t* cf, ngx_librl_location_t* location) {
  const ngx_str_t* words = cf->args->elts;

  if (ngx_strcmp(words[1].data, "off") != 0) {
    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                       "rl_limit takes a zone, a policy and a key, or is \"off\" alone");
    return NGX_CONF_ERROR;
  }
  if (location->limits != NULL) return "is off, and has a limit, too";
  location->limits = ngx_array_create(cf->pool, 1, sizeof(ngx_librl_limit_t));
  return location->limits != NULL ? NGX_CONF_OK : NGX_CONF_ERROR;
}

char* ngx_librl_set_limit(ngx_conf_t* cf, ngx_command_t* command, void* conf) {
  ngx_librl_location_t* location = conf;
  ngx_str_t* args = cf->args->elts;
  words_t words;
  ngx_librl_limit_t* limit;
  ngx_uint_t i;

  (void)command;
  if (cf->args->nelts < 4) return set_off(cf, location);
  if (location->limits == NULL)
    location->limits = ngx_array_create(cf->pool, 2, sizeof(ngx_librl_limit_t));
  else if (location->limits->nelts == 0)
    return "is off, and has a limit, too";
  limit = location->limits != NULL ? ngx_array_push(location->limits) : NULL;
  if (limit == NULL) return NGX_CONF_ERROR;
  ngx_memzero(&words, sizeof words);
  ngx_memzero(limit, sizeof *limit);
  limit->place = ngx_librl_place_of(cf);
  limit->status = NGX_HTTP_TOO_MANY_REQUESTS;
  limit->ipv4_prefix = 32;
  limit->ipv6_prefix = 64;
  for (i = 3; i < cf->args->nelts; ++i) {
    if (set_limit_option(cf, &args[i], limit, &words) != NGX_CONF_OK) return NGX_CONF_ERROR;
  }
  if (!limit->is_client && limit->key.value.data == NULL) return "has no key=";
  if (words.has_prefix && !limit->is_client)
    return "has a prefix, and a key that is not $binary_remote_addr or $rl_client";
  limit->policy = policy_for(cf, &args[1], &args[2]);
  if (limit->policy == NULL) return NGX_CONF_ERROR;
  return set_text(cf, limit->policy, &words.text, words.is_shadow);
}

/* How many limits a text has, as far as can be told without the segment. */
static ngx_uint_t count_of(const ngx_str_t* text) {
  ngx_uint_t i, count = 1;

  for (i = 0; i < text->len; ++i) count += text->data[i] == ',';
  return count;
}

/* Whether a request can wait for this one of several limits: as long as a leaky one's queue says. */
static ngx_uint_t can_wait(const ngx_librl_limit_t* limit) {
  const ngx_str_t* text = &limit->policy->text;

  return text->len == 0 || (ngx_strncmp(text->data, "leaky", 5) == 0 && !limit->is_wait_max_given);
}

char* ngx_librl_check_together(ngx_conf_t* cf, const ngx_array_t* limits) {
  const ngx_librl_limit_t* limit = limits->elts;
  ngx_uint_t i, count = 0;

  for (i = 0; i < limits->nelts; ++i) count += count_of(&limit[i].policy->text);
  for (i = 0; i < limits->nelts; ++i) {
    if (count > LIBRL_ASKS_MAX) {
      ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                    "a request can be asked for %d limits, and here are %ui in %s:%ui",
                    LIBRL_ASKS_MAX, count, limit[i].place.file, limit[i].place.line);
      return NGX_CONF_ERROR;
    }
    if (count == 1 || limit[i].wait_max == 0 || can_wait(&limit[i])) continue;
    ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                  "rl_limit \"%V\": of several limits a request waits for leaky ones only, as long "
                  "as their queue says: take its \"%s\" away, or the others, in %s:%ui",
                  &limit[i].policy->name, limit[i].is_wait_max_given ? "delay=" : "delay",
                  limit[i].place.file, limit[i].place.line);
    return NGX_CONF_ERROR;
  }
  return NGX_CONF_OK;
}
