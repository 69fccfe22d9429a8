# What the tests of jobs share: start and follow a job, a stock script of the test's own.
# shellcheck shell=bash disable=SC2034,SC2154

# start ID [WORD...]: one call of start; FENCE is its epoch, SECRETS goes to stdin. SECRETS must not be exported.
# A job gets none of bats' descriptors, as sudo would see to: bats waits until the last one is closed.
start() { local id=$1; shift; printf '%s' "${SECRETS:-}" | "$SCRIPT" start --job "$id" --fence "${FENCE:-1}" -- "$@" 3>&- 4>&-; }
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
