#!/usr/bin/env bats
# However a run ends, the next incremental from the same parent is identical and the machine unharmed.

load host
setup_file() { host_up; }
teardown_file() { host_down; }
setup() { use_host; host_conf; }
teardown() { leave_host; }

# A full, then changes enough that a slow line has work for seconds.
chain() {
  new_vm vda:64M vdb:32M
  full
  done_is full null
  scatter
  lab write "$VM" vdb 0x23 3M 1M
}
good_incremental() {
  forget
  lab write "$VM" vda 0x2a 9M 1M
  incremental
  done_is incremental "${1:-regular}"
  identical
  accounted
}

@test "NAS full before it begins: refused, nothing changed" {
  REPOSITORY=$(lab nas-small 64 small)
  new_vm vda:64M
  full
  done_is full null
  identical
  lab write "$VM" vda 0x22 0 60M
  incremental
  failed_is target-full
  untouched
  expect null .job
  forget
  lab moment "$VM" big
  lab zero "$VM" vda 0 60M
  lab moment "$VM" zero
  # The same dirty areas fit elsewhere, where the parent was copied to.
  mkdir -p "$NAS/$VM"
  cp -r "$REPOSITORY/$PARENT_PATH" "$NAS/$VM/"
  REPOSITORY=$NAS
  incremental
  done_is incremental regular
  identical
}

# bats test_tags=full
@test "NAS fills during the job: stopped by the reserve before the guest is hurt" {
  local small
  host_conf reserve_bytes=20000000
  small=$(lab nas-small 100 small-reserve)
  slow_nas "$small"
  chain
  line "$SLOW"
  begin_incremental
  caught
  leave_free "$small" 10000000
  ended_within 8
  end
  failed_is target-full
  untouched
  expect 'cancelled null' '"\(.job.result) \(.guest.resumed)"'
  [[ $(virsh_q domstate "$VM") == running* ]]
  rm "$small/filler"
  good_incremental
}

@test "NAS full in the middle of the job, no reserve: job failed, checkpoint gone, parent whole" {
  REPOSITORY=$(lab nas-small 100 small-job)
  chain
  # Room for the changes, so that it begins, and none for what qcow2 needs to hold them.
  leave_free "$REPOSITORY" $((128 * 65536 + 1048576 + 65536))
  incremental
  failed_is target-full
  untouched
  expect failed .job.result
  [[ $output == *'No space left'* && $(virsh_q domstate "$VM") == running* ]]
  rm "$REPOSITORY/filler"
  good_incremental
}

@test "TERM in the middle of the job: answered at once, nothing left" {
  slow_nas
  chain
  line "$SLOW"
  begin_incremental
  caught
  kill -TERM "$SCRIPT_PID"
  ended_within 5
  end
  failed_is job-cancelled
  untouched
  expect cancelled .job.result
  good_incremental
}

# bats test_tags=full
@test "TERM in the middle of a stopped machine's convert: answered at once, no bitmap and no file left" {
  slow_nas
  chain
  lab vm-stop "$VM"
  line "$SLOW"
  DISK_PATHS=$(all_images)
  next
  lab moment "$VM" "$BITMAP"
  common
  begin -o backup "${COMMON[@]}" -M full --bitmap-new "$BITMAP"
  converting
  kill -TERM "$SCRIPT_PID"
  ended_within 5
  end
  failed_is job-cancelled
  untouched
  line unlimited
  DISK_PATHS=
  start_vm
  good_incremental redefined
}

# bats test_tags=full
@test "TERM at any moment of a run" {
  chain
  local moment
  for moment in 0.1 0.25 0.4; do
    begin_incremental
    sleep "$moment"
    kill -TERM "$SCRIPT_PID" || :
    ended_within 5
    end
    if ((status == 0)); then
      lab leaks "$PARENT" "$BITMAP"
    else
      [[ $status -eq 1 ]]
      untouched
      lab leaks "$PARENT"
      forget
    fi
  done
  lab write "$VM" vda 0x2a 9M 1M
  incremental
  done_is incremental regular
  identical
  accounted
}

@test "the machine is killed in the middle of the job" {
  slow_nas
  chain
  flush_vm vda vdb
  line "$SLOW"
  begin_incremental
  caught
  lab vm-crash "$VM"
  end
  failed_is guest-gone
  untouched
  start_vm
  forget
  incremental
  done_is full bitmap-missing
  identical
  lab write "$VM" vda 0x2a 9M 1M
  incremental
  done_is incremental regular
  identical
  accounted
}

# bats test_tags=full
@test "the machine is stopped in the middle of the job" {
  slow_nas
  chain
  line "$SLOW"
  begin_incremental
  caught
  lab vm-stop "$VM"
  end
  failed_is guest-gone
  untouched
  start_vm
  good_incremental redefined
}

# bats test_tags=full
@test "the script is killed with -9: its job is seen, and the chain goes on from the parent" {
  slow_nas
  chain
  line "$SLOW"
  begin_incremental
  caught
  kill -KILL "$SCRIPT_PID"
  end
  local orphan=$BITMAP path=$BACKUP_PATH dir
  forget
  incremental
  failed_is job-busy
  virsh_q domjobabort "$VM"
  dir=$(mount_of_run)
  leave_mount "$dir"
  rm -rf "${REPOSITORY:?}/$path"
  ALLOWED+=("$orphan")
  good_incremental
}

# bats test_tags=full
@test "a busy mount does not spoil a good backup" {
  slow_nas
  chain
  line "$SLOW"
  begin_incremental
  caught
  (cd "$(mount_of_run)" && exec sleep 60) </dev/null >/dev/null 2>&1 3>&- &
  local holder=$! dir
  until [[ $(readlink "/proc/$holder/cwd") == /tmp/csbackup.* ]]; do sleep 0.02; done
  let_go
  end
  dir=$(mount_of_run)
  kill "$holder"
  [[ $status -eq 0 ]]
  expect "incremental false mount $dir" '"\(.done.mode) \(.cleanup.ok) \(.cleanup.left[0][0:'$((6 + ${#dir}))'])"'
  [[ ${lines[-1]} == "BITMAP_CREATED=$BITMAP" ]]
  wait "$holder" || :
  leave_mount "$dir"
  identical
  lab write "$VM" vda 0x2a 9M 1M
  incremental
  done_is incremental regular
  identical
}

# bats test_tags=full
@test "a NAS that hangs: reported and left to people; when it answers again the chain goes on" {
  slow_nas
  chain
  line "$SLOW"
  begin_incremental
  in_flight
  line 0
  sleep 0.5
  kill -TERM "$SCRIPT_PID"
  ended_within 12
  end
  [[ $status -eq 20 ]]
  expect 'job-cancelled false' '"\(.error.code) \(.cleanup.ok)"'
  [[ $(fact '.cleanup.left | join(" ")') == *'target hangs'* ]]
  line unlimited
  for _ in {1..100}; do [[ $(virsh_q domjobinfo "$VM") == *None* ]] && break; sleep 0.1; done
  virsh_q checkpoint-delete "$VM" "$BITMAP"
  local dir
  dir=$(mount_of_run)
  leave_mount "$dir"
  rm -rf "${REPOSITORY:?}/$BACKUP_PATH"
  good_incremental
}
