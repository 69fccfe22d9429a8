# ---- retire: drop a bitmap of ours that is no longer a parent --------------------------------------
#
# Only the books know whether it still is one: they call this once the child is recorded. Nothing there is success, too.

operation_retire() {
  need OPT_VM -v
  need OPT_BITMAP --bitmap
  need OPT_FENCE --fence
  work_open
  vm_lock "$OPT_VM"
  fence_check "$OPT_VM" "$OPT_FENCE"
  retire_look
  local found recorded=false
  disks_with_bitmap && found=$REPLY
  ! has_checkpoint "$OPT_BITMAP" || recorded=true
  bitmap_drop "$OPT_BITMAP" || die "Cannot retire $OPT_BITMAP of $OPT_VM: $RUN_ERR" retire-failed
  # No answer of libvirt or QEMU counts, only what is there afterwards.
  retire_look
  disks_with_bitmap
  [[ $REPLY == '[]' ]] && ! has_checkpoint "$OPT_BITMAP" || die "$OPT_BITMAP of $OPT_VM is still there after it was removed: $REPLY" retire-failed
  json_object n v 1 s vm "$OPT_VM" s state "${VM_STATE/absent/shut off}" s bitmap "$OPT_BITMAP" r removedFrom "$found" b checkpointRemoved "$recorded"
  unwind good
  printf '%s\n' "$REPLY"
  DONE=yes
  exit 0
}

# retire_look: the disks as they are now; every one must be readable, or "absent" would be a guess.
retire_look() {
  local i
  CHECKPOINTS=()
  look_at_state || die "libvirt does not answer: $RUN_ERR" libvirt-unreachable
  if vm_is_live; then
    ! job_active || die "$OPT_VM is busy with another job: ${JOB_OPERATION:-unknown}" job-busy
    { look_at_live_disks && look_at_checkpoints; } || die_unless_gone "Cannot look at $OPT_VM"
  else
    [[ $OPT_DISK_PATHS || $VM_STATE == 'shut off' ]] || die "$OPT_VM does not run: its disks must be told with -d" vm-not-found
    look_at_stopped_disks || die "Cannot look at the disks of $OPT_VM: $RUN_ERR" libvirt-unreachable
    for ((i = 0; i < DISKS; i++)); do [[ ! ${D[$i.inuse]} ]] || die "Cannot look at a disk of $OPT_VM: ${D[$i.inuse]}" disk-unreadable; done
  fi
}

# disks_with_bitmap: REPLY is the JSON array of the disks that have it, by target or, when stopped, by path.
disks_with_bitmap() {
  local i
  local -a having=()
  for ((i = 0; i < DISKS; i++)); do
    has_bitmap "$i" "$OPT_BITMAP" || continue
    if vm_is_live; then having+=("${D[$i.target]}"); else having+=("${D[$i.path]}"); fi
  done
  json_strings "${having[@]}"
}
