# ---- what a restore reads: chains, checksums, room ---------------------------------------------------
#
# The NAS is not trusted: whoever writes there must not make this host read one of its own files into a disk. QEMU is told every file
# of a chain by name, and follows nothing that a file says about others.

readonly CHAIN_LINKS=400 # a chain is told to QEMU in one argument, which the kernel limits to 128 KiB
declare -A HASHES=()  # by directory below the mount: read once; by path: "<size> <sha256>"

look_at_chains() {
  local i
  for ((i = 0; i < RESTORES; i++)); do
    walk_chain "$i"
    [[ ! ${R[$i.virtualSize]} || ${R[$i.virtualSize]} == "${R[$i.virtual]}" ]] ||
      die "${R[$i.file]} is of ${R[$i.virtual]} bytes, the books say ${R[$i.virtualSize]}" size-mismatch
  done
}

# walk_chain I: every file that disk I's stands on, the file itself first.
walk_chain() {
  local i=$1 at=$MNT/$OPT_PATH/${R[$1.file]} n
  local -a links=()
  R[$i.hashed]=0
  while :; do
    nas realpath -e -- "$at" || chain_missing "$at"
    [[ $RUN_OUT == "$MNT"/* && $RUN_OUT =~ $SAFE_TEXT ]] || die "${at#"$MNT/"} leads out of the repository" chain-unsafe
    at=$RUN_OUT
    for n in "${links[@]}"; do [[ $n != "$at" ]] || die "${at#"$MNT/"} stands on itself" chain-unsafe; done
    links+=("$at")
    ((${#links[@]} <= CHAIN_LINKS)) || die "The chain of ${R[$i.file]} is longer than $CHAIN_LINKS files" chain-unsafe
    look_at_link "$at"
    ((${#links[@]} > 1)) || R[$i.virtual]=$LINK_SIZE
    ! has_checksum "$at" || ! check_hash "$at" || R[$i.hashed]=$((R[$i.hashed] + 1))
    [[ $LINK_BACKING ]] || break
    # Relative to the file, as ours and CloudStack's are.
    [[ $LINK_BACKING != /* && $LINK_BACKING =~ $SAFE_TEXT ]] || die "${at#"$MNT/"} stands on a file outside of the repository: $LINK_BACKING" chain-unsafe
    at=${at%/*}/$LINK_BACKING
  done
  R[$i.links]=${#links[@]} R[$i.chain]=null
  for ((n = ${#links[@]} - 1; n >= 0; n--)); do
    json_string "${links[n]}"
    R[$i.chain]="{\"driver\":\"qcow2\",\"file\":{\"driver\":\"file\",\"filename\":$REPLY},\"backing\":${R[$i.chain]}}"
  done
}

# chain_missing FILE: ends the restore; that the file is gone is told only where it is certain.
chain_missing() {
  local why=$RUN_ERR file
  nas realpath -m -- "$1" && file=$RUN_OUT || file=''
  [[ $why != *'No such file'* || $file != "$MNT"/* ]] || ! is_kept_here "${file#"$MNT/"}" || spoilt missing "${file#"$MNT/"}"
  die "A file of the chain is missing: ${1#"$MNT/"}: $why" chain-missing
}

# spoilt STATE PATH: for the books.
spoilt() { json_object s path "$2" s state "$1" && SPOILT+=("$REPLY"); }

# look_at_link FILE: LINK_SIZE and LINK_BACKING (as it stands in the file); it is a sound qcow2 that keeps its data itself.
look_at_link() {
  local name=${1#"$MNT/"} node features
  local -A info
  nas test -f "$1" || die "$name is not a file" chain-unsafe
  nas od -An -v -tx1 -N80 -- "$1" || die "Cannot read $name: $RUN_ERR" chain-missing
  features=${RUN_OUT//[[:space:]]/}
  [[ $features == 514649fb* ]] || die "$name is not a qcow2 file" chain-unsafe
  ! keeps_data_elsewhere "$features" || die "$name keeps its data in another file" chain-unsafe
  json_string "$1"
  node="json:{\"driver\":\"qcow2\",\"backing\":null,\"file\":{\"driver\":\"file\",\"filename\":$REPLY}}"
  nas qemu-img info --output=json "$node" && json_read info "$RUN_OUT" && json_get info virtual-size || die "Cannot read $name: $RUN_ERR" check-failed
  LINK_SIZE=$REPLY
  json_get info backing-filename || :
  LINK_BACKING=$REPLY
  json_get info backing-filename-format || :
  [[ ! $LINK_BACKING || $REPLY == @(|qcow2) ]] || die "$name stands on a file of the format $REPLY" chain-unsafe
  # Leaked clusters (code 3) waste room but hurt nothing.
  run "$TIME_LIMIT" qemu-img check -q "$node" || ((RUN_CODE == 3)) || damaged "qemu-img check found errors in $name: $RUN_ERR $RUN_OUT" check-failed
}
LINK_SIZE='' LINK_BACKING=''

# damaged TEXT CODE: ends the restore, unless what can still be read is asked for.
damaged() {
  [[ $OPT_SALVAGE ]] || die "$1" "$2"
  warn "$1"
  DAMAGED+=("$1")
}

# has_checksum FILE: checksums.json beside it, which comes some time after the backup, names it.
has_checksum() {
  local folder=${1%/*} count name
  local -A said
  if [[ ! ${HASHES[$folder]-} ]]; then
    HASHES[$folder]=read
    nas test -f "$folder/$CHECKSUMS" || return 1
    nas realpath -e -- "$folder/$CHECKSUMS" && [[ $RUN_OUT == "$MNT"/* ]] && nas head -c 65536 -- "$RUN_OUT" && json_read said "$RUN_OUT" &&
      json_get said algorithm && [[ $REPLY == sha256 ]] || { warn "${folder#"$MNT/"}/$CHECKSUMS cannot be read: its files are not hashed" && return 1; }
    json_get said files@ || :
    lines "$REPLY"
    for name in "${LINES[@]}"; do
      json_get said "files.$name.sha256" && [[ $REPLY =~ ^[0-9a-f]{64}$ ]] || continue
      HASHES[$folder/$name]=$REPLY
      json_get said "files.$name.size" || :
      HASHES[$folder/$name]="$REPLY ${HASHES[$folder/$name]}"
    done
  fi
  [[ ${HASHES[$1]-} ]]
}

# check_hash FILE: the first look at its bytes since they were hashed.
check_hash() {
  local folder=${1%/*} is
  nas stat -c %s -- "$1" || die "Cannot read ${1#"$MNT/"}: $RUN_ERR" chain-missing
  is=$RUN_OUT
  run "$TIME_LIMIT" sha256sum -- "$1" || die "Cannot read ${1#"$MNT/"}: $RUN_ERR" chain-missing
  [[ "$is ${RUN_OUT:0:64}" != "${HASHES[$1]}" && ${HASHES[$1]} != " ${RUN_OUT:0:64}" ]] || return 0
  spoilt damaged "${1#"$MNT/"}"
  damaged "${1##*/} of ${folder#"$MNT/"} is not what it was when it was hashed: somebody or something changed it" checksum-mismatch
  return 1
}

# check_room: what the new files take at most, by file system, and the reserve.
check_room() {
  local i device size free
  local -A wanted=() where=() info
  for ((i = 0; i < RESTORES; i++)); do
    # As qcow2 for raw, too: a sparse file takes no more.
    if run "$TIME_LIMIT" qemu-img measure -O qcow2 --output=json "json:${R[$i.chain]}" && json_read info "$RUN_OUT" && json_get info required; then
      R[$i.required]=$REPLY
    else
      damaged "Cannot measure ${R[$i.file]}: ${RUN_ERR##*$'\n'}" check-failed
      R[$i.required]=${R[$i.virtual]}
    fi
    if [[ ${R[$i.kind]} == device ]]; then
      size=${R[$i.virtual]}
      [[ ${R[$i.format]} == raw ]] || size=${R[$i.required]}
      ((R[$i.room] >= size)) || die "${R[$i.to]} has ${R[$i.room]} bytes, the disk needs $size" target-too-small
      continue
    fi
    target stat -c %d -- "${R[$i.to]%/*}/" || die "Cannot look at ${R[$i.to]%/*}: $RUN_ERR" target-missing
    device=$RUN_OUT
    where[$device]=${R[$i.to]%/*}/ wanted[$device]=$((${wanted[$device]:-0} + R[$i.required]))
  done
  for device in "${!where[@]}"; do
    target stat -f -c '%S %a' -- "${where[$device]}" || die "Cannot ask for the space of ${where[$device]}: $RUN_ERR" target-missing
    free=$((${RUN_OUT% *} * ${RUN_OUT#* }))
    ((free >= wanted[$device] + RESERVE_BYTES)) ||
      die "${where[$device]} has $free bytes free; the restore may take ${wanted[$device]} and $RESERVE_BYTES are kept in reserve" target-full
  done
}
