/**
 * \file
 * Segments and policies: opened when a configuration is read, taken over at a reload, closed when it
 * goes. See ngx_librl.h.
 *
 * This is a module of the core, as its two moments are the core's. When a configuration has been read
 * whole (init_conf) `user` and `worker_processes` are known, and a failure refuses the configuration:
 * at a reload nginx goes on with the one before. When it is accepted (init_module) nothing may fail
 * any more: that is when limits change.
 *
 * Which limit is in force? The segment's, as everywhere in librl: a change by rlctl outlives reloads,
 * restarts and upgrades of nginx. But who writes another limit into the configuration and reloads
 * means it, so a text that is not the one of the configuration before is put in force then.
 */
#include "ngx_librl.h"

static void log_line(int is_warning, const char* line, size_t size, void* unused) {
  const ngx_str_t text = {size, (u_char*)line};
  const ngx_uint_t level = is_warning ? NGX_LOG_WARN : NGX_LOG_NOTICE;

  (void)unused;
  ngx_log_error(level, ngx_cycle->log, 0, "librl: %V", &text);
}

/* The library may outlive us where another module has it, too. */
__attribute__((destructor)) static void unset_log(void) {
  librl_set_log(NULL, NULL);
}

/* --- what can be told without the segment ---------------------------------------------------------- */

const char* ngx_librl_check_limit(const ngx_str_t* name, const ngx_str_t* text) {
  librl_options_t options = LIBRL_OPTIONS_INIT;
  librl_segment_t* segment = NULL;
  librl_limiter_t* limiter = NULL;
  const char* wrong = NULL;

  options.open = LIBRL_OPEN_PRIVATE;
  if (librl_open(NULL, &options, &segment) != 0 ||
      librl_limiter(segment, (const char*)name->data, (const char*)text->data, &limiter) != 0)
    wrong = librl_last_error();
  else if (librl_peek(limiter, "k", 1, 1, NULL) < 0)
    wrong = "it is no limit of requests; give one such as \"10/s burst=20\"";
  librl_limiter_free(limiter);
  librl_close(segment);
  return wrong;
}

const char* ngx_librl_check_options(const librl_options_t* given) {
  librl_options_t options = *given;
  librl_segment_t* segment;

  options.open = LIBRL_OPEN_PRIVATE;
  options.on_failure = LIBRL_FAIL_OPEN_CALL;
  if (librl_open(NULL, &options, &segment) != 0) return librl_last_error();
  librl_close(segment);
  return NULL;
}

/* --- policies -------------------------------------------------------------------------------------- */

static void free_parts(ngx_librl_part_t* parts, ngx_uint_t count) {
  ngx_uint_t i;

  for (i = 0; i < count; ++i) librl_limiter_free(parts[i].limiter);
}

static int make_part(ngx_pool_t* pool, const ngx_str_t* policy, librl_limiter_t* all, ngx_uint_t i,
                     ngx_librl_part_t* part) {
  u_char* name = ngx_pnalloc(pool, policy->len + NGX_INT_T_LEN + 2);
  char kind[sizeof "leaky"];
  int code;

  if (name == NULL) return LIBRL_ENOMEM;
  part->name.data = name;
  part->name.len = (size_t)((i == 0 ? ngx_sprintf(name, "%V%Z", policy)
                                    : ngx_sprintf(name, "%V#%ui%Z", policy, i + 1)) -
                            name - 1);
  code = librl_limiter_at(all, i, &part->limiter);
  part->is_leaky = code == 0 && librl_limit_text(part->limiter, kind, sizeof kind) > 0 &&
                   ngx_strcmp(kind, "leaky") == 0;
  return code;
}

/* Makes the handles of a policy; `text` may be NULL, for what the segment has. Returns a code; after a
 * failure the policy has the handles that it had. */
