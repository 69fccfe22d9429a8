#!/bin/bash
# shellcheck source=parts.bash disable=SC2012,SC2119  # the column of ls is what they print
# Stand-in for the same after its first review (May to June 2026): a bitmap that is in the way is removed, and the hole is the same.
PARENT_OPTION=--parent-paths
. "${BASH_SOURCE[0]%/*}/parts.bash"

live() {
  local -a below
  IFS=, read -r -a below <<<"$parents"
  if [[ $mode == incremental ]]; then
    need_parent_files "${below[@]}"
    if ! has_record "$parent"; then
      recreate_blank || { remove_live && recreate_blank; } || die "Failed to recreate parent bitmap $parent for $vm"
      printf 'BITMAP_RECREATED=%s\n' "$parent"
    fi
  fi
  if [[ $mode == incremental ]]; then begin_job "$parent"; else begin_job; fi || exit 1
  watch_job
  [[ $mode != incremental ]] || rebase_onto "${below[@]}"
  describe_vm
  print_job
  print_size
  [[ ! $mode ]] || printf 'BITMAP_CREATED=%s\n' "$new"
  umount "$point"
  rmdir "$point"
}

# On a running VM QEMU's lock is in the way.
remove_live() {
  local source
  while read -r _ source; do qemu-img bitmap --remove -f qcow2 "$source" "$parent" 2>/dev/null || return 1; done < <(live_disks)
}

stopped() {
  local seeded=''
  [[ $mode != incremental ]] || printf 'INCREMENTAL_FALLBACK=full (VM stopped — incremental requires running VM)\n'
  [[ ! $mode ]] || ! seed_stopped || seeded=yes
  copy_stopped
  [[ ! $seeded ]] || printf 'BITMAP_CREATED=%s\n' "$new"
  ls -l "$dest" | awk '{ print $5 }'
  [[ ! $mode || $seeded ]] || exit 22
}

main "$@"
