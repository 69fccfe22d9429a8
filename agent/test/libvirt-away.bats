#!/usr/bin/env bats
# libvirtd is away, as while it is updated: QEMU and its job go on meanwhile, so nothing may be taken from under them.

load host
load stubs
setup_file() { host_up; }
teardown_file() { host_down; }
setup() { use_host; host_conf; }
teardown() { leave_host; }

# libvirt: a virsh that fails as long as away says so: that many questions, or those with a certain word.
libvirt() {
  use_stubs
  stub virsh <<'END'
refused() { echo 'error: failed to connect to the hypervisor' >&2; exit 1; }
if [[ -e $CALLS.deaf && " $* " == *" $(<"$CALLS.deaf") "* ]]; then refused; fi
if [[ -e $CALLS.away ]]; then
  left=$(<"$CALLS.away")
  if ((left > 1)); then echo $((left - 1)) >"$CALLS.away"; else rm "$CALLS.away"; fi
  refused
fi
if [[ -e $CALLS.lost && " $* " == *' backup-begin '* ]]; then
  rm "$CALLS.lost"
  real "$@"
  echo 6 >"$CALLS.away"
  echo 'error: Cannot recv data: Connection reset by peer' >&2
  exit 1
fi
real "$@"
END
}
away() { echo "$1" >"$CALLS.away"; }
is_back() { for _ in {1..600}; do [[ -e $CALLS.away ]] || return 0; sleep 0.05; done; return 1; }

chain() {
  slow_nas
  new_vm vda:64M
  libvirt
  full
  done_is full null
  scatter
  line "$SLOW"
}
good_incremental() {
  forget
  lab write "$VM" vda 0x2a 9M 1M
  incremental
  done_is incremental regular
  identical
  accounted
}

@test "away for a moment in the middle of a job: the backup goes on" {
  chain
  begin_incremental
  caught
  away 16
  is_back
  let_go
  end
  done_is incremental regular
  identical
  accounted
}

# bats test_tags=full
@test "away for good: the job may go on, so its files stay, and that is said" {
  local dir
  chain
  sooner SILENCE_SECONDS 2
  begin_incremental
  caught
  away 1000000
  ended_within 60
  end
  [[ $status -eq 20 ]]
  expect 'libvirt-unreachable none' '"\(.error.code) \(.done.mode)"'
  [[ $(fact '.cleanup.left | join(" ")') == *"backup job of $VM"*"virsh domjobabort $VM"*"checkpoint $BITMAP"*"directory $BACKUP_PATH"* ]]
  [[ -s $REPOSITORY/$BACKUP_PATH/$(file_of "$(image vda)" 0) && $(virsh_q domjobinfo "$VM") == *Backup* ]]
  # Nobody has resumed or paused anything.
  [[ $(virsh_q domstate "$VM") == running && $stderr != *paused* ]]
  rm "$CALLS.away"
  virsh_q domjobabort "$VM"
  for _ in {1..100}; do [[ $(virsh_q domjobinfo "$VM") == *None* ]] && break; sleep 0.1; done
  virsh_q checkpoint-delete "$VM" "$BITMAP"
  dir=$(mount_of_run)
  leave_mount "$dir"
  rm -rf "${REPOSITORY:?}/$BACKUP_PATH"
  line unlimited
  good_incremental
}

# bats test_tags=full
@test "away between the begin of a job and its answer: when it is back the job is ended, before its files go" {
  chain
  touch "$CALLS.lost"
  incremental
  failed_is job-failed
  untouched
  [[ ! -e $CALLS.lost && $(virsh_q domjobinfo "$VM") == *None* ]]
  line unlimited
  good_incremental
}

@test "a guest that its user has paused stays so, whatever libvirt does not tell" {
  chain
  lab vm-pause "$VM"
  begin_incremental
  caught
  echo domstate >"$CALLS.deaf"
  kill -TERM "$SCRIPT_PID"
  ended_within 15
  end
  rm "$CALLS.deaf"
  [[ $(virsh_q domstate "$VM") == paused ]]
  # Neither could it be asked whether it runs, so that its new bitmap can be taken off.
  [[ $status -eq 20 ]]
  expect 'job-cancelled null 1' '"\(.error.code) \(.guest.resumed) \(.cleanup.left | length)"'
  [[ ! -e $REPOSITORY/$BACKUP_PATH && $(fact '.cleanup.left[0]') == "bitmap $BITMAP"* ]]
  virsh_q checkpoint-delete "$VM" "$BITMAP"
  lab vm-resume "$VM"
  line unlimited
  good_incremental
}
