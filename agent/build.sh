#!/usr/bin/env bash
# Assembles agent/nasbackup.sh from agent/src/*.sh; with --check only says whether it is up to date.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
assembled=$(mktemp)
trap 'rm -f "$assembled"' EXIT
for part in src/*.sh; do
  cat "$part"
  echo
done >"$assembled"
bash -O extglob -n "$assembled"
# On the way out (a trap) a bare `return` answers with what was before the trap, not with the last command.
if grep -nE '\breturn *([;}]|$)' src/*.sh; then
  echo 'a return without a number: say 0, 1 or the status that is meant' >&2
  exit 1
fi
# All parts are one program: what one calls read-only or its own, no other may assign or define.
constants=$(sed -n 's/^readonly //p' src/*.sh | grep -oE '\b[A-Z][A-Z_0-9]*=' | sort | uniq -d)
while read -r name; do
  (($(grep -hoE "(^|[ ;{(])$name" src/*.sh | wc -l) == 1)) || constants+=" $name"
done < <(sed -n 's/^readonly //p' src/*.sh | grep -oE '\b[A-Z][A-Z_0-9]*=' | sort -u)
functions=$(grep -hoE '^[a-z_]+\(\)' src/*.sh | sort | uniq -d)
if [[ $constants$functions ]]; then
  echo "two parts of the script use the same names: $constants $functions" >&2
  exit 1
fi
if [[ ${1-} == --check ]]; then
  cmp -s "$assembled" nasbackup.sh || { echo 'agent/nasbackup.sh is not what agent/build.sh makes of agent/src: run agent/build.sh' >&2; exit 1; }
else
  install -m 0755 "$assembled" nasbackup.sh
fi
