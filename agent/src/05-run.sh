# ---- running other programs -------------------------------------------------------------------
#
# Every external command goes through run: it has a deadline, TERM is answered while it runs, and
# a child stuck in a dead mount is left behind instead of being waited for.

WORK=''        # private scratch directory of this call (made by work_open)
RUN_PID='' RUN_FD='' RUN_SAID='' RUN_OUT='' RUN_ERR='' RUN_CODE=''
VIRSH_IN='' # of the open virsh (35-libvirt), which must end with this script and not with a child of it
RUN_MUST_FINISH='' # set while a child runs that must not be cut off half way (begin_job)

# now_ms: REPLY is milliseconds since the host came up. The clock, and bash's SECONDS with it, may be put forth or back while this
# runs: a NAS that was slow for once would have been silent for an hour, and what may last seconds would last one.
now_ms() {
  IFS=' ' read -r REPLY _ </proc/uptime
  REPLY=$((10#${REPLY/./} * 10))
}

# lines TEXT: LINES are its lines without the empty ones. A here-string would be a pipe, and bash reads a pipe byte by byte.
lines() {
  local - IFS=$'\n'
  set -f
  # shellcheck disable=SC2206
  LINES=($1)
}
LINES=()

# nap SECONDS: a pause that costs no process and that a signal ends: nothing ever comes out of that pipe.
nap() {
  local _
  [[ $NAP_FD ]] || exec {NAP_FD}<> <(:)
  read -r -t "$1" -u "$NAP_FD" _ || :
}
NAP_FD=''

# nap_since MS: a sixteenth of the time that has passed since then, between 20 ms and a fifth of a second: what takes long is not looked
# at often, and what was quick is not waited for.
nap_since() {
  local REPLY pause
  now_ms && pause=$(((REPLY - $1) / 16))
  ((pause >= 20)) || pause=20
  ((pause <= 200)) || pause=200
  printf -v pause '0.%03d' "$pause"
  nap "$pause"
}

# run SECONDS COMMAND...: RUN_OUT and RUN_ERR hold what it said; returns its exit code, 124 past the deadline.
run() {
  run_start "${@:2}"
  if ! run_wait "$1"; then
    run_kill
    RUN_ERR="no answer within $1 s: $2 ${3-}"
    RUN_CODE=124
  fi
  return "$RUN_CODE"
}

# run_start COMMAND...: starts it in the background; its output waits in $WORK/out and $WORK/err.
# A shell of its own waits for it and says its code. This one never calls `wait`, which knows no deadline: a script that did was once
# seen to stand still for good behind a child that had ended, with the open virsh as its only other one.
# That shell lets go of what this one talks to: left behind with a child that cannot be ended, it would hold the caller's connection open.
run_start() {
  # The locks (descriptors 7 to 9) belong to this script alone: a child that outlives it must not hold them.
  exec {RUN_FD}< <(
    set +eE
    trap - ERR EXIT
    exec 7>&- 8>&- 9>&- </dev/null 2>/dev/null
    [[ ! $VIRSH_IN ]] || exec {VIRSH_IN}>&- {VIRSH_SAYS}<&-
    "$@" </dev/null >"$WORK/out" 2>"$WORK/err" &
    echo $!
    wait $!
    echo $?
  )
  RUN_CODE='' RUN_PID='' RUN_SAID=''
  read -r -u "$RUN_FD" RUN_PID || :
}

# run_wait SECONDS: true when the child has ended (then RUN_CODE, RUN_OUT, RUN_ERR are set).
run_wait() {
  local code='' answer=0
  read -r -t "$1" -u "$RUN_FD" code || answer=$?
  # The time can be up between the digits and the end of their line.
  RUN_SAID+=$code
  # Above 128: only the time was up. Otherwise the pipe closed without a code: the child was killed with its parent.
  ((answer <= 128)) || return 1
  run_close
  RUN_CODE=${RUN_SAID:-143}
  IFS= read -r -d '' RUN_OUT <"$WORK/out" || :
  IFS= read -r -d '' RUN_ERR <"$WORK/err" || :
  RUN_OUT=${RUN_OUT%$'\n'} RUN_ERR=${RUN_ERR%$'\n'}
}

# run_kill: ends the child if it can be ended; one in uninterruptible sleep stays behind.
run_kill() {
  [[ $RUN_FD ]] || return 0
  local pid=$RUN_PID _
  kill -TERM "$pid" 2>/dev/null || :
  if ! read -r -t 1 -u "$RUN_FD" _; then
    kill -KILL "$pid" 2>/dev/null || :
    read -r -t 1 -u "$RUN_FD" _ || :
  fi
  run_close
}

run_close() {
  exec {RUN_FD}<&-
  RUN_FD='' RUN_PID=''
}

# process_lives PID: one that has ended may stay as a zombie: a signal can come when bash is not about to collect its children.
process_lives() {
  local stat
  { read -r stat <"/proc/$1/stat"; } 2>/dev/null && [[ ${stat##*) } != [ZX]* ]]
}
