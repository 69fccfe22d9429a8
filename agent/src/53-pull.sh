# ---- pull: the guest apart from the NAS ------------------------------------------------------------
#
# QEMU shows every disk as it was at the checkpoint over a socket of this host, and keeps what the guest overwrites meanwhile in
# scratch files on this host's own disk. Only our readers touch the NAS: a full, slow or stuck one stands in nobody's way.

SCRATCH=''     # the scratch files of this run
SOCKET=''      # where QEMU exports the disks
TRANSFER_REASON=''
READERS=()     # pids, by disk
readonly PULL_PIECE=$((512 * 1024))         # bytes of one read
readonly PULL_DEPTH=16                      # reads at once
readonly PULL_ROUND=$((256 * 1024 * 1024))  # bytes that one qemu-io copies: progress and limit are looked at in between

# choose_transfer: TRANSFER, and why when the caller leaves it to us. Under a limit it is a pull: libvirt takes no limit with a push job,
# only afterwards, and what QEMU copies before a write of the guest's heeds none.
choose_transfer() {
  TRANSFER=${OPT_TRANSFER:-push}
  if [[ $OPT_BANDWIDTH ]]; then
    [[ $OPT_TRANSFER != push ]] || die 'A push cannot be limited: ask for --transfer pull or auto' push-unlimited
    TRANSFER=pull
    [[ $OPT_TRANSFER == pull ]] || TRANSFER_REASON='only a pull keeps a limit'
    return 0
  fi
  [[ $TRANSFER == auto ]] || return 0
  if scratch_suffices; then TRANSFER=pull; else TRANSFER=push; fi
  TRANSFER_REASON=$REPLY
}

# scratch_suffices: for all that the disks hold: the guest may overwrite it before the readers are done. REPLY says why (not).
scratch_suffices() {
  local i wanted=0
  for ((i = 0; i < DISKS; i++)); do held_by "$i" && wanted=$((wanted + REPLY)); done
  look_at_scratch || { REPLY="no scratch: $RUN_ERR" && return 1; }
  REPLY="scratch has $SCRATCH_FREE bytes free; $wanted and $RESERVE_BYTES in reserve may be needed"
  ((SCRATCH_FREE >= wanted + RESERVE_BYTES)) || return 1
  REPLY="scratch has $SCRATCH_FREE bytes free, enough for $wanted and $RESERVE_BYTES in reserve"
}

