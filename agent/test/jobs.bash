# What the tests of jobs share: start and follow a job, a stock script of the test's own.
# shellcheck shell=bash disable=SC2034,SC2154

# start ID [WORD...]: one call of start; FENCE is its epoch, SECRETS goes to stdin. SECRETS must not be exported.
start() { local id=$1; shift; printf '%s' "${SECRETS:-}" | "$SCRIPT" start --job "$id" --fence "${FENCE:-1}" -- "$@"; }
# start_full ID, start_incremental ID: the next backup of the chain, as a job.
start_full() { next && lab moment "$VM" "$BITMAP" && common && start "$1" backup "${COMMON[@]}" -M full --bitmap-new "$BITMAP"; }
start_incremental() {
  next && lab moment "$VM" "$BITMAP" && common
  start "$1" backup "${COMMON[@]}" -M incremental --bitmap-new "$BITMAP" --bitmap-parent "$PARENT" --parent-paths "$(parent_files)"
}

field() { "$SCRIPT" status --job "$1" | jq -r "$2"; }
state() { field "$1" .state; }
said() { field "$1" ".$2 | @base64d"; }
# ends ID STATE: within twenty seconds it is no longer running, and then STATE.
ends() {
  local is i
  for ((i = 0; i < 400; i++)); do
    is=$(state "$1")
    [[ $is == running ]] || break
    sleep 0.05
  done
  [[ $is == "$2" ]] || { "$SCRIPT" status --job "$1" >&2 && return 1; }
}
job_file() { printf '%s/host/state/jobs/%s/%s' "$LAB_DIR" "$1" "$2"; }
runner_of() { cat "$(job_file "$1" pid)"; }
# operation_of ID: the process the runner waits for; its other children live for milliseconds.
operation_of() {
  local pid
  for _ in {1..200}; do
    pid=$(ps -o pid=,args= --ppid "$(runner_of "$1")" | awk '!/ start --job/ && /nasbackup.sh --job|stock|sleep/ { print $1 }')
    [[ ! $pid ]] || { echo "$pid" && return; }
    sleep 0.02
  done
  return 1
}
appears() { for _ in {1..200}; do [[ -e $1 ]] && return 0; sleep 0.02; done; return 1; }

# stock: makes stdin the stock script of this host.
stock() {
  cat >"$LAB_DIR/host/stock.sh"
  chmod 755 "$LAB_DIR/host/stock.sh"
  host_conf "stock_script=$LAB_DIR/host/stock.sh" stock_dialect=final
}

# big_vm: with enough data that a backup of it can be met in the middle.
big_vm() {
  new_vm vda:256M "$@"
  lab write "$VM" vda 0x5a 8M 200M
}

# catch_job [BYTES_PER_SECOND]: waits for the backup job and slows it down. One open virsh answers within a millisecond:
# a virsh for each question may come too late.
catch_job() {
  local line device='' deadline=$((SECONDS + 20)) ask="qemu-monitor-command $VM '{\"execute\":\"query-block-jobs\"}'"
  coproc SHELL_OF_VIRSH { virsh -q -c qemu:///system 2>&1; }
  local pid=$SHELL_OF_VIRSH_PID
  while [[ ! $device ]] && ((SECONDS < deadline)); do
    printf '%s\n' "$ask" >&"${SHELL_OF_VIRSH[1]}"
    while IFS= read -r -t 5 line <&"${SHELL_OF_VIRSH[0]}"; do [[ $line != '{"return"'* && $line != *error:* ]] || break; done
    [[ ! $line =~ \"device\":\"([^\"]+)\" ]] || device=${BASH_REMATCH[1]}
  done
  printf '%s\n' "qemu-monitor-command $VM '{\"execute\":\"block-job-set-speed\",\"arguments\":{\"device\":\"$device\",\"speed\":${1:-5000000}}}'" quit >&"${SHELL_OF_VIRSH[1]}"
  wait "$pid" || :
  [[ $device && $(virsh_q domjobinfo "$VM" --rawstats) != *'disk_remaining: 0'* ]] || { echo 'the job was over too soon' >&2 && return 1; }
}
