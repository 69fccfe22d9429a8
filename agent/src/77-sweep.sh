# ---- sweep: what calls and jobs left behind that were killed ----------------------------------------
#
# Ours is what a job directory or the private directory of a call has made note of, and nothing else: a stock script's mounts look
# the same. Whose process or lock still lives is not looked at further. What is safe goes; the rest is told, with the way out.

SWEPT=()      # one JSON object for each thing found
SWEEP_KNOWN='' # paths that a job or a call has made note of, each in its own line
SWEEP_KEPT=''  # those of them that stay
declare -A MACHINE_BACKUP=() MACHINE_STATE=() DEAD_JOB=()

operation_sweep() {
  work_open
  sweep_look_at_machines
  sweep_jobs
  sweep_calls
  sweep_guests
  sweep_strangers
  json_array "${SWEPT[@]}"
  json_object n v 1 b dryRun "${OPT_DRY_RUN:-false}" r items "$REPLY"
  unwind good
  printf '%s\n' "$REPLY"
  DONE=yes
  exit 0
}

# swept CODE SUBJECT removed|would-be-removed|left TEXT
swept() { json_object s code "$1" s subject "$2" s action "$3" s text "$4" && SWEPT+=("$REPLY"); }

# sweep_look_at_machines: what libvirt is doing for backups now, whoever began it.
sweep_look_at_machines() {
  local vm
  virsh_q list --name || { SWEEP_BLIND=$RUN_ERR && swept libvirt-silent libvirt left "libvirt does not answer, so nothing is removed that one of its jobs could use: $RUN_ERR" && return 0; }
  lines "$RUN_OUT"
  for vm in "${LINES[@]}"; do
    ! virsh_q backup-dumpxml "$vm" || MACHINE_BACKUP[$vm]=$RUN_OUT
    ! virsh_q domstate "$vm" --reason || MACHINE_STATE[$vm]=$RUN_OUT
  done
}
SWEEP_BLIND=''

sweep_jobs() {
  local dir abort
  for dir in "$STATE_DIR"/jobs/*/; do
    JOB_DIR=${dir%/} OPT_JOB=${JOB_DIR##*/}
    [[ -e $JOB_DIR/started && $OPT_JOB =~ $JOB_PATTERN ]] || continue
    if job_alive; then
      ! job_text tmp || SWEEP_KNOWN+=$REPLY$'\n'
      continue
    fi
    [[ ! -e $JOB_DIR/secrets ]] || sweep_away secrets "$JOB_DIR/secrets" "left by job $OPT_JOB" rm -f -- "$JOB_DIR/secrets" || :
    # After an end of its own, abort has nothing more to do.
    abort="$SCRIPT_FILE abort --job $OPT_JOB"
    [[ ! -e $JOB_DIR/exit || -e $JOB_DIR/aborted ]] || abort=''
    ! job_text tmp || sweep_folder "$REPLY" "job $OPT_JOB, which has ended" "$abort" || :
    restore_is_settled "$JOB_DIR" || sweep_restore
    [[ -e $JOB_DIR/exit ]] || ! job_machine || DEAD_JOB[$REPLY]=$OPT_JOB
  done
}

# sweep_restore: disks of a restore that died: put in place where all were, else taken back, as abort does.
sweep_restore() {
  local vm
  job_machine && vm=$REPLY || return 0
  if [[ $OPT_DRY_RUN ]]; then
    swept restore "$vm" would-be-removed "what the restore of job $OPT_JOB has begun and not ended"
    return 0
  fi
  local -a LEFT=()
  OPT_VM=$vm
  if vm_try_lock "$vm" 0; then settle_restore; else SETTLED='' && left "another operation works on $vm"; fi
  exec 9>&-
  if [[ $SETTLED ]]; then swept restore "$vm" removed "what the restore of job $OPT_JOB has begun and not ended: $SETTLED"
  else swept restore "$vm" left "the restore of job $OPT_JOB is not settled: ${LEFT[*]}"; fi
}

# job_machine: REPLY is the machine that a job was about; false when it was about none.
job_machine() {
  local i count
  local -A parsed=()
  [[ -e $JOB_DIR/argv.json ]] && json_read parsed "$(<"$JOB_DIR/argv.json")" && json_get parsed '#' || return 1
  count=$REPLY
  for ((i = 0; i + 1 < count; i++)); do
    json_get parsed "$i" && [[ $REPLY == @(-v|--vm) ]] && json_get parsed $((i + 1)) && return 0
  done
  return 1
}

