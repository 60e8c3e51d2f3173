#!/bin/sh
# Every benchmark runs, says what it ran on, prints JSON when asked, and leaves nothing behind, also
# when it is stopped half-way. No figure is looked at.
# usage: bench_smoke_test.sh PROGRAM...
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

fail() {
  echo "$1" >&2
  exit 1
}

nothing_left_of() { # PID
  for left in /dev/shm/*bench-"$1"-*; do
    [ ! -e "$left" ] || fail "$left was left behind"
  done
}

for program in "$@"; do
  "$program" --quick --json "$work/all.json" >"$work/out" &
  pid=$!
  wait $pid || fail "$program: exit code $?"
  for word in machine build commit WARNING; do
    grep -q "$word" "$work/out" || fail "$program: its output has no \"$word\""
  done
  grep -q '"samples"' "$work/all.json" || fail "$program: its JSON has no samples"
  nothing_left_of $pid
done

# Stopped where it has segments, children, or both: as soon as one is there.
for program in "$@"; do
  case $program in *decisions | *processes) ;; *) continue ;; esac
  "$program" >"$work/out" 2>&1 &
  pid=$!
  until ls /dev/shm/rl.bench-"$pid"-* >/dev/null 2>&1; do
    kill -0 $pid 2>/dev/null || fail "$program: ended before it made a segment"
  done
  kill -TERM $pid
  wait $pid && fail "$program: ended well although it was stopped"
  nothing_left_of $pid
done
