#!/usr/bin/env bats
# Abort: within ten seconds the job is over, the guest runs, nothing is left, and the next backup of the chain is good.
load host.bash
load jobs.bash
load stubs

setup_file() { host_up; }
teardown_file() { host_down; }
setup() { use_host; JOB=job-$BATS_TEST_NUMBER; host_conf; }
teardown() { leave_host; }

# abort ID: its answer in `output`, within ten seconds.
abort() {
  local from took
  patience 10
  from=${EPOCHREALTIME/./}
  run --separate-stderr "$SCRIPT" abort --job "$1"
  took=$((${EPOCHREALTIME/./} - from))
  echo "abort took $((took / 1000)) of $((REPLY / 1000)) ms: $output $stderr" >&2
  ((took <= REPLY))
}
# answer FILTER VALUE: of the last abort.
answer() { [[ $(jq -r "$1" <<<"$output") == "$2" ]] || { echo "$1 is not $2: $output" >&2 && return 1; }; }
guest_is() { [[ $(virsh_q domstate "$VM" --reason) == "$1 ("* ]]; }
no_mounts() { ! grep -F "$(cat "$(job_file "$1" tmp)")" /proc/self/mountinfo; }
job_is_gone() { [[ $(virsh_q domjobinfo "$VM") == *'Job type:'*None* ]]; }
# scattered_vm: a full of it takes seconds on the slow line.
scattered_vm() { slow_nas && new_vm vda:64M && scatter && line "$SLOW"; }
# full_again ID: after what an aborted full may leave is taken away, as reconciliation does.
full_again() {
  script retire -v "$VM" --bitmap "$BITMAP" --fence 1
  [ "$status" -eq 0 ]
  rm -rf "${REPOSITORY:?}/$BACKUP_PATH" "$LAB_DIR"/host/state/work.*
  start_full "$1" >/dev/null
  ends "$1" done
  output=$(said "$1" stdout)
  expect full .done.mode
  identical
}

