#!/usr/bin/env bats
# Abort: within ten seconds the job is over, the guest runs, nothing is left, and the next backup of the chain is good.
load host.bash
load jobs.bash

setup_file() { host_up; }
teardown_file() { host_down; }
setup() { use_host; JOB=job-$BATS_TEST_NUMBER; host_conf; }
teardown() { leave_host; }

# abort ID: its answer in `output`, and no more than ten seconds.
abort() {
  local from=$SECONDS
  run --separate-stderr "$SCRIPT" abort --job "$1"
  echo "abort took $((SECONDS - from)) s: $output $stderr" >&2
  ((SECONDS - from <= 10))
}
# answer FILTER VALUE: of the last abort.
answer() { [[ $(jq -r "$1" <<<"$output") == "$2" ]] || { echo "$1 is not $2: $output" >&2 && return 1; }; }
guest_is() { [[ $(virsh_q domstate "$VM" --reason) == "$1 ("* ]]; }
no_mounts() { ! grep -F "$(cat "$(job_file "$1" tmp)")" /proc/self/mountinfo; }
# begun ID: the job of libvirt runs, slowly, and the operation stands still in the middle of it.
begun() { catch_job "${2:-}" && operation=$(operation_of "$1"); }

@test "in the middle of a running machine's incremental: cancelled in good order, the parent goes on" {
  big_vm
  start_full "$JOB-1" >/dev/null
  ends "$JOB-1" done
  identical
  lab write "$VM" vda 0x6b 8M 200M
  start_incremental "$JOB-2" >/dev/null
  catch_job
  abort "$JOB-2"
  [ "$status" -eq 0 ]
  answer '"\(.state) \(.exit) \(.aborted) \(.abort.how) \(.abort.left)"' 'done 1 true term []'
  guest_is running
  no_mounts "$JOB-2"
  [ ! -e "$NAS/$BACKUP_PATH" ]
  lab leaks "${ALLOWED[@]}"
  output=$(said "$JOB-2" stdout)
  expect job-cancelled .error.code
  forget
  lab write "$VM" vda 0x7c 1M 64K
  start_incremental "$JOB-3" >/dev/null
  ends "$JOB-3" done
  output=$(said "$JOB-3" stdout)
  expect incremental .done.mode
  identical
}

@test "in the middle of a stopped machine's convert: no bitmap, no file, no mount stays" {
  big_vm
  lab vm-stop "$VM"
  DISK_PATHS=$(all_images)
  start_full "$JOB" >/dev/null
  for _ in {1..500}; do
    convert=$(ps -C qemu-img -o pid=,args= | awk -v nas="$BACKUP_PATH" '/ convert / && index($0, nas) { print $1; exit }')
    [[ ! $convert ]] || break
  done
  # Stopped in mid-copy it cannot answer TERM, as one that waits for a slow NAS cannot.
  kill -STOP "$convert"
  abort "$JOB"
  [ "$status" -eq 0 ]
  answer '"\(.state) \(.exit) \(.abort.how) \(.abort.left)"' 'done 1 term []'
  no_mounts "$JOB"
  [ ! -e "$NAS/$BACKUP_PATH" ]
  [ -z "$(lab bitmaps "$VM")" ]
  [ ! -e "/proc/$convert" ]
  lab vm-start "$VM"
}

@test "an operation that does not answer is killed, libvirt's job ended, its mount taken away" {
  big_vm
  start_full "$JOB" >/dev/null
  begun "$JOB"
  kill -STOP "$operation"
  abort "$JOB"
  [ "$status" -eq 0 ]
  answer '"\(.state) \(.exit) \(.abort.how) \(.abort.libvirtJob) \(.abort.left)"' 'done 137 kill aborted []'
  guest_is running
  no_mounts "$JOB"
  [[ $(virsh_q domjobinfo "$VM") == *'Job type:'*None* ]]
  # The checkpoint of a run that was never recorded goes by retire, and a new full works.
  script retire -v "$VM" --bitmap "$BITMAP" --fence 1
  [ "$status" -eq 0 ]
  rm -rf "${NAS:?}/$BACKUP_PATH" "$LAB_DIR"/host/state/work.*
  start_full "$JOB-again" >/dev/null
  ends "$JOB-again" done
  output=$(said "$JOB-again" stdout)
  expect full .done.mode
  identical
}

@test "a job killed outright leaves libvirt's job running: status is unknown, abort ends it" {
  big_vm
  start_full "$JOB" >/dev/null
  begun "$JOB"
  kill -KILL -- "-$(runner_of "$JOB")"
  ends "$JOB" unknown
  [[ $(virsh_q domjobinfo "$VM") == *Backup* ]]
  abort "$JOB"
  [ "$status" -eq 0 ]
  answer '"\(.state) \(.abort.libvirtJob) \(.abort.left)"' 'unknown aborted []'
  guest_is running
  no_mounts "$JOB"
  script retire -v "$VM" --bitmap "$BITMAP" --fence 1
  rm -rf "${NAS:?}/$BACKUP_PATH" "$LAB_DIR"/host/state/work.*
}

