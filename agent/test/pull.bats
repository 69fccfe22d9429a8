#!/usr/bin/env bats
# Pull: what the guest overwrites goes to scratch files of the host, and our readers copy what the disks held at the checkpoint.

load host
load stubs
setup_file() { host_up; }
teardown_file() { host_down; }
setup() { use_host; host_conf; }
teardown() { leave_host; }

no_scratch() { [[ -z $(find "$LAB_DIR/host/scratch" -mindepth 1) ]] || { find "$LAB_DIR/host/scratch" >&2; return 1; }; }

@test "a full and incrementals over two disks, zeroes, discards and a restart: identical and accounted" {
  new_vm vda:64M vdb:32M
  full --transfer pull
  done_is full null
  identical
  no_scratch
  expect 'completed pull full,full' '"\(.job.result) \(.done.transfer) \([.disks[].method] | join(","))"'
  expect true '.job.processed == .job.total and .job.total == 100663296'
  # Nobody wrote.
  expect null .guest.slowestWriteMs
  [[ $output == *'Job type:'*Completed* && ${lines[-1]} == BITMAP_CREATED=backup-1001 ]]

  lab write-many "$VM" <<<$'write vda 0x22 4M 6M\nzero vda 1M 512K\ndiscard vdb 1M 64K\nwrite vdb 0x23 30M 64K'
  incremental --transfer pull
  done_is incremental regular
  identical
  accounted
  no_scratch
  expect '6815744 131072' '[.disks[].dirtyBefore] | map(tostring) | join(" ")'
  expect true '.job.processed == ([.disks[] | .ownData + .ownZero] | add)'
  expect "../2026.01.01.00.00.01/root.$(basename "$(image vda)").qcow2" '.disks[0].backing'

  restart_vm
  lab write "$VM" vdb 0x25 9M 128K
  incremental --transfer pull
  done_is incremental redefined
  identical
  accounted

  # The two ways go together in one chain.
  lab write "$VM" vda 0x26 11M 128K
  incremental
  done_is incremental regular
  identical
  accounted
  incremental --transfer pull
  done_is incremental regular
  identical
  accounted
  identical backup-1001 "$VM/2026.01.01.00.00.01"
}

# writing_vm [BASE]: a guest that writes all the time, from BASE + 8M to BASE + 16M of vda, where there is data already.
writing_vm() {
  lab vm-create "$VM" vda:128M
  lab write "$VM" vda 0x5a 4M 100M
  lab boot-writer "$VM" "${1:-0}"
  lab vm-start "$VM"
  for _ in {1..200}; do (($(writes) > 0)) && return 0; sleep 0.1; done
  return 1
}
writes() { virsh_q domblkstat "$VM" vda | awk '/wr_req/ { print $3 }'; }
# it_writes: more than before, within two seconds.
it_writes() {
  local before
  before=$(writes)
  for _ in {1..40}; do (($(writes) > before)) && return 0; sleep 0.05; done
  virsh_q domstate "$VM" --reason >&2
  return 1
}
# begin_pull: a full in the background, its export open.
begin_pull() {
  next
  common
  begin -o backup "${COMMON[@]}" -M full --bitmap-new "$BITMAP" --transfer pull
  for _ in {1..400}; do [[ $(virsh_q domjobinfo "$VM" 2>/dev/null) == *Backup* ]] && return 0; sleep 0.05; done
  return 1
}
# as_paused: the guest cannot be known by a mirror; paused it can be compared with its own image.
as_paused() {
  lab vm-pause "$VM"
  next
  common
  script -o backup "${COMMON[@]}" "$@" --bitmap-new "$BITMAP" --transfer pull
  [[ $status -eq 0 ]] || { printf '%s\n%s\n' "$output" "$stderr" >&2; return 1; }
  ALLOWED+=("$BITMAP")
  local copy=$BATS_TEST_TMPDIR/held.qcow2
  virsh_q qemu-monitor-command "$VM" --hmp 'qemu-io -d /machine/peripheral/virtio-disk0/virtio-backend flush' >/dev/null
  cp "$(image vda)" "$copy"
  qemu-img compare -f qcow2 -F qcow2 "$copy" "$REPOSITORY/$BACKUP_PATH/$(file_of "$(image vda)" 0)"
  lab vm-resume "$VM"
}

