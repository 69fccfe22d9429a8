# ---- check of a repository: what a backup will ask of it, tried on small files of our own --------------

CHECK_SECONDS=10 # a step that takes longer has no answer
CHECK_WRITES=16  # small writes whose time is taken, as long as they take less than that together
CHECK_HOLE=$((4 * 1024 * 1024))
CHECK_DIR=''

declare -A TRIED=() # what came of it; what was not tried is unknown

# check_repository: an answer that says no is a problem and not the end: the other steps tell more.
check_repository() {
  look_at_qemu_entry
  ! step 'tell its type' stat -f -c %T -- "$MNT" || TRIED[type]=$RUN_OUT
  # No other host has the name, and no other call here: the note of it may come first.
  CHECK_DIR=$MNT/.chainkeeper-check.$HOSTNAME.${WORK##*.}
  owned "$CHECK_DIR"
  if ! step 'make a directory' mkdir -m 700 -- "$CHECK_DIR"; then
    CHECK_DIR='' TRIED[directories]=false
    cannot_write
    return 0
  fi
  always_push remove_check_dir
  remove_old_checks
  run 10 dd if=/dev/urandom of="$WORK/pattern" bs=64k count=16 status=none || die "Cannot write to the state directory $STATE_DIR: $RUN_ERR" state-dir
  try_data
  try_latency
  try_names
  try_hole
  remove_check_dir
}

# step WHAT COMMAND...: one thing that is asked of the NAS. One that did not answer is asked nothing more: whoever touches it hangs.
step() {
  [[ ! $NAS_HUNG ]] || { RUN_CODE=124 && return 124; }
  run "$NAS_SECONDS" "${@:2}" || {
    [[ $RUN_CODE == 124 ]] || return "$RUN_CODE"
    NAS_HUNG=yes
    problem nas-hung "It gave no answer within $NAS_SECONDS s when it was to $1"
    return 124
  }
}

# cannot_write: the step before failed, for the reason in RUN_ERR.
cannot_write() {
  case $RUN_CODE:$RUN_ERR in
    124:*) ;;
    *'No space left'* | *'uota exceeded'*) [[ ${PROBLEMS[*]} == *'"nas-full"'* ]] || problem nas-full "It has no room: $RUN_ERR" ;;
    *'Read-only file system'*) problem nas-read-only "It is read-only: $RUN_ERR" ;;
    *) problem nas-not-writable "root of this host cannot write to it: $RUN_ERR" ;;
  esac
}

# try_data: 1 MiB is written, kept, and read back past this host's cache, as far as that can be.
try_data() {
  TRIED[data]=false
  step 'write 1 MiB' dd if="$WORK/pattern" of="$CHECK_DIR/data" bs=64k conv=fsync status=none || {
    cannot_write
    # What is left to try needs little room.
    step 'remove a file' rm -f -- "$CHECK_DIR/data" || :
    return 0
  }
  TRIED[direct]=true
  if ! step 'read 1 MiB back' dd if="$CHECK_DIR/data" of="$WORK/back" bs=64k iflag=direct status=none; then
    TRIED[direct]=false
    step 'forget its cache' dd if="$CHECK_DIR/data" iflag=nocache count=0 status=none || :
    step 'read 1 MiB back' dd if="$CHECK_DIR/data" of="$WORK/back" bs=64k status=none || { read_failed && return 0; }
  fi
  run 10 sha256sum -- "$WORK/pattern" "$WORK/back" || die "Cannot read in the state directory $STATE_DIR: $RUN_ERR" state-dir
  lines "$RUN_OUT"
  if [[ ${LINES[0]%% *} == "${LINES[1]%% *}" ]]; then
    TRIED[data]=true
  else
    problem nas-corrupts 'What was read back is not what had been written'
  fi
}
read_failed() { [[ $RUN_CODE == 124 ]] || problem nas-not-readable "What had been written cannot be read back: $RUN_ERR"; }

