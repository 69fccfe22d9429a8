# ---- full or incremental: what the host itself finds decides ---------------------------------------
#
# The caller asks; an incremental is taken only over bitmaps and parent files that are healthy on every disk, else an
# honest full of all disks with its reason, or, when asked, a rescue of the disks whose bitmap is lost. PLAN_MODE and PLAN_REASON
# are the answer; D[i.mode] (full, incremental, rescued) tells it for each disk.

PLAN_MODE='' PLAN_REASON='' RECREATE_METHOD=''
FILE_NAMES=()
RESCUE_REFUSED='' # why there was no rescue although it was asked for

check_request() {
  local mode=${OPT_MODE:-legacy-full}
  case $mode in
    legacy-full) ;;
    full) [[ $OPT_BITMAP_NEW ]] || die 'full mode requires --bitmap-new' bad-option ;;
    incremental)
      [[ $OPT_BITMAP_NEW && $OPT_BITMAP_PARENT && $OPT_PARENT_PATHS$OPT_PARENT_PATH$OPT_DISKS ]] ||
        die 'incremental mode requires --bitmap-parent, --bitmap-new, and --parent-path or --parent-paths' bad-option
      [[ $OPT_BITMAP_NEW != "$OPT_BITMAP_PARENT" ]] || die 'The new bitmap must not have the name of its parent' bad-option
      ;;
    *) die "Unknown mode: $OPT_MODE" bad-option ;;
  esac
  PLAN_MODE=$mode
}

# plan_full REASON: a full of all disks instead of what was asked.
plan_full() {
  local i
  PLAN_MODE=full PLAN_REASON=$1 RECREATE_METHOD=''
  for ((i = 0; i < DISKS; i++)); do D[$i.mode]=full D[$i.parent]='' D[$i.backing]=''; done
}

# plan: the decision, from what was looked at before.
plan() {
  local i
  match_asked_disks
  storage_verdict
  if [[ $PLAN_MODE == legacy-full || $REPLY ]]; then
    plan_full ''
    [[ ${OPT_MODE:-legacy-full} == legacy-full ]] || PLAN_REASON=$REPLY
    PLAN_MODE=legacy-full
  elif [[ $PLAN_MODE == full ]]; then
    plan_full ''
  elif ! vm_is_live; then
    plan_full vm-stopped
  else
    plan_incremental
  fi
  for ((i = 0; i < DISKS; i++)); do
    [[ $PLAN_MODE == legacy-full ]] || ! has_bitmap "$i" "$OPT_BITMAP_NEW" || die "Disk ${D[$i.target]} has a bitmap $OPT_BITMAP_NEW already" bitmap-exists
  done
}

plan_incremental() {
  local i lost='' parents=' '
  [[ $OPT_DISKS ]] || assign_parents || { plan_full "$REPLY" && return 0; }
  for ((i = 0; i < DISKS; i++)); do
    [[ ${D[$i.mode]} ]] || D[$i.mode]=incremental
    [[ ${D[$i.mode]} != full ]] || continue
    bitmap_health "$i" "$OPT_BITMAP_PARENT"
    # The caller may know what cannot be seen here: that the disk or its bitmap is another one.
    if [[ $REPLY == ok ]]; then [[ ${D[$i.mode]} == rescued ]] && REPLY=bitmap-unconfirmed || continue; fi
    D[$i.mode]=rescued lost=${lost:-$REPLY}
    rescue_is_asked || { plan_full "$lost" && return 0; }
  done
  for ((i = 0; i < DISKS; i++)); do
    [[ ${D[$i.mode]} != full ]] || continue
    parent_verdict "$i"
    # Two disks cannot lean on one file: one of them is another's.
    [[ $parents != *" ${D[$i.parent]} "* ]] || REPLY=disk-set-changed
    parents+="${D[$i.parent]} "
    [[ $REPLY == ok ]] || { [[ ! $lost ]] || RESCUE_REFUSED="${D[$i.target]}: $REPLY"; plan_full "${lost:-$REPLY}" && return 0; }
  done
  has_mode incremental || has_mode rescued || bad_option '--disks asks for no incremental disk: that is a full'
  PLAN_REASON=regular
  [[ ! $lost ]] || rescue "$lost" || return 0
  has_mode incremental || return 0
  has_checkpoint "$OPT_BITMAP_PARENT" && return 0
  if redefine_checkpoint "$OPT_BITMAP_PARENT"; then
    [[ $lost ]] || PLAN_REASON=redefined RECREATE_METHOD=redefined
  else
    warn "libvirt does not take $OPT_BITMAP_PARENT as it is: $RUN_ERR"
    plan_without_bitmaps
  fi
}

