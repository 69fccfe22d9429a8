# ---- abort: end a job and leave the guest as it was, within ten seconds --------------------------
#
# The operation is asked first and cleans up by itself. Whatever it could not do any more is done here: libvirt's job, the
# guest's filesystems, a guest our job has paused, disks of a restore, mounts.

ABORT_HOW=none       # term, kill or none
ABORT_LIBVIRT=none   # none, aborted, hung, foreign, unreachable
ABORT_RESUMED=false ABORT_THAWED=false

operation_abort() {
  job_open
  work_open
  VIRSH_SECONDS=2 # nothing here may wait long for a libvirt that hangs
  job_look
  if [[ $JOB_STATE == absent ]] && job_claim; then job_forestall; fi
  job_look
  if [[ $JOB_STATE == running ]]; then job_halt; fi
  if [[ $JOB_STATE == unknown || -e $JOB_DIR/aborted ]]; then job_aftercare; fi
  job_look
  local code=0
  [[ $JOB_STATE != running ]] || left "job $OPT_JOB, which does not end"
  ((${#LEFT[@]} == 0)) || code=$EXIT_CLEANUP_FAILED
  json_strings "${LEFT[@]}"
  json_object s how "$ABORT_HOW" s libvirtJob "$ABORT_LIBVIRT" b resumed "$ABORT_RESUMED" b thawed "$ABORT_THAWED" s restore "$SETTLED" r left "$REPLY"
  job_answer "\"abort\":$REPLY" "$code"
}

# job_forestall: a job that has not begun has ended with this: its start may still be on its way, and nobody would follow what it began.
# Holding the lock; `started` comes first, so that a start which comes meanwhile begins nothing, and says no time: it never ran.
job_forestall() {
  printf 'Stopped before it began\n' >"$JOB_DIR/stdout" && job_write started '' && job_write aborted && job_write ended &&
    job_write exit "$EXIT_FAILED" || job_unwritable
  exec 8>&-
}

# job_halt: TERM to the runner, which knows whom to tell; KILL to its whole group when that has no effect.
job_halt() {
  local pid
  job_write aborted
  job_pid || return 0
  pid=$REPLY ABORT_HOW=term
  local turn
  # Again and again: a process that is just being started may lose a signal.
  for turn in 1 2 3 4 5 6; do
    # The runner may have been killed while its operation lives on: the group's number is not given away as long as it does.
    if [[ /proc/$pid/fd/8 -ef $JOB_DIR/lock ]]; then kill -TERM "$pid" 2>/dev/null || :; else kill -TERM -- "-$pid" 2>/dev/null || :; fi
    job_ends_within 1000 && return 0
  done
  ABORT_HOW=kill
  kill -KILL -- "-$pid" 2>/dev/null || :
  job_ends_within 500 || return 0
  job_finished || { job_write ended && job_write exit 137; }
  rm -f -- "$JOB_DIR/secrets"
}

# job_pid: REPLY is the runner's pid; a job that is just being started gets the moment it needs to write it.
job_pid() {
  local i
  for ((i = 0; i < 50; i++)); do
    job_text pid && [[ $REPLY =~ ^[1-9][0-9]*$ ]] && return 0
    job_alive || return 1
    nap 0.02
  done
  return 1
}

job_ends_within() {
  local until
  now_ms && until=$((REPLY + $1))
  while job_alive; do
    now_ms
    ((REPLY < until)) || return 1
    nap 0.05
  done
}

# job_aftercare: what is left of a job whose operation has ended, well or not. Everything here may be done twice.
job_aftercare() {
  local -A parsed=()
  local i
  OPT_REST=()
  # One that was stopped before it began.
  [[ -e $JOB_DIR/argv.json ]] || return 0
  json_read parsed "$(<"$JOB_DIR/argv.json")" && json_get parsed '#' || return 0
  local count=$REPLY
  for ((i = 0; i < count; i++)); do json_get parsed "$i" || :; OPT_REST+=("$REPLY"); done
  job_arguments
  if [[ $JOB_WHAT == restore ]]; then job_settle; elif [[ $JOB_VM ]]; then job_free_guest && job_drop_scratch; fi
  ! job_text tmp || { JOB_TMP=$REPLY && job_sweep_mounts; }
}

# job_free_guest: whoever holds the machine's lock now is another operation, and what libvirt does is its job.
job_free_guest() {
  OPT_VM=$JOB_VM
  vm_try_lock "$OPT_VM" 1 || { ABORT_LIBVIRT=foreign && return 0; }
  # First of all: a job that hangs must not keep the guest frozen, too.
  [[ $JOB_QUIESCE != true ]] || job_thaw
  if ! virsh_q domjobinfo "$OPT_VM"; then
    is_gone "$RUN_ERR" || job_unreachable
    return 0
  fi
  [[ $RUN_OUT == *'Job type:'*None* ]] || job_end_libvirt || return 0
  job_resume_guest
}

# job_drop_scratch: what a pull has kept for its export, once there is none: its operation was killed before it could, and what lies on the
# host's disk would be in the way of the next one.
job_drop_scratch() {
  [[ $JOB_WHAT == backup && $JOB_PATH =~ $PATH_PATTERN && -d $SCRATCH_DIR/$JOB_PATH ]] || return 0
  [[ $ABORT_LIBVIRT == @(none|aborted) ]] || return 0
  SCRATCH=$SCRATCH_DIR/$JOB_PATH
  run 5 rm -rf --one-file-system -- "$SCRATCH" || left "scratch files in $SCRATCH: $RUN_ERR"
  rmdir -- "${SCRATCH%/*}" 2>/dev/null || :
}

# job_thaw: as often as the time allows. Nothing says whether the guest is frozen; where nobody can be asked it was never frozen.
job_thaw() {
  local attempt until
  now_ms && until=$((REPLY + 2000))
  for attempt in 1 2 3; do
    virsh_q domfsthaw "$OPT_VM" && ABORT_THAWED=true && return 0
    ! is_gone "$RUN_ERR" && [[ $RUN_ERR != *'guest agent is not '@(connected|configured)* ]] || return 0
    now_ms
    ((REPLY < until)) || break
  done
  left "frozen filesystems in $OPT_VM, if they were frozen, after $attempt attempts: $RUN_ERR"
}

# job_settle: a restore that did not end by itself: its disks are all in place, or none.
job_settle() {
  OPT_VM=$JOB_VM
  vm_try_lock "$OPT_VM" 1 || { left "the restore of job $OPT_JOB: another operation works on $OPT_VM" && return 0; }
  settle_restore
}

job_unreachable() { ABORT_LIBVIRT=unreachable && left "libvirt does not answer: $RUN_ERR"; }

# job_end_libvirt: libvirt's answer to domjobabort is not the end of the job: with a target that hangs it never comes.
job_end_libvirt() {
  local until
  # `backup-dumpxml` shows where the job writes: below this job's mounts or path, else it is somebody else's.
  virsh_q backup-dumpxml "$OPT_VM" || has_no_backup "$RUN_ERR" || { job_unreachable && return 1; }
  job_text tmp || :
  [[ $RUN_OUT == *"'${REPLY:-/none}/"* || $JOB_PATH && $RUN_OUT == *"/$JOB_PATH/"* ]] || { ABORT_LIBVIRT=foreign && return 1; }
  virsh_q domjobabort "$OPT_VM" || :
  now_ms && until=$((REPLY + 2000))
  until virsh_q domjobinfo "$OPT_VM" && [[ $RUN_OUT == *'Job type:'*None* ]]; do
    ! is_gone "$RUN_ERR" || break
    now_ms
    if ((REPLY >= until)); then
      ((RUN_CODE == 0)) || { job_unreachable && return 1; }
      ABORT_LIBVIRT=hung && left "libvirt's backup job of $OPT_VM: its target does not answer" && return 1
    fi
    nap 0.05
  done
  ABORT_LIBVIRT=aborted
}

# job_resume_guest: only a guest that ran before the job and that an I/O error has paused; the job is gone by now.
job_resume_guest() {
  virsh_q domstate "$OPT_VM" --reason && [[ $RUN_OUT == 'paused (I/O error)'* ]] || return 0
  job_text vm_before && [[ $REPLY == running ]] || { left "$OPT_VM paused by an I/O error" && return 0; }
  virsh_q resume "$OPT_VM" || :
  nap 1 # the error may come back at once
  virsh_q domstate "$OPT_VM" --reason || :
  if [[ $RUN_OUT == running* ]]; then ABORT_RESUMED=true; else left "$OPT_VM $RUN_OUT"; fi
}
