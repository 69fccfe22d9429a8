#!/usr/bin/env bash
# Chainkeeper host script: backs up KVM virtual machines to a NAS and says exactly what it did.
# SPDX-License-Identifier: Apache-2.0
#
# Assembled from agent/src/*.sh by agent/build.sh: change the parts, not the assembled file.
# On the host it needs bash, virsh, qemu-img, util-linux and coreutils, nothing else.
set -Eeuo pipefail
shopt -s inherit_errexit extglob

# It runs as root under sudo: nothing is taken from the caller's environment.
export PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C TZ=UTC0
unset IFS CDPATH GLOBIGNORE BASH_ENV ENV
umask 077

readonly SCRIPT_VERSION=1.0.0
readonly MIN_LIBVIRT=7.2.0 MIN_QEMU=4.2.0
# Exit codes CloudStack knows: anything failed; failed and something was left behind.
readonly EXIT_FAILED=1 EXIT_CLEANUP_FAILED=20

# ---- conventions of the parts ---------------------------------------------------------------------
#
# Functions answer in REPLY or in named globals, not on stdout: a $(…) would keep TERM waiting.
#   die TEXT [CODE]        ends the operation; on_exit takes back, prints and exits (25-cleanup)
#   warn TEXT              to stderr
#   undo_push CMD…         taken back when the operation fails      always_push CMD…  at every end
#   left TEXT              something stays behind
#   run SECONDS CMD…       RUN_OUT, RUN_ERR, code (124 past the deadline); TERM is answered meanwhile (05-run)
#   virsh_q ARG…           the same for virsh                       qmp JSON          the same for QEMU, answer in QMP
#   json_read ARR TEXT, json_get ARR PATH, json_object, json_array, json_string (15-json)
#   vm_lock NAME, fence_check NAME EPOCH (70-jobs): one operation on a machine at a time
#   bitmap_drop NAME       removes one of our checkpoints and bitmaps, running or stopped (36-checkpoints)
#   progress DONE TOTAL    for the job directory (40-facts), into PROGRESS_FILE when 70-jobs has set it
# Descriptors 8 (job) and 9 (machine) hold the locks; children do not inherit them.

# ---- running other programs -------------------------------------------------------------------
#
# Every external command goes through run: it has a deadline, TERM is answered while it runs, and
# a child stuck in a dead mount is left behind instead of being waited for.

WORK=          # private scratch directory of this call (made by work_open)
RUN_PID= RUN_FD= RUN_OUT= RUN_ERR= RUN_CODE=
RUN_MUST_FINISH= # set while a child runs that must not be killed half way (see backup_begin)

now_ms() { REPLY=$((${EPOCHREALTIME/./} / 1000)); }