has_mode() {
  local i
  for ((i = 0; i < DISKS; i++)); do [[ ${D[$i.mode]} != "$1" ]] || return 0; done
  return 1
}

# plan_without_bitmaps: libvirt refuses bitmaps that looked healthy.
plan_without_bitmaps() {
  local i
  for ((i = 0; i < DISKS; i++)); do D[$i.mode]=${D[$i.mode]/incremental/rescued}; done
  rescue bitmap-unconfirmed || :
}

rescue_is_asked() { [[ $OPT_ON_LOST_BITMAP == rescue ]]; }

# rescue REASON: the disks whose mode is rescued are compared with their chain, which needs the export of a pull. Where that
# cannot be, a full for that REASON, and false. The parents' files have been looked at before.
rescue() {
  if ! rescue_is_asked; then :
  elif [[ $TRANSFER == pull ]] || scratch_suffices; then
    [[ $TRANSFER == pull ]] || TRANSFER=pull TRANSFER_REASON="a rescue compares with an export: $REPLY"
    PLAN_REASON=rescued RECREATE_METHOD=rescued
    return 0
  else
    RESCUE_REFUSED=$REPLY
  fi
  plan_full "$1"
  return 1
}

# assign_parents: CloudStack names parent files by position (--parent-paths), or only the first disk's (--parent-path):
# the others are looked for beside it under their volume's name. False, with the reason in REPLY, when they do not fit.
assign_parents() {
  local i
  if [[ $OPT_PARENT_PATHS ]]; then
    split_list "$OPT_PARENT_PATHS"
    ((${#LIST[@]} == DISKS)) || { REPLY=disk-set-changed && return 1; }
    for ((i = 0; i < DISKS; i++)); do D[$i.parent]=${LIST[i]}; done
  else
    backup_file_names
    D[0.parent]=$OPT_PARENT_PATH
    for ((i = 1; i < DISKS; i++)); do D[$i.parent]=${OPT_PARENT_PATH%/*}/${FILE_NAMES[i]}; done
  fi
}

# parent_verdict I: REPLY is ok when the parent's file and everything under it is there and fits the disk.
parent_verdict() {
  local i=$1
  local -A chain
  if ! nas qemu-img info -U --backing-chain --output=json "$MNT/${D[$1.parent]}"; then
    warn "Parent backup file does not exist on NAS: ${D[$1.parent]}: $RUN_ERR"
    REPLY=parent-file-missing && return 0
  fi
  json_read chain "$RUN_OUT" || { REPLY=parent-file-missing && return 0; }
  json_get chain 0.format
  [[ $REPLY == qcow2 ]] || { REPLY=parent-file-missing && return 0; }
  json_get chain 0.virtual-size
  # A disk that is smaller than its parent was shrunk; its old tail would come back when it grows again.
  if ((REPLY > D[$i.virtual])); then REPLY=disk-shrunk; else REPLY=ok; fi
}

# backup_file_names: FILE_NAMES has the name of each disk's file; root is the first disk, as in CloudStack's layout.
backup_file_names() {
  local i name names=' '
  FILE_NAMES=()
  for ((i = 0; i < DISKS; i++)); do
    volume_name "${D[$i.path]}"
    name=${REPLY//[!A-Za-z0-9_.+@-]/_}
    if ((i == 0)); then name=root.$name; else name=datadisk.$name; fi
    # Volumes of different pools may have the same name.
    [[ $names != *" $name "* ]] || name+=.${D[$i.target]}
    names+="$name "
    FILE_NAMES+=("$name.qcow2")
  done
}

# relative_path FROM TO: REPLY leads from directory FROM to file TO, both relative to the mount.
relative_path() {
  local from=$1/ to=$2
  while [[ $to == */* && ${from%%/*} == "${to%%/*}" ]]; do from=${from#*/} to=${to#*/}; done
  while [[ $from ]]; do from=${from#*/} to=../$to; done
  REPLY=$to
}
