#!/usr/bin/env bats
# Backups of a running machine on real libvirt; the oracle has the last word on each.

load host
load stubs
setup_file() { host_up; }
teardown_file() { host_down; }
setup() { use_host; }
teardown() { leave_host; }

@test "a full, incrementals over writes, zeroes and discards, a restart: identical and accounted" {
  new_vm vda:64M vdb:64M
  full
  done_is full null
  identical
  expect 'completed push backup-1001' '"\(.job.result) \(.done.transfer) \(.done.bitmapNew)"'
  [[ ${lines[-1]} == BITMAP_CREATED=backup-1001 ]]

  lab write-many "$VM" <<<$'write vda 0x22 4M 1M\nzero vda 1M 512K\ndiscard vdb 1M 64K\nwrite vdb 0x23 60M 64K'
  incremental
  done_is incremental regular
  identical
  accounted
  expect '1572864 131072' '[.disks[].dirtyBefore] | map(tostring) | join(" ")'
  expect true '.job.processed == ([.disks[].dirtyBefore] | add)'
  expect "../2026.01.01.00.00.01/root.$(basename "$(image vda)").qcow2" '.disks[0].backing'
  expect 'true false true 65536' '.disks[1].parentBitmap | "\(.recording) \(.inconsistent) \(.persistent) \(.granularity)"'
  [[ $output != *BITMAP_RECREATED* && $output != *INCREMENTAL_FALLBACK* ]]

  lab write "$VM" vda 0x24 8M 256K
  restart_vm
  lab write "$VM" vdb 0x25 9M 128K
  incremental
  done_is incremental redefined
  identical
  accounted
  [[ ${lines[0]} == BITMAP_RECREATED=backup-1002 && ${lines[-1]} == BITMAP_CREATED=backup-1003 ]]
  expect '262144 131072 redefined' '"\(.disks[0].dirtyBefore) \(.disks[1].dirtyBefore) \(.done.recreateMethod)"'

  incremental
  done_is incremental regular
  identical
  accounted
  identical backup-1001 "$VM/2026.01.01.00.00.01"
  identical backup-1002 "$VM/2026.01.01.00.00.02"
}

@test "QEMU closes its target a moment after libvirt has called the job completed: waited for, not failed" {
  new_vm vda:64M
  use_stubs
  stub virsh <<'END'
real "$@"
code=$?
if [[ " $* " == *' --completed '* && ! -e $CALLS ]]; then
  touch "$CALLS"
  target=$(<"$CALLS.target")
  # Somebody has it open for writing, as QEMU had.
  until [[ ${holder-} ]] && kill -0 "$holder" 2>/dev/null && ! qemu-img info "$target" >/dev/null 2>&1; do
    qemu-io -c 'sleep 1500' 'json:{"driver":"qcow2","backing":null,"file":{"driver":"file","filename":"'"$target"'"}}' </dev/null >/dev/null 2>&1 &
    holder=$!
    sleep 0.2
  done
fi
exit "$code"
END
  local target
  target=$NAS/$VM/2026.01.01.00.00.01/root.$(basename "$(image vda)").qcow2
  echo "$target" >"$CALLS.target"
  full
  done_is full null
  [[ -e $CALLS ]]
  identical
  lab write "$VM" vda 0x22 4M 1M
  rm "$CALLS"
  echo "${target/00.01/00.02}" >"$CALLS.target"
  incremental
  done_is incremental regular
  [[ -e $CALLS ]]
  identical
}

# bats test_tags=full
@test "kill -9 of QEMU: an honest full that clears our spoiled bitmaps away, and incrementals go on" {
  new_vm vda:64M vdb:64M
  full
  done_is full null
  restart_vm
  lab write "$VM" vda 0x22 4M 1M
  flush_vm vda vdb
  lab vm-crash "$VM"
  start_vm
  [[ $(lab bitmaps "$VM") == *inconsistent* ]]
  lab write "$VM" vda 0x23 5M 1M
  incremental
  done_is full bitmap-inconsistent
  identical
  [[ ${lines[0]} == INCREMENTAL_FALLBACK=true && ${lines[-1]} == BITMAP_CREATED=backup-1002 ]]
  [[ $(bitmaps_of) == 'vda backup-1002,vdb backup-1002,' ]]
  lab write "$VM" vdb 0x24 6M 1M
  incremental
  done_is incremental regular
  identical
  accounted
}

