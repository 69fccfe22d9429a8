#!/usr/bin/env bats
# Jobs: what was started runs once, to its end, and is found again, whatever happens to those who started it.
load host.bash
load jobs.bash

setup_file() { host_up; }
teardown_file() { host_down; }
setup() { use_host; JOB=job-$BATS_TEST_NUMBER; }
teardown() { leave_host; }

@test "a backup as a job over SSH: the channel closes at once, all connections are cut, the backup is identical" {
  user=ckjobs$((BATS_ROOT_PID % 10000))
  json=$(lab sshd-up "$user")
  say() {
    ssh -q -o BatchMode=yes -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -p "$(jq .port <<<"$json")" \
      -i "$(jq -r .privateKey <<<"$json")" "$user@127.0.0.1" "$(printf '%q ' sudo -n "$SCRIPT" "$@")"
  }
  slow_nas
  new_vm vda:64M vdb:32M
  scatter
  line "$SLOW"
  next
  lab moment "$VM" "$BITMAP"
  common
  say start --job "$JOB" --fence 1 -- backup "${COMMON[@]}" -M full --bitmap-new "$BITMAP" </dev/null >"$BATS_TEST_TMPDIR/answer"
  [ "$(jq -r '"\(.state) \(.created)"' "$BATS_TEST_TMPDIR/answer")" = 'running true' ]
  caught
  lab sshd-drop "$user"
  lab sshd-kill "$user"
  [ "$(state "$JOB")" = running ]
  lab sshd-up "$user" >/dev/null
  let_go
  ends "$JOB" done
  [ "$(say status --job "$JOB" | jq -r '"\(.exit) \(.stderr)"')" = '0 ' ]
  output=$(say status --job "$JOB" | jq -r '.stdout | @base64d')
  [ "$(tail -n 1 <<<"$output")" = "BITMAP_CREATED=$BITMAP" ]
  expect full .done.mode
  identical
  [ "$(field "$JOB" '.progress.processed == .progress.total')" = true ]
}

@test "secrets: from stdin to a 0600 file, into no command line, output or record, and gone at the end" {
  stock <<'SH'
#!/bin/bash
state=$(dirname "$0")/state
stat -c '%a %n' "$state"/jobs/*/secrets >&2
touch "$(dirname "$0")/looking"; sleep 1; echo 1
SH
  secret=hunter2-$BATS_ROOT_PID
  SECRETS="{\"mountOptions\":\"vers=3\",\"credentials\":{\"username\":\"u\",\"password\":\"$secret\"}}"
  start "$JOB" stock -o backup -v "$VM" -m '' >"$BATS_TEST_TMPDIR/answer"
  appears "$LAB_DIR/host/looking"
  # Looked through by this shell: a grep would have it on its own command line.
  seen=$(cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\0' '\n' || :)
  environment=$(cat /proc/[0-9]*/environ 2>/dev/null | tr '\0' '\n' || :)
  "$SCRIPT" status --job "$JOB" >>"$BATS_TEST_TMPDIR/answer"
  ends "$JOB" done
  [[ $(said "$JOB" stderr) == "600 "*"/$JOB/secrets" ]]
  [[ $seen == *"$SCRIPT"* && $seen != *"$secret"* ]]
  [[ $environment == *PATH=* && $environment != *"$secret"* ]]
  run ! grep -rF "$secret" "$LAB_DIR/host" "$BATS_TEST_TMPDIR/answer"

  # Ours reads them for its mount: a repository of type dir takes none, and says so without telling them.
  common() { COMMON=(-v "$VM" -t dir -s "$NAS" -m '' -p "$BACKUP_PATH"); }
  next
  common
  SECRETS="{\"credentials\":{\"password\":\"$secret\"}}"
  start "$JOB-own" stats -t dir -s "$NAS" -m '' >/dev/null
  ends "$JOB-own" done
  [ "$(field "$JOB-own" .exit)" = 1 ]
  [[ $(said "$JOB-own" stdout) == *'takes no credentials'* ]]
  run ! grep -rF "$secret" "$LAB_DIR/host"

  # A runner that was killed cannot remove them: the next look does.
  printf '#!/bin/bash\nsleep 5\n' >"$LAB_DIR/host/stock.sh"
  SECRETS="{\"credentials\":{\"password\":\"$secret\"}}"
  start "$JOB-killed" stock -o backup -v "$VM" >/dev/null
  appears "$(job_file "$JOB-killed" pid)"
  kill -KILL -- "-$(runner_of "$JOB-killed")"
  ends "$JOB-killed" unknown
  run ! grep -rF "$secret" "$LAB_DIR/host"
}

@test "what is not a job is refused, and leaves none" {
  refused() { local code=$1; shift; script "$@" </dev/null; [ "$status" -eq 1 ] && [ "$(jq -r .error.code <<<"$output")" = "$code" ] || { printf '%s: %s\n%s\n' "$*" "$output" "$stderr" >&2; return 1; }; }
  before=$(ls -A "$LAB_DIR/host/state/jobs" | wc -l)
  for id in '' ../x 'a b' .hidden a.b "$(printf %065d 0)" $'a\nb' '-x'; do refused bad-option start --job "$id" --fence 1 -- stats; done
  refused bad-option start --job "$JOB" -- stats
  refused bad-option start --job "$JOB" --fence -1 -- stats
  refused bad-option start --job "$JOB" --fence 1
  refused bad-option start --job "$JOB" --fence 1 -- start --job other
  refused bad-option start --job "$JOB" --fence 1 -- -o abort
  refused bad-option start --job "$JOB" --fence 1 -- stats --fence 9
  refused bad-option start --job "$JOB" --fence 1 -- backup -v '../etc'
  refused bad-option start --job "$JOB" --fence 1 -- stats -s $'a\nb'
  refused bad-option start --job "$JOB" --fence 1 -- stats -m username=u,password=p
  [[ $output$stderr != *password=p* ]]
  host_conf
  refused bad-option start --job "$JOB" --fence 1 -- stock -o backup
  refused bad-option status --job "$JOB" --from x
  script stats --job "$JOB" -t dir -s "$NAS"
  [ "$status" -eq 1 ]
  [[ $stderr == *'--job belongs to'* ]]
  for text in '[]' '{"password":"p"}' '{"credentials":' 'hello'; do
    SECRETS=$text
    run --separate-stderr start "$JOB" stats
    [ "$status" -eq 1 ]
    [[ $output == *bad-option* && $output$stderr != *'"p"'* ]]
  done
  [ "$(ls -A "$LAB_DIR/host/state/jobs" | wc -l)" -eq "$before" ]
  [ "$(state "$JOB")" = absent ]
}

