#!/usr/bin/env bats
# Freezing the guest's filesystems: for the moment of the checkpoint only, and never left so.

load host
load stubs
setup_file() { host_up; }
teardown_file() { host_down; }
setup() { use_host; host_conf; QUIESCE=true; }
teardown() { leave_host; }

# agent WORD...: a guest agent that does what the words say: freeze, thaw, refuse-thaw N (that many times), begin-fails.
agent() {
  use_stubs
  printf '%s\n' "$@" >"$BATS_TEST_TMPDIR/agent"
  stub virsh <<<'
for word; do
  case $word in
    domfsfreeze | domfsthaw | backup-begin) echo "$word" >>"$CALLS" ;;&
    domfsfreeze) echo "Froze 1 filesystem(s)"; exit 0 ;;
    domfsthaw)
      grep -q refuse-thaw "$(dirname "$CALLS")/agent" && sed -i "0,/refuse-thaw/{/refuse-thaw/d}" "$(dirname "$CALLS")/agent" && { echo "error: the agent is busy" >&2; exit 1; }
      echo "Thawed 1 filesystem(s)"; exit 0 ;;
    backup-begin) grep -q begin-fails "$(dirname "$CALLS")/agent" && { echo "error: no backup today" >&2; exit 1; } ;;
    domjobinfo) grep -q hangs "$(dirname "$CALLS")/agent" && sleep 30 ;;
  esac
done
real "$@"'
}
calls() { paste -sd' ' "$CALLS"; }

@test "frozen just before the job begins, thawed right after it, and told" {
  new_vm vda:64M
  agent
  full
  done_is full null
  identical
  [[ $(calls) == 'domfsfreeze backup-begin domfsthaw' ]]
  expect 'true true' '"\(.guest.thawed) \(.guest.frozenMs >= 0 and .guest.frozenMs < 10000)"'
  lab write "$VM" vda 0x22 4M 1M
  QUIESCE=false
  : >"$CALLS"
  incremental
  done_is incremental regular
  identical
  accounted
  [[ $(calls) == backup-begin ]]
  expect 'null null' '"\(.guest.thawed) \(.guest.frozenMs)"'
}

@test "no agent in the guest: refused before anything has begun, and nothing is called frozen" {
  lab vm-create "$VM" --agent vda:64M
  lab vm-start "$VM"
  full
  failed_is agent-missing
  untouched
  [[ $output == *'guest agent'* ]]
  QUIESCE=false
  forget
  full
  done_is full null
  identical
}

# bats test_tags=full
@test "the job does not begin: thawed all the same" {
  new_vm vda:64M
  agent begin-fails
  full
  failed_is job-failed
  untouched
  [[ $(calls) == 'domfsfreeze backup-begin domfsthaw' ]]
  expect true .guest.thawed
  agent
  forget
  full
  done_is full null
  identical
}

@test "a thaw that fails is tried again; one that never works fails the run, and is said" {
  new_vm vda:64M
  agent refuse-thaw refuse-thaw refuse-thaw refuse-thaw
  full
  done_is full null
  identical
  [[ $(calls) == 'domfsfreeze backup-begin domfsthaw domfsthaw domfsthaw domfsthaw domfsthaw' ]]
  expect true .guest.thawed

  lab write "$VM" vda 0x22 4M 1M
  sooner THAW_FOR 2
  agent $(printf 'refuse-thaw %.0s' {1..40})
  incremental
  [[ $status -eq 20 ]]
  expect 'thaw-failed false none' '"\(.error.code) \(.guest.thawed) \(.done.mode)"'
  [[ $(fact '.cleanup.left | join(" ")') == *'frozen filesystems'* && $output == *'Failed to thaw the filesystem'* ]]
  untouched
  agent
  forget
  incremental
  done_is incremental regular
  identical
  accounted
}

# bats test_tags=full
@test "stopped between freeze and thaw: thawed on the way out" {
  new_vm vda:64M
  agent
  stub virsh <<<'
for word; do
  case $word in
    domfsfreeze | domfsthaw) echo "$word" >>"$CALLS"; exit 0 ;;
    backup-begin) echo "$word" >>"$CALLS"; sleep 1.5 ;;
  esac
done
real "$@"'
  next
  common
  begin -o backup "${COMMON[@]}" -M full --bitmap-new "$BITMAP"
  for _ in {1..400}; do grep -q backup-begin "$CALLS" 2>/dev/null && break; sleep 0.05; done
  kill -TERM "$SCRIPT_PID"
  ended_within 15
  end
  failed_is job-cancelled
  untouched
  [[ $(calls) == 'domfsfreeze backup-begin domfsthaw'* ]]
  expect true .guest.thawed
  agent
  forget
  full
  done_is full null
  identical
}

# slow_agent SECONDS: one that takes so long for its first thaw, and is quick afterwards.
slow_agent() {
  use_stubs
  stub virsh <<END
for word; do
  case \$word in
    domfsfreeze) echo "\$word" >>"\$CALLS"; touch "\$CALLS.frozen"; exit 0 ;;
    domfsthaw)
      echo "\$word" >>"\$CALLS"
      ((\$(grep -c domfsthaw "\$CALLS") > 1)) || sleep $1
      rm -f "\$CALLS.frozen"; exit 0 ;;
  esac
done
real "\$@"
END
}
begin_frozen() {
  next
  lab moment "$VM" "$BITMAP"
  common
  begin -o backup "${COMMON[@]}" -M full --bitmap-new "$BITMAP"
  for _ in {1..1200}; do ! grep -qs domfsthaw "$CALLS" || return 0; sleep 0.05; done
  return 1
}

@test "stopped within the thaw: it is begun again on the way out" {
  new_vm vda:64M
  slow_agent 60
  begin_frozen
  kill -TERM "$SCRIPT_PID"
  ended_within 15
  end
  failed_is job-cancelled
  untouched
  [[ $(calls) == 'domfsfreeze domfsthaw domfsthaw' ]]
  [[ ! -e $CALLS.frozen ]]
  expect true .guest.thawed
  agent
  forget
  full
  done_is full null
  identical
}

# bats test_tags=full
@test "an agent that never answers a thaw: stopped within it, the run says that the guest may be frozen" {
  new_vm vda:64M
  agent
  sooner THAW_SECONDS 2
  sooner THAW_FOR 2
  stub virsh <<<'
for word; do
  case $word in
    domfsfreeze) exit 0 ;;
    domfsthaw) echo "$word" >>"$CALLS"; exec sleep 60 ;;
  esac
done
real "$@"'
  begin_frozen
  kill -TERM "$SCRIPT_PID"
  ended_within 30
  end
  [[ $status -eq 20 ]]
  expect 'job-cancelled false none' '"\(.error.code) \(.guest.thawed) \(.done.mode)"'
  [[ $(fact '.cleanup.left | join(" ")') == *'frozen filesystems'* ]]
  untouched
  agent
  forget
  full
  done_is full null
  identical
}
