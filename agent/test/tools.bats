#!/usr/bin/env bats
# The operator's tools on the real thing: what is taken off a machine or swept away is ours, and what is not ours stays.

load host
load jobs
setup_file() { host_up; }
teardown_file() { host_down; }
setup() { use_host; host_conf; }
teardown() {
  local dir
  for dir in /tmp/csbackup.{live,else}"$BATS_ROOT_PID"; do [[ ! -d $dir ]] || { umount "$dir"; rmdir "$dir"; }; done
  leave_host
}

answer() { jq -r "$1" <<<"$output"; }
hmp() { virsh_q qemu-monitor-command "$VM" --hmp "$1"; }

@test "release: all our bitmaps go, running or stopped, a snapshot can be reverted again, another tool's checkpoint stays" {
  new_vm vda:64M vdb:32M
  hmp 'savevm before'
  full
  done_is full null
  full
  done_is full null
  # QEMU stops for it, and then finds the bitmaps.
  [[ $(hmp 'loadvm before') == *bitmap* ]]
  virsh_q resume "$VM"
  virsh_q checkpoint-create-as "$VM" other --diskspec vda,checkpoint=bitmap --diskspec vdb,checkpoint=no

  script release -v "$VM" --dry-run
  [[ $status -eq 0 && $(answer '"\(.dryRun) \([.bitmaps[] | "\(.name) \(.disks | join("+")) \(.checkpoint)"] | join(", "))"') == \
    'true backup-1001 vda+vdb true, backup-1002 vda+vdb true' ]]
  [[ $(bitmaps_of) == *backup-1002* ]]
  script release -v "$VM" --fence 1
  [[ $status -eq 0 && $(answer '"\(.dryRun) \(.bitmaps | length)"') == 'false 2' ]]
  [[ $(bitmaps_of) == 'vda other,' && $(virsh_q checkpoint-list "$VM" --name) == other ]]
  virsh_q checkpoint-delete "$VM" other
  [[ ! $(hmp 'loadvm before') ]]
  hmp 'delvm before'
  incremental
  done_is full bitmap-missing
  identical

  lab vm-stop "$VM"
  script release -v "$VM" --fence 1
  [[ $status -eq 1 && $(answer .error.code) == vm-not-found ]]
  script release -v "$VM" --fence 1 -d "$(all_images)"
  [[ $status -eq 0 && $(answer '.bitmaps | length') == 1 && ! $(bitmaps_of) ]]
}

# swept SUBJECT...: what the last sweep did with them, a word each.
swept() { local subject; for subject; do answer '.items[] | select(.subject == "'"$subject"'") | "\(.code) \(.action)"'; done | paste -sd,; }
sweep() { script sweep "$@" && [[ $status -eq 0 ]] || { echo "$output $stderr" >&2 && return 1; }; }

@test "sweep: after kill -9 of a job and of a call, what is ours and dead goes; what libvirt, a live call or a stranger uses stays" {
  local job=$BATS_SUITE_TEST_NUMBER-killed tmp work live=/tmp/csbackup.live$BATS_ROOT_PID stranger=/tmp/csbackup.else$BATS_ROOT_PID
  slow_nas
  new_vm vda:64M
  full
  done_is full null
  scatter
  line "$SLOW"
  SECRETS='{"mountOptions":"nodev"}' start_incremental "$job" >/dev/null
  caught
  tmp=$(cat "$(job_file "$job" tmp)")
  kill -KILL -- "-$(runner_of "$job")"
  ends "$job" unknown
  touch "$(job_file "$job" secrets)"
  # A call that lives has a mount; another mount is nobody's.
  mkdir -p "$live" "$stranger" "$LAB_DIR/host/state/work.live"
  mount -t tmpfs none "$live"
  mount -t tmpfs none "$stranger"
  echo "$$ $(awk '{ print $22 }' "/proc/$$/stat")" >"$LAB_DIR/host/state/work.live/owner"
  echo "$live" >"$LAB_DIR/host/state/work.live/owned"
  work=$(grep -ls "^$tmp/" "$LAB_DIR"/host/state/work.*/owned)
  work=${work%/owned}

  sweep
  [[ $(swept "$VM" "$tmp") == 'libvirt-job left,mount left' ]]
  [[ $(answer '.items[] | select(.code == "libvirt-job") | .text') == *"abort --job $job" ]]
  # One that ended by itself and could not end libvirt's job.
  echo 20 >"$(job_file "$job" exit)"
  sweep
  [[ $(answer '.items[] | select(.code == "libvirt-job") | .text') == *"end it with: virsh domjobabort $VM" ]]
  rm "$(job_file "$job" exit)"
  [[ $(mount_of_run) == "$tmp"/* && ! -e $(job_file "$job" secrets) ]]

  virsh_q domjobabort "$VM"
  until [[ $(virsh_q domjobinfo "$VM") == *None* ]]; do sleep 0.1; done
  sweep --dry-run
  [[ $(swept "$tmp" "$work") == 'mount would-be-removed,work-dir would-be-removed' && $(mount_of_run) && -e $work ]]
  sweep
  [[ $(swept "$tmp" "$work" "$live" "$stranger") == 'mount removed,work-dir removed,stranger left' ]]
  [[ ! $(mount_of_run) && ! -e $tmp && ! -e $work && -e $LAB_DIR/host/state/work.live ]]
  mountpoint -q "$live"
  mountpoint -q "$stranger"
  sweep
  [[ ! $(swept "$tmp" "$work" "$VM") ]]
  # The live call ends without a word.
  echo '1 1' >"$LAB_DIR/host/state/work.live/owner"
  sweep
  [[ $(swept "$live") == 'mount removed' && ! -e $live && ! -e $LAB_DIR/host/state/work.live ]]
  umount "$stranger"
  rmdir "$stranger"

  rm -rf "${REPOSITORY:?}/$BACKUP_PATH"
  ALLOWED+=("$BITMAP" "$PARENT")
  forget
  line unlimited
  incremental
  done_is incremental regular
  identical
}
