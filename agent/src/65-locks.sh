# ---- one operation on a machine at a time, and none of a lease that has passed on -----------------

# vm_lock NAME: holds the machine's lock (descriptor 9) until this process ends.
vm_lock() { vm_try_lock "$1" 2 || die "Another operation works on $1" vm-busy; }

# vm_try_lock NAME SECONDS: false when somebody else holds it for that long.
vm_try_lock() {
  mkdir -p -- "$STATE_DIR/locks"
  exec 9>>"$STATE_DIR/locks/$1"
  flock -w "$2" 9 || { exec 9>&- && return 1; }
}

# fence_check NAME EPOCH: under the machine's lock: keeps the highest epoch seen, refuses a lower one. A caller without
# leases (CloudStack) has no epoch.
fence_check() {
  [[ $2 ]] || return 0
  fence_compare "$1" "$2"
  ((FENCE_SEEN < 10#$2)) || return 0
  # On disk before it counts: an empty file after a power cut would forget it.
  printf '%s\n' "$((10#$2))" >"$STATE_DIR/fence/.$1.new"
  sync -- "$STATE_DIR/fence/.$1.new"
  mv -f -- "$STATE_DIR/fence/.$1.new" "$STATE_DIR/fence/$1"
}

# fence_compare NAME EPOCH: dies with fence-stale when a higher epoch has been here; FENCE_SEEN is the highest so far.
fence_compare() {
  mkdir -p -- "$STATE_DIR/fence"
  FENCE_SEEN=-1
  if [[ -e $STATE_DIR/fence/$1 ]]; then
    read -r FENCE_SEEN <"$STATE_DIR/fence/$1" || :
    [[ $FENCE_SEEN =~ ^[0-9]{1,15}$ ]] || die "The fence of $1 is damaged: $STATE_DIR/fence/$1" fence-damaged
  fi
  ((10#$2 >= FENCE_SEEN)) || die "Epoch $((10#$2)) is over for $1: $FENCE_SEEN has been here" fence-stale
}
FENCE_SEEN=-1
