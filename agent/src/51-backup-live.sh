# ---- backup of a running or paused machine -----------------------------------------------------------

BEGIN_STATE='' BEGUN='' FROZEN='' FROZEN_FROM='' FROZEN_MS='' THAWED='' RESUMED='' PAUSED_FROM='' PAUSED_MS=''
# BEGUN is yes once libvirt has said so, and asked from the question to the answer.
QEMU_STARTED=''
THAW_SECONDS=10 # of one attempt: the agent waits for the guest's own writes
THAW_FOR=30 # seconds in which it is tried again and again, three times at least

backup_live() {
  TRANSFER=push
  look_at_live_disks || die_unless_gone "Cannot look at $OPT_VM"
  look_at_qemu_start
  ((DISKS)) || die "$OPT_VM has no disks" no-disks
  look_at_checkpoints || die_unless_gone "Cannot list the checkpoints of $OPT_VM"
  ! has_checkpoint "$OPT_BITMAP_NEW" || die "$OPT_VM has a checkpoint $OPT_BITMAP_NEW already" bitmap-exists
  ! job_active || die "$OPT_VM is busy with another job: ${JOB_OPERATION:-unknown}" job-busy
  choose_transfer
  plan
  [[ $TRANSFER == pull ]] || see_mount
  timing_stop inspect
  drop_inconsistent
  remember_parent_bitmaps
  check_space
  open_destination
  name_files
  save_definition
  [[ $TRANSFER != pull ]] || open_scratch
  timing_start job
  run_job
  timing_stop job
  rebase_files
  verify_files
  confirm_disks
  [[ $PLAN_MODE == legacy-full ]] || confirm_bitmap
}

# see_mount: QEMU lives in a mount namespace of its own and may not see a mount that is newer than itself.
see_mount() {
  [[ ! $QEMU_PID ]] || mounted "$MNT" "/proc/$QEMU_PID/mountinfo" ||
    die "QEMU of $OPT_VM does not see $MNT: mounts of this host do not propagate; 'mount --make-rshared /' before the machine starts" mount-not-visible
}

# remember_parent_bitmaps: what the parent's bitmap says just before the job, the first witness of the accounting.
remember_parent_bitmaps() {
  local i name=$OPT_BITMAP_PARENT
  look_at_nodes || die_unless_gone 'QEMU does not tell about its disks'
  [[ $name ]] || return 0
  for ((i = 0; i < DISKS; i++)); do
    has_bitmap "$i" "$name" || continue
    # A sick bitmap counts, too, but its count is no witness.
    [[ ${D[$i.mode]} != incremental ]] || D[$i.dirty]=${B[$i.$name.count]}
    json_object b recording "${B[$i.$name.recording]}" b inconsistent "${B[$i.$name.inconsistent]}" \
      b persistent "${B[$i.$name.persistent]}" n granularity "${B[$i.$name.granularity]}"
    D[$i.parentbitmap]=$REPLY
  done
}

