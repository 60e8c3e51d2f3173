#!/bin/sh
# Every benchmark runs, says what it ran on, prints JSON when asked, and leaves nothing behind, also
# when it is stopped half-way. Tables and charts can be made of it, twice the same. No figure is looked
# at. Peers that are not installed are skipped, with a word.
# usage: bench_smoke_test.sh PROGRAM...
set -eu
source=$(dirname "$0")/..
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/results" "$work/pages/bench"

fail() {
  echo "$1" >&2
  exit 1
}

is_there() { # GLOB
  for found in $1; do
    [ ! -e "$found" ] || return 0
  done
  return 1
}

nothing_left_of() { # PID
  # Killed servers take a moment to die, and their folder goes after the program.
  tries=0
  while is_there "/tmp/rl-bench-$1-*" || grep -qas "[/]tmp/rl-bench-$1-" /proc/[0-9]*/cmdline; do
    tries=$((tries + 1))
    [ $tries -lt 500 ] || fail "/tmp/rl-bench-$1-*, or a server there, was left behind"
    sleep 0.02
  done
  ! is_there "/dev/shm/*bench-$1-*" || fail "$found was left behind"
}

for program in "$@"; do
  name=${program##*bench_}
  "$program" --quick --json "$work/results/$name.json" >"$work/out" &
  pid=$!
  wait $pid || fail "$program: exit code $?"
  for word in machine build commit WARNING; do
    grep -q "$word" "$work/out" || fail "$program: its output has no \"$word\""
  done
  grep -q '"samples"' "$work/results/$name.json" || fail "$program: its JSON has no samples"
  grep ': skipped, ' "$work/out" || true
  nothing_left_of $pid
done

# Stopped where it has segments, children, or both: as soon as one is there. With servers: while one runs.
for program in "$@"; do
  case $program in *decisions | *processes | *servers) ;; *) continue ;; esac
  "$program" >"$work/out" 2>&1 &
  pid=$!
  begun="/dev/shm/rl.bench-$pid-*"
  case $program in
    *servers) ! command -v redis-server >/dev/null || begun="/tmp/rl-bench-$pid-*/redis" ;;
  esac
  until is_there "$begun"; do
    kill -0 $pid 2>/dev/null || fail "$program: ended before it made anything"
  done
  kill -TERM $pid
  wait $pid && fail "$program: ended well although it was stopped"
  nothing_left_of $pid
done

command -v python3 >/dev/null || exit 0
cp "$source/README.md" "$work/pages"
cp "$source/bench/README.md" "$work/pages/bench"
for again in first second; do
  python3 "$source/bench/figures.py" --results "$work/results" --pages "$work/pages"
  cat "$work/pages/README.md" "$work/pages/bench/README.md" "$work"/results/* >"$work/$again"
done
cmp "$work/first" "$work/second" || fail "made of the same results, the pages are not the same"
! cmp -s "$source/bench/README.md" "$work/pages/bench/README.md" || fail "no figure came into the page"
