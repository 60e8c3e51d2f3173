#!/usr/bin/env bash
# The compare-and-swap of a slot is one instruction, not a call into a library that may lock.
# usage: object_code_test.sh LIBRARY CPU_FAMILY
set -eu
case $2 in
  x86_64) wanted=cmpxchg16b ;;
  aarch64) wanted='casp|stlxp|__aarch64_cas16' ;;
esac
code=$(objdump -dC --no-show-raw-insn "$1")
found=$(grep -cE "$wanted" <<< "$code" || true)
calls=$(grep -E 'call.*(__atomic_|__sync_)' <<< "$code" || true)
[ "$found" -gt 0 ] || { echo "no $wanted in $1" >&2; exit 1; }
[ -z "$calls" ] || { echo "calls into libatomic: $calls" >&2; exit 1; }
# g++ leaves out calls of functions that do nothing but prefetch: an insert asks for what it will write.
deaf=$(awk '/^[0-9a-f]+ <.*>:$/ { name = /::insert_absent</ ? $0 : "" }
  name != "" { asks[name] += /\tprf[um]|\tprefetch/ }
  END { for (name in asks) if (!asks[name]) print name }' <<< "$code")
[ -z "$deaf" ] || { echo "without a prefetch: $deaf" >&2; exit 1; }
echo "$found times $wanted, no call into libatomic"
