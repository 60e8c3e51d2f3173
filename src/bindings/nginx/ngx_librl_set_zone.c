/**
 * \file
 * rl_zone: from words to what is meant. See ngx_librl.h.
 *
 * What can be known to be wrong is refused here, so that nginx says the line. What takes the segment is
 * in ngx_librl_zones.c.
 */
#include "ngx_librl.h"

#include <grp.h>
#include <pwd.h>

/* Reads a count such as 65536, 100k or 1M; returns 0 for what is none. */
static uint64_t count_of(const u_char* text) {
  uint64_t count = 0;

  for (; *text >= '0' && *text <= '9'; ++text) {
    if (count > 1000000000000) return 0;
    count = count * 10 + (uint64_t)(*text - '0');
  }
  if (*text == 'k' || *text == 'K')
    count *= 1000, ++text;
  else if (*text == 'm' || *text == 'M')
    count *= 1000000, ++text;
  return *text == '\0' ? count : 0;
}

static ngx_uint_t is_number(const u_char* text) {
  return ngx_librl_number_of(text, 10, 0xfffffffe) != NGX_ERROR;
}

static char* set_on_failure(ngx_conf_t* cf, const ngx_str_t* word, const char* value,
                            librl_options_t* options) {
  static const struct {
    const char* word;
    uint32_t on_failure;
  } known[] = {{"refuse", LIBRL_FAIL_OPEN_CALL},
               {"allow", LIBRL_FAIL_ALLOW},
               {"deny", LIBRL_FAIL_DENY},
               {"local", LIBRL_FAIL_LOCAL}};
  size_t i;

  for (i = 0; i < sizeof known / sizeof known[0]; ++i) {
    if (ngx_strcmp(value, known[i].word) != 0) continue;
    options->on_failure = known[i].on_failure;
    return NGX_CONF_OK;
  }
  return ngx_librl_refuse(cf, word, "it is refuse, allow, deny or local");
}

static char* set_keys(ngx_conf_t* cf, const ngx_str_t* word, const u_char* value,
                      librl_options_t* options) {
  options->keys = count_of(value);
  if (options->keys == 0)
    return ngx_librl_refuse(cf, word, "it is a number such as 65536, 100k or 1M");
  return NGX_CONF_OK;
}

static char* set_mode(ngx_conf_t* cf, const ngx_str_t* word, const u_char* value,
                      librl_options_t* options) {
  ngx_int_t mode = ngx_librl_number_of(value, 8, 0777);

  if (mode <= 0) return ngx_librl_refuse(cf, word, "it is octal, such as 0660");
  options->mode = (uint32_t)mode;
  return NGX_CONF_OK;
}

static char* set_labels(ngx_conf_t* cf, const ngx_str_t* word, const char* value,
                        librl_options_t* options) {
  if (ngx_strcmp(value, "on") == 0) return NGX_CONF_OK;
  if (ngx_strcmp(value, "off") != 0) return ngx_librl_refuse(cf, word, "it is on or off");
  options->flags |= LIBRL_NO_LABELS;
  return NGX_CONF_OK;
}

static char* set_zone_option(ngx_conf_t* cf, const ngx_str_t* word, ngx_librl_zone_t* zone) {
  librl_options_t* options = &zone->options;
  u_char* value;

  if ((value = ngx_librl_value_of(word, "path=")) != NULL) {
    if (*value != '/') return ngx_librl_refuse(cf, word, "a path begins with '/'");
    zone->path.data = value;
    zone->path.len = ngx_strlen(value);
    return NGX_CONF_OK;
  }
  if ((value = ngx_librl_value_of(word, "keys=")) != NULL)
    return set_keys(cf, word, value, options);
  if ((value = ngx_librl_value_of(word, "mode=")) != NULL)
    return set_mode(cf, word, value, options);
  if ((value = ngx_librl_value_of(word, "on_failure=")) != NULL)
    return set_on_failure(cf, word, (const char*)value, options);
  if ((value = ngx_librl_value_of(word, "labels=")) != NULL)
    return set_labels(cf, word, (const char*)value, options);
  if ((value = ngx_librl_value_of(word, "owner=")) != NULL) {
    options->owner = (const char*)value;
    if (!is_number(value) && getpwnam(options->owner) == NULL)
      return ngx_librl_refuse(cf, word, "there is no such user");
    return NGX_CONF_OK;
  }
  if ((value = ngx_librl_value_of(word, "group=")) != NULL) {
    options->group = (const char*)value;
    if (!is_number(value) && getgrnam(options->group) == NULL)
      return ngx_librl_refuse(cf, word, "there is no such group");
    return NGX_CONF_OK;
  }
  if (ngx_strcmp(word->data, "any_owner") == 0) {
    options->flags |= LIBRL_ANY_OWNER;
    return NGX_CONF_OK;
  }
  return ngx_librl_refuse(cf, word, "rl_zone has no such option");
}

static ngx_librl_zone_t* find_zone(ngx_librl_conf_t* conf, const ngx_str_t* name) {
  ngx_librl_zone_t** zones = conf->zones.elts;
  ngx_uint_t i;

  for (i = 0; i < conf->zones.nelts; ++i) {
    if (ngx_strcmp(zones[i]->name.data, name->data) == 0) return zones[i];
  }
  return NULL;
}

char* ngx_librl_set_zone(ngx_conf_t* cf, ngx_command_t* command, void* unused) {
  ngx_librl_conf_t* conf = (ngx_librl_conf_t*)ngx_get_conf(cf->cycle->conf_ctx, ngx_librl_module);
  const librl_options_t defaults = LIBRL_OPTIONS_INIT;
  ngx_str_t* words = cf->args->elts;
  ngx_librl_zone_t *zone, **entry;
  const char* wrong;
  ngx_uint_t i;

  (void)command;
  (void)unused;
  if ((zone = find_zone(conf, &words[1])) != NULL) {
    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "rl_zone \"%V\" is there already, in %s:%ui",
                       &words[1], zone->place.file, zone->place.line);
    return NGX_CONF_ERROR;
  }
  zone = ngx_pcalloc(cf->pool, sizeof *zone);
  entry = ngx_array_push(&conf->zones);
  if (zone == NULL || entry == NULL) return NGX_CONF_ERROR;
  *entry = zone;
  zone->name = words[1];
  zone->path = words[1];
  zone->place = ngx_librl_place_of(cf);
  zone->options = defaults;
  for (i = 2; i < cf->args->nelts; ++i) {
    if (set_zone_option(cf, &words[i], zone) != NGX_CONF_OK) return NGX_CONF_ERROR;
  }
  if ((wrong = ngx_librl_check_options(&zone->options)) != NULL) {
    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "rl_zone \"%V\": %s", &zone->name, wrong);
    return NGX_CONF_ERROR;
  }
  return NGX_CONF_OK;
}
