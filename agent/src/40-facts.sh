# ---- facts: what was seen and done, for the books --------------------------------------------------

QEMU_PID='' QEMU_STARTED=''
PROGRESS_FILE='' PROGRESS_AT=0 # a job directory's file, set by 70-jobs

declare -A TIMING=() TIMING_FROM=()
timing_start() { now_ms && TIMING_FROM[$1]=$REPLY; }
timing_stop() { now_ms && TIMING[$1]=$((REPLY - TIMING_FROM[$1])); }

# progress DONE TOTAL: in bytes, at most once a second, replaced as a whole so that nobody reads half a line.
progress() {
  [[ $PROGRESS_FILE ]] || return 0
  now_ms
  ((REPLY - PROGRESS_AT >= 1000 || ${1:-0} == ${2:-0})) || return 0
  PROGRESS_AT=$REPLY
  json_object n processed "$1" n total "$2"
  # Good data does not need it, and the host's disk may have room again before there is anything to say that counts.
  { printf '%s\n' "$REPLY" >"$PROGRESS_FILE.new" && mv -f -- "$PROGRESS_FILE.new" "$PROGRESS_FILE"; } 2>/dev/null || :
}

# utc_ms SECONDS.FRACTION: REPLY is RFC 3339, UTC, milliseconds.
utc_ms() {
  local fraction=${1#*.}000
  printf -v REPLY '%(%Y-%m-%dT%H:%M:%S)T' "${1%.*}"
  REPLY+=.${fraction:0:3}Z
}

# look_at_qemu_start: when the QEMU process of a live machine began: a later one means that the machine was restarted.
# Its pid file is written once at the start; process times shift with the clock.
look_at_qemu_start() {
  local file=/run/libvirt/qemu/$OPT_VM.pid stat
  QEMU_PID='' QEMU_STARTED=''
  [[ -r $file ]] && read -r QEMU_PID <"$file" || :
  [[ $QEMU_PID =~ ^[0-9]+$ && -d /proc/$QEMU_PID ]] || { QEMU_PID='' && return 0; }
  stat=$(stat -c %.3Y -- "$file") || return 0
  utc_ms "$stat" && QEMU_STARTED=$REPLY
}

# owner_of_qemu: REPLY is UID:GID of a live machine's QEMU.
owner_of_qemu() { [[ $QEMU_PID ]] && REPLY=$(stat -c %u:%g -- "/proc/$QEMU_PID" 2>/dev/null); }

json_host() {
  local boot='' name=''
  read -r boot </proc/sys/kernel/random/boot_id || :
  read -r name </proc/sys/kernel/hostname || :
  json_object s name "$name" s bootId "$boot" s libvirt "$HOST_LIBVIRT" s qemu "$HOST_QEMU"
}

json_space() {
  REPLY=null
  [[ ! $SPACE_TOTAL ]] || json_object n total "$SPACE_TOTAL" n free "$SPACE_FREE"
}

# json_disk I: the facts about one disk of a run.
json_disk() {
  local i=$1 method=''
  if [[ ${D[$i.file]} && $TRANSFER == offline ]]; then method=converted
  elif [[ ${D[$i.file]} ]]; then method=${D[$i.mode]}; fi
  json_object s target "${D[$i.target]}" s path "${D[$i.path]%%:*}" n inode "${D[$i.inode]}" s format "${D[$i.format]}" n virtualSize "${D[$i.virtual]}" \
    s method "$method" s file "${D[$i.file]}" s backing "${D[$i.backing]}" n fileSize "${D[$i.size]}" n allocated "${D[$i.allocated]}" \
    n clusterSize "${D[$i.filecluster]}" n ownData "${D[$i.data]}" n ownZero "${D[$i.zero]}" n dirtyBefore "${D[$i.dirty]}" n compared "${D[$i.compared]}" \
    r parentBitmap "${D[$i.parentbitmap]}" s check "${D[$i.check]:-skipped}" n writtenBytes "${D[$i.written]}"
}

# json_facts: REPLY is the whole of FACTS, version 1.
json_facts() {
  local i host vm asked did job='' guest='' space left timings error='' limit=''
  local -a disks=()
  json_host && host=$REPLY
  json_object s name "$OPT_VM" s state "${SEEN_STATE/absent/shut off}" s qemuStarted "$QEMU_STARTED" && vm=$REPLY
  json_object s mode "${OPT_MODE:-legacy-full}" s bitmapNew "$OPT_BITMAP_NEW" s bitmapParent "$OPT_BITMAP_PARENT" && asked=$REPLY
  # What a push would move was never limited.
  [[ $TRANSFER != @(pull|offline) ]] || limit=$OPT_BANDWIDTH
  json_object s mode "$DONE_MODE" s transfer "$TRANSFER" s transferReason "$TRANSFER_REASON" s reason "$PLAN_REASON" s recreateMethod "$RECREATE_METHOD" \
    s rescueRefused "$RESCUE_REFUSED" n bandwidth "$limit" s bitmapNew "$DONE_BITMAP" && did=$REPLY
  if [[ $JOB_RESULT ]]; then
    json_object s result "$JOB_RESULT" s error "$JOB_ERROR" n processed "$JOB_PROCESSED" n total "$JOB_TOTAL" n ms "$JOB_MS" && job=$REPLY
  fi
  for ((i = 0; i < DISKS; i++)); do json_disk "$i" && disks+=("$REPLY"); done
  if [[ $TRANSFER == @(push|pull) ]]; then
    json_object n frozenMs "$FROZEN_MS" n pausedMs "$PAUSED_MS" n slowestWriteMs "$SLOWEST_MS" b resumed "$RESUMED" b thawed "$THAWED" && guest=$REPLY
  fi
  json_space && space=$REPLY
  json_strings "${LEFT[@]}" && left=$REPLY
  json_object b ok "$( ((${#LEFT[@]})) && echo false || echo true)" r left "$left" && left=$REPLY
  json_object n mount "${TIMING[mount]-}" n inspect "${TIMING[inspect]-}" n job "${TIMING[job]-}" n rebase "${TIMING[rebase]-}" \
    n check "${TIMING[check]-}" n unmount "${TIMING[unmount]-}" n total "${TIMING[total]-}" && timings=$REPLY
  [[ ! $ERROR_CODE ]] || { json_object s code "$ERROR_CODE" s message "$ERROR_TEXT" && error=$REPLY; }
  json_array "${disks[@]}" && disks=("$REPLY")
  json_object n v 1 s script "$SCRIPT_VERSION" s dialect "$OPT_DIALECT" r host "$host" r vm "$vm" r asked "$asked" r 'done' "$did" \
    r job "$job" r disks "${disks[0]}" r guest "$guest" r space "$space" r cleanup "$left" r timings "$timings" r error "$error"
}