@test "in the middle of a running machine's incremental: cancelled in good order, the parent goes on" {
  slow_nas
  new_vm vda:64M
  start_full "$JOB-1" >/dev/null
  ends "$JOB-1" done
  identical
  scatter
  line "$SLOW"
  start_incremental "$JOB-2" >/dev/null
  caught
  abort "$JOB-2"
  [ "$status" -eq 0 ]
  answer '"\(.state) \(.exit) \(.aborted) \(.abort.how) \(.abort.left)"' 'done 1 true term []'
  guest_is running
  no_mounts "$JOB-2"
  [ ! -e "$REPOSITORY/$BACKUP_PATH" ]
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

# is_held, is_free: whether a backup job stands in the way of what an evacuation does to the disks.
is_held() { [[ $(virsh_q blockpull "$VM" vda 2>&1) == *'already in active block job'* ]]; }
is_free() { job_is_gone && virsh_q blockpull "$VM" vda --wait; }

# bats test_tags=full
@test "evacuation: of a push and of a pull, within ten seconds libvirt has no job and the disks can be worked on" {
  local way
  scattered_vm
  for way in push pull; do
    line "$SLOW"
    next && common
    start "$JOB-$way" backup "${COMMON[@]}" -M full --bitmap-new "$BITMAP" --transfer "$way" >/dev/null
    for _ in {1..400}; do [[ $(field "$JOB-$way" .progress.processed) != [1-9]* ]] || break; sleep 0.05; done
    is_held
    [[ $(virsh_q backup-dumpxml "$VM") == *"<domainbackup mode='$way'"* ]]
    # Whether the operation ends by itself before it is killed is the slow NAS's matter: the machine is free either way.
    abort "$JOB-$way"
    is_free
    [ "$status" -eq 0 ]
    answer '"\(.state) \(.abort.left)"' 'done []'
    guest_is running
    no_mounts "$JOB-$way"
    line unlimited
    full_again "$JOB-$way-again"
  done
}

# bats test_tags=full
@test "in the middle of a stopped machine's convert: no bitmap, no file, no mount stays" {
  scattered_vm
  lab vm-stop "$VM"
  DISK_PATHS=$(all_images)
  start_full "$JOB" >/dev/null
  converting
  # Stopped in mid-copy it cannot answer TERM.
  kill -STOP "$CONVERT"
  abort "$JOB"
  [ "$status" -eq 0 ]
  answer '"\(.state) \(.exit) \(.abort.how) \(.abort.left)"' 'done 1 term []'
  no_mounts "$JOB"
  [ ! -e "$REPOSITORY/$BACKUP_PATH" ]
  [ -z "$(lab bitmaps "$VM")" ]
  [ ! -e "/proc/$CONVERT" ]
  lab vm-start "$VM"
}

# bats test_tags=full
@test "an operation that does not answer is killed, libvirt's job ended, its mount taken away" {
  scattered_vm
  start_full "$JOB" >/dev/null
  caught
  kill -STOP "$(operation_of "$JOB")"
  abort "$JOB"
  [ "$status" -eq 0 ]
  answer '"\(.state) \(.exit) \(.abort.how) \(.abort.libvirtJob) \(.abort.left)"' 'done 137 kill aborted []'
  guest_is running
  no_mounts "$JOB"
  job_is_gone
  full_again "$JOB-again"
}

# bats test_tags=full
@test "a job killed outright leaves libvirt's job running: status is unknown, abort ends it" {
  scattered_vm
  start_full "$JOB" >/dev/null
  caught
  kill -KILL -- "-$(runner_of "$JOB")"
  ends "$JOB" unknown
  [[ $(virsh_q domjobinfo "$VM") == *Backup* ]]
  abort "$JOB"
  [ "$status" -eq 0 ]
  answer '"\(.state) \(.abort.libvirtJob) \(.abort.left)"' 'unknown aborted []'
  guest_is running
  no_mounts "$JOB"
  full_again "$JOB-again"
}

@test "a pull killed outright leaves its export and its scratch files: abort ends the one and takes the others away" {
  scattered_vm
  next && common
  start "$JOB" backup "${COMMON[@]}" -M full --bitmap-new "$BITMAP" --transfer pull >/dev/null
  for _ in {1..400}; do [[ $(field "$JOB" .progress.processed) != [1-9]* ]] || break; sleep 0.05; done
  kill -KILL -- "-$(runner_of "$JOB")"
  ends "$JOB" unknown
  [[ $(virsh_q domjobinfo "$VM") == *Backup* && -e $LAB_DIR/host/scratch/$BACKUP_PATH/vda.qcow2 ]]
  abort "$JOB"
  [ "$status" -eq 0 ]
  answer '"\(.state) \(.abort.libvirtJob) \(.abort.left)"' 'unknown aborted []'
  [[ -z $(find "$LAB_DIR/host/scratch" -mindepth 1) ]]
  guest_is running
  no_mounts "$JOB"
  line unlimited
  full_again "$JOB-again"
}

@test "a guest that was frozen when its operation was killed: thawed first, also where the job hangs; where that fails it is said" {
  scattered_vm
  use_stubs
  # Its first thaw never ends, and libvirt's job does not mind an abort.
  stub virsh <<'END'
for word; do
  case $word in
    domfsfreeze) exit 0 ;;
    domfsthaw)
      echo "$word" >>"$CALLS"
      (($(grep -c domfsthaw "$CALLS") > 1)) || exec sleep 60
      [[ ! -e $CALLS.refuses ]] || { echo 'error: the agent is busy' >&2; exit 1; }
      exit 0 ;;
    domjobabort) echo "$word" >>"$CALLS"; exit 0 ;;
  esac
done
real "$@"
END
  QUIESCE=true start_full "$JOB" >/dev/null
  for _ in {1..600}; do grep -qs domfsthaw "$CALLS" && break; sleep 0.05; done
  caught
  kill -KILL -- "-$(runner_of "$JOB")"
  ends "$JOB" unknown
  touch "$CALLS.refuses"
  abort "$JOB"
  [ "$status" -eq 20 ]
  answer '"\(.state) \(.abort.thawed) \(.abort.libvirtJob) \(.abort.left | length)"' 'unknown false hung 2'
  answer '.abort.left[0][0:18]' 'frozen filesystems'
  rm "$CALLS.refuses"
  echo domfsthaw >"$CALLS"
  abort "$JOB"
  [ "$status" -eq 20 ]
  answer '"\(.abort.thawed) \(.abort.libvirtJob) \(.abort.left | length)"' 'true hung 1'
  [ "$(paste -sd' ' "$CALLS")" = 'domfsthaw domfsthaw domjobabort' ]
  virsh_q domjobabort "$VM"
  abort "$JOB"
  [ "$status" -eq 0 ]
  answer '"\(.abort.thawed) \(.abort.left)"' 'true []'
  guest_is running
  no_mounts "$JOB"
  full_again "$JOB-again"
}

