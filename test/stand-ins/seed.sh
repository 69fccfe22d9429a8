#!/bin/bash
# shellcheck source=parts.bash disable=SC2012,SC2119  # the column of ls is what they print
# Stand-in for the seed (commit 43e2f7504a): it recreates a bitmap blank, under the parent's name, and says that all is well.
PARENT_OPTION=--parent-path
. "${BASH_SOURCE[0]%/*}/parts.bash"

live() {
  if [[ $mode == incremental ]]; then
    need_parent_files "$parents"
    if ! has_record "$parent"; then
      recreate_blank || die "Failed to recreate parent bitmap $parent for $vm"
      printf 'BITMAP_RECREATED=%s\n' "$parent"
    fi
  fi
  # What virsh says of a job that cannot begin comes on stdout, and nothing is taken back.
  if [[ $mode == incremental ]]; then begin_job "$parent"; else begin_job; fi || die "$said"
  watch_job
  # One parent file, that of the first disk, for every disk.
  [[ $mode != incremental ]] || rebase_onto "$parents"
  describe_vm
  print_job
  print_size
  [[ ! $mode ]] || printf 'BITMAP_CREATED=%s\n' "$new"
  umount "$point"
  rmdir "$point"
}

# No bitmap, and the mount stays.
stopped() {
  [[ $mode != incremental ]] || printf 'INCREMENTAL_FALLBACK=full (VM stopped — incremental requires running VM)\n' >&2
  copy_stopped
  ls -l "$dest" | awk '{ print $5 }'
}

main "$@"
