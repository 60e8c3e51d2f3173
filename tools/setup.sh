# Installs what the project is built with, and builds it. tools/demo and tools/test source this in
# the root of the project.
#
#   rl_install [PACKAGE...]          installs what is missing, and these Debian packages beside it
#   rl_install_extras PACKAGE...     installs these, or says that something will be skipped
#   rl_unpack_extra PACKAGE PROGRAM  has PROGRAM in the PATH, without installing PACKAGE
#   rl_unpack_whole PACKAGE          the same for all its programs, with what it needs
#   rl_build [FOLDER [OPTION...]]    configures FOLDER (build) if needed, or once more after something was
#                                    installed, and builds all of it, or RL_TARGETS
#   rl_remove_leftovers              removes the segments and files of tests that crashed
#
# With RL_NO_INSTALL=1 nothing is installed: what is missing is named, and the exit code is 2.
# Everything here is a tool or a library; none starts a service, and no PACKAGE may.
# shellcheck shell=bash

RL_HEADERS='fmt/core.h libfmt-dev
doctest/doctest.h doctest-dev
CLI/CLI.hpp libcli11-dev
nlohmann/json.hpp nlohmann-json3-dev
toml++/toml.h libtomlplusplus-dev
curses.h libncurses-dev
benchmark/benchmark.h libbenchmark-dev
relacy/relacy.hpp relacy-dev
zlib.h zlib1g-dev
boost/version.hpp boost'

# Prints the packages whose tools or headers are not there. Got from elsewhere is as good.
rl_missing() {
  local compiler=${CXX:-g++} header package
  command -v meson >/dev/null || echo meson
  command -v ninja >/dev/null || echo ninja-build
  command -v pkg-config >/dev/null || echo pkg-config
  if ! command -v "${compiler%% *}" >/dev/null; then
    echo g++
    while read -r header package; do
      [ -e "/usr/include/$header" ] || echo "$package"
    done <<<"$RL_HEADERS"
    return
  fi
  # The preprocessor knows best where headers are; one run looks for all.
  {
    while read -r header package; do
      printf '#if !__has_include(<%s>)\nmissing: %s\n#endif\n' "$header" "$package"
    done <<<"$RL_HEADERS"
    echo '#if __has_include(<boost/version.hpp>)
#include <boost/version.hpp>
#if BOOST_VERSION < 107400
missing: boost
#endif
#endif'
  } | $compiler -E -x c++ - | sed -n 's/^missing: //p'
}

# Prints those of the given packages that are not installed.
rl_not_installed() {
  local package
  for package in "$@"; do
    dpkg-query -W -f '${db:Status-Status}\n' "$package" 2>/dev/null | grep -qx installed ||
      echo "$package"
  done
}

# Says what is missing and why it stays so.
rl_give_up() {
  echo "missing: $1; $2" >&2
  exit 2
}

# Runs a command and shows what it wrote only if it fails.
rl_quietly() {
  local log status=0
  log=$(mktemp)
  "$@" >"$log" 2>&1 || status=$?
  [ "$status" = 0 ] || cat "$log" >&2
  rm -f "$log"
  return "$status"
}

rl_apt_get() {
  local sudo=
  [ "$(id -u)" = 0 ] || sudo=sudo
  $sudo env DEBIAN_FRONTEND=noninteractive NEEDRESTART_SUSPEND=1 \
    apt-get -qq -o Dpkg::Use-Pty=0 -o DPkg::Lock::Timeout=60 "$@" </dev/null
}

# Runs a command of apt's, and where it fails once more with new lists: old ones name what is no longer
# there.
rl_with_lists() {
  "$@" || { rl_apt_get update && "$@"; }
}

