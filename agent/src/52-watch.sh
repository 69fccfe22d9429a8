# ---- the watch over a running job ------------------------------------------------------------------
#
# A push job copies old data before each guest write, so a NAS that is full or stuck fails or stalls the guest itself.
# The open virsh makes it cheap to look at job and guest every fifth of a second.

SILENCE_SECONDS=60 # after which a NAS or a libvirt that does not answer is given up: libvirtd may just be updated
NAS_HEARD=''       # when the NAS last answered

# poll_job: JOB_TYPE is 0 when no job runs, gone when the machine is gone; JOB_PROCESSED, JOB_TOTAL in bytes.
poll_job() {
  local line
  JOB_TYPE=''
  local VIRSH_SECONDS=10
  virsh_q domjobinfo "$OPT_VM" --rawstats || { is_gone "$RUN_ERR" && JOB_TYPE=gone && return 0 || return 1; }
  lines "$RUN_OUT"
  for line in "${LINES[@]}"; do
    case $line in
      'Job type: '*) JOB_TYPE=${line#*: } ;;
      'disk_processed: '*) JOB_PROCESSED=${line#*: } ;;
      'disk_total: '*) JOB_TOTAL=${line#*: } ;;
    esac
  done
  [[ $JOB_TYPE ]] || { RUN_ERR="virsh answers: $RUN_OUT" && return 1; }
}

# poll_guest: VM_STATE and VM_REASON; notes when a running guest is stopped by an I/O error.
poll_guest() {
  local line
  local VIRSH_SECONDS=10
  virsh_q domstate "$OPT_VM" --reason || return 1
  lines "$RUN_OUT"
  for line in "${LINES[@]}"; do
    [[ $line =~ ^(running|idle|paused|in\ shutdown|shut\ off|crashed|pmsuspended)\ \((.*)\)$ ]] || continue
    VM_STATE=${BASH_REMATCH[1]} VM_REASON=${BASH_REMATCH[2]}
  done
  ! io_paused || [[ $PAUSED_FROM ]] || { now_ms && PAUSED_FROM=$REPLY; }
}

io_paused() { [[ $BEGIN_STATE == running && $VM_STATE == paused && $VM_REASON == 'I/O error' ]]; }

# is_silent SINCE: for longer than anybody waits; REPLY is for how many seconds.
is_silent() {
  now_ms
  REPLY=$(((REPLY - $1) / 1000))
  ((REPLY >= SILENCE_SECONDS))
}

# watch_nas: dies before the NAS is full, or when it is stuck.
watch_nas() {
  local REPLY
  if look_at_space 5; then
    now_ms && NAS_HEARD=$REPLY
    ((SPACE_FREE >= RESERVE_BYTES)) || die "The NAS has only $SPACE_FREE bytes left; $RESERVE_BYTES are kept in reserve: the backup was stopped before it is full" target-full
  elif is_silent "$NAS_HEARD"; then
    NAS_HUNG=yes
    die "The NAS has not answered for $REPLY s: target hung" target-hung
  fi
}

# watch_job: returns when the job has ended; dies, which ends the job, before the NAS is full or when it is stuck.
watch_job() {
  local heard
  now_ms && heard=$REPLY NAS_HEARD=$REPLY
  while :; do
    if poll_job; then now_ms && heard=$REPLY
    elif is_silent "$heard"; then die "libvirt has not answered for $REPLY s: $RUN_ERR" libvirt-unreachable; fi
    [[ $JOB_TYPE != gone ]] || { JOB_RESULT=failed && die "$OPT_VM went away during the backup" guest-gone; }
    [[ $JOB_TYPE != 0 ]] || break
    progress "$JOB_PROCESSED" "$JOB_TOTAL"
    poll_guest || :
    watch_nas
    now_ms
    ((REPLY - TIMING_FROM[job] < TIME_LIMIT * 1000)) || die "The backup took longer than $TIME_LIMIT s" time-limit
    nap_since "${TIMING_FROM[job]}"
  done
}

