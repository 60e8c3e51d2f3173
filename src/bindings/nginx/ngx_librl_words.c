/**
 * \file
 * Words of directives: what rl_zone and rl_limit read alike. See ngx_librl.h.
 */
#include "ngx_librl.h"

u_char* ngx_librl_value_of(const ngx_str_t* word, const char* name) {
  size_t size = ngx_strlen(name);

  if (word->len < size || ngx_strncmp(word->data, name, size) != 0) return NULL;
  return word->data + size;
}

ngx_librl_place_t ngx_librl_place_of(ngx_conf_t* cf) {
  ngx_librl_place_t place = {(u_char*)"the command line", 0};

  if (cf->conf_file->file.fd == NGX_INVALID_FILE) return place; /* -g */
  place.file = cf->conf_file->file.name.data;
  place.line = cf->conf_file->line;
  return place;
}

ngx_int_t ngx_librl_number_of(const u_char* text, int base, ngx_int_t max) {
  ngx_int_t number = 0;

  if (*text == '\0') return NGX_ERROR;
  for (; *text != '\0'; ++text) {
    if (*text < '0' || *text >= '0' + base) return NGX_ERROR;
    number = number * base + (*text - '0');
    if (number > max) return NGX_ERROR;
  }
  return number;
}

char* ngx_librl_refuse(ngx_conf_t* cf, const ngx_str_t* word, const char* why) {
  ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "invalid parameter \"%V\": %s", word, why);
  return NGX_CONF_ERROR;
}
