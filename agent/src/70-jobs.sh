# ---- jobs: operations that outlive the connection that started them ------------------------------
#
# A job is a directory. Who holds its lock (descriptor 8) is the job: the runner (71-job-run) and the operation it runs.
# The kernel drops a lock with its process, so the lock cannot lie about life. `started` is written once, under the lock and
# before anything runs: it makes a second start harmless. sudo passes no descriptors on, so nobody can pretend to be in a job.

readonly JOB_PATTERN='^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$'
readonly JOB_CHUNK=65536 # bytes of stdout, and of stderr, in one answer
JOB_DIR=''               # of the job this process belongs to or was asked about
JOB_TMP=''               # where an operation in a job makes its temporary mount points, so that they are known as the job's

job_open() {
  need OPT_JOB --job
  [[ $OPT_JOB =~ $JOB_PATTERN ]] || bad_option "Not a valid job id: $OPT_JOB"
  JOB_DIR=$STATE_DIR/jobs/$OPT_JOB
}

job_is_mine() { [[ /dev/fd/8 -ef $JOB_DIR/lock ]]; }

# job_join: before every operation: one that runs in a job learns where its progress, secrets and mounts go, so that abort
# finds the mounts of an operation that had to be killed.
job_join() {
  [[ $OPT_JOB && $OPT_OPERATION != @(start|status|abort|take) ]] || return 0
  job_open
  job_is_mine || bad_option '--job belongs to start, status, abort and take'
  PROGRESS_FILE=$JOB_DIR/progress
  [[ ! -e $JOB_DIR/secrets ]] || OPT_SECRETS_FILE=$JOB_DIR/secrets
  [[ ! -e $JOB_DIR/tmp ]] || JOB_TMP=$(<"$JOB_DIR/tmp")
}

# start: the same for the first call, which makes the job, and for every repetition, which only learns its state.
operation_start() {
  job_open
  if job_is_mine; then job_run; fi
  need OPT_FENCE --fence
  local secrets='' created=false
  if [[ ! -e $JOB_DIR/started ]]; then
    job_arguments
    [[ ! $JOB_VM ]] || fence_compare "$JOB_VM" "$OPT_FENCE"
    job_read_secrets && secrets=$REPLY
    if job_claim; then
      created=true
      job_launch "$secrets"
    fi
  fi
  job_look
  json_object b created "$created"
  job_answer "${REPLY:1:-1}"
}

# job_claim: true, holding the lock, when this call is the one that may start the job.
job_claim() {
  local REPLY until
  now_ms && until=$((REPLY + 5000))
  { mkdir -p -- "$JOB_DIR" && exec 8>>"$JOB_DIR/lock"; } || job_unwritable
  # Held without `started`: another start is about to begin, or a status is looking; both take milliseconds.
  until flock -n 8; do
    [[ ! -e $JOB_DIR/started ]] || break
    now_ms
    ((REPLY < until)) || die "Job $OPT_JOB is held by a call that does not start it" job-busy
    nap 0.02
  done
  [[ -e $JOB_DIR/started ]] || return 0
  exec 8>&-
  return 1
}

# job_launch SECRETS: writes the job down and starts its runner, which inherits the lock: no instant without a holder.
job_launch() {
  json_strings "${OPT_REST[@]}"
  rm -f -- "$JOB_DIR/secrets"
  { job_write argv.json "$REPLY" && job_write boot_id "$(</proc/sys/kernel/random/boot_id)" && { [[ ! $1 ]] || job_write secrets "$1"; } &&
    job_write started; } || job_unwritable
  # A session of its own and no descriptor of the caller's: the connection can end, and sshd need not wait.
  setsid --fork "$BASH" "$SCRIPT_FILE" start --job "$OPT_JOB" --fence "$OPT_FENCE" -- "${OPT_REST[@]}" \
    </dev/null >>"$JOB_DIR/stdout" 2>>"$JOB_DIR/stderr" || { rm -rf -- "$JOB_DIR"; die "Cannot start a process for job $OPT_JOB" job-start; }
  exec 8>&-
}

