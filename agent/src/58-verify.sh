# ---- are the files what they claim to be -----------------------------------------------------------

# rebase_files: libvirt gave each delta the live disk as its backing file; it leans on its parent's file instead. Before that
# nothing may open it: the live disk is locked.
rebase_files() {
  local i
  timing_start rebase
  for ((i = 0; i < DISKS; i++)); do
    [[ ${D[$i.mode]} != full ]] || continue
    # A rescue has ended on its parent's file already.
    [[ ${D[$i.mode]} == rescued ]] || nas_image qemu-img rebase -u -f qcow2 -b "${D[$i.backing]}" -F qcow2 -- "$DEST/${D[$i.file]}" ||
      die "qemu-img rebase failed for ${D[$i.file]} onto ${D[$i.backing]}: $RUN_ERR" rebase-failed
    nas test "$DEST/${D[$i.backing]}" -ef "$MNT/${D[$i.parent]}" ||
      die "${D[$i.backing]} does not lead from $OPT_PATH to ${D[$i.parent]}" rebase-failed
  done
  timing_stop rebase
}

# verify_files: every disk has its file, of its size, on its parent, sound and safely on the NAS.
verify_files() {
  local i file
  local -a files=()
  timing_start check
  for ((i = 0; i < DISKS; i++)); do
    file=$DEST/${D[$i.file]}
    files+=("$file")
    verify_image "$i" "$file"
    check_image "$i" "$file"
    count_clusters "$i" "$file"
  done
  run "$TIME_LIMIT" sync -- "${files[@]}" "$DEST" || die "The NAS did not take the data: $RUN_ERR" sync-failed
  timing_stop check
}

verify_image() {
  local i=$1 sizes
  local -A info
  nas_image qemu-img info --output=json "$2" || die "Cannot read back ${D[$i.file]}: $RUN_ERR" check-failed
  json_read info "$RUN_OUT" || die "Cannot read back ${D[$i.file]}" check-failed
  json_get info virtual-size || :
  [[ $REPLY == "${D[$i.virtual]}" ]] || die "${D[$i.file]} is of $REPLY bytes, disk ${D[$i.target]} of ${D[$i.virtual]}" size-mismatch
  json_get info backing-filename || :
  [[ $REPLY == "${D[$i.backing]}" ]] || die "${D[$i.file]} leans on '$REPLY' instead of '${D[$i.backing]}'" check-failed
  json_get info cluster-size && D[$i.filecluster]=$REPLY
  nas stat -c '%s %b %B' -- "$2" || die "Cannot read back ${D[$i.file]}: $RUN_ERR" check-failed
  read -r -a sizes <<<"$RUN_OUT"
  D[$i.size]=${sizes[0]} D[$i.allocated]=$((sizes[1] * sizes[2]))
}

# check_image: leaked clusters (code 3) waste room but hurt nothing.
check_image() {
  run "$TIME_LIMIT" qemu-img check -q -f qcow2 -- "$2" || ((RUN_CODE == 3)) || {
    D[$1.check]=errors
    die "qemu-img check found errors in ${D[$1.file]}: $RUN_ERR $RUN_OUT" check-failed
  }
  D[$1.check]=ok
}

# count_clusters: what the file itself holds, without its parents: the second witness of the accounting.
count_clusters() {
  local i=$1 line length data=0 zero=0 known=''
  json_string "$2"
  run "$TIME_LIMIT" qemu-img map --output=json "json:{\"driver\":\"qcow2\",\"backing\":null,\"file\":{\"driver\":\"file\",\"filename\":$REPLY}}" || {
    warn "cannot map ${D[$i.file]}: $RUN_ERR"
    return 0
  }
  lines "$RUN_OUT"
  for line in "${LINES[@]}"; do
    [[ $line == *'"length": '* ]] || continue
    length=${line#*'"length": '} && length=${length%%,*}
    case $line in
      *'"data": true'*) data=$((data + length)) ;;
      *'"present": true'*) zero=$((zero + length)) && known=yes ;;
      *'"present": false'*) known=yes ;;
    esac
  done
  D[$i.data]=$data
  # QEMU before 6.1 does not tell a zero cluster from an absent one.
  [[ ! $known ]] || D[$i.zero]=$zero
}
