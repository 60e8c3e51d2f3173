# Completion of rlctl for bash, with or without the package bash-completion; where that is not, source
# this file in ~/.bashrc. What fits is rlctl's to say: this only hands it the line.
# shellcheck shell=bash

_rlctl() {
  local found status candidate keeps=
  COMPREPLY=()
  ! shopt -q hostcomplete || keeps=@
  { found=$(command rlctl complete --line "${COMP_LINE:0:COMP_POINT}" \
    --breaks "$COMP_WORDBREAKS" --keeps "$keeps"); } 2>/dev/null
  status=$?
  if [ "$status" = 1 ]; then
    compopt -o default # a file's name
    return
  fi
  while IFS=$'\t' read -r candidate _; do
    [ -z "$candidate" ] || COMPREPLY+=("$candidate")
  done <<<"$found"
}
complete -F _rlctl rlctl
