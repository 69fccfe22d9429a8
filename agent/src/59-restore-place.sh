# ---- where restored disks go: looked at, put in place, or taken back ----------------------------------
#
# A disk is written to TO.restore-JOB. A new one gets its name as a second one, and loses the first when all is done. In the place of a
# volume: that one gets the second name TO.before-JOB, the new one is renamed over it, and when all disks are there the old ones go.
# So the names alone tell how far it came, after any death: see disk_step. The job's note (file `restore` in its directory) names the
# disks, file `restored` how it ended: "swapped" (all are in place and only what is left over has to go), then "finished" or
# "rolled-back".

HELD=()       # pids that keep QEMU's lock on images for us
NOTE_MODE=''  # swap or new
NOTE_DISKS=() # targets that are files

# target COMMAND...: something short on the storage that the disks go to.
target() {
  run "$NAS_SECONDS" "$@" || { [[ $RUN_CODE != 124 ]] || die "The storage of the disks does not answer: $RUN_ERR" target-hung; return "$RUN_CODE"; }
}

# look_at_targets: R[i.kind] is new, swap or device.
look_at_targets() {
  local i to
  for ((i = 0; i < RESTORES; i++)); do
    to=${R[$i.to]}
    target test -d "${to%/*}/" || die "There is no directory ${to%/*}/" target-missing
    R[$i.kind]=new
    if target stat -c %F -- "$to"; then look_at_old "$i" "$RUN_OUT"
    else [[ $RUN_ERR == *'No such file'* ]] || die "Cannot look at $to: $RUN_ERR" target-missing; fi
    [[ ${R[$i.kind]} == device ]] || ! target stat -- "$to.restore-$OPT_JOB" || die "$to.restore-$OPT_JOB is there already" target-exists
  done
  # One after the other and all of them: what is ours to hold is held from here on.
  for ((i = 0; i < RESTORES; i++)); do [[ ${R[$i.kind]} != swap ]] || hold "${R[$i.to]}"; done
}

# look_at_old I WHAT: something is there.
look_at_old() {
  local i=$1 to=${R[$1.to]} what=$2
  if [[ $OPT_SWAP ]]; then
    [[ $what == 'regular '* ]] || die "$to is a $what: only files can be swapped; restore to it as a new disk" target-unsupported
    R[$i.kind]=swap
    look_for_snapshots "$i"
    return 0
  fi
  # Logical volumes are links to their devices.
  [[ $what != 'symbolic link' ]] || { target realpath -e -- "$to" && R[$i.real]=$RUN_OUT && target stat -c %F -- "$RUN_OUT" && what=$RUN_OUT || :; }
  [[ $what == 'block special file' ]] || die "$to is there already" target-exists
  [[ $OPT_OVERWRITE ]] || die "$to is a block device: --overwrite writes over what it holds" target-exists
  R[$i.kind]=device R[$i.real]=${R[$i.real]:-$to}
  look_at_device "$i"
}

# look_for_snapshots I: those in the old image would go with it. What cannot be read has none that anybody could go back to.
look_for_snapshots() {
  local i=$1 to=${R[$1.to]} count=0 n names=''
  local -A info
  [[ ${R[$i.format]} == qcow2 ]] || return 0
  target od -An -v -tx1 -N80 -- "$to" && ! keeps_data_elsewhere "${RUN_OUT//[[:space:]]/}" || return 0
  json_string "$to"
  target qemu-img info -U --output=json "json:{\"driver\":\"qcow2\",\"backing\":null,\"file\":{\"driver\":\"file\",\"filename\":$REPLY}}" && json_read info "$RUN_OUT" ||
    { warn "whether $to holds snapshots cannot be told: $RUN_ERR" && return 0; }
  json_get info 'snapshots#' && count=$REPLY
  for ((n = 0; n < count; n++)); do json_get info "snapshots.$n.name" && names+=" $REPLY"; done
  ((count == 0)) || die "$to holds snapshots, which would go with it:$names. Restore to new disks, or remove them first: virsh snapshot-delete $OPT_VM, or qemu-img snapshot -d" image-has-snapshots
}