# sweep_calls: the private directories of calls. A call that was killed cannot remove its own, nor what it noted there.
sweep_calls() {
  local dir path kept i
  for dir in "$STATE_DIR"/work.*/; do
    dir=${dir%/}
    [[ -d $dir && $dir != "$WORK" ]] || continue
    local -a owned=()
    [[ ! -e $dir/owned ]] || mapfile -t owned <"$dir/owned"
    if work_alive "$dir"; then
      for path in "${owned[@]}"; do SWEEP_KNOWN+=$path$'\n'; done
      continue
    fi
    kept=''
    # The last one first: it may lie in a mount that was made before.
    for ((i = ${#owned[@]} - 1; i >= 0; i--)); do sweep_folder "${owned[i]}" 'a killed call' || kept=yes; done
    # The note stays as long as what it tells of.
    if [[ $kept ]]; then [[ $OPT_DRY_RUN ]] || rm -rf -- "${dir:?}"/!(owner|owned)
    else sweep_away work-dir "$dir" 'left by a killed call' rm -rf --one-file-system -- "$dir" || :; fi
  done
}

# work_alive DIR: the call that made it lives. One that has not yet said who it is has an hour for it.
work_alive() {
  local pid='' start=''
  if [[ -e $1/owner ]] && read -r pid start <"$1/owner" && [[ $pid =~ ^[0-9]+$ ]]; then
    process_start "$pid" && [[ $REPLY == "$start" ]]
  else
    [[ ! $(find "$1" -maxdepth 0 -mmin +60) ]]
  fi
}

# sweep_folder PATH OWNER [ABORT]: a mount point, a folder of mount points or sockets, scratch files, or what a check wrote into a mount.
# False when it stays.
sweep_folder() {
  local code=tmp-dir vm
  local -a remove=(sweep_remove "$1")
  [[ $1 == @(/tmp/csbackup.*|"$SCRATCH_DIR"/*) && /$1/ != */../* ]] || return 0
  # One that is mounted is not looked at: it may hang.
  if mounted "$1" || mounted_below "$1"; then code=mount
  elif [[ $1 == */.chainkeeper-check.* ]]; then
    mounted "${1%/*}" || return 0
    code=check-dir remove=(run "$CHECK_SECONDS" rm -rf --one-file-system -- "$1")
  elif [[ ! -e $1 ]]; then return 0
  elif [[ $1 == "$SCRATCH_DIR"/* ]]; then code=scratch; fi
  # A job's folder says all about what is in it.
  ! below "$1" "$SWEEP_KEPT" || return 1
  ! below "$1" "$SWEEP_KNOWN" || return 0
  SWEEP_KNOWN+=$1$'\n'
  for vm in "${!MACHINE_BACKUP[@]}"; do
    [[ ${MACHINE_BACKUP[$vm]} == *"'$1/"* ]] || continue
    swept libvirt-job "$vm" left "libvirt's backup job of $vm goes on, begun by ${2%,*}; end it with: ${3:-virsh domjobabort $vm}"
    swept "$code" "$1" left "left by $2, and libvirt's backup job of $vm uses it"
    SWEEP_KEPT+=$1$'\n' && return 1
  done
  sweep_away "$code" "$1" "left by $2" "${remove[@]}" || { SWEEP_KEPT+=$1$'\n' && return 1; }
}

# sweep_away CODE PATH WHAT COMMAND...: false when it stays.
sweep_away() {
  if [[ $SWEEP_BLIND && $1 == @(mount|tmp-dir|scratch) ]]; then
    swept "$1" "$2" left "$3; whether libvirt uses it is not known" && return 1
  elif in_use "$2"; then
    swept "$1" "$2" left "$3, and process $REPLY uses it" && return 1
  elif [[ $OPT_DRY_RUN ]]; then
    swept "$1" "$2" would-be-removed "$3"
  elif "${@:4}"; then
    swept "$1" "$2" removed "$3"
  else
    swept "$1" "$2" left "$3, and cannot be removed: ${RUN_ERR//$'\n'/; }" && return 1
  fi
}

# in_use PATH: REPLY is a process that stands in it or has something of it open.
in_use() {
  run 20 find /proc/[0-9]*/cwd /proc/[0-9]*/fd \( -lname "$1" -o -lname "$1/*" \) -print -quit || RUN_ERR= # processes come and go
  REPLY=${RUN_OUT#/proc/} && REPLY=${REPLY%%/*}
  [[ $REPLY ]]
}

sweep_remove() {
  local point
  look_at_mounts
  for point in "${MOUNTS[@]}"; do
    [[ $point/ != "$1"/* ]] || run 5 umount -c -- "$point" || return 1
  done
  run 60 rm -rf --one-file-system -- "$1"
}

# sweep_guests: told only: what stopped a guest may still be there, and only a person knows whether it may go on.
sweep_guests() {
  local vm
  for vm in "${!MACHINE_STATE[@]}"; do
    [[ ${MACHINE_STATE[$vm]} == 'paused (I/O error)'* ]] || continue
    [[ ! -e $STATE_DIR/locks/$vm ]] || flock -n "$STATE_DIR/locks/$vm" true || continue
    if [[ ${DEAD_JOB[$vm]-} ]]; then
      swept paused-guest "$vm" left "an I/O error stopped it, and job ${DEAD_JOB[$vm]} died on it; this resumes it: $SCRIPT_FILE abort --job ${DEAD_JOB[$vm]}"
    else
      swept paused-guest "$vm" left "an I/O error stopped it, and no operation of ours is at work on it; when its storage is well: virsh resume $vm"
    fi
  done
}

# sweep_strangers: mounts that look like ours and that nobody here has made note of.
sweep_strangers() {
  local point
  look_at_mounts
  for point in "${MOUNTS[@]}"; do
    [[ $point == /tmp/csbackup.* ]] || continue
    below "$point" "$SWEEP_KNOWN" || swept stranger "$point" left 'a mount like ours that is in no note of ours: a stock script, perhaps at work, or an older version made it'
  done
}

# below PATH LIST: it is one of these paths, or inside of one.
below() {
  local known
  lines "$2"
  for known in "${LINES[@]}"; do [[ $1/ != "$known"/* ]] || return 0; done
  return 1
}
