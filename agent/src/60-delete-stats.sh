# ---- delete and stats --------------------------------------------------------------------------------

REMOVED=''   # what went, in rm's words
declare -A OWN=() # the names of the backup's files, but for the manifest's
OTHERS=()  # what lies in the backup's directory and is none of its files, so that it stays

operation_delete() {
  need OPT_PATH -p
  # <instance>/<time>: never a machine's whole directory, nor everything.
  [[ $OPT_PATH == */* ]] || bad_option "Not the path of a backup: $OPT_PATH"
  work_open
  mount_repository
  stays_inside "$OPT_PATH"
  [[ ! $OPT_RUN ]] || only_of_run "$OPT_RUN"
  if [[ ! $OPT_RUN ]] && look_at_directory && [[ $'\n'$RUN_OUT$'\n' == *$'\n'"$MANIFEST"$'\n'* ]]; then
    remove_named
  else
    # Nobody has said which files are the backup's.
    remove -r "$MNT/$OPT_PATH"
  fi
  run "$TIME_LIMIT" sync -f -- "$MNT" || die "The NAS did not take the deletion: $RUN_ERR" sync-failed
  commit
  unwind good
  printf %s "$REMOVED"
  print_others
  DONE=yes
  exit 0
}

# look_at_directory: RUN_OUT is what lies in the backup's directory, a name a line; false when there is none.
# A name that could mislead a terminal or whoever reads line by line is shown with question marks: no file of ours has such a one.
look_at_directory() {
  nas env LC_ALL=C.UTF-8 ls -Aq -- "$MNT/$OPT_PATH" && return 0
  local why=$RUN_ERR
  ! nas test -e "$MNT/$OPT_PATH" || die "Cannot look at $OPT_PATH on the NAS: $why" read-failed
  return 1
}

# remove_named: the files that the manifest names, then the manifest with the directory: until the end a deletion that was cut short
# finds out again which files are the backup's. Where something else lies there, both stay.
remove_named() {
  local name
  local -a there files=()
  lines "$RUN_OUT" && there=("${LINES[@]}")
  read_manifest
  # A link, or a folder, under a name of ours was not put there by us.
  for name in "${there[@]}"; do [[ ! ${OWN[$name]-} ]] || ! size_of_file "$name" || files+=("$MNT/$OPT_PATH/$name"); done
  ((!${#files[@]})) || remove "${files[@]}"
  look_at_directory || return 0
  lines "$RUN_OUT"
  for name in "${LINES[@]}"; do [[ $name == "$MANIFEST" ]] || OTHERS+=("$name"); done
  ((!${#OTHERS[@]})) || return 0
  undo_push put_manifest_back
  remove -d "$MNT/$OPT_PATH/$MANIFEST" "$MNT/$OPT_PATH"
}

# put_manifest_back: somebody has put something there in the last moment, and the next deletion must know that it is none of ours.
put_manifest_back() {
  ! run 10 test -d "$MNT/$OPT_PATH" || run 10 cp --remove-destination -- "$WORK/$MANIFEST" "$MNT/$OPT_PATH/" ||
    left "$OPT_PATH on the NAS without its $MANIFEST"
}

# read_manifest: OWN. Ours is of some 400 bytes for each disk; a long line of anything else would keep bash busy for minutes.
read_manifest() {
  local -A said=()
  local i name count=0
  size_of_file "$MANIFEST" && ((REPLY < 131072)) && nas cat -- "$MNT/$OPT_PATH/$MANIFEST" && json_read said "$RUN_OUT" || manifest_unusable
  printf '%s\n' "$RUN_OUT" >"$WORK/$MANIFEST"
  json_get said 'disks#' && count=$REPLY
  ((count)) || manifest_unusable
  for ((i = 0; i < count; i++)); do
    json_get said "disks.$i.file" && name=$REPLY && [[ $name =~ $FILE_PATTERN && $name != "$MANIFEST" ]] || manifest_unusable
    OWN[$name]=yes
  done
  for name in "${DEFINITIONS[@]}" "$CHECKSUMS" "$RUN_MARK" "$DONE_MARK" ".$MANIFEST.new" ".$CHECKSUMS.new"; do OWN[$name]=yes; done
}

manifest_unusable() {
  die "$OPT_PATH has a $MANIFEST that does not say which files are the backup's, so nothing was removed. Look at what lies there, take away what must stay, rename $MANIFEST and delete it again: then the whole directory goes" manifest-unusable
}

# remove [-r|-d] PATH...
remove() {
  run "$TIME_LIMIT" rm -fv --one-file-system "$@" || die "Failed to delete $OPT_PATH: $RUN_ERR" delete-failed
  REMOVED+=${RUN_OUT:+$RUN_OUT$'\n'}
}

# print_others: only where there is something to tell: CloudStack knows no such line.
print_others() {
  ((${#OTHERS[@]})) || return 0
  json_strings "${OTHERS[@]}"
  printf 'LEFT=%s\n' "$REPLY"
  warn "left in $OPT_PATH, no files of the backup: $REPLY"
}

# only_of_run RUN: what that run has begun, by the mark in it, finished or not: the caller knows that it is not in the books, and one that
# was described bears no mark any more. A directory without anything belongs to nobody.
only_of_run() {
  local mark
  ! nas rmdir -- "$MNT/$OPT_PATH" || return 0
  nas test -e "$MNT/$OPT_PATH" || return 0
  for mark in "$RUN_MARK" "$DONE_MARK"; do ! nas cat -- "$MNT/$OPT_PATH/$mark" || [[ $RUN_OUT != "$1" ]] || return 0; done
  die "$OPT_PATH does not bear the mark of run $1: nothing was removed" not-of-run
}

operation_stats() {
  work_open
  mount_repository
  nas stat -f -c '%S %b %f' -- "$MNT" || die "Cannot ask for the space on the NAS: $RUN_ERR" target-hung
  local size blocks free
  read -r size blocks free <<<"$RUN_OUT"
  commit
  unwind good
  printf '%s\n%s %s\n' "$MNT" $((size * blocks / 1024)) $((size * (blocks - free) / 1024))
  DONE=yes
  exit 0
}
