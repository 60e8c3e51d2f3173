#!/usr/bin/env bash
# A user's own project: installs the tree somewhere else, finds it by pkg-config, compiles and links
# against it, shared and static, in C++ and in C, and runs.
# usage: CC=... install_test.sh BUILD_DIR SOURCE_DIR CXX...
set -eu
build=$1
source=$2
shift 2
cxx=("$@")
read -ra cc <<<"${CC:-cc}"
here=$(mktemp -d)
segment=test-$$-install
trap 'rm -rf "$here" "/dev/shm/rl.$segment"' EXIT

DESTDIR=$here meson install -C "$build" --no-rebuild --quiet
if nm -D "$(find "$here" -name librl.so)" | grep -q -E ' U __(asan|tsan|ubsan)_'; then
  echo "skipped: a user's program would have to be built with the same sanitizer"
  exit 77
fi
pc=$(find "$here" -name librl.pc)
export PKG_CONFIG_PATH=${pc%/*} PKG_CONFIG_SYSROOT_DIR=$here
libdir=$(pkg-config --variable=libdir librl)

cat > "$here/user.cpp" <<'CODE'
#include <rl/rl.hpp>

#include <cstdio>

int main(int, char** argv) {
  rl::Segment segment = rl::Segment::open_or_create(argv[1], {.keys = 1'000});
  rl::Limiter api = segment.limiter("api", rl::Limit::per_hour(2));
  int allowed = 0;
  for (int i = 0; i < 5; ++i) allowed += api.try_acquire("user:42") ? 1 : 0;
  try {
    (void)rl::Limit::parse("fast");
  } catch (const rl::Error&) {  // the type crosses the library's border
    const rl::Decision denied = api.try_acquire("user:42");
    char buffer[rl::http::kFieldMax];
    const bool says = !rl::http::retry_after(denied, buffer).empty() &&
                      !rl::http::ratelimit_policy("api", api.limit(), buffer).empty() &&
                      !rl::http::ratelimit("api", api.limit(), denied, buffer).empty() &&
                      !rl::http::x_ratelimit_limit(denied, buffer).empty() &&
                      !rl::http::x_ratelimit_remaining(denied, buffer).empty() &&
                      !rl::http::x_ratelimit_reset(denied, buffer).empty();
    std::printf(says ? "%d\n" : "a field of a denial is empty\n", allowed);
  }
}
CODE

expect() {
  local got
  got=$("${@:2}")
  [ "$got" = "$1" ] || { echo "expected \"$1\", got \"$got\" from: ${*:2}" >&2; exit 1; }
}

# shellcheck disable=SC2046
"${cxx[@]}" -std=c++20 -Wall -Wextra -Wpedantic -Werror "$here/user.cpp" -o "$here/shared" \
  $(pkg-config --cflags --libs librl)
expect 2 env LD_LIBRARY_PATH="$libdir" "$here/shared" "$segment"
# A second program on the same segment: the limit is already spent.
# shellcheck disable=SC2046
"${cxx[@]}" -std=c++20 "$here/user.cpp" -o "$here/static" \
  $(pkg-config --cflags librl) "$libdir/librl.a" $(pkg-config --static --libs-only-l librl | sed 's/-lrl//')
expect 0 "$here/static" "$segment"
rm -f "/dev/shm/rl.$segment"
expect 2 "$here/static" "$segment"

# The same in C99: what the README shows, on a segment of the test's own.
{
  echo '#include <stdio.h>
#include <stdlib.h>
#include <string.h>
static void die(const char *why) { puts(why); exit(1); }
static void reply_429(void) { puts("429"); }'
  sed -n '/^```c$/,/^```$/p' "$source/README.md" | grep '^#'
  echo 'int main(int argc, char **argv) {
  const char *ip = argc == 2 ? "203.0.113.7" : "";'
  sed -n '/^```c$/,/^```$/p' "$source/README.md" | grep -v -e '^#' -e '^```' | sed 's/"web"/argv[1]/'
  echo '  librl_decision_t d = LIBRL_DECISION_INIT;
  const int passes = librl_peek(api, ip, strlen(ip), 200, &d);
  printf("%d: %d of %d\n", passes, (int)d.remaining, (int)d.limit);
  librl_limiter_free(api);
  librl_close(segment);
  return 0;
}'
} > "$here/user.c"
rm -f "/dev/shm/rl.$segment"
# shellcheck disable=SC2046
"${cc[@]}" -std=c99 -pedantic -Wall -Wextra -Werror "$here/user.c" -o "$here/in_c" \
  $(pkg-config --cflags --libs librl)
expect "0: 199 of 200" env LD_LIBRARY_PATH="$libdir" "$here/in_c" "$segment"

# Every public header is there, and all that it includes. (That each compiles alone is for tools/lint.)
for header in "$source"/include/rl/*.hpp; do echo "#include <rl/$(basename "$header")>"; done > "$here/all.cpp"
# shellcheck disable=SC2046
"${cxx[@]}" -std=c++20 -Wall -Wextra -Wpedantic -Werror -fsyntax-only "$here/all.cpp" $(pkg-config --cflags librl)
echo "installed, compiled, linked and ran"
