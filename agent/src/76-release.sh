# ---- release: take all our bitmaps off a machine ---------------------------------------------------
#
# Before an internal snapshot is reverted, which libvirt refuses while bitmaps are there, or when a machine leaves. The next backup
# is a full. With --dry-run it only tells what is there. Nothing there is success, too.

operation_release() {
  need OPT_VM -v
  [[ $OPT_DRY_RUN ]] || need OPT_FENCE --fence
  work_open
  vm_lock "$OPT_VM"
  [[ $OPT_DRY_RUN ]] || fence_check "$OPT_VM" "$OPT_FENCE"
  retire_look
  local name ours
  local -a released=()
  our_bitmaps && ours=$REPLY
  for name in $ours; do released_bitmap "$name" && released+=("$REPLY"); done
  if [[ ! $OPT_DRY_RUN ]]; then
    for name in $ours; do bitmap_drop "$name" || die "Cannot remove $name from $OPT_VM: $RUN_ERR" release-failed; done
    # No answer of libvirt or QEMU counts, only what is there afterwards.
    retire_look
    our_bitmaps
    [[ ! $REPLY ]] || die "Still on $OPT_VM after they were removed: $REPLY" release-failed
  fi
  json_array "${released[@]}"
  json_object n v 1 s vm "$OPT_VM" s state "${VM_STATE/absent/shut off}" b dryRun "${OPT_DRY_RUN:-false}" r bitmaps "$REPLY"
  unwind good
  printf '%s\n' "$REPLY"
  DONE=yes
  exit 0
}

# our_bitmaps: REPLY is the names of all checkpoints and bitmaps of ours, each once.
our_bitmaps() {
  local i name all="${CHECKPOINTS[*]} "
  for ((i = 0; i < DISKS; i++)); do all+=${D[$i.bitmaps]}; done
  REPLY=
  for name in $all; do [[ ! $name =~ $BITMAP_PATTERN || " $REPLY" == *" $name "* ]] || REPLY+="$name "; done
}

# released_bitmap NAME: REPLY is {"name","disks","checkpoint"}.
released_bitmap() {
  local recorded=false
  OPT_BITMAP=$1
  ! has_checkpoint "$1" || recorded=true
  disks_with_bitmap
  json_object s name "$1" r disks "$REPLY" b checkpoint "$recorded"
}
