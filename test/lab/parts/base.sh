# What every part of the lab needs: words for failure, patterns for names, the lab's own paths.

die() { printf 'lab: %s\n' "$*" >&2; exit 1; }

virsh_q() { virsh -q -c "$URI" "$@"; }

# Names reach XML, paths and monitor commands: one strict pattern each, and nothing else gets in.
check_name()   { [[ $1 =~ ^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$ ]] || die "not a name: '$1'"; }
check_target() { [[ $1 =~ ^vd[a-z]$ ]] || die "not a disk target (vda..vdz): '$1'"; }

# A size or an offset in bytes: 4096, 64K, 8M, 2G.
bytes() { bytes_of "$1" && printf '%s\n' "$REPLY"; }
bytes_of() {
  [[ $1 =~ ^([0-9]+)([KMG]?)$ ]] || die "not a number of bytes: '$1' (4096, 64K, 8M, 2G)"
  local number=$((10#${BASH_REMATCH[1]}))
  case ${BASH_REMATCH[2]} in
    K) number=$((number << 10)) ;;
    M) number=$((number << 20)) ;;
    G) number=$((number << 30)) ;;
  esac
  REPLY=$number
}

# Paths of this lab; LAB_ID is short because it goes into file names under /run and /etc.
use_lab() {
  [[ ${LAB_DIR:-} == /* ]] || die 'LAB_DIR must be set to an absolute path'
  [[ $LAB_DIR =~ ^[A-Za-z0-9/._-]+$ ]] || die "LAB_DIR may hold letters, digits, dots, dashes: '$LAB_DIR'"
  real_path "$LAB_DIR" && LAB_DIR=$REPLY
  hash_of "$LAB_DIR" && LAB_ID=$REPLY
  IMAGES=$LAB_DIR/images NAS=$LAB_DIR/nas MIRROR=$LAB_DIR/mirror HOST=$LAB_DIR/host RUN=$LAB_DIR/run SSH=$LAB_DIR/ssh
}

# real_path PATH: REPLY is the path without links.
real_path() {
  local here=$PWD
  if cd -P "$1" 2>/dev/null; then REPLY=$PWD && cd "$here"; else REPLY=$(readlink -m "$1"); fi
}

# hash_of TEXT: REPLY is eight hexadecimal digits (FNV-1a).
hash_of() {
  local i code hash=2166136261
  for ((i = 0; i < ${#1}; i++)); do
    printf -v code %d "'${1:i:1}"
    hash=$((((hash ^ code) * 16777619) & 0xffffffff))
  done
  printf -v REPLY %08x "$hash"
}

need_up() { [[ -e $REGISTRY/labs/$LAB_ID ]] || die "no lab at $LAB_DIR: run 'lab.sh up' first"; }

# Runs a command under the one lock of all labs of this machine. The lock file goes with the last lab, so a lock on a file
# that is no longer the one in the directory counts for nothing and is taken again.
with_registry() {
  ((EUID == 0)) || die 'a lab needs root'
  local fd
  while :; do
    mkdir -p "$REGISTRY/labs"
    { exec {fd}>"$REGISTRY/lock"; } 2>/dev/null || continue
    flock -w 300 "$fd" || die 'another lab has held the registry for five minutes'
    [[ $REGISTRY/lock -ef /proc/self/fd/$fd ]] && break
    exec {fd}>&-
  done
  REGISTRY_FD=$fd
  "$@"
  exec {fd}>&-
}

# Waits until a command succeeds; the deadline is in seconds.
wait_until() {
  local deadline=$((SECONDS + $1)); shift
  until "$@"; do
    ((SECONDS < deadline)) || return 1
    sleep 0.05
  done
}

# A process by pid and start time: a pid alone may have been given to somebody else since.
process_id() { local stat; stat=$(<"/proc/$1/stat") && stat=${stat##*) } && printf '%s:%s' "$1" "$(cut -d' ' -f20 <<<"$stat")"; }
process_lives() { [[ -n $1 && $(process_id "${1%%:*}" 2>/dev/null) == "$1" ]]; }

# The arguments of a process, a line each; nothing when it is gone.
command_line() { { tr '\0' '\n' <"/proc/$1/cmdline"; } 2>/dev/null || :; }

# Processes that have TEXT as one of their arguments.
processes_with() { { grep -lzxF -e "$1" /proc/[0-9]*/cmdline 2>/dev/null || :; } | cut -d/ -f3; }
no_process_with() { [[ -z $(processes_with "$1") ]]; }

# Runs what becomes a daemon, with none of our descriptors: it would hold the registry's lock, and a bats that started it would
# wait for the end of its output, for as long as the daemon lives.
alone() {
  (
    for fd in /proc/"$BASHPID"/fd/*; do
      fd=${fd##*/}
      ((fd <= 2 || fd == 255)) || eval "exec $fd>&-"
    done
    exec "$@" </dev/null
  )
}