# Installs packages; "boost" stands for any Boost. Debian has two that exclude each other, and the
# one that is there must not be replaced.
rl_apt_install() {
  local package others=()
  local install=(rl_apt_get install -y --no-install-recommends --no-remove)
  for package in "$@"; do
    [ "$package" = boost ] || others+=("$package")
  done
  [ ${#others[@]} = 0 ] || "${install[@]}" "${others[@]}" || return
  [ ${#others[@]} = $# ] || "${install[@]}" libboost1.81-dev || "${install[@]}" libboost-dev
}

rl_install() {
  local missing before=''
  while missing=$(rl_missing && rl_not_installed "$@") && [ -n "$missing" ]; do
    missing=${missing//$'\n'/ }
    [ "${RL_NO_INSTALL:-0}" != 1 ] ||
      rl_give_up "$missing" "install them, or run this without --no-install"
    command -v apt-get >/dev/null ||
      rl_give_up "$missing" "there is no apt-get here, so install what provides them"
    [ "$(id -u)" = 0 ] || command -v sudo >/dev/null ||
      rl_give_up "$missing" "installing them takes root, and there is no sudo"
    [ "$missing" != "$before" ] ||
      rl_give_up "$missing" "apt-get installed them, but they are not found"
    echo "installing $missing"
    rl_apt_get update >/dev/null 2>&1 || true # old lists may do
    # shellcheck disable=SC2086
    rl_quietly rl_apt_install $missing ||
      rl_give_up "$missing" "apt-get could not install them, for the reasons above"
    before=$missing
  done
}

# What is nice to have: where it cannot be installed, whoever needs it is skipped.
rl_install_extras() {
  local missing
  missing=$(rl_not_installed "$@")
  [ -n "$missing" ] || return 0
  missing=${missing//$'\n'/ }
  if [ "${RL_NO_INSTALL:-0}" != 1 ] && command -v apt-get >/dev/null; then
    echo "installing $missing"
    # shellcheck disable=SC2086
    rl_quietly rl_with_lists rl_apt_install $missing && rl_has_more=yes && return 0
  fi
  echo "without $missing: what needs it is skipped"
}

# What is a program to us and a service to Debian would be started if it were installed: so it is
# unpacked in build-extras/ only.
rl_unpack_extra() {
  local package=$1 program=$2 folder=$PWD/build-extras
  export PATH="$PATH:$folder/usr/bin"
  ! command -v "$program" >/dev/null || return 0
  if [ "${RL_NO_INSTALL:-0}" != 1 ] && command -v apt-get >/dev/null; then
    echo "unpacking $package"
    mkdir -p "$folder"
    rl_quietly rl_unpack "$package" "$folder" && rl_has_more=yes && return 0
  fi
  echo "without $package: what needs it is skipped"
}

rl_unpack() (
  cd "$2" || return
  rl_with_lists apt-get -qq download "$1" || return
  dpkg-deb -x "$1"_*.deb . && rm -f "$1"_*.deb
)

# The same for a service that needs more than is installed: whatever apt-get would install with it is
# unpacked beside it. For who runs them the linker is told where that is, and Python.
rl_unpack_whole() {
  local package=$1 folder=$PWD/build-extras
  rl_use_unpacked "$folder"
  [ -n "$(rl_not_installed "$package")" ] || return 0
  [ ! -e "$folder/.has/$package" ] || return 0
  if [ "${RL_NO_INSTALL:-0}" != 1 ] && command -v apt-get >/dev/null; then
    echo "unpacking $package"
    mkdir -p "$folder/debs/partial" "$folder/.has"
    rl_quietly rl_unpack_with_needs "$package" "$folder" && touch "$folder/.has/$package" && return 0
  fi
  echo "without $package: what needs it is skipped"
}

# Needs no root: nothing is installed, so nothing has to be locked.
rl_unpack_with_needs() {
  local package=$1 folder=$2 deb
  local get=(apt-get -qq -y -o Debug::NoLocking=1 -o "Dir::Cache::archives=$folder/debs"
    --no-install-recommends --download-only install "$package")
  rl_with_lists "${get[@]}" </dev/null || return
  for deb in "$folder"/debs/*.deb; do
    dpkg-deb -x "$deb" "$folder" || return
  done
}

rl_use_unpacked() {
  local folder=$1 libraries
  case :$PATH: in *":$folder/usr/sbin:"*) return ;; esac
  libraries=$folder/usr/lib/$(uname -m)-linux-gnu
  export PATH="$PATH:/usr/sbin:$folder/usr/bin:$folder/usr/sbin"
  export PYTHONPATH="${PYTHONPATH:+$PYTHONPATH:}$folder/usr/lib/python3/dist-packages"
  export LD_LIBRARY_PATH="${LD_LIBRARY_PATH:+$LD_LIBRARY_PATH:}$libraries"
}

# With lines, and without the rest of what a debugger knows: a third of the time of compiling goes into
# that. Who wants to look at variables configures a folder of his own.
rl_build() {
  local build=${1:-build}
  [ $# = 0 ] || shift
  if [ ! -f "$build/build.ninja" ]; then
    echo "building in $build/; this takes some minutes the first time"
    rl_quietly meson setup "$build" -Dwerror=true -Dcpp_args=-g1 "$@" || return
  elif [ -n "${rl_has_more:-}" ]; then
    rl_quietly meson setup --reconfigure "$build" "$@" || return
  fi
  # shellcheck disable=SC2086
  rl_quietly ninja -C "$build" ${RL_TARGETS:-}
}

# Succeeds if a process that we can see has something of this path mapped or open, or if anybody, in
# whatever container, holds a lock on it, as all do that decide on a segment.
rl_is_in_use() {
  local file=$1
  find "$file" -xdev -printf ':%i\n' 2>/dev/null |
    grep -qxF -f <(awk '{ sub(/.*:/, ":", $6); print $6 }' /proc/locks) && return
  cat /proc/[0-9]*/maps 2>/dev/null | grep -qF "$file" && return
  find /proc/[0-9]*/fd /proc/[0-9]*/cwd -maxdepth 1 -lname "$file*" 2>/dev/null | grep -q .
}

# A test that crashed, or was killed, could not remove its own. They are told by their names, NAME-PID-N
# (tests/support.hpp), and removed if that process no longer lives and nobody uses them.
# usage: rl_remove_leftovers [FOLDER...]   (/dev/shm and /tmp)
rl_remove_leftovers() {
  local file shape='^(rl[.-])?(test|selftest)-([0-9]+)-([0-9]+|fuzz)(\..*)?$'
  [ $# != 0 ] || set -- /dev/shm /tmp
  # Where it cannot be seen who uses a file, it stays.
  [ -r /proc/locks ] && [ -r /proc/self/maps ] || return 0
  find "$@" -maxdepth 1 -name '*test-*' 2>/dev/null | while read -r file; do
    [[ ${file##*/} =~ $shape ]] || continue
    [ ! -e "/proc/${BASH_REMATCH[3]}" ] || continue
    rl_is_in_use "$file" || rm -rf --one-file-system "$file" 2>/dev/null || true
  done
}
