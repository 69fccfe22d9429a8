# ---- inspect: read-only facts, one line of JSON ------------------------------------------------------

PROBLEMS=()
problem() { json_object s code "$1" s message "$2" && PROBLEMS+=("$REPLY"); }

operation_inspect() {
  local i checkpoints agent='' active=false reason
  local -a disks=()
  need OPT_VM -v
  parse_asked_disks
  work_open
  look_at_host || die "libvirt does not answer: $RUN_ERR" libvirt-unreachable
  look_at_versions
  look_at_state || die "libvirt does not answer: $RUN_ERR" libvirt-unreachable
  SEEN_STATE=$VM_STATE reason=$VM_REASON
  if vm_is_live; then
    look_at_live_disks || die_unless_gone "Cannot look at $OPT_VM"
    look_at_qemu_start
    look_at_checkpoints || die_unless_gone "Cannot list the checkpoints of $OPT_VM"
    ! job_active || active=true
    look_at_agent && agent=$REPLY
  elif look_at_stopped_disks -U; then
    [[ $SEEN_STATE != absent || $DISKS == 0 ]] || SEEN_STATE='shut off'
    look_for_users
  else
    problem disks-unknown "The disks of $OPT_VM cannot be told: $RUN_ERR"
  fi
  look_at_preflight
  for ((i = 0; i < DISKS; i++)); do inspected_disk "$i" && disks+=("$REPLY"); done
  commit
  unwind good
  json_strings "${CHECKPOINTS[@]}" && checkpoints=$REPLY
  print_inspect "$reason" "$active" "$agent" "$checkpoints" "${disks[@]}"
  DONE=yes
  exit 0
}

look_at_versions() {
  version_at_least "$HOST_LIBVIRT" "$MIN_LIBVIRT" || problem version-too-old "libvirt ${HOST_LIBVIRT:-unknown}: $MIN_LIBVIRT or newer is needed"
  version_at_least "$HOST_QEMU" "$MIN_QEMU" || problem version-too-old "QEMU ${HOST_QEMU:-unknown}: $MIN_QEMU or newer is needed"
}

print_inspect() {
  local host vm job space problems
  json_host && host=$REPLY
  json_object s name "$OPT_VM" s state "$SEEN_STATE" s reason "$1" s uuid "$VM_UUID" s qemuStarted "$QEMU_STARTED" && vm=$REPLY
  json_object b active "$2" s operation "$JOB_OPERATION" && job=$REPLY
  json_space && space=$REPLY
  json_array "${PROBLEMS[@]}" && problems=$REPLY
  json_array "${@:5}"
  json_object n v 1 s script "$SCRIPT_VERSION" r host "$host" r vm "$vm" r job "$job" r checkpoints "$4" b agent "$3" r space "$space" \
    r disks "$REPLY" r problems "$problems"
  printf '%s\n' "$REPLY"
}

inspected_disk() {
  local i=$1 name flags
  local -a bitmaps=()
  for name in ${D[$i.bitmaps]}; do
    # shellcheck disable=SC2086 # the flags are words
    json_strings ${B[$i.$name.flags]} && flags=$REPLY
    json_object s name "$name" b recording "${B[$i.$name.recording]}" b inconsistent "${B[$i.$name.inconsistent]}" b persistent "${B[$i.$name.persistent]}" \
      b busy "${B[$i.$name.busy]}" n granularity "${B[$i.$name.granularity]}" n dirtyBytes "${B[$i.$name.count]}" r flags "$flags"
    bitmaps+=("$REPLY")
  done
  json_array "${bitmaps[@]}"
  # No answer about the bitmaps is not the same as no bitmaps.
  [[ ${D[$i.virtual]} ]] || REPLY=null
  json_object s target "${D[$i.target]}" s device "${D[$i.device]}" s path "${D[$i.path]%%:*}" n inode "${D[$i.inode]}" s type "${D[$i.type]}" \
    s format "${D[$i.format]}" s compat "${D[$i.compat]}" n virtualSize "${D[$i.virtual]}" n clusterSize "${D[$i.cluster]}" n actualSize "${D[$i.actual]}" \
    s errorPolicy "${D[$i.policy]}" r bitmaps "$REPLY" n writtenBytes "${D[$i.written]}"
}

# look_at_agent: REPLY is true or false for a guest agent's channel that is connected or not; false when there is none.
look_at_agent() {
  local line state='' agent=''
  virsh_q dumpxml "$OPT_VM" || return 1
  lines "$RUN_OUT"
  for line in "${LINES[@]}"; do
    case $line in
      *'<channel '*) state='' ;;
      *'<target '*"name='org.qemu.guest_agent.0'"*) xml_attribute "$line" state || : && agent=${REPLY:-unknown} ;;
    esac
  done
  [[ $agent ]] || return 1
  [[ $agent == connected ]] && REPLY=true || REPLY=false
}

# look_for_users: a stopped disk that cannot be locked is in use by a machine on another host.
look_for_users() {
  local i
  for ((i = 0; i < DISKS; i++)); do
    if [[ ${D[$i.unsafe]} ]]; then
      problem image-unsafe "${D[$i.inuse]}"
    elif [[ ${D[$i.inuse]} ]]; then
      problem disk-unreadable "${D[$i.path]%%:*}: ${D[$i.inuse]}"
    elif [[ ${D[$i.type]} == file ]] && ! run "$NAS_SECONDS" qemu-img info -f "${D[$i.format]}" --output=json -- "${D[$i.path]}" && [[ $RUN_ERR == *lock* ]]; then
      problem image-in-use "${D[$i.path]} is in use: ${RUN_ERR//$'\n'/; }"
    fi
  done
}

# look_at_preflight: what would make a backup fail later, and what helps.
look_at_preflight() {
  local user
  if ! propagates; then
    problem mount-private "Mounts of this host do not reach machines that already run: 'mount --make-rshared /' before they start"
  fi
  [[ $OPT_TYPE && $OPT_STORAGE ]] || return 0
  mount_repository
  look_at_space || problem nas-silent "The NAS does not tell its space: $RUN_ERR"
  if [[ $QEMU_PID ]]; then
    mounted "$MNT" "/proc/$QEMU_PID/mountinfo" || problem mount-not-visible "QEMU of $OPT_VM does not see new mounts of this host: restart the machine after 'mount --make-rshared /'"
    owner_of_qemu && user=$REPLY || return 0
    run "$NAS_SECONDS" setpriv --reuid="${user%:*}" --regid="${user#*:}" --clear-groups test -x "$MNT" ||
      problem nas-not-reachable "QEMU's user (${user%:*}) may not enter the NAS: it needs the x bit, and no root_squash in its way"
  fi
  [[ ! $OPT_PATH ]] || nas test -d "$MNT/$OPT_PATH" || problem path-missing "$OPT_PATH is not on the NAS"
}

# propagates: the filesystem that holds /tmp is shared with other mount namespaces.
propagates() {
  local fields best=''
  while read -r -a fields; do
    [[ ${fields[4]} == @(/|/tmp) && ${#fields[4]} -ge ${#best} ]] || continue
    best=${fields[4]}
    [[ ${fields[*]:6} == shared:* ]] && REPLY=yes || REPLY=no
  done < <(cat /proc/self/mountinfo)
  [[ $REPLY == yes ]]
}