# bats test_tags=full
@test "a NAS that hangs: abort says so in time; asked again when the NAS answers it clears up" {
  scattered_vm
  start_full "$JOB" >/dev/null
  in_flight
  line 0
  abort "$JOB"
  [ "$status" -eq 20 ]
  answer '"\(.state) \(.exit) \(.abort.how) \(.abort.libvirtJob)"' 'done 137 kill hung'
  line unlimited
  for _ in {1..200}; do ! job_is_gone || break; sleep 0.1; done
  abort "$JOB"
  [ "$status" -eq 0 ]
  answer '"\(.state) \(.abort.left)"' 'done []'
  guest_is running
  no_mounts "$JOB"
  full_again "$JOB-again"
}

# bats test_tags=full
@test "a guest that our job stopped with an I/O error is resumed, and one that was paused before is not" {
  slow_nas
  REPOSITORY=$(lab nas-small 100 small "$REPOSITORY")
  # The guest writes above 40M while the job is still below: each of its writes is copied to the NAS first.
  lab vm-create "$VM" vda:64M
  scatter
  lab boot-writer "$VM" 32M
  lab vm-start "$VM"
  for _ in {1..200}; do [[ $(virsh_q domblkstat "$VM" vda) == *'wr_req 0'* ]] || break; sleep 0.1; done
  line "$SLOW"
  start_full "$JOB" >/dev/null
  # It stands still meanwhile: a cluster that is on the NAS already is not copied again.
  caught lab vm-pause "$VM"
  kill -STOP "$(operation_of "$JOB")"
  leave_free "$REPOSITORY" 65536
  lab vm-resume "$VM"
  for _ in {1..200}; do [[ $(virsh_q domstate "$VM" --reason) == 'paused (I/O error)' ]] && break; sleep 0.1; done
  [ "$(virsh_q domstate "$VM" --reason)" = 'paused (I/O error)' ]
  abort "$JOB"
  [ "$status" -eq 0 ]
  answer '"\(.state) \(.abort.how) \(.abort.resumed) \(.abort.left)"' 'done kill true []'
  guest_is running
  before=$(virsh_q domblkstat "$VM" vda | grep wr_req)
  for _ in {1..100}; do [ "$(virsh_q domblkstat "$VM" vda | grep wr_req)" = "$before" ] || break; sleep 0.1; done
  [ "$(virsh_q domblkstat "$VM" vda | grep wr_req)" != "$before" ]
  script retire -v "$VM" --bitmap "$BITMAP" --fence 1
  [ "$status" -eq 0 ]
  rm -rf "${REPOSITORY:?}"/*/ "$REPOSITORY/filler" "$LAB_DIR"/host/state/work.*

  lab vm-pause "$VM"
  line "$SLOW"
  start_full "$JOB-paused" >/dev/null
  caught
  abort "$JOB-paused"
  [ "$status" -eq 0 ]
  answer .abort.resumed false
  guest_is paused
}

@test "a stock script: everything in it ends, its mount and its backup job go; somebody else's job stays" {
  scattered_vm
  stock <<SH
#!/bin/bash
mount=\$(mktemp -d -t csbackup.XXXXX); mount --bind $REPOSITORY "\$mount"; mkdir -p "\$mount/$VM"; chmod 777 "\$mount/$VM"
printf "<domainbackup><disks><disk name='vda' type='file'><target file='%s'/><driver type='qcow2'/></disk></disks></domainbackup>" "\$mount/$VM/vda.qcow2" >"\$mount/b.xml"
virsh -q -c qemu:///system backup-begin $VM "\$mount/b.xml" || exit 1
until virsh -q -c qemu:///system domjobinfo $VM --completed --keep-completed | grep -q Completed; do sleep 0.2; done
SH
  start "$JOB-1" stock -o backup -v "$VM" -p "$VM/1" >/dev/null
  caught
  abort "$JOB-1"
  [ "$status" -eq 0 ]
  answer '"\(.state) \(.exit) \(.abort.how) \(.abort.libvirtJob) \(.abort.left)"' 'done 143 term aborted []'
  guest_is running
  no_mounts "$JOB-1"
  [ "$(grep -c " $REPOSITORY " /proc/self/mountinfo)" -eq 1 ]

  stock <<<$'#!/bin/bash\nexec sleep 60'
  start "$JOB-2" stock -o backup -v "$VM" -p "$VM/2" >/dev/null
  printf "<domainbackup><disks><disk name='vda' type='file'><target file='%s'/><driver type='qcow2'/></disk></disks></domainbackup>" "$REPOSITORY/other.qcow2" >"$BATS_TEST_TMPDIR/b.xml"
  line "$SLOW"
  virsh_q backup-begin "$VM" "$BATS_TEST_TMPDIR/b.xml"
  caught
  operation_of "$JOB-2"
  abort "$JOB-2"
  answer '"\(.state) \(.abort.libvirtJob)"' 'done foreign'
  [[ $(virsh_q domjobinfo "$VM") == *Backup* ]]
  virsh_q domjobabort "$VM"
}

@test "abort of a job that has not begun: its start comes too late, and begins nothing" {
  stock <<<$'#!/bin/bash\necho ran >>"$(dirname "$0")/ran"'
  abort "$JOB"
  [ "$status" -eq 0 ]
  answer '"\(.state) \(.exit) \(.started) \(.aborted) \(.abort.how) \(.abort.left)"' 'done 1 null true none []'
  [ "$(start "$JOB" stock -o backup -v "$VM" | jq -c '[.state, .exit, .aborted, .created]')" = '["done",1,true,false]' ]
  [ "$(said "$JOB" stdout)" = 'Stopped before it began' ]
  abort "$JOB"
  answer '"\(.state) \(.abort.how) \(.abort.left)"' 'done none []'
  # Nobody is told of it as of something that was left.
  script sweep --dry-run
  [[ $status -eq 0 && $output != *"job $JOB"* ]]
  [ ! -e "$LAB_DIR/host/ran" ]
}

# bats test_tags=full
@test "abort and start of one job at once: it ends as aborted, whoever comes first" {
  local i
  stock <<<$'#!/bin/bash\nsleep 30'
  for i in {1..6}; do
    start "$JOB-$i" stock -o backup -v "$VM" >/dev/null &
    "$SCRIPT" abort --job "$JOB-$i" >"$BATS_TEST_TMPDIR/answer"
    wait
    [ "$(jq -c '[.state, .aborted]' "$BATS_TEST_TMPDIR/answer")" = '["done",true]' ]
    [ "$(field "$JOB-$i" '"\(.state) \(.aborted)"')" = 'done true' ]
  done
}

@test "abort of a job that is done or aborted already changes nothing" {
  stock <<<$'#!/bin/bash\nsleep 30'
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

@test "killed with -9 when all is written and nothing said: what it left is whole, and its run alone takes it back" {
  use_stubs
  # The last that it asks of the NAS.
  stub du <<'SH'
echo $$ >"$CALLS"
exec sleep 60
SH
  new_vm vda:64M
  start_full "$JOB" >/dev/null
  appears "$CALLS"
  kill -KILL -- "-$(runner_of "$JOB")"
  kill -KILL "$(<"$CALLS")" || :
  ends "$JOB" unknown
  abort "$JOB"
  answer '"\(.state) \(.abort.left)"' 'unknown []'
  no_mounts "$JOB"
  identical
  script delete -t dir -s "$NAS" -m '' -p "$BACKUP_PATH" --run "$JOB-other"
  [[ $status -eq 1 && $stderr == *'nothing was removed'* ]]
  identical
  script delete -t dir -s "$NAS" -m '' -p "$BACKUP_PATH" --run "$JOB"
  [[ $status -eq 0 && ! -e $NAS/$BACKUP_PATH ]]
  SCRIPT=$LAB_DIR/host/nasbackup.sh
  REPOSITORY=$NAS full_again "$JOB-2"
}
