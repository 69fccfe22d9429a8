#!/usr/bin/env bats
# Backups of a stopped machine: the bitmap is there before the first byte is read, or there is none at all.

load host
load stubs
setup_file() { host_up; }
teardown_file() { host_down; }
setup() { use_host; host_conf; }
teardown() { leave_host; }

stop_vm() { lab vm-stop "$VM" && DISK_PATHS=$(all_images); }
go_on() { start_vm && DISK_PATHS=''; }

@test "seeded before the copy: what was written since the start is in the next incremental" {
  new_vm vda:64M vdb:32M
  stop_vm
  full
  done_is full null
  identical
  expect 'offline backup-1001 converted,converted' '"\(.done.transfer) \(.done.bitmapNew) \([.disks[].method] | join(","))"'
  expect 'shut off null' '"\(.vm.state) \(.vm.qemuStarted)"'
  # Seed's way: one size for each file, in the order of the disks, then the bitmap.
  local sizes
  sizes=$(lab vm-disks "$VM" | { i=0; while read -r _ path _; do stat -c %s "$NAS/$BACKUP_PATH/$(file_of "$path" "$i")"; i=1; done; })
  [[ $(grep -E '^[0-9]+$' <<<"$output") == "$sizes" && ${lines[-1]} == BITMAP_CREATED=backup-1001 ]]
  [[ $(bitmaps_of) == 'vda backup-1001,vdb backup-1001,' ]]

  go_on
  lab write-many "$VM" <<<$'write vda 0x22 4M 1M\nwrite vdb 0x23 5M 64K'
  incremental
  done_is incremental redefined
  identical
  accounted
  expect '1048576 65536' '[.disks[].dirtyBefore] | map(tostring) | join(" ")'
}

@test "a limit in MiB a second holds for both disks of a stopped machine together" {
  new_vm vda:64M vdb:64M
  lab write-many "$VM" <<<$'write vda 0x33 8M 14M\nwrite vdb 0x34 8M 14M'
  stop_vm
  full -b 8
  done_is full null
  identical
  # 28 MiB at 8 MiB a second, less what is let through at once; without a limit it is done within one.
  expect true '.timings.job >= 2000'
  expect 'offline 8' '"\(.done.transfer) \(.done.bandwidth)"'
}

# bats test_tags=full
@test "an incremental of a stopped machine is a full that says so, and takes nothing from the chain before it" {
  new_vm vda:64M
  full
  done_is full null
  identical
  lab write "$VM" vda 0x22 4M 1M
  stop_vm
  incremental --fence 1
  done_is full vm-stopped
  identical
  [[ $output == *INCREMENTAL_FALLBACK=true* && $stderr != *INCREMENTAL_FALLBACK* ]]
  # The parent's bitmap stays until the books have the child.
  [[ $(bitmaps_of) == 'vda backup-1001,vda backup-1002,' ]]
  go_on
  lab write "$VM" vda 0x23 5M 1M
  incremental
  done_is incremental redefined
  identical
  accounted
}

# bats test_tags=full
@test "images that cannot hold bitmaps: a full without a chain" {
  new_vm vda:64M:compat=0.10 vdb:32M:raw
  stop_vm
  full --disks "$(lab vm-disks "$VM" | jq -Rnc '[inputs | split("\t") | {target: .[0], path: .[1], format: (if .[0] == "vdb" then "raw" else "qcow2" end)}]')"
  done_is legacy-full image-unsupported
  identical
  expect 'null vda,vdb' '"\(.done.bitmapNew) \([.disks[].target] | join(","))"'
  [[ $output != *BITMAP_CREATED* && -z $(lab bitmaps "$VM") ]]
}

