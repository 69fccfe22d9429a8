# ---- --disks: what the caller wants for each disk --------------------------------------------------

ASKED_DISKS=0
declare -A ASKED=() # "$i.target", .mode, .parentFile, .path, .format

parse_asked_disks() {
  local i key value
  local -A asked
  [[ $OPT_DISKS ]] || return 0
  json_read asked "$OPT_DISKS" && json_get asked '#' || bad_option '--disks is not a JSON array'
  ASKED_DISKS=$REPLY
  ((ASKED_DISKS)) || bad_option '--disks names no disk'
  for ((i = 0; i < ASKED_DISKS; i++)); do
    for key in target mode parentFile path format; do
      json_get asked "$i.$key" || :
      ASKED[$i.$key]=$REPLY
    done
    json_get asked "$i@" || :
    lines "$REPLY"
    for key in "${LINES[@]}"; do
      [[ $key == @(|target|mode|parentFile|path|format) ]] || bad_option "--disks: unknown key $key"
    done
    [[ ${ASKED[$i.target]} =~ ^[a-z][a-z0-9]{0,15}$ ]] || bad_option "--disks: not a valid target: ${ASKED[$i.target]}"
    [[ ${ASKED[$i.mode]} == @(|full|incremental) || ${ASKED[$i.mode]} == rescued && $OPT_ON_LOST_BITMAP == rescue ]] || bad_option "--disks: not a valid mode: ${ASKED[$i.mode]}"
    [[ ${ASKED[$i.format]} == @(|qcow2|raw) ]] || bad_option "--disks: not a valid format: ${ASKED[$i.format]}"
    value=${ASKED[$i.parentFile]}
    [[ ! $value || $value =~ $PATH_PATTERN ]] || bad_option "--disks: not a valid parent file: $value"
    [[ $value || ${ASKED[$i.mode]} == @(|full) ]] || bad_option "--disks: ${ASKED[$i.target]} has no parent file"
    value=${ASKED[$i.path]}
    [[ ! $value || ($value =~ ^/[^[:cntrl:],]+$ && $value/ != */../*) ]] || bad_option "--disks: not a valid path: $value"
    for ((key = 0; key < i; key++)); do
      [[ ${ASKED[$key.target]} != "${ASKED[$i.target]}" ]] || bad_option "--disks names ${ASKED[$i.target]} twice"
    done
  done
}

# match_asked_disks: a disk that nobody names would silently be left out of the backup, so both sets must be the same.
match_asked_disks() {
  local i a found
  [[ $OPT_DISKS ]] || return 0
  ((ASKED_DISKS == DISKS)) || die "The machine has $DISKS disks, --disks names $ASKED_DISKS" disks-mismatch
  for ((i = 0; i < DISKS; i++)); do
    found=''
    for ((a = 0; a < ASKED_DISKS; a++)); do
      if vm_is_live; then
        [[ ${ASKED[$a.target]} == "${D[$i.target]}" ]] || continue
        [[ ! ${ASKED[$a.path]} || ${ASKED[$a.path]} == "${D[$i.path]}" ]] || die "Disk ${D[$i.target]} is ${D[$i.path]}, not ${ASKED[$a.path]}" disks-mismatch
      else
        [[ ${ASKED[$a.path]:-${D[$a.path]}} == "${D[$i.path]}" ]] || continue
        D[$i.target]=${ASKED[$a.target]}
      fi
      found=yes D[$i.mode]=${ASKED[$a.mode]} D[$i.parent]=${ASKED[$a.parentFile]}
    done
    [[ $found ]] || die "Disk ${D[$i.target]} (${D[$i.path]}) is not in --disks" disks-mismatch
  done
}
