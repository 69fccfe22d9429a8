# ---- restore: disks of a backup, brought back -------------------------------------------------------
#
# Everything is looked at before anything is written: targets, the chain of each file, its checksums, the room. Each disk is written
# under a name of this job beside its target and compared with its chain; only when all are true do they get their names. What was
# begun stands in the job's note, so that whoever comes after a kill can settle it (59-restore-place).

RESTORES=0
# R["$i.field"] of disk i: target file to format virtualSize, as asked; kind (new, swap, device), real and room (of a device); chain links
# hashed virtual required; allocated identical convert compare swapped.
declare -A R=()
DOMAIN_UUID='' DOMAIN_MADE='' ATTACHED=''
DAMAGED=()                 # what is not as it was, where it is taken all the same
SPOILT=()                  # files of the chain that are damaged or missing, as JSON
RESTORED=0 RESTORE_TOTAL=0 # bytes, for the progress

operation_restore() {
  need OPT_VM -v
  need OPT_PATH -p
  need OPT_DISKS --disks
  [[ $OPT_JOB ]] || bad_option 'A restore runs as a job: start --job ID --fence N -- restore ...'
  parse_restore_disks
  check_way
  work_open
  vm_lock "$OPT_VM"
  [[ ! $OPT_FENCE ]] || fence_check "$OPT_VM" "$OPT_FENCE"
  # Plain new disks come back without libvirt, too.
  if look_at_host; then [[ ! $OPT_SWAP$OPT_NEW_NAME$OPT_ATTACH ]] || check_versions
  else [[ ! $OPT_SWAP$OPT_NEW_NAME$OPT_ATTACH ]] || die "libvirt does not answer: $RUN_ERR" libvirt-unreachable; fi
  [[ ! $OPT_SWAP ]] || must_be_stopped
  [[ ! $OPT_ATTACH ]] || look_at_receiver
  look_at_targets
  mount_repository ro
  timing_start prepare
  stays_inside "$OPT_PATH"
  look_at_chains
  [[ ! $OPT_NEW_NAME ]] || read_definition
  check_room
  timing_stop prepare
  copy_disks
  if [[ $OPT_SWAP ]]; then swap_disks; else place_disks; fi
  finish_restore
}

