# ---- checkpoints and bitmaps: only ours, named backup-<seconds>, are ever changed ------------------

CHECKPOINTS=() # libvirt's records for the machine, whoever made them

look_at_checkpoints() {
  virsh_q checkpoint-list "$OPT_VM" --name || return 1
  lines "$RUN_OUT"
  CHECKPOINTS=("${LINES[@]}")
}

has_checkpoint() {
  local name
  for name in "${CHECKPOINTS[@]}"; do [[ $name != "$1" ]] || return 0; done
  return 1
}

# checkpoint_xml NAME [redefine]: REPLY is the checkpoint over every disk; a redefined one names the bitmaps
# that are to be found, on exactly the disks that go on incrementally.
checkpoint_xml() {
  local i out="<domaincheckpoint><name>$1</name>"
  [[ ! ${2-} ]] || out+="<creationTime>$((10#${1#backup-}))</creationTime>"
  out+='<disks>'
  for ((i = 0; i < DISKS; i++)); do
    if [[ ! ${2-} ]]; then out+="<disk name='${D[$i.target]}' checkpoint='bitmap'/>"
    elif [[ ${D[$i.mode]} == incremental ]]; then out+="<disk name='${D[$i.target]}' checkpoint='bitmap' bitmap='$1'/>"
    else out+="<disk name='${D[$i.target]}' checkpoint='no'/>"; fi
  done
  REPLY="$out</disks></domaincheckpoint>"
}

# redefine_checkpoint NAME: registers the bitmaps that outlived libvirt's record of them. Never a new bitmap
# under an old name: an empty one would lose every write since the parent without a sign.
redefine_checkpoint() {
  checkpoint_xml "$1" redefine
  printf '%s\n' "$REPLY" >"$WORK/redefine.xml"
  virsh_q checkpoint-create "$OPT_VM" "$WORK/redefine.xml" --redefine --redefine-validate
}

# bitmap_drop NAME: removes this checkpoint and its bitmap from every disk, the machine running or stopped, and looks
# again. False, with the reason in RUN_ERR, when something is left. The disks must have been looked at before.
bitmap_drop() {
  [[ $1 =~ $BITMAP_PATTERN ]] || { RUN_ERR="$1 is not one of our bitmaps" && return 1; }
  look_at_state || return 1
  if vm_is_live; then bitmap_drop_live "$1"; else bitmap_drop_stopped "$1"; fi
}

bitmap_drop_live() {
  local i
  # The machine may have been started since its disks were looked at.
  [[ ${D[0.node]-} ]] || look_at_live_disks || return 1
  look_at_checkpoints || return 1
  if has_checkpoint "$1" && ! virsh_q checkpoint-delete "$OPT_VM" "$1"; then
    virsh_q checkpoint-delete "$OPT_VM" "$1" --metadata || return 1
  fi
  look_at_nodes || return 1
  for ((i = 0; i < DISKS; i++)); do
    ! has_bitmap "$i" "$1" || bitmap_remove_live "$i" "$1" || return 1
  done
  look_at_nodes || return 1
  for ((i = 0; i < DISKS; i++)); do
    ! has_bitmap "$i" "$1" || { RUN_ERR="bitmap $1 is still on ${D[$i.target]}" && return 1; }
  done
}

bitmap_remove_live() {
  qmp "{\"execute\":\"block-dirty-bitmap-remove\",\"arguments\":{\"node\":\"${D[$1.node]}\",\"name\":\"$2\"}}"
}

bitmap_drop_stopped() {
  local i
  for ((i = 0; i < DISKS; i++)); do
    [[ ${D[$i.path]} == /* && ${D[$i.format]} == qcow2 ]] || continue
    D[$i.inuse]=''
    look_at_image "$i"
    [[ ! ${D[$i.inuse]} ]] || { RUN_ERR=${D[$i.inuse]} && return 1; }
    ! has_bitmap "$i" "$1" || run "$VIRSH_SECONDS" qemu-img bitmap --remove -f qcow2 -- "${D[$i.path]}" "$1" || return 1
  done
}

# drop_inconsistent: clears away bitmaps of ours that a crash has spoiled: they help nobody and block later work on the image.
drop_inconsistent() {
  local i name dropped=''
  for ((i = 0; i < DISKS; i++)); do
    for name in ${D[$i.bitmaps]}; do
      [[ $name =~ $BITMAP_PATTERN && ${B[$i.$name.inconsistent]} == true ]] || continue
      if vm_is_live; then bitmap_remove_live "$i" "$name"
      else run "$VIRSH_SECONDS" qemu-img bitmap --remove -f qcow2 -- "${D[$i.path]}" "$name"; fi || { warn "cannot remove the inconsistent bitmap $name from ${D[$i.target]}: $RUN_ERR" && continue; }
      D[$i.bitmaps]=${D[$i.bitmaps]/"$name "/}
      dropped+=" $name"
    done
  done
  ! vm_is_live || drop_phantoms "$dropped"
}

# drop_phantoms NAMES: libvirt's records of bitmaps that no disk has any more.
drop_phantoms() {
  local i name found
  for name in $1; do
    has_checkpoint "$name" || continue
    found=''
    for ((i = 0; i < DISKS; i++)); do ! has_bitmap "$i" "$name" || found=yes; done
    [[ $found ]] || virsh_q checkpoint-delete "$OPT_VM" "$name" --metadata || warn "cannot remove the checkpoint $name: $RUN_ERR"
  done
}