static int bind_policy(ngx_pool_t* pool, ngx_librl_policy_t* policy, const u_char* text) {
  ngx_librl_part_t* parts;
  librl_limiter_t* all;
  ngx_uint_t i, count;
  int code =
      librl_limiter(policy->zone->segment, (const char*)policy->name.data, (const char*)text, &all);

  if (code != 0) return code;
  count = librl_limiter_count(all);
  parts = ngx_pcalloc(pool, count * sizeof *parts);
  if (parts == NULL) code = LIBRL_ENOMEM;
  for (i = 0; i < count && code == 0; ++i) code = make_part(pool, &policy->name, all, i, &parts[i]);
  librl_limiter_free(all);
  if (code != 0) {
    if (parts != NULL) free_parts(parts, count);
    return code;
  }
  free_parts(policy->parts, policy->part_count);
  policy->parts = parts;
  policy->part_count = count;
  return 0;
}

/* Returns what the configuration before said of the same policy of the same segment, if anything. */
static const ngx_librl_policy_t* policy_before(const ngx_cycle_t* cycle,
                                               const ngx_librl_policy_t* policy) {
  const ngx_cycle_t* before = cycle->old_cycle;
  const ngx_librl_conf_t* conf;
  ngx_librl_policy_t** policies;
  ngx_uint_t i;

  if (before == NULL || before->conf_ctx == NULL) return NULL;
  conf = (const ngx_librl_conf_t*)ngx_get_conf(before->conf_ctx, ngx_librl_module);
  if (conf == NULL) return NULL; /* it did not load us */
  policies = conf->policies.elts;
  for (i = 0; i < conf->policies.nelts; ++i) {
    if (policies[i]->zone != NULL &&
        ngx_strcmp(policies[i]->zone->path.data, policy->zone->path.data) == 0 &&
        ngx_strcmp(policies[i]->name.data, policy->name.data) == 0)
      return policies[i];
  }
  return NULL;
}

static ngx_uint_t is_rewritten(const ngx_cycle_t* cycle, const ngx_librl_policy_t* policy) {
  const ngx_librl_policy_t* before = policy_before(cycle, policy);

  return before != NULL && before->text.len != 0 && policy->text.len != 0 &&
         ngx_strcmp(before->text.data, policy->text.data) != 0;
}

static char* refuse_policy(const ngx_cycle_t* cycle, const ngx_librl_policy_t* policy,
                           const char* why) {
  ngx_log_error(NGX_LOG_EMERG, cycle->log, 0, "rl_limit \"%V\": %s in %s:%ui", &policy->name, why,
                policy->place.file, policy->place.line);
  return NGX_CONF_ERROR;
}

/* What the segment has of that name stands, and may be nothing that a request can be asked for. */
static char* check_parts(const ngx_cycle_t* cycle, const ngx_librl_policy_t* policy) {
  ngx_uint_t i;

  for (i = 0; i < policy->part_count; ++i) {
    if (librl_peek(policy->parts[i].limiter, "k", 1, 1, NULL) < 0)
      return refuse_policy(cycle, policy,
                           "the segment has permits or a count of that name, and no limit of "
                           "requests; give this limit a name of its own");
  }
  return NGX_CONF_OK;
}

static char* open_policy(ngx_cycle_t* cycle, ngx_librl_policy_t* policy) {
  const u_char* text = policy->text.len != 0 ? policy->text.data : NULL;
  int code = LIBRL_EUNKNOWN_POLICY;

  /* What was written anew is put in force later: to ask for it now were to be told that it differs. */
  if (text == NULL || is_rewritten(cycle, policy)) code = bind_policy(cycle->pool, policy, NULL);
  if (code == LIBRL_EUNKNOWN_POLICY && text != NULL) code = bind_policy(cycle->pool, policy, text);
  if (code != 0) return refuse_policy(cycle, policy, librl_last_error());
  return check_parts(cycle, policy);
}

/* Puts in force what was written anew. That it cannot be is no reason to stop nginx. */
static void change_policy(ngx_cycle_t* cycle, ngx_librl_policy_t* policy) {
  const char* name = (const char*)policy->name.data;
  const char* text = (const char*)policy->text.data;

  if (librl_set_policy(policy->zone->segment, name, text) == 0 &&
      bind_policy(cycle->pool, policy, policy->text.data) == 0) {
    ngx_log_error(NGX_LOG_NOTICE, cycle->log, 0, "rl_limit \"%V\" is \"%V\" now", &policy->name,
                  &policy->text);
    return;
  }
  ngx_log_error(NGX_LOG_ERR, cycle->log, 0,
                "rl_limit \"%V\" cannot become \"%V\": %s in %s:%ui; the segment's limit stands",
                &policy->name, &policy->text, librl_last_error(), policy->place.file,
                policy->place.line);
}

