# ---- libvirt and QEMU ---------------------------------------------------------------------------

readonly VIRSH=(virsh -q -c qemu:///system)
VIRSH_SECONDS=60 # seconds: libvirt may probe every QEMU again after a restart before it answers the first question

# virsh_q ARGUMENT...: RUN_OUT, RUN_ERR and the code as run (nothing is printed). One open virsh answers in a millisecond, a
# process for each question costs a hundred times as much: all questions go through it.
virsh_q() {
  local word line='' code=0
  for word; do
    [[ $word != *[\'$'\n']* ]] || line=none
    [[ $line == none ]] || line+=" '$word'"
  done
  if [[ $line == none ]]; then code=255; else virsh_ask "$VIRSH_SECONDS" "${line:1}" || code=$?; fi
  ((code != 255)) || { code=0 && run "$VIRSH_SECONDS" "${VIRSH[@]}" "$@" || code=$?; }
  return "$code"
}

VIRSH_SAYS='' VIRSH_PID='' VIRSH_TURN=0

# Its answers go to a file, because bash reads a pipe byte by byte; through the pipe come errors and the marks around them.
virsh_open() {
  [[ -p $WORK/ask ]] || mkfifo -- "$WORK/ask"
  exec {VIRSH_IN}<>"$WORK/ask"
  exec {VIRSH_SAYS}< <(
    # Without a writing end of its own it ends with this script, however that ends.
    exec <"$WORK/ask" {VIRSH_IN}>&- 7>&- 8>&- 9>&- 2>&1 >>"$WORK/virsh.out"
    exec "${VIRSH[@]}"
  )
  VIRSH_PID=$!
}

virsh_close() {
  kill -KILL "$VIRSH_PID" 2>/dev/null || :
  exec {VIRSH_IN}>&- {VIRSH_SAYS}<&-
  VIRSH_IN=''
}

# virsh_ask SECONDS LINE: as run; 255 when the open virsh cannot be asked, and a process of its own may be.
virsh_ask() {
  local REPLY begin end line='' seen='' said='' answer=0 until
  now_ms && until=$((REPLY + $1 * 1000))
  [[ $VIRSH_IN ]] || virsh_open
  begin="begin-$((++VIRSH_TURN))" end="end-$VIRSH_TURN"
  : >"$WORK/virsh.out"
  printf 'echo --err %s\n%s\necho --err %s\n' "$begin" "$2" "$end" >&"$VIRSH_IN"
  RUN_OUT='' RUN_ERR='' RUN_CODE=0
  while now_ms && IFS= read -r -t $((until > REPLY ? (until - REPLY + 999) / 1000 : 1)) -u "$VIRSH_SAYS" line || { answer=$? && false; }; do
    # What comes before belongs to a question that a signal has cut off.
    case $line in
      *"$begin") seen=yes RUN_ERR='' ;;
      *"$end") break ;;
      *) RUN_ERR+=${RUN_ERR:+$'\n'}$line ;;
    esac
  done
  # virsh repeats what it is asked, behind its prompt.
  IFS= read -r -d '' said <"$WORK/virsh.out" || :
  if ((answer)); then
    virsh_close
    # It has ended, or stands in an older question; else this one has no answer.
    ((answer > 128)) && [[ $seen ]] || return 255
    RUN_ERR="no answer within $1 s: virsh $2" RUN_CODE=124
  elif [[ $RUN_ERR == *'connected '@(to|from)* || $said != *"echo --err $begin"$'\n'*"echo --err $end"* ]]; then
    virsh_close # libvirt was started anew, or this virsh is not like others
    return 255
  else
    said=${said#*"echo --err $begin"$'\n'*$'\n'}
    RUN_OUT=${said%virsh ? "echo --err $end"*} RUN_OUT=${RUN_OUT%$'\n'}
    [[ $RUN_ERR != *error:* ]] || RUN_CODE=1
  fi
  return "$RUN_CODE"
}

# qmp JSON: asks QEMU; the answer is in the array QMP under "return". QEMU's errors come with exit code 0.
qmp() {
  virsh_q qemu-monitor-command "$OPT_VM" --pretty "$1" || return 1
  json_read QMP "$RUN_OUT" || { RUN_ERR='QEMU answered something that is not JSON' && return 1; }
  if json_get QMP error.desc; then
    RUN_ERR=$REPLY
    return 1
  fi
}
declare -A QMP=()

HOST_LIBVIRT='' HOST_QEMU=''
look_at_host() {
  local line
  virsh_q version --daemon || return 1
  lines "$RUN_OUT"
  for line in "${LINES[@]}"; do
    case $line in
      'Running hypervisor: QEMU '*) HOST_QEMU=${line##* } ;;
      'Running against daemon: '*) HOST_LIBVIRT=${line##* } ;;
    esac
  done
}

check_versions() {
  version_at_least "$HOST_LIBVIRT" "$MIN_LIBVIRT" || die "libvirt ${HOST_LIBVIRT:-unknown} is too old: $MIN_LIBVIRT or newer is needed" version-too-old
  version_at_least "$HOST_QEMU" "$MIN_QEMU" || die "QEMU ${HOST_QEMU:-unknown} is too old: $MIN_QEMU or newer is needed" version-too-old
}

version_at_least() {
  local i
  local -a have want
  IFS=. read -r -a have <<<"$1"
  IFS=. read -r -a want <<<"$2"
  [[ $1 =~ ^[0-9]+(\.[0-9]+)*$ ]] || return 1
  for i in 0 1 2; do
    ((10#${have[i]:-0} > 10#${want[i]:-0})) && return 0
    ((10#${have[i]:-0} < 10#${want[i]:-0})) && return 1
  done
  return 0
}

# look_at_state: VM_STATE (running, paused, "shut off", absent) and VM_REASON. The look_at_… functions never die: a way out may need them,
# too. False, with the cause in RUN_ERR, when there is no answer.
VM_STATE='' VM_REASON='' VM_UUID=''
look_at_state() {
  VM_STATE=absent VM_REASON=''
  if ! virsh_q domstate "$OPT_VM" --reason; then
    is_gone "$RUN_ERR" || return 1
    return 0
  fi
  VM_STATE=${RUN_OUT%% (*}
  [[ $RUN_OUT != *\(*\)* ]] || { VM_REASON=${RUN_OUT#*\(} && VM_REASON=${VM_REASON%\)*}; }
  # Its other words are of machines whose QEMU has the disks as ever; whether the guest works on is what counts.
  case $VM_STATE in
    idle | 'in shutdown') VM_REASON=$VM_STATE VM_STATE=running ;;
    pmsuspended | crashed) VM_REASON=$VM_STATE VM_STATE=paused ;;
  esac
}

# vm_is_live: a QEMU process holds the disks. A paused machine is not a stopped one.
vm_is_live() { [[ $VM_STATE != @(absent|shut off) ]]; }

# job_active: some job works on the machine right now, whoever started it; JOB_OPERATION says which.
JOB_OPERATION=''
job_active() {
  JOB_OPERATION=''
  if ! virsh_q domjobinfo "$OPT_VM"; then
    [[ $RUN_ERR == *'backup job data missing'* ]] || die_unless_gone "Cannot ask for jobs of $OPT_VM"
    JOB_OPERATION=Backup # one that is just beginning
    return 0
  fi
  local line
  lines "$RUN_OUT"
  for line in "${LINES[@]}"; do
    [[ $line != Operation:* ]] || { line=${line#Operation:} && JOB_OPERATION=${line//[[:space:]]/}; }
  done
  [[ $RUN_OUT != *'Job type:'*None* ]]
}

# is_gone TEXT: libvirt says that there is no such machine, or that it no longer runs.
is_gone() { [[ $1 == *'failed to get domain'* || $1 == *'Domain not found'* || $1 == *'domain is not running'* ]]; }

# die_unless_gone TEXT [CODE]: dies with what libvirt said in RUN_ERR; the code is guest-gone when the machine is gone.
die_unless_gone() {
  ! is_gone "$RUN_ERR" || die "$1: $RUN_ERR" guest-gone
  die "$1: $RUN_ERR" "${2:-libvirt-unreachable}"
}
