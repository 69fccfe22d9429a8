# Writing to disks as a guest would, dirty bitmaps included: through QEMU's monitor on a running VM, with qemu-io on a stopped one.
# Every write goes into the raw mirror too, and only after it is known to have gone through.

#: write NAME TARGET PATTERN OFFSET LENGTH   PATTERN is 0x00..0xff; OFFSET and LENGTH as 4096, 64K, 8M
#: zero NAME TARGET OFFSET LENGTH            a zero-write (write -z)
#: discard NAME TARGET OFFSET LENGTH         aligned to 64K: less than a cluster is not discarded, and the mirror could not know
verb_write()   { need_args 5 "$@"; apply_writes "$1" <<<"write $2 $3 $4 $5"; }
verb_zero()    { need_args 4 "$@"; apply_writes "$1" <<<"zero $2 $3 $4"; }
verb_discard() { need_args 4 "$@"; apply_writes "$1" <<<"discard $2 $3 $4"; }

#: write-many NAME                           the same from stdin, a line each: write TARGET PATTERN OFFSET LENGTH, zero ..., discard ...
verb_write_many() { need_args 1 "$@"; apply_writes "$1"; }

need_args() { local count=$1; shift; (($# == count)) || die "$count arguments expected, $# given (see lab.sh help)"; }

# Lines of stdin are turned into qemu-io commands per disk, run on the VM in the given order, verified, then run on the mirrors.
apply_writes() {
  local name=$1 work
  need_vm "$name"
  work=$RUN/write.$$
  mkdir "$work"
  # shellcheck disable=SC2064
  trap "rm -rf '$work'" EXIT
  parse_writes "$name" "$work"
  [[ -s $work/order ]] || die 'nothing to write'
  if running "$name"; then write_running "$name" "$work"; else write_stopped "$name" "$work"; fi
  local list target
  for list in "$work"/*.mirror; do
    target=${list##*/}
    run_qemu_io raw "$MIRROR/$name.${target%.mirror}.raw" "$list"
  done
}

# Leaves order (TARGET<TAB>COMMAND), TARGET.image and TARGET.mirror in WORK.
parse_writes() {
  local name=$1 work=$2 verb target pattern offset length command image size format
  local -A sizes=()
  # Nothing is started for a line of its own: there may be hundreds.
  while read -r verb target pattern offset length; do
    [[ -n $verb ]] || continue
    [[ $verb == write ]] || { length=$offset offset=$pattern pattern=''; }
    [[ ${sizes[${target:-none}]:-} ]] || { disk_of "$name" "$target" && sizes[$target]=$size; }
    size=${sizes[$target]}
    bytes_of "$offset" && offset=$REPLY
    bytes_of "$length" && length=$REPLY
    ((length > 0 && offset + length <= size)) || die "outside of $name $target ($size bytes): $offset + $length"
    ((offset % 512 == 0 && length % 512 == 0)) || die "not whole sectors: $offset + $length"
    ((length <= 1 << 30)) || die "one write is at most 1G: $length"
    case $verb in
      write)
        [[ $pattern =~ ^0x[0-9a-fA-F]{1,2}$ ]] || die "not a pattern (0x00..0xff): '$pattern'"
        command="write -P $pattern $offset $length" ;;
      zero) command="write -z $offset $length" ;;
      discard)
        ((offset % 65536 == 0 && length % 65536 == 0)) || die "a discard must be aligned to 64K: $offset + $length"
        command="discard $offset $length" ;;
      *) die "not write, zero or discard: '$verb'" ;;
    esac
    printf '%s\t%s\n' "$target" "$command" >>"$work/order"
    printf '%s\n' "$command" >>"$work/$target.image"
    printf '%s\n' "${command/#discard/write -z}" >>"$work/$target.mirror"
  done
}

