#!/usr/bin/env bats
# How the host script runs other programs: with a deadline, all that they say, and no doubt about how they ended.

bats_require_minimum_version 1.5.0
setup() {
  set +u
  shopt -s extglob
  # shellcheck source=/dev/null
  . "$BATS_TEST_DIRNAME/../src/05-run.sh"
  WORK=$BATS_TEST_TMPDIR
}

@test "exit code, stdout and stderr, however long they are" {
  local code=0
  run 5 sh -c 'echo out; echo err >&2; exit 3' || code=$?
  [[ $code == 3 && $RUN_CODE == 3 && $RUN_OUT == out && $RUN_ERR == err ]]
  run 10 seq 200000
  [[ $RUN_OUT == "$(seq 200000)" && $RUN_CODE == 0 && -z $RUN_ERR ]]
}

@test "past the deadline: 124, the reason, and the child is gone" {
  local code=0 from=$SECONDS
  run 1 sh -c 'echo $$; exec sleep 30' || code=$?
  [[ $code == 124 && $RUN_ERR == 'no answer within 1 s: sh -c' ]]
  ((SECONDS - from < 15))
  [[ ! -e /proc/$(<"$WORK/out") ]]
}

@test "a child that takes longer than one look is still running, and its end is its own" {
  run_start sh -c 'until [ -e "$0" ]; do sleep 0.05; done; echo late; exit 5' "$WORK/go"
  for _ in 1 2 3; do ! run_wait 0.1; done
  [[ -e /proc/$RUN_PID ]]
  touch "$WORK/go"
  local looks=0
  until run_wait 0.1; do ((looks += 1)) && ((looks < 200)); done
  [[ $RUN_CODE == 5 && $RUN_OUT == late && -z $RUN_FD ]]
}

@test "a code that is read in two pieces is one code" {
  exec {RUN_FD}< <(printf 1; sleep 0.6; echo 2)
  RUN_SAID=''
  : >"$WORK/out" 2>"$WORK/err"
  until run_wait 0.1; do :; done
  [[ $RUN_CODE == 12 ]]
}

@test "what a child leaves behind does not make it last longer than its deadline, nor fail" {
  run 1 sh -c 'sleep 20.0417 & echo done; exit 4' || :
  [[ $RUN_CODE == 4 && $RUN_OUT == done ]]
  pkill -f 'sleep 20[.]0417'
}

@test "a child that is left behind holds nothing open of what its script talks to" {
  local from=$SECONDS said
  # shellcheck disable=SC2016
  said=$(bash -c '. "$0"; WORK=$BATS_TEST_TMPDIR; run_start sleep 20.0419; run_close; echo said; echo told >&2' "$BATS_TEST_DIRNAME/../src/05-run.sh" 2>&1)
  ((SECONDS - from < 15))
  [[ $said == $'said\ntold' ]]
  pkill -f 'sleep 20[.]0419'
}

@test "a child that was killed: by its signal; killed with the one that waits for it: 143; one that is not there: 127" {
  run_start sleep 30
  kill -KILL "$RUN_PID"
  run_wait 5
  [[ $RUN_CODE == 137 ]]
  run_start sh -c 'kill -KILL $PPID; sleep 0.2'
  run_wait 5
  [[ $RUN_CODE == 143 ]]
  run 5 no-such-program || :
  [[ $RUN_CODE == 127 && $RUN_ERR == *no-such-program* ]]
}

@test "what a terminal sends to everybody does not end it" {
  run_start sh -c 'kill -INT $$; kill -QUIT $$; exit 6'
  run_wait 5
  [[ $RUN_CODE == 6 ]]
}

@test "a process that has ended and that nobody has collected is none" {
  # shellcheck source=/dev/null
  . "$BATS_TEST_DIRNAME/../src/25-cleanup.sh"
  process_start "$$"
  sh -c 'sleep 0.3 & echo $!; exec sleep 30.0418' >"$WORK/pid" 3>&- &
  local parent=$! pid
  until read -r pid <"$WORK/pid" && [[ $(<"/proc/$pid/stat") == *') Z '* ]]; do sleep 0.05; done
  local seen=none
  { process_lives "$pid" || process_start "$pid"; } && seen=alive
  kill "$parent"
  [[ $seen == none ]]
}
