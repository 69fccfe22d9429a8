# What the tests of restore share.
# shellcheck shell=bash disable=SC2034,SC2154

# on_chain: the tests that only read use the chain that setup_file made; its points are 1, 2 and 3.
on_chain() { OWN_VM=$VM VM=$CHAIN_VM; }

# restore POINT [OPTION...] DISK...: of the chain; restore_path PATH ... of any backup. DISK is TARGET:TO:FORMAT. Waits for the end; status,
# output and stderr are as run sets them, RESTORE_JOB is the job.
restore() { restore_path "$CHAIN$1" "${@:2}"; }
restore_path() {
  begin_restore "$@"
  ends "$RESTORE_JOB" 'done'
  told "$RESTORE_JOB"
}
told() { status=$(field "$1" .exit) output=$(said "$1" stdout) stderr=$(said "$1" stderr); }

begin_restore() {
  local path=$1 word disks=''
  local -a options=()
  shift
  for word; do
    if [[ $word =~ ^(vd[a-z]):(/.*):(qcow2|raw)$ ]]; then
      disks+="${disks:+,}$(jq -nc --arg target "${BASH_REMATCH[1]}" --arg file "$(backup_file "${BASH_REMATCH[1]}")" --arg to "${BASH_REMATCH[2]}" --arg format "${BASH_REMATCH[3]}" '$ARGS.named')"
    else
      options+=("$word")
    fi
  done
  RESTORES=$((RESTORES + 1)) RESTORE_JOB=$JOB-$RESTORES
  start "$RESTORE_JOB" restore -v "${RESTORE_VM:-$VM}" -t dir -s "${REPOSITORY:-$NAS}" -m '' -p "$path" --disks "[$disks]" "${options[@]}" >/dev/null
}
# backup_file TARGET: of the machine's disk.
backup_file() {
  local target path i=0
  while read -r target path _; do
    [[ $target != "$1" ]] || file_of "$path" "$i"
    i=1
  done < <(lab vm-disks "$VM")
}

# answer VALUE FILTER: jq on RESTORE=, which is the last line.
answer() {
  local is
  is=$(jq -r "$2" <<<"$(tail -n 1 <<<"$output" | sed -n 's/^RESTORE=//p')")
  [[ $is == "$1" ]] || { printf '%s is %s, not %s\n%s\n%s\n' "$2" "$is" "$1" "$output" "$stderr" >&2 && return 1; }
}
restored() { [[ $status -eq 0 ]] && answer 'null true' '"\(.error) \(.cleanup.ok)"' || { printf 'exit %s\n%s\n%s\n' "$status" "$output" "$stderr" >&2 && return 1; }; }
# refused CODE: and the folder for new disks is as it was.
refused() {
  [[ $status -eq 1 ]] && answer "$1 false true" '"\(.error.code) \(.swapped) \(.cleanup.ok)"' || { printf 'exit %s\n%s\n%s\n' "$status" "$output" "$stderr" >&2 && return 1; }
  [[ -z $(find "$LAB_DIR/images" -name '*.restore-*' -o -name '*.before-*') ]] || { find "$LAB_DIR/images" >&2 && return 1; }
}

# held POINT TARGET FILE: the oracle, on a point of the chain.
held() { lab same "$VM" "backup-100$1" "$2" "$3" >&2; }
# held_now TARGET: the machine's own disk is what it was at its last backup.
held_now() { lab same "$VM" "$BITMAP" "$1" "$(image "$1")" >&2; }
nothing_beside() {
  local target
  for target; do [[ $(compgen -G "$(image "$target")*") == "$(image "$target")" ]] || { compgen -G "$(image "$target")*" >&2 && return 1; }; done
}
# mirror_is LABEL: from here on the record of what the disks hold goes on from that moment.
mirror_is() {
  local target
  while read -r target _; do cp --sparse=always "$LAB_DIR/mirror/$VM.$target@$1.raw" "$LAB_DIR/mirror/$VM.$target.raw"; done < <(lab vm-disks "$VM")
}
