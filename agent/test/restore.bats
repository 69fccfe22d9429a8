#!/usr/bin/env bats
# Restore: everything is looked at before a byte is written, all is compared with the chain, and a machine's disks are the new ones or the
# old ones, never some of both.
load host.bash
load jobs.bash
load stubs.bash
load restores.bash

# One chain for all tests that leave its machine alone: a full and two incrementals; sizes are odd, and vdb grew before the last.
setup_file() {
  host_up
  BATS_SUITE_TEST_NUMBER=0 use_host
  new_vm vda:67109376 vdb:33555968
  full
  done_is full null
  lab write-many "$VM" <<<$'write vda 0x22 4M 1M\nzero vda 1M 64K\nwrite vdb 0x23 33555456 512'
  incremental
  done_is incremental regular
  lab disk-resize "$VM" vdb 41943552
  lab write-many "$VM" <<<$'write vda 0x31 67108864 512\nwrite vdb 0x32 41943040 512'
  incremental
  done_is incremental regular
  lab vm-stop "$VM"
  export CHAIN_VM=$VM CHAIN=$VM/2026.01.01.00.00.0
}
teardown_file() { host_down; }
setup() {
  use_host
  host_conf
  JOB=r-$BATS_TEST_NUMBER
  RESTORES=0
  OUT=$LAB_DIR/images/out-$BATS_TEST_NUMBER
  mkdir -p "$OUT"
}
teardown() {
  [[ ! ${LOOP:-} ]] || losetup -d "$LOOP"
  rm -rf "$OUT"
  leave_host
}

@test "every point of a chain as new disks, qcow2 and raw: to the byte, of its size, sparse" {
  local n
  on_chain
  for n in 1 2 3; do
    restore "$n" vda:$OUT/a$n.qcow2:qcow2 vdb:$OUT/b$n.raw:raw
    restored
    held "$n" vda "$OUT/a$n.qcow2"
    held "$n" vdb "$OUT/b$n.raw"
    answer "$n 0 true" '"\(.disks[0].links) \(.disks[0].hashed) \([.disks[].identical] | all)"'
  done
  answer '67109376 41943552' '"\(.disks[0].virtualSize) \(.disks[1].virtualSize)"'
  answer 'false null null null' '"\(.swapped) \(.domain) \(.attached) \(.error)"'
  answer true '.timings | [.mount, .prepare, .convert, .compare, .swap, .unmount, .total] | all(. != null)'
  [[ $(field "$RESTORE_JOB" .progress.processed) == $((67109376 + 41943552)) ]]
  [[ $(field "$RESTORE_JOB" .progress.total) == $((67109376 + 41943552)) ]]
  # 3 MiB of 40 are data.
  [[ $(($(stat -c '%b*%B' "$OUT/b3.raw"))) -lt 4194304 ]]
  [[ $(ls "$OUT") == $'a1.qcow2\na2.qcow2\na3.qcow2\nb1.raw\nb2.raw\nb3.raw' ]]
  [[ $(stat -c %a "$OUT/a1.qcow2") == 600 ]]
}

@test "in place: both disks are swapped with owner and mode, the machine starts, and its next backup is a true full" {
  new_vm vda:64M vdb:33555968
  full
  done_is full null
  ALLOWED+=("$BITMAP")
  lab write-many "$VM" <<<$'write vda 0x22 4M 1M\nwrite vdb 0x23 5M 64K'
  incremental
  done_is incremental regular
  identical
  lab write-many "$VM" <<<$'write vda 0x33 8M 1M\nwrite vdb 0x34 1M 64K'
  lab vm-stop "$VM"
  chown 107:108 "$(image vda)"
  chmod 640 "$(image vda)"
  restore_path "$BACKUP_PATH" --swap "vda:$(image vda):qcow2" "vdb:$(image vdb):qcow2"
  restored
  answer 'true true true' '"\(.swapped) \(.disks[0].swapped) \(.disks[1].swapped)"'
  [[ $(stat -c '%u:%g %a' "$(image vda)") == '107:108 640' ]]
  held_now vda
  held_now vdb
  lab bitmaps "$VM"
  [[ -z $(lab bitmaps "$VM") ]]
  nothing_beside vda vdb
  lab vm-start "$VM"
  mirror_is "$BITMAP"
  lab write "$VM" vda 0x44 16M 64K
  ALLOWED=()
  full
  done_is full null
  identical
}
