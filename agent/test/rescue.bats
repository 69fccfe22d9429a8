#!/usr/bin/env bats
# The rescue: a disk whose bitmap is lost is compared with its chain at a new checkpoint, and what differs is stored: larger than usual, but
# correct.

load host
setup_file() { host_up; }
teardown_file() { host_down; }
setup() { use_host; host_conf; }
teardown() { leave_host; }

no_scratch() { [[ -z $(find "$LAB_DIR/host/scratch" -mindepth 1) ]] || { find "$LAB_DIR/host/scratch" >&2; return 1; }; }

# lose TARGET: its bitmap of the last backup, while the machine is stopped.
lose() {
  lab vm-stop "$VM"
  lab bitmap-remove "$VM" "$1" "$BITMAP"
  start_vm
}
rescue() { incremental --on-lost-bitmap rescue "$@"; }
# parents: --disks over the last backup's files, whatever the images are called now.
parents() { fact "[.disks[] | {target, mode: \"incremental\", parentFile: \"$BACKUP_PATH/\\(.file)\"}] | tojson"; }
# rescued: as it says of itself: the first line, the method, all of the disk compared, no witness claimed that is none.
rescued() {
  done_is incremental rescued
  identical
  accounted
  no_scratch
  [[ ${lines[0]} == "BITMAP_RECREATED=$PARENT" && ${lines[-1]} == "BITMAP_CREATED=$BITMAP" && $output != *INCREMENTAL_FALLBACK* ]]
  expect 'rescued pull' '"\(.done.recreateMethod) \(.done.transfer)"'
  expect true '[.disks[] | select(.method == "rescued") | .compared == .virtualSize and .dirtyBefore == null] | all'
}
differed() { expect "$1" '[.disks[] | select(.method == "rescued") | .ownData + .ownZero] | join(" ")'; }

@test "a bitmap lost on one of two disks: it is rescued, the other goes by bitmap, and the next incrementals are normal" {
  new_vm vda:64M vdb:64M
  full
  done_is full null
  identical
  lab write-many "$VM" <<<$'write vda 0x22 4M 1M\nwrite vdb 0x23 8M 1M'
  lose vdb
  lab disk-resize "$VM" vdb 80M
  lab write-many "$VM" <<<$'write vda 0x24 5M 1M\nwrite vdb 0x25 9M 1M\nwrite vdb 0x26 72M 64K\nzero vdb 1M 512K\ndiscard vdb 2M 64K\nwrite vdb 0x11 2560K 64K'
  rescue
  rescued
  expect 'incremental rescued' '[.disks[].method] | join(" ")'
  [[ $(fact .done.transferReason) == 'a rescue compares with an export: scratch has '* ]]
  # 1M, 1M and 64K were written, 512K zeroed, 64K discarded; 64K was written with what was there already.
  differed 2752512
  expect 589824 '.disks[1].ownZero'
  expect 2097152 '.disks[0].dirtyBefore'
  expect "../2026.01.01.00.00.01/datadisk.$(basename "$(image vdb)").qcow2" '.disks[1].backing'

  lab write-many "$VM" <<<$'write vda 0x27 9M 1M\nwrite vdb 0x28 70M 64K'
  rescue
  done_is incremental regular
  identical
  accounted
  expect 'push null' '"\(.done.transfer) \(.done.recreateMethod)"'
  # A bitmap that libvirt has only forgotten is registered again.
  restart_vm
  rescue
  done_is incremental redefined
  identical
  accounted
}

@test "kill -9 of QEMU and a parent's file that was altered: our spoiled bitmaps are cleared away, the rescue heals, within its limit" {
  new_vm vda:32M vdb:64M
  full
  done_is full null
  identical
  restart_vm
  lab write "$VM" vda 0x22 4M 1M
  flush_vm vda vdb
  lab vm-crash "$VM"
  start_vm
  [[ $(lab bitmaps "$VM") == *inconsistent* ]]
  qemu-io -f qcow2 -c 'write -P 0x66 1M 64K' -c 'write -P 0x66 48M 64K' "$NAS/$BACKUP_PATH/$(file_of "$(image vdb)" 1)" >/dev/null
  ! identical "$BITMAP" "$BACKUP_PATH" || false
  rescue --transfer pull -b 16
  rescued
  differed '1048576 131072'
  # 64 MiB at 16 MiB a second, and a second's worth at once.
  expect true '.timings.job >= 2900'
  [[ $(bitmaps_of) == 'vda backup-1002,vdb backup-1002,' ]]
}

