# ---- checksum: the SHA-256 of every file of a backup, and whether it still is that ----------------------
#
# Never inside a run: reading everything back takes as long as writing it, and nobody is to wait for that. It reads at the lowest
# priority, and no faster than -b says. What lies there already is never taken again: new checksums of spoilt files would call them good.

readonly READ_PIECE=$((16 * 1024 * 1024)) READ_SECONDS=60
declare -A SUM=() SUM_SIZE=()
SUM_NAMES=()

operation_checksum() {
  local name total=0 differs
  local -a differing=()
  open_backup
  run 10 renice -n 19 -p "$$" || warn "cannot lower the priority: $RUN_ERR"
  run 10 ionice -c 3 -p "$$" || warn "cannot lower the priority of reading: $RUN_ERR"
  if look_at_checksums; then
    [[ $OPT_VERIFY ]] || answer_checksums false
    for name in "${SUM_NAMES[@]}"; do total=$((total + SUM_SIZE[$name])); done
    for name in "${SUM_NAMES[@]}"; do is_as_it_was "$name" "$total" || differing+=("$name"); done
    json_strings "${differing[@]}" && differs=$REPLY
    answer_checksums false "$differs"
  fi
  [[ ! $OPT_VERIFY ]] || die "$OPT_PATH has no checksums to compare with" not-hashed
  look_at_files
  ((${#SUM_NAMES[@]})) || die "$OPT_PATH has no files" file-missing
  for name in "${SUM_NAMES[@]}"; do total=$((total + SUM_SIZE[$name])); done
  for name in "${SUM_NAMES[@]}"; do hash_file "$name" "${SUM_SIZE[$name]}" "$total" && SUM[$name]=$REPLY; done
  json_checksums
  json_object n v 1 s algorithm sha256 r files "$REPLY"
  printf '%s\n' "$REPLY" >"$WORK/$CHECKSUMS"
  put_file "$WORK/$CHECKSUMS" "$OPT_PATH"
  answer_checksums true
}

# look_at_files: SUM_NAMES and SUM_SIZE of what belongs to the backup: what describes it may be written anew.
look_at_files() {
  local name
  list_files
  for name in "${LINES[@]}"; do
    [[ $name =~ $FILE_PATTERN && $name != @("$MANIFEST"|"$CHECKSUMS") ]] || continue
    ! size_of_file "$name" || { SUM_NAMES+=("$name") && SUM_SIZE[$name]=$REPLY; }
  done
}

# list_files: LINES are the names in its directory.
list_files() {
  nas ls -A -- "$MNT/$OPT_PATH" || die "Cannot look at $OPT_PATH on the NAS: $RUN_ERR" read-failed
  lines "$RUN_OUT"
}

# look_at_checksums: SUM_NAMES, SUM_SIZE and SUM as they were written down; false when they were not.
look_at_checksums() {
  local -A known=()
  local name names
  nas test -e "$MNT/$OPT_PATH/$CHECKSUMS" || return 1
  size_of_file "$CHECKSUMS" && ((REPLY < 65536)) && nas cat -- "$MNT/$OPT_PATH/$CHECKSUMS" && json_read known "$RUN_OUT" &&
    json_get known algorithm && [[ $REPLY == sha256 ]] && json_get known files@ && names=$REPLY || checksums_damaged
  lines "$names"
  for name in "${LINES[@]}"; do
    { [[ $name =~ $FILE_PATTERN ]] && json_get known "files.$name.size" && [[ $REPLY =~ ^[0-9]{1,18}$ ]]; } || checksums_damaged
    SUM_NAMES+=("$name") SUM_SIZE[$name]=$REPLY
    { json_get known "files.$name.sha256" && [[ $REPLY =~ ^[0-9a-f]{64}$ ]]; } || checksums_damaged
    SUM[$name]=$REPLY
  done
  ((${#SUM_NAMES[@]})) || checksums_damaged
}

checksums_damaged() { die "$CHECKSUMS of $OPT_PATH cannot be read" checksums-damaged; }

# is_as_it_was NAME TOTAL: of its size and with its checksum.
is_as_it_was() {
  size_of_file "$1" && [[ $REPLY == "${SUM_SIZE[$1]}" ]] && hash_file "$1" "$REPLY" "$2" && [[ $REPLY == "${SUM[$1]}" ]]
}

# hash_file NAME SIZE TOTAL: REPLY is its SHA-256. Whoever reads writes down how far it has come: one that comes no further reads from
# a NAS that hangs.
hash_file() {
  local at=''
  echo 0 >"$WORK/reading"
  [[ $HASHED_BYTES ]] || { HASHED_BYTES=0 && always_push rm -f -- "$WORK/reading"; }
  run_start hash_slowly "$MNT/$OPT_PATH/$1" "$2" "$3"
  until run_wait "$READ_SECONDS"; do
    [[ $at != "$(<"$WORK/reading")" ]] || { run_kill && die "The NAS does not answer: $1 cannot be read any further" target-hung; }
    at=$(<"$WORK/reading")
  done
  ((RUN_CODE == 0)) && [[ $RUN_OUT =~ ^[0-9a-f]{64} ]] || die "Cannot read $1 of $OPT_PATH: $RUN_ERR" read-failed
  HASHED_BYTES=$((HASHED_BYTES + $2))
  REPLY=${RUN_OUT:0:64}
}
HASHED_BYTES=''

hash_slowly() { read_slowly "$@" | sha256sum; }

# read_slowly FILE SIZE TOTAL: to stdout, piece by piece, for as long as somebody wants it: who ends this operation takes the note away.
read_slowly() {
  local REPLY at=0 from due
  now_ms && from=$REPLY
  while ((at < $2)); do
    [[ -e $WORK/reading ]] && process_lives "$$" || return 1
    dd if="$1" bs=1M iflag=skip_bytes,count_bytes,fullblock,nofollow,nocache skip="$at" count="$READ_PIECE" status=none || return 1
    at=$((at + READ_PIECE < $2 ? at + READ_PIECE : $2))
    [[ ! -e $WORK/reading ]] || echo "$at" >"$WORK/reading"
    progress $((HASHED_BYTES + at)) "$3"
    [[ $OPT_BANDWIDTH ]] || continue
    now_ms && due=$((from + at * 1000 / (OPT_BANDWIDTH * 1048576) - REPLY))
    ((due <= 0)) || nap "$((due / 1000)).$(printf '%03d' $((due % 1000)))"
  done
}

# json_checksums: REPLY is {"NAME":{"size":n,"sha256":"…"},…}
json_checksums() {
  local name
  local -a files=()
  for name in "${SUM_NAMES[@]}"; do
    json_object n size "${SUM_SIZE[$name]}" s sha256 "${SUM[$name]}"
    files+=(r "$name" "$REPLY")
  done
  json_object "${files[@]}"
}

# answer_checksums NEW [DIFFERING]: the names of files that differ, where there was something to compare with.
answer_checksums() {
  local files there
  list_files
  json_strings "${LINES[@]}" && there=$REPLY
  json_checksums && files=$REPLY
  json_object n v 1 s path "$OPT_PATH" b new "$1" n bytes "${HASHED_BYTES:-0}" r differs "${2-}" r there "$there" r files "$files"
  answer_good "$REPLY"
}