# look_at_device I: nothing is mounted from it, made of it, or runs from it.
look_at_device() {
  local i=$1 line
  target lsblk -nrpo TYPE,MOUNTPOINT -- "${R[$i.real]}" || die "Cannot look at ${R[$i.to]}: $RUN_ERR" target-missing
  lines "$RUN_OUT"
  for line in "${LINES[@]:1}"; do [[ $line == 'part '?( ) || $line == part ]] || die "${R[$i.to]} is in use: $line" target-in-use; done
  [[ ${LINES[0]} != *' '?* ]] || die "${R[$i.to]} is in use: ${LINES[0]}" target-in-use
  target blockdev --getsize64 "${R[$i.real]}" || die "Cannot tell the size of ${R[$i.to]}: $RUN_ERR" target-missing
  R[$i.room]=$RUN_OUT
  is_free "${R[$i.real]}" host_device || die "${R[$i.to]} is in use: $RUN_ERR" target-in-use
}

# as_nobody_else IMAGE [DEVICE]: REPLY opens it for qemu-io without looking into it, if no other QEMU has it open, for reading neither,
# and for as long as none can.
as_nobody_else() {
  json_string "$1"
  REPLY="json:{\"driver\":\"blkdebug\",\"take-child-perms\":[\"write\"],\"unshare-child-perms\":[\"write\",\"consistent-read\"],\"image\":{\"driver\":\"${2:-file}\",\"filename\":$REPLY}}"
}