@test "a disk that somebody uses, or that is gone: refused, and no bitmap is left on the others" {
  new_vm vda:64M vdb:32M
  stop_vm
  mkfifo "$BATS_TEST_TMPDIR/hold"
  qemu-io -f qcow2 "$(image vdb)" <"$BATS_TEST_TMPDIR/hold" >"$BATS_TEST_TMPDIR/holder" 2>&1 3>&- &
  local holder=$!
  exec 7>"$BATS_TEST_TMPDIR/hold"
  for _ in {1..200}; do qemu-img info "$(image vdb)" >/dev/null 2>&1 || break; sleep 0.02; done
  full
  exec 7>&-
  wait "$holder"
  failed_is image-in-use
  untouched
  [[ -z $(lab bitmaps "$VM") ]]

  forget
  mv "$(image vdb)" "$BATS_TEST_TMPDIR/aside"
  full
  mv "$BATS_TEST_TMPDIR/aside" "$(image vdb)"
  failed_is disk-unreadable
  untouched
  [[ -z $(lab bitmaps "$VM") ]]
  forget
  full
  done_is full null
  identical
}

# bats test_tags=full
@test "a NAS that fills while it is written: no bitmap and no file stays, and a good full follows" {
  new_vm vda:64M
  lab write "$VM" vda 0x5a 4M 40M
  stop_vm
  REPOSITORY=$(lab nas-small 24 "small$BATS_TEST_NUMBER")
  # It says that there is room, as a NAS with a quota does.
  use_stubs
  stub stat <<<'[[ "$*" != *-f* ]] && real "$@" || echo "4096 99999999 99999999"'
  full
  failed_is target-full
  untouched
  [[ -z $(lab bitmaps "$VM") && -z $(ls "$REPOSITORY") ]]
  forget
  REPOSITORY=$NAS
  full
  done_is full null
  identical
  go_on
  lab write "$VM" vda 0x22 4M 1M
  incremental
  done_is incremental redefined
  identical
  accounted
}

@test "a bitmap that cannot be seeded on every disk is on none" {
  new_vm vda:64M vdb:32M
  stop_vm
  use_stubs
  stub qemu-img <<<'[[ "$*" == "bitmap --add"*'"$(image vdb)"'* ]] && { echo "no bitmap today" >&2; exit 1; }; real "$@"'
  full
  failed_is seed-failed
  untouched
  expect 'Failed to pre-seed bitmap' '.error.message[0:25]'
  [[ $output == *'no bitmap today'* && -z $(lab bitmaps "$VM") ]]
}

# bats test_tags=full
@test "a machine that libvirt keeps the definition of is backed up without a list of its disks" {
  new_vm vda:64M
  lab vm-stop "$VM"
  virsh_q define "$LAB_DIR/run/$VM.xml"
  full
  virsh_q undefine "$VM"
  done_is full null
  identical
  expect vda '.disks[0].target'
}

# begin_slowly: a full of a stopped machine, which a slow line holds in the middle.
begin_slowly() {
  slow_nas "$@"
  new_vm vda:64M
  scatter
  stop_vm
  line 256K
  next
  lab moment "$VM" "$BITMAP"
  common
  begin -o backup "${COMMON[@]}" -M full --bitmap-new "$BITMAP"
  converting
}

@test "a NAS that others fill meanwhile: stopped by the reserve" {
  local small
  host_conf reserve_bytes=20000000
  small=$(lab nas-small 100 "other$BATS_TEST_NUMBER")
  begin_slowly "$small"
  leave_free "$small" 10000000
  ended_within 25
  end
  line unlimited
  failed_is target-full
  untouched
  [[ -z $(lab bitmaps "$VM") ]]
  rm "$small/filler"
  forget
  full
  done_is full null
  identical
}

# bats test_tags=full
@test "a NAS that hangs: given up after a while, and left to people; when it answers again a good full follows" {
  local dir
  use_stubs
  sooner SILENCE_SECONDS 3
  begin_slowly
  line 0
  ended_within 60
  end
  [[ $status -eq 20 ]]
  expect 'target-hung none' '"\(.error.code) \(.done.mode)"'
  [[ $(fact '.cleanup.left | join(" ")') == *"directory $BACKUP_PATH"* ]]
  line unlimited
  for _ in {1..200}; do pgrep -f "^qemu-img convert .*/$BACKUP_PATH/" >/dev/null || break; sleep 0.1; done
  dir=$(mount_of_run)
  [[ ! $dir ]] || leave_mount "$dir"
  rm -rf "${REPOSITORY:?}/$BACKUP_PATH"
  # A reader that could not be ended has held the disk.
  [[ -z $(lab bitmaps "$VM") ]] || qemu-img bitmap --remove "$(image vda)" "$BITMAP"
  forget
  full
  done_is full null
  identical
}

