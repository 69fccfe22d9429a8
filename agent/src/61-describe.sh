# ---- describe: a backup says of itself what it is ------------------------------------------------------
#
# The books' words for it lie beside its files, so that a bare NAS explains itself. Written last, and only of what is there and
# finished: where there is no manifest, nobody has looked.

readonly MANIFEST=manifest.json CHECKSUMS=checksums.json DEFINITION=domain-config.xml
readonly DEFINITIONS=("$DEFINITION" dominfo.xml domiflist.xml domblklist.xml) # what 51-backup-live writes of the machine, as stock scripts do
readonly FILE_PATTERN='^[A-Za-z0-9_][A-Za-z0-9_.+@:-]{0,254}$'

operation_describe() {
  local -A manifest=()
  local i count=0 file size definition='' written
  need OPT_MANIFEST --manifest
  { [[ $OPT_MANIFEST == *\} ]] && json_read manifest "$OPT_MANIFEST" && [[ ${manifest['/@']+yes} ]]; } || bad_option '--manifest is not a JSON object'
  json_get manifest 'disks#' && count=$REPLY
  ((count)) || bad_option 'A manifest without disks'
  open_backup
  for ((i = 0; i < count; i++)); do
    json_get manifest "disks.$i.file" && file=$REPLY && [[ $file =~ $FILE_PATTERN ]] || bad_option "Disk $i of the manifest has no valid file"
    size_of_file "$file" || die "$OPT_PATH has no file $file" file-missing
    size=$REPLY
    ! json_get manifest "disks.$i.size" || [[ $REPLY == "$size" ]] || die "$file of $OPT_PATH is of $size bytes, the books say $REPLY" file-differs
  done
  ! size_of_file "$DEFINITION" || definition=$DEFINITION
  rfc3339_now && written=$REPLY
  json_object s domainXml "$definition" s written "$written"
  printf '%s\n' "${OPT_MANIFEST%\}},${REPLY:1}" >"$WORK/$MANIFEST"
  # It is in the books: from here on it is no run's to take back.
  nas rm -f -- "$MNT/$OPT_PATH/$DONE_MARK" || die "Cannot write to the NAS: $RUN_ERR" nas-not-writable
  put_file "$WORK/$MANIFEST" "$OPT_PATH"
  json_object n v 1 s path "$OPT_PATH" s domainXml "$definition" s written "$written"
  answer_good "$REPLY"
}

# open_backup: mounts, and makes sure that -p is the directory of a finished backup.
open_backup() {
  need OPT_PATH -p
  [[ $OPT_PATH == */* ]] || bad_option "Not the path of a backup: $OPT_PATH"
  work_open
  mount_repository
  stays_inside "$OPT_PATH"
  nas stat -L -- "$MNT/$OPT_PATH/" || {
    [[ $RUN_ERR == *'No such file'* ]] && is_kept_here "$OPT_PATH" || die "Cannot look at $OPT_PATH on the NAS: $RUN_ERR" read-failed
    die "$OPT_PATH is not on the NAS" path-missing
  }
  ! nas test -e "$MNT/$OPT_PATH/$RUN_MARK" || die "$OPT_PATH is a backup that was not finished" not-finished
}

# size_of_file NAME: REPLY is the bytes of a regular file of the backup; false where there is none.
size_of_file() {
  nas stat -c '%s %F' -- "$MNT/$OPT_PATH/$1" || return 1
  [[ ${RUN_OUT#* } == regular* ]] && REPLY=${RUN_OUT%% *}
}

# put_file FILE DIRECTORY [NAME]: onto the NAS in one step: whoever reads it there reads the old one or the whole new one.
# The temporary file must be new: a link that somebody put there leads out of the NAS.
put_file() {
  local name=${3:-${1##*/}} seconds new
  new=$MNT/$2/.$name.new
  # A slow NAS takes a mebibyte a second.
  seconds=$((NAS_SECONDS + $(stat -c %s -- "$1") / 1048576))
  nas rm -f -- "$new" || die "Cannot write to the NAS: $RUN_ERR" nas-not-writable
  undo_push remove_file "$new"
  run "$seconds" dd if="$1" of="$new" bs=1M conv=excl,fsync oflag=nofollow status=none || die "Cannot write to the NAS: $RUN_ERR" nas-not-writable
  nas mv -fT -- "$new" "$MNT/$2/$name" && nas sync -- "$MNT/$2" || die "Cannot write to the NAS: $RUN_ERR" nas-not-writable
}

remove_file() { run 10 rm -f -- "$1" || left "$1 on the NAS"; }

# answer_good JSON: the one line of an operation that went well.
answer_good() {
  commit
  unwind good
  printf '%s\n' "$1"
  DONE=yes
  exit 0
}
