/* Keys and response fields. */
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#include "tests/c_abi/c_abi.h"

static int is_text(const char* buffer, int size, const char* text) {
  return size == (int)strlen(text) && memcmp(buffer, text, strlen(text)) == 0;
}

void an_address_has_one_key(void) {
  char key[LIBRL_KEY_MAX];
  const char* const texts[] = {"203.0.113.7", "2001:DB8:1:2::7", "::ffff:203.0.113.7"};
  CHECK(is_text(key, librl_address_key(texts[0], 11, 32, 64, key, sizeof key), "203.0.113.7"));
  CHECK(is_text(key, librl_address_key(texts[0], 11, 24, 64, key, sizeof key), "203.0.113.0/24"));
  CHECK(
      is_text(key, librl_address_key(texts[1], 15, 32, 64, key, sizeof key), "2001:db8:1:2::/64"));
  CHECK(is_text(key, librl_address_key(texts[2], 18, 32, 64, key, sizeof key), "203.0.113.7"));
  CHECK(librl_address_key("203.0.113", 9, 32, 64, key, sizeof key) == LIBRL_EINVALID);
  CHECK(librl_address_key("", 0, 32, 64, key, sizeof key) == LIBRL_EINVALID);
  CHECK(librl_address_key(NULL, 11, 32, 64, key, sizeof key) == LIBRL_EINVALID);
  CHECK(librl_address_key(texts[0], SIZE_MAX, 32, 64, key, sizeof key) == LIBRL_EINVALID);
  CHECK(librl_address_key(texts[0], 11, 33, 64, key, sizeof key) == LIBRL_EINVALID);
  CHECK(librl_address_key(texts[0], 11, 32, 129, key, sizeof key) == LIBRL_EINVALID);
  CHECK(librl_address_key(texts[0], 11, 32, 64, NULL, sizeof key) == LIBRL_EINVALID);
}

void a_socket_address_has_the_same_key(void) {
  char key[LIBRL_KEY_MAX];
  struct sockaddr_in v4;
  struct sockaddr_in6 v6;
  const struct sockaddr* const first = (const struct sockaddr*)(const void*)&v4;
  memset(&v4, 0, sizeof v4);
  memset(&v6, 0, sizeof v6);
  v4.sin_family = AF_INET;
  v4.sin_port = 80;
  memcpy(&v4.sin_addr, "\xcb\0\x71\x07", 4);
  v6.sin6_family = AF_INET6;
  memcpy(&v6.sin6_addr, "\x20\x01\x0d\xb8\0\1\0\2\0\0\0\0\0\0\0\7", 16);
  CHECK(is_text(key, librl_sockaddr_key(first, sizeof v4, 32, 64, key, sizeof key), "203.0.113.7"));
  CHECK(is_text(key,
                librl_sockaddr_key((const struct sockaddr*)(const void*)&v6, sizeof v6, 32, 128,
                                   key, sizeof key),
                "2001:db8:1:2::7"));
  CHECK(librl_sockaddr_key(NULL, sizeof v4, 32, 64, key, sizeof key) == LIBRL_EINVALID);
  CHECK(librl_sockaddr_key(first, 3, 32, 64, key, sizeof key) == LIBRL_EINVALID);
  CHECK(librl_sockaddr_key(first, 0, 32, 64, key, sizeof key) == LIBRL_EINVALID);
  CHECK(librl_sockaddr_key(first, sizeof v4, 99, 64, key, sizeof key) == LIBRL_EINVALID);
  v4.sin_family = AF_UNIX;
  CHECK(librl_sockaddr_key(first, sizeof v4, 32, 64, key, sizeof key) == LIBRL_EINVALID);
}

void a_key_of_parts_is_injective(void) {
  char key[LIBRL_KEY_MAX];
  const librl_key_t parts[3] = {{"a,b", 3}, {NULL, 0}, {"c\\", 2}};
  librl_key_t bad = {NULL, 1};
  librl_key_t whole[2] = {{key, LIBRL_KEY_MAX}, {"", 0}};
  CHECK(is_text(key, librl_composite_key(parts, 3, key, sizeof key), "a\\,b,\\-,c\\\\"));
  CHECK(is_text(key, librl_composite_key(parts + 1, 1, key, sizeof key), "\\-"));
  CHECK(librl_composite_key(NULL, 1, key, sizeof key) == LIBRL_EINVALID);
  CHECK(librl_composite_key(parts, 0, key, sizeof key) == LIBRL_EINVALID);
  CHECK(librl_composite_key(&bad, 1, key, sizeof key) == LIBRL_EINVALID);
  bad.data = "a";
  bad.size = SIZE_MAX; /* what a key that failed returned */
  CHECK(librl_composite_key(&bad, 1, key, sizeof key) == LIBRL_EINVALID);
  memset(key, 'k', sizeof key);
  CHECK(librl_composite_key(whole, 1, key, sizeof key) == LIBRL_KEY_MAX); /* from the same bytes */
  CHECK(librl_composite_key(whole, 2, key, sizeof key) == LIBRL_EINVALID);
}

