# ---- the one way out ----------------------------------------------------------------------------
#
# What a step changes is put on a stack with the command that takes it back. Every exit, planned or
# not, goes through on_exit, which runs the stack newest first; commit keeps what is good.

DONE=''        # set once the result is printed: nothing is left to do at the exit
ERROR_CODE='' ERROR_TEXT=''
STACK=()       # "undo COMMAND" (only when failed) or "always COMMAND"
LEFT=()        # what could not be taken back, for people

# die TEXT [CODE]: ends the operation as failed; CODE is a stable word for programs.
die() {
  ERROR_TEXT=${ERROR_TEXT:-$1} ERROR_CODE=${ERROR_CODE:-${2:-failed}}
  exit "$EXIT_FAILED"
}

warn() { printf 'warning: %s\n' "$1" >&2; }

# left TEXT: this stays behind on the host or the NAS; CODE 20 and the facts tell it.
left() {
  LEFT+=("$1")
  warn "left behind: $1"
}

undo_push() { STACK+=("undo ${*@Q}"); }
always_push() { STACK+=("always ${*@Q}"); }

# unwind failed|good: takes everything back, or only what never stays. An undo action reports with left and never dies.
unwind() {
  local entry
  while ((${#STACK[@]})); do
    entry=${STACK[-1]}
    unset 'STACK[-1]'
    [[ $entry == always* || $1 == failed ]] || continue
    eval "${entry#* }" || :
  done
}

# commit: the work is good and stays; from here a signal no longer turns it into a failure.
commit() {
  trap : TERM INT HUP PIPE
  local entry
  local -a kept=()
  for entry in "${STACK[@]}"; do [[ $entry == undo* ]] || kept+=("$entry"); done
  STACK=("${kept[@]}")
}

on_signal() { die "Stopped by SIG$1" job-cancelled; }

on_error() {
  local code=$? command=$2
  [[ $BASHPID == "$$" ]] || return 0
  ERROR_TEXT=${ERROR_TEXT:-"Unexpected failure (code $code) in line $1: ${command%%$'\n'*}${RUN_ERR:+: $RUN_ERR}"}
  ERROR_CODE=${ERROR_CODE:-internal}
}

on_exit() {
  local code=$?
  # A signal meets the script in the middle of some `IFS= read`, and what is done from here splits words.
  local IFS=$' \t\n'
  trap - ERR
  trap : TERM INT HUP PIPE
  set +e
  # On the way out nobody waits a minute for an answer.
  VIRSH_SECONDS=5
  [[ ! $DONE ]] || exit "$code"
  ERROR_TEXT=${ERROR_TEXT:-"Ended without a result (code $code)"} ERROR_CODE=${ERROR_CODE:-internal}
  if [[ $RUN_MUST_FINISH ]] && ! run_wait 5; then left "a command that does not end: process $RUN_PID"; fi
  run_kill
  unwind failed
  printf '%s\n' "$ERROR_TEXT" >&2
  print_failure
  ((${#LEFT[@]})) && exit "$EXIT_CLEANUP_FAILED"
  exit "$EXIT_FAILED"
}

arm_traps() {
  trap on_exit EXIT
  trap 'on_error $LINENO "$BASH_COMMAND"' ERR
  trap 'on_signal TERM' TERM
  trap 'on_signal INT' INT
  trap 'on_signal HUP' HUP
  trap 'on_signal PIPE' PIPE
}

# work_open: a private scratch directory for this call.
work_open() {
  mkdir -p -- "$STATE_DIR" || die "Cannot make the state directory $STATE_DIR" state-dir
  WORK=$(mktemp -d -- "$STATE_DIR/work.XXXXXX") || die "Cannot write to the state directory $STATE_DIR" state-dir
  always_push work_close
  process_start "$$" || REPLY=
  printf '%s %s\n' "$$" "$REPLY" >"$WORK/owner"
}

# owned PATH: makes note of what a killed call leaves behind: sweep (77-sweep) removes nothing that nobody made note of.
owned() { printf '%s\n' "$1" >>"$WORK/owned"; }

# process_start PID: REPLY is when it began, in the kernel's ticks: with it a pid is nobody else's. False when there is none, or only
# a dead one that nobody has collected yet.
process_start() {
  local stat=''
  local -a fields
  { read -r stat <"/proc/$1/stat"; } 2>/dev/null || return 1
  read -r -a fields <<<"${stat##*) }"
  REPLY=${fields[19]}
  [[ ${fields[0]} != [ZX] ]]
}

work_close() {
  # Something stays behind, and so does the note of it.
  if ((${#LEFT[@]})) && [[ -e $WORK/owned ]]; then rm -rf -- "${WORK:?}"/!(owner|owned); else rm -rf -- "$WORK"; fi
}
