#!/usr/bin/env bash
# A real KVM host on one Linux machine, for tests and the quickstart: libvirt VMs without a guest OS, an sshd, NAS directories,
# and the oracle that knows what every disk held. `lab.sh help` lists the verbs; README.md says how to use them.
#
# As a command:  LAB_DIR=/tmp/my-lab test/lab/lab.sh VERB ARGS      (or: lab.sh /tmp/my-lab VERB ARGS)
# Sourced:       . test/lab/lab.sh; LAB_DIR=/tmp/my-lab; lab VERB ARGS
#
# Sourcing defines one function which runs the command in a process of its own: `set -e` is silently off inside a function that
# stands behind `run`, `if` or `||`, and a lab that goes on after an error shows what is not true.
if [[ ${BASH_SOURCE[0]} != "$0" ]]; then
  LAB_SH=$(readlink -f "${BASH_SOURCE[0]}")
  lab() { LAB_DIR=${LAB_DIR:-} LAB_OWNER=${LAB_OWNER:-$$} "$LAB_SH" "$@"; }
  return 0
fi

set -eEuo pipefail
# No end without a word, whatever command it was.
trap 'printf "lab: %s, line %s: %s failed (%s)\n" "${BASH_SOURCE[0]##*/}" "$LINENO" "$BASH_COMMAND" "$?" >&2' ERR
# Each verb is a process of its own, and tests call thousands: what bash can do by itself starts no other.
LAB_HOME=$0
[[ ! -L $0 ]] || LAB_HOME=$(readlink -f "$0")
LAB_HOME=$(cd -P "${LAB_HOME%/*}" && pwd)
# shellcheck disable=SC2034  # used by the parts
readonly LAB_HOME REGISTRY=/run/chainkeeper-lab URI=qemu:///system

for part in base machine host vm guest disk oracle sshd stock slow leaks; do
  # shellcheck source=/dev/null
  . "$LAB_HOME/parts/$part.sh"
done

usage() {
  printf 'usage: lab.sh [LAB_DIR] VERB ARGS      (LAB_DIR also from the environment)\n\n'
  grep -h '^#: ' "$LAB_HOME"/parts/*.sh | cut -c4-
}

main() {
  [[ ${1:-} == /* ]] && { LAB_DIR=$1; shift; }
  local verb=${1:-help}
  (($# > 0)) && shift
  [[ $verb == help || $verb == --help ]] && { usage; return 0; }
  local function="verb_${verb//-/_}"
  declare -F "$function" >/dev/null || die "no such verb: $verb (see lab.sh help)"
  [[ $verb == reap || $verb == guest-kit ]] || use_lab
  "$function" "$@"
}
main "$@"