# is_free IMAGE [DEVICE]
is_free() {
  as_nobody_else "$@"
  run 30 qemu-io -c quit -- "$REPLY" || { RUN_ERR=${RUN_ERR##*\}: } && return 1; }
}

# hold IMAGE: until let_go, or until this script is gone, no machine can be started with it.
hold() {
  local n=${#HELD[@]} until image
  ((n)) || always_push let_go
  as_nobody_else "$1" && image=$REPLY
  : >"$WORK/held.$n"
  (
    set +eE
    trap - ERR EXIT TERM INT HUP PIPE
    exec 8>&- 9>&-
    # Ends with this script, however that ends.
    tail --pid="$$" -s 0.2 -f /dev/null | qemu-io -- "$image"
  ) >"$WORK/held.$n" 2>&1 </dev/null &
  HELD+=("$!")
  now_ms && until=$((REPLY + 10000))
  # Its prompt says that it has the image.
  until RUN_ERR=$(<"$WORK/held.$n") && [[ $RUN_ERR == *'qemu-io> '* ]]; do
    now_ms
    [[ $RUN_ERR != *"can't open"* ]] && ((REPLY < until)) || die "$1 is in use: ${RUN_ERR##*\}: }" target-in-use
    nap 0.02
  done
}

# let_go: and wait until they are gone: the caller may start the machine at once.
let_go() {
  local REPLY holder pid all='' until
  now_ms && until=$((REPLY + 3000))
  for holder in "${HELD[@]}"; do all+=" $(pids_below "$holder")"; done
  # Their shells end by themselves, without a word.
  for pid in $all; do [[ " ${HELD[*]} " == *" $pid "* ]] || kill -KILL "$pid" 2>/dev/null || :; done
  HELD=()
  for pid in $all; do
    while process_lives "$pid"; do
      now_ms
      ((REPLY < until)) || { left "process $pid, which holds an image" && break; }
      nap 0.02
    done
  done
}

# note_restore: before the first byte: what abort and sweep have to know.
note_restore() {
  local i mode=new note
  [[ ! $OPT_SWAP ]] || mode=swap
  NOTE_MODE=$mode NOTE_DISKS=()
  note="mode $mode"
  for ((i = 0; i < RESTORES; i++)); do
    [[ ${R[$i.kind]} == device ]] || { NOTE_DISKS+=("${R[$i.to]}") && note+=$'\n'"disk ${R[$i.to]}"; }
  done
  restore_note restore "$note" || job_unwritable
  undo_push roll_back
}

# restore_note FILE TEXT: on disk before it counts.
restore_note() { job_write "$1" "$2" && sync -- "$JOB_DIR/$1" "$JOB_DIR"; }

# add_note LINE: what else would have to be taken back.
add_note() { restore_note restore "$(<"$JOB_DIR/restore")"$'\n'"$1" || job_unwritable; }

roll_back() {
  local i disk word=rolled-back
  for disk in "${NOTE_DISKS[@]}"; do take_back "$disk" || { word='' && left "$disk: $RUN_ERR"; }; done
  for ((i = 0; i < RESTORES; i++)); do R[$i.swapped]=false; done
  [[ ! $word ]] || job_write restored "$word" || :
}

# swap_disks: every new disk gets the old one's owner and rights and is held; then all are swapped, or none.
swap_disks() {
  local i to
  timing_start swap
  for ((i = 0; i < RESTORES; i++)); do
    to=${R[$i.to]}
    [[ ${R[$i.kind]} != swap ]] || like_the_old "$to" "$to.restore-$OPT_JOB"
    hold "$to.restore-$OPT_JOB"
  done
  # Storage without locks does not keep a machine from being started.
  must_be_stopped
  for ((i = 0; i < RESTORES; i++)); do
    to=${R[$i.to]}
    if [[ ${R[$i.kind]} == swap ]]; then swap_disk "$to"; else place_disk "$to"; fi
    R[$i.swapped]=true
  done
  in_place
  timing_stop swap
  forget_checkpoints
}

# like_the_old OLD NEW: owner, group, mode with access list, SELinux label.
like_the_old() {
  local what=mode,ownership
  [[ ! -e /sys/fs/selinux/enforce ]] || what+=,context
  target cp --attributes-only --preserve="$what" -- "$1" "$2" || die "$2 does not take owner and mode of $1: $RUN_ERR" swap-failed
}

# swap_disk TO: at any moment there is one whole disk of that name.
swap_disk() {
  target ln -T -- "$1" "$1.before-$OPT_JOB" || die "$1 cannot be kept beside the new one: $RUN_ERR" target-unsupported
  target sync -- "${1%/*}/" || die "${1%/*} does not take changes: $RUN_ERR" sync-failed
  target mv -fT -- "$1.restore-$OPT_JOB" "$1" || die "$1 cannot be replaced: $RUN_ERR" swap-failed
  target sync -- "${1%/*}/" || die "${1%/*} does not take changes: $RUN_ERR" sync-failed
}

# place_disk TO: only if nobody has come first.
place_disk() {
  target ln -T -- "$1.restore-$OPT_JOB" "$1" || {
    [[ $RUN_ERR != *'File exists'* ]] || die "$1 is there already" target-exists
    die "$1 cannot be made: $RUN_ERR" target-unsupported
  }
  target sync -- "${1%/*}/" || die "${1%/*} does not take changes: $RUN_ERR" sync-failed
}

# place_disks: new disks, and what is made of them.
place_disks() {
  local disk
  timing_start swap
  # Nothing else may be at work on it when it gets the disk.
  [[ ! $OPT_ATTACH ]] || lock_receiver "$RECEIVER_SECONDS"
  for disk in "${NOTE_DISKS[@]}"; do place_disk "$disk"; done
  # From here on it takes moments, and libvirt cannot be told to forget half of a question.
  trap : TERM INT HUP PIPE
  [[ ! $OPT_NEW_NAME ]] || define_domain
  [[ ! $OPT_ATTACH ]] || attach_disk
  in_place
  timing_stop swap
}

# in_place: all is done: what is left over goes. Without the note nobody could tell later whether a second name has to go or to come back.
in_place() {
  trap : TERM INT HUP PIPE
  restore_note restored swapped || { rm -f -- "$JOB_DIR/restored" && die "Cannot write into $JOB_DIR: is the disk that it lies on full?" job-unwritable; }
  commit
  tidy_up
}

# tidy_up: after "swapped".
tidy_up() {
  local disk word=finished
  for disk in "${NOTE_DISKS[@]}"; do
    run "$NAS_SECONDS" rm -f -- "$disk.before-$OPT_JOB" "$disk.restore-$OPT_JOB" || { word='' && left "$disk.before-$OPT_JOB, which can go: $RUN_ERR"; }
  done
  [[ ! $word ]] || job_write restored "$word" || :
}

# forget_checkpoints: libvirt's records of bitmaps that went with the old images. Other tools' stay, and no longer hold.
forget_checkpoints() {
  local name others=''
  [[ $VM_STATE == 'shut off' ]] && look_at_checkpoints || return 0
  for name in "${CHECKPOINTS[@]}"; do
    if [[ ! $name =~ $BITMAP_PATTERN ]]; then others+=" $name"
    else virsh_q checkpoint-delete "$OPT_VM" "$name" --metadata || warn "cannot remove the checkpoint $name: $RUN_ERR"; fi
  done
  [[ ! $others ]] || warn "$OPT_VM has checkpoints of other tools, whose bitmaps went with the old disks:$others"
}

# there PATH: yes or no, in REPLY; false when its storage does not say.
there() {
  REPLY=no
  if run "$NAS_SECONDS" stat -- "$1"; then REPLY=yes; else [[ $RUN_ERR == *'No such file'* ]]; fi
}

# disk_step TO: REPLY is how far this disk came: begun (or not even that), kept (the old one has its second name), swapped, placed; false
# when it cannot be told.
disk_step() {
  local new old step=begun
  there "$1.restore-$OPT_JOB" && new=$REPLY && there "$1.before-$OPT_JOB" && old=$REPLY || return 1
  if [[ $old == yes ]]; then
    step=swapped
    ! run "$NAS_SECONDS" test "$1.before-$OPT_JOB" -ef "$1" || step=kept
  elif [[ $new == yes ]]; then
    ! run "$NAS_SECONDS" test "$1.restore-$OPT_JOB" -ef "$1" || step=placed
  fi
  REPLY=$step
}

# take_back TO: as it was; false, with the reason in RUN_ERR, when it cannot be.
take_back() {
  disk_step "$1" || return 1
  case $REPLY in
    swapped) is_idle "$1" && run "$NAS_SECONDS" mv -fT -- "$1.before-$OPT_JOB" "$1" && run "$NAS_SECONDS" sync -- "${1%/*}/" || return 1 ;;
    kept) run "$NAS_SECONDS" rm -f -- "$1.before-$OPT_JOB" || return 1 ;;
    placed) is_idle "$1" && run "$NAS_SECONDS" rm -f -- "$1" || return 1 ;;
  esac
  run "$NAS_SECONDS" rm -f -- "$1.restore-$OPT_JOB"
}

