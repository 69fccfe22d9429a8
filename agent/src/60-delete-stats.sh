# ---- delete and stats --------------------------------------------------------------------------------

operation_delete() {
  need OPT_PATH -p
  # <instance>/<time>: never a machine's whole directory, nor everything.
  [[ $OPT_PATH == */* ]] || bad_option "Not the path of a backup: $OPT_PATH"
  work_open
  mount_repository
  stays_inside "$OPT_PATH"
  [[ ! $OPT_RUN ]] || unfinished_by "$OPT_RUN"
  run "$TIME_LIMIT" rm -rfv --one-file-system -- "$MNT/$OPT_PATH" || die "Failed to delete $OPT_PATH: $RUN_ERR" delete-failed
  local removed=$RUN_OUT
  run "$TIME_LIMIT" sync -f -- "$MNT" || die "The NAS did not take the deletion: $RUN_ERR" sync-failed
  commit
  unwind good
  [[ ! $removed ]] || printf '%s\n' "$removed"
  DONE=yes
  exit 0
}

# unfinished_by RUN: what that run has begun and not finished, by the mark in it; a directory without anything belongs to nobody.
unfinished_by() {
  ! nas rmdir -- "$MNT/$OPT_PATH" || return 0
  nas test -e "$MNT/$OPT_PATH" || return 0
  nas cat -- "$MNT/$OPT_PATH/$RUN_MARK" && [[ $RUN_OUT == "$1" ]] ||
    die "$OPT_PATH is not the unfinished backup of run $1: nothing was removed" not-of-run
}

operation_stats() {
  work_open
  mount_repository
  nas stat -f -c '%S %b %f' -- "$MNT" || die "Cannot ask for the space on the NAS: $RUN_ERR" target-hung
  local size blocks free
  read -r size blocks free <<<"$RUN_OUT"
  commit
  unwind good
  printf '%s\n%s %s\n' "$MNT" $((size * blocks / 1024)) $((size * (blocks - free) / 1024))
  DONE=yes
  exit 0
}
