#!/usr/bin/env bats
# Pull: what the guest overwrites goes to scratch files of the host, and our readers copy what the disks held at the checkpoint.

load host
setup_file() { host_up; }
teardown_file() { host_down; }
setup() { use_host; host_conf; }
teardown() { leave_host; }

no_scratch() { [[ -z $(find "$LAB_DIR/host/scratch" -mindepth 1) ]] || { find "$LAB_DIR/host/scratch" >&2; return 1; }; }

@test "a full and incrementals over two disks, zeroes, discards and a restart: identical and accounted" {
  new_vm vda:64M vdb:32M
  full --transfer pull && done_is full null && identical && no_scratch
  expect 'completed pull full,full' '"\(.job.result) \(.done.transfer) \([.disks[].method] | join(","))"'
  [[ $output == *'Job type:'*Completed* && ${lines[-1]} == BITMAP_CREATED=backup-1001 ]]

  lab write-many "$VM" <<<$'write vda 0x22 4M 6M\nzero vda 1M 512K\ndiscard vdb 1M 64K\nwrite vdb 0x23 30M 64K'
  incremental --transfer pull && done_is incremental regular && identical && accounted && no_scratch
  expect '6815744 131072' '[.disks[].dirtyBefore] | map(tostring) | join(" ")'
  expect true '.job.processed == ([.disks[] | .ownData + .ownZero] | add)'
  expect "../2026.01.01.00.00.01/root.$(basename "$(image vda)").qcow2" '.disks[0].backing'

  restart_vm
  lab write "$VM" vdb 0x25 9M 128K
  incremental --transfer pull && done_is incremental redefined && identical && accounted

  # The two ways go together in one chain.
  lab write "$VM" vda 0x26 11M 128K
  incremental && done_is incremental regular && identical && accounted
  incremental --transfer pull && done_is incremental regular && identical && accounted
  identical backup-1001 "$VM/2026.01.01.00.00.01"
}