# look_at_scratch: SCRATCH_FREE in bytes, as QEMU's user sees them.
look_at_scratch() {
  (umask 066 && mkdir -p -- "$SCRATCH_DIR") 2>/dev/null || { RUN_ERR="cannot make $SCRATCH_DIR" && return 1; }
  run 5 stat -f -c '%S %a' -- "$SCRATCH_DIR" || return 1
  SCRATCH_FREE=$((${RUN_OUT% *} * ${RUN_OUT#* }))
}
SCRATCH_FREE=''

# open_scratch: a folder for the scratch files, and one in which QEMU's user makes the socket.
open_scratch() {
  local user=0:0
  look_at_scratch || die "There is no scratch space: $RUN_ERR" scratch-missing
  ((SCRATCH_FREE >= RESERVE_BYTES)) || die "The scratch directory $SCRATCH_DIR has only $SCRATCH_FREE bytes free; $RESERVE_BYTES are kept in reserve" scratch-full
  ! owner_of_qemu || user=$REPLY
  # Named like the backup, so that whoever finds the files knows whose they are.
  SCRATCH=$SCRATCH_DIR/$OPT_PATH
  [[ ! -e $SCRATCH ]] || die "$SCRATCH is there already: another run has left it" scratch-missing
  (umask 066 && mkdir -p -- "${SCRATCH%/*}") && mkdir -m 0711 -- "$SCRATCH" || die "Cannot make $SCRATCH" scratch-missing
  owned "$SCRATCH"
  always_push remove_scratch
  # The path of a socket is short by nature.
  SOCKET=$(mktemp -d "${JOB_TMP:-/tmp}/csbackup.XXXXXX") && chown "$user" -- "$SOCKET" || die 'Cannot make a folder for the socket in /tmp' scratch-missing
  owned "$SOCKET"
  SOCKET+=/nbd
}

remove_scratch() {
  rm -rf --one-file-system -- "$SCRATCH" "${SOCKET%/nbd}" || left "scratch files in $SCRATCH"
  rmdir -- "${SCRATCH%/*}" 2>/dev/null || :
}

pull_xml() {
  local i path out
  out="<domainbackup mode='pull'><server transport='unix' socket='$SOCKET'/><disks>"
  for ((i = 0; i < DISKS; i++)); do
    xml_escape "${D[$i.image]}" && path=$REPLY
    out+="<disk name='${D[$i.target]}' backup='yes' type='file' backupmode='${D[$i.mode]/rescued/full}'"
    [[ ${D[$i.mode]} != incremental ]] || out+=" incremental='$OPT_BITMAP_PARENT' exportbitmap='dirty-${D[$i.target]}'"
    out+="><scratch file='$path'/><driver type='qcow2'/></disk>"
  done
  REPLY="$out</disks></domainbackup>"
}

# pull_disks: while guest, scratch and NAS are watched.
pull_disks() {
  local i
  now_ms && NAS_HEARD=$REPLY
  undo_push stop_readers
  JOB_TOTAL=0 JOB_PROCESSED=0
  for ((i = 0; i < DISKS; i++)); do
    if [[ ${D[$i.mode]} == incremental ]]; then dirty_extents "$i"; else D[$i.todo]=${D[$i.virtual]}; fi
    JOB_TOTAL=$((JOB_TOTAL + D[$i.todo]))
  done
  until start_readers && readers_done; do
    poll_guest || :
    # Only a full scratch stops a guest whose old data goes there.
    ! io_paused || die "The scratch directory $SCRATCH_DIR is full, and $OPT_VM was stopped by it" scratch-full
    if poll_job; then
      [[ $JOB_TYPE != gone ]] || { JOB_RESULT=failed && die "$OPT_VM went away during the backup" guest-gone; }
      [[ $JOB_TYPE != 0 ]] || die "The export of $OPT_VM ended before it was read" job-cancelled
    fi
    ! look_at_scratch || ((SCRATCH_FREE >= RESERVE_BYTES)) ||
      die "The scratch directory $SCRATCH_DIR has only $SCRATCH_FREE bytes left: the backup was stopped before the guest is hurt" scratch-full
    watch_nas
    look_at_readers
    progress "$JOB_PROCESSED" "$JOB_TOTAL"
    now_ms
    ((REPLY - TIMING_FROM[job] < TIME_LIMIT * 1000)) || die "The backup took longer than $TIME_LIMIT s" time-limit
    nap_since "${TIMING_FROM[job]}"
  done
  judge_readers
  for ((i = 0; i < DISKS; i++)); do [[ ${D[$i.mode]} != rescued ]] || D[$i.compared]=${D[$i.virtual]}; done
  # The data is complete: QEMU need not keep the checkpoint's state any longer.
  JOB_RESULT=completed
  end_job
  [[ ! $JOB_STUCK ]] || die "The export of $OPT_VM does not end" job-unknown
  BEGUN=''
  look_at_readers
  progress "$JOB_PROCESSED" "$JOB_TOTAL"
  now_ms && JOB_MS=$((REPLY - TIMING_FROM[job]))
  printf -v JOB_BLOCK 'Job type:         Completed   \nOperation:        Backup      \nTime elapsed:     %-12s ms\nFile processed:   %s B\nFile total:       %s B' "$JOB_MS" "$JOB_PROCESSED" "$JOB_TOTAL"
}

# start_readers: all at once; under a limit one after the other, each with the whole of it, so that it holds for all disks together. Once
# one has failed there is no next one. False while there is somebody to start.
start_readers() {
  while ((${#READERS[@]} < DISKS)); do
    if [[ $OPT_BANDWIDTH ]] && ((${#READERS[@]})); then
      readers_done || return 1
      ! reader_failed $((${#READERS[@]} - 1)) || return 0
    fi
    start_reader "${#READERS[@]}"
  done
}

# nbd_options I [MORE]: disk I's export, for --image-opts.
nbd_options() { REPLY="driver=nbd,server.type=unix,server.path=$SOCKET,export=${D[$1.target]}${2-}"; }

# dirty_extents I: $WORK/extents.I holds a line for each piece that has to be copied; D[I.todo] is the sum of their bytes.
dirty_extents() {
  local i=$1 line start length piece todo=0
  nbd_options "$i" ",x-dirty-bitmap=qemu:dirty-bitmap:dirty-${D[$i.target]}"
  run 300 qemu-img map --output=json --image-opts "$REPLY" || die_unless_gone "Cannot read the dirty map of ${D[$i.target]}" job-failed
  lines "$RUN_OUT"
  for line in "${LINES[@]}"; do
    # In this map "no data" says dirty.
    [[ $line == *'"start": '*'"length": '*'"data": false'* ]] || continue
    start=${line#*'"start": '} && start=${start%%,*}
    length=${line#*'"length": '} && length=${length%%,*}
    todo=$((todo + length))
    while ((length)); do
      piece=$((length < PULL_PIECE ? length : PULL_PIECE))
      printf '%s %s\n' "$start" "$piece"
      start=$((start + piece)) length=$((length - piece))
    done
  done >"$WORK/extents.$i"
  D[$i.todo]=$todo
}

# start_reader I: copies disk I in the background; its words are in $WORK/reader.I, its end in $WORK/reader.I.code.
start_reader() {
  local i=$1
  : >"$WORK/reader.$i"
  (
    set +eE
    trap - ERR EXIT TERM INT HUP PIPE
    exec 8>&- 9>&-
    [[ ! $VIRSH_IN ]] || exec {VIRSH_IN}>&- {VIRSH_SAYS}<&-
    case $TRANSFER.${D[$i.mode]} in
      offline.*) read_stopped "$i" ;;
      *.incremental) read_dirty "$i" ;;
      *.rescued) read_different "$i" ;;
      *) read_all "$i" ;;
    esac
    echo $? >"$WORK/reader.$i.code"
  ) </dev/null >"$WORK/reader.$i" 2>"$WORK/reader.$i.err" &
  READERS[i]=$!
}

read_all() {
  local i=$1
  qemu-img convert -p -f raw -O qcow2 ${OPT_BANDWIDTH:+-r "${OPT_BANDWIDTH}M"} -- \
    "nbd+unix:///${D[$i.target]}?socket=$SOCKET" "$DEST/${D[$i.file]}"
}

# read_different I: the rescue. The delta stands on the export at first; a safe rebase then compares the export with the parent's
# file, whose bitmap is lost, and stores what differs. Nothing is taken on trust: a parent that was altered is healed, too.
read_different() {
  local i=$1 file=$DEST/${D[$1.file]} held
  local -a limit=()
  json_string "$SOCKET"
  held="{\"driver\":\"nbd\",\"server\":{\"type\":\"unix\",\"path\":$REPLY},\"export\":\"${D[$i.target]}\"}"
  if [[ $OPT_BANDWIDTH ]]; then
    # qemu-img rebase has no limit of its own. It reads both sides alike, so a limit on the export holds for the NAS.
    limit=(--object "throttle-group,id=limit,x-bps-read=$((OPT_BANDWIDTH << 20))")
    held="{\"driver\":\"throttle\",\"throttle-group\":\"limit\",\"file\":$held}"
  fi
  qemu-img create -q -u -f qcow2 -b "json:{\"driver\":\"raw\",\"file\":$held}" -F raw -- "$file" "${D[$i.virtual]}" || return 1
  # What the guest discarded or zeroed takes no room.
  qemu-img rebase -p "${limit[@]}" -b "${D[$i.backing]}" -F qcow2 --image-opts "driver=qcow2,detect-zeroes=on,file.filename=$file"
}

# read_dirty I: the delta stands on the export at first, so that reading a piece with copy-on-read fills exactly that piece.
read_dirty() {
  local i=$1 file=$DEST/${D[$1.file]} round=$PULL_ROUND start length from copied=0 bytes=0 reads=0 commands=''
  qemu-img create -q -f qcow2 -b "nbd+unix:///${D[$i.target]}?socket=$SOCKET" -F raw -- "$file" "${D[$i.virtual]}" || return 1
  now_ms && from=$REPLY
  [[ ! $OPT_BANDWIDTH ]] || round=$((OPT_BANDWIDTH << 20))
  while read -r start length; do
    commands+="aio_read -q $start $length"$'\n' bytes=$((bytes + length)) reads=$((reads + 1))
    ((reads % PULL_DEPTH)) || commands+=$'aio_flush\n'
    ((bytes < round)) || read_round || return 1
  done <"$WORK/extents.$i"
  ((bytes == 0)) || read_round
}

# read_round: part of read_dirty. A read that fails says so on stdout, and neither ends qemu-io nor changes its exit code; one that goes
# well says nothing.
read_round() {
  local said
  said=$(qemu-io -C -f qcow2 "$file" <<<"${commands}aio_flush" 2>"$WORK/io.$i") && said=${said//'qemu-io> '/} && [[ ! $said ]] ||
    { cat "$WORK/io.$i" >&2 && printf '%s\n' "$said" | sort -u >&2 && return 1; }
  copied=$((copied + bytes)) bytes=0 commands=''
  echo "$copied"
  [[ ! $OPT_BANDWIDTH ]] || hold_back "$copied" "$from"
}

# hold_back DONE FROM: waits until DONE bytes since FROM are no more than the limit allows.
hold_back() {
  local due
  due=$(($2 + $1 * 1000 / (OPT_BANDWIDTH << 20)))
  now_ms
  ((REPLY >= due)) || sleep "$(((due - REPLY) / 1000)).$(printf %03d $(((due - REPLY) % 1000)))"
}

readers_done() {
  local i
  for i in "${!READERS[@]}"; do reader_done "$i" || return 1; done
}

reader_done() { [[ -s $WORK/reader.$1.code ]] || ! process_lives "${READERS[$1]}"; }

# reader_failed I: REPLY is how one that is done ended, RUN_ERR what it said.
reader_failed() {
  REPLY=143
  [[ ! -s $WORK/reader.$1.code ]] || read -r REPLY <"$WORK/reader.$1.code"
  RUN_ERR=$(<"$WORK/reader.$1.err")
  ((REPLY))
}

# look_at_readers: JOB_PROCESSED from what they say of themselves; the NAS need not be asked.
look_at_readers() {
  local i said
  JOB_PROCESSED=0
  for ((i = 0; i < DISKS; i++)); do
    [[ -e $WORK/reader.$i ]] || continue
    said=$(tail -c 64 -- "$WORK/reader.$i")
    said=${said%$'\r'} said=${said##*[$'\r\n']}
    if [[ ${D[$i.mode]} == incremental ]]; then
      [[ ! $said =~ ^[0-9]+$ ]] || JOB_PROCESSED=$((JOB_PROCESSED + said))
    elif [[ $said =~ ([0-9]+)\.[0-9]+/100% ]]; then
      JOB_PROCESSED=$((JOB_PROCESSED + D[$i.todo] * BASH_REMATCH[1] / 100))
    fi
  done
}

judge_readers() {
  local i code
  for ((i = 0; i < DISKS; i++)); do
    reader_failed "$i" || continue
    code=$REPLY JOB_RESULT=failed JOB_ERROR=$RUN_ERR
    ! poll_job || [[ $JOB_TYPE != gone ]] || die "$OPT_VM went away during the backup" guest-gone
    [[ $JOB_ERROR != *'No space left'* ]] || die "Copying ${D[$i.target]} failed: the NAS is full: $JOB_ERROR" target-full
    die "Copying ${D[$i.target]} failed (exit $code): ${JOB_ERROR:-without a word}" copy-failed
  done
  READERS=()
}

# stop_readers: one that is stuck in the NAS cannot be stopped; it is left behind and ends when the NAS answers.
stop_readers() {
  local REPLY i pid all='' until
  now_ms && until=$((REPLY + 3000))
  # The pid of one that has ended may be somebody else's by now.
  for i in "${!READERS[@]}"; do reader_done "$i" || all+=" $(pids_below "${READERS[i]}")"; done
  # What they run goes first: they collect it, and end by themselves.
  for pid in $all; do [[ " ${READERS[*]} " == *" $pid "* ]] || kill -KILL "$pid" 2>/dev/null || :; done
  until readers_done; do
    now_ms
    ((REPLY < until - 2000)) || break
    nap 0.02
  done
  for i in "${!READERS[@]}"; do reader_done "$i" || all+=" $(pids_below "${READERS[i]}")"; done
  for pid in $all; do kill -KILL "$pid" 2>/dev/null || :; done
  for pid in $all; do
    while process_lives "$pid"; do
      now_ms
      ((REPLY < until)) || { NAS_HUNG=yes && left "process $pid, which waits for the NAS" && break; }
      nap 0.02
    done
  done
}

# pids_below PID: it and its children.
pids_below() {
  local child
  local -a children=()
  printf '%s\n' "$1"
  { read -r -a children <"/proc/$1/task/$1/children" || :; } 2>/dev/null
  for child in "${children[@]}"; do pids_below "$child"; done
}
