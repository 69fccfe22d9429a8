# ---- delete and stats --------------------------------------------------------------------------------

operation_delete() {
  need OPT_PATH -p
  # <instance>/<time>: never a machine's whole directory, nor everything.
  [[ $OPT_PATH == */* ]] || bad_option "Not the path of a backup: $OPT_PATH"
  work_open
  mount_repository
  stays_inside "$OPT_PATH"
  run "$TIME_LIMIT" rm -rfv --one-file-system -- "$MNT/$OPT_PATH" || die "Failed to delete $OPT_PATH: $RUN_ERR" delete-failed
  local removed=$RUN_OUT
  run "$TIME_LIMIT" sync -f -- "$MNT" || die "The NAS did not take the deletion: $RUN_ERR" sync-failed
  commit
  unwind good
  [[ ! $removed ]] || printf '%s\n' "$removed"
  DONE=yes
  exit 0
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
