#!/bin/sh
# Shows that a test finds a fault that was planted.
#
#   must_fail.sh MUTANT LETTERS PROGRAM [ARG...]
#
# Runs the program with RL_MUTANT=MUTANT. Passes if it fails by its own judgement: an exit code that
# is neither 0 nor a signal's, and the words "X violated" for one of the LETTERS (A, P, S); or, with
# "tests" for LETTERS, a test case of doctest that failed.
set -u
[ $# -ge 3 ] || { echo "usage: must_fail.sh MUTANT LETTERS PROGRAM [ARG...]" >&2; exit 2; }
mutant=$1 letters=$2
shift 2

output=$(mktemp) || exit 2
trap 'rm -f "$output"' EXIT
RL_MUTANT=$mutant "$@" >"$output" 2>&1
code=$?

sign="[$letters] violated"
[ "$letters" = tests ] && sign="ERROR: .* is NOT correct"
if [ "$code" -ne 0 ] && [ "$code" -lt 126 ] && grep -q "$sign" "$output"; then
  echo "$mutant was found:"
  grep -m 3 "$sign" "$output"
  exit 0
fi
echo "$mutant was NOT found: exit code $code, and no \"$sign\" in:"
tail -n 40 "$output"
exit 1
