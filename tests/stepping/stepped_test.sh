#!/usr/bin/env bash
# The code in a program is that of one library: every function of librl in it is as long as it is in
# the library's archive. (The same sources at another level of optimization are as long nowhere near
# always.) Linkers say nothing when they take another library of the same symbols.
# usage: stepped_test.sh PROGRAM LIBRARY
set -eu
# Each function of librl, with its length.
functions() {
  nm -CS --defined-only "$1" | sed -nE 's/^[0-9a-f]+ ([0-9a-f]+) [TtWw] (.*rl::.*)/\1 \2/p' |
    grep -v 'rl::test::' | sort -u
}
library=$(functions "$2")
program=$(functions "$1")
grep -qF 'rl::Limiter::try_acquire(' <<< "$program" || { echo "no librl in $1" >&2; exit 1; }
names() { cut -d' ' -f2- | sort -u; }
# In the program and in the library, but not of a length that the library knows.
others=$(comm -23 <(echo "$program") <(echo "$library") | names | comm -12 - <(names <<< "$library"))
[ -z "$others" ] || { echo "in $1, and not from $2:" >&2; echo "$others" >&2; exit 1; }
echo "$(comm -12 <(echo "$program") <(echo "$library") | wc -l) functions of $1 are those of $2"