# bats test_tags=full
@test "a NAS that hangs: the guest writes on, TERM is answered, and when it answers again a full and an incremental are true" {
  REPOSITORY=$(lab nas-slow "hang$BATS_TEST_NUMBER")
  writing_vm
  lab nas-speed "hang$BATS_TEST_NUMBER" 2M
  begin_pull
  lab nas-speed "hang$BATS_TEST_NUMBER" 0
  it_writes
  sleep 1
  it_writes
  kill -TERM "$SCRIPT_PID"
  ended_within 40 || { lab nas-speed "hang$BATS_TEST_NUMBER" unlimited && false; }
  end
  it_writes
  [[ $(virsh_q domjobinfo "$VM") == *'Job type:'*None* && -z $(virsh_q checkpoint-list "$VM" --name) ]]
  lab nas-speed "hang$BATS_TEST_NUMBER" unlimited
  [[ $status -eq 20 ]]
  expect 'job-cancelled none' '"\(.error.code) \(.done.mode)"'
  no_scratch
  local dir
  for dir in $(mount_of_run); do for _ in {1..50}; do umount "$dir" && break; sleep 0.2; done; rmdir "$dir"; done
  rm -rf "${REPOSITORY:?}/$VM"
  as_paused -M full
  it_writes
  as_paused -M incremental --bitmap-parent "$BITMAP" --parent-path "$BACKUP_PATH/$(file_of "$(image vda)" 0)"
}

@test "scratch that fills: stopped by the reserve before the guest feels it; without a reserve the guest is resumed" {
  local scratch
  REPOSITORY=$(lab nas-slow "slow$BATS_TEST_NUMBER")
  scratch=$(lab nas-small 8 "scratch$BATS_TEST_NUMBER")
  writing_vm
  lab nas-speed "slow$BATS_TEST_NUMBER" 8M
  host_conf "scratch_dir=$scratch" reserve_bytes=3000000
  begin_pull
  ended_within 200
  end
  [[ $status -eq 1 ]]
  expect 'scratch-full null null' '"\(.error.code) \(.guest.pausedMs) \(.guest.resumed)"'
  it_writes
  untouched
  [[ -z $(find "$scratch" -mindepth 1) ]]

  host_conf "scratch_dir=$scratch" reserve_bytes=0
  begin_pull
  ended_within 200
  end
  [[ $status -eq 1 ]]
  expect 'scratch-full true' '"\(.error.code) \(.guest.resumed)"'
  it_writes
  untouched

  host_conf
  lab nas-speed "slow$BATS_TEST_NUMBER" unlimited
  as_paused -M full
}

@test "reads that fail tell it in words and not by qemu-io's exit code: a NAS that fills under an incremental fails it" {
  host_conf reserve_bytes=0
  REPOSITORY=$(lab nas-small 200 filled)
  new_vm vda:64M
  use_stubs
  stub qemu-io <<'END'
if [[ $1 == -C && -e $CALLS.fill ]]; then
  rm "$CALLS.fill"
  dd if=/dev/zero of="$(<"$CALLS.nas")/filler" bs=64K 2>/dev/null
fi
real "$@"
END
  echo "$REPOSITORY" >"$CALLS.nas"
  full --transfer pull
  done_is full null
  lab write "$VM" vda 0x22 4M 16M
  touch "$CALLS.fill"
  incremental --transfer pull
  [[ ! -e $CALLS.fill ]]
  rm "$REPOSITORY/filler"
  failed_is target-full
  forget
  incremental --transfer pull
  done_is incremental regular
  identical
  accounted
}

@test "auto: pull when the scratch can hold all that may come, else push; the reason is told" {
  new_vm vda:64M
  full --transfer auto
  done_is full null
  identical
  expect pull .done.transfer
  [[ $(fact .done.transferReason) == 'scratch has '*', enough for '* ]]
  lab write "$VM" vda 0x22 4M 1M
  host_conf "scratch_dir=$(lab nas-small 2 "tiny$BATS_TEST_NUMBER")"
  incremental --transfer auto
  done_is incremental regular
  identical
  accounted
  expect push .done.transfer
  [[ $(fact .done.transferReason) == 'scratch has '*' may be needed' ]]
}

