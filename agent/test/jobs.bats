#!/usr/bin/env bats
# Jobs: what was started runs once, to its end, and is found again, whatever happens to those who started it.
load host.bash
load jobs.bash

setup_file() { host_up; }
teardown_file() { host_down; }
setup() { use_host; JOB=job-$BATS_TEST_NUMBER; }
teardown() { leave_host; }

@test "many starts of one id at once: one run, and every caller is told of the same job" {
  stock <<'SH'
#!/bin/bash
echo once >>"$(dirname "$0")/runs"; sleep 0.5; echo 4711; exit 7
SH
  for i in {1..8}; do start "$JOB" stock -o backup -v "$VM" >"$BATS_TEST_TMPDIR/answer.$i" & done
  wait
  [ "$(jq -s -c '[length, (map(.state) | unique), (map(select(.created)) | length)]' "$BATS_TEST_TMPDIR"/answer.*)" = '[8,["running"],1]' ]
  ends "$JOB" done
  [ "$(start "$JOB" stock -o backup -v "$VM" | jq -c '[.state, .exit, .created]')" = '["done",7,false]' ]
  # A repetition need not even know what the first one asked for.
  [ "$("$SCRIPT" start --job "$JOB" --fence 1 -- </dev/null | jq -c '[.state, .exit, .created]')" = '["done",7,false]' ]
  [ "$(cat "$LAB_DIR/host/runs")" = once ]
  [ "$(said "$JOB" stdout)" = 4711 ]
}

@test "start answers within 150 ms of its own" {
  stock <<<$'#!/bin/bash\nsleep 1'
  for i in 1 2 3; do
    from=${EPOCHREALTIME/./}
    start "$JOB-$i" stock -o backup -v "$VM-$i" >/dev/null
    took=$((${EPOCHREALTIME/./} - from))
    ((${best:-9999999} < took)) || best=$took
  done
  echo "best of three: $best µs" >&3
  patience 1
  ((best < REPLY * 15 / 100))
  for i in 1 2 3; do ends "$JOB-$i" done; done
}

@test "a job whose processes were killed is unknown; a runner's death alone does not end it" {
  stock <<<$'#!/bin/bash\nexec sleep 3'
  for i in 1 2 3; do start "$JOB-$i" stock -o backup -v "$VM-$i" >/dev/null; appears "$(job_file "$JOB-$i" pid)"; done
  operation=$(operation_of "$JOB-3")

  pid=$(runner_of "$JOB-1") && kill -KILL -- "-$pid"
  ends "$JOB-1" unknown
  [ "$(field "$JOB-1" '"\(.exit) \(.ended)"')" = 'null null' ]

  # Killed behind the runner's back: nobody knows how far it came.
  kill -KILL "$operation"
  ends "$JOB-3" unknown
  [[ $(said "$JOB-3" stderr) == *'killed by signal 9'* ]]
  [ "$(start "$JOB-3" stock -o backup -v "$VM-3" | jq -c '[.state, .created]')" = '["unknown",false]' ]

  # Our own operation holds the lock itself.
  slow_nas
  new_vm vda:64M
  scatter
  line "$SLOW"
  start_full "$JOB" >/dev/null
  caught
  kill -KILL "$(runner_of "$JOB")"
  [ "$(state "$JOB")" = running ]
  let_go
  ends "$JOB" unknown
  output=$(said "$JOB" stdout)
  expect full .done.mode
  identical
  ends "$JOB-2" done
}

@test "a lower epoch is refused and changes nothing; the highest is kept over all operations" {
  new_vm
  FENCE=7 start_full "$JOB-a" >/dev/null
  ends "$JOB-a" done
  ALLOWED=("$BITMAP")
  FENCE=6 run --separate-stderr start "$JOB-b" backup -v "$VM"
  [ "$status" -eq 1 ]
  [ "$(jq -r .error.code <<<"$output")" = fence-stale ]
  [ ! -e "$(job_file "$JOB-b" .)" ]
  script retire -v "$VM" --bitmap "$BITMAP" --fence 6
  [ "$status" -eq 1 ]
  [ "$(jq -r .error.code <<<"$output")" = fence-stale ]
  [ "$(bitmaps_of)" = "vda $BITMAP," ]
  # The operation looks again, under the machine's lock.
  common
  script backup "${COMMON[@]}" -M full --bitmap-new backup-99 --fence 06
  [ "$status" -eq 1 ]
  expect fence-stale .error.code
  [ "$(cat "$LAB_DIR/host/state/fence/$VM")" = 7 ]
  lab moment "$VM" "$BITMAP"
  PARENT=$BITMAP FENCE=8 start_incremental "$JOB-c" >/dev/null
  ends "$JOB-c" done
  identical
  [ "$(cat "$LAB_DIR/host/state/fence/$VM")" = 8 ]
  [ -z "$(find "$LAB_DIR/host/state/fence" -name '.*.new')" ]
}

