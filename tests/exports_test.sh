#!/usr/bin/env bash
# The shared library exports rl:: for C++ and librl_* for C, all of the latter that rl.h has, and nothing
# else: above all no name of readline's, whose names begin with rl_.
# usage: exports_test.sh LIBRARY SOURCE_DIR
set -eu
library=$1
header=$2/include/rl/rl.h

exported() {
  nm -D --defined-only "$1" | awk '{ print $NF }' | sed 's/@.*//' | LC_ALL=C sort -u
}
fail() {
  echo "$*" >&2
  exit 1
}

foreign=$(nm -DC --defined-only "$library" | cut -d' ' -f3- |
  grep -v -E '^(LIBRL_0|librl_[a-z_]+|rl::|(typeinfo|typeinfo name|vtable) for rl::)' || true)
inside=$(nm -DC --defined-only "$library" | grep -E 'rl::(shm|c)::|Core' || true)
[ -z "$foreign$inside" ] || fail "exported, but not public: $foreign $inside"

declared=$(grep -oE '\blibrl_[a-z_]+\(' "$header" | tr -d '(' | LC_ALL=C sort -u)
[ "$(grep -c . <<<"$declared")" -gt 40 ] || fail "finds too few functions in rl.h"
missing=$(LC_ALL=C comm -23 <(echo "$declared") <(exported "$library"))
[ -z "$missing" ] || fail "in rl.h, but not in the library: $missing"
unknown=$(LC_ALL=C comm -13 <(echo "$declared") <(exported "$library" | grep '^librl_'))
[ -z "$unknown" ] || fail "in the library, but not in rl.h: $unknown"

readline=$(PATH=$PATH:/sbin ldconfig -p | awk '/libreadline\.so\.8 / { print $NF; exit }')
[ -n "$readline" ] || { echo "skipped: there is no libreadline.so.8"; exit 77; }
[ "$(exported "$readline" | grep -c '^rl_')" -gt 100 ] || fail "$readline is not readline"
common=$(LC_ALL=C comm -12 <(exported "$library") <(exported "$readline"))
[ -z "$common" ] || fail "readline's, too: $common"
echo "$(grep -c . <<<"$declared") functions for C, none of them readline's"