@test "a disk that is no file may be as large as it is: what the NAS cannot hold does not begin" {
  REPOSITORY=$(lab nas-small 24 "small$BATS_TEST_NUMBER")
  use_stubs
  stub qemu-img <<'END'
[[ "$*" == info*rbd:* ]] || real "$@"
echo '{"virtual-size": 67108864, "format": "raw", "actual-size": 0}'
END
  DISK_PATHS=rbd:pool/volume
  next
  common
  script -o backup "${COMMON[@]}" -M full --bitmap-new "$BITMAP"
  failed_is target-full
  [[ $output == *'the backup may take 67108864'* && -z $(ls "$REPOSITORY") ]]
}

# seen VALUE FILTER: jq on what an inspection says.
seen() {
  local is
  is=$(jq -r "$2" <<<"$output")
  [[ $is == "$1" ]] || { printf '%s is %s, not %s\n%s\n' "$2" "$is" "$1" "$output" >&2 && return 1; }
}
# fake TARGET OPTION...: the begin of a raw disk as its guest may write it: the header of a qcow2.
fake() {
  qemu-img create -q -f qcow2 "${@:2}" "$BATS_TEST_TMPDIR/fake" 16M
  dd if="$BATS_TEST_TMPDIR/fake" of="$(image "$1")" conv=notrunc status=none
}

@test "a raw disk that its guest made look like a qcow2: no other file is read, and it is what somebody says it is" {
  local disks beside
  new_vm vda:64M vdb:32M:raw
  stop_vm
  beside=$(dirname "$(image vdb)")/beside
  printf 'of the host' >"$BATS_TEST_TMPDIR/secret"
  fake vdb -b "$BATS_TEST_TMPDIR/secret" -F raw
  script inspect -v "$VM" -d "$DISK_PATHS"
  seen 'image-unsafe null' '"\([.problems[].code] | join(",")) \(.disks[1].virtualSize)"'
  full
  failed_is image-unsafe
  untouched
  # Beside it, and by a format that would have QEMU read more; by a file of data.
  printf 'of the host' >"$beside"
  fake vdb -u -b "$beside" -F vmdk
  forget
  full
  failed_is image-unsafe
  fake vdb -u -b beside -F qcow2
  forget
  full
  rm "$beside"
  failed_is image-unsafe
  fake vdb -o "data_file=$BATS_TEST_TMPDIR/data,data_file_raw=on"
  forget
  full
  failed_is image-unsafe
  untouched

  disks=$(lab vm-disks "$VM" | jq -Rnc '[inputs | split("\t") | {target: .[0], path: .[1], format: (if .[0] == "vdb" then "raw" else "qcow2" end)}]')
  forget
  full --disks "$disks"
  done_is legacy-full image-unsupported
  qemu-img compare -f qcow2 -F raw "$NAS/$BACKUP_PATH/$(file_of "$(image vdb)" 1)" "$(image vdb)"
  # So does the definition of a machine that libvirt keeps.
  virsh_q define "$LAB_DIR/run/$VM.xml"
  script inspect -v "$VM" -d "$DISK_PATHS"
  virsh_q undefine "$VM"
  seen 'raw 33554432 0' '"\(.disks[1].format) \(.disks[1].virtualSize) \(.problems | map(select(.code == "image-unsafe")) | length)"'
}

@test "a volume on a template beside it: its backup holds both" {
  local template
  new_vm vda:64M
  stop_vm
  template=$(dirname "$(image vda)")/template-$VM
  qemu-img create -q -f qcow2 "$template" 64M
  qemu-img rebase -u -f qcow2 -b "$template" -F qcow2 "$(image vda)"
  full
  done_is full null
  identical
  qemu-img rebase -u -f qcow2 -b '' "$(image vda)"
  rm "$template"
}