# try_latency: how long it takes until 4 KiB are kept (O_DSYNC). dd's own time: starting it is none of the NAS.
try_latency() {
  local i j spent=0 us
  local -a sorted=()
  for ((i = 0; i < CHECK_WRITES && spent < NAS_SECONDS * 1000000; i++)); do
    step 'keep 4 KiB' dd if="$WORK/pattern" of="$CHECK_DIR/small" bs=4k count=1 seek="$i" oflag=dsync conv=notrunc || { cannot_write && break; }
    [[ $RUN_ERR =~ ,\ ([0-9.]+(e-?[0-9]+)?)\ s, ]] || break
    printf -v us %.6f "${BASH_REMATCH[1]}"
    us=$((10#${us/./})) spent=$((spent + us))
    for ((j = ${#sorted[@]}; j > 0 && sorted[j - 1] > us; j--)); do sorted[j]=${sorted[j - 1]}; done
    sorted[j]=$us
  done
  ((${#sorted[@]})) || return 0
  TRIED[writes]=${#sorted[@]} TRIED[median]=${sorted[${#sorted[@]} / 2]} TRIED[worst]=${sorted[-1]}
}

# try_names: a file takes the place of another, what a directory holds is kept, directories come and go.
try_names() {
  TRIED[rename]=false TRIED[sync]=false TRIED[directories]=false
  if [[ ${TRIED[data]} == true ]]; then
    if step 'rename a file over another' mv -fT -- "$CHECK_DIR/data" "$CHECK_DIR/small" && step 'tell a size' stat -c %s -- "$CHECK_DIR/small" && [[ $RUN_OUT == 1048576 ]]; then
      TRIED[rename]=true
    else
      failed nas-no-rename 'A file cannot be renamed over another'
    fi
  fi
  if step 'keep a directory (fsync)' sync -- "$CHECK_DIR"; then TRIED[sync]=true; else failed nas-no-sync 'It does not keep a directory when asked to (fsync)'; fi
  if step 'make a directory' mkdir -- "$CHECK_DIR/sub" && step 'remove a directory' rmdir -- "$CHECK_DIR/sub"; then
    TRIED[directories]=true
  else
    failed nas-no-directories 'A directory cannot be made and removed'
  fi
}
failed() { [[ $RUN_CODE == 124 ]] || problem "$1" "$2: $RUN_ERR"; }

# try_hole: what is not written takes no room; then how long a file may get, which costs nothing where holes cost nothing.
try_hole() {
  local blocks size
  step 'make a file with a hole' dd if="$WORK/pattern" of="$CHECK_DIR/hole" bs=4k count=1 seek=$((CHECK_HOLE / 4096)) conv=fsync status=none || { cannot_write && return 0; }
  step 'tell the room that a file takes' stat -c '%b %B' -- "$CHECK_DIR/hole" || return 0
  read -r blocks size <<<"$RUN_OUT"
  TRIED[sparse]=true
  ((blocks * size < CHECK_HOLE / 2)) || { TRIED[sparse]=false && return 0; }
  # To remove a long file Ceph looks for every object that it could have.
  [[ ${TRIED[type]-} != ceph ]] || return 0
  for size in 8T 2T 256G 16G 4G 2G; do
    if step 'make a long file' truncate -s "$size" -- "$CHECK_DIR/hole"; then
      step 'tell a size' stat -c %s -- "$CHECK_DIR/hole" && TRIED[largest]=$RUN_OUT
      return 0
    fi
    [[ $RUN_CODE != 124 ]] || return 0
  done
}

# remove_check_dir: what was written is gone afterwards, on the way out, too.
remove_check_dir() {
  [[ $CHECK_DIR ]] || return 0
  local dir=$CHECK_DIR
  CHECK_DIR=''
  TRIED[gone]=false
  if step 'remove files' rm -rf --one-file-system -- "$dir" && ! step 'look for them' test -e "$dir" && [[ ! $NAS_HUNG ]]; then
    TRIED[gone]=true
  else
    left "directory ${dir##*/} on the NAS"
  fi
}

# remove_old_checks: what a check left there, on whatever host, is no longer at work after an hour, by the clock of the NAS itself.
remove_old_checks() {
  step 'tell a time' stat -c %Y -- "$CHECK_DIR" || return 0
  step 'remove files' find "$MNT" -maxdepth 1 -name '.chainkeeper-check.*' -type d ! -newermt "@$((RUN_OUT - 3600))" -exec rm -rf --one-file-system -- {} + ||
    [[ $RUN_CODE == 124 ]] || left "what an earlier check wrote to the NAS: $RUN_ERR"
}

# look_at_qemu_entry: whether QEMU's user, who writes a push, may enter.
look_at_qemu_entry() {
  local user
  qemu_user || { problem qemu-user-unknown "The user that QEMU runs as is not known here, so whether it may enter the NAS is not known" && return 0; }
  user=$REPLY
  step "let QEMU's user in" setpriv --reuid="$user" --clear-groups --regid="$(id -g -- "$user")" test -x "$MNT" || [[ $RUN_CODE == 124 ]] ||
    problem nas-not-reachable "QEMU's user ($user) may not enter the NAS: it needs the x bit, and no root_squash in its way"
}

# json_tried: REPLY is what was tried of the repository; null without one.
json_tried() {
  REPLY=null
  [[ ! $MNT ]] || json_object s type "${TRIED[type]-}" b data "${TRIED[data]-}" b direct "${TRIED[direct]-}" b rename "${TRIED[rename]-}" b sync "${TRIED[sync]-}" \
    b directories "${TRIED[directories]-}" b sparse "${TRIED[sparse]-}" n largestFile "${TRIED[largest]-}" n writes "${TRIED[writes]-}" \
    n medianUs "${TRIED[median]-}" n worstUs "${TRIED[worst]-}" b gone "${TRIED[gone]-}"
}
