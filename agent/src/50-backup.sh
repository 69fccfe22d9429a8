# ---- backup ------------------------------------------------------------------------------------------

DEST=''        # directory of this backup, under the mount
readonly RUN_MARK=.chainkeeper-run   # whose directory it is, and that it is not finished
readonly DONE_MARK=.chainkeeper-done # the same once it is; goes when the backup is described, which only one in the books is
JOB_BLOCK='' JOB_RESULT='' JOB_ERROR='' JOB_PROCESSED='' JOB_TOTAL='' JOB_MS=''
SEEN_STATE=''   # the machine's state before anything was done
DONE_MODE=none DONE_BITMAP='' TRANSFER='' BACKUP_SIZE=''
JOB_STUCK=''   # set when libvirt's job does not end: nothing more can be done to the machine's bitmaps
NAS_HUNG=''    # set when the NAS holds on to something: touching it again would only hang, too

operation_backup() {
  need OPT_VM -v
  need OPT_PATH -p
  parse_asked_disks
  check_request
  work_open
  vm_lock "$OPT_VM"
  [[ ! $OPT_FENCE ]] || fence_check "$OPT_VM" "$OPT_FENCE"
  look_at_host || die "libvirt does not answer: $RUN_ERR" libvirt-unreachable
  check_versions
  look_at_state || die "libvirt does not answer: $RUN_ERR" libvirt-unreachable
  SEEN_STATE=$VM_STATE
  vm_is_live || [[ $OPT_DISK_PATHS$OPT_DISKS || $VM_STATE == 'shut off' ]] ||
    die "There is no virtual machine $OPT_VM, and no -d to tell its disks" vm-not-found
  mount_repository
  timing_start inspect
  if vm_is_live; then backup_live; else backup_stopped; fi
  finish_backup
}

# open_destination: the directory must be new: whatever lies there already is somebody else's.
open_destination() {
  local parent=${OPT_PATH%/*}
  DEST=$MNT/$OPT_PATH
  # Others on this host may pass through to a file they know, as QEMU's user must, but not look around.
  if [[ $parent != "$OPT_PATH" ]] && ! nas test -d "$MNT/$parent"; then
    nas mkdir -p -m 0711 -- "$MNT/$parent" || die "Cannot create $parent on the NAS: $RUN_ERR" nas-not-writable
    undo_push remove_empty "$MNT/$parent"
  fi
  stays_inside "$OPT_PATH"
  if ! nas mkdir -m 0711 -- "$DEST"; then
    ! nas test -e "$DEST" || die "$OPT_PATH is on the NAS already" target-exists
    die "Cannot create $OPT_PATH on the NAS: $RUN_ERR" nas-not-writable
  fi
  undo_push remove_destination
  mark_destination
}

# mark_destination: a run that ends without a word leaves its directory behind; the mark in it says whose it is, and that it is not
# finished.
mark_destination() {
  [[ $OPT_JOB ]] || return 0
  printf '%s\n' "$OPT_JOB" >"$WORK/$RUN_MARK"
  nas cp -- "$WORK/$RUN_MARK" "$DEST/" || die "Cannot write to the NAS: $RUN_ERR" nas-not-writable
}

remove_destination() {
  if [[ $NAS_HUNG ]] || ! run 30 rm -rf --one-file-system -- "$DEST"; then left "directory $OPT_PATH on the NAS"; fi
}

# remove_empty DIRECTORY: only when nobody has put anything there meanwhile.
remove_empty() { [[ $NAS_HUNG ]] || run 10 rmdir -- "$1" || :; }

# name_files: where each disk's backup goes, and where it leans on.
name_files() {
  local i
  backup_file_names
  for ((i = 0; i < DISKS; i++)); do
    D[$i.file]=${FILE_NAMES[i]}
    [[ ${D[$i.mode]} == full ]] || { relative_path "$OPT_PATH" "${D[$i.parent]}" && D[$i.backing]=$REPLY; }
  done
}

# check_space: what the run will write at most must fit with the reserve, or it does not begin.
check_space() {
  local i REPLY wanted=0
  look_at_space || die "Cannot ask for the space on the NAS: $RUN_ERR" target-hung
  for ((i = 0; i < DISKS; i++)); do
    if [[ ${D[$i.mode]} == incremental ]]; then REPLY=${D[$i.dirty]}; else held_by "$i"; fi
    wanted=$((wanted + REPLY))
  done
  ((SPACE_FREE >= wanted + RESERVE_BYTES)) ||
    die "The NAS has $SPACE_FREE bytes free; the backup may take $wanted and $RESERVE_BYTES are kept in reserve" target-full
}

# held_by I: REPLY is how many bytes a disk holds at most. Only a file tells; of any other disk nobody knows what was never written.
held_by() {
  REPLY=${D[$1.virtual]:-0}
  [[ ${D[$1.type]} != file || ! ${D[$1.actual]} ]] || REPLY=${D[$1.actual]}
}

# finish_backup: the data is good: keep it, leave the NAS, tell.
finish_backup() {
  # Whose it is stays to be seen: whoever is killed from here on has said nothing, and nobody books what is not heard of.
  [[ ! $OPT_JOB ]] || nas mv -fT -- "$DEST/$RUN_MARK" "$DEST/$DONE_MARK" || die "Cannot write to the NAS: $RUN_ERR" nas-not-writable
  run "$TIME_LIMIT" du -sb --exclude="$DONE_MARK" -- "$DEST" && BACKUP_SIZE=${RUN_OUT%%[!0-9]*}
  [[ $BACKUP_SIZE ]] || die "Cannot tell the size of the backup: $RUN_ERR" size-unknown
  look_at_space || :
  DONE_MODE=$PLAN_MODE
  commit
  retire_parent
  unwind good
  timing_stop total
  print_backup
  DONE=yes
  exit 0
}

# retire_parent: dropped into CloudStack (no lease, no facts about disks) nobody will call retire later. A parent's bitmap that
# is gone too early costs a full, never data.
retire_parent() {
  [[ ! $OPT_FENCE$OPT_DISKS && $OPT_MODE == incremental && $DONE_BITMAP ]] || return 0
  bitmap_drop "$OPT_BITMAP_PARENT" || warn "cannot remove the parent's bitmap $OPT_BITMAP_PARENT: $RUN_ERR"
}
