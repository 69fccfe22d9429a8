# A copy of the host script that finds some programs in a folder of the test's own before the real ones: for what no lab can
# bring about, such as a NAS of a kind that this kernel does not know, or a guest agent that does not answer.
# shellcheck shell=bash disable=SC2034,SC2154

# use_stubs: from now on SCRIPT is that copy. Its host.conf and state are the lab's.
use_stubs() {
  STUBS=$LAB_DIR/host/stubs
  mkdir -p "$STUBS"
  rm -f "$STUBS"/*
  sed "s#^export PATH=#export PATH=$STUBS:#" "$LAB_DIR/host/nasbackup.sh" >"$LAB_DIR/host/stubbed.sh"
  ! cmp -s "$LAB_DIR/host/nasbackup.sh" "$LAB_DIR/host/stubbed.sh"
  chmod 755 "$LAB_DIR/host/stubbed.sh"
  SCRIPT=$LAB_DIR/host/stubbed.sh
}

# A virsh without a command reads them from stdin, and repeats each behind its prompt.
SHELL_OF_VIRSH='
if [[ ${0##*/} == virsh && $# == 3 ]]; then
  while IFS= read -r line; do
    printf "virsh # %s\\n" "$line"
    eval "words=($line)"
    if [[ ${words[0]} == echo ]]; then printf "error: %s\\n" "${words[2]}" >&2; else "$0" "$@" "${words[@]}"; fi
  done
  exit
fi
'

# stub PROGRAM: stdin is what it does; `real "$@"` goes on with the real one, $CALLS is a file for notes.
stub() {
  CALLS=$BATS_TEST_TMPDIR/calls
  {
    printf '#!/bin/bash\nCALLS=%q\nreal() { %q "$@"; }\n%s' "$CALLS" "$(command -v "$1")" "$SHELL_OF_VIRSH"
    cat
  } >"$STUBS/$1"
  chmod 755 "$STUBS/$1"
}

# sooner NAME SECONDS: that deadline of the copy is so long, as no test waits for minutes.
sooner() {
  grep -q "^$1=[0-9]" "$SCRIPT"
  sed -i "s/^$1=[0-9]*/$1=$2/" "$SCRIPT"
}
