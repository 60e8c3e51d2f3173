/**
 * \file
 * Makes calls of nginx and of the module fail; LD_PRELOAD puts it before whom they are made to. Which
 * stands in the file that RL_FAILING names, and they fail as long as it stands there.
 *
 *     bind    librl_limiter_at(), but for the first time: a limit is read again when it is put in force
 *     watch   epoll_ctl() that adds a file to watch
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include <rl/rl.h>

static char path[256];

/* Later nginx has another environment. */
__attribute__((constructor)) static void find_path(void) {
  const char* named = getenv("RL_FAILING");

  (void)snprintf(path, sizeof path, "%s", named != NULL ? named : "");
}

static int is_to_fail(const char* what) {
  char said[16] = "";
  FILE* file = fopen(path, "r");

  if (file == NULL) return 0;
  (void)fgets(said, sizeof said, file);
  (void)fclose(file);
  return strcmp(said, what) == 0;
}

__attribute__((visibility("default"))) int librl_limiter_at(const librl_limiter_t* limiter,
                                                            size_t i, librl_limiter_t** one) {
  static int times;
  int (*real)(const librl_limiter_t*, size_t, librl_limiter_t**);

  if (is_to_fail("bind") && times++ != 0) return LIBRL_ENOMEM;
  *(void**)&real = dlsym(RTLD_NEXT, "librl_limiter_at");
  return real(limiter, i, one);
}

__attribute__((visibility("default"))) int epoll_ctl(int epoll, int operation, int file,
                                                     struct epoll_event* event) {
  int (*real)(int, int, int, struct epoll_event*);

  if (operation == EPOLL_CTL_ADD && is_to_fail("watch")) {
    errno = ENOMEM;
    return -1;
  }
  *(void**)&real = dlsym(RTLD_NEXT, "epoll_ctl");
  return real(epoll, operation, file, event);
}
