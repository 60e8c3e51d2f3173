#!/usr/bin/env bash
# The code in a program is that of one library: every function of librl in it is as long as it is in
# the library's archive, which at another level of optimization few are. (Linkers say nothing when
# they take the same symbols from another library.) Inline functions have no length of their own:
# clang -O0 lets it depend on what else is in the file.
# usage: stepped_test.sh PROGRAM LIBRARY
set -eu
# Each function of librl that is of one of these kinds, with its length.
functions() {
  nm -CS --defined-only "$1" | sed -nE "s/^[0-9a-f]+ ([0-9a-f]+) [$2] (.*rl::.*)/\1 \2/p" |
    grep -v 'rl::test::' | sort -u
}
names() { cut -d' ' -f2- | sort -u; }
library=$(functions "$2" Tt)
program=$(functions "$1" TtWw)
grep -qF 'rl::Limiter::try_acquire(' <<< "$program" || { echo "no librl in $1" >&2; exit 1; }
others=$(comm -23 <(echo "$program") <(echo "$library") | names |
  comm -12 - <(names <<< "$library"))
[ -z "$others" ] || { echo "in $1, and not from $2:" >&2; echo "$others" >&2; exit 1; }
echo "$(comm -12 <(echo "$program") <(echo "$library") | wc -l) functions of $1 are those of $2"