# save_definition: the machine's definition lies beside its data, under CloudStack's file names.
save_definition() {
  local file what
  mkdir "$WORK/definition"
  for file in domain-config.xml:dumpxml dominfo.xml:dominfo domiflist.xml:domiflist domblklist.xml:domblklist; do
    what=${file#*:} file=${file%:*}
    virsh_q "$what" "$OPT_VM" || die_unless_gone "Cannot read the definition of $OPT_VM"
    printf '%s\n' "$RUN_OUT" >"$WORK/definition/$file"
  done
  nas cp -- "$WORK"/definition/* "$DEST/" || die "Cannot write to the NAS: $RUN_ERR" nas-not-writable
}

# make_images: what QEMU writes to lies there before the job begins. Otherwise libvirt has QEMU make the images, and one that is asked
# at that moment for all its nodes (virsh domstats --block or domblkinfo, as monitoring does) ends with a failed assertion, and its
# guest with it: QEMU 7.2, qcow2_get_specific_info. It also keeps a quiesced guest frozen for less long.
make_images() {
  local i image options made=()
  for ((i = 0; i < DISKS; i++)); do [[ ! ${D[$i.image]} ]] || made+=("${D[$i.image]}"); done
  ((${#made[@]} == 0)) || nas rm -f -- "${made[@]}" || die "Cannot remove the images of another plan: $RUN_ERR" nas-not-writable
  for ((i = 0; i < DISKS; i++)); do
    [[ ${D[$i.virtual]} ]] || die "QEMU does not tell the size of ${D[$i.target]}" disks-mismatch
    image=$DEST/${D[$i.file]}
    [[ $TRANSFER != pull ]] || image=$SCRATCH/${D[$i.target]}.qcow2
    options=compat=1.1
    [[ ${D[$i.format]} != qcow2 ]] || options+=,cluster_size=${D[$i.cluster]}
    D[$i.image]=$image
    run "$NAS_SECONDS" qemu-img create -q -f qcow2 -o "$options" -- "$image" "${D[$i.virtual]}" || image_fails "$image"
    # Where an owner cannot be changed, libvirt and QEMU say whether it matters.
    ! owner_of_qemu || run "$NAS_SECONDS" chown -- "$REPLY" "$image" || :
  done
}

image_fails() {
  [[ $TRANSFER != pull ]] || die "Cannot make $1: $RUN_ERR" scratch-full
  ((RUN_CODE != 124)) || die "The NAS does not answer: $RUN_ERR" target-hung
  [[ $RUN_ERR != *'No space left'* ]] || die "Cannot make $1: $RUN_ERR" target-full
  die "Cannot make $1: $RUN_ERR" nas-not-writable
}

push_xml() {
  local i path out="<domainbackup mode='push'><disks>"
  for ((i = 0; i < DISKS; i++)); do
    xml_escape "${D[$i.image]}" && path=$REPLY
    out+="<disk name='${D[$i.target]}' backup='yes' type='file' backupmode='${D[$i.mode]}'"
    [[ ${D[$i.mode]} != incremental ]] || out+=" incremental='$OPT_BITMAP_PARENT'"
    out+="><target file='$path'/><driver type='qcow2'/></disk>"
  done
  REPLY="$out</disks></domainbackup>"
}

# run_job: freeze, begin, thaw, watch, result. What is on the stack meanwhile takes back each step.
run_job() {
  BEGIN_STATE=$VM_STATE
  count_writes
  [[ $PLAN_MODE == legacy-full ]] || undo_push drop_new_bitmap
  undo_push end_job
  make_images
  freeze
  if ! begin_job && [[ $PLAN_MODE == incremental && $RUN_ERR == *'missing or broken bitmap'* ]]; then
    # libvirt looks at more than the active layer; it has refused before anything was changed.
    warn "libvirt refuses the incremental: $RUN_ERR"
    plan_without_bitmaps
    [[ $TRANSFER != pull || $SCRATCH ]] || { open_scratch && undo_push end_job; }
    name_files
    check_space
    make_images
    begin_job || :
  fi
  local code=$RUN_CODE error=$RUN_ERR
  thaw || die "Failed to thaw the filesystem for vm $OPT_VM: $RUN_ERR" thaw-failed
  if ((code)); then
    JOB_RESULT=failed JOB_ERROR=$error
    [[ $error != *'cannot acquire state change lock'* ]] || die "$OPT_VM is busy with another job: $error" job-busy
    RUN_ERR=$error
    die_unless_gone "Backup of $OPT_VM does not begin" job-failed
  fi
  confirm_job
  if [[ $TRANSFER == pull ]]; then
    pull_disks
  else
    watch_job
    judge_job
  fi
  read_writes
}

# begin_job: a call that is cut off half way would start the job later, unseen: it always runs to its end.
begin_job() {
  local -a checkpoint=()
  if [[ $TRANSFER == pull ]]; then pull_xml; else push_xml; fi
  printf '%s\n' "$REPLY" >"$WORK/backup.xml"
  if [[ $PLAN_MODE != legacy-full ]]; then
    checkpoint_xml "$OPT_BITMAP_NEW"
    printf '%s\n' "$REPLY" >"$WORK/checkpoint.xml"
    checkpoint=("$WORK/checkpoint.xml")
  fi
  RUN_MUST_FINISH=yes BEGUN=asked
  run 90 "${VIRSH[@]}" backup-begin "$OPT_VM" "$WORK/backup.xml" "${checkpoint[@]}" --reuse-external || :
  RUN_MUST_FINISH=''
  ((RUN_CODE == 0)) && BEGUN=yes
}

# confirm_job: the job as libvirt took it holds every disk as asked. A disk plugged in meanwhile would be missing.
confirm_job() {
  local i line name
  local -A taken=()
  virsh_q backup-dumpxml "$OPT_VM" || return 0 # it has ended already; confirm_disks looks at the end
  lines "$RUN_OUT"
  for line in "${LINES[@]}"; do
    [[ $line == *'<disk '* ]] && xml_attribute "$line" name || continue
    name=$REPLY
    taken[$name]=no
    [[ $line == *" backup='no'"* ]] || { xml_attribute "$line" backupmode || : && taken[$name]=$REPLY; }
    [[ ${taken[$name]} != incremental || $line == *" incremental='$OPT_BITMAP_PARENT'"* ]] || taken[$name]=other
  done
  for ((i = 0; i < DISKS; i++)); do
    [[ ${taken[${D[$i.target]}]-} == "${D[$i.mode]/rescued/full}" ]] || die "libvirt did not take disk ${D[$i.target]} as asked" disks-mismatch
  done
}

# confirm_disks: the machine still has the same disks: the backup holds all of them.
confirm_disks() {
  local before='' after='' i
  for ((i = 0; i < DISKS; i++)); do before+="${D[$i.target]} ${D[$i.path]}"$'\n'; done
  virsh_q domblklist "$OPT_VM" --details || die_unless_gone "Cannot list the disks of $OPT_VM"
  local type device target path
  while read -r type device target path; do
    [[ $device == @(|cdrom|floppy) ]] || after+="$target $path"$'\n'
  done <<<"$RUN_OUT"
  [[ $before == "$after" ]] || die "The disks of $OPT_VM changed during the backup" disks-mismatch
}

freeze() {
  [[ $OPT_QUIESCE == true ]] || return 0
  undo_push thaw
  now_ms && FROZEN_FROM=$REPLY FROZEN=yes
  virsh_q domfsfreeze "$OPT_VM" && return 0
  # Where nobody could be asked nothing is frozen. After any other failure it may be.
  [[ $RUN_ERR != *'guest agent is not '@(connected|configured)* ]] || FROZEN=''
  die "Cannot freeze the filesystems of $OPT_VM: $RUN_ERR" agent-missing
}

# thaw: as often as it takes, for half a minute; a guest that stays frozen is worse than a backup that is lost. An end without it is reported.
# It counts as frozen until a thaw has gone well, or the last one has not: a signal in the middle of one begins again on the way out.
thaw() {
  [[ $FROZEN ]] || return 0
  local attempt=0 until
  now_ms && until=$((REPLY + THAW_FOR * 1000))
  while :; do
    attempt=$((attempt + 1))
    if run "$THAW_SECONDS" "${VIRSH[@]}" domfsthaw "$OPT_VM"; then
      now_ms && FROZEN_MS=$((REPLY - FROZEN_FROM)) THAWED=true FROZEN=''
      return 0
    fi
    ! is_gone "$RUN_ERR" || break
    now_ms
    ((attempt < 3 || REPLY < until)) || break
    ((attempt < 3)) || sleep 1
  done
  THAWED=false FROZEN=''
  left "frozen filesystems in $OPT_VM, after $attempt attempts (virsh domfsthaw $OPT_VM thaws them): $RUN_ERR"
  return 1
}

# drop_new_bitmap: a checkpoint that no backup goes with must never become a parent.
drop_new_bitmap() {
  [[ ! $JOB_STUCK ]] || { left "checkpoint $OPT_BITMAP_NEW of $OPT_VM" && return 0; }
  bitmap_drop "$OPT_BITMAP_NEW" || left "bitmap $OPT_BITMAP_NEW of $OPT_VM: $RUN_ERR"
}

# confirm_bitmap: its name is told only when it is on every disk and records.
confirm_bitmap() {
  local i
  look_at_nodes || die_unless_gone 'QEMU does not tell about its disks'
  for ((i = 0; i < DISKS; i++)); do
    bitmap_health "$i" "$OPT_BITMAP_NEW"
    [[ $REPLY == ok ]] || die "The new bitmap $OPT_BITMAP_NEW is not good on ${D[$i.target]}: $REPLY" bitmap-unconfirmed
  done
  DONE_BITMAP=$OPT_BITMAP_NEW
}
