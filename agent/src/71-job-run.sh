# ---- the runner of a job --------------------------------------------------------------------------
#
# It runs detached, waits for the operation, and writes down how it ended. It does nothing else that could fail.

JOB_CHILD='' JOB_CODE='' JOB_SIGNALLED=''

# job_run: never returns.
job_run() {
  trap job_end EXIT
  trap job_stop TERM
  trap '' INT HUP PIPE
  job_write pid "$$"
  job_arguments
  job_prepare
  if [[ $JOB_STOCK ]]; then job_stock; else job_own; fi
  [[ ! $JOB_SIGNALLED ]] || job_stop
  job_wait
  exit 0
}

# job_prepare: what abort must know of the time before: was the guest running, and where the mounts of this job will be.
job_prepare() {
  JOB_TMP=$(mktemp -d /tmp/csbackup.XXXXXX) && chmod 0711 "$JOB_TMP" # QEMU's user goes through it
  job_write tmp "$JOB_TMP"
  [[ $JOB_VM ]] || return 0
  work_open
  run 5 "${VIRSH[@]}" domstate "$JOB_VM" && job_write vm_before "$RUN_OUT"
  unwind good
}

job_own() {
  "$BASH" "$SCRIPT_FILE" --job "$OPT_JOB" --fence "$OPT_FENCE" "${OPT_REST[@]}" </dev/null &
  JOB_CHILD=$!
}

# A stock script knows neither locks nor fences: the runner holds them for it. It makes its mount points in TMPDIR.
job_stock() {
  trusted_file "$STOCK_SCRIPT" || die "The stock script $STOCK_SCRIPT must belong to root and be writable by root alone" host-conf
  [[ ! $JOB_VM ]] || { vm_lock "$JOB_VM" && fence_check "$JOB_VM" "$OPT_FENCE"; }
  local -a arguments=("${OPT_REST[@]:1}")
  local i
  # It takes mount options from its command line alone, and then they are seen there: nothing to be done from outside.
  if [[ -e $JOB_DIR/secrets ]]; then
    local -A secrets=()
    json_read secrets "$(<"$JOB_DIR/secrets")"
    if json_get secrets mountOptions; then
      for i in "${!arguments[@]}"; do [[ ${arguments[i]} != @(-m|--mount) ]] || arguments[i + 1]=$REPLY; done
    fi
  fi
  TMPDIR=$JOB_TMP "$STOCK_SCRIPT" "${arguments[@]}" </dev/null 9>&- &
  JOB_CHILD=$!
}

# job_wait: a signal ends `wait` early; the child's own end is what counts.
job_wait() {
  local code
  while :; do
    JOB_SIGNALLED='' code=0
    wait "$JOB_CHILD" || code=$?
    ((code == 127)) && [[ $JOB_CODE ]] || JOB_CODE=$code
    [[ $JOB_SIGNALLED ]] || break
  done
}

# job_stop: ours ends in good order when its shell alone is told; a stock script has no trap, so everything in it must be told.
job_stop() {
  JOB_SIGNALLED=yes
  [[ $JOB_CHILD ]] || return 0
  if [[ $JOB_STOCK ]]; then
    trap : TERM
    kill -TERM 0
  else
    kill -TERM "$JOB_CHILD" 2>/dev/null || :
  fi
}

# job_end: the one way out. An operation killed by a signal that abort did not send has not finished its work or its cleaning:
# without `exit` the job is unknown, and that is the truth.
job_end() {
  local code=${JOB_CODE:-1} IFS=$' \t\n'
  trap - ERR
  trap : TERM
  set +e
  [[ $JOB_CODE ]] || printf '%s: %s\n' "${ERROR_CODE:-internal}" "${ERROR_TEXT:-the runner failed}" >&2
  rm -f -- "$JOB_DIR/secrets"
  job_sweep_mounts
  unwind good
  job_write ended
  if ((code < 128)) || [[ -e $JOB_DIR/aborted ]]; then
    job_write exit "$code"
  else
    printf 'The operation was killed by signal %s: its outcome is not known\n' "$((code - 128))" >&2
  fi
  DONE=yes
  exec 9>&- 8>&-
  job_prune
  exit 0
}

# job_sweep_mounts: no mount of a job outlives it. Ours has none left; a stock script leaves its own after a stopped VM.
job_sweep_mounts() {
  [[ $JOB_TMP == /tmp/csbackup.* && -d $JOB_TMP ]] || return 0
  local point seconds=5
  [[ $OPT_OPERATION != abort ]] || seconds=2 # somebody waits for the guest
  [[ $WORK && -d $WORK ]] || work_open
  look_at_mounts
  for point in "${MOUNTS[@]}"; do
    [[ $point == "$JOB_TMP"/* ]] || continue
    # -c: to look at the path of a mount that hangs would hang, too.
    run "$seconds" umount -c -- "$point" || run 2 umount -c -l -- "$point" || { left "mount $point (${RUN_ERR//$'\n'/; })" && continue; }
    rmdir -- "$point" || :
  done
  mounted_below "$JOB_TMP" || rm -rf --one-file-system -- "$JOB_TMP"
}

# job_prune: once a day, directories of jobs that ended more than 30 days ago. The books have long had what they said.
job_prune() {
  local today dir
  printf -v today '%(%Y-%m-%d)T' -1
  [[ ! -e $STATE_DIR/pruned || $(<"$STATE_DIR/pruned") != "$today" ]] || return 0
  touch -d '30 days ago' "$STATE_DIR/prune-before"
  for dir in "$STATE_DIR"/jobs/*/; do
    [[ -e $dir && $dir/lock -ot $STATE_DIR/prune-before && (! -e $dir/started || $dir/started -ot $STATE_DIR/prune-before) ]] || continue
    [[ ! -e $dir/ended || $dir/ended -ot $STATE_DIR/prune-before ]] || continue
    restore_is_settled "$dir" || continue
    flock -n "$dir/lock" rm -rf -- "$dir"
  done
  printf '%s\n' "$today" >"$STATE_DIR/pruned"
}