# judge_job: "no job" is not success: only a recorded "Completed" is.
judge_job() {
  local line
  if ! virsh_q domjobinfo "$OPT_VM" --completed --keep-completed --anystats; then
    JOB_RESULT=unknown
    die_unless_gone 'Virsh backup job failed: its result cannot be read' job-unknown
  fi
  JOB_BLOCK=$RUN_OUT JOB_RESULT=unknown
  lines "$RUN_OUT"
  for line in "${LINES[@]}"; do
    case $line in
      'Job type:'*Completed*) JOB_RESULT=completed ;;
      'Job type:'*Failed*) JOB_RESULT=failed ;;
      'Job type:'*Cancelled*) JOB_RESULT=cancelled ;;
      'Error message:'*) JOB_ERROR=${line#*:} && JOB_ERROR=${JOB_ERROR#"${JOB_ERROR%%[! ]*}"} ;;
      'Operation:'*) [[ $line == *Backup* ]] || { JOB_RESULT=unknown && break; } ;;
    esac
  done
  virsh_q domjobinfo "$OPT_VM" --completed --keep-completed --anystats --rawstats || :
  lines "$RUN_OUT"
  for line in "${LINES[@]}"; do
    case $line in
      'disk_processed: '*) JOB_PROCESSED=${line#*: } ;;
      'disk_total: '*) JOB_TOTAL=${line#*: } ;;
      'time_elapsed: '*) JOB_MS=${line#*: } ;;
    esac
  done
  case $JOB_RESULT in
    completed) progress "$JOB_PROCESSED" "$JOB_TOTAL" ;;
    failed)
      [[ $JOB_ERROR != *'No space left'* ]] || die "Virsh backup job failed: the NAS is full: $JOB_ERROR" target-full
      die "Virsh backup job failed: ${JOB_ERROR:-no reason given}" job-failed
      ;;
    cancelled) die 'Virsh backup job failed: it was cancelled by somebody else' job-cancelled ;;
    *) die 'Virsh backup job failed: its result is not known' job-unknown ;;
  esac
  BEGUN=''
}

# end_job: the job of this run, whether it runs, was just asked for, or has failed; then the guest is woken if the job stopped it.
# One that nobody can ask for counts as one that goes on: what it may be writing to stays.
end_job() {
  local REPLY until aborted=''
  [[ $BEGUN && ! $JOB_STUCK && $ERROR_CODE != guest-gone ]] || return 0
  now_ms && until=$((REPLY + 7000))
  until job_is_over; do
    [[ ! $JOB_TYPE || $aborted == answered ]] || abort_job
    now_ms
    ((REPLY < until)) || { leave_job && return 0; }
    nap 0.05
  done
  [[ $aborted && ! $JOB_RESULT ]] && JOB_RESULT=cancelled
  [[ ! $BEGUN || $JOB_TYPE == gone ]] || wake_guest
}

# job_is_over: libvirt says that no job of ours runs. JOB_TYPE is empty when it says nothing.
job_is_over() {
  JOB_TYPE=''
  if [[ $BEGUN == asked ]]; then
    # A signal, or an absence of libvirt, may have come between its start of the job and its answer.
    if our_job; then BEGUN=yes
    elif ((RUN_CODE == 0)) || has_no_backup "$RUN_ERR"; then BEGUN='' && return 0
    else return 1; fi
  fi
  poll_job && [[ $JOB_TYPE == @(0|gone) ]]
}

# our_job: what runs now writes into this run's directory on the NAS, or into its scratch files.
our_job() { virsh_q backup-dumpxml "$OPT_VM" && [[ $RUN_OUT == *"${SCRATCH:-$DEST}/"* ]]; }

has_no_backup() { is_gone "$1" || [[ $1 == *'no domain backup job present'* ]]; }

# abort_job: part of end_job. Where libvirt was away it is asked again; one that gives no answer has understood, and waits for the NAS.
abort_job() {
  aborted=asked
  virsh_q domjobabort "$OPT_VM" || ((RUN_CODE == 124)) || return 0
  aborted=answered
}

leave_job() {
  JOB_STUCK=yes
  # QEMU itself writes there; our readers of a pull know for themselves.
  [[ $TRANSFER == pull ]] || NAS_HUNG=yes
  if [[ $JOB_TYPE ]]; then left "the backup job of $OPT_VM: the target hangs and the job ends when it answers again"
  else left "the backup job of $OPT_VM, if it still runs: libvirt does not answer; when it does: virsh domjobabort $OPT_VM: $RUN_ERR"; fi
}

# wake_guest: resumes a guest that ran before, and that an I/O error stopped during our job, now that the job is gone.
# The guest may stop a moment after the job has failed, and the first writes after the resume may fail again.
wake_guest() {
  local until
  now_ms && until=$((REPLY + 1000))
  # Only what was seen just now: somebody may have paused it since.
  until poll_guest && io_paused; do
    now_ms
    if ((REPLY >= until)) || [[ $RUN_CODE == 0 && $JOB_RESULT != failed && $ERROR_CODE != @(target-full|scratch-full) ]]; then
      [[ $RUN_CODE == 0 || ! $PAUSED_FROM ]] || { left "$OPT_VM, which an I/O error had paused: $RUN_ERR" && RESUMED=false; }
      return 0
    fi
    nap 0.1
  done
  virsh_q resume "$OPT_VM" || { left "$OPT_VM paused by an I/O error: $RUN_ERR" && RESUMED=false && return 0; }
  now_ms && PAUSED_MS=$((REPLY - PAUSED_FROM))
  nap 1
  poll_guest || :
  if io_paused; then
    left "$OPT_VM paused by an I/O error, again after a resume" && RESUMED=false
  else
    RESUMED=true
  fi
}
