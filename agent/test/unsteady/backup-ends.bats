#!/usr/bin/env bats
# However a run ends, the next incremental from the same parent is identical and the machine unharmed.

load host
setup_file() { host_up; }
teardown_file() { host_down; }
setup() { use_host; }
teardown() { leave_host; }

# A full, then enough changes that a job can be caught in the middle.
chain() {
  new_vm vda:256M vdb:64M
  full && done_is full null
  scatter
  lab write "$VM" vdb 0x23 3M 1M
}
good_incremental() {
  forget
  lab write "$VM" vda 0x2a 9M 1M
  incremental && done_is incremental "${1:-regular}" && identical && accounted
}

@test "NAS full before it begins: refused, nothing changed" {
  REPOSITORY=$(lab nas-small 64 "full$BATS_TEST_NUMBER")
  new_vm vda:64M
  full && done_is full null && identical
  lab write "$VM" vda 0x22 0 60M
  incremental && failed_is target-full && untouched
  expect null .job
  forget
  lab moment "$VM" big
  lab zero "$VM" vda 0 60M
  lab moment "$VM" zero
  REPOSITORY=$NAS
  # The same dirty areas fit elsewhere, where the parent was copied to.
  mkdir -p "$NAS/$VM" && cp -r "$NAS/full$BATS_TEST_NUMBER/$PARENT_PATH" "$NAS/$VM/"
  incremental && done_is incremental regular && identical
}

@test "NAS fills during the job: stopped by the reserve before the guest is hurt" {
  host_conf reserve_bytes=20000000
  REPOSITORY=$(lab nas-small 400 "full$BATS_TEST_NUMBER")
  chain
  begin_incremental
  slow_job
  fallocate -l "$(($(stat -f -c '%S*%a' "$REPOSITORY") - 10000000))" "$REPOSITORY/filler"
  ended_within 5
  end
  failed_is target-full && untouched
  expect 'cancelled null' '"\(.job.result) \(.guest.resumed)"'
  [[ $(virsh_q domstate "$VM") == running* ]]
  rm "$REPOSITORY/filler"
  good_incremental
  host_conf
}

@test "NAS full in the middle of the job, no reserve: job failed, checkpoint gone, parent whole" {
  REPOSITORY=$(lab nas-small 400 "full$BATS_TEST_NUMBER")
  chain
  begin_incremental
  slow_job 30000000
  fallocate -l "$(($(stat -f -c '%S*%a' "$REPOSITORY") - 3000000))" "$REPOSITORY/filler"
  end
  failed_is target-full && untouched
  expect failed .job.result
  [[ $output == *'No space left'* && $(virsh_q domstate "$VM") == running* ]]
  rm "$REPOSITORY/filler"
  good_incremental
}

@test "TERM in the middle of the job: answered at once, nothing left" {
  chain
  begin_incremental
  slow_job
  kill -TERM "$SCRIPT_PID"
  ended_within 5
  end
  failed_is job-cancelled && untouched
  expect 'cancelled' .job.result
  good_incremental
}

@test "TERM at any moment of a run" {
  chain
  local moment
  for moment in 0.05 0.15 0.25 0.35 0.45; do
    begin_incremental
    sleep "$moment"
    kill -TERM "$SCRIPT_PID" || :
    ended_within 5
    end
    if ((status == 0)); then
      lab leaks "$PARENT" "$BITMAP"
    else
      [[ $status -eq 1 ]] && untouched && lab leaks "$PARENT"
      forget
    fi
  done
  lab write "$VM" vda 0x2a 9M 1M
  incremental && done_is incremental regular && identical && accounted
}

@test "the machine is killed in the middle of the job" {
  chain
  flush_vm vda vdb
  begin_incremental
  slow_job
  lab vm-crash "$VM"
  end
  failed_is guest-gone && untouched
  start_vm
  forget
  incremental && done_is full bitmap-missing && identical
  lab write "$VM" vda 0x2a 9M 1M
  incremental && done_is incremental regular && identical && accounted
}

@test "the machine is stopped in the middle of the job" {
  chain
  begin_incremental
  slow_job
  lab vm-stop "$VM"
  end
  failed_is guest-gone && untouched
  start_vm
  good_incremental redefined
}

@test "the script is killed with -9: its job is seen, and the chain goes on from the parent" {
  chain
  begin_incremental
  slow_job
  kill -KILL "$SCRIPT_PID"
  end
  local orphan=$BITMAP dir
  forget
  incremental
  failed_is job-busy
  virsh_q domjobabort "$VM"
  dir=$(mount_of_run)
  umount "$dir" && rmdir "$dir"
  rm -rf "${NAS:?}/$VM/2026.01.01.00.00.02"
  ALLOWED+=("$orphan")
  good_incremental
}

@test "a busy mount does not spoil a good backup" {
  chain
  begin_incremental
  slow_job 20000000
  (cd "$(mount_of_run)" && exec sleep 60) </dev/null >/dev/null 2>&1 3>&- &
  local holder=$! dir
  end
  dir=$(mount_of_run)
  kill "$holder"
  [[ $status -eq 0 ]]
  expect "incremental false mount $dir" '"\(.done.mode) \(.cleanup.ok) \(.cleanup.left[0][0:'$((6 + ${#dir}))'])"'
  [[ ${lines[-1]} == "BITMAP_CREATED=$BITMAP" ]]
  wait "$holder" || :
  umount "$dir" && rmdir "$dir"
  identical
  lab write "$VM" vda 0x2a 9M 1M
  incremental && done_is incremental regular && identical
}

@test "a NAS that hangs: reported and left to people; when it answers again the chain goes on" {
  REPOSITORY=$(lab nas-small 400 "hang$BATS_TEST_NUMBER")
  chain
  begin_incremental
  slow_job 20000000
  fsfreeze -f "$REPOSITORY"
  sleep 0.5
  kill -TERM "$SCRIPT_PID"
  ended_within 12 || { fsfreeze -u "$REPOSITORY" && false; }
  end
  fsfreeze -u "$REPOSITORY"
  [[ $status -eq 20 ]]
  expect 'job-cancelled false' '"\(.error.code) \(.cleanup.ok)"'
  [[ $(fact '.cleanup.left | join(" ")') == *'target hangs'* ]]
  for _ in {1..100}; do [[ $(virsh_q domjobinfo "$VM") == *None* ]] && break; sleep 0.1; done
  virsh_q checkpoint-delete "$VM" "$BITMAP"
  local dir
  dir=$(mount_of_run)
  umount "$dir" && rmdir "$dir"
  rm -rf "${REPOSITORY:?}/$BACKUP_PATH"
  good_incremental
}
