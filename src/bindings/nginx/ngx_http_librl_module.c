/**
 * \file
 * The directives of HTTP, and what a location has of them. See ngx_librl.h.
 */
#include "ngx_librl.h"

static ngx_conf_enum_t log_levels[] = {{ngx_string("info"), NGX_LOG_INFO},
                                       {ngx_string("notice"), NGX_LOG_NOTICE},
                                       {ngx_string("warn"), NGX_LOG_WARN},
                                       {ngx_string("error"), NGX_LOG_ERR},
                                       {ngx_null_string, 0}};

static ngx_command_t commands[] = {
    {ngx_string("rl_zone"), NGX_HTTP_MAIN_CONF | NGX_CONF_1MORE, ngx_librl_set_zone, 0, 0, NULL},

    {ngx_string("rl_limit"),
     NGX_HTTP_MAIN_CONF | NGX_HTTP_SRV_CONF | NGX_HTTP_LOC_CONF | NGX_CONF_1MORE,
     ngx_librl_set_limit, NGX_HTTP_LOC_CONF_OFFSET, 0, NULL},

    {ngx_string("rl_headers"),
     NGX_HTTP_MAIN_CONF | NGX_HTTP_SRV_CONF | NGX_HTTP_LOC_CONF | NGX_CONF_FLAG,
     ngx_conf_set_flag_slot, NGX_HTTP_LOC_CONF_OFFSET, offsetof(ngx_librl_location_t, headers),
     NULL},

    {ngx_string("rl_log_level"),
     NGX_HTTP_MAIN_CONF | NGX_HTTP_SRV_CONF | NGX_HTTP_LOC_CONF | NGX_CONF_TAKE1,
     ngx_conf_set_enum_slot, NGX_HTTP_LOC_CONF_OFFSET, offsetof(ngx_librl_location_t, log_level),
     &log_levels},

    ngx_null_command};

static void* create_location(ngx_conf_t* cf) {
  ngx_librl_location_t* location = ngx_pcalloc(cf->pool, sizeof *location);

  if (location == NULL) return NULL;
  location->headers = NGX_CONF_UNSET;
  location->log_level = NGX_CONF_UNSET_UINT;
  return location;
}

/* A location that has limits has these, and else those around it: as with limit_req. */
static char* merge_location(ngx_conf_t* cf, void* parent, void* child) {
  ngx_librl_location_t* around = parent;
  ngx_librl_location_t* location = child;

  ngx_conf_merge_value(location->headers, around->headers, 1);
  ngx_conf_merge_uint_value(location->log_level, around->log_level, NGX_LOG_NOTICE);
  if (location->limits == NULL) location->limits = around->limits;
  if (location->limits == NULL) return NGX_CONF_OK;
  return ngx_librl_check_together(cf, location->limits);
}

static ngx_int_t add_handler(ngx_conf_t* cf) {
  ngx_http_core_main_conf_t* core = ngx_http_conf_get_module_main_conf(cf, ngx_http_core_module);
  ngx_http_handler_pt* handler = ngx_array_push(&core->phases[NGX_HTTP_PREACCESS_PHASE].handlers);

  if (handler == NULL) return NGX_ERROR;
  *handler = ngx_librl_handle;
  return NGX_OK;
}

static ngx_http_module_t context = {
    ngx_librl_add_variables, /* before the configuration is read */
    add_handler,             /* after */
    NULL,                    /* create main */
    NULL,                    /* initialise main */
    NULL,                    /* create server */
    NULL,                    /* merge server */
    create_location,
    merge_location,
};

ngx_module_t ngx_http_librl_module = NGX_LIBRL_MODULE(&context, commands, NGX_HTTP_MODULE, NULL);
