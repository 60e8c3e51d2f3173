#!/usr/bin/env bash
# Programs of two compilers on one segment at the same time: both hammer one key and a thousand new
# ones, exactly the limit is admitted (Guarantees A and S), and both read the same there: policies,
# labels, counts. The segment is made by each of them in turn. They are of two versions, too: those
# with the same layout work together.
#
# The library is compiled here by the compiler that did not compile the project, at -O2: the one
# build that g++ and clang++ can share least by chance. RL_DEEP=1 adds both at -O0 and -O3, and holds
# every pair of the five.
# usage: two_compilers_test.sh SOURCE_DIR DECIDER COMPILER_ID
set -eu
source=$1
decider=$2
id=$3
here=$(mktemp -d)
segment=test-$$-compilers
trap 'rm -rf "$here" "/dev/shm/rl.$segment"; kill $(jobs -p) 2>/dev/null || true' EXIT

fail() {
  echo "$*" >&2
  exit 1
}

# Prints the first of these commands that there is.
first_of() {
  local command
  for command in "$@"; do
    if command -v "$command"; then return; fi
  done
}

# compile NAME COMPILER FLAG: the library and the decider, in one program, as of another version.
compile() {
  local objects=$here/$1.objects file
  local wide=()
  [ "$(uname -m)" != x86_64 ] || wide=(-mcx16)
  mkdir "$objects"
  for file in "$source"/shm/*.cpp "$source"/src/*.cpp "$source/tests/world/decider.cpp"; do
    "$2" -std=c++20 "$3" "${wide[@]}" -I"$here/newer" -I"$source" -I"$source/include" -c "$file" \
      -o "$objects/$(basename "$file").o"
  done
  "$2" "$objects"/*.o -lfmt -pthread -o "$here/$1"
}

mkdir -p "$here/newer/rl"
sed 's/"[^"]*"/"99.9.9"/' "$source/include/rl/version.hpp" >"$here/newer/rl/version.hpp"

limit='500000/3650d' # one comes back every 630 s: none while this runs
calls=400000

# hammer ROUND A B: both at once on the policy that the segment has.
hammer() {
  local a b gate=$here/gate-$1
  : >"$here/a-$1"
  : >"$here/b-$1"
  "$2" hammer "$segment" api "$limit" "$1" "$calls" "$gate" >"$here/a-$1" &
  a=$!
  "$3" hammer "$segment" api 1/s "$1" "$calls" "$gate" >"$here/b-$1" &
  b=$!
  until grep -q ready "$here/a-$1" && grep -q ready "$here/b-$1"; do
    if ! kill -0 $a || ! kill -0 $b; then fail "one of them ended too early"; fi
  done
  : >"$gate"
  wait $a
  wait $b
  local of_a of_b
  read -r -a of_a <<<"$(tail -1 "$here/a-$1")"
  read -r -a of_b <<<"$(tail -1 "$here/b-$1")"
  echo "round $1: hot ${of_a[0]} + ${of_b[0]}, new ${of_a[1]} + ${of_b[1]}"
  [ $((of_a[0] + of_b[0])) = 500000 ] || fail "the hot key: not exactly the limit"
  [ $((of_a[1] + of_b[1])) = 1000 ] || fail "the new keys: not exactly once each"
}

# together A B: on a segment that A makes.
together() {
  echo "$(basename "$1") and $(basename "$2")"
  "$1" create "$segment" api "$limit"
  hammer 1 "$1" "$2"
  hammer 2 "$1" "$2"
  "$1" read "$segment" >"$here/read-a"
  "$2" read "$segment" >"$here/read-b"
  cmp "$here/read-a" "$here/read-b" || fail "they read different things"
  local by=$version
  [ "$(basename "$1")" = project ] || by=99.9.9
  grep -q "^layout [0-9]* by $by, " "$here/read-a" || fail "not by $by: $(head -1 "$here/read-a")"
  # The segment's limit stands for both, and every key has its label.
  grep -q '^policy 1 api 500k/3650d' "$here/read-a" || fail "$(head -3 "$here/read-a")"
  [ "$(grep -c '^once-api new-' "$here/read-a")" = 2000 ] || fail "labels are missing"
  rm "/dev/shm/rl.$segment"
}

version=$(sed -n 's/.*RL_VERSION "\(.*\)"/\1/p' "$source/include/rl/version.hpp")
gxx=$(first_of g++ g++-12)
clangxx=$(first_of clang++-14 clang++)
if [ "$id" = clang ]; then other=$gxx; else other=$clangxx; fi
if [ -z "$other" ]; then
  echo "skipped: there is no second compiler (g++ and clang++)"
  exit 77
fi
ln -s "$(realpath "$decider")" "$here/project"
compile other "$other" -O2
together "$here/project" "$here/other"
together "$here/other" "$here/project"
[ "${RL_DEEP:-0}" != 0 ] || exit 0 # as is_deep() in tests/support.hpp

all=(project other)
for flag in -O0 -O3; do
  compile "gcc$flag" "$gxx" "$flag"
  compile "clang$flag" "$clangxx" "$flag"
  all+=("gcc$flag" "clang$flag")
done
for a in "${all[@]}"; do
  for b in "${all[@]}"; do together "$here/$a" "$here/$b"; done
done
