#!/bin/bash
# shellcheck source=parts.bash disable=SC2012,SC2119  # the column of ls is what they print
# Stand-in for CloudStack's host script of 4.20 to 4.22: whole copies only.
. "${BASH_SOURCE[0]%/*}/parts.bash"

live() {
  begin_job || die "$said"
  watch_job
  describe_vm
  print_job
  print_size
  umount "$point"
  rmdir "$point"
}

# It never unmounts here. The size is a column of ls, its first line the row of the total.
stopped() {
  copy_stopped
  ls -l "$dest" | awk '{ print $5 }'
}

main "$@"
