#!/usr/bin/env bats
# The operator's tools on the real thing: what is taken off a machine or swept away is ours, and what is not ours stays.

load host
load jobs
setup_file() { host_up; }
teardown_file() { host_down; }
setup() { use_host; host_conf; }
teardown() { leave_host; }

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