# bats test_tags=full
@test "what a write of the guest took is in the facts: the stall of a NAS that stands still by push, and not by pull" {
  local way slowest
  REPOSITORY=$(lab nas-slow "felt$BATS_TEST_NUMBER")
  # The job comes to where it writes long after.
  writing_vm 64M
  for way in push pull; do
    next
    common
    lab nas-speed "felt$BATS_TEST_NUMBER" 4M
    begin -o backup "${COMMON[@]}" -M full --bitmap-new "$BITMAP" --transfer "$way"
    for _ in {1..400}; do [[ $(virsh_q domjobinfo "$VM" 2>/dev/null) == *Backup* ]] && break; sleep 0.05; done
    lab nas-speed "felt$BATS_TEST_NUMBER" 0
    sleep 3
    lab nas-speed "felt$BATS_TEST_NUMBER" unlimited
    end
    [[ $status -eq 0 ]] || { printf '%s\n%s\n' "$output" "$stderr" >&2; false; }
    ALLOWED+=("$BITMAP")
    slowest=$(fact .guest.slowestWriteMs)
    echo "$way: $slowest ms" >&2
    if [[ $way == push ]]; then ((slowest >= 2000)); else [[ $slowest != null ]]; fi
    # QEMU counts no longer.
    [[ $(virsh_q qemu-monitor-command "$VM" '{"execute":"query-blockstats"}') != *latency_histogram* ]]
  done
  # What somebody else counts is left alone, and is not known here.
  virsh_q qemu-monitor-command "$VM" '{"execute":"block-latency-histogram-set","arguments":{"id":"/machine/peripheral/virtio-disk0/virtio-backend","boundaries":[1000]}}'
  next
  common
  script -o backup "${COMMON[@]}" -M full --bitmap-new "$BITMAP"
  done_is full null
  ALLOWED+=("$BITMAP")
  expect null .guest.slowestWriteMs
  [[ $(virsh_q qemu-monitor-command "$VM" '{"execute":"query-blockstats"}') == *latency_histogram* ]]
}

# bats test_tags=full
@test "a limit in MiB a second holds for all disks together, of a full and an incremental; a push that cannot keep it is refused" {
  new_vm vda:64M vdb:64M vdc:64M vdd:64M
  lab write-many "$VM" <<<$'write vda 0x33 8M 4M\nwrite vdb 0x34 8M 4M\nwrite vdc 0x35 8M 4M\nwrite vdd 0x36 8M 4M'
  full --transfer pull -b 4
  done_is full null
  identical
  # 16 MiB at 4 MiB a second, less what is let through at once. Each of them by itself would be done in a quarter of that.
  expect true '.timings.job >= 3000'
  expect '4 null' '"\(.done.bandwidth) \(.done.transferReason)"'
  lab write-many "$VM" <<<$'write vda 0x43 8M 6M\nwrite vdb 0x44 8M 6M\nwrite vdc 0x45 8M 6M\nwrite vdd 0x46 8M 6M'
  incremental --transfer auto -b 4
  done_is incremental regular
  identical
  accounted
  # 24 MiB.
  expect true '.timings.job >= 4500'
  expect 'pull 4 only a pull keeps a limit' '"\(.done.transfer) \(.done.bandwidth) \(.done.transferReason)"'
  expect true '.job.processed == 25165824'

  incremental --transfer push -b 8
  failed_is push-unlimited
  expect null .done.bandwidth
  untouched
  forget
  # CloudStack says nothing of the way.
  incremental -b 999999
  done_is incremental regular
  identical
  expect 'pull 999999' '"\(.done.transfer) \(.done.bandwidth)"'
  no_scratch
}

@test "under a limit the copy of one disk that fails ends the run, and the next one is not begun" {
  local CONVERT='' of
  REPOSITORY=$NAS
  new_vm vda:64M vdb:64M
  lab write "$VM" vda 0x33 8M 24M
  next && lab moment "$VM" "$BITMAP" && common
  begin -o backup "${COMMON[@]}" -M full --bitmap-new "$BITMAP" --transfer pull -b 1
  converting
  of=$(pgrep -af "^qemu-img convert .*/$BACKUP_PATH/")
  [[ $of == *'///vda?'* && $of != *'///vdb?'* ]]
  kill -9 "$CONVERT"
  ended_within 20
  end
  failed_is copy-failed
  [[ $stderr == *'Copying vda failed'* ]]
  untouched
  no_scratch
}

@test "a NAS that fills while the readers write: stopped by the reserve, and a good incremental follows" {
  local small
  host_conf reserve_bytes=20000000
  small=$(lab nas-small 100 "small$BATS_TEST_NUMBER")
  slow_nas "$small"
  new_vm vda:64M
  full --transfer pull
  done_is full null
  scatter
  line 256K
  begin_incremental --transfer pull
  for _ in {1..600}; do [[ $(virsh_q domjobinfo "$VM" 2>/dev/null) == *Backup* ]] && break; sleep 0.05; done
  leave_free "$small" 10000000
  ended_within 25
  end
  line unlimited
  failed_is target-full
  untouched
  no_scratch
  [[ $(virsh_q domstate "$VM") == running* ]]
  rm "$small/filler"
  forget
  incremental --transfer pull
  done_is incremental regular
  identical
  accounted
}