# job_arguments: what the job's own arguments say: JOB_STOCK, JOB_WHAT (the operation), JOB_VM, JOB_PATH, JOB_QUIESCE.
job_arguments() {
  local -a rest=("${OPT_REST[@]}")
  local argument value=''
  JOB_STOCK='' JOB_WHAT='' JOB_VM='' JOB_PATH='' JOB_QUIESCE=''
  [[ ${rest[0]-} != stock ]] || { JOB_STOCK=yes && rest=("${rest[@]:1}"); }
  for argument in "${rest[@]}"; do [[ $argument =~ $SAFE_TEXT ]] || bad_option 'The arguments of a job must not hold control characters'; done
  while ((${#rest[@]})); do
    argument=${rest[0]} value=${rest[1]-}
    rest=("${rest[@]:1}")
    [[ ! $argument =~ $FLAG_PATTERN ]] || continue
    [[ $argument == -* ]] || { JOB_WHAT=$argument && continue; }
    case $argument in
      -o | --operation) JOB_WHAT=$value ;;
      -v | --vm) JOB_VM=$value ;;
      -p | --path) JOB_PATH=$value ;;
      -q | --quiesce) JOB_QUIESCE=$value ;;
      --job | --fence) bad_option "Option $argument belongs before the --" ;;
      -m | --mount)
        [[ ! $value =~ (^|,)(pass|password|pass2|password2|secret)= ]] || bad_option 'A secret in the mount options: secrets belong on stdin'
        ;;
    esac
    rest=("${rest[@]:1}")
  done
  [[ $JOB_WHAT && $JOB_WHAT != @(start|status|abort|take) ]] || bad_option 'Operation start needs an operation after --'
  [[ ! $JOB_VM || $JOB_VM =~ $VM_PATTERN ]] || bad_option "Not a valid name of the virtual machine: $JOB_VM"
  [[ ! $JOB_STOCK || $STOCK_SCRIPT ]] || bad_option 'host.conf names no stock_script'
}
JOB_STOCK='' JOB_WHAT='' JOB_VM='' JOB_PATH='' JOB_QUIESCE=''

# job_read_secrets: REPLY is what stdin holds, checked; false when nothing. The caller must close stdin.
job_read_secrets() {
  REPLY=
  [[ ! -t 0 ]] || return 1
  local code=0 key
  local -A found=()
  IFS= read -r -d '' -n "$JOB_CHUNK" -t 10 REPLY || code=$?
  ((code <= 128)) || die 'Nobody closed stdin: after the secrets, or without any, it must end' secrets-timeout
  [[ $REPLY == *[!"$WHITE"]* ]] || return 1
  # The text itself is kept, and never quoted in an error.
  local text=$REPLY
  { ((code == 1)) && json_read found "$text" && [[ ${found['/@']+yes} ]]; } || bad_option 'The secrets on stdin are not one JSON object'
  lines "${found['/@']:1}"
  for key in "${LINES[@]}"; do
    [[ $key == @(|mountOptions|credentials) ]] || bad_option 'The secrets may hold mountOptions and credentials'
  done
  REPLY=$text
}

# job_look: JOB_STATE and JOB_EXIT.
job_look() {
  JOB_STATE=absent JOB_EXIT=''
  if job_finished; then return 0; fi
  if job_alive; then
    JOB_STATE=running
  elif ! job_finished && [[ -e $JOB_DIR/started ]]; then # asked again: it may have ended between the two looks
    JOB_STATE=unknown
    # Its runner cannot remove them any more.
    rm -f -- "$JOB_DIR/secrets"
  fi
}
JOB_STATE='' JOB_EXIT=''

job_finished() {
  job_text exit || return 1
  JOB_STATE="done" JOB_EXIT=$REPLY
}