# is_idle IMAGE: held by ourselves, or in nobody's use. A holder of a job that was killed ends a moment later.
is_idle() {
  local until
  ((${#HELD[@]})) && return 0
  now_ms && until=$((REPLY + 2000))
  until is_free "$1"; do
    now_ms
    ((REPLY < until)) || { RUN_ERR="it is in use already: $RUN_ERR" && return 1; }
    nap 0.1
  done
}

# settle_restore: of a restore whose script is gone, under the machine's lock: SETTLED is rolled-back or finished; empty, and something
# left, when it could be neither. Everything here may be done twice.
settle_restore() {
  local word='' line all=yes begun=''
  SETTLED=''
  # Nothing had been begun.
  [[ -e $JOB_DIR/restore ]] || { SETTLED=rolled-back && return 0; }
  job_text restored && word=$REPLY
  [[ $word != @(finished|rolled-back) ]] || { SETTLED=$word && return 0; }
  read_restore_note
  if [[ $word != swapped && $NOTE_MODE == swap ]]; then
    for line in "${NOTE_DISKS[@]}"; do
      disk_step "$line" || { left "$line: $RUN_ERR" && return 0; }
      if [[ $REPLY == @(swapped|placed) ]]; then begun=yes; else all=''; fi
    done
    # All of them are the new ones: that is as good as told, and somebody may already have started the machine.
    if [[ $all ]]; then
      restore_note restored swapped || { left "$JOB_DIR cannot be written" && return 0; }
      word=swapped
    elif [[ $begun ]]; then
      { look_at_state || { left "disks of $OPT_VM, half of them swapped: libvirt does not answer: $RUN_ERR" && return 0; }; }
      ! vm_is_live || { left "disks of $OPT_VM, half of them swapped: it was started meanwhile; stop it, then this puts the old ones back: $SCRIPT_FILE abort --job $OPT_JOB" && return 0; }
    fi
  fi
  if [[ $word == swapped ]]; then
    tidy_up
    [[ $NOTE_MODE != swap ]] || ! look_at_state || forget_checkpoints
  else
    unmake
    roll_back
  fi
  ! job_text restored || [[ $REPLY != @(finished|rolled-back) ]] || SETTLED=$REPLY
}
SETTLED=''

# read_restore_note: NOTE_MODE, NOTE_DISKS, and what was made of new disks: NOTE_DOMAIN "<name> <uuid>", NOTE_ATTACHED.
read_restore_note() {
  local line
  NOTE_MODE='' NOTE_DISKS=() NOTE_DOMAIN='' NOTE_ATTACHED=''
  lines "$(<"$JOB_DIR/restore")"
  for line in "${LINES[@]}"; do
    case $line in
      'mode '*) NOTE_MODE=${line#* } ;;
      'disk '*) NOTE_DISKS+=("${line#* }") ;;
      'domain '*) NOTE_DOMAIN=${line#* } ;;
      'attach '*) NOTE_ATTACHED=${line#* } ;;
    esac
  done
}
NOTE_DOMAIN='' NOTE_ATTACHED=''

# restore_is_settled DIR: of a job; one without a restore is.
restore_is_settled() { [[ ! -e $1/restore || -e $1/restored && $(<"$1/restored") == @(finished|rolled-back) ]]; }