void a_field_says_how_things_stand(void) {
  struct fixture f = set_up("2/s");
  struct fixture permits = set_up("concurrency 2");
  librl_decision_t d = LIBRL_DECISION_INIT;
  char field[LIBRL_FIELD_MAX];
  int size = librl_ratelimit_policy("api", f.limiter, 0, field, sizeof field);
  CHECK(is_text(field, size, "\"api\";q=2;w=1"));
  CHECK(librl_acquire(f.limiter, A, 2, &d) == 1);
  CHECK(librl_retry_after(&d, field, sizeof field) == 0);
  size = librl_ratelimit("api", f.limiter, &d, field, sizeof field);
  CHECK(is_text(field, size, "\"api\";r=0;t=1"));
  CHECK(librl_acquire(f.limiter, A, 1, &d) == 0);
  CHECK(is_text(field, librl_retry_after(&d, field, sizeof field), "1"));
  CHECK(librl_ratelimit_policy("jobs", permits.limiter, 0, field, sizeof field) == 0);
  CHECK(librl_retry_after(NULL, field, sizeof field) == LIBRL_EINVALID);
  CHECK(librl_ratelimit_policy(NULL, f.limiter, 0, field, sizeof field) == LIBRL_EINVALID);
  CHECK(librl_ratelimit_policy("api", NULL, 0, field, sizeof field) == LIBRL_EINVALID);
  CHECK(librl_ratelimit_policy("api", f.limiter, 1, field, sizeof field) == LIBRL_EINVALID);
  CHECK(librl_ratelimit(NULL, f.limiter, &d, field, sizeof field) == LIBRL_EINVALID);
  CHECK(librl_ratelimit("api", NULL, &d, field, sizeof field) == LIBRL_EINVALID);
  CHECK(librl_ratelimit("api", f.limiter, NULL, field, sizeof field) == LIBRL_EINVALID);
  tear_down(&permits);
  tear_down(&f);
}

void a_field_of_a_list_is_of_the_limit_that_decided(void) {
  struct fixture f = set_up("10/s, 3/h");
  librl_decision_t d = LIBRL_DECISION_INIT;
  char field[LIBRL_FIELD_MAX];
  int size = librl_ratelimit_policy("api", f.limiter, 1, field, sizeof field);
  CHECK(is_text(field, size, "\"api\";q=3;w=3600"));
  CHECK(librl_acquire(f.limiter, A, 2, &d) == 1);
  size = librl_ratelimit("api", f.limiter, &d, field, sizeof field);
  CHECK(is_text(field, size, "\"api\";r=1;t=1200"));
  d.which = 2;
  CHECK(librl_ratelimit("api", f.limiter, &d, field, sizeof field) == LIBRL_EINVALID);
  CHECK(librl_ratelimit_policy("api", f.limiter, 2, field, sizeof field) == LIBRL_EINVALID);
  tear_down(&f);
}

void a_buffer_that_is_too_small_is_left_alone(void) {
  struct fixture f = set_up("2/s");
  librl_decision_t d = LIBRL_DECISION_INIT;
  const librl_key_t part = {"user", 4};
  char name[65];
  char buffer[LIBRL_FIELD_MAX + 1] = "###";
  CHECK(librl_acquire(f.limiter, A, 2, &d) == 1);
  CHECK(librl_acquire(f.limiter, A, 2, &d) == 0);
  CHECK(librl_address_key("203.0.113.7", 11, 32, 64, buffer, 10) == LIBRL_EINVALID);
  CHECK(librl_composite_key(&part, 1, buffer, 3) == LIBRL_EINVALID);
  CHECK(librl_retry_after(&d, buffer, 0) == LIBRL_EINVALID);
  CHECK(librl_ratelimit("api", f.limiter, &d, buffer, 12) == LIBRL_EINVALID);
  CHECK(librl_ratelimit_policy("api", f.limiter, 0, buffer, 12) == LIBRL_EINVALID);
  CHECK(librl_ratelimit_policy("api", f.limiter, 0, NULL, 20) == LIBRL_EINVALID);
  CHECK(strcmp(buffer, "###") == 0);
  CHECK(librl_ratelimit_policy("api", f.limiter, 0, buffer, 13) == 13);
  memset(name, '"', sizeof name);
  name[64] = '\0';
  CHECK(librl_ratelimit_policy(name, f.limiter, 0, buffer, sizeof buffer) == LIBRL_EINVALID);
  name[63] = '\0';
  CHECK(librl_ratelimit_policy(name, f.limiter, 0, buffer, sizeof buffer) == 2 + 2 * 63 + 8);
  tear_down(&f);
}