@test "a bitmap that is gone from one disk: a full of all by default, a mixture in one job when asked" {
  new_vm vda:64M vdb:64M
  full
  done_is full null
  identical
  lab write "$VM" vda 0x22 4M 1M
  lab vm-stop "$VM"
  lab bitmap-remove "$VM" vdb backup-1001
  start_vm
  lab write "$VM" vdb 0x23 5M 1M
  next
  lab moment "$VM" "$BITMAP"
  common
  script -o backup "${COMMON[@]}" -M incremental --bitmap-new "$BITMAP" --bitmap-parent "$PARENT" --disks "$(
    jq -nc --arg file "$PARENT_PATH/$(file_of "$(image vda)" 0)" '[{target:"vdb",mode:"full"},{target:"vda",mode:"incremental",parentFile:$file}]')"
  done_is incremental redefined
  identical
  accounted
  expect 'incremental full' '[.disks[].method] | join(" ")'
  expect 'true null' '"\(.disks[0].backing != null) \(.disks[1].backing)"'

  lab write "$VM" vdb 0x24 6M 1M
  incremental
  done_is incremental regular
  identical
  accounted

  lab vm-stop "$VM"
  lab bitmap-remove "$VM" vda backup-1003
  start_vm
  lab write "$VM" vda 0x25 7M 1M
  incremental
  done_is full bitmap-missing
  identical
  incremental
  done_is incremental regular
  identical
}

# bats test_tags=full
@test "a missing parent file, or a missing grandparent: a full with its reason" {
  new_vm vda:64M
  full
  done_is full null
  lab write "$VM" vda 0x22 4M 1M
  incremental
  done_is incremental regular
  mv "$NAS/$VM/2026.01.01.00.00.01" "$NAS/aside"
  lab write "$VM" vda 0x23 5M 1M
  incremental
  done_is full parent-file-missing
  identical
  mv "$NAS/$BACKUP_PATH" "$NAS/aside2"
  incremental
  done_is full parent-file-missing
  identical
  lab write "$VM" vda 0x24 6M 1M
  incremental
  done_is incremental regular
  identical
}

@test "a disk that was added is never left out: a full of all, or refused when the request does not name it" {
  new_vm vda:64M
  full
  done_is full null
  identical
  lab disk-add "$VM" vdb 64M
  lab write "$VM" vdb 0x22 4M 1M
  next
  lab moment "$VM" "$BITMAP"
  common
  script -o backup "${COMMON[@]}" -M incremental --bitmap-new "$BITMAP" --bitmap-parent "$PARENT" --disks "$(
    jq -nc --arg file "$PARENT_PATH/$(file_of "$(image vda)" 0)" '[{target:"vda",mode:"incremental",parentFile:$file}]')"
  failed_is disks-mismatch
  [[ ! -e $NAS/$BACKUP_PATH ]]
  forget
  next
  lab moment "$VM" "$BITMAP"
  common
  script -o backup "${COMMON[@]}" -M incremental --bitmap-new "$BITMAP" --bitmap-parent "$PARENT" --parent-paths "$PARENT_PATH/$(file_of "$(image vda)" 0)"
  done_is full disk-set-changed
  identical
  lab write "$VM" vdb 0x23 5M 1M
  incremental
  done_is incremental regular
  identical
  accounted
}

@test "two disks never lean on one file: a full of all" {
  new_vm vda:64M vdb:64M
  full
  done_is full null
  lab write "$VM" vdb 0x22 4M 1M
  next
  lab moment "$VM" "$BITMAP"
  common
  local root=$PARENT_PATH/$(file_of "$(image vda)" 0)
  script -o backup "${COMMON[@]}" -M incremental --bitmap-new "$BITMAP" --bitmap-parent "$PARENT" --parent-paths "$root,$root"
  done_is full disk-set-changed
  identical
}

@test "a disk that grew goes on; one that shrank is a full" {
  new_vm vda:64M
  full
  done_is full null
  lab disk-resize "$VM" vda 96M
  lab write "$VM" vda 0x22 90M 1M
  incremental
  done_is incremental regular
  identical
  accounted
  lab vm-stop "$VM"
  lab disk-resize "$VM" vda 64M
  start_vm
  lab write "$VM" vda 0x23 9M 1M
  incremental
  done_is full disk-shrunk
  identical
}

@test "a paused machine is backed up like a running one and stays paused" {
  new_vm vda:64M
  full
  done_is full null
  identical
  lab write "$VM" vda 0x22 4M 1M
  lab vm-pause "$VM"
  incremental
  done_is incremental regular
  identical
  accounted
  expect paused .vm.state
  [[ $(virsh_q domstate "$VM" --reason) == 'paused (user)'* ]]
}

@test "an image that cannot hold bitmaps, and a raw disk beside a good one: a full without a chain" {
  new_vm vda:64M:compat=0.10
  full
  done_is legacy-full image-unsupported
  identical
  expect null .done.bitmapNew
  [[ $output != *BITMAP_CREATED* && $output != *INCREMENTAL_FALLBACK* ]]
  incremental
  done_is legacy-full image-unsupported
  identical
  [[ ${lines[0]} == INCREMENTAL_FALLBACK=true ]]
  lab vm-remove "$VM"
  new_vm vda:64M vdb:64M:raw
  full
  done_is legacy-full image-unsupported
  identical
  [[ -z $(lab bitmaps "$VM") ]]
}

