# ---- backup of a stopped machine -------------------------------------------------------------------

backup_stopped() {
  local i
  TRANSFER=offline
  look_at_stopped_disks || die_unless_gone "Cannot look at the disks of $OPT_VM"
  ((DISKS)) || die "$OPT_VM has no disks" no-disks
  for ((i = 0; i < DISKS; i++)); do
    [[ ! ${D[$i.unsafe]} ]] || die "${D[$i.inuse]}" image-unsafe
    [[ ${D[$i.inuse]} != *lock* ]] || die "Disk ${D[$i.path]} is in use: is $OPT_VM running somewhere? ${D[$i.inuse]}" image-in-use
    [[ ! ${D[$i.inuse]} ]] || die "Cannot read disk ${D[$i.path]}: ${D[$i.inuse]}" disk-unreadable
  done
  plan
  timing_stop inspect
  drop_inconsistent
  check_space
  open_destination
  name_files
  [[ $PLAN_MODE == legacy-full ]] || seed_bitmaps
  timing_start job
  convert_disks
  timing_stop job
  verify_files
  [[ $PLAN_MODE == legacy-full ]] || DONE_BITMAP=$OPT_BITMAP_NEW
}

# convert_disks: one after the other, while the NAS is watched.
convert_disks() {
  local i
  undo_push stop_readers
  now_ms && NAS_HEARD=$REPLY
  JOB_TOTAL=0
  for ((i = 0; i < DISKS; i++)); do D[$i.todo]=${D[$i.virtual]} JOB_TOTAL=$((JOB_TOTAL + D[$i.virtual])); done
  for ((i = 0; i < DISKS; i++)); do convert_disk "$i"; done
}

# seed_bitmaps: before the first byte is read. A bitmap that came after the copy would miss what a start in between wrote.
seed_bitmaps() {
  local i
  undo_push drop_new_bitmap
  for ((i = 0; i < DISKS; i++)); do
    run "$VIRSH_SECONDS" qemu-img bitmap --add -f qcow2 -- "${D[$i.path]}" "$OPT_BITMAP_NEW" ||
      die "Failed to pre-seed bitmap $OPT_BITMAP_NEW on ${D[$i.path]}: $RUN_ERR" seed-failed
    look_at_image "$i"
    bitmap_health "$i" "$OPT_BITMAP_NEW"
    [[ $REPLY == ok ]] || die "Failed to pre-seed bitmap $OPT_BITMAP_NEW on ${D[$i.path]}: $REPLY ${D[$i.inuse]}" seed-failed
  done
}

# convert_disk I: QEMU's image lock keeps the machine from starting meanwhile. Its reader is a child that can be left behind in a NAS
# that hangs, as in a pull.
convert_disk() {
  local i=$1 words
  start_reader "$i"
  until reader_done "$i"; do
    watch_nas
    look_at_readers
    progress "$JOB_PROCESSED" "$JOB_TOTAL"
    now_ms
    ((REPLY - TIMING_FROM[job] < TIME_LIMIT * 1000)) || die "Copying took longer than $TIME_LIMIT s" time-limit
    nap_since "${TIMING_FROM[job]}"
  done
  look_at_readers
  progress "$JOB_PROCESSED" "$JOB_TOTAL"
  reader_failed "$i" || return 0
  words="qemu-img convert failed for ${D[$i.path]}: $RUN_ERR"
  [[ $RUN_ERR != *lock* ]] || die "$words" image-in-use
  [[ $RUN_ERR != *'No space left'* ]] || die "$words" target-full
  die "$words" convert-failed
}

read_stopped() {
  qemu-img convert -p -f "${D[$1.format]}" -O qcow2 ${OPT_BANDWIDTH:+-r "${OPT_BANDWIDTH}M"} -- "${D[$1.path]}" "$DEST/${D[$1.file]}"
}

# run_copy BEFORE SIZE TOTAL COMMAND...: as run, a program that says its percents in brackets, of SIZE bytes after BEFORE of TOTAL.
run_copy() {
  local percent
  run_start "${@:4}"
  until run_wait 0.5; do
    IFS= read -r -d '' percent <"$WORK/out" || :
    percent=${percent##*'('} && percent=${percent%%[!0-9]*}
    progress $(($1 + $2 * ${percent:-0} / 100)) "$3"
    now_ms
    ((REPLY - TIMING_FROM[job] < TIME_LIMIT * 1000)) || die "Copying took longer than $TIME_LIMIT s" time-limit
  done
  ((RUN_CODE)) || progress $(($1 + $2)) "$3"
  return "$RUN_CODE"
}
