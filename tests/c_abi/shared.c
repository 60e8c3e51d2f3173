#define _POSIX_C_SOURCE 200809L
#include <stddef.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/c_abi/c_abi.h"

struct fixture set_up(const char* limits) {
  struct fixture made = {NULL, NULL};
  librl_options_t options = LIBRL_OPTIONS_INIT;
  options.open = LIBRL_OPEN_PRIVATE;
  options.clock = LIBRL_CLOCK_MANUAL;
  options.keys = 1000;
  CHECK(librl_open(NULL, &options, &made.segment) == 0);
  CHECK(librl_limiter(made.segment, "api", limits, &made.limiter) == 0);
  return made;
}

void tear_down(struct fixture* fixture) {
  librl_limiter_free(fixture->limiter);
  librl_close(fixture->segment);
}

int in_child(int (*body)(void*), void* argument) {
  int status = 0;
  const pid_t pid = fork();
  if (pid == 0) _exit(body(argument));
  if (pid < 0 || waitpid(pid, &status, 0) != pid) return -1;
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}