# bats test_tags=full
@test "without a mode: CloudStack's old full, no checkpoint" {
  new_vm vda:64M
  next && lab moment "$VM" "$BITMAP" && common && script -o backup "${COMMON[@]}"
  done_is legacy-full null
  identical
  [[ -z $(virsh_q checkpoint-list "$VM" --name) ]]
  ls "$NAS/$BACKUP_PATH" >"$BATS_TEST_TMPDIR/files"
  diff - "$BATS_TEST_TMPDIR/files" <<<$'domain-config.xml\ndomblklist.xml\ndomiflist.xml\ndominfo.xml\n'"$(file_of "$(image vda)" 0)"
}

# bats test_tags=full
@test "what lies there already is not touched: directory, checkpoint, bitmap" {
  new_vm vda:64M
  full
  done_is full null
  identical
  local before
  before=$(find "$NAS" -type f -exec sha256sum {} + | sort)
  common
  script -o backup "${COMMON[@]}" -M full --bitmap-new backup-2000
  failed_is target-exists
  [[ $(find "$NAS" -type f -exec sha256sum {} + | sort) == "$before" ]]
  next
  common
  script -o backup "${COMMON[@]}" -M full --bitmap-new "$PARENT"
  failed_is bitmap-exists
  restart_vm
  script -o backup "${COMMON[@]}" -M full --bitmap-new "$PARENT"
  failed_is bitmap-exists
  forget
  lab write "$VM" vda 0x22 4M 1M
  incremental
  done_is incremental redefined
  identical
}

# bats test_tags=full
@test "checkpoints and bitmaps of others stay" {
  new_vm vda:64M
  printf "<domaincheckpoint><name>theirs</name><disks><disk name='vda' checkpoint='bitmap'/></disks></domaincheckpoint>" >"$BATS_TEST_TMPDIR/c.xml"
  virsh_q checkpoint-create "$VM" "$BATS_TEST_TMPDIR/c.xml"
  full
  done_is full null
  identical
  restart_vm
  flush_vm vda
  lab vm-crash "$VM"
  start_vm
  incremental
  done_is full bitmap-inconsistent
  identical
  [[ $(bitmaps_of) == *'vda theirs,'* ]]
}

@test "what QEMU writes to has the clusters of its disk; for a raw one those of qemu-img" {
  new_vm vda:64M:cluster_size=1048576 vdb:32M:raw
  full
  done_is legacy-full image-unsupported
  expect '1048576 65536' '[.disks[].clusterSize] | map(tostring) | join(" ")'
  identical
}

# A QEMU that is making an image ends when it is asked for all its nodes (agent/README.md): the guest is gone, and its log says why.
lives() { [[ $(virsh_q domstate "$VM") == running ]] || { tail -n 3 "/var/log/libvirt/qemu/$VM.log" >&2 && return 1; }; }

@test "monitoring asks libvirt about all disks, without a pause, while backups begin: the guest lives" {
  new_vm vda:64M vdb:64M
  slow_nas
  local monitor monitors=()
  for monitor in 1 2; do
    (exec 3>&-; while virsh_q domstats "$VM" --block; do :; done) >/dev/null 2>&1 &
    monitors+=($!)
  done
  full
  done_is full null
  lives
  identical
  for transfer in push pull push pull; do
    lab write "$VM" vda 0x22 4M 1M
    incremental --transfer "$transfer"
    done_is incremental regular
    lives
    identical
  done
  kill -0 "${monitors[@]}"
  kill "${monitors[@]}"
  wait "${monitors[@]}" || :
}

@test "we look while another tool begins a backup, whose images QEMU makes: the guest lives" {
  new_vm vda:64M vdb:64M
  slow_nas
  line 4M
  mkdir -m 777 "$REPOSITORY/theirs"
  local round looker lookers=()
  for looker in 1 2; do
    (exec 3>&-; while [[ ! -e $BATS_TEST_TMPDIR/enough ]]; do "$SCRIPT" inspect -v "$VM" || exit; done) >"$BATS_TEST_TMPDIR/looks$looker" 2>&1 &
    lookers+=($!)
  done
  for round in {1..6}; do
    printf "<domainbackup><disks><disk name='vda' type='file'><target file='%s'/></disk></disks></domainbackup>" "$REPOSITORY/theirs/$round" >"$BATS_TEST_TMPDIR/theirs.xml"
    virsh_q backup-begin "$VM" "$BATS_TEST_TMPDIR/theirs.xml"
    until [[ $(virsh_q domjobinfo "$VM") == *None* ]]; do sleep 0.1; done
  done
  lives
  touch "$BATS_TEST_TMPDIR/enough"
  for looker in "${lookers[@]}"; do wait "$looker" || { tail -n 2 "$BATS_TEST_TMPDIR"/looks* && return 1; }; done
  grep -q '"operation":"Backup"' "$BATS_TEST_TMPDIR"/looks*
}