# bats test_tags=full
@test "a storage migration by copying the image leaves the bitmap behind, and a revert brings an older disk without one: rescued" {
  new_vm vda:64M vdb:64M
  full
  done_is full null
  identical
  lab write-many "$VM" <<<$'write vda 0x22 4M 1M\nwrite vdb 0x23 8M 1M'
  lab vm-stop "$VM"
  lab disk-replace "$VM" vda
  start_vm
  lab write "$VM" vda 0x24 4M 512K
  rescue --disks "$(parents)"
  rescued
  expect 'rescued incremental' '[.disks[].method] | join(" ")'
  differed 1048576

  lab vm-stop "$VM"
  lab disk-replace "$VM" vda backup-1001
  lab disk-replace "$VM" vdb backup-1001
  start_vm
  lab write "$VM" vdb 0x25 9M 64K
  rescue --disks "$(parents)"
  rescued
  differed '1048576 1114112'
}

# bats test_tags=full
@test "a live storage migration (blockcopy) takes the bitmap along: nothing to rescue, and the incremental is true" {
  new_vm vda:64M vdb:64M
  full
  done_is full null
  identical
  lab write-many "$VM" <<<$'write vda 0x22 4M 1M\nwrite vdb 0x23 8M 1M'
  lab disk-migrate "$VM" vda
  lab write "$VM" vda 0x24 5M 512K
  rescue --disks "$(parents)"
  done_is incremental regular
  identical
  accounted
  expect 1572864,1048576 '[.disks[].dirtyBefore] | join(",")'
  incremental
  done_is incremental regular
  identical
}

# bats test_tags=full
@test "where a rescue cannot be: a full with its reason and a word why" {
  new_vm vda:64M
  full
  done_is full null
  identical
  lose vda
  host_conf "scratch_dir=$(lab nas-small 2 "tiny$BATS_TEST_NUMBER")"
  rescue
  done_is full bitmap-missing
  identical
  [[ ${lines[0]} == INCREMENTAL_FALLBACK=true && $output != *BITMAP_RECREATED* ]]
  expect push .done.transfer
  [[ $(fact .done.rescueRefused) == 'scratch has '*' may be needed' ]]

  host_conf
  lose vda
  mv "$NAS/$BACKUP_PATH/$(file_of "$(image vda)" 0)" "$NAS/hidden"
  rescue
  done_is full bitmap-missing
  identical
  expect 'vda: parent-file-missing' .done.rescueRefused
  mv "$NAS/hidden" "$NAS/$PARENT_PATH/$(file_of "$(image vda)" 0)"

  # A chain that knows of more than the disk has is not built upon.
  lab vm-stop "$VM"
  lab bitmap-remove "$VM" vda "$BITMAP"
  lab disk-resize "$VM" vda 32M
  start_vm
  rescue
  done_is full bitmap-missing
  identical
  expect 'vda: disk-shrunk' .done.rescueRefused
}

@test "TERM and a full NAS in the middle of a rescue: nothing is left, and the next rescue is true" {
  REPOSITORY=$(lab nas-small 16 "small$BATS_TEST_NUMBER")
  new_vm vda:128M
  full
  done_is full null
  identical
  lose vda
  lab write-many "$VM" <<<$'write vda 0x22 4M 1M\nwrite vda 0x23 120M 4M'
  next
  lab moment "$VM" "$BITMAP"
  common
  local -a asked=(-M incremental --bitmap-parent "$PARENT" --parent-paths "$(parent_files)" --on-lost-bitmap rescue)
  begin -o backup "${COMMON[@]}" "${asked[@]}" --bitmap-new "$BITMAP" -b 2
  comparing
  kill -TERM "$SCRIPT_PID"
  ended_within 20
  end
  failed_is job-cancelled
  untouched
  no_scratch

  begin -o backup "${COMMON[@]}" "${asked[@]}" --bitmap-new "$BITMAP" -b 16
  comparing
  leave_free "$REPOSITORY" 1000000
  ended_within 60
  end
  failed_is target-full
  untouched
  no_scratch
  [[ $(virsh_q domstate "$VM") == running ]]
  rm "$REPOSITORY/filler"
  script -o backup "${COMMON[@]}" "${asked[@]}" --bitmap-new "$BITMAP"
  rescued
}
# comparing: qemu-img has begun.
comparing() {
  for _ in {1..400}; do
    pgrep -f "^qemu-img rebase -p .*/$BACKUP_PATH/" >/dev/null && return 0
    sleep 0.02
  done
  return 1
}