# parse_restore_disks: --disks of a restore.
parse_restore_disks() {
  local i n key value
  local -A asked
  json_read asked "$OPT_DISKS" && json_get asked '#' || bad_option '--disks is not a JSON array'
  RESTORES=$REPLY
  # All of it first: a refusal tells what was asked for.
  for ((i = 0; i < RESTORES; i++)); do
    for key in target file to format virtualSize; do
      json_get asked "$i.$key" || :
      R[$i.$key]=$REPLY
    done
    R[$i.swapped]=false
  done
  ((RESTORES)) || bad_option '--disks names no disk'
  for ((i = 0; i < RESTORES; i++)); do
    json_get asked "$i@" || :
    lines "$REPLY"
    for key in "${LINES[@]}"; do
      [[ $key == @(|target|file|to|format|virtualSize) ]] || bad_option "--disks: unknown key $key"
    done
    value=${R[$i.target]} && [[ $value =~ ^[a-z][a-z0-9]{0,15}$ ]] || bad_option "--disks: not a valid target: $value"
    value=${R[$i.file]} && [[ $value =~ $PATH_PATTERN && $value != */* ]] || bad_option "--disks: not a valid file: $value"
    value=${R[$i.format]} && [[ $value == @(qcow2|raw) ]] || bad_option "--disks: not a valid format: $value"
    value=${R[$i.virtualSize]} && [[ $value =~ ^[0-9]{0,16}$ ]] || bad_option "--disks: not a valid size: $value"
    value=${R[$i.to]} && [[ $value =~ ^/[^[:cntrl:]]*[^/[:cntrl:]]$ && $value/ != */../* ]] || bad_option "--disks: not a valid path: $value"
    for ((n = 0; n < i; n++)); do
      [[ ${R[$n.target]} != "${R[$i.target]}" ]] || bad_option "--disks names ${R[$i.target]} twice"
      [[ ${R[$n.to]} != "$value" ]] || bad_option "--disks names $value twice"
    done
  done
}

# check_way: in place, as a new domain, attached to a machine, or plain new disks: one of them.
check_way() {
  [[ ! $OPT_NETWORKS || $OPT_NEW_NAME ]] || bad_option '--networks goes with --new-name'
  [[ ! $OPT_SWAP || ! $OPT_NEW_NAME$OPT_ATTACH$OPT_OVERWRITE ]] || bad_option '--swap goes with none of --new-name, --attach, --overwrite'
  [[ ! $OPT_NEW_NAME || ! $OPT_ATTACH ]] || bad_option '--new-name and --attach do not go together'
  [[ ! $OPT_ATTACH || $RESTORES == 1 ]] || bad_option '--attach takes one disk'
}

# must_be_stopped: a paused machine is not a stopped one, and one with a saved state goes on with disks that would no longer be its own.
must_be_stopped() {
  look_at_state || die "libvirt does not answer: $RUN_ERR" libvirt-unreachable
  ! vm_is_live || die "$OPT_VM is $VM_STATE: stop it, or restore to new disks" vm-running
  [[ $VM_STATE != 'shut off' ]] || ! virsh_q dominfo "$OPT_VM" || [[ ! $RUN_OUT =~ Managed\ save:\ +yes ]] ||
    die "$OPT_VM has a saved state, which would go on with other disks: virsh managedsave-remove $OPT_VM" vm-saved
}

# copy_disks: one after the other, so that the NAS and the limit serve one.
copy_disks() {
  local i
  note_restore
  TIMING[convert]=0 TIMING[compare]=0 TIMING[sync]=0
  for ((i = 0; i < RESTORES; i++)); do RESTORE_TOTAL=$((RESTORE_TOTAL + R[$i.virtual])); done
  progress 0 "$RESTORE_TOTAL"
  timing_start job
  for ((i = 0; i < RESTORES; i++)); do
    copy_disk "$i"
    compare_disk "$i"
    sync_disk "$i"
  done
}

copy_disk() {
  local i=$1 to=${R[$1.real]:-${R[$1.to]}.restore-$OPT_JOB} from
  local -a how=(-O "${R[$1.format]}")
  # A device is there; what it held is not taken for zeroes.
  [[ ${R[$i.kind]} != device || ${R[$i.format]} != raw ]] || how+=(-n)
  [[ ! $OPT_BANDWIDTH ]] || how+=(-r "${OPT_BANDWIDTH}M")
  [[ ! $OPT_SALVAGE ]] || how+=(--salvage)
  now_ms && from=$REPLY
  run_copy "$RESTORED" "${R[$i.virtual]}" "$RESTORE_TOTAL" qemu-img convert -p "${how[@]}" -- "json:${R[$i.chain]}" "$to" || {
    [[ $RUN_ERR != *'No space left'* ]] || die "Writing ${R[$i.to]} failed: its file system is full: $RUN_ERR" target-full
    [[ $RUN_ERR != *lock* ]] || die "Writing ${R[$i.to]} failed: somebody uses it: $RUN_ERR" target-in-use
    die "Restoring ${R[$i.target]} to ${R[$i.to]} failed: ${RUN_ERR:-without a word}" convert-failed
  }
  # What --salvage could not read it tells, and leaves as zeroes.
  R[$i.unread]=''
  [[ $RUN_ERR != *'while reading'* ]] || look_at_unread "$i" "$RUN_ERR"
  RESTORED=$((RESTORED + R[$i.virtual]))
  now_ms && R[$i.convert]=$((REPLY - from)) TIMING[convert]=$((TIMING[convert] + REPLY - from))
}

# look_at_unread I SAID: convert tells each sector that it could not read.
look_at_unread() {
  local line first=''
  R[$1.unread]=0
  lines "$2"
  for line in "${LINES[@]}"; do
    [[ $line =~ while\ reading\ offset\ ([0-9]+): ]] || continue
    first=${first:-${BASH_REMATCH[1]}} R[$1.unread]=$((R[$1.unread] + 512))
  done
  damaged "${R[$1.unread]} bytes of ${R[$1.file]} cannot be read and are zeroes now, the first at ${first:-an unknown offset}" convert-failed
}

# compare_disk I: the target holds what the chain holds, to the byte, and is of its size.
compare_disk() {
  local i=$1 to=${R[$1.real]:-${R[$1.to]}.restore-$OPT_JOB} from node driver=file
  local -A info
  now_ms && from=$REPLY
  [[ ${R[$i.kind]} != device ]] || driver=host_device
  json_string "$to"
  node="{\"driver\":\"$driver\",\"filename\":$REPLY}"
  if [[ ${R[$i.format]} == qcow2 ]]; then
    node="{\"driver\":\"qcow2\",\"backing\":null,\"file\":$node}"
    run "$TIME_LIMIT" qemu-img check -q "json:$node" || die "qemu-img check found errors in $to: $RUN_ERR $RUN_OUT" restore-differs
  elif [[ ${R[$i.kind]} == device ]]; then
    # What a larger device holds behind the disk is not the disk's.
    node="{\"driver\":\"raw\",\"size\":${R[$i.virtual]},\"file\":$node}"
  else
    node="{\"driver\":\"raw\",\"file\":$node}"
  fi
  run "$NAS_SECONDS" qemu-img info --output=json "json:$node" && json_read info "$RUN_OUT" && json_get info virtual-size ||
    die "Cannot read back $to: $RUN_ERR" restore-differs
  [[ $REPLY == "${R[$i.virtual]}" ]] || die "$to is of $REPLY bytes, ${R[$i.file]} of ${R[$i.virtual]}" restore-differs
  # Zeroes that stand for what cannot be read have nothing to be compared with.
  [[ ! ${R[$i.unread]} ]] || return 0
  run "$TIME_LIMIT" qemu-img compare -q "json:${R[$i.chain]}" "json:$node" || {
    ((RUN_CODE == 1)) || die "Cannot compare $to with ${R[$i.file]}: $RUN_ERR $RUN_OUT" compare-failed
    R[$i.identical]=false
    die "$to is not what ${R[$i.file]} and its chain hold" restore-differs
  }
  R[$i.identical]=true
  now_ms && R[$i.compare]=$((REPLY - from)) TIMING[compare]=$((TIMING[compare] + REPLY - from))
}

sync_disk() {
  local to=${R[$1.real]:-${R[$1.to]}.restore-$OPT_JOB} from
  now_ms && from=$REPLY
  run "$TIME_LIMIT" sync -- "$to" || die "$to was not taken by its storage: $RUN_ERR" sync-failed
  [[ ${R[$1.kind]} == device ]] || ! run "$NAS_SECONDS" stat -c '%b %B' -- "$to" || R[$1.allocated]=$((${RUN_OUT% *} * ${RUN_OUT#* }))
  now_ms && TIMING[sync]=$((TIMING[sync] + REPLY - from))
}

finish_restore() {
  unwind good
  timing_stop total
  print_restore
  DONE=yes
  exit 0
}

print_restore() {
  json_restore
  printf 'RESTORE=%s\n' "$REPLY"
}

# json_restore: REPLY is the whole of RESTORE, version 1.
json_restore() {
  local i host left timings damaged spoilt domain='' attached='' error='' swapped=false
  local -a disks=()
  json_host && host=$REPLY
  for ((i = 0; i < RESTORES; i++)); do
    json_object S target "${R[$i.target]}" S file "${R[$i.file]}" S to "${R[$i.to]}" s format "${R[$i.format]}" n virtualSize "${R[$i.virtual]-}" \
      n allocated "${R[$i.allocated]-}" n links "${R[$i.links]-}" n hashed "${R[$i.hashed]-}" n unread "${R[$i.unread]-}" b identical "${R[$i.identical]-}" \
      n convertMs "${R[$i.convert]-}" n compareMs "${R[$i.compare]-}" b swapped "${R[$i.swapped]}"
    disks+=("$REPLY") swapped=${R[$i.swapped]}
  done
  [[ ! $DOMAIN_MADE ]] || { json_object s name "$OPT_NEW_NAME" s uuid "$DOMAIN_UUID" && domain=$REPLY; }
  [[ ! $ATTACHED ]] || { json_object s vm "$OPT_ATTACH" s target "$ATTACHED" && attached=$REPLY; }
  json_strings "${LEFT[@]}" && left=$REPLY
  json_object b ok "$( ((${#LEFT[@]})) && echo false || echo true)" r left "$left" && left=$REPLY
  json_object n mount "${TIMING[mount]-}" n prepare "${TIMING[prepare]-}" n convert "${TIMING[convert]-}" n compare "${TIMING[compare]-}" \
    n sync "${TIMING[sync]-}" n swap "${TIMING[swap]-}" n unmount "${TIMING[unmount]-}" n total "${TIMING[total]-}" && timings=$REPLY
  [[ ! $ERROR_CODE ]] || { json_object s code "$ERROR_CODE" s message "$ERROR_TEXT" && error=$REPLY; }
  json_array "${disks[@]}" && disks=("$REPLY")
  json_strings "${DAMAGED[@]}" && damaged=$REPLY
  json_array "${SPOILT[@]}" && spoilt=$REPLY
  json_object n v 1 s script "$SCRIPT_VERSION" r host "$host" S vm "$OPT_VM" r disks "${disks[0]}" b swapped "$swapped" \
    r domain "$domain" r attached "$attached" r damaged "$damaged" r spoilt "$spoilt" r cleanup "$left" r timings "$timings" r error "$error"
}
