#!/usr/bin/env bats
# The kernel's list of mounts, read while others mount and unmount.

bats_require_minimum_version 1.5.0

@test "a mount is seen as long as it is there, whatever else comes and goes" {
  set +u
  # shellcheck source=/dev/null
  . "$BATS_TEST_DIRNAME/../src/05-run.sh"
  . "$BATS_TEST_DIRNAME/../src/30-mount.sh"
  local i dirs=()
  for i in {1..40}; do
    dirs+=("$BATS_TEST_TMPDIR/$i")
    mkdir "${dirs[-1]}" && mount -t tmpfs none "${dirs[-1]}"
  done
  # The last one stays; those before it in the list go.
  for i in {0..38}; do umount "${dirs[i]}"; done 3>&- &
  local umounts=$! looks=0 seen=0
  while
    ((looks += 1))
    ! mounted "${dirs[-1]}" || ((seen += 1))
    kill -0 "$umounts" 2>/dev/null
  do :; done
  umount "${dirs[-1]}"
  echo "seen in $seen of $looks looks"
  ((seen == looks))
  ! mounted "${dirs[-1]}"
}