# qemu-io goes on after a failed command: only the count of full answers tells.
run_qemu_io() {
  local format=$1 file=$2 commands=$3 answer
  answer=$(qemu-io -d unmap -f "$format" "$file" <"$commands" 2>&1) || die "qemu-io on $file: $answer"
  mapfile -t commands <"$commands"
  count_done <<<"$answer"
  ((DONE == ${#commands[@]})) || die "qemu-io on $file: $answer"
}

# count_done: of stdin's lines, DONE say "wrote N/N bytes at offset" or "discard N/N bytes at offset", and ANSWERS speak of success or failure.
count_done() {
  local line
  DONE=0 ANSWERS=0
  while IFS= read -r line; do
    if [[ $line =~ (wrote|discard)\ ([0-9]+)/([0-9]+)\ bytes\ at\ offset ]]; then
      ANSWERS=$((ANSWERS + 1))
      [[ ${BASH_REMATCH[2]} != "${BASH_REMATCH[3]}" ]] || DONE=$((DONE + 1))
    elif [[ $line == *'failed: '* ]]; then
      ANSWERS=$((ANSWERS + 1))
    fi
  done
}

write_stopped() {
  local name=$1 work=$2 list image size format
  gone "$name" || die "$name is neither running nor gone"
  for list in "$work"/*.image; do
    disk_of "$name" "$(basename "$list" .image)"
    run_qemu_io "$format" "$image" "$list"
  done
}

# HMP qemu-io answers in QEMU's own log, not to virsh.
write_running() {
  local name=$1 work=$2 log="/var/log/libvirt/qemu/$1.log" expected target command inode size
  declare -A alias
  while IFS=$'\t' read -r target command; do
    [[ ${alias[$target]:-} ]] || { disk_alias "$target" && alias[$target]=$REPLY; }
    printf "qemu-monitor-command %s --hmp 'qemu-io -d /machine/peripheral/%s/virtio-backend \"%s\"'\n" "$name" "${alias[$target]}" "$command"
  done <"$work/order" >"$work/hmp"
  # Only what was flushed was promised to the guest: without it a kill -9 loses writes that the mirror has.
  for target in "${!alias[@]}"; do
    printf "qemu-monitor-command %s --hmp 'qemu-io -d /machine/peripheral/%s/virtio-backend flush'\n" "$name" "${alias[$target]}"
  done >>"$work/hmp"
  mapfile -t expected <"$work/order"
  expected=${#expected[@]}
  read -r inode size < <(stat -c '%i %s' "$log")
  virsh_q <"$work/hmp" >"$work/hmp.out" 2>&1 || die "$name: $(<"$work/hmp.out")"
  wait_until 30 log_answers || :
  ((DONE == expected)) || die "$name: $DONE of $expected writes went through; QEMU says: $(log_since | tail -n 5) $(<"$work/hmp.out")"
}

# The log from where it stood before the writes; from the beginning when virtlogd has begun a new file.
log_since() {
  if [[ $(stat -c %i "$log") == "$inode" ]]; then tail -c "+$((size + 1))" "$log"; else tail -c "+$((size + 1))" "$log.0"; cat "$log"; fi
}
log_answers() { count_done < <(log_since) && ((ANSWERS >= expected)); }

# disk_alias TARGET: REPLY is how libvirt calls a virtio disk's device: after the place of its target's letter.
disk_alias() { printf -v REPLY %d "'${1#vd}" && REPLY=virtio-disk$((REPLY - 97)); }

#: bitmap-remove NAME TARGET BITMAP          a lost bitmap; the VM must be stopped
verb_bitmap_remove() {
  need_args 3 "$@"; need_vm "$1"; check_name "$3"
  local image size format
  disk_of "$1" "$2"
  gone "$1" || die "$1 runs"
  qemu-img bitmap --remove -f "$format" "$image" "$3"
}

#: disk-replace NAME TARGET [MOMENT|there]    a new image in the place of a stopped VM's, with what it holds now (as a storage migration
#:                                           does) or held at that moment (as a revert); the bitmaps do not come along. `there`: at the old path
verb_disk_replace() {
  need_vm "$1"
  local image size format new
  disk_of "$1" "$2"
  gone "$1" || die "$1 runs"
  new=$IMAGES/$(</proc/sys/kernel/random/uuid)
  if [[ ${3:-there} != there ]]; then
    check_name "$3"
    cp --sparse=always "$(moment_file "$1" "$2" "$3")" "$(mirror "$1" "$2")"
    qemu-img convert -f raw -O "$format" "$(mirror "$1" "$2")" "$new"
  else
    qemu-img convert -f "$format" -O "$format" "$image" "$new"
  fi
  if [[ ${3:-} == there ]]; then
    mv -f "$new" "$image"
  else
    rm -f "$image"
    sed -i "s|\t$image\t|\t$new\t|" "$RUN/$1.disks"
  fi
}

#: disk-migrate NAME TARGET                  its image moves to a new file while the VM runs, as in a live storage migration (blockcopy, pivot)
verb_disk_migrate() {
  need_vm "$1"
  local image size format new
  disk_of "$1" "$2"
  running "$1" || die "$1 does not run"
  new=$IMAGES/$(</proc/sys/kernel/random/uuid)
  virsh_q blockcopy "$1" "$2" --dest "$new" --format "$format" --transient-job --wait --pivot >/dev/null
  rm -f "$image"
  sed -i "s|\t$image\t|\t$new\t|" "$RUN/$1.disks"
}

#: bitmaps NAME                              TARGET<TAB>BITMAP<TAB>STATE<TAB>DIRTY BYTES; stopped: flags as STATE, no count
verb_bitmaps() {
  need_vm "$1"
  local target image format devices
  if running "$1"; then
    devices=$(virsh_q qemu-monitor-command "$1" '{"execute":"query-block"}')
    while IFS=$'\t' read -r target image _; do
      disk_alias "$target"
      jq -r --arg qdev "/machine/peripheral/$REPLY/virtio-backend" --arg target "$target" '
        .return[] | select(.qdev == $qdev) | .inserted["dirty-bitmaps"] // [] | .[] |
        [$target, .name, ([(if .recording then "recording" else "stopped" end), (if .persistent then "persistent" else "transient" end),
          (if .inconsistent then "inconsistent" else empty end)] | join(",")), .count] | @tsv' <<<"$devices"
    done <"$RUN/$1.disks" | sort
  else
    while IFS=$'\t' read -r target image _ format; do
      qemu-img info --output=json -f "$format" "$image" | jq -r --arg target "$target" '
        .["format-specific"].data.bitmaps // [] | .[] | [$target, .name, (.flags | join(","))] | @tsv'
    done <"$RUN/$1.disks" | sort
  fi
}
