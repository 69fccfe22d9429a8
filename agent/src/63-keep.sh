# ---- take and keep: a copy of the books, from the service to the NAS ------------------------------------
#
# The bytes come first, piece by piece, into the directory of a job that has not begun: the stdin of start is for secrets. The job then
# finds them whole, by their checksum, or refuses.

readonly BOOKS_DIR=chainkeeper-books COPY_PATTERN='^books-[0-9]{4}(\.[0-9]{2}){5}\.jsonl\.gz$'
readonly TAKE_BYTES=$((8 * 1024 * 1024)) TAKE_SECONDS=60 # of one piece
TAKEN_FD=''

operation_take() {
  local size
  job_open
  [[ $OPT_FROM =~ ^[0-9]{1,12}$ ]] || bad_option "Not a valid offset: $OPT_FROM"
  work_open
  [[ ! -e $JOB_DIR/started ]] || die "Job $OPT_JOB has begun" job-busy
  # The lock dates the directory: where no job ever begins, it is removed with the old ones.
  { mkdir -p -- "$JOB_DIR" && : >>"$JOB_DIR/lock"; } || job_unwritable
  exec {TAKEN_FD}<&0
  run "$TAKE_SECONDS" take_piece || die "Cannot take the bytes for job $OPT_JOB: $RUN_ERR" take-failed
  size=$(stat -c %s -- "$JOB_DIR/input")
  json_object n v 1 s job "$OPT_JOB" n size "$size"
  answer_good "$REPLY"
}

take_piece() {
  dd of="$JOB_DIR/input" bs=64K count="$TAKE_BYTES" iflag=fullblock,count_bytes oflag=seek_bytes seek="$((10#$OPT_FROM))" conv=notrunc status=none <&"$TAKEN_FD"
}

operation_keep() {
  local name kept removed
  local -a copies=() gone=()
  need OPT_NAME --name
  need OPT_SHA256 --sha256
  need OPT_LAST --last
  [[ $JOB_DIR && -s $JOB_DIR/input ]] || die 'Nothing was handed over to be kept' input-missing
  work_open
  always_push rm -f -- "$JOB_DIR/input"
  run 600 sha256sum -- "$JOB_DIR/input" || die "Cannot read what was handed over: $RUN_ERR" input-differs
  [[ ${RUN_OUT#\\} == "$OPT_SHA256 "* ]] || die 'What was handed over is not what was to be kept' input-differs
  mount_repository
  stays_inside "$BOOKS_DIR"
  nas test -d "$MNT/$BOOKS_DIR" || nas mkdir -m 0700 -- "$MNT/$BOOKS_DIR" || die "Cannot create $BOOKS_DIR on the NAS: $RUN_ERR" nas-not-writable
  put_file "$JOB_DIR/input" "$BOOKS_DIR" "$OPT_NAME"
  nas ls -A -- "$MNT/$BOOKS_DIR" || die "Cannot look at $BOOKS_DIR on the NAS: $RUN_ERR" read-failed
  lines "$RUN_OUT"
  # Their names are in the order of time.
  for name in "${LINES[@]}"; do [[ ! $name =~ $COPY_PATTERN ]] || copies+=("$name"); done
  while ((${#copies[@]} > OPT_LAST)); do
    nas rm -f -- "$MNT/$BOOKS_DIR/${copies[0]}" && gone+=("${copies[0]}") || left "$BOOKS_DIR/${copies[0]} on the NAS ($RUN_ERR)"
    copies=("${copies[@]:1}")
  done
  json_strings "${copies[@]}" && kept=$REPLY
  json_strings "${gone[@]}" && removed=$REPLY
  json_object n v 1 s name "$OPT_NAME" r kept "$kept" r removed "$removed"
  answer_good "$REPLY"
}