# bats test_tags=full
@test "two operations on one machine: the second is refused, not queued" {
  stock <<<$'#!/bin/bash\ntrue'
  start "$JOB-a" stock -o backup -v "$VM" >/dev/null
  ends "$JOB-a" done
  printf '#!/bin/bash\nsleep 6\n' >"$LAB_DIR/host/stock.sh"
  start "$JOB-b" stock -o backup -v "$VM" >/dev/null
  for _ in {1..100}; do flock -n "$LAB_DIR/host/state/locks/$VM" true || break; sleep 0.02; done
  script retire -v "$VM" --bitmap backup-1 --fence 1 -d /none
  [ "$status" -eq 1 ]
  [ "$(jq -r .error.code <<<"$output")" = vm-busy ]
  start "$JOB-c" stock -o backup -v "$VM" >/dev/null
  ends "$JOB-c" done
  [ "$(field "$JOB-c" .exit)" = 1 ]
  [[ $(said "$JOB-c" stderr) == *vm-busy* ]]
  ends "$JOB-b" done
}

# bats test_tags=full
@test "status gives output by pieces, every byte of it once" {
  stock <<'SH'
#!/bin/bash
head -c 200000 /dev/urandom | tee "$(dirname "$0")/sent"; echo oops >&2
SH
  start "$JOB" stock -o backup -v "$VM" >/dev/null
  ends "$JOB" done
  from=0
  for _ in 1 2 3 4 5; do
    "$SCRIPT" status --job "$JOB" --from "$from:2" >"$BATS_TEST_TMPDIR/piece"
    jq -r .stdout "$BATS_TEST_TMPDIR/piece" | base64 -d >>"$BATS_TEST_TMPDIR/received"
    from=$(jq .stdoutNext "$BATS_TEST_TMPDIR/piece")
    (($(wc -c <"$BATS_TEST_TMPDIR/piece") < 100000))
  done
  [ "$(jq -r '"\(.stdoutNext) \(.stdoutSize) \(.stderr | @base64d) \(.stderrNext)"' "$BATS_TEST_TMPDIR/piece")" = $'200000 200000 ps\n 5' ]
  cmp "$LAB_DIR/host/sent" "$BATS_TEST_TMPDIR/received"
}

@test "mounts that a stock script leaves are taken away, and no other" {
  stock <<SH
#!/bin/bash
mount=\$(mktemp -d -t csbackup.XXXXX); mount --bind $NAS "\$mount"; echo 4711
SH
  other=$(mktemp -d /tmp/csbackup.XXXXXX)
  mount --bind "$NAS" "$other"
  start "$JOB" stock -o backup -v "$VM" >/dev/null
  ends "$JOB" done
  run grep -cF "$(cat "$(job_file "$JOB" tmp)")" /proc/self/mountinfo
  mountpoint -q "$other"; umount "$other"; rmdir "$other"
  [ "$output" = 0 ]
  [ ! -e "$(cat "$(job_file "$JOB" tmp)")" ]
}

# bats test_tags=full
@test "finished jobs are kept for 30 days, once a day the older ones go" {
  stock <<<$'#!/bin/bash\ntrue'
  for i in old new gone; do start "$JOB-$i" stock -o backup -v "$VM" >/dev/null; ends "$JOB-$i" done; done
  touch -d '31 days ago' "$LAB_DIR/host/state/jobs/$JOB-old"/{lock,started,ended}
  touch -d '31 days ago' "$LAB_DIR/host/state/jobs/$JOB-gone"/{lock,started} && rm "$(job_file "$JOB-gone" ended)" "$(job_file "$JOB-gone" exit)"
  start "$JOB-next" stock -o backup -v "$VM" >/dev/null; ends "$JOB-next" done
  [ -e "$(job_file "$JOB-old" exit)" ] # today it has been done already
  rm "$LAB_DIR/host/state/pruned"
  start "$JOB-later" stock -o backup -v "$VM" >/dev/null
  for _ in {1..100}; do [[ -e $LAB_DIR/host/state/pruned ]] && break; sleep 0.05; done
  [ ! -e "$(job_file "$JOB-old" .)" ]
  [ ! -e "$(job_file "$JOB-gone" .)" ]
  [ "$(state "$JOB-new")" = done ]
}