/* --- zones ----------------------------------------------------------------------------------------- */

static void close_all(void* data) {
  ngx_librl_conf_t* conf = data;
  ngx_librl_policy_t** policies = conf->policies.elts;
  ngx_librl_zone_t** zones = conf->zones.elts;
  ngx_uint_t i;

  for (i = 0; i < conf->policies.nelts; ++i)
    free_parts(policies[i]->parts, policies[i]->part_count);
  for (i = 0; i < conf->zones.nelts; ++i) librl_close(zones[i]->segment);
}

/* A segment that root makes is for the workers, who are not root: they have it by their group. */
static char* let_workers_in(ngx_cycle_t* cycle, librl_options_t* options) {
  const ngx_core_conf_t* core = (ngx_core_conf_t*)ngx_get_conf(cycle->conf_ctx, ngx_core_module);
  u_char* group;

  options->share = core->worker_processes > 0 ? (uint64_t)core->worker_processes : 1;
  if (geteuid() != 0 || options->owner != NULL || options->group != NULL) return NGX_CONF_OK;
  group = ngx_pnalloc(cycle->pool, NGX_INT_T_LEN + 1);
  if (group == NULL) return NGX_CONF_ERROR;
  ngx_sprintf(group, "%ui%Z", (ngx_uint_t)core->group);
  options->group = (const char*)group;
  if (options->mode == 0) options->mode = 0660;
  return NGX_CONF_OK;
}

static char* refuse_zone(ngx_cycle_t* cycle, const ngx_librl_zone_t* zone, const char* why) {
  ngx_log_error(NGX_LOG_EMERG, cycle->log, 0, "rl_zone \"%V\": %s in %s:%ui", &zone->name, why,
                zone->place.file, zone->place.line);
  return NGX_CONF_ERROR;
}

static char* open_zone(ngx_cycle_t* cycle, ngx_librl_zone_t* zone) {
  if (let_workers_in(cycle, &zone->options) != NGX_CONF_OK) return NGX_CONF_ERROR;
  if (librl_open((const char*)zone->path.data, &zone->options, &zone->segment) != 0)
    return refuse_zone(cycle, zone, librl_last_error());
  return NGX_CONF_OK;
}

/* Whether there is the folder that a path is in. */
static ngx_uint_t has_folder(ngx_pool_t* pool, const ngx_str_t* path) {
  u_char* slash = path->data[0] == '/' ? (u_char*)strrchr((char*)path->data, '/') : NULL;
  u_char* folder;

  if (slash == NULL || slash == path->data) return 1;
  folder = ngx_pstrdup(pool, &(ngx_str_t){(size_t)(slash - path->data) + 1, path->data});
  if (folder == NULL) return 1;
  folder[slash - path->data] = '\0';
  return access((const char*)folder, F_OK) == 0;
}

/* `nginx -t` makes and changes nothing: it looks, and finds wrong what the start would find wrong. */
static char* look_at_zone(ngx_cycle_t* cycle, ngx_librl_zone_t* zone) {
  librl_options_t options = zone->options;
  const char* why;
  int code;

  options.open = LIBRL_OPEN_READ_ONLY;
  options.on_failure = LIBRL_FAIL_OPEN_CALL;
  code = librl_open((const char*)zone->path.data, &options, &zone->segment);
  if (code == 0 || (code == LIBRL_ENOT_FOUND && has_folder(cycle->pool, &zone->path)))
    return NGX_CONF_OK;
  why = librl_last_error();
  if (zone->options.on_failure == LIBRL_FAIL_OPEN_CALL) return refuse_zone(cycle, zone, why);
  ngx_log_error(NGX_LOG_WARN, cycle->log, 0, "rl_zone \"%V\" would begin without its segment: %s",
                &zone->name, why);
  return NGX_CONF_OK;
}