# job_alive: somebody holds the lock, and it is a lock of today's kernel.
job_alive() {
  local fd code=0
  [[ -e $JOB_DIR/lock ]] || return 1
  exec {fd}<"$JOB_DIR/lock"
  flock -s -n "$fd" || code=1
  exec {fd}<&-
  ((code)) && { ! job_text boot_id || [[ $REPLY == "$(</proc/sys/kernel/random/boot_id)" ]]; }
}

# job_write FILE [TEXT]: replaced in one step; without a text it is the time now.
job_write() {
  local text=${2-}
  [[ ${2+given} ]] || { rfc3339_now && text=$REPLY; }
  printf '%s\n' "$text" >"$JOB_DIR/.$1.$BASHPID" && mv -f -- "$JOB_DIR/.$1.$BASHPID" "$JOB_DIR/$1"
}

job_unwritable() { die "Cannot write into $JOB_DIR: is the disk that it lies on full? Nothing was started" job-unwritable; }

# job_text FILE: REPLY is its first line; false when there is none.
job_text() {
  REPLY=
  [[ -e $JOB_DIR/$1 ]] && { read -r REPLY <"$JOB_DIR/$1" || :; } 2>/dev/null && [[ $REPLY ]]
}

rfc3339_now() {
  local micros=${EPOCHREALTIME/[.,]/}
  printf -v REPLY '%(%Y-%m-%dT%H:%M:%S)T.%sZ' "${micros::-6}" "${micros: -6:3}"
}

# job_answer [MEMBERS]: prints the job as one line of JSON, MEMBERS being more of its members, and ends this call.
job_answer() {
  local started='' ended='' progress='' aborted=false code=${2:-0}
  local -A parsed=()
  job_text started && started=$REPLY
  job_text ended && ended=$REPLY
  job_text progress && json_read parsed "$REPLY" && job_text progress && progress=$REPLY
  [[ ! -e $JOB_DIR/aborted ]] || aborted=true
  json_object n v 1 s job "$OPT_JOB" s state "$JOB_STATE" n exit "$JOB_EXIT" s started "$started" s ended "$ended" \
    b aborted "$aborted" r progress "$progress"
  unwind good
  printf '%s%s}\n' "${REPLY%\}}" "${1:+,$1}"
  DONE=yes
  exit "$code"
}

# status: with --from OUT[:ERR], the offsets the last answer gave as stdoutNext and stderrNext.
operation_status() {
  local out err
  job_open
  [[ $OPT_FROM =~ ^([0-9]{1,15})?(:([0-9]{1,15}))?$ ]] || bad_option "Not a valid offset: $OPT_FROM"
  out=$((10#${BASH_REMATCH[1]:-0})) err=$((10#${BASH_REMATCH[3]:-0}))
  # First the state, then the output: what an ended job has printed is complete.
  job_look
  local members='"encoding":"base64"'
  job_output stdout "$out" && members+=,$REPLY
  job_output stderr "$err" && members+=,$REPLY
  job_answer "$members"
}

# job_output FILE FROM: REPLY is "FILE":"base64","FILENext":n,"FILESize":n.
job_output() {
  local size=0 data='' next=$2 piece
  if [[ -s $JOB_DIR/$1 ]]; then
    size=$(stat -c %s -- "$JOB_DIR/$1")
    ((next <= size)) || next=$size
    if ((next < size)); then
      # No more than was there at the first look: a job that goes on writes meanwhile.
      piece=$((size - next < JOB_CHUNK ? size - next : JOB_CHUNK))
      data=$(dd if="$JOB_DIR/$1" bs="$JOB_CHUNK" iflag=skip_bytes,count_bytes skip="$next" count="$piece" status=none | base64 -w 0)
      next=$((next + piece))
    fi
  fi
  json_object S "$1" "$data" n "$1Next" "$next" n "$1Size" "$size"
  REPLY=${REPLY:1:-1}
}