@test "a guest that our job stopped with an I/O error is resumed, and one that was paused before is not" {
  # It writes above 192M while the job is still at the data below: each of its writes is copied to the NAS first.
  lab vm-create "$VM" vda:256M
  lab write "$VM" vda 0x5a 16M 150M
  lab write "$VM" vda 0x5b 192M 32M
  lab boot-writer "$VM" 192M
  lab vm-start "$VM"
  for _ in {1..100}; do [[ $(virsh_q domblkstat "$VM" vda) == *'wr_req 0'* ]] || break; sleep 0.1; done
  REPOSITORY=$(lab nas-small 400 small)
  start_full "$JOB" >/dev/null
  begun "$JOB" 100000
  kill -STOP "$operation"
  dd if=/dev/zero of="$REPOSITORY/ballast" bs=1M status=none || :
  for _ in {1..100}; do [[ $(virsh_q domstate "$VM" --reason) == 'paused (I/O error)' ]] && break; sleep 0.1; done
  [ "$(virsh_q domstate "$VM" --reason)" = 'paused (I/O error)' ]
  abort "$JOB"
  [ "$status" -eq 0 ]
  answer '"\(.state) \(.abort.how) \(.abort.resumed) \(.abort.left)"' 'done kill true []'
  guest_is running
  before=$(virsh_q domblkstat "$VM" vda | grep wr_req)
  sleep 0.5
  [ "$(virsh_q domblkstat "$VM" vda | grep wr_req)" != "$before" ]
  script retire -v "$VM" --bitmap "$BITMAP" --fence 1
  [ "$status" -eq 0 ]
  rm -rf "${REPOSITORY:?}"/*/ "$REPOSITORY/ballast" "$LAB_DIR"/host/state/work.*

  lab vm-pause "$VM"
  start_full "$JOB-paused" >/dev/null
  catch_job
  abort "$JOB-paused"
  [ "$status" -eq 0 ]
  answer .abort.resumed false
  guest_is paused
}

@test "a stock script: everything in it ends, its mount and its backup job go; somebody else's job stays" {
  big_vm
  stock <<SH
#!/bin/bash
mount=\$(mktemp -d -t csbackup.XXXXX); mount --bind $NAS "\$mount"; mkdir -p "\$mount/$VM"; chmod 777 "\$mount/$VM"
printf "<domainbackup><disks><disk name='vda' type='file'><target file='%s'/><driver type='qcow2'/></disk></disks></domainbackup>" "\$mount/$VM/vda.qcow2" >"\$mount/b.xml"
virsh -q -c qemu:///system backup-begin $VM "\$mount/b.xml" || exit 1
until virsh -q -c qemu:///system domjobinfo $VM --completed --keep-completed | grep -q Completed; do sleep 0.2; done
SH
  start "$JOB-1" stock -o backup -v "$VM" -p "$VM/1" >/dev/null
  catch_job
  abort "$JOB-1"
  [ "$status" -eq 0 ]
  answer '"\(.state) \(.exit) \(.abort.how) \(.abort.libvirtJob) \(.abort.left)"' 'done 143 term aborted []'
  guest_is running
  no_mounts "$JOB-1"
  [ "$(grep -c "$NAS" /proc/self/mountinfo)" -eq 0 ]

  stock <<<$'#!/bin/bash\nexec sleep 60'
  start "$JOB-2" stock -o backup -v "$VM" -p "$VM/2" >/dev/null
  printf "<domainbackup><disks><disk name='vda' type='file'><target file='%s'/><driver type='qcow2'/></disk></disks></domainbackup>" "$NAS/other.qcow2" >"$BATS_TEST_TMPDIR/b.xml"
  virsh_q backup-begin "$VM" "$BATS_TEST_TMPDIR/b.xml"
  catch_job
  operation_of "$JOB-2"
  abort "$JOB-2"
  answer '"\(.state) \(.abort.libvirtJob)"' 'done foreign'
  [[ $(virsh_q domjobinfo "$VM") == *Backup* ]]
  virsh_q domjobabort "$VM"
}

@test "abort of a job that is done, absent or aborted already changes nothing" {
  stock <<<$'#!/bin/bash\nsleep 30'
  abort "$JOB-none"
  answer '"\(.state) \(.abort.how)"' 'absent none'
  start "$JOB" stock -o backup -v "$VM" >/dev/null
  # At once: it may not have begun yet.
  abort "$JOB"
  answer '"\(.state) \(.aborted) \(.abort.how)"' 'done true term'
  abort "$JOB"
  answer '"\(.state) \(.aborted) \(.abort.how)"' 'done true none'
  stock <<<$'#!/bin/bash\nexit 3'
  start "$JOB-ended" stock -o backup -v "$VM" >/dev/null
  ends "$JOB-ended" done
  abort "$JOB-ended"
  answer '"\(.state) \(.exit) \(.aborted)"' 'done 3 false'
}