# nap SECONDS: a pause that costs no process and that a signal ends.
nap() {
  local fd _
  exec {fd}<> <(:)
  read -r -t "$1" -u "$fd" _ || :
  exec {fd}<&-
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
run_start() {
  # The locks (descriptors 8 and 9) belong to this script alone: a child that outlives it must not hold them.
  exec {RUN_FD}< <(
    set +eE
    trap - ERR EXIT
    exec 8>&- 9>&-
    "$@" </dev/null >"$WORK/out" 2>"$WORK/err" &
    echo $!
    wait $!
    echo $?
  )
  RUN_CODE= RUN_PID=
  read -r -u "$RUN_FD" RUN_PID || :
}

# run_wait SECONDS: true when the child has ended (then RUN_CODE, RUN_OUT, RUN_ERR are set).
run_wait() {
  local code=
  if ! read -r -t "$1" -u "$RUN_FD" code; then
    # Above 128: only the time was up. Otherwise the pipe closed without a code: the child was killed with its parent.
    (($? > 128)) && return 1
    code=143
  fi
  run_close
  RUN_CODE=${code:-143}
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
  RUN_FD= RUN_PID=
}

# ---- options: the one place where what comes from outside is checked ----------------------------

OPT_OPERATION='' OPT_VM='' OPT_TYPE='' OPT_STORAGE='' OPT_MOUNT_OPTIONS='' OPT_PATH='' OPT_QUIESCE=''
OPT_DISK_PATHS='' OPT_MODE='' OPT_BITMAP_NEW='' OPT_BITMAP_PARENT='' OPT_PARENT_PATHS='' OPT_PARENT_PATH=''
OPT_DIALECT='' OPT_FACTS='' OPT_DISKS='' OPT_ON_LOST_BITMAP='' OPT_TRANSFER=''
OPT_JOB='' OPT_FENCE='' OPT_FROM='' OPT_BITMAP=''
OPT_SECRETS_FILE='' # 0600 JSON {"mountOptions":…,"credentials":{…}}; a job directory's (70-jobs), never an option
OPT_REST=()         # what follows "--"

readonly VM_PATTERN='^[A-Za-z0-9_][A-Za-z0-9_.+@:-]{0,126}$'
readonly BITMAP_PATTERN='^backup-[0-9]{1,12}$'
readonly PATH_PATTERN='^[A-Za-z0-9_][A-Za-z0-9_.+@:-]*(/[A-Za-z0-9_][A-Za-z0-9_.+@:-]*)*$'
readonly SAFE_TEXT='^[^[:cntrl:]]*$'

usage() {
  cat <<'TEXT'
Usage: nasbackup.sh -o OPERATION [options]

Operations
  backup    back up a virtual machine to a NAS     delete    remove a backup from the NAS
  stats     size and use of the NAS                inspect   facts about a virtual machine, as JSON
  start, status, abort                             detached jobs
  retire    drop a bitmap that is no longer a parent

Options
  -v, --vm NAME                libvirt domain
  -t, --type TYPE              nfs, cifs, ceph or dir (a directory of this host)
  -s, --storage ADDRESS        address of the NAS export
  -m, --mount OPTIONS          mount options (may be empty)
  -p, --path PATH              directory of the backup on the NAS, <instance>/<time>
  -q, --quiesce true|false     freeze the guest's filesystems for the moment of the checkpoint
  -d, --diskpaths CSV          disks of a stopped machine; empty for a running one
  -M, --mode MODE              full, incremental or legacy-full (the default)
      --bitmap-new NAME        checkpoint to create, backup-<seconds>
      --bitmap-parent NAME     checkpoint to start from
      --parent-paths CSV       parent files on the NAS, one for each disk
      --parent-path PATH       parent file of the first disk; the others lie beside it
      --disks JSON             [{"target","mode","parentFile","path","format"}], one for each disk
      --dialect seed|final     what to print (final)
      --facts                  print a line FACTS={json}
      --on-lost-bitmap full    what to do when a bitmap is lost
      --transfer push          how the data travels
      --fence N                epoch of the caller's lease
      --job ID  --from OFFSET  --bitmap NAME
  -h, --help
TEXT
}

bad_option() { die "$1" bad-option; }

parse_options() {
  local option
  while (($#)); do
    option=$1
    case $option in
      -h | --help) usage && DONE=yes && exit 0 ;;
      --) shift && OPT_REST=("$@") && break ;;
      --facts) OPT_FACTS=yes && shift && continue ;;
      -*) ;;
      *)
        [[ ! $OPT_OPERATION ]] || invalid_option "$option"
        OPT_OPERATION=$option && shift && continue
        ;;
    esac
    case $option in
      -o | --operation) option=OPT_OPERATION ;;
      -v | --vm) option=OPT_VM ;;
      -t | --type) option=OPT_TYPE ;;
      -s | --storage) option=OPT_STORAGE ;;
      -m | --mount) option=OPT_MOUNT_OPTIONS ;;
      -p | --path) option=OPT_PATH ;;
      -q | --quiesce) option=OPT_QUIESCE ;;
      -d | --diskpaths) option=OPT_DISK_PATHS ;;
      -M | --mode) option=OPT_MODE ;;
      --bitmap-new | --bitmap-parent | --parent-paths | --parent-path | --disks | --dialect | --on-lost-bitmap | --transfer | --job | --fence | --from | --bitmap)
        option=${option#--} option=OPT_${option^^} option=${option//-/_}
        ;;
      *) invalid_option "$option" ;;
    esac
    (($# > 1)) || bad_option "Option $1 needs a value"
    printf -v "$option" %s "$2"
    shift 2
  done
  check_options
}

# CloudStack reads this text from stdout.
invalid_option() {
  DONE=yes
  printf 'Invalid option: %s\n' "$1"
  printf 'Invalid option: %s\n' "$1" >&2
  usage
  exit "$EXIT_FAILED"
}

check_options() {
  local disk
  must_match OPT_VM "$VM_PATTERN" 'name of the virtual machine'
  must_match OPT_BITMAP_NEW "$BITMAP_PATTERN" 'name of the new bitmap'
  must_match OPT_BITMAP_PARENT "$BITMAP_PATTERN" "name of the parent's bitmap"
  must_match OPT_BITMAP "$BITMAP_PATTERN" 'name of the bitmap'
  must_match OPT_FENCE '^[0-9]{1,15}$' 'fence'
  must_match OPT_TYPE '^(nfs|cifs|ceph|dir)$' 'type of the storage'
  must_match OPT_STORAGE '^[^-[:cntrl:]][^[:cntrl:]]*$' 'address of the storage'
  must_match OPT_MOUNT_OPTIONS "$SAFE_TEXT" 'mount options' secret
  must_match OPT_QUIESCE '^(true|false)$' 'value of --quiesce'
  must_match OPT_DIALECT '^(seed|final)$' dialect
  must_match OPT_ON_LOST_BITMAP '^full$' 'way to handle a lost bitmap'
  must_match OPT_TRANSFER '^push$' transfer
  must_match OPT_PATH "$PATH_PATTERN" 'path of the backup'
  must_match OPT_PARENT_PATH "$PATH_PATTERN" 'path of the parent file'
  split_list "$OPT_PARENT_PATHS"
  for disk in "${LIST[@]}"; do
    [[ $disk =~ $PATH_PATTERN ]] || bad_option "Not a valid path of a parent file: $disk"
  done
  split_list "$OPT_DISK_PATHS"
  for disk in "${LIST[@]}"; do
    [[ $disk =~ ^(/|rbd:)[^[:cntrl:]]+$ && /$disk/ != */../* ]] || bad_option "Not a valid path of a disk: ${disk%%:*}"
  done
}

# must_match VARIABLE PATTERN WHAT [secret]: an empty value passes: what an operation needs, it asks for itself.
must_match() {
  [[ ! ${!1} || ${!1} =~ $2 ]] && return
  if [[ ${4-} ]]; then bad_option "Not a valid $3"; else bad_option "Not a valid $3: ${!1}"; fi
}

# need VARIABLE OPTION: for what an operation cannot do without.
need() { [[ ${!1} ]] || bad_option "Operation $OPT_OPERATION needs $2"; }

# split_list CSV: LIST is its items; none for an empty text.
split_list() {
  LIST=()
  [[ ! $1 ]] || IFS=, read -r -a LIST <<<"$1"
}

# ---- JSON: a reader and a writer in bash alone ----------------------------------------------------

readonly WHITE=$' \t\r\n'
readonly JSON_ESCAPES='^([^\\]|\\["\\/bfnrt]|\\u[0-9A-Fa-f]{4})*$'
readonly JSON_SCALAR='^(-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?|true|false|null)$'

# json_read ARRAY TEXT: flattens TEXT into the associative array ARRAY, whose keys are paths such as
# "return.0.node-name". Values keep their type as first letter (s string, n number, b boolean, z null);
# "PATH#" holds the length of an array, "PATH@" the keys of an object, each in its own line. Every key of
# ARRAY begins with a slash (bash knows no empty key): read it with json_get. Returns 1 when TEXT is not one JSON value.
json_read() {
  local -n _json=$1
  local -a _kind=() _path=() _count=()
  local _line _at='' _want=value _depth=0 _token
  _json=()
  while IFS= read -r _line || [[ $_line ]]; do
    while _line=${_line#"${_line%%[!"$WHITE"]*}"} && [[ $_line ]]; do
      case $_want:${_line:0:1} in
        @(value|first):[\{\[])
          ((_depth < 40)) || return 1
          _kind[_depth]=${_line:0:1} _path[_depth]=$_at _count[_depth]=0
          if [[ ${_line:0:1} == '{' ]]; then
            _json["/$_at@"]=s _want=firstkey
          else
            _want=first _at+=${_at:+.}0
          fi
          _depth=$((_depth + 1)) _line=${_line:1}
          continue
          ;;
        @(value|first):\")
          json_take_string "$_line" || return 1
          _json["/$_at"]=s$REPLY _line=$JSON_REST
          ;;
        @(value|first):[-0-9tfn])
          _token=${_line%%[!-+.0-9A-Za-z]*} _line=${_line:${#_token}}
          [[ $_token =~ $JSON_SCALAR ]] || return 1
          case $_token in
            true | false) _json["/$_at"]=b$_token ;;
            null) _json["/$_at"]=z ;;
            *) _json["/$_at"]=n$_token ;;
          esac
          ;;
        @(firstkey|key):\")
          json_take_string "$_line" || return 1
          _line=$JSON_REST _want=colon
          _json["/${_path[_depth - 1]}@"]+=$REPLY$'\n'
          _at=${_path[_depth - 1]}${_path[_depth - 1]:+.}$REPLY
          continue
          ;;
        colon::)
          _line=${_line:1} _want=value
          continue
          ;;
        next:,)
          _line=${_line:1} _want=key
          if [[ ${_kind[_depth - 1]} == '[' ]]; then
            _at=${_path[_depth - 1]} _want=value
            _at+=${_at:+.}${_count[_depth - 1]}
          fi
          continue
          ;;
        @(first|next):] | @(firstkey|next):\})
          _depth=$((_depth - 1)) _at=${_path[_depth]}
          [[ ${_kind[_depth]}${_line:0:1} == @(\[\]|\{\}) ]] || return 1
          [[ ${_kind[_depth]} == '{' ]] || _json["/$_at#"]=n${_count[_depth]}
          _line=${_line:1}
          ;;
        *) return 1 ;;
      esac
      # A value ended here: it belongs to what is around it, or it was the whole text.
      _want=end
      ((_depth == 0)) || { _want=next && _count[_depth - 1]=$((_count[_depth - 1] + 1)); }
    done
  done <<<"$2"
  [[ $_want == end ]]
}

# json_take_string TEXT: TEXT begins with a string: REPLY is its value, JSON_REST what follows it.
json_take_string() {
  local rest=${1:1} head value=
  while :; do
    head=${rest%%[\"\\]*} rest=${rest:${#head}}
    value+=$head
    case $rest in
      \"*) break ;;
      \\?*) value+=${rest:0:2} rest=${rest:2} ;;
      *) return 1 ;;
    esac
  done
  JSON_REST=${rest:1} REPLY=$value
  [[ $value == *\\* ]] || return 0
  [[ $value =~ $JSON_ESCAPES ]] || return 1
  json_unescape "$value"
}

# json_get ARRAY PATH: REPLY is the value without its type letter; empty, and false, when null or absent.
json_get() {
  local -n _from=$1
  REPLY=${_from["/$2"]-z}
  [[ $REPLY != z* ]] || { REPLY= && return 1; }
  REPLY=${REPLY:1}
}

json_unescape() {
  local in=$1 out='' code low bytes
  while [[ $in == *\\* ]]; do
    out+=${in%%\\*} in=${in#*\\}
    case $in in
      b*) out+=$'\b' ;; f*) out+=$'\f' ;; n*) out+=$'\n' ;; r*) out+=$'\r' ;; t*) out+=$'\t' ;;
      u*)
        code=$((16#${in:1:4})) in=${in:4}
        if ((code >= 0xD800 && code <= 0xDBFF)) && [[ ${in:1} == \\u[dD][c-fC-F]* ]]; then
          low=$((16#${in:3:4})) in=${in:6}
          code=$((0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00)))
        fi
        if ((code < 0x80)); then
          printf -v bytes '\\x%02x' "$code"
        elif ((code < 0x800)); then
          printf -v bytes '\\x%02x' $((0xC0 | code >> 6)) $((0x80 | code & 63))
        elif ((code < 0x10000)); then
          printf -v bytes '\\x%02x' $((0xE0 | code >> 12)) $((0x80 | code >> 6 & 63)) $((0x80 | code & 63))
        else
          printf -v bytes '\\x%02x' $((0xF0 | code >> 18)) $((0x80 | code >> 12 & 63)) $((0x80 | code >> 6 & 63)) $((0x80 | code & 63))
        fi
        printf -v bytes '%b' "$bytes"
        out+=$bytes
        ;;
      *) out+=${in:0:1} ;;
    esac
    in=${in:1}
  done
  REPLY=$out$in
}

# json_string TEXT: REPLY is TEXT as a JSON string. Bytes that are not UTF-8 pass as they are.
json_string() {
  local s=$1 c hex
  s=${s//\\/\\\\} s=${s//\"/\\\"} s=${s//$'\n'/\\n} s=${s//$'\r'/\\r} s=${s//$'\t'/\\t}
  if [[ $s == *[$'\x01'-$'\x1f'$'\x7f']* ]]; then
    for c in $'\x01' $'\x02' $'\x03' $'\x04' $'\x05' $'\x06' $'\x07' $'\x08' $'\x0b' $'\x0c' $'\x0e' $'\x0f' \
      $'\x10' $'\x11' $'\x12' $'\x13' $'\x14' $'\x15' $'\x16' $'\x17' $'\x18' $'\x19' $'\x1a' $'\x1b' $'\x1c' $'\x1d' $'\x1e' $'\x1f' $'\x7f'; do
      printf -v hex '\\u%04x' "'$c"
      s=${s//"$c"/$hex}
    done
  fi
  REPLY="\"$s\""
}

# json_object TYPE KEY VALUE ...: REPLY is the object. Types: s string, n integer, b boolean, r ready JSON;
# an empty value is null: unknown is never a guess. S is a string that may be empty.
json_object() {
  local out='' value
  while (($#)); do
    case $1 in
      S) json_string "$3" && value=$REPLY ;;
      s) if [[ $3 ]]; then json_string "$3" && value=$REPLY; else value=null; fi ;;
      n) [[ $3 =~ ^-?[0-9]+$ ]] && value=$3 || value=null ;;
      b) [[ $3 == @(true|false) ]] && value=$3 || value=null ;;
      r) value=${3:-null} ;;
    esac
    out+=${out:+,}\"$2\":$value
    shift 3
  done
  REPLY="{$out}"
}

# json_array JSON...: REPLY is the array of these ready values.
json_array() {
  local IFS=,
  REPLY="[$*]"
}

# json_strings TEXT...: REPLY is the array of these strings.
json_strings() {
  local item
  local -a items=()
  for item in "$@"; do json_string "$item" && items+=("$REPLY"); done
  json_array "${items[@]}"
}

# ---- host.conf: what the host's owner has decided -----------------------------------------------
#
# Beside the script when there is one, else in /etc/chainkeeper. KEY=VALUE lines, never executed; only root may be able to write it.

SCRIPT_FILE=$(realpath -- "${BASH_SOURCE[0]}")
STATE_DIR=/var/lib/chainkeeper
DEFAULT_DIALECT=final
# What must stay free on the NAS for as long as a job runs. A push job copies old data before each guest
# write, so a full NAS fails the guest's own writes: 512 MiB is three seconds of a busy guest (150 MiB/s)
# on a target that is looked at every fifth of a second, with room for metadata and for other writers.
RESERVE_BYTES=$((512 * 1024 * 1024))
TIME_LIMIT=86400 # seconds after which a job that still runs is given up
STOCK_SCRIPT='' STOCK_DIALECT='' SCRATCH_DIR=''

read_host_conf() {
  local file line key value number=0
  for file in "${SCRIPT_FILE%/*}/host.conf" /etc/chainkeeper/host.conf; do
    [[ -e $file ]] && break
  done
  [[ -e $file ]] || return 0
  trusted_file "$file" || die "$file must belong to root and be writable by root alone" host-conf
  while IFS= read -r line || [[ $line ]]; do
    number=$((number + 1))
    [[ $line != @(|\#*) ]] || continue
    key=${line%%=*} value=${line#*=}
    [[ $line =~ ^([a-z_]+)=([^[:cntrl:]]*)$ ]] || die "$file line $number is not KEY=VALUE" host-conf
    case $key in
      state_dir) [[ $value == /* ]] && STATE_DIR=$value ;;
      dialect) [[ $value == @(seed|final) ]] && DEFAULT_DIALECT=$value ;;
      reserve_bytes) [[ $value =~ ^[0-9]{1,15}$ ]] && RESERVE_BYTES=$value ;;
      time_limit) [[ $value =~ ^[1-9][0-9]{0,6}$ ]] && TIME_LIMIT=$value ;;
      stock_script) [[ $value == /* ]] && STOCK_SCRIPT=$value ;;
      stock_dialect) [[ $value == @(legacy|seed|mid|final) ]] && STOCK_DIALECT=$value ;;
      scratch_dir) [[ $value == /* ]] && SCRATCH_DIR=$value ;;
      *) warn "$file line $number: unknown key $key" ;;
    esac || die "$file line $number: not a valid value of $key" host-conf
  done <"$file"
}

# trusted_file FILE: root's own, and nobody else can write it.
trusted_file() {
  local stat
  stat=$(stat -L -c '%u %a' -- "$1") || return 1
  [[ ${stat% *} == 0 ]] && (((8#${stat#* } & 8#022) == 0))
}

# ---- the one way out ----------------------------------------------------------------------------
#
# What a step changes is put on a stack with the command that takes it back. Every exit, planned or
# not, goes through on_exit, which runs the stack newest first; commit keeps what is good.

DONE=          # set once the result is printed: nothing is left to do at the exit
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
  trap - ERR
  trap : TERM INT HUP PIPE
  set +e
  [[ ! $DONE ]] || exit "$code"
  ERROR_TEXT=${ERROR_TEXT:-"Ended without a result (code $code)"} ERROR_CODE=${ERROR_CODE:-internal}
  [[ $RUN_MUST_FINISH ]] || run_kill
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
  mkdir -p -m 0700 -- "$STATE_DIR" || die "Cannot make the state directory $STATE_DIR" state-dir
  WORK=$(mktemp -d -- "$STATE_DIR/work.XXXXXX") || die "Cannot write to the state directory $STATE_DIR" state-dir
  always_push rm -rf -- "$WORK"
}

# ---- the NAS: a private temporary mount -------------------------------------------------------------
#
# A hung NAS stops whoever touches it, for good. So only children started by run touch the mount, never this shell.

MNT=''           # the mount point while it is mounted
NAS_SECONDS=30   # a NAS that does not answer a simple question within this is hung

# nas COMMAND...: something short on the mount; RUN_OUT, RUN_ERR and the code as run.
nas() {
  run "$NAS_SECONDS" "$@" || { [[ $RUN_CODE != 124 ]] || die "The NAS does not answer: $RUN_ERR" target-hung; return "$RUN_CODE"; }
}

mount_repository() {
  need OPT_TYPE -t
  need OPT_STORAGE -s
  timing_start mount
  mount_options
  MNT=$(mktemp -d /tmp/csbackup.XXXXXX) || die 'Cannot make a mount point in /tmp' mount-failed
  always_push unmount_repository
  if ! run 60 mount "${MOUNT_ARGS[@]}" -- "$OPT_STORAGE" "$MNT"; then
    [[ $RUN_CODE != 124 ]] || left "a mount attempt on $MNT that never ended"
    die "Failed to mount $OPT_TYPE store: $RUN_ERR" mount-failed
  fi
  [[ ! $RUN_ERR$RUN_OUT ]] || warn "mount: $RUN_OUT $RUN_ERR"
  timing_stop mount
}

# mount_options: MOUNT_ARGS for mount. Secrets go into a 0600 file, never on a command line that others can read.
mount_options() {
  local options=$OPT_MOUNT_OPTIONS item key name='' secret='' domain=''
  local -a plain=()
  declare -gA SECRETS=()
  if [[ $OPT_SECRETS_FILE ]]; then
    json_read SECRETS "$(<"$OPT_SECRETS_FILE")" || bad_option 'The secrets are not valid JSON'
    json_get SECRETS mountOptions && options=$REPLY
    json_get SECRETS credentials.username && name=$REPLY
    json_get SECRETS credentials.password && secret=$REPLY
    json_get SECRETS credentials.domain && domain=$REPLY
    [[ $options$name$secret$domain =~ $SAFE_TEXT ]] || bad_option 'Secrets must not hold control characters'
  fi
  split_list "$options"
  for item in "${LIST[@]}"; do
    [[ $item ]] || continue
    key=${item%%=*}
    case $OPT_TYPE:$key in
      cifs:user | cifs:username) name=${item#*=} ;;
      cifs:pass | cifs:password | ceph:secret) secret=${item#*=} ;;
      cifs:dom | cifs:domain | cifs:workgroup) domain=${item#*=} ;;
      *) plain+=("$item") ;;
    esac
  done
  case $OPT_TYPE in
    cifs)
      # Byte range locks of the server would fail QEMU's own image locks.
      plain+=(nobrl)
      [[ ! $name$secret$domain ]] || plain+=("credentials=$WORK/credentials")
      { [[ ! $name ]] || printf 'username=%s\n' "$name"; [[ ! $secret ]] || printf 'password=%s\n' "$secret"; [[ ! $domain ]] || printf 'domain=%s\n' "$domain"; } >"$WORK/credentials"
      ;;
    ceph)
      [[ ! $name ]] || plain+=("name=$name")
      [[ ! $secret ]] || plain+=("secretfile=$WORK/credentials")
      printf '%s\n' "$secret" >"$WORK/credentials"
      ;;
    *) [[ ! $name$secret$domain ]] || bad_option "A repository of type $OPT_TYPE takes no credentials" ;;
  esac
  MOUNT_ARGS=(-t "$OPT_TYPE")
  if [[ $OPT_TYPE == dir ]]; then
    [[ $OPT_STORAGE == /* && /$OPT_STORAGE/ != */../* ]] || bad_option "Not an absolute directory: $OPT_STORAGE"
    MOUNT_ARGS=(-t none) plain=(bind "${plain[@]}")
  fi
  local IFS=,
  [[ ! ${plain[*]-} ]] || MOUNT_ARGS+=(-o "${plain[*]}")
}

# mounted PATH [MOUNTINFO]: asks the kernel's list, because looking at the path itself could hang.
mounted() {
  local fields
  while read -r -a fields; do
    [[ ${fields[4]} != "$1" ]] || return 0
  done <"${2:-/proc/self/mountinfo}"
  return 1
}

# A busy mount point does not spoil good data: it is tried for a while, then reported and left.
unmount_repository() {
  local until=$((SECONDS + 3))
  timing_start unmount
  rm -f -- "$WORK/credentials"
  while mounted "$MNT"; do
    if ! run 10 umount -- "$MNT"; then
      if [[ $RUN_CODE == 124 ]] || ((SECONDS >= until)); then
        left "mount $MNT (${RUN_ERR//$'\n'/; })"
        return
      fi
      nap 0.2
    fi
  done
  rmdir -- "$MNT" || left "mount point $MNT"
  timing_stop unmount
}

# look_at_space: SPACE_TOTAL and SPACE_FREE in bytes, as QEMU's user sees them; false when unknown.
look_at_space() {
  run "${1:-$NAS_SECONDS}" stat -f -c '%S %b %a' -- "$MNT" || return 1
  local size blocks free
  read -r size blocks free <<<"$RUN_OUT"
  SPACE_TOTAL=$((size * blocks)) SPACE_FREE=$((size * free))
}
SPACE_TOTAL='' SPACE_FREE=''

# ---- libvirt and QEMU ---------------------------------------------------------------------------

readonly VIRSH=(virsh -q -c qemu:///system)
VIRSH_SECONDS=60 # libvirt may probe every QEMU again after a restart before it answers the first question

# virsh_q ARGUMENT...: RUN_OUT, RUN_ERR and the code as run (nothing is printed).
virsh_q() { run "$VIRSH_SECONDS" "${VIRSH[@]}" "$@"; }

# qmp JSON: asks QEMU; the answer is in the array QMP under "return". QEMU's errors come with exit code 0.
qmp() {
  virsh_q qemu-monitor-command "$OPT_VM" --pretty "$1" || return
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
  virsh_q version --daemon || die "libvirt does not answer: $RUN_ERR" libvirt-unreachable
  while IFS= read -r line; do
    case $line in
      'Running hypervisor: QEMU '*) HOST_QEMU=${line##* } ;;
      'Running against daemon: '*) HOST_LIBVIRT=${line##* } ;;
    esac
  done <<<"$RUN_OUT"
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

# look_at_state: VM_STATE (running, paused, "shut off", absent, or another word of libvirt) and VM_REASON.
VM_STATE='' VM_REASON='' VM_UUID='' VM_PERSISTENT=''
look_at_state() {
  VM_STATE=absent VM_REASON=''
  if ! virsh_q domstate "$OPT_VM" --reason; then
    [[ $RUN_ERR == *"failed to get domain"* || $RUN_ERR == *"Domain not found"* ]] && return
    die "libvirt does not answer: $RUN_ERR" libvirt-unreachable
  fi
  VM_STATE=${RUN_OUT%% (*}
  [[ $RUN_OUT != *\(*\)* ]] || { VM_REASON=${RUN_OUT#*\(} && VM_REASON=${VM_REASON%\)*}; }
}

# vm_is_live: a QEMU process holds the disks. A paused machine is not a stopped one.
vm_is_live() { [[ $VM_STATE != @(absent|shut off) ]]; }

# job_active: some job works on the machine right now, whoever started it; JOB_OPERATION says which.
JOB_OPERATION=''
job_active() {
  virsh_q domjobinfo "$OPT_VM" || die "Cannot ask for jobs of $OPT_VM: $RUN_ERR" "$(gone_or libvirt-unreachable)"
  JOB_OPERATION=''
  local line
  while IFS= read -r line; do
    [[ $line != Operation:* ]] || { line=${line#Operation:} && JOB_OPERATION=${line//[[:space:]]/}; }
  done <<<"$RUN_OUT"
  [[ $RUN_OUT != *'Job type:'*None* ]]
}

# gone_or CODE: prints guest-gone when libvirt no longer knows the machine, else CODE.
gone_or() { [[ $RUN_ERR == *'Domain not found'* || $RUN_ERR == *'failed to get domain'* || $RUN_ERR == *'domain is not running'* ]] && echo guest-gone || echo "$1"; }

# ---- facts: what was seen and done, for the books -------------------------------------------------

declare -A TIMING=() TIMING_FROM=()
timing_start() { now_ms && TIMING_FROM[$1]=$REPLY; }
timing_stop() { now_ms && TIMING[$1]=$((REPLY - TIMING_FROM[$1])); }

# print_failure: the last words on stdout. CloudStack keeps stdout alone, so the text stands there too.
print_failure() {
  case $OPT_OPERATION in
    backup | delete | stats | '') printf '%s\n' "$ERROR_TEXT" ;;
    *)
      json_object s code "$ERROR_CODE" s message "$ERROR_TEXT"
      json_object n v 1 r error "$REPLY"
      printf '%s\n' "$REPLY"
      ;;
  esac
}

# ---- dispatch -------------------------------------------------------------------------------------

main() {
  arm_traps
  timing_start total
  parse_options "$@"
  read_host_conf
  OPT_DIALECT=${OPT_DIALECT:-$DEFAULT_DIALECT}
  case $OPT_OPERATION in
    backup | delete | stats | inspect | start | status | abort | retire) "operation_$OPT_OPERATION" ;;
    '') usage && DONE=yes && exit "$EXIT_FAILED" ;;
    *) bad_option "Unknown operation: $OPT_OPERATION" ;;
  esac
}

main "$@"