static char* look_at_policy(ngx_cycle_t* cycle, ngx_librl_policy_t* policy) {
  const ngx_uint_t is_written = policy->text.len != 0;
  int code;

  if (policy->zone->segment != NULL) {
    code = bind_policy(cycle->pool, policy, NULL);
    if (code == 0) return check_parts(cycle, policy);
    if (code == LIBRL_EUNKNOWN_POLICY && is_written) return NGX_CONF_OK; /* the start brings it */
    return refuse_policy(cycle, policy, librl_last_error());
  }
  if (is_written || policy->zone->options.on_failure != LIBRL_FAIL_OPEN_CALL) return NGX_CONF_OK;
  return refuse_policy(cycle, policy, "has no limit, and there is no segment yet that has one");
}

/* --- the core's moments ---------------------------------------------------------------------------- */

static void* create_conf(ngx_cycle_t* cycle) {
  ngx_librl_conf_t* conf = ngx_pcalloc(cycle->pool, sizeof *conf);

  if (conf == NULL ||
      ngx_array_init(&conf->zones, cycle->pool, 2, sizeof(ngx_librl_zone_t*)) != NGX_OK ||
      ngx_array_init(&conf->policies, cycle->pool, 4, sizeof(ngx_librl_policy_t*)) != NGX_OK)
    return NULL;
  return conf;
}

static char* find_zones(ngx_cycle_t* cycle, ngx_librl_conf_t* conf) {
  ngx_librl_policy_t** policies = conf->policies.elts;
  ngx_librl_zone_t** zones = conf->zones.elts;
  ngx_uint_t i, z;

  for (i = 0; i < conf->policies.nelts; ++i) {
    for (z = 0; z < conf->zones.nelts; ++z) {
      if (ngx_strcmp(zones[z]->name.data, policies[i]->zone_name.data) == 0)
        policies[i]->zone = zones[z];
    }
    if (policies[i]->zone != NULL) continue;
    ngx_log_error(NGX_LOG_EMERG, cycle->log, 0, "there is no rl_zone \"%V\" in %s:%ui",
                  &policies[i]->zone_name, policies[i]->place.file, policies[i]->place.line);
    return NGX_CONF_ERROR;
  }
  return NGX_CONF_OK;
}

static char* init_conf(ngx_cycle_t* cycle, void* data) {
  ngx_librl_conf_t* conf = data;
  ngx_librl_zone_t** zones = conf->zones.elts;
  ngx_librl_policy_t** policies = conf->policies.elts;
  ngx_pool_cleanup_t* cleanup;
  char* result = find_zones(cycle, conf);
  ngx_uint_t i;

  /* `nginx -s reload` reads the configuration, too, to find the master's process id. */
  if (result != NGX_CONF_OK || ngx_process == NGX_PROCESS_SIGNALLER) return result;
  cleanup = ngx_pool_cleanup_add(cycle->pool, 0);
  if (cleanup == NULL) return NGX_CONF_ERROR;
  cleanup->handler = close_all;
  cleanup->data = conf;
  librl_set_log(log_line, NULL);
  for (i = 0; i < conf->zones.nelts && result == NGX_CONF_OK; ++i)
    result = ngx_test_config ? look_at_zone(cycle, zones[i]) : open_zone(cycle, zones[i]);
  for (i = 0; i < conf->policies.nelts && result == NGX_CONF_OK; ++i)
    result = ngx_test_config ? look_at_policy(cycle, policies[i]) : open_policy(cycle, policies[i]);
  return result;
}

static ngx_int_t init_module(ngx_cycle_t* cycle) {
  ngx_librl_conf_t* conf = (ngx_librl_conf_t*)ngx_get_conf(cycle->conf_ctx, ngx_librl_module);
  ngx_librl_policy_t** policies = conf->policies.elts;
  ngx_uint_t i;

  for (i = 0; i < conf->policies.nelts && !ngx_test_config; ++i) {
    if (is_rewritten(cycle, policies[i])) change_policy(cycle, policies[i]);
  }
  return NGX_OK;
}

static ngx_core_module_t context = {ngx_string("librl"), create_conf, init_conf};

ngx_module_t ngx_librl_module = NGX_LIBRL_MODULE(&context, NULL, NGX_CORE_MODULE, init_module);
