# ---- the NAS: a private temporary mount -------------------------------------------------------------
#
# A hung NAS stops whoever touches it, for good. So only children started by run touch the mount, never this shell.

MNT=''           # the mount point while it is mounted
NAS_SECONDS=30   # a NAS that does not answer a simple question within this is hung

# nas COMMAND...: something short on the mount; RUN_OUT, RUN_ERR and the code as run.
nas() {
  run "$NAS_SECONDS" "$@" || { [[ $RUN_CODE != 124 ]] || die "The NAS does not answer: $RUN_ERR" target-hung; return "$RUN_CODE"; }
}

# nas_image COMMAND...: the same for an image that a job has just written. libvirt calls the job completed a moment before QEMU
# closes its target (qemuBlockJobProcessEventConcludedBackup), and until then nobody else may open it.
nas_image() {
  local REPLY until
  now_ms && until=$((REPLY + 10000))
  until nas "$@"; do
    now_ms
    [[ $RUN_ERR == *lock* ]] && ((REPLY < until)) || return "$RUN_CODE"
    nap 0.05
  done
}

# mount_repository [ro]
mount_repository() {
  need OPT_TYPE -t
  need OPT_STORAGE -s
  timing_start mount
  mount_options "$@"
  MNT=$(mktemp -d "${JOB_TMP:-/tmp}/csbackup.XXXXXX") || die "Cannot make a mount point in ${JOB_TMP:-/tmp}" mount-failed
  owned "$MNT"
  always_push unmount_repository
  if ! run 60 mount "${MOUNT_ARGS[@]}" -- "$OPT_STORAGE" "$MNT"; then
    [[ $RUN_CODE != 124 ]] || left "a mount attempt on $MNT that never ended"
    die "Failed to mount $OPT_TYPE store: $RUN_ERR" mount-failed
  fi
  [[ ! $RUN_ERR$RUN_OUT ]] || warn "mount: $RUN_OUT $RUN_ERR"
  timing_stop mount
}

# mount_options [ro]: MOUNT_ARGS for mount. Secrets go into a 0600 file, never on a command line that others can read.
mount_options() {
  local options=$OPT_MOUNT_OPTIONS item key name='' secret='' domain=''
  local -a plain=()
  local -A SECRETS=()
  if [[ $OPT_SECRETS_FILE ]]; then
    json_read SECRETS "$(<"$OPT_SECRETS_FILE")" || bad_option 'The secrets are not valid JSON'
    json_get SECRETS mountOptions && options=$REPLY
    json_get SECRETS credentials.username && name=$REPLY
    json_get SECRETS credentials.password && secret=$REPLY
    json_get SECRETS credentials.domain && domain=$REPLY
    [[ $options$name$secret$domain =~ $SAFE_TEXT ]] || bad_option 'Secrets must not hold control characters'
  fi
  split_list "$options"
  for item in "${LIST[@]}"; do
    [[ $item ]] || continue
    key=${item%%=*}
    case $OPT_TYPE:$key in
      cifs:user | cifs:username) name=${item#*=} ;;
      cifs:pass | cifs:password | ceph:secret) secret=${item#*=} ;;
      cifs:dom | cifs:domain | cifs:workgroup) domain=${item#*=} ;;
      *) plain+=("$item") ;;
    esac
  done
  case $OPT_TYPE in
    cifs)
      # Byte range locks of the server would fail QEMU's own image locks.
      plain+=(nobrl)
      [[ ! $name$secret$domain ]] || plain+=("credentials=$WORK/credentials")
      { [[ ! $name ]] || printf 'username=%s\n' "$name"; [[ ! $secret ]] || printf 'password=%s\n' "$secret"; [[ ! $domain ]] || printf 'domain=%s\n' "$domain"; } >"$WORK/credentials"
      ;;
    ceph)
      [[ ! $name ]] || plain+=("name=$name")
      [[ ! $secret ]] || plain+=("secretfile=$WORK/credentials")
      printf '%s\n' "$secret" >"$WORK/credentials"
      ;;
    *) [[ ! $name$secret$domain ]] || bad_option "A repository of type $OPT_TYPE takes no credentials" ;;
  esac
  # The last one counts.
  plain+=("$@")
  MOUNT_ARGS=(-t "$OPT_TYPE")
  if [[ $OPT_TYPE == dir ]]; then
    [[ $OPT_STORAGE == /* && /$OPT_STORAGE/ != */../* ]] || bad_option "Not an absolute directory: $OPT_STORAGE"
    MOUNT_ARGS=(-t none) plain=(bind "${plain[@]}")
  fi
  local IFS=,
  [[ ! ${plain[*]-} ]] || MOUNT_ARGS+=(-o "${plain[*]}")
}

# look_at_mounts [MOUNTINFO]: MOUNTS are the mount points of the kernel's list, the newest first.
# By cat: bash itself goes back in what it has read, and in this file, when others unmount meanwhile, that is the middle of another
# line.
look_at_mounts() {
  local i rest
  MOUNTS=()
  lines "$(cat -- "${1:-/proc/self/mountinfo}")"
  for ((i = ${#LINES[@]} - 1; i >= 0; i--)); do
    rest=${LINES[i]#* * * * }
    MOUNTS+=("${rest%% *}")
  done
}
MOUNTS=()

# mounted PATH [MOUNTINFO]: asks the kernel's list, because looking at the path itself could hang.
mounted() {
  local point
  look_at_mounts "${2:-}"
  for point in "${MOUNTS[@]}"; do [[ $point != "$1" ]] || return 0; done
  return 1
}

mounted_below() {
  local point
  look_at_mounts
  for point in "${MOUNTS[@]}"; do [[ $point != "$1"/* ]] || return 0; done
  return 1
}

# A busy mount point does not spoil good data: it is tried for a while, then reported and left.
unmount_repository() {
  local REPLY until
  now_ms && until=$((REPLY + 3000))
  timing_start unmount
  rm -f -- "$WORK/credentials"
  while mounted "$MNT"; do
    # -c: to look at the path of a mount that hangs would hang, too.
    if ! run "$([[ $NAS_HUNG ]] && echo 2 || echo 10)" umount -c -- "$MNT"; then
      now_ms
      if [[ $RUN_CODE == 124 ]] || ((REPLY >= until)); then
        left "mount $MNT (${RUN_ERR//$'\n'/; })"
        return 0
      fi
      nap 0.2
    fi
  done
  rmdir -- "$MNT" || left "mount point $MNT"
  timing_stop unmount
}

# stays_inside PATH: a symbolic link on the NAS must not lead out of it.
stays_inside() {
  nas realpath -m -- "$MNT/$1" || die "Cannot look at $1 on the NAS: $RUN_ERR" nas-not-writable
  [[ $RUN_OUT == "$MNT/$1" ]] || die "$1 leads to another place than it says" path-escapes
}

# is_kept_here PATH: the directory of the machine that it belongs to is there. In a directory that nothing is mounted on, and in another
# repository, it would not be.
is_kept_here() { nas test -d "$MNT/${1%%/*}"; }

# look_at_space: SPACE_TOTAL and SPACE_FREE in bytes, as QEMU's user sees them; false when unknown.
look_at_space() {
  run "${1:-$NAS_SECONDS}" stat -f -c '%S %b %a' -- "$MNT" || return 1
  local size blocks free
  read -r size blocks free <<<"$RUN_OUT"
  SPACE_TOTAL=$((size * blocks)) SPACE_FREE=$((size * free))
}
SPACE_TOTAL='' SPACE_FREE=''
