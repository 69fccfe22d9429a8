#!/usr/bin/env bash
# Chainkeeper host script: backs up KVM virtual machines to a NAS and says exactly what it did.
# SPDX-License-Identifier: Apache-2.0
#
# Assembled from agent/src/*.sh by agent/build.sh: change the parts, not the assembled file.
# On the host it needs bash, virsh, qemu-img, util-linux and coreutils, nothing else.
#
# Globals are set in one part and used in another, by name (SC2034); "A && B || C" is only used where B cannot fail (SC2015);
# reason codes hold hyphens (SC2100) and words that are also commands (SC2209).
# shellcheck disable=SC2034,SC2015,SC2100,SC2209
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

# ---- options: the one place where what comes from outside is checked ----------------------------

OPT_OPERATION='' OPT_VM='' OPT_TYPE='' OPT_STORAGE='' OPT_MOUNT_OPTIONS='' OPT_PATH='' OPT_QUIESCE=''
OPT_DISK_PATHS='' OPT_MODE='' OPT_BITMAP_NEW='' OPT_BITMAP_PARENT='' OPT_PARENT_PATHS='' OPT_PARENT_PATH=''
OPT_DIALECT='' OPT_FACTS='' OPT_DISKS='' OPT_ON_LOST_BITMAP='' OPT_TRANSFER='' OPT_BANDWIDTH=''
OPT_JOB='' OPT_FENCE='' OPT_FROM='' OPT_BITMAP='' OPT_RUN='' OPT_DRY_RUN=''
OPT_SWAP='' OPT_SALVAGE='' OPT_OVERWRITE='' OPT_NEW_NAME='' OPT_NETWORKS='' OPT_ATTACH=''
OPT_MANIFEST='' OPT_VERIFY='' OPT_NAME='' OPT_SHA256='' OPT_LAST=''
OPT_SECRETS_FILE='' # 0600 JSON {"mountOptions":…,"credentials":{…}}; a job directory's (70-jobs), never an option
OPT_REST=()         # what follows "--"

readonly VM_PATTERN='^[A-Za-z0-9_][A-Za-z0-9_.+@:-]{0,126}$'
readonly BITMAP_PATTERN='^backup-[0-9]{1,12}$'
readonly PATH_PATTERN='^[A-Za-z0-9_][A-Za-z0-9_.+@:-]*(/[A-Za-z0-9_][A-Za-z0-9_.+@:-]*)*$'
readonly FLAG_PATTERN='^--(facts|dry-run|verify|salvage|swap|overwrite|networks)$' # options without a value
readonly SAFE_TEXT='^[^[:cntrl:]]*$'

usage() {
  cat <<'TEXT'
Usage: nasbackup.sh -o OPERATION [options]

Operations
  backup    back up a virtual machine to a NAS     delete    remove a backup from the NAS
  stats     size and use of the NAS                inspect   facts about a virtual machine, as JSON
  start, status, abort                             detached jobs
  retire    drop a bitmap that is no longer a parent
  release   drop all our bitmaps of a virtual machine
  restore   bring disks of a backup back, as a job: checked before, compared after
  check     is this host ready, as JSON
  describe  write a manifest beside the files of a backup
  take      bytes for a job, from stdin
  keep      put a copy of the books on the NAS
  checksum  write down the SHA-256 of its files, slowly
  sweep     remove what killed calls and jobs have left behind

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
      --disks JSON             [{"target","mode","parentFile","path","format"}], one for each disk; its
                               mode is full, incremental or (with --on-lost-bitmap rescue) rescued;
                               of a restore [{"target","file","to","format","virtualSize"}]
      --dialect seed|final     what to print (final)
      --facts                  print a line FACTS={json}
      --on-lost-bitmap full|rescue  a full of all disks, or compare with the chain and keep what differs
      --transfer push|pull|auto  QEMU writes the NAS itself, or readers of this host copy from scratch files
  -b, --bandwidth MIB          a second, all disks together; a running machine then goes by pull, for a push cannot
                               be limited
      --swap                   restore in place of the volumes of a stopped machine
      --overwrite              restore to block devices, whatever they hold
      --new-name NAME          restore as a new, stopped domain   --networks  with its links up
      --salvage                restore what can be read, though files are not what they were
      --attach NAME            attach the restored disk to that machine
      --fence N                epoch of the caller's lease
      --job ID  --from OFFSET  --bitmap NAME
      --run ID                 delete only what this run has begun and nobody has described since
      --manifest JSON          what the books say of the backup
      --name NAME              of a copy of the books, books-<time>.jsonl.gz
      --sha256 HEX             of the bytes that were handed over
      --last N                 copies of the books that stay
      --verify                 compare with the checksums that are there
      --dry-run                say what would be removed, and remove nothing
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
      --facts | --dry-run | --verify | --salvage | --swap | --overwrite | --networks)
        option=${option#--} option=OPT_${option^^}
        printf -v "${option//-/_}" true
        shift && continue
        ;;
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
      -b | --bandwidth) option=OPT_BANDWIDTH ;;
      --bitmap-new | --bitmap-parent | --parent-paths | --parent-path | --disks | --dialect | --on-lost-bitmap | --transfer | --job | --fence | --from | --bitmap | --run | --new-name | --attach | --manifest | --name | --sha256 | --last)
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
  must_match OPT_NEW_NAME "$VM_PATTERN" 'name of the new machine'
  must_match OPT_ATTACH "$VM_PATTERN" 'name of the machine to attach to'
  must_match OPT_BITMAP_NEW "$BITMAP_PATTERN" 'name of the new bitmap'
  must_match OPT_BITMAP_PARENT "$BITMAP_PATTERN" "name of the parent's bitmap"
  must_match OPT_BITMAP "$BITMAP_PATTERN" 'name of the bitmap'
  must_match OPT_RUN "$JOB_PATTERN" 'id of a run'
  must_match OPT_NAME "$COPY_PATTERN" 'name of a copy'
  must_match OPT_SHA256 '^[0-9a-f]{64}$' 'SHA-256'
  must_match OPT_LAST '^[1-9][0-9]{0,3}$' 'number of copies'
  must_match OPT_FENCE '^[0-9]{1,15}$' 'fence'
  must_match OPT_TYPE '^(nfs|cifs|ceph|dir)$' 'type of the storage'
  must_match OPT_STORAGE '^[^-[:cntrl:]][^[:cntrl:]]*$' 'address of the storage'
  must_match OPT_MOUNT_OPTIONS "$SAFE_TEXT" 'mount options' secret
  must_match OPT_QUIESCE '^(true|false)$' 'value of --quiesce'
  must_match OPT_DIALECT '^(seed|final)$' dialect
  must_match OPT_ON_LOST_BITMAP '^(full|rescue)$' 'way to handle a lost bitmap'
  must_match OPT_TRANSFER '^(push|pull|auto)$' transfer
  must_match OPT_BANDWIDTH '^[1-9][0-9]{0,5}$' 'limit in MiB a second'
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
  [[ ! ${!1} || ${!1} =~ $2 ]] && return 0
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
readonly JSON_MEMBER='^ *"([^"\]*)": ("([^"\]*)"|true|false|0|[1-9][0-9]*)(,?)$'
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
  lines "$2"
  for _line in "${LINES[@]}"; do
    # What most lines of a pretty text are, in one step: a member with a plain value.
    if [[ $_want == @(firstkey|key) && $_line =~ $JSON_MEMBER ]]; then
      _at=${_path[_depth - 1]} && _json["/$_at@"]+=${BASH_REMATCH[1]}$'\n' _at+=${_at:+.}${BASH_REMATCH[1]}
      case ${BASH_REMATCH[2]} in
        \"*) _json["/$_at"]=s${BASH_REMATCH[3]} ;;
        [tf]*) _json["/$_at"]=b${BASH_REMATCH[2]} ;;
        *) _json["/$_at"]=n${BASH_REMATCH[2]} ;;
      esac
      _count[_depth - 1]=$((_count[_depth - 1] + 1))
      if [[ ${BASH_REMATCH[4]} ]]; then _want=key; else _want=next; fi
      continue
    fi
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
  done
  [[ $_want == end ]]
}

# json_take_string TEXT: TEXT begins with a string: REPLY is its value, JSON_REST what follows it.
json_take_string() {
  local rest=${1:1} head value=''
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
  [[ $REPLY != z* ]] || { REPLY='' && return 1; }
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
STOCK_SCRIPT='' STOCK_DIALECT=''
SCRATCH_DIR=/var/lib/chainkeeper-scratch # what guests overwrite during a pull; on this host's own disk

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

# ---- the NAS: a private temporary mount -------------------------------------------------------------
#
# A hung NAS stops whoever touches it, for good. So only children started by run touch the mount, never this shell.

MNT=''           # the mount point while it is mounted
NAS_SECONDS=30   # a NAS that does not answer a simple question within this is hung

# nas COMMAND...: something short on the mount; RUN_OUT, RUN_ERR and the code as run.
nas() {
  run "$NAS_SECONDS" "$@" || { [[ $RUN_CODE != 124 ]] || die "The NAS does not answer: $RUN_ERR" target-hung; return "$RUN_CODE"; }
}

# nas_image COMMAND...: the same for an image that a job has just written. libvirt calls the job completed a moment before QEMU
# closes its target (qemuBlockJobProcessEventConcludedBackup), and until then nobody else may open it.
nas_image() {
  local REPLY until
  now_ms && until=$((REPLY + 10000))
  until nas "$@"; do
    now_ms
    [[ $RUN_ERR == *lock* ]] && ((REPLY < until)) || return "$RUN_CODE"
    nap 0.05
  done
}

# mount_repository [ro]
mount_repository() {
  need OPT_TYPE -t
  need OPT_STORAGE -s
  timing_start mount
  mount_options "$@"
  MNT=$(mktemp -d "${JOB_TMP:-/tmp}/csbackup.XXXXXX") || die "Cannot make a mount point in ${JOB_TMP:-/tmp}" mount-failed
  owned "$MNT"
  always_push unmount_repository
  if ! run 60 mount "${MOUNT_ARGS[@]}" -- "$OPT_STORAGE" "$MNT"; then
    [[ $RUN_CODE != 124 ]] || left "a mount attempt on $MNT that never ended"
    die "Failed to mount $OPT_TYPE store: $RUN_ERR" mount-failed
  fi
  [[ ! $RUN_ERR$RUN_OUT ]] || warn "mount: $RUN_OUT $RUN_ERR"
  timing_stop mount
}

# mount_options [ro]: MOUNT_ARGS for mount. Secrets go into a 0600 file, never on a command line that others can read.
mount_options() {
  local options=$OPT_MOUNT_OPTIONS item key name='' secret='' domain=''
  local -a plain=()
  local -A SECRETS=()
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
  # The last one counts.
  plain+=("$@")
  MOUNT_ARGS=(-t "$OPT_TYPE")
  if [[ $OPT_TYPE == dir ]]; then
    [[ $OPT_STORAGE == /* && /$OPT_STORAGE/ != */../* ]] || bad_option "Not an absolute directory: $OPT_STORAGE"
    MOUNT_ARGS=(-t none) plain=(bind "${plain[@]}")
  fi
  local IFS=,
  [[ ! ${plain[*]-} ]] || MOUNT_ARGS+=(-o "${plain[*]}")
}

# look_at_mounts [MOUNTINFO]: MOUNTS are the mount points of the kernel's list, the newest first.
# By cat: bash itself goes back in what it has read, and in this file, when others unmount meanwhile, that is the middle of another
# line.
look_at_mounts() {
  local i rest
  MOUNTS=()
  lines "$(cat -- "${1:-/proc/self/mountinfo}")"
  for ((i = ${#LINES[@]} - 1; i >= 0; i--)); do
    rest=${LINES[i]#* * * * }
    MOUNTS+=("${rest%% *}")
  done
}
MOUNTS=()

# mounted PATH [MOUNTINFO]: asks the kernel's list, because looking at the path itself could hang.
mounted() {
  local point
  look_at_mounts "${2:-}"
  for point in "${MOUNTS[@]}"; do [[ $point != "$1" ]] || return 0; done
  return 1
}

mounted_below() {
  local point
  look_at_mounts
  for point in "${MOUNTS[@]}"; do [[ $point != "$1"/* ]] || return 0; done
  return 1
}

# A busy mount point does not spoil good data: it is tried for a while, then reported and left.
unmount_repository() {
  local REPLY until
  now_ms && until=$((REPLY + 3000))
  timing_start unmount
  rm -f -- "$WORK/credentials"
  while mounted "$MNT"; do
    # -c: to look at the path of a mount that hangs would hang, too.
    if ! run "$([[ $NAS_HUNG ]] && echo 2 || echo 10)" umount -c -- "$MNT"; then
      now_ms
      if [[ $RUN_CODE == 124 ]] || ((REPLY >= until)); then
        left "mount $MNT (${RUN_ERR//$'\n'/; })"
        return 0
      fi
      nap 0.2
    fi
  done
  rmdir -- "$MNT" || left "mount point $MNT"
  timing_stop unmount
}

# stays_inside PATH: a symbolic link on the NAS must not lead out of it.
stays_inside() {
  nas realpath -m -- "$MNT/$1" || die "Cannot look at $1 on the NAS: $RUN_ERR" nas-not-writable
  [[ $RUN_OUT == "$MNT/$1" ]] || die "$1 leads to another place than it says" path-escapes
}

# is_kept_here PATH: the directory of the machine that it belongs to is there. In a directory that nothing is mounted on, and in another
# repository, it would not be.
is_kept_here() { nas test -d "$MNT/${1%%/*}"; }

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

# ---- the disks of a machine -----------------------------------------------------------------------
#
# D["$i.field"] holds what is known of disk i (0 … DISKS-1), B["$i.$bitmap.field"] of its bitmaps.

DISKS=0
declare -A D=() B=()
readonly DISK_FIELDS='target device type path format node policy inode compat virtual cluster actual inuse unsafe written bitmaps
  mode parent file image backing size allocated filecluster data zero dirty compared parentbitmap check'

disk_new() {
  local field
  for field in $DISK_FIELDS; do D[$DISKS.$field]=''; done
  DISKS=$((DISKS + 1))
}

# xml_attribute LINE NAME: REPLY is the value of an attribute in libvirt's own formatting; false when absent.
xml_attribute() {
  REPLY=''
  [[ $1 == *" $2='"* ]] || return 1
  REPLY=${1#*" $2='"}
  REPLY=${REPLY%%\'*}
  REPLY=${REPLY//&lt;/<} REPLY=${REPLY//&gt;/>} REPLY=${REPLY//&quot;/\"} REPLY=${REPLY//&apos;/\'} REPLY=${REPLY//&amp;/&}
}

# xml_escape TEXT: REPLY may stand in an attribute or in text.
xml_escape() {
  REPLY=${1//&/&amp;}
  REPLY=${REPLY//</&lt;} REPLY=${REPLY//>/&gt;} REPLY=${REPLY//\'/&apos;} REPLY=${REPLY//\"/&quot;}
}

# read_domain_xml XML: every disk that holds data. CD-ROM and floppy drives do not belong to a machine's data.
# libvirt indents each level by two blanks, which tells a disk's own elements from those of its backing chain.
read_domain_xml() {
  local line i=-1 name=''
  DISKS=0 D=() B=()
  lines "$1"
  for line in "${LINES[@]}"; do
    case $line in
      '  <name>'*) name=${line#*>} && name=${name%%<*} ;;
      '  <uuid>'*) VM_UUID=${line#*>} && VM_UUID=${VM_UUID%%<*} ;;
      '    <disk '*)
        xml_attribute "$line" device || :
        [[ $REPLY != @(cdrom|floppy) ]] || continue
        i=$DISKS && disk_new
        D[$i.device]=$REPLY
        xml_attribute "$line" type && D[$i.type]=$REPLY
        [[ ${D[$i.type]} == @(file|block) ]] || D[$i.type]=network
        ;;
      '    </disk>') i=-1 ;;
      "      <"*)
        ((i >= 0)) || continue
        case $line in
          *'<driver '*)
            xml_attribute "$line" type && D[$i.format]=$REPLY
            xml_attribute "$line" error_policy && D[$i.policy]=$REPLY
            ;;
          *'<source '*)
            { xml_attribute "$line" file || xml_attribute "$line" dev || xml_attribute "$line" name; } && D[$i.path]=$REPLY
            xml_attribute "$line" index && D[$i.node]=libvirt-$REPLY-format
            ;;
          *'<target '*) xml_attribute "$line" dev && D[$i.target]=$REPLY ;;
        esac
        ;;
    esac
  done
  xml_escape "$OPT_VM"
  # virsh takes ids and uuids for names.
  [[ $name == "$REPLY" ]] || { RUN_ERR="there is no virtual machine named $OPT_VM" && return 1; }
}

# look_at_live_disks: the domain as libvirt sees it now, and each active layer as QEMU sees it.
look_at_live_disks() {
  local i
  virsh_q dumpxml "$OPT_VM" || return 1
  read_domain_xml "$RUN_OUT" || return 1
  look_at_nodes || return 1
  look_at_written
  for ((i = 0; i < DISKS; i++)); do look_at_inode "$i"; done
}

look_at_inode() {
  [[ ${D[$1.type]} != file ]] || { run "$NAS_SECONDS" stat -L -c %i -- "${D[$1.path]}" && D[$1.inode]=$RUN_OUT; } || :
}

# look_at_nodes: format, sizes and bitmaps of each disk's active layer. What the devices hold is asked for, not the list of all nodes:
# that ends a QEMU which is making an image at that moment (see make_images), for whomever it makes it.
look_at_nodes() {
  local i n count found=0
  qmp '{"execute":"query-block"}' || return 1
  json_get QMP 'return#' && count=$REPLY
  for ((n = 0; n < count; n++)); do
    json_get QMP "return.$n.inserted.node-name" || continue
    # A newer libvirt gives a raw disk one node only.
    [[ $REPLY != *-storage ]] || REPLY=${REPLY%storage}format
    look_at_disk_of "return.$n.inserted"
  done
  ((found < DISKS)) || return 0
  # A job stands between a device and its disk: then it has all its images.
  qmp '{"execute":"query-named-block-nodes","arguments":{"flat":true}}' || return 1
  json_get QMP 'return#' && count=$REPLY
  for ((n = 0; n < count; n++)); do
    ! json_get QMP "return.$n.node-name" || look_at_disk_of "return.$n"
  done
}

# look_at_disk_of AT: the disk, if any, whose node REPLY names.
look_at_disk_of() {
  for ((i = 0; i < DISKS; i++)); do
    [[ $REPLY == "${D[$i.node]}" ]] || continue
    look_at_node "$i" "$1"
    found=$((found + 1))
    return 0
  done
}

look_at_node() {
  local i=$1 at=$2 n count=0 name field
  json_get QMP "$at.drv" && D[$i.format]=$REPLY
  json_get QMP "$at.image.virtual-size" && D[$i.virtual]=$REPLY
  json_get QMP "$at.image.cluster-size" && D[$i.cluster]=$REPLY
  json_get QMP "$at.image.actual-size" && D[$i.actual]=$REPLY
  json_get QMP "$at.image.format-specific.data.compat" && D[$i.compat]=$REPLY
  D[$i.bitmaps]=''
  json_get QMP "$at.dirty-bitmaps#" && count=$REPLY
  for ((n = 0; n < count; n++)); do
    # Nameless bitmaps belong to running jobs.
    json_get QMP "$at.dirty-bitmaps.$n.name" && [[ $REPLY == +([[:graph:]]) ]] || continue
    name=$REPLY
    D[$i.bitmaps]+="$name "
    for field in recording persistent busy granularity count; do
      json_get QMP "$at.dirty-bitmaps.$n.$field" || :
      B[$i.$name.$field]=$REPLY
    done
    json_get QMP "$at.dirty-bitmaps.$n.inconsistent" || REPLY=false
    B[$i.$name.inconsistent]=$REPLY B[$i.$name.flags]=''
  done
}

# look_at_written: bytes that the guest wrote since QEMU started, a witness independent of any bitmap.
look_at_written() {
  local i line
  for ((i = 0; i < DISKS; i++)); do
    virsh_q domblkstat "$OPT_VM" "${D[$i.target]}" || continue
    lines "$RUN_OUT"
    for line in "${LINES[@]}"; do
      [[ $line != *' wr_bytes '* ]] || { line=${line##* wr_bytes } && D[$i.written]=${line// /}; }
    done
  done
}

# look_at_stopped_disks [-U]: from -d, else from --disks, else from the definition of a persistent machine.
look_at_stopped_disks() {
  local i path
  local -A defined=()
  split_list "$OPT_DISK_PATHS"
  if ((${#LIST[@]})); then
    # Where there is a definition, it knows what they are.
    if [[ $VM_STATE == 'shut off' ]] && virsh_q dumpxml "$OPT_VM" --inactive && read_domain_xml "$RUN_OUT"; then
      for ((i = 0; i < DISKS; i++)); do [[ ! ${D[$i.path]} ]] || defined[${D[$i.path]}]=${D[$i.format]}; done
    fi
    DISKS=0 D=() B=()
    for path in "${LIST[@]}"; do
      i=$DISKS && disk_new
      D[$i.path]=$path D[$i.target]=disk$i D[$i.format]=${defined[$path]-}
    done
  elif [[ $OPT_DISKS ]]; then
    DISKS=0 D=() B=()
    for ((i = 0; i < ASKED_DISKS; i++)); do
      disk_new
      D[$i.path]=${ASKED[$i.path]} D[$i.target]=${ASKED[$i.target]}
    done
  elif [[ $VM_STATE == 'shut off' ]]; then
    virsh_q dumpxml "$OPT_VM" --inactive || return 1
    read_domain_xml "$RUN_OUT" || return 1
  fi
  for ((i = 0; i < DISKS; i++)); do
    [[ ! ${ASKED[$i.format]-} ]] || D[$i.format]=${ASKED[$i.format]}
    look_at_image "$i" "${1-}"
    look_at_inode "$i"
  done
}

# look_at_image I [-U]: a stopped disk as its file tells it; D[i.inuse] holds the reason why it cannot be read.
look_at_image() {
  local i=$1 path=${D[$1.path]} n count=0 name
  local -A info
  if [[ $path != /* ]]; then
    D[$i.type]=network
  elif ! run "$NAS_SECONDS" test -e "$path"; then
    D[$i.inuse]="$path: no such file" && return 0
  elif run "$NAS_SECONDS" test -b "$path"; then
    D[$i.type]=block
  else
    D[$i.type]=file
  fi
  [[ ${D[$i.type]} == file || ${D[$i.format]} ]] || D[$i.format]=raw
  [[ ${D[$i.format]} ]] || guess_format "$i" || return 0
  if ! run "$VIRSH_SECONDS" qemu-img info ${2:+"$2"} ${D[$i.format]:+-f "${D[$i.format]}"} --output=json "$path"; then
    D[$i.inuse]=$RUN_ERR && return 0
  fi
  json_read info "$RUN_OUT" || { D[$i.inuse]='qemu-img info answered something that is not JSON' && return 0; }
  json_get info format && D[$i.format]=$REPLY
  json_get info virtual-size && D[$i.virtual]=$REPLY
  json_get info cluster-size && D[$i.cluster]=$REPLY
  json_get info actual-size && D[$i.actual]=$REPLY
  json_get info format-specific.data.compat && D[$i.compat]=$REPLY
  D[$i.bitmaps]=''
  json_get info 'format-specific.data.bitmaps#' && count=$REPLY
  for ((n = 0; n < count; n++)); do
    json_get info "format-specific.data.bitmaps.$n.name" && [[ $REPLY == +([[:graph:]]) ]] || continue
    name=$REPLY
    D[$i.bitmaps]+="$name "
    json_get info "format-specific.data.bitmaps.$n.granularity" || :
    B[$i.$name.granularity]=$REPLY B[$i.$name.persistent]=true B[$i.$name.busy]=false B[$i.$name.count]=''
    B[$i.$name.flags]=' '
    B[$i.$name.flags]+=$(bitmap_flags "$n")' '
    # "in-use" in a stopped image: QEMU died before it could save the bitmap. "auto": it records from the next start on.
    B[$i.$name.inconsistent]=false B[$i.$name.recording]=false
    [[ ${B[$i.$name.flags]} != *' in-use '* ]] || B[$i.$name.inconsistent]=true
    [[ ${B[$i.$name.flags]} != *' auto '* || ${B[$i.$name.inconsistent]} == true ]] || B[$i.$name.recording]=true
  done
}

# guess_format I: of a file of which nobody said what it is, so that its guest may have written what stands at its begin: raw, or a qcow2
# that stands on nothing but files beside it, as volumes do on their templates. False, with the reason in D[i.inuse] and D[i.unsafe], when
# it would have QEMU read other files of this host.
guess_format() {
  local i=$1 at=${D[$1.path]} folder header format='' n
  local -A info
  run "$NAS_SECONDS" realpath -e -- "$at" || { D[$i.inuse]=$RUN_ERR && return 1; }
  folder=${RUN_OUT%/*}
  for ((n = 0; n < 64; n++)); do
    run "$NAS_SECONDS" od -An -v -tx1 -N80 -- "$at" || { D[$i.inuse]=$RUN_ERR && return 1; }
    header=${RUN_OUT//[[:space:]]/}
    if [[ $header != 514649fb* ]]; then
      ((n == 0)) || { unsafe_image "$i" "stands on $at, of which nobody says what it is" || return 1; }
      D[$i.format]=raw && return 0
    fi
    ! keeps_data_elsewhere "$header" || { unsafe_image "$i" 'keeps its data in another file' || return 1; }
    json_string "$at"
    run "$VIRSH_SECONDS" qemu-img info -U --output=json "json:{\"driver\":\"qcow2\",\"backing\":null,\"file\":{\"driver\":\"file\",\"filename\":$REPLY}}" &&
      json_read info "$RUN_OUT" || { D[$i.inuse]=${RUN_ERR:-'qemu-img info answered something that is not JSON'} && return 1; }
    json_get info backing-filename-format && format=$REPLY || format=''
    json_get info backing-filename || { D[$i.format]=qcow2 && return 0; }
    [[ $REPLY == /* ]] && at=$REPLY || at=${at%/*}/$REPLY
    run "$NAS_SECONDS" realpath -e -- "$at" && [[ ${RUN_OUT%/*} == "$folder" ]] || { unsafe_image "$i" "stands on a file outside of its directory: $at" || return 1; }
    case $format in
      raw) D[$i.format]=qcow2 && return 0 ;;
      qcow2 | '') ;;
      *) unsafe_image "$i" "stands on a file of the format $format" || return 1 ;;
    esac
  done
  unsafe_image "$i" 'stands on more files than any volume'
}

# unsafe_image I TEXT: always false.
unsafe_image() {
  D[$1.unsafe]=yes
  D[$1.inuse]="${D[$1.path]} $2. A guest can write that into a raw disk: back the machine up while it runs, or say the format in --disks"
  return 1
}

# keeps_data_elsewhere HEADER: the first 80 bytes of a qcow2, in hexadecimal; version 2 has no features, and bit 2 of those that a reader
# must know is the external data file. To be asked before QEMU opens it: that would open the data file as well.
keeps_data_elsewhere() { [[ ${1:8:8} != 00000002 && ${#1} -ge 160 ]] && ((16#${1:158:2} & 4)); }

bitmap_flags() {
  local f count=0
  json_get info "format-specific.data.bitmaps.$1.flags#" && count=$REPLY
  for ((f = 0; f < count; f++)); do
    json_get info "format-specific.data.bitmaps.$1.flags.$f" && printf '%s ' "$REPLY"
  done
}

# has_bitmap I NAME: it is in the active layer, in whatever state.
has_bitmap() { [[ " ${D[$1.bitmaps]}" == *" $2 "* ]]; }

# bitmap_health I NAME: REPLY is ok, or the reason why no incremental can start from it.
bitmap_health() {
  if ! has_bitmap "$1" "$2"; then REPLY=bitmap-missing
  elif [[ ${B[$1.$2.inconsistent]} == true ]]; then REPLY=bitmap-inconsistent
  elif [[ ${B[$1.$2.recording]} != true || ${B[$1.$2.persistent]} != true ]]; then REPLY=bitmap-not-recording
  else REPLY=ok; fi
}

# storage_verdict: empty when every disk can hold bitmaps, else the reason code.
storage_verdict() {
  local i
  REPLY=''
  for ((i = 0; i < DISKS; i++)); do
    if [[ ${D[$i.type]} != file || ${D[$i.device]:-disk} != disk ]]; then REPLY=storage-unsupported && return 0
    elif [[ ${D[$i.format]} != qcow2 || ${D[$i.compat]} == 0.10 ]]; then REPLY=image-unsupported; fi
  done
}

# volume_name PATH: REPLY is what a disk's backup file is called after, as in CloudStack's layout.
volume_name() {
  local path=${1%%:*}
  [[ $1 != rbd:* ]] || { path=${1#rbd:} && path=${path%%:*}; }
  case $path in
    /dev/drbd/by-res/*) path=${path#/dev/drbd/by-res/} && path=${path%%/*} && path=${path#cs-} ;;
  esac
  REPLY=${path##*/}
}

# ---- --disks: what the caller wants for each disk --------------------------------------------------

ASKED_DISKS=0
declare -A ASKED=() # "$i.target", .mode, .parentFile, .path, .format

parse_asked_disks() {
  local i key value
  local -A asked
  [[ $OPT_DISKS ]] || return 0
  json_read asked "$OPT_DISKS" && json_get asked '#' || bad_option '--disks is not a JSON array'
  ASKED_DISKS=$REPLY
  ((ASKED_DISKS)) || bad_option '--disks names no disk'
  for ((i = 0; i < ASKED_DISKS; i++)); do
    for key in target mode parentFile path format; do
      json_get asked "$i.$key" || :
      ASKED[$i.$key]=$REPLY
    done
    json_get asked "$i@" || :
    lines "$REPLY"
    for key in "${LINES[@]}"; do
      [[ $key == @(|target|mode|parentFile|path|format) ]] || bad_option "--disks: unknown key $key"
    done
    [[ ${ASKED[$i.target]} =~ ^[a-z][a-z0-9]{0,15}$ ]] || bad_option "--disks: not a valid target: ${ASKED[$i.target]}"
    [[ ${ASKED[$i.mode]} == @(|full|incremental) || ${ASKED[$i.mode]} == rescued && $OPT_ON_LOST_BITMAP == rescue ]] || bad_option "--disks: not a valid mode: ${ASKED[$i.mode]}"
    [[ ${ASKED[$i.format]} == @(|qcow2|raw) ]] || bad_option "--disks: not a valid format: ${ASKED[$i.format]}"
    value=${ASKED[$i.parentFile]}
    [[ ! $value || $value =~ $PATH_PATTERN ]] || bad_option "--disks: not a valid parent file: $value"
    [[ $value || ${ASKED[$i.mode]} == @(|full) ]] || bad_option "--disks: ${ASKED[$i.target]} has no parent file"
    value=${ASKED[$i.path]}
    [[ ! $value || ($value =~ ^/[^[:cntrl:],]+$ && $value/ != */../*) ]] || bad_option "--disks: not a valid path: $value"
    for ((key = 0; key < i; key++)); do
      [[ ${ASKED[$key.target]} != "${ASKED[$i.target]}" ]] || bad_option "--disks names ${ASKED[$i.target]} twice"
    done
  done
}

# match_asked_disks: a disk that nobody names would silently be left out of the backup, so both sets must be the same.
match_asked_disks() {
  local i a found
  [[ $OPT_DISKS ]] || return 0
  ((ASKED_DISKS == DISKS)) || die "The machine has $DISKS disks, --disks names $ASKED_DISKS" disks-mismatch
  for ((i = 0; i < DISKS; i++)); do
    found=''
    for ((a = 0; a < ASKED_DISKS; a++)); do
      if vm_is_live; then
        [[ ${ASKED[$a.target]} == "${D[$i.target]}" ]] || continue
        [[ ! ${ASKED[$a.path]} || ${ASKED[$a.path]} == "${D[$i.path]}" ]] || die "Disk ${D[$i.target]} is ${D[$i.path]}, not ${ASKED[$a.path]}" disks-mismatch
      else
        [[ ${ASKED[$a.path]:-${D[$a.path]}} == "${D[$i.path]}" ]] || continue
        D[$i.target]=${ASKED[$a.target]}
      fi
      found=yes D[$i.mode]=${ASKED[$a.mode]} D[$i.parent]=${ASKED[$a.parentFile]}
    done
    [[ $found ]] || die "Disk ${D[$i.target]} (${D[$i.path]}) is not in --disks" disks-mismatch
  done
}

# ---- checkpoints and bitmaps: only ours, named backup-<seconds>, are ever changed ------------------

CHECKPOINTS=() # libvirt's records for the machine, whoever made them

look_at_checkpoints() {
  virsh_q checkpoint-list "$OPT_VM" --name || return 1
  lines "$RUN_OUT"
  CHECKPOINTS=("${LINES[@]}")
}

has_checkpoint() {
  local name
  for name in "${CHECKPOINTS[@]}"; do [[ $name != "$1" ]] || return 0; done
  return 1
}

# checkpoint_xml NAME [redefine]: REPLY is the checkpoint over every disk; a redefined one names the bitmaps
# that are to be found, on exactly the disks that go on incrementally.
checkpoint_xml() {
  local i out="<domaincheckpoint><name>$1</name>"
  [[ ! ${2-} ]] || out+="<creationTime>$((10#${1#backup-}))</creationTime>"
  out+='<disks>'
  for ((i = 0; i < DISKS; i++)); do
    if [[ ! ${2-} ]]; then out+="<disk name='${D[$i.target]}' checkpoint='bitmap'/>"
    elif [[ ${D[$i.mode]} == incremental ]]; then out+="<disk name='${D[$i.target]}' checkpoint='bitmap' bitmap='$1'/>"
    else out+="<disk name='${D[$i.target]}' checkpoint='no'/>"; fi
  done
  REPLY="$out</disks></domaincheckpoint>"
}

# redefine_checkpoint NAME: registers the bitmaps that outlived libvirt's record of them. Never a new bitmap
# under an old name: an empty one would lose every write since the parent without a sign.
redefine_checkpoint() {
  checkpoint_xml "$1" redefine
  printf '%s\n' "$REPLY" >"$WORK/redefine.xml"
  virsh_q checkpoint-create "$OPT_VM" "$WORK/redefine.xml" --redefine --redefine-validate
}

# bitmap_drop NAME: removes this checkpoint and its bitmap from every disk, the machine running or stopped, and looks
# again. False, with the reason in RUN_ERR, when something is left. The disks must have been looked at before.
bitmap_drop() {
  [[ $1 =~ $BITMAP_PATTERN ]] || { RUN_ERR="$1 is not one of our bitmaps" && return 1; }
  look_at_state || return 1
  if vm_is_live; then bitmap_drop_live "$1"; else bitmap_drop_stopped "$1"; fi
}

bitmap_drop_live() {
  local i
  # The machine may have been started since its disks were looked at.
  [[ ${D[0.node]-} ]] || look_at_live_disks || return 1
  look_at_checkpoints || return 1
  if has_checkpoint "$1" && ! virsh_q checkpoint-delete "$OPT_VM" "$1"; then
    virsh_q checkpoint-delete "$OPT_VM" "$1" --metadata || return 1
  fi
  look_at_nodes || return 1
  for ((i = 0; i < DISKS; i++)); do
    ! has_bitmap "$i" "$1" || bitmap_remove_live "$i" "$1" || return 1
  done
  look_at_nodes || return 1
  for ((i = 0; i < DISKS; i++)); do
    ! has_bitmap "$i" "$1" || { RUN_ERR="bitmap $1 is still on ${D[$i.target]}" && return 1; }
  done
}

bitmap_remove_live() {
  qmp "{\"execute\":\"block-dirty-bitmap-remove\",\"arguments\":{\"node\":\"${D[$1.node]}\",\"name\":\"$2\"}}"
}

bitmap_drop_stopped() {
  local i
  for ((i = 0; i < DISKS; i++)); do
    [[ ${D[$i.path]} == /* && ${D[$i.format]} == qcow2 ]] || continue
    D[$i.inuse]=''
    look_at_image "$i"
    [[ ! ${D[$i.inuse]} ]] || { RUN_ERR=${D[$i.inuse]} && return 1; }
    ! has_bitmap "$i" "$1" || run "$VIRSH_SECONDS" qemu-img bitmap --remove -f qcow2 -- "${D[$i.path]}" "$1" || return 1
  done
}

# drop_inconsistent: clears away bitmaps of ours that a crash has spoiled: they help nobody and block later work on the image.
drop_inconsistent() {
  local i name dropped=''
  for ((i = 0; i < DISKS; i++)); do
    for name in ${D[$i.bitmaps]}; do
      [[ $name =~ $BITMAP_PATTERN && ${B[$i.$name.inconsistent]} == true ]] || continue
      if vm_is_live; then bitmap_remove_live "$i" "$name"
      else run "$VIRSH_SECONDS" qemu-img bitmap --remove -f qcow2 -- "${D[$i.path]}" "$name"; fi || { warn "cannot remove the inconsistent bitmap $name from ${D[$i.target]}: $RUN_ERR" && continue; }
      D[$i.bitmaps]=${D[$i.bitmaps]/"$name "/}
      dropped+=" $name"
    done
  done
  ! vm_is_live || drop_phantoms "$dropped"
}

# drop_phantoms NAMES: libvirt's records of bitmaps that no disk has any more.
drop_phantoms() {
  local i name found
  for name in $1; do
    has_checkpoint "$name" || continue
    found=''
    for ((i = 0; i < DISKS; i++)); do ! has_bitmap "$i" "$name" || found=yes; done
    [[ $found ]] || virsh_q checkpoint-delete "$OPT_VM" "$name" --metadata || warn "cannot remove the checkpoint $name: $RUN_ERR"
  done
}

# ---- facts: what was seen and done, for the books --------------------------------------------------

QEMU_PID='' QEMU_STARTED=''
PROGRESS_FILE='' PROGRESS_AT=0 # a job directory's file, set by 70-jobs

declare -A TIMING=() TIMING_FROM=()
timing_start() { now_ms && TIMING_FROM[$1]=$REPLY; }
timing_stop() { now_ms && TIMING[$1]=$((REPLY - TIMING_FROM[$1])); }

# progress DONE TOTAL: in bytes, at most once a second, replaced as a whole so that nobody reads half a line.
progress() {
  [[ $PROGRESS_FILE ]] || return 0
  now_ms
  ((REPLY - PROGRESS_AT >= 1000 || ${1:-0} == ${2:-0})) || return 0
  PROGRESS_AT=$REPLY
  json_object n processed "$1" n total "$2"
  # Good data does not need it, and the host's disk may have room again before there is anything to say that counts.
  { printf '%s\n' "$REPLY" >"$PROGRESS_FILE.new" && mv -f -- "$PROGRESS_FILE.new" "$PROGRESS_FILE"; } 2>/dev/null || :
}

# utc_ms SECONDS.FRACTION: REPLY is RFC 3339, UTC, milliseconds.
utc_ms() {
  local fraction=${1#*.}000
  printf -v REPLY '%(%Y-%m-%dT%H:%M:%S)T' "${1%.*}"
  REPLY+=.${fraction:0:3}Z
}

# look_at_qemu_start: when the QEMU process of a live machine began: a later one means that the machine was restarted.
# Its pid file is written once at the start; process times shift with the clock.
look_at_qemu_start() {
  local file=/run/libvirt/qemu/$OPT_VM.pid stat
  QEMU_PID='' QEMU_STARTED=''
  [[ -r $file ]] && read -r QEMU_PID <"$file" || :
  [[ $QEMU_PID =~ ^[0-9]+$ && -d /proc/$QEMU_PID ]] || { QEMU_PID='' && return 0; }
  stat=$(stat -c %.3Y -- "$file") || return 0
  utc_ms "$stat" && QEMU_STARTED=$REPLY
}

# owner_of_qemu: REPLY is UID:GID of a live machine's QEMU.
owner_of_qemu() { [[ $QEMU_PID ]] && REPLY=$(stat -c %u:%g -- "/proc/$QEMU_PID" 2>/dev/null); }

json_host() {
  local boot='' name=''
  read -r boot </proc/sys/kernel/random/boot_id || :
  read -r name </proc/sys/kernel/hostname || :
  json_object s name "$name" s bootId "$boot" s libvirt "$HOST_LIBVIRT" s qemu "$HOST_QEMU"
}

json_space() {
  REPLY=null
  [[ ! $SPACE_TOTAL ]] || json_object n total "$SPACE_TOTAL" n free "$SPACE_FREE"
}

# json_disk I: the facts about one disk of a run.
json_disk() {
  local i=$1 method=''
  if [[ ${D[$i.file]} && $TRANSFER == offline ]]; then method=converted
  elif [[ ${D[$i.file]} ]]; then method=${D[$i.mode]}; fi
  json_object s target "${D[$i.target]}" s path "${D[$i.path]%%:*}" n inode "${D[$i.inode]}" s format "${D[$i.format]}" n virtualSize "${D[$i.virtual]}" \
    s method "$method" s file "${D[$i.file]}" s backing "${D[$i.backing]}" n fileSize "${D[$i.size]}" n allocated "${D[$i.allocated]}" \
    n clusterSize "${D[$i.filecluster]}" n ownData "${D[$i.data]}" n ownZero "${D[$i.zero]}" n dirtyBefore "${D[$i.dirty]}" n compared "${D[$i.compared]}" \
    r parentBitmap "${D[$i.parentbitmap]}" s check "${D[$i.check]:-skipped}" n writtenBytes "${D[$i.written]}"
}

# json_facts: REPLY is the whole of FACTS, version 1.
json_facts() {
  local i host vm asked did job='' guest='' space left timings error='' limit=''
  local -a disks=()
  json_host && host=$REPLY
  json_object s name "$OPT_VM" s state "${SEEN_STATE/absent/shut off}" s qemuStarted "$QEMU_STARTED" && vm=$REPLY
  json_object s mode "${OPT_MODE:-legacy-full}" s bitmapNew "$OPT_BITMAP_NEW" s bitmapParent "$OPT_BITMAP_PARENT" && asked=$REPLY
  # What a push would move was never limited.
  [[ $TRANSFER != @(pull|offline) ]] || limit=$OPT_BANDWIDTH
  json_object s mode "$DONE_MODE" s transfer "$TRANSFER" s transferReason "$TRANSFER_REASON" s reason "$PLAN_REASON" s recreateMethod "$RECREATE_METHOD" \
    s rescueRefused "$RESCUE_REFUSED" n bandwidth "$limit" s bitmapNew "$DONE_BITMAP" && did=$REPLY
  if [[ $JOB_RESULT ]]; then
    json_object s result "$JOB_RESULT" s error "$JOB_ERROR" n processed "$JOB_PROCESSED" n total "$JOB_TOTAL" n ms "$JOB_MS" && job=$REPLY
  fi
  for ((i = 0; i < DISKS; i++)); do json_disk "$i" && disks+=("$REPLY"); done
  if [[ $TRANSFER == @(push|pull) ]]; then
    json_object n frozenMs "$FROZEN_MS" n pausedMs "$PAUSED_MS" n slowestWriteMs "$SLOWEST_MS" b resumed "$RESUMED" b thawed "$THAWED" && guest=$REPLY
  fi
  json_space && space=$REPLY
  json_strings "${LEFT[@]}" && left=$REPLY
  json_object b ok "$( ((${#LEFT[@]})) && echo false || echo true)" r left "$left" && left=$REPLY
  json_object n mount "${TIMING[mount]-}" n inspect "${TIMING[inspect]-}" n job "${TIMING[job]-}" n rebase "${TIMING[rebase]-}" \
    n check "${TIMING[check]-}" n unmount "${TIMING[unmount]-}" n total "${TIMING[total]-}" && timings=$REPLY
  [[ ! $ERROR_CODE ]] || { json_object s code "$ERROR_CODE" s message "$ERROR_TEXT" && error=$REPLY; }
  json_array "${disks[@]}" && disks=("$REPLY")
  json_object n v 1 s script "$SCRIPT_VERSION" s dialect "$OPT_DIALECT" r host "$host" r vm "$vm" r asked "$asked" r 'done' "$did" \
    r job "$job" r disks "${disks[0]}" r guest "$guest" r space "$space" r cleanup "$left" r timings "$timings" r error "$error"
}

# ---- what is printed: CloudStack's dialects, and the facts ------------------------------------------

print_backup() {
  local i
  [[ $OPT_DIALECT != seed || ! $RECREATE_METHOD ]] || printf 'BITMAP_RECREATED=%s\n' "$OPT_BITMAP_PARENT"
  [[ $OPT_MODE != incremental || $DONE_MODE == incremental ]] || printf 'INCREMENTAL_FALLBACK=true\n'
  if [[ $TRANSFER == offline ]]; then
    print_facts
    for ((i = 0; i < DISKS; i++)); do printf '%s\n' "${D[$i.size]}"; done
  else
    printf '%s\n\n' "$JOB_BLOCK"
    print_facts
    printf '%s\n' "$BACKUP_SIZE"
  fi
  [[ $OPT_DIALECT != seed || ! $DONE_BITMAP ]] || printf 'BITMAP_CREATED=%s\n' "$DONE_BITMAP"
}

print_facts() {
  [[ ! $OPT_FACTS ]] || { json_facts && printf 'FACTS=%s\n' "$REPLY"; }
}

# print_failure: the last words on stdout. CloudStack keeps stdout alone, so the text stands there too.
print_failure() {
  case $OPT_OPERATION in
    backup | delete | stats | '')
      printf '%s\n' "$ERROR_TEXT"
      [[ $OPT_OPERATION != backup ]] || print_facts
      ;;
    restore)
      printf '%s\n' "$ERROR_TEXT"
      print_restore
      ;;
    *)
      json_object s code "$ERROR_CODE" s message "$ERROR_TEXT"
      json_object n v 1 r error "$REPLY"
      printf '%s\n' "$REPLY"
      ;;
  esac
}

# ---- inspect: read-only facts, one line of JSON ------------------------------------------------------

PROBLEMS=()
problem() { json_object s code "$1" s message "$2" && PROBLEMS+=("$REPLY"); }

operation_inspect() {
  local i checkpoints agent='' active=false reason
  local -a disks=()
  need OPT_VM -v
  parse_asked_disks
  work_open
  look_at_host || die "libvirt does not answer: $RUN_ERR" libvirt-unreachable
  look_at_versions
  look_at_state || die "libvirt does not answer: $RUN_ERR" libvirt-unreachable
  SEEN_STATE=$VM_STATE reason=$VM_REASON
  if vm_is_live; then
    look_at_live_disks || die_unless_gone "Cannot look at $OPT_VM"
    look_at_qemu_start
    look_at_checkpoints || die_unless_gone "Cannot list the checkpoints of $OPT_VM"
    ! job_active || active=true
    look_at_agent && agent=$REPLY
  elif look_at_stopped_disks -U; then
    [[ $SEEN_STATE != absent || $DISKS == 0 ]] || SEEN_STATE='shut off'
    look_for_users
  else
    problem disks-unknown "The disks of $OPT_VM cannot be told: $RUN_ERR"
  fi
  look_at_preflight
  for ((i = 0; i < DISKS; i++)); do inspected_disk "$i" && disks+=("$REPLY"); done
  commit
  unwind good
  json_strings "${CHECKPOINTS[@]}" && checkpoints=$REPLY
  print_inspect "$reason" "$active" "$agent" "$checkpoints" "${disks[@]}"
  DONE=yes
  exit 0
}

look_at_versions() {
  version_at_least "$HOST_LIBVIRT" "$MIN_LIBVIRT" || problem version-too-old "libvirt ${HOST_LIBVIRT:-unknown}: $MIN_LIBVIRT or newer is needed"
  version_at_least "$HOST_QEMU" "$MIN_QEMU" || problem version-too-old "QEMU ${HOST_QEMU:-unknown}: $MIN_QEMU or newer is needed"
}

print_inspect() {
  local host vm job space problems
  json_host && host=$REPLY
  json_object s name "$OPT_VM" s state "$SEEN_STATE" s reason "$1" s uuid "$VM_UUID" s qemuStarted "$QEMU_STARTED" && vm=$REPLY
  json_object b active "$2" s operation "$JOB_OPERATION" && job=$REPLY
  json_space && space=$REPLY
  json_array "${PROBLEMS[@]}" && problems=$REPLY
  json_array "${@:5}"
  json_object n v 1 s script "$SCRIPT_VERSION" r host "$host" r vm "$vm" r job "$job" r checkpoints "$4" b agent "$3" r space "$space" \
    r disks "$REPLY" r problems "$problems"
  printf '%s\n' "$REPLY"
}

inspected_disk() {
  local i=$1 name flags
  local -a bitmaps=()
  for name in ${D[$i.bitmaps]}; do
    # shellcheck disable=SC2086 # the flags are words
    json_strings ${B[$i.$name.flags]} && flags=$REPLY
    json_object s name "$name" b recording "${B[$i.$name.recording]}" b inconsistent "${B[$i.$name.inconsistent]}" b persistent "${B[$i.$name.persistent]}" \
      b busy "${B[$i.$name.busy]}" n granularity "${B[$i.$name.granularity]}" n dirtyBytes "${B[$i.$name.count]}" r flags "$flags"
    bitmaps+=("$REPLY")
  done
  json_array "${bitmaps[@]}"
  # No answer about the bitmaps is not the same as no bitmaps.
  [[ ${D[$i.virtual]} ]] || REPLY=null
  json_object s target "${D[$i.target]}" s device "${D[$i.device]}" s path "${D[$i.path]%%:*}" n inode "${D[$i.inode]}" s type "${D[$i.type]}" \
    s format "${D[$i.format]}" s compat "${D[$i.compat]}" n virtualSize "${D[$i.virtual]}" n clusterSize "${D[$i.cluster]}" n actualSize "${D[$i.actual]}" \
    s errorPolicy "${D[$i.policy]}" r bitmaps "$REPLY" n writtenBytes "${D[$i.written]}"
}

# look_at_agent: REPLY is true or false for a guest agent's channel that is connected or not; false when there is none.
look_at_agent() {
  local line state='' agent=''
  virsh_q dumpxml "$OPT_VM" || return 1
  lines "$RUN_OUT"
  for line in "${LINES[@]}"; do
    case $line in
      *'<channel '*) state='' ;;
      *'<target '*"name='org.qemu.guest_agent.0'"*) xml_attribute "$line" state || : && agent=${REPLY:-unknown} ;;
    esac
  done
  [[ $agent ]] || return 1
  [[ $agent == connected ]] && REPLY=true || REPLY=false
}

# look_for_users: a stopped disk that cannot be locked is in use by a machine on another host.
look_for_users() {
  local i
  for ((i = 0; i < DISKS; i++)); do
    if [[ ${D[$i.unsafe]} ]]; then
      problem image-unsafe "${D[$i.inuse]}"
    elif [[ ${D[$i.inuse]} ]]; then
      problem disk-unreadable "${D[$i.path]%%:*}: ${D[$i.inuse]}"
    elif [[ ${D[$i.type]} == file ]] && ! run "$NAS_SECONDS" qemu-img info -f "${D[$i.format]}" --output=json -- "${D[$i.path]}" && [[ $RUN_ERR == *lock* ]]; then
      problem image-in-use "${D[$i.path]} is in use: ${RUN_ERR//$'\n'/; }"
    fi
  done
}

# look_at_preflight: what would make a backup fail later, and what helps.
look_at_preflight() {
  local user
  if ! propagates; then
    problem mount-private "Mounts of this host do not reach machines that already run: 'mount --make-rshared /' before they start"
  fi
  [[ $OPT_TYPE && $OPT_STORAGE ]] || return 0
  mount_repository
  look_at_space || problem nas-silent "The NAS does not tell its space: $RUN_ERR"
  if [[ $QEMU_PID ]]; then
    mounted "$MNT" "/proc/$QEMU_PID/mountinfo" || problem mount-not-visible "QEMU of $OPT_VM does not see new mounts of this host: restart the machine after 'mount --make-rshared /'"
    owner_of_qemu && user=$REPLY || return 0
    run "$NAS_SECONDS" setpriv --reuid="${user%:*}" --regid="${user#*:}" --clear-groups test -x "$MNT" ||
      problem nas-not-reachable "QEMU's user (${user%:*}) may not enter the NAS: it needs the x bit, and no root_squash in its way"
  fi
  [[ ! $OPT_PATH ]] || nas test -d "$MNT/$OPT_PATH" || problem path-missing "$OPT_PATH is not on the NAS"
}

# propagates: the filesystem that holds /tmp is shared with other mount namespaces.
propagates() {
  local fields best=''
  while read -r -a fields; do
    [[ ${fields[4]} == @(/|/tmp) && ${#fields[4]} -ge ${#best} ]] || continue
    best=${fields[4]}
    [[ ${fields[*]:6} == shared:* ]] && REPLY=yes || REPLY=no
  done < <(cat /proc/self/mountinfo)
  [[ $REPLY == yes ]]
}

# ---- check: is this host ready? One line of JSON; with -t -s -m also about that repository -------------

operation_check() {
  local host space sessions='' problems repository text
  NAS_SECONDS=$CHECK_SECONDS
  work_open
  look_at_host || die "libvirt does not answer: $RUN_ERR" libvirt-unreachable
  look_at_versions
  # sshd's own view; what it does not tell stays unknown.
  ! run 10 sshd -T || [[ ! $RUN_OUT =~ (^|$'\n')maxsessions\ ([0-9]+) ]] || sessions=${BASH_REMATCH[2]}
  look_at_preflight
  look_at_apparmor
  [[ ! $MNT ]] || check_repository
  commit
  unwind good
  for text in "${LEFT[@]}"; do problem left-behind "Left behind: $text"; done
  json_host && host=$REPLY
  json_space && space=$REPLY
  json_tried && repository=$REPLY
  json_array "${PROBLEMS[@]}" && problems=$REPLY
  rfc3339_now
  json_object n v 1 s script "$SCRIPT_VERSION" r host "$host" s time "$REPLY" n maxSessions "$sessions" r space "$space" r repository "$repository" r apparmor "$APPARMOR" r problems "$problems"
  printf '%s\n' "$REPLY"
  DONE=yes
  exit 0
}

# qemu_user: REPLY is the user that libvirt starts QEMU as; its settings say, or the account that the packages make.
qemu_user() {
  local name
  if [[ -r /etc/libvirt/qemu.conf && $(</etc/libvirt/qemu.conf) =~ (^|$'\n')[[:blank:]]*user[[:blank:]]*=[[:blank:]]*\"\+?([A-Za-z0-9_.-]+)\" ]]; then
    REPLY=${BASH_REMATCH[2]}
    return 0
  fi
  for name in libvirt-qemu qemu; do id -u -- "$name" >/dev/null 2>&1 && REPLY=$name && return 0; done
  return 1
}

APPARMOR_KERNEL=/sys/kernel/security/apparmor APPARMOR_RULES=/etc/apparmor.d

# look_at_apparmor: whether it confines machines here, which do run confined, what QEMU has to be let write, and the rules as they
# lie there. Whether these suffice is for the reader to judge.
APPARMOR=''
look_at_apparmor() {
  local state=disabled line file profiles writes
  local -a confined=() files=()
  if [[ -d $APPARMOR_KERNEL/policy ]]; then
    # libvirt may have been told to leave its machines alone.
    state=unused
    ! virsh_q capabilities || [[ $RUN_OUT != *'<model>apparmor</model>'* ]] || state=confining
    while read -r line; do [[ $line != libvirt-* ]] || confined+=("$line"); done <"$APPARMOR_KERNEL/profiles"
    for file in "$APPARMOR_RULES"/abstractions/libvirt-qemu{,.d/*} "$APPARMOR_RULES"/{local/abstractions/libvirt-qemu,libvirt/TEMPLATE.qemu}; do
      [[ ! -f $file ]] || { json_object s path "${file#"$APPARMOR_RULES"/}" S text "$(<"$file")" && files+=("$REPLY"); }
    done
  fi
  json_strings "${confined[@]}" && profiles=$REPLY
  json_strings /tmp/csbackup.XXXXX "$SCRATCH_DIR" && writes=$REPLY
  json_array "${files[@]}"
  json_object s state "$state" r profiles "$profiles" r writes "$writes" r files "$REPLY" && APPARMOR=$REPLY
}

# ---- check of a repository: what a backup will ask of it, tried on small files of our own --------------

CHECK_SECONDS=10 # a step that takes longer has no answer
CHECK_WRITES=16  # small writes whose time is taken, as long as they take less than that together
CHECK_HOLE=$((4 * 1024 * 1024))
CHECK_DIR=''

declare -A TRIED=() # what came of it; what was not tried is unknown

# check_repository: an answer that says no is a problem and not the end: the other steps tell more.
check_repository() {
  look_at_qemu_entry
  ! step 'tell its type' stat -f -c %T -- "$MNT" || TRIED[type]=$RUN_OUT
  # No other host has the name, and no other call here: the note of it may come first.
  CHECK_DIR=$MNT/.chainkeeper-check.$HOSTNAME.${WORK##*.}
  owned "$CHECK_DIR"
  if ! step 'make a directory' mkdir -m 700 -- "$CHECK_DIR"; then
    CHECK_DIR='' TRIED[directories]=false
    cannot_write
    return 0
  fi
  always_push remove_check_dir
  remove_old_checks
  run 10 dd if=/dev/urandom of="$WORK/pattern" bs=64k count=16 status=none || die "Cannot write to the state directory $STATE_DIR: $RUN_ERR" state-dir
  try_data
  try_latency
  try_names
  try_hole
  remove_check_dir
}

# step WHAT COMMAND...: one thing that is asked of the NAS. One that did not answer is asked nothing more: whoever touches it hangs.
step() {
  [[ ! $NAS_HUNG ]] || { RUN_CODE=124 && return 124; }
  run "$NAS_SECONDS" "${@:2}" || {
    [[ $RUN_CODE == 124 ]] || return "$RUN_CODE"
    NAS_HUNG=yes
    problem nas-hung "It gave no answer within $NAS_SECONDS s when it was to $1"
    return 124
  }
}

# cannot_write: the step before failed, for the reason in RUN_ERR.
cannot_write() {
  case $RUN_CODE:$RUN_ERR in
    124:*) ;;
    *'No space left'* | *'uota exceeded'*) [[ ${PROBLEMS[*]} == *'"nas-full"'* ]] || problem nas-full "It has no room: $RUN_ERR" ;;
    *'Read-only file system'*) problem nas-read-only "It is read-only: $RUN_ERR" ;;
    *) problem nas-not-writable "root of this host cannot write to it: $RUN_ERR" ;;
  esac
}

# try_data: 1 MiB is written, kept, and read back past this host's cache, as far as that can be.
try_data() {
  TRIED[data]=false
  step 'write 1 MiB' dd if="$WORK/pattern" of="$CHECK_DIR/data" bs=64k conv=fsync status=none || {
    cannot_write
    # What is left to try needs little room.
    step 'remove a file' rm -f -- "$CHECK_DIR/data" || :
    return 0
  }
  TRIED[direct]=true
  if ! step 'read 1 MiB back' dd if="$CHECK_DIR/data" of="$WORK/back" bs=64k iflag=direct status=none; then
    TRIED[direct]=false
    step 'forget its cache' dd if="$CHECK_DIR/data" iflag=nocache count=0 status=none || :
    step 'read 1 MiB back' dd if="$CHECK_DIR/data" of="$WORK/back" bs=64k status=none || { read_failed && return 0; }
  fi
  run 10 sha256sum -- "$WORK/pattern" "$WORK/back" || die "Cannot read in the state directory $STATE_DIR: $RUN_ERR" state-dir
  lines "$RUN_OUT"
  if [[ ${LINES[0]%% *} == "${LINES[1]%% *}" ]]; then
    TRIED[data]=true
  else
    problem nas-corrupts 'What was read back is not what had been written'
  fi
}
read_failed() { [[ $RUN_CODE == 124 ]] || problem nas-not-readable "What had been written cannot be read back: $RUN_ERR"; }

# try_latency: how long it takes until 4 KiB are kept (O_DSYNC). dd's own time: starting it is none of the NAS.
try_latency() {
  local i j spent=0 us
  local -a sorted=()
  for ((i = 0; i < CHECK_WRITES && spent < NAS_SECONDS * 1000000; i++)); do
    step 'keep 4 KiB' dd if="$WORK/pattern" of="$CHECK_DIR/small" bs=4k count=1 seek="$i" oflag=dsync conv=notrunc || { cannot_write && break; }
    [[ $RUN_ERR =~ ,\ ([0-9.]+(e-?[0-9]+)?)\ s, ]] || break
    printf -v us %.6f "${BASH_REMATCH[1]}"
    us=$((10#${us/./})) spent=$((spent + us))
    for ((j = ${#sorted[@]}; j > 0 && sorted[j - 1] > us; j--)); do sorted[j]=${sorted[j - 1]}; done
    sorted[j]=$us
  done
  ((${#sorted[@]})) || return 0
  TRIED[writes]=${#sorted[@]} TRIED[median]=${sorted[${#sorted[@]} / 2]} TRIED[worst]=${sorted[-1]}
}

# try_names: a file takes the place of another, what a directory holds is kept, directories come and go.
try_names() {
  TRIED[rename]=false TRIED[sync]=false TRIED[directories]=false
  if [[ ${TRIED[data]} == true ]]; then
    if step 'rename a file over another' mv -fT -- "$CHECK_DIR/data" "$CHECK_DIR/small" && step 'tell a size' stat -c %s -- "$CHECK_DIR/small" && [[ $RUN_OUT == 1048576 ]]; then
      TRIED[rename]=true
    else
      failed nas-no-rename 'A file cannot be renamed over another'
    fi
  fi
  if step 'keep a directory (fsync)' sync -- "$CHECK_DIR"; then TRIED[sync]=true; else failed nas-no-sync 'It does not keep a directory when asked to (fsync)'; fi
  if step 'make a directory' mkdir -- "$CHECK_DIR/sub" && step 'remove a directory' rmdir -- "$CHECK_DIR/sub"; then
    TRIED[directories]=true
  else
    failed nas-no-directories 'A directory cannot be made and removed'
  fi
}
failed() { [[ $RUN_CODE == 124 ]] || problem "$1" "$2: $RUN_ERR"; }

# try_hole: what is not written takes no room; then how long a file may get, which costs nothing where holes cost nothing.
try_hole() {
  local blocks size
  step 'make a file with a hole' dd if="$WORK/pattern" of="$CHECK_DIR/hole" bs=4k count=1 seek=$((CHECK_HOLE / 4096)) conv=fsync status=none || { cannot_write && return 0; }
  step 'tell the room that a file takes' stat -c '%b %B' -- "$CHECK_DIR/hole" || return 0
  read -r blocks size <<<"$RUN_OUT"
  TRIED[sparse]=true
  ((blocks * size < CHECK_HOLE / 2)) || { TRIED[sparse]=false && return 0; }
  # To remove a long file Ceph looks for every object that it could have.
  [[ ${TRIED[type]-} != ceph ]] || return 0
  for size in 8T 2T 256G 16G 4G 2G; do
    if step 'make a long file' truncate -s "$size" -- "$CHECK_DIR/hole"; then
      step 'tell a size' stat -c %s -- "$CHECK_DIR/hole" && TRIED[largest]=$RUN_OUT
      return 0
    fi
    [[ $RUN_CODE != 124 ]] || return 0
  done
}

# remove_check_dir: what was written is gone afterwards, on the way out, too.
remove_check_dir() {
  [[ $CHECK_DIR ]] || return 0
  local dir=$CHECK_DIR
  CHECK_DIR=''
  TRIED[gone]=false
  if step 'remove files' rm -rf --one-file-system -- "$dir" && ! step 'look for them' test -e "$dir" && [[ ! $NAS_HUNG ]]; then
    TRIED[gone]=true
  else
    left "directory ${dir##*/} on the NAS"
  fi
}

# remove_old_checks: what a check left there, on whatever host, is no longer at work after an hour, by the clock of the NAS itself.
remove_old_checks() {
  step 'tell a time' stat -c %Y -- "$CHECK_DIR" || return 0
  step 'remove files' find "$MNT" -maxdepth 1 -name '.chainkeeper-check.*' -type d ! -newermt "@$((RUN_OUT - 3600))" -exec rm -rf --one-file-system -- {} + ||
    [[ $RUN_CODE == 124 ]] || left "what an earlier check wrote to the NAS: $RUN_ERR"
}

# look_at_qemu_entry: whether QEMU's user, who writes a push, may enter.
look_at_qemu_entry() {
  local user
  qemu_user || { problem qemu-user-unknown "The user that QEMU runs as is not known here, so whether it may enter the NAS is not known" && return 0; }
  user=$REPLY
  step "let QEMU's user in" setpriv --reuid="$user" --clear-groups --regid="$(id -g -- "$user")" test -x "$MNT" || [[ $RUN_CODE == 124 ]] ||
    problem nas-not-reachable "QEMU's user ($user) may not enter the NAS: it needs the x bit, and no root_squash in its way"
}

# json_tried: REPLY is what was tried of the repository; null without one.
json_tried() {
  REPLY=null
  [[ ! $MNT ]] || json_object s type "${TRIED[type]-}" b data "${TRIED[data]-}" b direct "${TRIED[direct]-}" b rename "${TRIED[rename]-}" b sync "${TRIED[sync]-}" \
    b directories "${TRIED[directories]-}" b sparse "${TRIED[sparse]-}" n largestFile "${TRIED[largest]-}" n writes "${TRIED[writes]-}" \
    n medianUs "${TRIED[median]-}" n worstUs "${TRIED[worst]-}" b gone "${TRIED[gone]-}"
}

# ---- full or incremental: what the host itself finds decides ---------------------------------------
#
# The caller asks; an incremental is taken only over bitmaps and parent files that are healthy on every disk, else an
# honest full of all disks with its reason, or, when asked, a rescue of the disks whose bitmap is lost. PLAN_MODE and PLAN_REASON
# are the answer; D[i.mode] (full, incremental, rescued) tells it for each disk.

PLAN_MODE='' PLAN_REASON='' RECREATE_METHOD=''
FILE_NAMES=()
RESCUE_REFUSED='' # why there was no rescue although it was asked for

check_request() {
  local mode=${OPT_MODE:-legacy-full}
  case $mode in
    legacy-full) ;;
    full) [[ $OPT_BITMAP_NEW ]] || die 'full mode requires --bitmap-new' bad-option ;;
    incremental)
      [[ $OPT_BITMAP_NEW && $OPT_BITMAP_PARENT && $OPT_PARENT_PATHS$OPT_PARENT_PATH$OPT_DISKS ]] ||
        die 'incremental mode requires --bitmap-parent, --bitmap-new, and --parent-path or --parent-paths' bad-option
      [[ $OPT_BITMAP_NEW != "$OPT_BITMAP_PARENT" ]] || die 'The new bitmap must not have the name of its parent' bad-option
      ;;
    *) die "Unknown mode: $OPT_MODE" bad-option ;;
  esac
  PLAN_MODE=$mode
}

# plan_full REASON: a full of all disks instead of what was asked.
plan_full() {
  local i
  PLAN_MODE=full PLAN_REASON=$1 RECREATE_METHOD=''
  for ((i = 0; i < DISKS; i++)); do D[$i.mode]=full D[$i.parent]='' D[$i.backing]=''; done
}

# plan: the decision, from what was looked at before.
plan() {
  local i
  match_asked_disks
  storage_verdict
  if [[ $PLAN_MODE == legacy-full || $REPLY ]]; then
    plan_full ''
    [[ ${OPT_MODE:-legacy-full} == legacy-full ]] || PLAN_REASON=$REPLY
    PLAN_MODE=legacy-full
  elif [[ $PLAN_MODE == full ]]; then
    plan_full ''
  elif ! vm_is_live; then
    plan_full vm-stopped
  else
    plan_incremental
  fi
  for ((i = 0; i < DISKS; i++)); do
    [[ $PLAN_MODE == legacy-full ]] || ! has_bitmap "$i" "$OPT_BITMAP_NEW" || die "Disk ${D[$i.target]} has a bitmap $OPT_BITMAP_NEW already" bitmap-exists
  done
}

plan_incremental() {
  local i lost='' parents=' '
  [[ $OPT_DISKS ]] || assign_parents || { plan_full "$REPLY" && return 0; }
  for ((i = 0; i < DISKS; i++)); do
    [[ ${D[$i.mode]} ]] || D[$i.mode]=incremental
    [[ ${D[$i.mode]} != full ]] || continue
    bitmap_health "$i" "$OPT_BITMAP_PARENT"
    # The caller may know what cannot be seen here: that the disk or its bitmap is another one.
    if [[ $REPLY == ok ]]; then [[ ${D[$i.mode]} == rescued ]] && REPLY=bitmap-unconfirmed || continue; fi
    D[$i.mode]=rescued lost=${lost:-$REPLY}
    rescue_is_asked || { plan_full "$lost" && return 0; }
  done
  for ((i = 0; i < DISKS; i++)); do
    [[ ${D[$i.mode]} != full ]] || continue
    parent_verdict "$i"
    # Two disks cannot lean on one file: one of them is another's.
    [[ $parents != *" ${D[$i.parent]} "* ]] || REPLY=disk-set-changed
    parents+="${D[$i.parent]} "
    [[ $REPLY == ok ]] || { [[ ! $lost ]] || RESCUE_REFUSED="${D[$i.target]}: $REPLY"; plan_full "${lost:-$REPLY}" && return 0; }
  done
  has_mode incremental || has_mode rescued || bad_option '--disks asks for no incremental disk: that is a full'
  PLAN_REASON=regular
  [[ ! $lost ]] || rescue "$lost" || return 0
  has_mode incremental || return 0
  has_checkpoint "$OPT_BITMAP_PARENT" && return 0
  if redefine_checkpoint "$OPT_BITMAP_PARENT"; then
    [[ $lost ]] || PLAN_REASON=redefined RECREATE_METHOD=redefined
  else
    warn "libvirt does not take $OPT_BITMAP_PARENT as it is: $RUN_ERR"
    plan_without_bitmaps
  fi
}

has_mode() {
  local i
  for ((i = 0; i < DISKS; i++)); do [[ ${D[$i.mode]} != "$1" ]] || return 0; done
  return 1
}

# plan_without_bitmaps: libvirt refuses bitmaps that looked healthy.
plan_without_bitmaps() {
  local i
  for ((i = 0; i < DISKS; i++)); do D[$i.mode]=${D[$i.mode]/incremental/rescued}; done
  rescue bitmap-unconfirmed || :
}

rescue_is_asked() { [[ $OPT_ON_LOST_BITMAP == rescue ]]; }

# rescue REASON: the disks whose mode is rescued are compared with their chain, which needs the export of a pull. Where that
# cannot be, a full for that REASON, and false. The parents' files have been looked at before.
rescue() {
  if ! rescue_is_asked; then :
  elif [[ $TRANSFER == pull ]] || scratch_suffices; then
    [[ $TRANSFER == pull ]] || TRANSFER=pull TRANSFER_REASON="a rescue compares with an export: $REPLY"
    PLAN_REASON=rescued RECREATE_METHOD=rescued
    return 0
  else
    RESCUE_REFUSED=$REPLY
  fi
  plan_full "$1"
  return 1
}

# assign_parents: CloudStack names parent files by position (--parent-paths), or only the first disk's (--parent-path):
# the others are looked for beside it under their volume's name. False, with the reason in REPLY, when they do not fit.
assign_parents() {
  local i
  if [[ $OPT_PARENT_PATHS ]]; then
    split_list "$OPT_PARENT_PATHS"
    ((${#LIST[@]} == DISKS)) || { REPLY=disk-set-changed && return 1; }
    for ((i = 0; i < DISKS; i++)); do D[$i.parent]=${LIST[i]}; done
  else
    backup_file_names
    D[0.parent]=$OPT_PARENT_PATH
    for ((i = 1; i < DISKS; i++)); do D[$i.parent]=${OPT_PARENT_PATH%/*}/${FILE_NAMES[i]}; done
  fi
}

# parent_verdict I: REPLY is ok when the parent's file and everything under it is there and fits the disk.
parent_verdict() {
  local i=$1
  local -A chain
  if ! nas qemu-img info -U --backing-chain --output=json "$MNT/${D[$1.parent]}"; then
    warn "Parent backup file does not exist on NAS: ${D[$1.parent]}: $RUN_ERR"
    REPLY=parent-file-missing && return 0
  fi
  json_read chain "$RUN_OUT" || { REPLY=parent-file-missing && return 0; }
  json_get chain 0.format
  [[ $REPLY == qcow2 ]] || { REPLY=parent-file-missing && return 0; }
  json_get chain 0.virtual-size
  # A disk that is smaller than its parent was shrunk; its old tail would come back when it grows again.
  if ((REPLY > D[$i.virtual])); then REPLY=disk-shrunk; else REPLY=ok; fi
}

# backup_file_names: FILE_NAMES has the name of each disk's file; root is the first disk, as in CloudStack's layout.
backup_file_names() {
  local i name names=' '
  FILE_NAMES=()
  for ((i = 0; i < DISKS; i++)); do
    volume_name "${D[$i.path]}"
    name=${REPLY//[!A-Za-z0-9_.+@-]/_}
    if ((i == 0)); then name=root.$name; else name=datadisk.$name; fi
    # Volumes of different pools may have the same name.
    [[ $names != *" $name "* ]] || name+=.${D[$i.target]}
    names+="$name "
    FILE_NAMES+=("$name.qcow2")
  done
}

# relative_path FROM TO: REPLY leads from directory FROM to file TO, both relative to the mount.
relative_path() {
  local from=$1/ to=$2
  while [[ $to == */* && ${from%%/*} == "${to%%/*}" ]]; do from=${from#*/} to=${to#*/}; done
  while [[ $from ]]; do from=${from#*/} to=../$to; done
  REPLY=$to
}

# ---- backup ------------------------------------------------------------------------------------------

DEST=''        # directory of this backup, under the mount
readonly RUN_MARK=.chainkeeper-run   # whose directory it is, and that it is not finished
readonly DONE_MARK=.chainkeeper-done # the same once it is; goes when the backup is described, which only one in the books is
JOB_BLOCK='' JOB_RESULT='' JOB_ERROR='' JOB_PROCESSED='' JOB_TOTAL='' JOB_MS=''
SEEN_STATE=''   # the machine's state before anything was done
DONE_MODE=none DONE_BITMAP='' TRANSFER='' BACKUP_SIZE=''
JOB_STUCK=''   # set when libvirt's job does not end: nothing more can be done to the machine's bitmaps
NAS_HUNG=''    # set when the NAS holds on to something: touching it again would only hang, too

operation_backup() {
  need OPT_VM -v
  need OPT_PATH -p
  parse_asked_disks
  check_request
  work_open
  vm_lock "$OPT_VM"
  [[ ! $OPT_FENCE ]] || fence_check "$OPT_VM" "$OPT_FENCE"
  look_at_host || die "libvirt does not answer: $RUN_ERR" libvirt-unreachable
  check_versions
  look_at_state || die "libvirt does not answer: $RUN_ERR" libvirt-unreachable
  SEEN_STATE=$VM_STATE
  vm_is_live || [[ $OPT_DISK_PATHS$OPT_DISKS || $VM_STATE == 'shut off' ]] ||
    die "There is no virtual machine $OPT_VM, and no -d to tell its disks" vm-not-found
  mount_repository
  timing_start inspect
  if vm_is_live; then backup_live; else backup_stopped; fi
  finish_backup
}

# open_destination: the directory must be new: whatever lies there already is somebody else's.
open_destination() {
  local parent=${OPT_PATH%/*}
  DEST=$MNT/$OPT_PATH
  # Others on this host may pass through to a file they know, as QEMU's user must, but not look around.
  if [[ $parent != "$OPT_PATH" ]] && ! nas test -d "$MNT/$parent"; then
    nas mkdir -p -m 0711 -- "$MNT/$parent" || die "Cannot create $parent on the NAS: $RUN_ERR" nas-not-writable
    undo_push remove_empty "$MNT/$parent"
  fi
  stays_inside "$OPT_PATH"
  if ! nas mkdir -m 0711 -- "$DEST"; then
    ! nas test -e "$DEST" || die "$OPT_PATH is on the NAS already" target-exists
    die "Cannot create $OPT_PATH on the NAS: $RUN_ERR" nas-not-writable
  fi
  undo_push remove_destination
  mark_destination
}

# mark_destination: a run that ends without a word leaves its directory behind; the mark in it says whose it is, and that it is not
# finished.
mark_destination() {
  [[ $OPT_JOB ]] || return 0
  printf '%s\n' "$OPT_JOB" >"$WORK/$RUN_MARK"
  nas cp -- "$WORK/$RUN_MARK" "$DEST/" || die "Cannot write to the NAS: $RUN_ERR" nas-not-writable
}

remove_destination() {
  if [[ $NAS_HUNG ]] || ! run 30 rm -rf --one-file-system -- "$DEST"; then left "directory $OPT_PATH on the NAS"; fi
}

# remove_empty DIRECTORY: only when nobody has put anything there meanwhile.
remove_empty() { [[ $NAS_HUNG ]] || run 10 rmdir -- "$1" || :; }

# name_files: where each disk's backup goes, and where it leans on.
name_files() {
  local i
  backup_file_names
  for ((i = 0; i < DISKS; i++)); do
    D[$i.file]=${FILE_NAMES[i]}
    [[ ${D[$i.mode]} == full ]] || { relative_path "$OPT_PATH" "${D[$i.parent]}" && D[$i.backing]=$REPLY; }
  done
}

# check_space: what the run will write at most must fit with the reserve, or it does not begin.
check_space() {
  local i REPLY wanted=0
  look_at_space || die "Cannot ask for the space on the NAS: $RUN_ERR" target-hung
  for ((i = 0; i < DISKS; i++)); do
    if [[ ${D[$i.mode]} == incremental ]]; then REPLY=${D[$i.dirty]}; else held_by "$i"; fi
    wanted=$((wanted + REPLY))
  done
  ((SPACE_FREE >= wanted + RESERVE_BYTES)) ||
    die "The NAS has $SPACE_FREE bytes free; the backup may take $wanted and $RESERVE_BYTES are kept in reserve" target-full
}

# held_by I: REPLY is how many bytes a disk holds at most. Only a file tells; of any other disk nobody knows what was never written.
held_by() {
  REPLY=${D[$1.virtual]:-0}
  [[ ${D[$1.type]} != file || ! ${D[$1.actual]} ]] || REPLY=${D[$1.actual]}
}

# finish_backup: the data is good: keep it, leave the NAS, tell.
finish_backup() {
  # Whose it is stays to be seen: whoever is killed from here on has said nothing, and nobody books what is not heard of.
  [[ ! $OPT_JOB ]] || nas mv -fT -- "$DEST/$RUN_MARK" "$DEST/$DONE_MARK" || die "Cannot write to the NAS: $RUN_ERR" nas-not-writable
  run "$TIME_LIMIT" du -sb --exclude="$DONE_MARK" -- "$DEST" && BACKUP_SIZE=${RUN_OUT%%[!0-9]*}
  [[ $BACKUP_SIZE ]] || die "Cannot tell the size of the backup: $RUN_ERR" size-unknown
  look_at_space || :
  DONE_MODE=$PLAN_MODE
  commit
  retire_parent
  unwind good
  timing_stop total
  print_backup
  DONE=yes
  exit 0
}

# retire_parent: dropped into CloudStack (no lease, no facts about disks) nobody will call retire later. A parent's bitmap that
# is gone too early costs a full, never data.
retire_parent() {
  [[ ! $OPT_FENCE$OPT_DISKS && $OPT_MODE == incremental && $DONE_BITMAP ]] || return 0
  bitmap_drop "$OPT_BITMAP_PARENT" || warn "cannot remove the parent's bitmap $OPT_BITMAP_PARENT: $RUN_ERR"
}

# ---- backup of a running or paused machine -----------------------------------------------------------

BEGIN_STATE='' BEGUN='' FROZEN='' FROZEN_FROM='' FROZEN_MS='' THAWED='' RESUMED='' PAUSED_FROM='' PAUSED_MS=''
# BEGUN is yes once libvirt has said so, and asked from the question to the answer.
QEMU_STARTED=''
THAW_SECONDS=10 # of one attempt: the agent waits for the guest's own writes
THAW_FOR=30 # seconds in which it is tried again and again, three times at least

backup_live() {
  TRANSFER=push
  look_at_live_disks || die_unless_gone "Cannot look at $OPT_VM"
  look_at_qemu_start
  ((DISKS)) || die "$OPT_VM has no disks" no-disks
  look_at_checkpoints || die_unless_gone "Cannot list the checkpoints of $OPT_VM"
  ! has_checkpoint "$OPT_BITMAP_NEW" || die "$OPT_VM has a checkpoint $OPT_BITMAP_NEW already" bitmap-exists
  ! job_active || die "$OPT_VM is busy with another job: ${JOB_OPERATION:-unknown}" job-busy
  choose_transfer
  plan
  [[ $TRANSFER == pull ]] || see_mount
  timing_stop inspect
  drop_inconsistent
  remember_parent_bitmaps
  check_space
  open_destination
  name_files
  save_definition
  [[ $TRANSFER != pull ]] || open_scratch
  timing_start job
  run_job
  timing_stop job
  rebase_files
  verify_files
  confirm_disks
  [[ $PLAN_MODE == legacy-full ]] || confirm_bitmap
}

# see_mount: QEMU lives in a mount namespace of its own and may not see a mount that is newer than itself.
see_mount() {
  [[ ! $QEMU_PID ]] || mounted "$MNT" "/proc/$QEMU_PID/mountinfo" ||
    die "QEMU of $OPT_VM does not see $MNT: mounts of this host do not propagate; 'mount --make-rshared /' before the machine starts" mount-not-visible
}

# remember_parent_bitmaps: what the parent's bitmap says just before the job, the first witness of the accounting.
remember_parent_bitmaps() {
  local i name=$OPT_BITMAP_PARENT
  look_at_nodes || die_unless_gone 'QEMU does not tell about its disks'
  [[ $name ]] || return 0
  for ((i = 0; i < DISKS; i++)); do
    has_bitmap "$i" "$name" || continue
    # A sick bitmap counts, too, but its count is no witness.
    [[ ${D[$i.mode]} != incremental ]] || D[$i.dirty]=${B[$i.$name.count]}
    json_object b recording "${B[$i.$name.recording]}" b inconsistent "${B[$i.$name.inconsistent]}" \
      b persistent "${B[$i.$name.persistent]}" n granularity "${B[$i.$name.granularity]}"
    D[$i.parentbitmap]=$REPLY
  done
}

# save_definition: the machine's definition lies beside its data, under CloudStack's file names.
save_definition() {
  local file what
  mkdir "$WORK/definition"
  for file in domain-config.xml:dumpxml dominfo.xml:dominfo domiflist.xml:domiflist domblklist.xml:domblklist; do
    what=${file#*:} file=${file%:*}
    virsh_q "$what" "$OPT_VM" || die_unless_gone "Cannot read the definition of $OPT_VM"
    printf '%s\n' "$RUN_OUT" >"$WORK/definition/$file"
  done
  nas cp -- "$WORK"/definition/* "$DEST/" || die "Cannot write to the NAS: $RUN_ERR" nas-not-writable
}

# make_images: what QEMU writes to lies there before the job begins. Otherwise libvirt has QEMU make the images, and one that is asked
# at that moment for all its nodes (virsh domstats --block or domblkinfo, as monitoring does) ends with a failed assertion, and its
# guest with it: QEMU 7.2, qcow2_get_specific_info. It also keeps a quiesced guest frozen for less long.
make_images() {
  local i image options made=()
  for ((i = 0; i < DISKS; i++)); do [[ ! ${D[$i.image]} ]] || made+=("${D[$i.image]}"); done
  ((${#made[@]} == 0)) || nas rm -f -- "${made[@]}" || die "Cannot remove the images of another plan: $RUN_ERR" nas-not-writable
  for ((i = 0; i < DISKS; i++)); do
    [[ ${D[$i.virtual]} ]] || die "QEMU does not tell the size of ${D[$i.target]}" disks-mismatch
    image=$DEST/${D[$i.file]}
    [[ $TRANSFER != pull ]] || image=$SCRATCH/${D[$i.target]}.qcow2
    options=compat=1.1
    [[ ${D[$i.format]} != qcow2 ]] || options+=,cluster_size=${D[$i.cluster]}
    D[$i.image]=$image
    run "$NAS_SECONDS" qemu-img create -q -f qcow2 -o "$options" -- "$image" "${D[$i.virtual]}" || image_fails "$image"
    # Where an owner cannot be changed, libvirt and QEMU say whether it matters.
    ! owner_of_qemu || run "$NAS_SECONDS" chown -- "$REPLY" "$image" || :
  done
}

image_fails() {
  [[ $TRANSFER != pull ]] || die "Cannot make $1: $RUN_ERR" scratch-full
  ((RUN_CODE != 124)) || die "The NAS does not answer: $RUN_ERR" target-hung
  [[ $RUN_ERR != *'No space left'* ]] || die "Cannot make $1: $RUN_ERR" target-full
  die "Cannot make $1: $RUN_ERR" nas-not-writable
}

push_xml() {
  local i path out="<domainbackup mode='push'><disks>"
  for ((i = 0; i < DISKS; i++)); do
    xml_escape "${D[$i.image]}" && path=$REPLY
    out+="<disk name='${D[$i.target]}' backup='yes' type='file' backupmode='${D[$i.mode]}'"
    [[ ${D[$i.mode]} != incremental ]] || out+=" incremental='$OPT_BITMAP_PARENT'"
    out+="><target file='$path'/><driver type='qcow2'/></disk>"
  done
  REPLY="$out</disks></domainbackup>"
}

# run_job: freeze, begin, thaw, watch, result. What is on the stack meanwhile takes back each step.
run_job() {
  BEGIN_STATE=$VM_STATE
  count_writes
  [[ $PLAN_MODE == legacy-full ]] || undo_push drop_new_bitmap
  undo_push end_job
  make_images
  freeze
  if ! begin_job && [[ $PLAN_MODE == incremental && $RUN_ERR == *'missing or broken bitmap'* ]]; then
    # libvirt looks at more than the active layer; it has refused before anything was changed.
    warn "libvirt refuses the incremental: $RUN_ERR"
    plan_without_bitmaps
    [[ $TRANSFER != pull || $SCRATCH ]] || { open_scratch && undo_push end_job; }
    name_files
    check_space
    make_images
    begin_job || :
  fi
  local code=$RUN_CODE error=$RUN_ERR
  thaw || die "Failed to thaw the filesystem for vm $OPT_VM: $RUN_ERR" thaw-failed
  if ((code)); then
    JOB_RESULT=failed JOB_ERROR=$error
    [[ $error != *'cannot acquire state change lock'* ]] || die "$OPT_VM is busy with another job: $error" job-busy
    RUN_ERR=$error
    die_unless_gone "Backup of $OPT_VM does not begin" job-failed
  fi
  confirm_job
  if [[ $TRANSFER == pull ]]; then
    pull_disks
  else
    watch_job
    judge_job
  fi
  read_writes
}

# begin_job: a call that is cut off half way would start the job later, unseen: it always runs to its end.
begin_job() {
  local -a checkpoint=()
  if [[ $TRANSFER == pull ]]; then pull_xml; else push_xml; fi
  printf '%s\n' "$REPLY" >"$WORK/backup.xml"
  if [[ $PLAN_MODE != legacy-full ]]; then
    checkpoint_xml "$OPT_BITMAP_NEW"
    printf '%s\n' "$REPLY" >"$WORK/checkpoint.xml"
    checkpoint=("$WORK/checkpoint.xml")
  fi
  RUN_MUST_FINISH=yes BEGUN=asked
  run 90 "${VIRSH[@]}" backup-begin "$OPT_VM" "$WORK/backup.xml" "${checkpoint[@]}" --reuse-external || :
  RUN_MUST_FINISH=''
  ((RUN_CODE == 0)) && BEGUN=yes
}

# confirm_job: the job as libvirt took it holds every disk as asked. A disk plugged in meanwhile would be missing.
confirm_job() {
  local i line name
  local -A taken=()
  virsh_q backup-dumpxml "$OPT_VM" || return 0 # it has ended already; confirm_disks looks at the end
  lines "$RUN_OUT"
  for line in "${LINES[@]}"; do
    [[ $line == *'<disk '* ]] && xml_attribute "$line" name || continue
    name=$REPLY
    taken[$name]=no
    [[ $line == *" backup='no'"* ]] || { xml_attribute "$line" backupmode || : && taken[$name]=$REPLY; }
    [[ ${taken[$name]} != incremental || $line == *" incremental='$OPT_BITMAP_PARENT'"* ]] || taken[$name]=other
  done
  for ((i = 0; i < DISKS; i++)); do
    [[ ${taken[${D[$i.target]}]-} == "${D[$i.mode]/rescued/full}" ]] || die "libvirt did not take disk ${D[$i.target]} as asked" disks-mismatch
  done
}

# confirm_disks: the machine still has the same disks: the backup holds all of them.
confirm_disks() {
  local before='' after='' i
  for ((i = 0; i < DISKS; i++)); do before+="${D[$i.target]} ${D[$i.path]}"$'\n'; done
  virsh_q domblklist "$OPT_VM" --details || die_unless_gone "Cannot list the disks of $OPT_VM"
  local type device target path
  while read -r type device target path; do
    [[ $device == @(|cdrom|floppy) ]] || after+="$target $path"$'\n'
  done <<<"$RUN_OUT"
  [[ $before == "$after" ]] || die "The disks of $OPT_VM changed during the backup" disks-mismatch
}

freeze() {
  [[ $OPT_QUIESCE == true ]] || return 0
  undo_push thaw
  now_ms && FROZEN_FROM=$REPLY FROZEN=yes
  virsh_q domfsfreeze "$OPT_VM" && return 0
  # Where nobody could be asked nothing is frozen. After any other failure it may be.
  [[ $RUN_ERR != *'guest agent is not '@(connected|configured)* ]] || FROZEN=''
  die "Cannot freeze the filesystems of $OPT_VM: $RUN_ERR" agent-missing
}

# thaw: as often as it takes, for half a minute; a guest that stays frozen is worse than a backup that is lost. An end without it is reported.
# It counts as frozen until a thaw has gone well, or the last one has not: a signal in the middle of one begins again on the way out.
thaw() {
  [[ $FROZEN ]] || return 0
  local attempt=0 until
  now_ms && until=$((REPLY + THAW_FOR * 1000))
  while :; do
    attempt=$((attempt + 1))
    if run "$THAW_SECONDS" "${VIRSH[@]}" domfsthaw "$OPT_VM"; then
      now_ms && FROZEN_MS=$((REPLY - FROZEN_FROM)) THAWED=true FROZEN=''
      return 0
    fi
    ! is_gone "$RUN_ERR" || break
    now_ms
    ((attempt < 3 || REPLY < until)) || break
    ((attempt < 3)) || sleep 1
  done
  THAWED=false FROZEN=''
  left "frozen filesystems in $OPT_VM, after $attempt attempts (virsh domfsthaw $OPT_VM thaws them): $RUN_ERR"
  return 1
}

# drop_new_bitmap: a checkpoint that no backup goes with must never become a parent.
drop_new_bitmap() {
  [[ ! $JOB_STUCK ]] || { left "checkpoint $OPT_BITMAP_NEW of $OPT_VM" && return 0; }
  bitmap_drop "$OPT_BITMAP_NEW" || left "bitmap $OPT_BITMAP_NEW of $OPT_VM: $RUN_ERR"
}

# confirm_bitmap: its name is told only when it is on every disk and records.
confirm_bitmap() {
  local i
  look_at_nodes || die_unless_gone 'QEMU does not tell about its disks'
  for ((i = 0; i < DISKS; i++)); do
    bitmap_health "$i" "$OPT_BITMAP_NEW"
    [[ $REPLY == ok ]] || die "The new bitmap $OPT_BITMAP_NEW is not good on ${D[$i.target]}: $REPLY" bitmap-unconfirmed
  done
  DONE_BITMAP=$OPT_BITMAP_NEW
}

# ---- the watch over a running job ------------------------------------------------------------------
#
# A push job copies old data before each guest write, so a NAS that is full or stuck fails or stalls the guest itself.
# The open virsh makes it cheap to look at job and guest every fifth of a second.

SILENCE_SECONDS=60 # after which a NAS or a libvirt that does not answer is given up: libvirtd may just be updated
NAS_HEARD=''       # when the NAS last answered

# poll_job: JOB_TYPE is 0 when no job runs, gone when the machine is gone; JOB_PROCESSED, JOB_TOTAL in bytes.
poll_job() {
  local line
  JOB_TYPE=''
  local VIRSH_SECONDS=10
  virsh_q domjobinfo "$OPT_VM" --rawstats || { is_gone "$RUN_ERR" && JOB_TYPE=gone && return 0 || return 1; }
  lines "$RUN_OUT"
  for line in "${LINES[@]}"; do
    case $line in
      'Job type: '*) JOB_TYPE=${line#*: } ;;
      'disk_processed: '*) JOB_PROCESSED=${line#*: } ;;
      'disk_total: '*) JOB_TOTAL=${line#*: } ;;
    esac
  done
  [[ $JOB_TYPE ]] || { RUN_ERR="virsh answers: $RUN_OUT" && return 1; }
}

# poll_guest: VM_STATE and VM_REASON; notes when a running guest is stopped by an I/O error.
poll_guest() {
  local line
  local VIRSH_SECONDS=10
  virsh_q domstate "$OPT_VM" --reason || return 1
  lines "$RUN_OUT"
  for line in "${LINES[@]}"; do
    [[ $line =~ ^(running|idle|paused|in\ shutdown|shut\ off|crashed|pmsuspended)\ \((.*)\)$ ]] || continue
    VM_STATE=${BASH_REMATCH[1]} VM_REASON=${BASH_REMATCH[2]}
  done
  ! io_paused || [[ $PAUSED_FROM ]] || { now_ms && PAUSED_FROM=$REPLY; }
}

io_paused() { [[ $BEGIN_STATE == running && $VM_STATE == paused && $VM_REASON == 'I/O error' ]]; }

# is_silent SINCE: for longer than anybody waits; REPLY is for how many seconds.
is_silent() {
  now_ms
  REPLY=$(((REPLY - $1) / 1000))
  ((REPLY >= SILENCE_SECONDS))
}

# watch_nas: dies before the NAS is full, or when it is stuck.
watch_nas() {
  local REPLY
  if look_at_space 5; then
    now_ms && NAS_HEARD=$REPLY
    ((SPACE_FREE >= RESERVE_BYTES)) || die "The NAS has only $SPACE_FREE bytes left; $RESERVE_BYTES are kept in reserve: the backup was stopped before it is full" target-full
  elif is_silent "$NAS_HEARD"; then
    NAS_HUNG=yes
    die "The NAS has not answered for $REPLY s: target hung" target-hung
  fi
}

# watch_job: returns when the job has ended; dies, which ends the job, before the NAS is full or when it is stuck.
watch_job() {
  local heard
  now_ms && heard=$REPLY NAS_HEARD=$REPLY
  while :; do
    if poll_job; then now_ms && heard=$REPLY
    elif is_silent "$heard"; then die "libvirt has not answered for $REPLY s: $RUN_ERR" libvirt-unreachable; fi
    [[ $JOB_TYPE != gone ]] || { JOB_RESULT=failed && die "$OPT_VM went away during the backup" guest-gone; }
    [[ $JOB_TYPE != 0 ]] || break
    progress "$JOB_PROCESSED" "$JOB_TOTAL"
    poll_guest || :
    watch_nas
    now_ms
    ((REPLY - TIMING_FROM[job] < TIME_LIMIT * 1000)) || die "The backup took longer than $TIME_LIMIT s" time-limit
    nap_since "${TIMING_FROM[job]}"
  done
}

# judge_job: "no job" is not success: only a recorded "Completed" is.
judge_job() {
  local line
  if ! virsh_q domjobinfo "$OPT_VM" --completed --keep-completed --anystats; then
    JOB_RESULT=unknown
    die_unless_gone 'Virsh backup job failed: its result cannot be read' job-unknown
  fi
  JOB_BLOCK=$RUN_OUT JOB_RESULT=unknown
  lines "$RUN_OUT"
  for line in "${LINES[@]}"; do
    case $line in
      'Job type:'*Completed*) JOB_RESULT=completed ;;
      'Job type:'*Failed*) JOB_RESULT=failed ;;
      'Job type:'*Cancelled*) JOB_RESULT=cancelled ;;
      'Error message:'*) JOB_ERROR=${line#*:} && JOB_ERROR=${JOB_ERROR#"${JOB_ERROR%%[! ]*}"} ;;
      'Operation:'*) [[ $line == *Backup* ]] || { JOB_RESULT=unknown && break; } ;;
    esac
  done
  virsh_q domjobinfo "$OPT_VM" --completed --keep-completed --anystats --rawstats || :
  lines "$RUN_OUT"
  for line in "${LINES[@]}"; do
    case $line in
      'disk_processed: '*) JOB_PROCESSED=${line#*: } ;;
      'disk_total: '*) JOB_TOTAL=${line#*: } ;;
      'time_elapsed: '*) JOB_MS=${line#*: } ;;
    esac
  done
  case $JOB_RESULT in
    completed) progress "$JOB_PROCESSED" "$JOB_TOTAL" ;;
    failed)
      [[ $JOB_ERROR != *'No space left'* ]] || die "Virsh backup job failed: the NAS is full: $JOB_ERROR" target-full
      die "Virsh backup job failed: ${JOB_ERROR:-no reason given}" job-failed
      ;;
    cancelled) die 'Virsh backup job failed: it was cancelled by somebody else' job-cancelled ;;
    *) die 'Virsh backup job failed: its result is not known' job-unknown ;;
  esac
  BEGUN=''
}

# end_job: the job of this run, whether it runs, was just asked for, or has failed; then the guest is woken if the job stopped it.
# One that nobody can ask for counts as one that goes on: what it may be writing to stays.
end_job() {
  local REPLY until aborted=''
  [[ $BEGUN && ! $JOB_STUCK && $ERROR_CODE != guest-gone ]] || return 0
  now_ms && until=$((REPLY + 7000))
  until job_is_over; do
    [[ ! $JOB_TYPE || $aborted == answered ]] || abort_job
    now_ms
    ((REPLY < until)) || { leave_job && return 0; }
    nap 0.05
  done
  [[ $aborted && ! $JOB_RESULT ]] && JOB_RESULT=cancelled
  [[ ! $BEGUN || $JOB_TYPE == gone ]] || wake_guest
}

# job_is_over: libvirt says that no job of ours runs. JOB_TYPE is empty when it says nothing.
job_is_over() {
  JOB_TYPE=''
  if [[ $BEGUN == asked ]]; then
    # A signal, or an absence of libvirt, may have come between its start of the job and its answer.
    if our_job; then BEGUN=yes
    elif ((RUN_CODE == 0)) || has_no_backup "$RUN_ERR"; then BEGUN='' && return 0
    else return 1; fi
  fi
  poll_job && [[ $JOB_TYPE == @(0|gone) ]]
}

# our_job: what runs now writes into this run's directory on the NAS, or into its scratch files.
our_job() { virsh_q backup-dumpxml "$OPT_VM" && [[ $RUN_OUT == *"${SCRATCH:-$DEST}/"* ]]; }

has_no_backup() { is_gone "$1" || [[ $1 == *'no domain backup job present'* ]]; }

# abort_job: part of end_job. Where libvirt was away it is asked again; one that gives no answer has understood, and waits for the NAS.
abort_job() {
  aborted=asked
  virsh_q domjobabort "$OPT_VM" || ((RUN_CODE == 124)) || return 0
  aborted=answered
}

leave_job() {
  JOB_STUCK=yes
  # QEMU itself writes there; our readers of a pull know for themselves.
  [[ $TRANSFER == pull ]] || NAS_HUNG=yes
  if [[ $JOB_TYPE ]]; then left "the backup job of $OPT_VM: the target hangs and the job ends when it answers again"
  else left "the backup job of $OPT_VM, if it still runs: libvirt does not answer; when it does: virsh domjobabort $OPT_VM: $RUN_ERR"; fi
}

# wake_guest: resumes a guest that ran before, and that an I/O error stopped during our job, now that the job is gone.
# The guest may stop a moment after the job has failed, and the first writes after the resume may fail again.
wake_guest() {
  local until
  now_ms && until=$((REPLY + 1000))
  # Only what was seen just now: somebody may have paused it since.
  until poll_guest && io_paused; do
    now_ms
    if ((REPLY >= until)) || [[ $RUN_CODE == 0 && $JOB_RESULT != failed && $ERROR_CODE != @(target-full|scratch-full) ]]; then
      [[ $RUN_CODE == 0 || ! $PAUSED_FROM ]] || { left "$OPT_VM, which an I/O error had paused: $RUN_ERR" && RESUMED=false; }
      return 0
    fi
    nap 0.1
  done
  virsh_q resume "$OPT_VM" || { left "$OPT_VM paused by an I/O error: $RUN_ERR" && RESUMED=false && return 0; }
  now_ms && PAUSED_MS=$((REPLY - PAUSED_FROM))
  nap 1
  poll_guest || :
  if io_paused; then
    left "$OPT_VM paused by an I/O error, again after a resume" && RESUMED=false
  else
    RESUMED=true
  fi
}

# ---- pull: the guest apart from the NAS ------------------------------------------------------------
#
# QEMU shows every disk as it was at the checkpoint over a socket of this host, and keeps what the guest overwrites meanwhile in
# scratch files on this host's own disk. Only our readers touch the NAS: a full, slow or stuck one stands in nobody's way.

SCRATCH=''     # the scratch files of this run
SOCKET=''      # where QEMU exports the disks
TRANSFER_REASON=''
READERS=()     # pids, by disk
readonly PULL_PIECE=$((512 * 1024))         # bytes of one read
readonly PULL_DEPTH=16                      # reads at once
readonly PULL_ROUND=$((256 * 1024 * 1024))  # bytes that one qemu-io copies: progress and limit are looked at in between

# choose_transfer: TRANSFER, and why when the caller leaves it to us. Under a limit it is a pull: libvirt takes no limit with a push job,
# only afterwards, and what QEMU copies before a write of the guest's heeds none.
choose_transfer() {
  TRANSFER=${OPT_TRANSFER:-push}
  if [[ $OPT_BANDWIDTH ]]; then
    [[ $OPT_TRANSFER != push ]] || die 'A push cannot be limited: ask for --transfer pull or auto' push-unlimited
    TRANSFER=pull
    [[ $OPT_TRANSFER == pull ]] || TRANSFER_REASON='only a pull keeps a limit'
    return 0
  fi
  [[ $TRANSFER == auto ]] || return 0
  if scratch_suffices; then TRANSFER=pull; else TRANSFER=push; fi
  TRANSFER_REASON=$REPLY
}

# scratch_suffices: for all that the disks hold: the guest may overwrite it before the readers are done. REPLY says why (not).
scratch_suffices() {
  local i wanted=0
  for ((i = 0; i < DISKS; i++)); do held_by "$i" && wanted=$((wanted + REPLY)); done
  look_at_scratch || { REPLY="no scratch: $RUN_ERR" && return 1; }
  REPLY="scratch has $SCRATCH_FREE bytes free; $wanted and $RESERVE_BYTES in reserve may be needed"
  ((SCRATCH_FREE >= wanted + RESERVE_BYTES)) || return 1
  REPLY="scratch has $SCRATCH_FREE bytes free, enough for $wanted and $RESERVE_BYTES in reserve"
}

# look_at_scratch: SCRATCH_FREE in bytes, as QEMU's user sees them.
look_at_scratch() {
  (umask 066 && mkdir -p -- "$SCRATCH_DIR") 2>/dev/null || { RUN_ERR="cannot make $SCRATCH_DIR" && return 1; }
  run 5 stat -f -c '%S %a' -- "$SCRATCH_DIR" || return 1
  SCRATCH_FREE=$((${RUN_OUT% *} * ${RUN_OUT#* }))
}
SCRATCH_FREE=''

# open_scratch: a folder for the scratch files, and one in which QEMU's user makes the socket.
open_scratch() {
  local user=0:0
  look_at_scratch || die "There is no scratch space: $RUN_ERR" scratch-missing
  ((SCRATCH_FREE >= RESERVE_BYTES)) || die "The scratch directory $SCRATCH_DIR has only $SCRATCH_FREE bytes free; $RESERVE_BYTES are kept in reserve" scratch-full
  ! owner_of_qemu || user=$REPLY
  # Named like the backup, so that whoever finds the files knows whose they are.
  SCRATCH=$SCRATCH_DIR/$OPT_PATH
  [[ ! -e $SCRATCH ]] || die "$SCRATCH is there already: another run has left it" scratch-missing
  (umask 066 && mkdir -p -- "${SCRATCH%/*}") && mkdir -m 0711 -- "$SCRATCH" || die "Cannot make $SCRATCH" scratch-missing
  owned "$SCRATCH"
  always_push remove_scratch
  # The path of a socket is short by nature.
  SOCKET=$(mktemp -d "${JOB_TMP:-/tmp}/csbackup.XXXXXX") && chown "$user" -- "$SOCKET" || die 'Cannot make a folder for the socket in /tmp' scratch-missing
  owned "$SOCKET"
  SOCKET+=/nbd
}

remove_scratch() {
  rm -rf --one-file-system -- "$SCRATCH" "${SOCKET%/nbd}" || left "scratch files in $SCRATCH"
  rmdir -- "${SCRATCH%/*}" 2>/dev/null || :
}

pull_xml() {
  local i path out
  out="<domainbackup mode='pull'><server transport='unix' socket='$SOCKET'/><disks>"
  for ((i = 0; i < DISKS; i++)); do
    xml_escape "${D[$i.image]}" && path=$REPLY
    out+="<disk name='${D[$i.target]}' backup='yes' type='file' backupmode='${D[$i.mode]/rescued/full}'"
    [[ ${D[$i.mode]} != incremental ]] || out+=" incremental='$OPT_BITMAP_PARENT' exportbitmap='dirty-${D[$i.target]}'"
    out+="><scratch file='$path'/><driver type='qcow2'/></disk>"
  done
  REPLY="$out</disks></domainbackup>"
}

# pull_disks: while guest, scratch and NAS are watched.
pull_disks() {
  local i
  now_ms && NAS_HEARD=$REPLY
  undo_push stop_readers
  JOB_TOTAL=0 JOB_PROCESSED=0
  for ((i = 0; i < DISKS; i++)); do
    if [[ ${D[$i.mode]} == incremental ]]; then dirty_extents "$i"; else D[$i.todo]=${D[$i.virtual]}; fi
    JOB_TOTAL=$((JOB_TOTAL + D[$i.todo]))
  done
  until start_readers && readers_done; do
    poll_guest || :
    # Only a full scratch stops a guest whose old data goes there.
    ! io_paused || die "The scratch directory $SCRATCH_DIR is full, and $OPT_VM was stopped by it" scratch-full
    if poll_job; then
      [[ $JOB_TYPE != gone ]] || { JOB_RESULT=failed && die "$OPT_VM went away during the backup" guest-gone; }
      [[ $JOB_TYPE != 0 ]] || die "The export of $OPT_VM ended before it was read" job-cancelled
    fi
    ! look_at_scratch || ((SCRATCH_FREE >= RESERVE_BYTES)) ||
      die "The scratch directory $SCRATCH_DIR has only $SCRATCH_FREE bytes left: the backup was stopped before the guest is hurt" scratch-full
    watch_nas
    look_at_readers
    progress "$JOB_PROCESSED" "$JOB_TOTAL"
    now_ms
    ((REPLY - TIMING_FROM[job] < TIME_LIMIT * 1000)) || die "The backup took longer than $TIME_LIMIT s" time-limit
    nap_since "${TIMING_FROM[job]}"
  done
  judge_readers
  for ((i = 0; i < DISKS; i++)); do [[ ${D[$i.mode]} != rescued ]] || D[$i.compared]=${D[$i.virtual]}; done
  # The data is complete: QEMU need not keep the checkpoint's state any longer.
  JOB_RESULT=completed
  end_job
  [[ ! $JOB_STUCK ]] || die "The export of $OPT_VM does not end" job-unknown
  BEGUN=''
  look_at_readers
  progress "$JOB_PROCESSED" "$JOB_TOTAL"
  now_ms && JOB_MS=$((REPLY - TIMING_FROM[job]))
  printf -v JOB_BLOCK 'Job type:         Completed   \nOperation:        Backup      \nTime elapsed:     %-12s ms\nFile processed:   %s B\nFile total:       %s B' "$JOB_MS" "$JOB_PROCESSED" "$JOB_TOTAL"
}

# start_readers: all at once; under a limit one after the other, each with the whole of it, so that it holds for all disks together. Once
# one has failed there is no next one. False while there is somebody to start.
start_readers() {
  while ((${#READERS[@]} < DISKS)); do
    if [[ $OPT_BANDWIDTH ]] && ((${#READERS[@]})); then
      readers_done || return 1
      ! reader_failed $((${#READERS[@]} - 1)) || return 0
    fi
    start_reader "${#READERS[@]}"
  done
}

# nbd_options I [MORE]: disk I's export, for --image-opts.
nbd_options() { REPLY="driver=nbd,server.type=unix,server.path=$SOCKET,export=${D[$1.target]}${2-}"; }

# dirty_extents I: $WORK/extents.I holds a line for each piece that has to be copied; D[I.todo] is the sum of their bytes.
dirty_extents() {
  local i=$1 line start length piece todo=0
  nbd_options "$i" ",x-dirty-bitmap=qemu:dirty-bitmap:dirty-${D[$i.target]}"
  run 300 qemu-img map --output=json --image-opts "$REPLY" || die_unless_gone "Cannot read the dirty map of ${D[$i.target]}" job-failed
  lines "$RUN_OUT"
  for line in "${LINES[@]}"; do
    # In this map "no data" says dirty.
    [[ $line == *'"start": '*'"length": '*'"data": false'* ]] || continue
    start=${line#*'"start": '} && start=${start%%,*}
    length=${line#*'"length": '} && length=${length%%,*}
    todo=$((todo + length))
    while ((length)); do
      piece=$((length < PULL_PIECE ? length : PULL_PIECE))
      printf '%s %s\n' "$start" "$piece"
      start=$((start + piece)) length=$((length - piece))
    done
  done >"$WORK/extents.$i"
  D[$i.todo]=$todo
}

# start_reader I: copies disk I in the background; its words are in $WORK/reader.I, its end in $WORK/reader.I.code.
start_reader() {
  local i=$1
  : >"$WORK/reader.$i"
  (
    set +eE
    trap - ERR EXIT TERM INT HUP PIPE
    exec 8>&- 9>&-
    [[ ! $VIRSH_IN ]] || exec {VIRSH_IN}>&- {VIRSH_SAYS}<&-
    case $TRANSFER.${D[$i.mode]} in
      offline.*) read_stopped "$i" ;;
      *.incremental) read_dirty "$i" ;;
      *.rescued) read_different "$i" ;;
      *) read_all "$i" ;;
    esac
    echo $? >"$WORK/reader.$i.code"
  ) </dev/null >"$WORK/reader.$i" 2>"$WORK/reader.$i.err" &
  READERS[i]=$!
}

read_all() {
  local i=$1
  qemu-img convert -p -f raw -O qcow2 ${OPT_BANDWIDTH:+-r "${OPT_BANDWIDTH}M"} -- \
    "nbd+unix:///${D[$i.target]}?socket=$SOCKET" "$DEST/${D[$i.file]}"
}

# read_different I: the rescue. The delta stands on the export at first; a safe rebase then compares the export with the parent's
# file, whose bitmap is lost, and stores what differs. Nothing is taken on trust: a parent that was altered is healed, too.
read_different() {
  local i=$1 file=$DEST/${D[$1.file]} held
  local -a limit=()
  json_string "$SOCKET"
  held="{\"driver\":\"nbd\",\"server\":{\"type\":\"unix\",\"path\":$REPLY},\"export\":\"${D[$i.target]}\"}"
  if [[ $OPT_BANDWIDTH ]]; then
    # qemu-img rebase has no limit of its own. It reads both sides alike, so a limit on the export holds for the NAS.
    limit=(--object "throttle-group,id=limit,x-bps-read=$((OPT_BANDWIDTH << 20))")
    held="{\"driver\":\"throttle\",\"throttle-group\":\"limit\",\"file\":$held}"
  fi
  qemu-img create -q -u -f qcow2 -b "json:{\"driver\":\"raw\",\"file\":$held}" -F raw -- "$file" "${D[$i.virtual]}" || return 1
  # What the guest discarded or zeroed takes no room.
  qemu-img rebase -p "${limit[@]}" -b "${D[$i.backing]}" -F qcow2 --image-opts "driver=qcow2,detect-zeroes=on,file.filename=$file"
}

# read_dirty I: the delta stands on the export at first, so that reading a piece with copy-on-read fills exactly that piece.
read_dirty() {
  local i=$1 file=$DEST/${D[$1.file]} round=$PULL_ROUND start length from copied=0 bytes=0 reads=0 commands=''
  qemu-img create -q -f qcow2 -b "nbd+unix:///${D[$i.target]}?socket=$SOCKET" -F raw -- "$file" "${D[$i.virtual]}" || return 1
  now_ms && from=$REPLY
  [[ ! $OPT_BANDWIDTH ]] || round=$((OPT_BANDWIDTH << 20))
  while read -r start length; do
    commands+="aio_read -q $start $length"$'\n' bytes=$((bytes + length)) reads=$((reads + 1))
    ((reads % PULL_DEPTH)) || commands+=$'aio_flush\n'
    ((bytes < round)) || read_round || return 1
  done <"$WORK/extents.$i"
  ((bytes == 0)) || read_round
}

# read_round: part of read_dirty. A read that fails says so on stdout, and neither ends qemu-io nor changes its exit code; one that goes
# well says nothing.
read_round() {
  local said
  said=$(qemu-io -C -f qcow2 "$file" <<<"${commands}aio_flush" 2>"$WORK/io.$i") && said=${said//'qemu-io> '/} && [[ ! $said ]] ||
    { cat "$WORK/io.$i" >&2 && printf '%s\n' "$said" | sort -u >&2 && return 1; }
  copied=$((copied + bytes)) bytes=0 commands=''
  echo "$copied"
  [[ ! $OPT_BANDWIDTH ]] || hold_back "$copied" "$from"
}

# hold_back DONE FROM: waits until DONE bytes since FROM are no more than the limit allows.
hold_back() {
  local due
  due=$(($2 + $1 * 1000 / (OPT_BANDWIDTH << 20)))
  now_ms
  ((REPLY >= due)) || sleep "$(((due - REPLY) / 1000)).$(printf %03d $(((due - REPLY) % 1000)))"
}

readers_done() {
  local i
  for i in "${!READERS[@]}"; do reader_done "$i" || return 1; done
}

reader_done() { [[ -s $WORK/reader.$1.code ]] || ! process_lives "${READERS[$1]}"; }

# reader_failed I: REPLY is how one that is done ended, RUN_ERR what it said.
reader_failed() {
  REPLY=143
  [[ ! -s $WORK/reader.$1.code ]] || read -r REPLY <"$WORK/reader.$1.code"
  RUN_ERR=$(<"$WORK/reader.$1.err")
  ((REPLY))
}

# look_at_readers: JOB_PROCESSED from what they say of themselves; the NAS need not be asked.
look_at_readers() {
  local i said
  JOB_PROCESSED=0
  for ((i = 0; i < DISKS; i++)); do
    [[ -e $WORK/reader.$i ]] || continue
    said=$(tail -c 64 -- "$WORK/reader.$i")
    said=${said%$'\r'} said=${said##*[$'\r\n']}
    if [[ ${D[$i.mode]} == incremental ]]; then
      [[ ! $said =~ ^[0-9]+$ ]] || JOB_PROCESSED=$((JOB_PROCESSED + said))
    elif [[ $said =~ ([0-9]+)\.[0-9]+/100% ]]; then
      JOB_PROCESSED=$((JOB_PROCESSED + D[$i.todo] * BASH_REMATCH[1] / 100))
    fi
  done
}

judge_readers() {
  local i code
  for ((i = 0; i < DISKS; i++)); do
    reader_failed "$i" || continue
    code=$REPLY JOB_RESULT=failed JOB_ERROR=$RUN_ERR
    ! poll_job || [[ $JOB_TYPE != gone ]] || die "$OPT_VM went away during the backup" guest-gone
    [[ $JOB_ERROR != *'No space left'* ]] || die "Copying ${D[$i.target]} failed: the NAS is full: $JOB_ERROR" target-full
    die "Copying ${D[$i.target]} failed (exit $code): ${JOB_ERROR:-without a word}" copy-failed
  done
  READERS=()
}

# stop_readers: one that is stuck in the NAS cannot be stopped; it is left behind and ends when the NAS answers.
stop_readers() {
  local REPLY i pid all='' until
  now_ms && until=$((REPLY + 3000))
  # The pid of one that has ended may be somebody else's by now.
  for i in "${!READERS[@]}"; do reader_done "$i" || all+=" $(pids_below "${READERS[i]}")"; done
  # What they run goes first: they collect it, and end by themselves.
  for pid in $all; do [[ " ${READERS[*]} " == *" $pid "* ]] || kill -KILL "$pid" 2>/dev/null || :; done
  until readers_done; do
    now_ms
    ((REPLY < until - 2000)) || break
    nap 0.02
  done
  for i in "${!READERS[@]}"; do reader_done "$i" || all+=" $(pids_below "${READERS[i]}")"; done
  for pid in $all; do kill -KILL "$pid" 2>/dev/null || :; done
  for pid in $all; do
    while process_lives "$pid"; do
      now_ms
      ((REPLY < until)) || { NAS_HUNG=yes && left "process $pid, which waits for the NAS" && break; }
      nap 0.02
    done
  done
}

# pids_below PID: it and its children.
pids_below() {
  local child
  local -a children=()
  printf '%s\n' "$1"
  { read -r -a children <"/proc/$1/task/$1/children" || :; } 2>/dev/null
  for child in "${children[@]}"; do pids_below "$child"; done
}

# ---- what the writes of the guest took ---------------------------------------------------------------
#
# QEMU counts them in a histogram when it is asked to, in memory only: the guest does not notice. One that somebody else
# has asked for is left alone, and then nothing is known.

SLOWEST_MS=''    # a write took at least this; empty: none was seen to end
COUNTED=()       # QEMU's paths of the disks that are counted for us
readonly WRITE_MS_BOUNDS='1 2 5 10 20 50 100 200 500 1000 2000 5000 10000 20000 60000'
readonly WRITE_NS_BOUNDS=${WRITE_MS_BOUNDS// /000000,}000000

# count_writes: from here on, for the disks of this run.
count_writes() {
  local path
  write_counts || return 0
  for path in "${!HISTOGRAMS[@]}"; do
    # Ours may be there from a run that was killed; asked for again it begins anew.
    [[ ${HISTOGRAMS[$path]} == @(|"$WRITE_NS_BOUNDS:"*) ]] || continue
    qmp "{\"execute\":\"block-latency-histogram-set\",\"arguments\":{\"id\":\"$path\",\"boundaries-write\":[$WRITE_NS_BOUNDS]}}" || continue
    COUNTED+=("$path")
  done
  always_push read_writes
}

# read_writes: SLOWEST_MS is where the highest class begins that holds a write; then QEMU counts no longer.
read_writes() {
  local path n counted
  local VIRSH_SECONDS=2
  local -a bins bounds
  # A QEMU that stands in a NAS would only be waited for.
  ((${#COUNTED[@]})) && [[ ! $JOB_STUCK && $ERROR_CODE != guest-gone ]] && write_counts || return 0
  read -ra bounds <<<"0 $WRITE_MS_BOUNDS"
  for path in "${COUNTED[@]}"; do
    # Another node may be the disk's uppermost by now: a job that goes on, another tool's snapshot.
    counted=${HISTOGRAMS[$path]-}
    IFS=, read -ra bins <<<"${counted#*:}"
    for ((n = 0; n < ${#bins[@]}; n++)); do
      ((bins[n] == 0 || bounds[n] < ${SLOWEST_MS:-0})) || SLOWEST_MS=${bounds[n]}
    done
    qmp "{\"execute\":\"block-latency-histogram-set\",\"arguments\":{\"id\":\"$path\"}}" || :
  done
  COUNTED=()
}

# write_counts: HISTOGRAMS[path of the disk in QEMU] is BOUNDS:BINS, each a comma list in ns, or empty where nothing is counted.
declare -A HISTOGRAMS=()
write_counts() {
  local i n count path of
  HISTOGRAMS=()
  qmp '{"execute":"query-blockstats"}' && json_get QMP 'return#' && count=$REPLY || return 1
  for ((n = 0; n < count; n++)); do
    json_get QMP "return.$n.node-name" || continue
    for ((i = 0; i < DISKS; i++)); do [[ $REPLY != "${D[$i.node]}" ]] || break; done
    ((i < DISKS)) && json_get QMP "return.$n.qdev" || continue
    path=$REPLY
    [[ $path =~ ^[][A-Za-z0-9_./-]+$ ]] || continue
    HISTOGRAMS[$path]=''
    for of in rd wr; do
      ! json_get QMP "return.$n.stats.${of}_latency_histogram.bins#" || HISTOGRAMS[$path]=other
    done
    json_get QMP "return.$n.stats.wr_latency_histogram.boundaries#" || continue
    number_list "return.$n.stats.wr_latency_histogram.boundaries" "$REPLY" && HISTOGRAMS[$path]=$REPLY
    json_get QMP "return.$n.stats.wr_latency_histogram.bins#"
    number_list "return.$n.stats.wr_latency_histogram.bins" "$REPLY" && HISTOGRAMS[$path]+=:$REPLY
  done
}

# number_list AT COUNT: REPLY is that array of QMP as a comma list.
number_list() {
  local i list=''
  for ((i = 0; i < $2; i++)); do json_get QMP "$1.$i" && list+=,$REPLY; done
  REPLY=${list#,}
}

# ---- backup of a stopped machine -------------------------------------------------------------------

backup_stopped() {
  local i
  TRANSFER=offline
  look_at_stopped_disks || die_unless_gone "Cannot look at the disks of $OPT_VM"
  ((DISKS)) || die "$OPT_VM has no disks" no-disks
  for ((i = 0; i < DISKS; i++)); do
    [[ ! ${D[$i.unsafe]} ]] || die "${D[$i.inuse]}" image-unsafe
    [[ ${D[$i.inuse]} != *lock* ]] || die "Disk ${D[$i.path]} is in use: is $OPT_VM running somewhere? ${D[$i.inuse]}" image-in-use
    [[ ! ${D[$i.inuse]} ]] || die "Cannot read disk ${D[$i.path]}: ${D[$i.inuse]}" disk-unreadable
  done
  plan
  timing_stop inspect
  drop_inconsistent
  check_space
  open_destination
  name_files
  [[ $PLAN_MODE == legacy-full ]] || seed_bitmaps
  timing_start job
  convert_disks
  timing_stop job
  verify_files
  [[ $PLAN_MODE == legacy-full ]] || DONE_BITMAP=$OPT_BITMAP_NEW
}

# convert_disks: one after the other, while the NAS is watched.
convert_disks() {
  local i
  undo_push stop_readers
  now_ms && NAS_HEARD=$REPLY
  JOB_TOTAL=0
  for ((i = 0; i < DISKS; i++)); do D[$i.todo]=${D[$i.virtual]} JOB_TOTAL=$((JOB_TOTAL + D[$i.virtual])); done
  for ((i = 0; i < DISKS; i++)); do convert_disk "$i"; done
}

# seed_bitmaps: before the first byte is read. A bitmap that came after the copy would miss what a start in between wrote.
seed_bitmaps() {
  local i
  undo_push drop_new_bitmap
  for ((i = 0; i < DISKS; i++)); do
    run "$VIRSH_SECONDS" qemu-img bitmap --add -f qcow2 -- "${D[$i.path]}" "$OPT_BITMAP_NEW" ||
      die "Failed to pre-seed bitmap $OPT_BITMAP_NEW on ${D[$i.path]}: $RUN_ERR" seed-failed
    look_at_image "$i"
    bitmap_health "$i" "$OPT_BITMAP_NEW"
    [[ $REPLY == ok ]] || die "Failed to pre-seed bitmap $OPT_BITMAP_NEW on ${D[$i.path]}: $REPLY ${D[$i.inuse]}" seed-failed
  done
}

# convert_disk I: QEMU's image lock keeps the machine from starting meanwhile. Its reader is a child that can be left behind in a NAS
# that hangs, as in a pull.
convert_disk() {
  local i=$1 words
  start_reader "$i"
  until reader_done "$i"; do
    watch_nas
    look_at_readers
    progress "$JOB_PROCESSED" "$JOB_TOTAL"
    now_ms
    ((REPLY - TIMING_FROM[job] < TIME_LIMIT * 1000)) || die "Copying took longer than $TIME_LIMIT s" time-limit
    nap_since "${TIMING_FROM[job]}"
  done
  look_at_readers
  progress "$JOB_PROCESSED" "$JOB_TOTAL"
  reader_failed "$i" || return 0
  words="qemu-img convert failed for ${D[$i.path]}: $RUN_ERR"
  [[ $RUN_ERR != *lock* ]] || die "$words" image-in-use
  [[ $RUN_ERR != *'No space left'* ]] || die "$words" target-full
  die "$words" convert-failed
}

read_stopped() {
  qemu-img convert -p -f "${D[$1.format]}" -O qcow2 ${OPT_BANDWIDTH:+-r "${OPT_BANDWIDTH}M"} -- "${D[$1.path]}" "$DEST/${D[$1.file]}"
}

# run_copy BEFORE SIZE TOTAL COMMAND...: as run, a program that says its percents in brackets, of SIZE bytes after BEFORE of TOTAL.
run_copy() {
  local percent
  run_start "${@:4}"
  until run_wait 0.5; do
    IFS= read -r -d '' percent <"$WORK/out" || :
    percent=${percent##*'('} && percent=${percent%%[!0-9]*}
    progress $(($1 + $2 * ${percent:-0} / 100)) "$3"
    now_ms
    ((REPLY - TIMING_FROM[job] < TIME_LIMIT * 1000)) || die "Copying took longer than $TIME_LIMIT s" time-limit
  done
  ((RUN_CODE)) || progress $(($1 + $2)) "$3"
  return "$RUN_CODE"
}

# ---- are the files what they claim to be -----------------------------------------------------------

# rebase_files: libvirt gave each delta the live disk as its backing file; it leans on its parent's file instead. Before that
# nothing may open it: the live disk is locked.
rebase_files() {
  local i
  timing_start rebase
  for ((i = 0; i < DISKS; i++)); do
    [[ ${D[$i.mode]} != full ]] || continue
    # A rescue has ended on its parent's file already.
    [[ ${D[$i.mode]} == rescued ]] || nas_image qemu-img rebase -u -f qcow2 -b "${D[$i.backing]}" -F qcow2 -- "$DEST/${D[$i.file]}" ||
      die "qemu-img rebase failed for ${D[$i.file]} onto ${D[$i.backing]}: $RUN_ERR" rebase-failed
    nas test "$DEST/${D[$i.backing]}" -ef "$MNT/${D[$i.parent]}" ||
      die "${D[$i.backing]} does not lead from $OPT_PATH to ${D[$i.parent]}" rebase-failed
  done
  timing_stop rebase
}

# verify_files: every disk has its file, of its size, on its parent, sound and safely on the NAS.
verify_files() {
  local i file
  local -a files=()
  timing_start check
  for ((i = 0; i < DISKS; i++)); do
    file=$DEST/${D[$i.file]}
    files+=("$file")
    verify_image "$i" "$file"
    check_image "$i" "$file"
    count_clusters "$i" "$file"
  done
  run "$TIME_LIMIT" sync -- "${files[@]}" "$DEST" || die "The NAS did not take the data: $RUN_ERR" sync-failed
  timing_stop check
}

verify_image() {
  local i=$1 sizes
  local -A info
  nas_image qemu-img info --output=json "$2" || die "Cannot read back ${D[$i.file]}: $RUN_ERR" check-failed
  json_read info "$RUN_OUT" || die "Cannot read back ${D[$i.file]}" check-failed
  json_get info virtual-size || :
  [[ $REPLY == "${D[$i.virtual]}" ]] || die "${D[$i.file]} is of $REPLY bytes, disk ${D[$i.target]} of ${D[$i.virtual]}" size-mismatch
  json_get info backing-filename || :
  [[ $REPLY == "${D[$i.backing]}" ]] || die "${D[$i.file]} leans on '$REPLY' instead of '${D[$i.backing]}'" check-failed
  json_get info cluster-size && D[$i.filecluster]=$REPLY
  nas stat -c '%s %b %B' -- "$2" || die "Cannot read back ${D[$i.file]}: $RUN_ERR" check-failed
  read -r -a sizes <<<"$RUN_OUT"
  D[$i.size]=${sizes[0]} D[$i.allocated]=$((sizes[1] * sizes[2]))
}

# check_image: leaked clusters (code 3) waste room but hurt nothing.
check_image() {
  run "$TIME_LIMIT" qemu-img check -q -f qcow2 -- "$2" || ((RUN_CODE == 3)) || {
    D[$1.check]=errors
    die "qemu-img check found errors in ${D[$1.file]}: $RUN_ERR $RUN_OUT" check-failed
  }
  D[$1.check]=ok
}

# count_clusters: what the file itself holds, without its parents: the second witness of the accounting.
count_clusters() {
  local i=$1 line length data=0 zero=0 known=''
  json_string "$2"
  run "$TIME_LIMIT" qemu-img map --output=json "json:{\"driver\":\"qcow2\",\"backing\":null,\"file\":{\"driver\":\"file\",\"filename\":$REPLY}}" || {
    warn "cannot map ${D[$i.file]}: $RUN_ERR"
    return 0
  }
  lines "$RUN_OUT"
  for line in "${LINES[@]}"; do
    [[ $line == *'"length": '* ]] || continue
    length=${line#*'"length": '} && length=${length%%,*}
    case $line in
      *'"data": true'*) data=$((data + length)) ;;
      *'"present": true'*) zero=$((zero + length)) && known=yes ;;
      *'"present": false'*) known=yes ;;
    esac
  done
  D[$i.data]=$data
  # QEMU before 6.1 does not tell a zero cluster from an absent one.
  [[ ! $known ]] || D[$i.zero]=$zero
}

# ---- what a restore reads: chains, checksums, room ---------------------------------------------------
#
# The NAS is not trusted: whoever writes there must not make this host read one of its own files into a disk. QEMU is told every file
# of a chain by name, and follows nothing that a file says about others.

readonly CHAIN_LINKS=400 # a chain is told to QEMU in one argument, which the kernel limits to 128 KiB
declare -A HASHES=()  # by directory below the mount: read once; by path: "<size> <sha256>"

look_at_chains() {
  local i
  for ((i = 0; i < RESTORES; i++)); do
    walk_chain "$i"
    [[ ! ${R[$i.virtualSize]} || ${R[$i.virtualSize]} == "${R[$i.virtual]}" ]] ||
      die "${R[$i.file]} is of ${R[$i.virtual]} bytes, the books say ${R[$i.virtualSize]}" size-mismatch
  done
}

# walk_chain I: every file that disk I's stands on, the file itself first.
walk_chain() {
  local i=$1 at=$MNT/$OPT_PATH/${R[$1.file]} n
  local -a links=()
  R[$i.hashed]=0
  while :; do
    nas realpath -e -- "$at" || chain_missing "$at"
    [[ $RUN_OUT == "$MNT"/* && $RUN_OUT =~ $SAFE_TEXT ]] || die "${at#"$MNT/"} leads out of the repository" chain-unsafe
    at=$RUN_OUT
    for n in "${links[@]}"; do [[ $n != "$at" ]] || die "${at#"$MNT/"} stands on itself" chain-unsafe; done
    links+=("$at")
    ((${#links[@]} <= CHAIN_LINKS)) || die "The chain of ${R[$i.file]} is longer than $CHAIN_LINKS files" chain-unsafe
    look_at_link "$at"
    ((${#links[@]} > 1)) || R[$i.virtual]=$LINK_SIZE
    ! has_checksum "$at" || ! check_hash "$at" || R[$i.hashed]=$((R[$i.hashed] + 1))
    [[ $LINK_BACKING ]] || break
    # Relative to the file, as ours and CloudStack's are.
    [[ $LINK_BACKING != /* && $LINK_BACKING =~ $SAFE_TEXT ]] || die "${at#"$MNT/"} stands on a file outside of the repository: $LINK_BACKING" chain-unsafe
    at=${at%/*}/$LINK_BACKING
  done
  R[$i.links]=${#links[@]} R[$i.chain]=null
  for ((n = ${#links[@]} - 1; n >= 0; n--)); do
    json_string "${links[n]}"
    R[$i.chain]="{\"driver\":\"qcow2\",\"file\":{\"driver\":\"file\",\"filename\":$REPLY},\"backing\":${R[$i.chain]}}"
  done
}

# chain_missing FILE: ends the restore; that the file is gone is told only where it is certain.
chain_missing() {
  local why=$RUN_ERR file
  nas realpath -m -- "$1" && file=$RUN_OUT || file=''
  [[ $why != *'No such file'* || $file != "$MNT"/* ]] || ! is_kept_here "${file#"$MNT/"}" || spoilt missing "${file#"$MNT/"}"
  die "A file of the chain is missing: ${1#"$MNT/"}: $why" chain-missing
}

# spoilt STATE PATH: for the books.
spoilt() { json_object s path "$2" s state "$1" && SPOILT+=("$REPLY"); }

# look_at_link FILE: LINK_SIZE and LINK_BACKING (as it stands in the file); it is a sound qcow2 that keeps its data itself.
look_at_link() {
  local name=${1#"$MNT/"} node features
  local -A info
  nas test -f "$1" || die "$name is not a file" chain-unsafe
  nas od -An -v -tx1 -N80 -- "$1" || die "Cannot read $name: $RUN_ERR" chain-missing
  features=${RUN_OUT//[[:space:]]/}
  [[ $features == 514649fb* ]] || die "$name is not a qcow2 file" chain-unsafe
  ! keeps_data_elsewhere "$features" || die "$name keeps its data in another file" chain-unsafe
  json_string "$1"
  node="json:{\"driver\":\"qcow2\",\"backing\":null,\"file\":{\"driver\":\"file\",\"filename\":$REPLY}}"
  nas qemu-img info --output=json "$node" && json_read info "$RUN_OUT" && json_get info virtual-size || die "Cannot read $name: $RUN_ERR" check-failed
  LINK_SIZE=$REPLY
  json_get info backing-filename || :
  LINK_BACKING=$REPLY
  json_get info backing-filename-format || :
  [[ ! $LINK_BACKING || $REPLY == @(|qcow2) ]] || die "$name stands on a file of the format $REPLY" chain-unsafe
  # Leaked clusters (code 3) waste room but hurt nothing.
  run "$TIME_LIMIT" qemu-img check -q "$node" || ((RUN_CODE == 3)) || damaged "qemu-img check found errors in $name: $RUN_ERR $RUN_OUT" check-failed
}
LINK_SIZE='' LINK_BACKING=''

# damaged TEXT CODE: ends the restore, unless what can still be read is asked for.
damaged() {
  [[ $OPT_SALVAGE ]] || die "$1" "$2"
  warn "$1"
  DAMAGED+=("$1")
}

# has_checksum FILE: checksums.json beside it, which comes some time after the backup, names it.
has_checksum() {
  local folder=${1%/*} count name
  local -A said
  if [[ ! ${HASHES[$folder]-} ]]; then
    HASHES[$folder]=read
    nas test -f "$folder/$CHECKSUMS" || return 1
    nas realpath -e -- "$folder/$CHECKSUMS" && [[ $RUN_OUT == "$MNT"/* ]] && nas head -c 65536 -- "$RUN_OUT" && json_read said "$RUN_OUT" &&
      json_get said algorithm && [[ $REPLY == sha256 ]] || { warn "${folder#"$MNT/"}/$CHECKSUMS cannot be read: its files are not hashed" && return 1; }
    json_get said files@ || :
    lines "$REPLY"
    for name in "${LINES[@]}"; do
      json_get said "files.$name.sha256" && [[ $REPLY =~ ^[0-9a-f]{64}$ ]] || continue
      HASHES[$folder/$name]=$REPLY
      json_get said "files.$name.size" || :
      HASHES[$folder/$name]="$REPLY ${HASHES[$folder/$name]}"
    done
  fi
  [[ ${HASHES[$1]-} ]]
}

# check_hash FILE: the first look at its bytes since they were hashed.
check_hash() {
  local folder=${1%/*} is
  nas stat -c %s -- "$1" || die "Cannot read ${1#"$MNT/"}: $RUN_ERR" chain-missing
  is=$RUN_OUT
  run "$TIME_LIMIT" sha256sum -- "$1" || die "Cannot read ${1#"$MNT/"}: $RUN_ERR" chain-missing
  [[ "$is ${RUN_OUT:0:64}" != "${HASHES[$1]}" && ${HASHES[$1]} != " ${RUN_OUT:0:64}" ]] || return 0
  spoilt damaged "${1#"$MNT/"}"
  damaged "${1##*/} of ${folder#"$MNT/"} is not what it was when it was hashed: somebody or something changed it" checksum-mismatch
  return 1
}

# check_room: what the new files take at most, by file system, and the reserve.
check_room() {
  local i device size free
  local -A wanted=() where=() info
  for ((i = 0; i < RESTORES; i++)); do
    # As qcow2 for raw, too: a sparse file takes no more.
    if run "$TIME_LIMIT" qemu-img measure -O qcow2 --output=json "json:${R[$i.chain]}" && json_read info "$RUN_OUT" && json_get info required; then
      R[$i.required]=$REPLY
    else
      damaged "Cannot measure ${R[$i.file]}: ${RUN_ERR##*$'\n'}" check-failed
      R[$i.required]=${R[$i.virtual]}
    fi
    if [[ ${R[$i.kind]} == device ]]; then
      size=${R[$i.virtual]}
      [[ ${R[$i.format]} == raw ]] || size=${R[$i.required]}
      ((R[$i.room] >= size)) || die "${R[$i.to]} has ${R[$i.room]} bytes, the disk needs $size" target-too-small
      continue
    fi
    target stat -c %d -- "${R[$i.to]%/*}/" || die "Cannot look at ${R[$i.to]%/*}: $RUN_ERR" target-missing
    device=$RUN_OUT
    where[$device]=${R[$i.to]%/*}/ wanted[$device]=$((${wanted[$device]:-0} + R[$i.required]))
  done
  for device in "${!where[@]}"; do
    target stat -f -c '%S %a' -- "${where[$device]}" || die "Cannot ask for the space of ${where[$device]}: $RUN_ERR" target-missing
    free=$((${RUN_OUT% *} * ${RUN_OUT#* }))
    ((free >= wanted[$device] + RESERVE_BYTES)) ||
      die "${where[$device]} has $free bytes free; the restore may take ${wanted[$device]} and $RESERVE_BYTES are kept in reserve" target-full
  done
}

# ---- what is made of restored disks: a new domain, or one more disk of a machine ----------------------
#
# The definition lies on the NAS, where somebody may have changed it: what of a host's it names (its files, devices, programs) does not
# come back, but what we put there ourselves. Each line is one element, as libvirt writes it; nothing else is read.

readonly XML_NAME='[A-Za-z_][A-Za-z0-9_.:-]*'
readonly XML_LEAF="^ *<($XML_NAME)( [^<>]*)?/>\$" XML_TEXT="^ *<($XML_NAME)( [^<>]*)?>[^<>]*</($XML_NAME)>\$"
readonly XML_OPEN="^ *<($XML_NAME)( [^<>]*[^<>/])?>([^<>]*)\$" XML_CLOSE="^([^<>]*)</($XML_NAME)>\$"
# An absolute path, or what is one even without its slash: QEMU stands in the root directory.
readonly NAMES_PATH='=["'\'']/|>/| (file|path|evdev|socket|rendernode)='
readonly HARMLESS_PATH='^ *<(backend model=.random.>/dev/u?random<|loader( [^>]*)?>/usr/share/([A-Za-z0-9_+-][A-Za-z0-9_.+-]*/)*[A-Za-z0-9_.+-]+<)'
DOMAIN_XML='' TAKEN_OUT=()

# read_definition: DOMAIN_XML is the new domain's, from the one that lies beside the backup.
read_definition() {
  local file=$MNT/$OPT_PATH/domain-config.xml
  ! virsh_q domuuid "$OPT_NEW_NAME" || die "There is a domain $OPT_NEW_NAME already" name-taken
  is_gone "$RUN_ERR" || die "libvirt does not answer: $RUN_ERR" libvirt-unreachable
  nas test -f "$file" || die "$OPT_PATH holds no domain-config.xml: the machine was stopped when it was backed up, or it is another tool's" definition-missing
  nas realpath -e -- "$file" && [[ $RUN_OUT == "$MNT"/* ]] || die "$OPT_PATH/domain-config.xml leads out of the repository" chain-unsafe
  nas head -c 1048576 -- "$RUN_OUT" || die "Cannot read $OPT_PATH/domain-config.xml: $RUN_ERR" definition-missing
  DOMAIN_UUID=$(</proc/sys/kernel/random/uuid)
  rewrite_definition "$RUN_OUT"
  ((${#TAKEN_OUT[@]} == 0)) || warn "not in the new domain: $(printf '%s; ' "${TAKEN_OUT[@]}")"
}

# rewrite_definition XML
rewrite_definition() {
  local line kind name depth=0 i
  local -a path=() element=()
  DOMAIN_XML='' TAKEN_OUT=()
  lines "$1"
  for line in "${LINES[@]}"; do
    # What applications have noted there is of no form.
    [[ $depth -lt 2 || ${path[1]} != metadata || $line == '  </metadata>' ]] || continue
    kind=''
    if [[ $line =~ $XML_LEAF ]]; then kind=leaf
    elif [[ $line =~ $XML_TEXT ]]; then [[ ${BASH_REMATCH[1]} != "${BASH_REMATCH[3]}" ]] || kind=leaf
    elif [[ $line =~ $XML_OPEN ]]; then
      name=${BASH_REMATCH[1]}
      [[ ${BASH_REMATCH[3]} && $name != description ]] || { kind=open && path[depth]=$name && depth=$((depth + 1)); }
    elif [[ $depth -gt 0 && $line =~ $XML_CLOSE && ${BASH_REMATCH[2]} == "${path[depth - 1]}" ]]; then
      name=${BASH_REMATCH[2]}
      [[ ${BASH_REMATCH[1]} == *[!\ ]* && $name != description ]] || { kind=close && depth=$((depth - 1)); }
    elif [[ $line != *[\<\>]* && $depth == 2 && ${path[1]} == description ]]; then kind=text
    fi
    case $kind:$depth:${name-} in
      open:1:domain) begin_domain "$line" && continue ;;
      close:0:domain) continue ;;
      open:2:devices) DOMAIN_XML+=$'  <devices>\n' && continue ;;
      close:1:devices) DOMAIN_XML+=$'  </devices>\n' && continue ;;
      :* | *:0:*) bad_definition "$line" ;;
    esac
    element+=("$line")
    if [[ $depth == 2 && ${path[1]} == devices ]]; then keep_device && element=(); elif ((depth == 1)); then keep_element && element=(); fi
  done
  ((depth == 0)) && [[ $DOMAIN_XML ]] || bad_definition 'its end is missing'
  DOMAIN_XML+=$'</domain>\n'
  for ((i = 0; i < RESTORES; i++)); do [[ ${R[$i.defined]-} ]] || die "The stored definition has no disk ${R[$i.target]}" definition-unsafe; done
}

bad_definition() { die "domain-config.xml is not as libvirt writes it: ${1:0:200}" definition-unsafe; }

begin_domain() {
  [[ ! $DOMAIN_XML && $1 == '<domain '* ]] && xml_attribute "$1" type && [[ $REPLY =~ ^[a-z]+$ ]] || bad_definition "$1"
  DOMAIN_XML="<domain type='$REPLY'>"$'\n'
  DOMAIN_XML+="  <name>$OPT_NEW_NAME</name>"$'\n'"  <uuid>$DOMAIN_UUID</uuid>"$'\n'
}

# The elements and devices below read `element`, of rewrite_definition.
element_name() { tag_of "${element[0]}"; }
# tag_of LINE: REPLY is the name of what begins or ends there.
tag_of() { REPLY=${1#*<} && REPLY=${REPLY#/} && REPLY=${REPLY%%[!A-Za-z0-9_.:-]*}; }

keep_element() {
  local type=''
  xml_attribute "${element[0]}" type && type=$REPLY
  element_name
  case $REPLY:$type in
    @(name|uuid|title|metadata|resource|seclabel):*) ;; # of that machine, or made by libvirt
    genid:*) DOMAIN_XML+=$'  <genid/>\n' ;;
    description:*) ((${#element[@]} > 1)) || DOMAIN_XML+=${element[0]}$'\n' ;;
    os:*) keep_lines '@(nvram|kernel|initrd|cmdline|dtb|acpi|init*)' ;;
    @(memory|currentMemory|maxMemory|vcpu|vcpus|iothreads|iothreadids|cputune|memtune|blkiotune|numatune|memoryBacking):* | \
      @(features|cpu|clock|on_poweroff|on_reboot|on_crash|pm):*) keep_lines '' ;;
    sysinfo:smbios)
      # CloudStack tells the guest its uuid there; libvirt takes none but the domain's.
      element=("${element[@]/%<entry name=\'uuid\'>*/<entry name=\'uuid\'>$DOMAIN_UUID</entry>}")
      keep_lines ''
      ;;
    *) TAKEN_OUT+=("$REPLY") ;;
  esac
}

# keep_lines PATTERN: the element, without the elements of these names below it, nor any that names a file of a host.
keep_lines() {
  local line name skip='' nested=0
  for line in "${element[@]}"; do
    tag_of "$line" && name=$REPLY
    if [[ $skip ]]; then
      case $line in
        *"</$skip>"*) nested=$((nested - 1)) ;;
        *"<$skip"[\ \>]*) [[ $line == *'/>' ]] || nested=$((nested + 1)) ;;
      esac
      ((nested)) || skip=''
    elif has_pattern "$name" "$1" || names_file "$name" "$line"; then
      # What libvirt made by itself is not missed.
      [[ $name == @(nvram|alias|source|log|mac|target|link) ]] || TAKEN_OUT+=("${line#"${line%%[!" "]*}"}")
      [[ $line == *'/>' || $line == *"</$name>" ]] || { skip=$name && nested=1; }
    else
      DOMAIN_XML+=$line$'\n'
    fi
  done
}

# shellcheck disable=SC2053 # a pattern
has_pattern() { [[ $1 == $2 ]]; }

# names_file NAME LINE: also where it is said in a text, with or without a slash.
names_file() {
  [[ ! $2 =~ $HARMLESS_PATH ]] || return 1
  [[ $2 =~ $NAMES_PATH || $1 == @(loader|backend) && $2 == *"</$1>" ]]
}

keep_device() {
  local line type=''
  xml_attribute "${element[0]}" type && type=$REPLY
  element_name
  case $REPLY:$type in
    emulator:*) ;; # libvirt knows its own
    disk:*) keep_disk ;;
    interface:@(bridge|network|user|direct)) keep_interface ;;
    @(channel|serial|console|parallel|redirdev):@(pty|unix|spicevmc|spiceport|null|vc)) keep_lines '@(alias|source|log)' ;;
    @(controller|input|graphics|video|sound|audio|memballoon|watchdog|panic|vsock|hub|iommu):*) keep_lines alias ;;
    @(rng|tpm):*)
      # Nothing is left of it without its source.
      for line in "${element[@]}"; do
        tag_of "$line"
        ! names_file "$REPLY" "$line" || { TAKEN_OUT+=("the device of ${line#"${line%%[!" "]*}"}") && return 0; }
      done
      keep_lines alias
      ;;
    *) TAKEN_OUT+=("device $REPLY${type:+ of type $type}") ;;
  esac
}

# keep_disk: a restored one with its new source; a drive without its medium; others do not come along.
keep_disk() {
  local line device=disk target='' i found='' type=file where
  xml_attribute "${element[0]}" device && device=$REPLY
  for line in "${element[@]}"; do [[ $line != '      <target '* ]] || { xml_attribute "$line" dev && target=$REPLY; }; done
  if [[ $device == @(cdrom|floppy) ]]; then
    for line in "${element[@]}"; do [[ $line != '      <source '* ]] || TAKEN_OUT+=("the medium of $target"); done
    DOMAIN_XML+="    <disk type='file' device='$device'>"$'\n'
    keep_parts '' '@(target|readonly|address|boot)'
    return 0
  fi
  for ((i = 0; i < RESTORES; i++)); do [[ ${R[$i.target]} != "$target" ]] || found=$i; done
  [[ $found ]] || { TAKEN_OUT+=("disk $target, which is not restored") && return 0; }
  i=$found R[$found.defined]=yes
  xml_escape "${R[$i.to]}" && where="<source file='$REPLY'/>"
  [[ ${R[$i.kind]} != device ]] || type=block where=${where/file=/dev=}
  DOMAIN_XML+="    <disk type='$type' device='disk'>"$'\n'
  keep_parts "${R[$i.format]}" '@(target|boot|serial|wwn|address|iotune|shareable|blockio|geometry)' "$where"
}

# keep_parts FORMAT PATTERN [SOURCE]: the disk's own elements of these names behind its driver and source.
keep_parts() {
  local line name key driver="      <driver name='qemu' type='${1:-raw}'" skip=''
  for line in "${element[@]}"; do
    [[ $line == '      <driver '* && $1 ]] || continue
    for key in cache error_policy rerror_policy io discard detect_zeroes iothread queues; do
      xml_attribute "$line" "$key" && [[ $REPLY =~ ^[a-z0-9_]+$ ]] && driver+=" $key='$REPLY'"
    done
  done
  DOMAIN_XML+="$driver/>"$'\n'
  [[ ! ${3-} ]] || DOMAIN_XML+="      $3"$'\n'
  for line in "${element[@]:1:${#element[@]}-2}"; do
    # Six blanks are the disk's own level; what lies deeper goes with what it belongs to.
    if [[ $line == '      <'[!\ ]* ]]; then
      tag_of "$line" && name=$REPLY
      if has_pattern "$name" "$2" && [[ ! $line =~ $NAMES_PATH ]]; then skip=''; else skip=yes; fi
    fi
    [[ $skip ]] || [[ $line =~ $NAMES_PATH ]] || DOMAIN_XML+=$line$'\n'
  done
  DOMAIN_XML+=$'    </disk>\n'
}

# keep_interface: libvirt gives it a MAC of its own; its link is down, or two machines would answer to one address.
keep_interface() {
  local end=${element[-1]}
  unset 'element[-1]'
  keep_lines '@(mac|alias|target|link)'
  [[ $OPT_NETWORKS ]] || DOMAIN_XML+=$'      <link state=\'down\'/>\n'
  DOMAIN_XML+=$end$'\n'
}

define_domain() {
  add_note "domain $OPT_NEW_NAME $DOMAIN_UUID"
  undo_push undefine_domain "$OPT_NEW_NAME" "$DOMAIN_UUID"
  printf '%s' "$DOMAIN_XML" >"$WORK/domain.xml"
  virsh_q define "$WORK/domain.xml" || die "libvirt does not take the definition of $OPT_NEW_NAME: $RUN_ERR" define-failed
  virsh_q domuuid "$OPT_NEW_NAME" && [[ $RUN_OUT == *"$DOMAIN_UUID"* ]] || die "libvirt did not keep $OPT_NEW_NAME: $RUN_ERR" define-failed
  DOMAIN_MADE=yes
}

# undefine_domain NAME UUID: ours alone.
undefine_domain() {
  DOMAIN_MADE=''
  virsh_q domuuid "$1" && [[ $RUN_OUT == *"$2"* ]] || { is_gone "$RUN_ERR" || [[ ! $RUN_ERR ]] || left "domain $1: $RUN_ERR"; return 0; }
  virsh_q undefine "$1" --nvram || virsh_q undefine "$1" || left "domain $1: $RUN_ERR"
}

# look_at_receiver: the machine that the disk is attached to.
look_at_receiver() {
  virsh_q domstate "$OPT_ATTACH" || {
    ! is_gone "$RUN_ERR" || die "There is no virtual machine $OPT_ATTACH" vm-not-found
    die "libvirt does not answer: $RUN_ERR" libvirt-unreachable
  }
  # Not kept for as long as the copy takes: others may work on it meanwhile.
  lock_receiver 0
  exec 7>&-
}

# lock_receiver SECONDS: descriptor 7 is the lock of the machine that the disk is attached to, until this script ends; for whoever has it
# there is so much time.
lock_receiver() {
  local REPLY until
  [[ $OPT_ATTACH != "$OPT_VM" ]] || return 0
  mkdir -p -- "$STATE_DIR/locks"
  exec 7>>"$STATE_DIR/locks/$OPT_ATTACH"
  now_ms && until=$((REPLY + $1 * 1000))
  until flock -n 7; do
    now_ms
    ((REPLY < until)) || die "Another operation works on $OPT_ATTACH" vm-busy
    nap 0.2
  done
}
readonly RECEIVER_SECONDS=600 # what was copied for hours is not given up for a backup that is about to end

# is_persistent: of the machine whose dominfo RUN_OUT is.
is_persistent() { [[ $RUN_OUT =~ Persistent:\ +yes ]]; }

# attach_disk: under the next free name of the same letters.
attach_disk() {
  local bus=${R[0.target]%[a-z]} name='' letter used type=file subdriver=${R[0.format]}
  local -a how=()
  virsh_q domstate "$OPT_ATTACH" || die "$OPT_ATTACH is gone: $RUN_ERR" attach-failed
  [[ $RUN_OUT == 'shut off'* ]] || how+=(--live)
  virsh_q dominfo "$OPT_ATTACH" || die "$OPT_ATTACH is gone: $RUN_ERR" attach-failed
  ! is_persistent || how+=(--config)
  virsh_q dumpxml "$OPT_ATTACH" && used=$RUN_OUT || die "$OPT_ATTACH is gone: $RUN_ERR" attach-failed
  # Next time it starts it may have disks that it has not now.
  ! virsh_q dumpxml "$OPT_ATTACH" --inactive || used+=$RUN_OUT
  for letter in {a..z}; do [[ $used == *"<target dev='$bus$letter'"* ]] || { name=$bus$letter && break; }; done
  [[ $name ]] || die "$OPT_ATTACH has no name left for a disk $bus" attach-failed
  [[ ${R[0.kind]} != device ]] || type=block
  add_note "attach $OPT_ATTACH ${R[0.to]}"
  undo_push detach_disk "$OPT_ATTACH" "${R[0.to]}"
  virsh_q attach-disk "$OPT_ATTACH" "${R[0.to]}" "$name" --driver qemu --subdriver "$subdriver" --sourcetype "$type" "${how[@]}" ||
    die "$OPT_ATTACH does not take the disk: $RUN_ERR" attach-failed
  ATTACHED=$name
}

# detach_disk VM PATH: from the definition; a running machine that has it keeps it, and so the disk stays (take_back looks).
detach_disk() {
  ATTACHED=''
  virsh_q dominfo "$1" && is_persistent && virsh_q domblklist "$1" --inactive && [[ $RUN_OUT == *" $2"?($'\n'*) ]] || return 0
  virsh_q detach-disk "$1" "$2" --config || left "disk $2 in the definition of $1: $RUN_ERR"
}

# unmake: for a restore whose script is gone.
unmake() {
  [[ ! $NOTE_ATTACHED ]] || detach_disk "${NOTE_ATTACHED%% *}" "${NOTE_ATTACHED#* }"
  # shellcheck disable=SC2086 # a name and a uuid
  [[ ! $NOTE_DOMAIN ]] || undefine_domain $NOTE_DOMAIN
}

# ---- where restored disks go: looked at, put in place, or taken back ----------------------------------
#
# A disk is written to TO.restore-JOB. A new one gets its name as a second one, and loses the first when all is done. In the place of a
# volume: that one gets the second name TO.before-JOB, the new one is renamed over it, and when all disks are there the old ones go.
# So the names alone tell how far it came, after any death: see disk_step. The job's note (file `restore` in its directory) names the
# disks, file `restored` how it ended: "swapped" (all are in place and only what is left over has to go), then "finished" or
# "rolled-back".

HELD=()       # pids that keep QEMU's lock on images for us
NOTE_MODE=''  # swap or new
NOTE_DISKS=() # targets that are files

# target COMMAND...: something short on the storage that the disks go to.
target() {
  run "$NAS_SECONDS" "$@" || { [[ $RUN_CODE != 124 ]] || die "The storage of the disks does not answer: $RUN_ERR" target-hung; return "$RUN_CODE"; }
}

# look_at_targets: R[i.kind] is new, swap or device.
look_at_targets() {
  local i to
  for ((i = 0; i < RESTORES; i++)); do
    to=${R[$i.to]}
    target test -d "${to%/*}/" || die "There is no directory ${to%/*}/" target-missing
    R[$i.kind]=new
    if target stat -c %F -- "$to"; then look_at_old "$i" "$RUN_OUT"
    else [[ $RUN_ERR == *'No such file'* ]] || die "Cannot look at $to: $RUN_ERR" target-missing; fi
    [[ ${R[$i.kind]} == device ]] || ! target stat -- "$to.restore-$OPT_JOB" || die "$to.restore-$OPT_JOB is there already" target-exists
  done
  # One after the other and all of them: what is ours to hold is held from here on.
  for ((i = 0; i < RESTORES; i++)); do [[ ${R[$i.kind]} != swap ]] || hold "${R[$i.to]}"; done
}

# look_at_old I WHAT: something is there.
look_at_old() {
  local i=$1 to=${R[$1.to]} what=$2
  if [[ $OPT_SWAP ]]; then
    [[ $what == 'regular '* ]] || die "$to is a $what: only files can be swapped; restore to it as a new disk" target-unsupported
    R[$i.kind]=swap
    look_for_snapshots "$i"
    return 0
  fi
  # Logical volumes are links to their devices.
  [[ $what != 'symbolic link' ]] || { target realpath -e -- "$to" && R[$i.real]=$RUN_OUT && target stat -c %F -- "$RUN_OUT" && what=$RUN_OUT || :; }
  [[ $what == 'block special file' ]] || die "$to is there already" target-exists
  [[ $OPT_OVERWRITE ]] || die "$to is a block device: --overwrite writes over what it holds" target-exists
  R[$i.kind]=device R[$i.real]=${R[$i.real]:-$to}
  look_at_device "$i"
}

# look_for_snapshots I: those in the old image would go with it. What cannot be read has none that anybody could go back to.
look_for_snapshots() {
  local i=$1 to=${R[$1.to]} count=0 n names=''
  local -A info
  [[ ${R[$i.format]} == qcow2 ]] || return 0
  target od -An -v -tx1 -N80 -- "$to" && ! keeps_data_elsewhere "${RUN_OUT//[[:space:]]/}" || return 0
  json_string "$to"
  target qemu-img info -U --output=json "json:{\"driver\":\"qcow2\",\"backing\":null,\"file\":{\"driver\":\"file\",\"filename\":$REPLY}}" && json_read info "$RUN_OUT" ||
    { warn "whether $to holds snapshots cannot be told: $RUN_ERR" && return 0; }
  json_get info 'snapshots#' && count=$REPLY
  for ((n = 0; n < count; n++)); do json_get info "snapshots.$n.name" && names+=" $REPLY"; done
  ((count == 0)) || die "$to holds snapshots, which would go with it:$names. Restore to new disks, or remove them first: virsh snapshot-delete $OPT_VM, or qemu-img snapshot -d" image-has-snapshots
}

# look_at_device I: nothing is mounted from it, made of it, or runs from it.
look_at_device() {
  local i=$1 line
  target lsblk -nrpo TYPE,MOUNTPOINT -- "${R[$i.real]}" || die "Cannot look at ${R[$i.to]}: $RUN_ERR" target-missing
  lines "$RUN_OUT"
  for line in "${LINES[@]:1}"; do [[ $line == 'part '?( ) || $line == part ]] || die "${R[$i.to]} is in use: $line" target-in-use; done
  [[ ${LINES[0]} != *' '?* ]] || die "${R[$i.to]} is in use: ${LINES[0]}" target-in-use
  target blockdev --getsize64 "${R[$i.real]}" || die "Cannot tell the size of ${R[$i.to]}: $RUN_ERR" target-missing
  R[$i.room]=$RUN_OUT
  is_free "${R[$i.real]}" host_device || die "${R[$i.to]} is in use: $RUN_ERR" target-in-use
}

# as_nobody_else IMAGE [DEVICE]: REPLY opens it for qemu-io without looking into it, if no other QEMU has it open, for reading neither,
# and for as long as none can.
as_nobody_else() {
  json_string "$1"
  REPLY="json:{\"driver\":\"blkdebug\",\"take-child-perms\":[\"write\"],\"unshare-child-perms\":[\"write\",\"consistent-read\"],\"image\":{\"driver\":\"${2:-file}\",\"filename\":$REPLY}}"
}

# is_free IMAGE [DEVICE]
is_free() {
  as_nobody_else "$@"
  run 30 qemu-io -c quit -- "$REPLY" || { RUN_ERR=${RUN_ERR##*\}: } && return 1; }
}

# hold IMAGE: until let_go, or until this script is gone, no machine can be started with it.
hold() {
  local n=${#HELD[@]} until image
  ((n)) || always_push let_go
  as_nobody_else "$1" && image=$REPLY
  : >"$WORK/held.$n"
  (
    set +eE
    trap - ERR EXIT TERM INT HUP PIPE
    exec 8>&- 9>&-
    # Ends with this script, however that ends.
    tail --pid="$$" -s 0.2 -f /dev/null | qemu-io -- "$image"
  ) >"$WORK/held.$n" 2>&1 </dev/null &
  HELD+=("$!")
  now_ms && until=$((REPLY + 10000))
  # Its prompt says that it has the image.
  until RUN_ERR=$(<"$WORK/held.$n") && [[ $RUN_ERR == *'qemu-io> '* ]]; do
    now_ms
    [[ $RUN_ERR != *"can't open"* ]] && ((REPLY < until)) || die "$1 is in use: ${RUN_ERR##*\}: }" target-in-use
    nap 0.02
  done
}

# let_go: and wait until they are gone: the caller may start the machine at once.
let_go() {
  local REPLY holder pid all='' until
  now_ms && until=$((REPLY + 3000))
  for holder in "${HELD[@]}"; do all+=" $(pids_below "$holder")"; done
  # Their shells end by themselves, without a word.
  for pid in $all; do [[ " ${HELD[*]} " == *" $pid "* ]] || kill -KILL "$pid" 2>/dev/null || :; done
  HELD=()
  for pid in $all; do
    while process_lives "$pid"; do
      now_ms
      ((REPLY < until)) || { left "process $pid, which holds an image" && break; }
      nap 0.02
    done
  done
}

# note_restore: before the first byte: what abort and sweep have to know.
note_restore() {
  local i mode=new note
  [[ ! $OPT_SWAP ]] || mode=swap
  NOTE_MODE=$mode NOTE_DISKS=()
  note="mode $mode"
  for ((i = 0; i < RESTORES; i++)); do
    [[ ${R[$i.kind]} == device ]] || { NOTE_DISKS+=("${R[$i.to]}") && note+=$'\n'"disk ${R[$i.to]}"; }
  done
  restore_note restore "$note" || job_unwritable
  undo_push roll_back
}

# restore_note FILE TEXT: on disk before it counts.
restore_note() { job_write "$1" "$2" && sync -- "$JOB_DIR/$1" "$JOB_DIR"; }

# add_note LINE: what else would have to be taken back.
add_note() { restore_note restore "$(<"$JOB_DIR/restore")"$'\n'"$1" || job_unwritable; }

roll_back() {
  local i disk word=rolled-back
  for disk in "${NOTE_DISKS[@]}"; do take_back "$disk" || { word='' && left "$disk: $RUN_ERR"; }; done
  for ((i = 0; i < RESTORES; i++)); do R[$i.swapped]=false; done
  [[ ! $word ]] || job_write restored "$word" || :
}

# swap_disks: every new disk gets the old one's owner and rights and is held; then all are swapped, or none.
swap_disks() {
  local i to
  timing_start swap
  for ((i = 0; i < RESTORES; i++)); do
    to=${R[$i.to]}
    [[ ${R[$i.kind]} != swap ]] || like_the_old "$to" "$to.restore-$OPT_JOB"
    hold "$to.restore-$OPT_JOB"
  done
  # Storage without locks does not keep a machine from being started.
  must_be_stopped
  for ((i = 0; i < RESTORES; i++)); do
    to=${R[$i.to]}
    if [[ ${R[$i.kind]} == swap ]]; then swap_disk "$to"; else place_disk "$to"; fi
    R[$i.swapped]=true
  done
  in_place
  timing_stop swap
  forget_checkpoints
}

# like_the_old OLD NEW: owner, group, mode with access list, SELinux label.
like_the_old() {
  local what=mode,ownership
  [[ ! -e /sys/fs/selinux/enforce ]] || what+=,context
  target cp --attributes-only --preserve="$what" -- "$1" "$2" || die "$2 does not take owner and mode of $1: $RUN_ERR" swap-failed
}

# swap_disk TO: at any moment there is one whole disk of that name.
swap_disk() {
  target ln -T -- "$1" "$1.before-$OPT_JOB" || die "$1 cannot be kept beside the new one: $RUN_ERR" target-unsupported
  target sync -- "${1%/*}/" || die "${1%/*} does not take changes: $RUN_ERR" sync-failed
  target mv -fT -- "$1.restore-$OPT_JOB" "$1" || die "$1 cannot be replaced: $RUN_ERR" swap-failed
  target sync -- "${1%/*}/" || die "${1%/*} does not take changes: $RUN_ERR" sync-failed
}

# place_disk TO: only if nobody has come first.
place_disk() {
  target ln -T -- "$1.restore-$OPT_JOB" "$1" || {
    [[ $RUN_ERR != *'File exists'* ]] || die "$1 is there already" target-exists
    die "$1 cannot be made: $RUN_ERR" target-unsupported
  }
  target sync -- "${1%/*}/" || die "${1%/*} does not take changes: $RUN_ERR" sync-failed
}

# place_disks: new disks, and what is made of them.
place_disks() {
  local disk
  timing_start swap
  # Nothing else may be at work on it when it gets the disk.
  [[ ! $OPT_ATTACH ]] || lock_receiver "$RECEIVER_SECONDS"
  for disk in "${NOTE_DISKS[@]}"; do place_disk "$disk"; done
  # From here on it takes moments, and libvirt cannot be told to forget half of a question.
  trap : TERM INT HUP PIPE
  [[ ! $OPT_NEW_NAME ]] || define_domain
  [[ ! $OPT_ATTACH ]] || attach_disk
  in_place
  timing_stop swap
}

# in_place: all is done: what is left over goes. Without the note nobody could tell later whether a second name has to go or to come back.
in_place() {
  trap : TERM INT HUP PIPE
  restore_note restored swapped || { rm -f -- "$JOB_DIR/restored" && die "Cannot write into $JOB_DIR: is the disk that it lies on full?" job-unwritable; }
  commit
  tidy_up
}

# tidy_up: after "swapped".
tidy_up() {
  local disk word=finished
  for disk in "${NOTE_DISKS[@]}"; do
    run "$NAS_SECONDS" rm -f -- "$disk.before-$OPT_JOB" "$disk.restore-$OPT_JOB" || { word='' && left "$disk.before-$OPT_JOB, which can go: $RUN_ERR"; }
  done
  [[ ! $word ]] || job_write restored "$word" || :
}

# forget_checkpoints: libvirt's records of bitmaps that went with the old images. Other tools' stay, and no longer hold.
forget_checkpoints() {
  local name others=''
  [[ $VM_STATE == 'shut off' ]] && look_at_checkpoints || return 0
  for name in "${CHECKPOINTS[@]}"; do
    if [[ ! $name =~ $BITMAP_PATTERN ]]; then others+=" $name"
    else virsh_q checkpoint-delete "$OPT_VM" "$name" --metadata || warn "cannot remove the checkpoint $name: $RUN_ERR"; fi
  done
  [[ ! $others ]] || warn "$OPT_VM has checkpoints of other tools, whose bitmaps went with the old disks:$others"
}

# there PATH: yes or no, in REPLY; false when its storage does not say.
there() {
  REPLY=no
  if run "$NAS_SECONDS" stat -- "$1"; then REPLY=yes; else [[ $RUN_ERR == *'No such file'* ]]; fi
}

# disk_step TO: REPLY is how far this disk came: begun (or not even that), kept (the old one has its second name), swapped, placed; false
# when it cannot be told.
disk_step() {
  local new old step=begun
  there "$1.restore-$OPT_JOB" && new=$REPLY && there "$1.before-$OPT_JOB" && old=$REPLY || return 1
  if [[ $old == yes ]]; then
    step=swapped
    ! run "$NAS_SECONDS" test "$1.before-$OPT_JOB" -ef "$1" || step=kept
  elif [[ $new == yes ]]; then
    ! run "$NAS_SECONDS" test "$1.restore-$OPT_JOB" -ef "$1" || step=placed
  fi
  REPLY=$step
}

# take_back TO: as it was; false, with the reason in RUN_ERR, when it cannot be.
take_back() {
  disk_step "$1" || return 1
  case $REPLY in
    swapped) is_idle "$1" && run "$NAS_SECONDS" mv -fT -- "$1.before-$OPT_JOB" "$1" && run "$NAS_SECONDS" sync -- "${1%/*}/" || return 1 ;;
    kept) run "$NAS_SECONDS" rm -f -- "$1.before-$OPT_JOB" || return 1 ;;
    placed) is_idle "$1" && run "$NAS_SECONDS" rm -f -- "$1" || return 1 ;;
  esac
  run "$NAS_SECONDS" rm -f -- "$1.restore-$OPT_JOB"
}

# is_idle IMAGE: held by ourselves, or in nobody's use. A holder of a job that was killed ends a moment later.
is_idle() {
  local until
  ((${#HELD[@]})) && return 0
  now_ms && until=$((REPLY + 2000))
  until is_free "$1"; do
    now_ms
    ((REPLY < until)) || { RUN_ERR="it is in use already: $RUN_ERR" && return 1; }
    nap 0.1
  done
}

# settle_restore: of a restore whose script is gone, under the machine's lock: SETTLED is rolled-back or finished; empty, and something
# left, when it could be neither. Everything here may be done twice.
settle_restore() {
  local word='' line all=yes begun=''
  SETTLED=''
  # Nothing had been begun.
  [[ -e $JOB_DIR/restore ]] || { SETTLED=rolled-back && return 0; }
  job_text restored && word=$REPLY
  [[ $word != @(finished|rolled-back) ]] || { SETTLED=$word && return 0; }
  read_restore_note
  if [[ $word != swapped && $NOTE_MODE == swap ]]; then
    for line in "${NOTE_DISKS[@]}"; do
      disk_step "$line" || { left "$line: $RUN_ERR" && return 0; }
      if [[ $REPLY == @(swapped|placed) ]]; then begun=yes; else all=''; fi
    done
    # All of them are the new ones: that is as good as told, and somebody may already have started the machine.
    if [[ $all ]]; then
      restore_note restored swapped || { left "$JOB_DIR cannot be written" && return 0; }
      word=swapped
    elif [[ $begun ]]; then
      { look_at_state || { left "disks of $OPT_VM, half of them swapped: libvirt does not answer: $RUN_ERR" && return 0; }; }
      ! vm_is_live || { left "disks of $OPT_VM, half of them swapped: it was started meanwhile; stop it, then this puts the old ones back: $SCRIPT_FILE abort --job $OPT_JOB" && return 0; }
    fi
  fi
  if [[ $word == swapped ]]; then
    tidy_up
    [[ $NOTE_MODE != swap ]] || ! look_at_state || forget_checkpoints
  else
    unmake
    roll_back
  fi
  ! job_text restored || [[ $REPLY != @(finished|rolled-back) ]] || SETTLED=$REPLY
}
SETTLED=''

# read_restore_note: NOTE_MODE, NOTE_DISKS, and what was made of new disks: NOTE_DOMAIN "<name> <uuid>", NOTE_ATTACHED.
read_restore_note() {
  local line
  NOTE_MODE='' NOTE_DISKS=() NOTE_DOMAIN='' NOTE_ATTACHED=''
  lines "$(<"$JOB_DIR/restore")"
  for line in "${LINES[@]}"; do
    case $line in
      'mode '*) NOTE_MODE=${line#* } ;;
      'disk '*) NOTE_DISKS+=("${line#* }") ;;
      'domain '*) NOTE_DOMAIN=${line#* } ;;
      'attach '*) NOTE_ATTACHED=${line#* } ;;
    esac
  done
}
NOTE_DOMAIN='' NOTE_ATTACHED=''

# restore_is_settled DIR: of a job; one without a restore is.
restore_is_settled() { [[ ! -e $1/restore || -e $1/restored && $(<"$1/restored") == @(finished|rolled-back) ]]; }

# ---- restore: disks of a backup, brought back -------------------------------------------------------
#
# Everything is looked at before anything is written: targets, the chain of each file, its checksums, the room. Each disk is written
# under a name of this job beside its target and compared with its chain; only when all are true do they get their names. What was
# begun stands in the job's note, so that whoever comes after a kill can settle it (59-restore-place).

RESTORES=0
# R["$i.field"] of disk i: target file to format virtualSize, as asked; kind (new, swap, device), real and room (of a device); chain links
# hashed virtual required; allocated identical convert compare swapped.
declare -A R=()
DOMAIN_UUID='' DOMAIN_MADE='' ATTACHED=''
DAMAGED=()                 # what is not as it was, where it is taken all the same
SPOILT=()                  # files of the chain that are damaged or missing, as JSON
RESTORED=0 RESTORE_TOTAL=0 # bytes, for the progress

operation_restore() {
  need OPT_VM -v
  need OPT_PATH -p
  need OPT_DISKS --disks
  [[ $OPT_JOB ]] || bad_option 'A restore runs as a job: start --job ID --fence N -- restore ...'
  parse_restore_disks
  check_way
  work_open
  vm_lock "$OPT_VM"
  [[ ! $OPT_FENCE ]] || fence_check "$OPT_VM" "$OPT_FENCE"
  # Plain new disks come back without libvirt, too.
  if look_at_host; then [[ ! $OPT_SWAP$OPT_NEW_NAME$OPT_ATTACH ]] || check_versions
  else [[ ! $OPT_SWAP$OPT_NEW_NAME$OPT_ATTACH ]] || die "libvirt does not answer: $RUN_ERR" libvirt-unreachable; fi
  [[ ! $OPT_SWAP ]] || must_be_stopped
  [[ ! $OPT_ATTACH ]] || look_at_receiver
  look_at_targets
  mount_repository ro
  timing_start prepare
  stays_inside "$OPT_PATH"
  look_at_chains
  [[ ! $OPT_NEW_NAME ]] || read_definition
  check_room
  timing_stop prepare
  copy_disks
  if [[ $OPT_SWAP ]]; then swap_disks; else place_disks; fi
  finish_restore
}

# parse_restore_disks: --disks of a restore.
parse_restore_disks() {
  local i n key value
  local -A asked
  json_read asked "$OPT_DISKS" && json_get asked '#' || bad_option '--disks is not a JSON array'
  RESTORES=$REPLY
  # All of it first: a refusal tells what was asked for.
  for ((i = 0; i < RESTORES; i++)); do
    for key in target file to format virtualSize; do
      json_get asked "$i.$key" || :
      R[$i.$key]=$REPLY
    done
    R[$i.swapped]=false
  done
  ((RESTORES)) || bad_option '--disks names no disk'
  for ((i = 0; i < RESTORES; i++)); do
    json_get asked "$i@" || :
    lines "$REPLY"
    for key in "${LINES[@]}"; do
      [[ $key == @(|target|file|to|format|virtualSize) ]] || bad_option "--disks: unknown key $key"
    done
    value=${R[$i.target]} && [[ $value =~ ^[a-z][a-z0-9]{0,15}$ ]] || bad_option "--disks: not a valid target: $value"
    value=${R[$i.file]} && [[ $value =~ $PATH_PATTERN && $value != */* ]] || bad_option "--disks: not a valid file: $value"
    value=${R[$i.format]} && [[ $value == @(qcow2|raw) ]] || bad_option "--disks: not a valid format: $value"
    value=${R[$i.virtualSize]} && [[ $value =~ ^[0-9]{0,16}$ ]] || bad_option "--disks: not a valid size: $value"
    value=${R[$i.to]} && [[ $value =~ ^/[^[:cntrl:]]*[^/[:cntrl:]]$ && $value/ != */../* ]] || bad_option "--disks: not a valid path: $value"
    for ((n = 0; n < i; n++)); do
      [[ ${R[$n.target]} != "${R[$i.target]}" ]] || bad_option "--disks names ${R[$i.target]} twice"
      [[ ${R[$n.to]} != "$value" ]] || bad_option "--disks names $value twice"
    done
  done
}

# check_way: in place, as a new domain, attached to a machine, or plain new disks: one of them.
check_way() {
  [[ ! $OPT_NETWORKS || $OPT_NEW_NAME ]] || bad_option '--networks goes with --new-name'
  [[ ! $OPT_SWAP || ! $OPT_NEW_NAME$OPT_ATTACH$OPT_OVERWRITE ]] || bad_option '--swap goes with none of --new-name, --attach, --overwrite'
  [[ ! $OPT_NEW_NAME || ! $OPT_ATTACH ]] || bad_option '--new-name and --attach do not go together'
  [[ ! $OPT_ATTACH || $RESTORES == 1 ]] || bad_option '--attach takes one disk'
}

# must_be_stopped: a paused machine is not a stopped one, and one with a saved state goes on with disks that would no longer be its own.
must_be_stopped() {
  look_at_state || die "libvirt does not answer: $RUN_ERR" libvirt-unreachable
  ! vm_is_live || die "$OPT_VM is $VM_STATE: stop it, or restore to new disks" vm-running
  [[ $VM_STATE != 'shut off' ]] || ! virsh_q dominfo "$OPT_VM" || [[ ! $RUN_OUT =~ Managed\ save:\ +yes ]] ||
    die "$OPT_VM has a saved state, which would go on with other disks: virsh managedsave-remove $OPT_VM" vm-saved
}

# copy_disks: one after the other, so that the NAS and the limit serve one.
copy_disks() {
  local i
  note_restore
  TIMING[convert]=0 TIMING[compare]=0 TIMING[sync]=0
  for ((i = 0; i < RESTORES; i++)); do RESTORE_TOTAL=$((RESTORE_TOTAL + R[$i.virtual])); done
  progress 0 "$RESTORE_TOTAL"
  timing_start job
  for ((i = 0; i < RESTORES; i++)); do
    copy_disk "$i"
    compare_disk "$i"
    sync_disk "$i"
  done
}

copy_disk() {
  local i=$1 to=${R[$1.real]:-${R[$1.to]}.restore-$OPT_JOB} from
  local -a how=(-O "${R[$1.format]}")
  # A device is there; what it held is not taken for zeroes.
  [[ ${R[$i.kind]} != device || ${R[$i.format]} != raw ]] || how+=(-n)
  [[ ! $OPT_BANDWIDTH ]] || how+=(-r "${OPT_BANDWIDTH}M")
  [[ ! $OPT_SALVAGE ]] || how+=(--salvage)
  now_ms && from=$REPLY
  run_copy "$RESTORED" "${R[$i.virtual]}" "$RESTORE_TOTAL" qemu-img convert -p "${how[@]}" -- "json:${R[$i.chain]}" "$to" || {
    [[ $RUN_ERR != *'No space left'* ]] || die "Writing ${R[$i.to]} failed: its file system is full: $RUN_ERR" target-full
    [[ $RUN_ERR != *lock* ]] || die "Writing ${R[$i.to]} failed: somebody uses it: $RUN_ERR" target-in-use
    die "Restoring ${R[$i.target]} to ${R[$i.to]} failed: ${RUN_ERR:-without a word}" convert-failed
  }
  # What --salvage could not read it tells, and leaves as zeroes.
  R[$i.unread]=''
  [[ $RUN_ERR != *'while reading'* ]] || look_at_unread "$i" "$RUN_ERR"
  RESTORED=$((RESTORED + R[$i.virtual]))
  now_ms && R[$i.convert]=$((REPLY - from)) TIMING[convert]=$((TIMING[convert] + REPLY - from))
}

# look_at_unread I SAID: convert tells each sector that it could not read.
look_at_unread() {
  local line first=''
  R[$1.unread]=0
  lines "$2"
  for line in "${LINES[@]}"; do
    [[ $line =~ while\ reading\ offset\ ([0-9]+): ]] || continue
    first=${first:-${BASH_REMATCH[1]}} R[$1.unread]=$((R[$1.unread] + 512))
  done
  damaged "${R[$1.unread]} bytes of ${R[$1.file]} cannot be read and are zeroes now, the first at ${first:-an unknown offset}" convert-failed
}

# compare_disk I: the target holds what the chain holds, to the byte, and is of its size.
compare_disk() {
  local i=$1 to=${R[$1.real]:-${R[$1.to]}.restore-$OPT_JOB} from node driver=file
  local -A info
  now_ms && from=$REPLY
  [[ ${R[$i.kind]} != device ]] || driver=host_device
  json_string "$to"
  node="{\"driver\":\"$driver\",\"filename\":$REPLY}"
  if [[ ${R[$i.format]} == qcow2 ]]; then
    node="{\"driver\":\"qcow2\",\"backing\":null,\"file\":$node}"
    run "$TIME_LIMIT" qemu-img check -q "json:$node" || die "qemu-img check found errors in $to: $RUN_ERR $RUN_OUT" restore-differs
  elif [[ ${R[$i.kind]} == device ]]; then
    # What a larger device holds behind the disk is not the disk's.
    node="{\"driver\":\"raw\",\"size\":${R[$i.virtual]},\"file\":$node}"
  else
    node="{\"driver\":\"raw\",\"file\":$node}"
  fi
  run "$NAS_SECONDS" qemu-img info --output=json "json:$node" && json_read info "$RUN_OUT" && json_get info virtual-size ||
    die "Cannot read back $to: $RUN_ERR" restore-differs
  [[ $REPLY == "${R[$i.virtual]}" ]] || die "$to is of $REPLY bytes, ${R[$i.file]} of ${R[$i.virtual]}" restore-differs
  # Zeroes that stand for what cannot be read have nothing to be compared with.
  [[ ! ${R[$i.unread]} ]] || return 0
  run "$TIME_LIMIT" qemu-img compare -q "json:${R[$i.chain]}" "json:$node" || {
    ((RUN_CODE == 1)) || die "Cannot compare $to with ${R[$i.file]}: $RUN_ERR $RUN_OUT" compare-failed
    R[$i.identical]=false
    die "$to is not what ${R[$i.file]} and its chain hold" restore-differs
  }
  R[$i.identical]=true
  now_ms && R[$i.compare]=$((REPLY - from)) TIMING[compare]=$((TIMING[compare] + REPLY - from))
}

sync_disk() {
  local to=${R[$1.real]:-${R[$1.to]}.restore-$OPT_JOB} from
  now_ms && from=$REPLY
  run "$TIME_LIMIT" sync -- "$to" || die "$to was not taken by its storage: $RUN_ERR" sync-failed
  [[ ${R[$1.kind]} == device ]] || ! run "$NAS_SECONDS" stat -c '%b %B' -- "$to" || R[$1.allocated]=$((${RUN_OUT% *} * ${RUN_OUT#* }))
  now_ms && TIMING[sync]=$((TIMING[sync] + REPLY - from))
}

finish_restore() {
  unwind good
  timing_stop total
  print_restore
  DONE=yes
  exit 0
}

print_restore() {
  json_restore
  printf 'RESTORE=%s\n' "$REPLY"
}

# json_restore: REPLY is the whole of RESTORE, version 1.
json_restore() {
  local i host left timings damaged spoilt domain='' attached='' error='' swapped=false
  local -a disks=()
  json_host && host=$REPLY
  for ((i = 0; i < RESTORES; i++)); do
    json_object S target "${R[$i.target]}" S file "${R[$i.file]}" S to "${R[$i.to]}" s format "${R[$i.format]}" n virtualSize "${R[$i.virtual]-}" \
      n allocated "${R[$i.allocated]-}" n links "${R[$i.links]-}" n hashed "${R[$i.hashed]-}" n unread "${R[$i.unread]-}" b identical "${R[$i.identical]-}" \
      n convertMs "${R[$i.convert]-}" n compareMs "${R[$i.compare]-}" b swapped "${R[$i.swapped]}"
    disks+=("$REPLY") swapped=${R[$i.swapped]}
  done
  [[ ! $DOMAIN_MADE ]] || { json_object s name "$OPT_NEW_NAME" s uuid "$DOMAIN_UUID" && domain=$REPLY; }
  [[ ! $ATTACHED ]] || { json_object s vm "$OPT_ATTACH" s target "$ATTACHED" && attached=$REPLY; }
  json_strings "${LEFT[@]}" && left=$REPLY
  json_object b ok "$( ((${#LEFT[@]})) && echo false || echo true)" r left "$left" && left=$REPLY
  json_object n mount "${TIMING[mount]-}" n prepare "${TIMING[prepare]-}" n convert "${TIMING[convert]-}" n compare "${TIMING[compare]-}" \
    n sync "${TIMING[sync]-}" n swap "${TIMING[swap]-}" n unmount "${TIMING[unmount]-}" n total "${TIMING[total]-}" && timings=$REPLY
  [[ ! $ERROR_CODE ]] || { json_object s code "$ERROR_CODE" s message "$ERROR_TEXT" && error=$REPLY; }
  json_array "${disks[@]}" && disks=("$REPLY")
  json_strings "${DAMAGED[@]}" && damaged=$REPLY
  json_array "${SPOILT[@]}" && spoilt=$REPLY
  json_object n v 1 s script "$SCRIPT_VERSION" r host "$host" S vm "$OPT_VM" r disks "${disks[0]}" b swapped "$swapped" \
    r domain "$domain" r attached "$attached" r damaged "$damaged" r spoilt "$spoilt" r cleanup "$left" r timings "$timings" r error "$error"
}

# ---- delete and stats --------------------------------------------------------------------------------

REMOVED=''   # what went, in rm's words
declare -A OWN=() # the names of the backup's files, but for the manifest's
OTHERS=()  # what lies in the backup's directory and is none of its files, so that it stays

operation_delete() {
  need OPT_PATH -p
  # <instance>/<time>: never a machine's whole directory, nor everything.
  [[ $OPT_PATH == */* ]] || bad_option "Not the path of a backup: $OPT_PATH"
  work_open
  mount_repository
  stays_inside "$OPT_PATH"
  [[ ! $OPT_RUN ]] || only_of_run "$OPT_RUN"
  if [[ ! $OPT_RUN ]] && look_at_directory && [[ $'\n'$RUN_OUT$'\n' == *$'\n'"$MANIFEST"$'\n'* ]]; then
    remove_named
  else
    # Nobody has said which files are the backup's.
    remove -r "$MNT/$OPT_PATH"
  fi
  run "$TIME_LIMIT" sync -f -- "$MNT" || die "The NAS did not take the deletion: $RUN_ERR" sync-failed
  commit
  unwind good
  printf %s "$REMOVED"
  print_others
  DONE=yes
  exit 0
}

# look_at_directory: RUN_OUT is what lies in the backup's directory, a name a line; false when there is none.
# A name that could mislead a terminal or whoever reads line by line is shown with question marks: no file of ours has such a one.
look_at_directory() {
  nas env LC_ALL=C.UTF-8 ls -Aq -- "$MNT/$OPT_PATH" && return 0
  local why=$RUN_ERR
  ! nas test -e "$MNT/$OPT_PATH" || die "Cannot look at $OPT_PATH on the NAS: $why" read-failed
  return 1
}

# remove_named: the files that the manifest names, then the manifest with the directory: until the end a deletion that was cut short
# finds out again which files are the backup's. Where something else lies there, both stay.
remove_named() {
  local name
  local -a there files=()
  lines "$RUN_OUT" && there=("${LINES[@]}")
  read_manifest
  # A link, or a folder, under a name of ours was not put there by us.
  for name in "${there[@]}"; do [[ ! ${OWN[$name]-} ]] || ! size_of_file "$name" || files+=("$MNT/$OPT_PATH/$name"); done
  ((!${#files[@]})) || remove "${files[@]}"
  look_at_directory || return 0
  lines "$RUN_OUT"
  for name in "${LINES[@]}"; do [[ $name == "$MANIFEST" ]] || OTHERS+=("$name"); done
  ((!${#OTHERS[@]})) || return 0
  undo_push put_manifest_back
  remove -d "$MNT/$OPT_PATH/$MANIFEST" "$MNT/$OPT_PATH"
}

# put_manifest_back: somebody has put something there in the last moment, and the next deletion must know that it is none of ours.
put_manifest_back() {
  ! run 10 test -d "$MNT/$OPT_PATH" || run 10 cp --remove-destination -- "$WORK/$MANIFEST" "$MNT/$OPT_PATH/" ||
    left "$OPT_PATH on the NAS without its $MANIFEST"
}

# read_manifest: OWN. Ours is of some 400 bytes for each disk; a long line of anything else would keep bash busy for minutes.
read_manifest() {
  local -A said=()
  local i name count=0
  size_of_file "$MANIFEST" && ((REPLY < 131072)) && nas cat -- "$MNT/$OPT_PATH/$MANIFEST" && json_read said "$RUN_OUT" || manifest_unusable
  printf '%s\n' "$RUN_OUT" >"$WORK/$MANIFEST"
  json_get said 'disks#' && count=$REPLY
  ((count)) || manifest_unusable
  for ((i = 0; i < count; i++)); do
    json_get said "disks.$i.file" && name=$REPLY && [[ $name =~ $FILE_PATTERN && $name != "$MANIFEST" ]] || manifest_unusable
    OWN[$name]=yes
  done
  for name in "${DEFINITIONS[@]}" "$CHECKSUMS" "$RUN_MARK" "$DONE_MARK" ".$MANIFEST.new" ".$CHECKSUMS.new"; do OWN[$name]=yes; done
}

manifest_unusable() {
  die "$OPT_PATH has a $MANIFEST that does not say which files are the backup's, so nothing was removed. Look at what lies there, take away what must stay, rename $MANIFEST and delete it again: then the whole directory goes" manifest-unusable
}

# remove [-r|-d] PATH...
remove() {
  run "$TIME_LIMIT" rm -fv --one-file-system "$@" || die "Failed to delete $OPT_PATH: $RUN_ERR" delete-failed
  REMOVED+=${RUN_OUT:+$RUN_OUT$'\n'}
}

# print_others: only where there is something to tell: CloudStack knows no such line.
print_others() {
  ((${#OTHERS[@]})) || return 0
  json_strings "${OTHERS[@]}"
  printf 'LEFT=%s\n' "$REPLY"
  warn "left in $OPT_PATH, no files of the backup: $REPLY"
}

# only_of_run RUN: what that run has begun, by the mark in it, finished or not: the caller knows that it is not in the books, and one that
# was described bears no mark any more. A directory without anything belongs to nobody.
only_of_run() {
  local mark
  ! nas rmdir -- "$MNT/$OPT_PATH" || return 0
  nas test -e "$MNT/$OPT_PATH" || return 0
  for mark in "$RUN_MARK" "$DONE_MARK"; do ! nas cat -- "$MNT/$OPT_PATH/$mark" || [[ $RUN_OUT != "$1" ]] || return 0; done
  die "$OPT_PATH does not bear the mark of run $1: nothing was removed" not-of-run
}

operation_stats() {
  work_open
  mount_repository
  nas stat -f -c '%S %b %f' -- "$MNT" || die "Cannot ask for the space on the NAS: $RUN_ERR" target-hung
  local size blocks free
  read -r size blocks free <<<"$RUN_OUT"
  commit
  unwind good
  printf '%s\n%s %s\n' "$MNT" $((size * blocks / 1024)) $((size * (blocks - free) / 1024))
  DONE=yes
  exit 0
}

# ---- describe: a backup says of itself what it is ------------------------------------------------------
#
# The books' words for it lie beside its files, so that a bare NAS explains itself. Written last, and only of what is there and
# finished: where there is no manifest, nobody has looked.

readonly MANIFEST=manifest.json CHECKSUMS=checksums.json DEFINITION=domain-config.xml
readonly DEFINITIONS=("$DEFINITION" dominfo.xml domiflist.xml domblklist.xml) # what 51-backup-live writes of the machine, as stock scripts do
readonly FILE_PATTERN='^[A-Za-z0-9_][A-Za-z0-9_.+@:-]{0,254}$'

operation_describe() {
  local -A manifest=()
  local i count=0 file size definition='' written
  need OPT_MANIFEST --manifest
  { [[ $OPT_MANIFEST == *\} ]] && json_read manifest "$OPT_MANIFEST" && [[ ${manifest['/@']+yes} ]]; } || bad_option '--manifest is not a JSON object'
  json_get manifest 'disks#' && count=$REPLY
  ((count)) || bad_option 'A manifest without disks'
  open_backup
  for ((i = 0; i < count; i++)); do
    json_get manifest "disks.$i.file" && file=$REPLY && [[ $file =~ $FILE_PATTERN ]] || bad_option "Disk $i of the manifest has no valid file"
    size_of_file "$file" || die "$OPT_PATH has no file $file" file-missing
    size=$REPLY
    ! json_get manifest "disks.$i.size" || [[ $REPLY == "$size" ]] || die "$file of $OPT_PATH is of $size bytes, the books say $REPLY" file-differs
  done
  ! size_of_file "$DEFINITION" || definition=$DEFINITION
  rfc3339_now && written=$REPLY
  json_object s domainXml "$definition" s written "$written"
  printf '%s\n' "${OPT_MANIFEST%\}},${REPLY:1}" >"$WORK/$MANIFEST"
  # It is in the books: from here on it is no run's to take back.
  nas rm -f -- "$MNT/$OPT_PATH/$DONE_MARK" || die "Cannot write to the NAS: $RUN_ERR" nas-not-writable
  put_file "$WORK/$MANIFEST" "$OPT_PATH"
  json_object n v 1 s path "$OPT_PATH" s domainXml "$definition" s written "$written"
  answer_good "$REPLY"
}

# open_backup: mounts, and makes sure that -p is the directory of a finished backup.
open_backup() {
  need OPT_PATH -p
  [[ $OPT_PATH == */* ]] || bad_option "Not the path of a backup: $OPT_PATH"
  work_open
  mount_repository
  stays_inside "$OPT_PATH"
  nas stat -L -- "$MNT/$OPT_PATH/" || {
    [[ $RUN_ERR == *'No such file'* ]] && is_kept_here "$OPT_PATH" || die "Cannot look at $OPT_PATH on the NAS: $RUN_ERR" read-failed
    die "$OPT_PATH is not on the NAS" path-missing
  }
  ! nas test -e "$MNT/$OPT_PATH/$RUN_MARK" || die "$OPT_PATH is a backup that was not finished" not-finished
}

# size_of_file NAME: REPLY is the bytes of a regular file of the backup; false where there is none.
size_of_file() {
  nas stat -c '%s %F' -- "$MNT/$OPT_PATH/$1" || return 1
  [[ ${RUN_OUT#* } == regular* ]] && REPLY=${RUN_OUT%% *}
}

# put_file FILE DIRECTORY [NAME]: onto the NAS in one step: whoever reads it there reads the old one or the whole new one.
# The temporary file must be new: a link that somebody put there leads out of the NAS.
put_file() {
  local name=${3:-${1##*/}} seconds new
  new=$MNT/$2/.$name.new
  # A slow NAS takes a mebibyte a second.
  seconds=$((NAS_SECONDS + $(stat -c %s -- "$1") / 1048576))
  nas rm -f -- "$new" || die "Cannot write to the NAS: $RUN_ERR" nas-not-writable
  undo_push remove_file "$new"
  run "$seconds" dd if="$1" of="$new" bs=1M conv=excl,fsync oflag=nofollow status=none || die "Cannot write to the NAS: $RUN_ERR" nas-not-writable
  nas mv -fT -- "$new" "$MNT/$2/$name" && nas sync -- "$MNT/$2" || die "Cannot write to the NAS: $RUN_ERR" nas-not-writable
}

remove_file() { run 10 rm -f -- "$1" || left "$1 on the NAS"; }

# answer_good JSON: the one line of an operation that went well.
answer_good() {
  commit
  unwind good
  printf '%s\n' "$1"
  DONE=yes
  exit 0
}

# ---- checksum: the SHA-256 of every file of a backup, and whether it still is that ----------------------
#
# Never inside a run: reading everything back takes as long as writing it, and nobody is to wait for that. It reads at the lowest
# priority, and no faster than -b says. What lies there already is never taken again: new checksums of spoilt files would call them good.

readonly READ_PIECE=$((16 * 1024 * 1024)) READ_SECONDS=60
declare -A SUM=() SUM_SIZE=()
SUM_NAMES=()

operation_checksum() {
  local name total=0 differs
  local -a differing=()
  open_backup
  run 10 renice -n 19 -p "$$" || warn "cannot lower the priority: $RUN_ERR"
  run 10 ionice -c 3 -p "$$" || warn "cannot lower the priority of reading: $RUN_ERR"
  if look_at_checksums; then
    [[ $OPT_VERIFY ]] || answer_checksums false
    for name in "${SUM_NAMES[@]}"; do total=$((total + SUM_SIZE[$name])); done
    for name in "${SUM_NAMES[@]}"; do is_as_it_was "$name" "$total" || differing+=("$name"); done
    json_strings "${differing[@]}" && differs=$REPLY
    answer_checksums false "$differs"
  fi
  [[ ! $OPT_VERIFY ]] || die "$OPT_PATH has no checksums to compare with" not-hashed
  look_at_files
  ((${#SUM_NAMES[@]})) || die "$OPT_PATH has no files" file-missing
  for name in "${SUM_NAMES[@]}"; do total=$((total + SUM_SIZE[$name])); done
  for name in "${SUM_NAMES[@]}"; do hash_file "$name" "${SUM_SIZE[$name]}" "$total" && SUM[$name]=$REPLY; done
  json_checksums
  json_object n v 1 s algorithm sha256 r files "$REPLY"
  printf '%s\n' "$REPLY" >"$WORK/$CHECKSUMS"
  put_file "$WORK/$CHECKSUMS" "$OPT_PATH"
  answer_checksums true
}

# look_at_files: SUM_NAMES and SUM_SIZE of what belongs to the backup: what describes it may be written anew.
look_at_files() {
  local name
  list_files
  for name in "${LINES[@]}"; do
    [[ $name =~ $FILE_PATTERN && $name != @("$MANIFEST"|"$CHECKSUMS") ]] || continue
    ! size_of_file "$name" || { SUM_NAMES+=("$name") && SUM_SIZE[$name]=$REPLY; }
  done
}

# list_files: LINES are the names in its directory.
list_files() {
  nas ls -A -- "$MNT/$OPT_PATH" || die "Cannot look at $OPT_PATH on the NAS: $RUN_ERR" read-failed
  lines "$RUN_OUT"
}

# look_at_checksums: SUM_NAMES, SUM_SIZE and SUM as they were written down; false when they were not.
look_at_checksums() {
  local -A known=()
  local name names
  nas test -e "$MNT/$OPT_PATH/$CHECKSUMS" || return 1
  size_of_file "$CHECKSUMS" && ((REPLY < 65536)) && nas cat -- "$MNT/$OPT_PATH/$CHECKSUMS" && json_read known "$RUN_OUT" &&
    json_get known algorithm && [[ $REPLY == sha256 ]] && json_get known files@ && names=$REPLY || checksums_damaged
  lines "$names"
  for name in "${LINES[@]}"; do
    { [[ $name =~ $FILE_PATTERN ]] && json_get known "files.$name.size" && [[ $REPLY =~ ^[0-9]{1,18}$ ]]; } || checksums_damaged
    SUM_NAMES+=("$name") SUM_SIZE[$name]=$REPLY
    { json_get known "files.$name.sha256" && [[ $REPLY =~ ^[0-9a-f]{64}$ ]]; } || checksums_damaged
    SUM[$name]=$REPLY
  done
  ((${#SUM_NAMES[@]})) || checksums_damaged
}

checksums_damaged() { die "$CHECKSUMS of $OPT_PATH cannot be read" checksums-damaged; }

# is_as_it_was NAME TOTAL: of its size and with its checksum.
is_as_it_was() {
  size_of_file "$1" && [[ $REPLY == "${SUM_SIZE[$1]}" ]] && hash_file "$1" "$REPLY" "$2" && [[ $REPLY == "${SUM[$1]}" ]]
}

# hash_file NAME SIZE TOTAL: REPLY is its SHA-256. Whoever reads writes down how far it has come: one that comes no further reads from
# a NAS that hangs.
hash_file() {
  local at=''
  echo 0 >"$WORK/reading"
  [[ $HASHED_BYTES ]] || { HASHED_BYTES=0 && always_push rm -f -- "$WORK/reading"; }
  run_start hash_slowly "$MNT/$OPT_PATH/$1" "$2" "$3"
  until run_wait "$READ_SECONDS"; do
    [[ $at != "$(<"$WORK/reading")" ]] || { run_kill && die "The NAS does not answer: $1 cannot be read any further" target-hung; }
    at=$(<"$WORK/reading")
  done
  ((RUN_CODE == 0)) && [[ $RUN_OUT =~ ^[0-9a-f]{64} ]] || die "Cannot read $1 of $OPT_PATH: $RUN_ERR" read-failed
  HASHED_BYTES=$((HASHED_BYTES + $2))
  REPLY=${RUN_OUT:0:64}
}
HASHED_BYTES=''

hash_slowly() { read_slowly "$@" | sha256sum; }

# read_slowly FILE SIZE TOTAL: to stdout, piece by piece, for as long as somebody wants it: who ends this operation takes the note away.
read_slowly() {
  local REPLY at=0 from due
  now_ms && from=$REPLY
  while ((at < $2)); do
    [[ -e $WORK/reading ]] && process_lives "$$" || return 1
    dd if="$1" bs=1M iflag=skip_bytes,count_bytes,fullblock,nofollow,nocache skip="$at" count="$READ_PIECE" status=none || return 1
    at=$((at + READ_PIECE < $2 ? at + READ_PIECE : $2))
    [[ ! -e $WORK/reading ]] || echo "$at" >"$WORK/reading"
    progress $((HASHED_BYTES + at)) "$3"
    [[ $OPT_BANDWIDTH ]] || continue
    now_ms && due=$((from + at * 1000 / (OPT_BANDWIDTH * 1048576) - REPLY))
    ((due <= 0)) || nap "$((due / 1000)).$(printf '%03d' $((due % 1000)))"
  done
}

# json_checksums: REPLY is {"NAME":{"size":n,"sha256":"…"},…}
json_checksums() {
  local name
  local -a files=()
  for name in "${SUM_NAMES[@]}"; do
    json_object n size "${SUM_SIZE[$name]}" s sha256 "${SUM[$name]}"
    files+=(r "$name" "$REPLY")
  done
  json_object "${files[@]}"
}

# answer_checksums NEW [DIFFERING]: the names of files that differ, where there was something to compare with.
answer_checksums() {
  local files there
  list_files
  json_strings "${LINES[@]}" && there=$REPLY
  json_checksums && files=$REPLY
  json_object n v 1 s path "$OPT_PATH" b new "$1" n bytes "${HASHED_BYTES:-0}" r differs "${2-}" r there "$there" r files "$files"
  answer_good "$REPLY"
}

# ---- take and keep: a copy of the books, from the service to the NAS ------------------------------------
#
# The bytes come first, piece by piece, into the directory of a job that has not begun: the stdin of start is for secrets. The job then
# finds them whole, by their checksum, or refuses.

readonly BOOKS_DIR=chainkeeper-books COPY_PATTERN='^books-[0-9]{4}(\.[0-9]{2}){5}\.jsonl\.gz$'
readonly TAKE_BYTES=$((8 * 1024 * 1024)) TAKE_SECONDS=60 # of one piece
TAKEN_FD=''

operation_take() {
  local size
  job_open
  [[ $OPT_FROM =~ ^[0-9]{1,12}$ ]] || bad_option "Not a valid offset: $OPT_FROM"
  work_open
  [[ ! -e $JOB_DIR/started ]] || die "Job $OPT_JOB has begun" job-busy
  # The lock dates the directory: where no job ever begins, it is removed with the old ones.
  { mkdir -p -- "$JOB_DIR" && : >>"$JOB_DIR/lock"; } || job_unwritable
  exec {TAKEN_FD}<&0
  run "$TAKE_SECONDS" take_piece || die "Cannot take the bytes for job $OPT_JOB: $RUN_ERR" take-failed
  size=$(stat -c %s -- "$JOB_DIR/input")
  json_object n v 1 s job "$OPT_JOB" n size "$size"
  answer_good "$REPLY"
}

take_piece() {
  dd of="$JOB_DIR/input" bs=64K count="$TAKE_BYTES" iflag=fullblock,count_bytes oflag=seek_bytes seek="$((10#$OPT_FROM))" conv=notrunc status=none <&"$TAKEN_FD"
}

operation_keep() {
  local name kept removed
  local -a copies=() gone=()
  need OPT_NAME --name
  need OPT_SHA256 --sha256
  need OPT_LAST --last
  [[ $JOB_DIR && -s $JOB_DIR/input ]] || die 'Nothing was handed over to be kept' input-missing
  work_open
  always_push rm -f -- "$JOB_DIR/input"
  run 600 sha256sum -- "$JOB_DIR/input" || die "Cannot read what was handed over: $RUN_ERR" input-differs
  [[ ${RUN_OUT#\\} == "$OPT_SHA256 "* ]] || die 'What was handed over is not what was to be kept' input-differs
  mount_repository
  stays_inside "$BOOKS_DIR"
  nas test -d "$MNT/$BOOKS_DIR" || nas mkdir -m 0700 -- "$MNT/$BOOKS_DIR" || die "Cannot create $BOOKS_DIR on the NAS: $RUN_ERR" nas-not-writable
  put_file "$JOB_DIR/input" "$BOOKS_DIR" "$OPT_NAME"
  nas ls -A -- "$MNT/$BOOKS_DIR" || die "Cannot look at $BOOKS_DIR on the NAS: $RUN_ERR" read-failed
  lines "$RUN_OUT"
  # Their names are in the order of time.
  for name in "${LINES[@]}"; do [[ ! $name =~ $COPY_PATTERN ]] || copies+=("$name"); done
  while ((${#copies[@]} > OPT_LAST)); do
    nas rm -f -- "$MNT/$BOOKS_DIR/${copies[0]}" && gone+=("${copies[0]}") || left "$BOOKS_DIR/${copies[0]} on the NAS ($RUN_ERR)"
    copies=("${copies[@]:1}")
  done
  json_strings "${copies[@]}" && kept=$REPLY
  json_strings "${gone[@]}" && removed=$REPLY
  json_object n v 1 s name "$OPT_NAME" r kept "$kept" r removed "$removed"
  answer_good "$REPLY"
}

# ---- one operation on a machine at a time, and none of a lease that has passed on -----------------

# vm_lock NAME: holds the machine's lock (descriptor 9) until this process ends.
vm_lock() { vm_try_lock "$1" 2 || die "Another operation works on $1" vm-busy; }

# vm_try_lock NAME SECONDS: false when somebody else holds it for that long.
vm_try_lock() {
  mkdir -p -- "$STATE_DIR/locks"
  exec 9>>"$STATE_DIR/locks/$1"
  flock -w "$2" 9 || { exec 9>&- && return 1; }
}

# fence_check NAME EPOCH: under the machine's lock: keeps the highest epoch seen, refuses a lower one. A caller without
# leases (CloudStack) has no epoch.
fence_check() {
  [[ $2 ]] || return 0
  fence_compare "$1" "$2"
  ((FENCE_SEEN < 10#$2)) || return 0
  # On disk before it counts: an empty file after a power cut would forget it.
  printf '%s\n' "$((10#$2))" >"$STATE_DIR/fence/.$1.new"
  sync -- "$STATE_DIR/fence/.$1.new"
  mv -f -- "$STATE_DIR/fence/.$1.new" "$STATE_DIR/fence/$1"
}

# fence_compare NAME EPOCH: dies with fence-stale when a higher epoch has been here; FENCE_SEEN is the highest so far.
fence_compare() {
  mkdir -p -- "$STATE_DIR/fence"
  FENCE_SEEN=-1
  if [[ -e $STATE_DIR/fence/$1 ]]; then
    read -r FENCE_SEEN <"$STATE_DIR/fence/$1" || :
    [[ $FENCE_SEEN =~ ^[0-9]{1,15}$ ]] || die "The fence of $1 is damaged: $STATE_DIR/fence/$1" fence-damaged
  fi
  ((10#$2 >= FENCE_SEEN)) || die "Epoch $((10#$2)) is over for $1: $FENCE_SEEN has been here" fence-stale
}
FENCE_SEEN=-1

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

# ---- the runner of a job --------------------------------------------------------------------------
#
# It runs detached, waits for the operation, and writes down how it ended. It does nothing else that could fail.

JOB_CHILD='' JOB_CODE='' JOB_SIGNALLED=''

# job_run: never returns.
job_run() {
  trap job_end EXIT
  trap job_stop TERM
  trap '' INT HUP PIPE
  job_write pid "$$"
  job_arguments
  job_prepare
  if [[ $JOB_STOCK ]]; then job_stock; else job_own; fi
  [[ ! $JOB_SIGNALLED ]] || job_stop
  job_wait
  exit 0
}

# job_prepare: what abort must know of the time before: was the guest running, and where the mounts of this job will be.
job_prepare() {
  JOB_TMP=$(mktemp -d /tmp/csbackup.XXXXXX) && chmod 0711 "$JOB_TMP" # QEMU's user goes through it
  job_write tmp "$JOB_TMP"
  [[ $JOB_VM ]] || return 0
  work_open
  run 5 "${VIRSH[@]}" domstate "$JOB_VM" && job_write vm_before "$RUN_OUT"
  unwind good
}

job_own() {
  "$BASH" "$SCRIPT_FILE" --job "$OPT_JOB" --fence "$OPT_FENCE" "${OPT_REST[@]}" </dev/null &
  JOB_CHILD=$!
}

# A stock script knows neither locks nor fences: the runner holds them for it. It makes its mount points in TMPDIR.
job_stock() {
  trusted_file "$STOCK_SCRIPT" || die "The stock script $STOCK_SCRIPT must belong to root and be writable by root alone" host-conf
  [[ ! $JOB_VM ]] || { vm_lock "$JOB_VM" && fence_check "$JOB_VM" "$OPT_FENCE"; }
  local -a arguments=("${OPT_REST[@]:1}")
  local i
  # It takes mount options from its command line alone, and then they are seen there: nothing to be done from outside.
  if [[ -e $JOB_DIR/secrets ]]; then
    local -A secrets=()
    json_read secrets "$(<"$JOB_DIR/secrets")"
    if json_get secrets mountOptions; then
      for i in "${!arguments[@]}"; do [[ ${arguments[i]} != @(-m|--mount) ]] || arguments[i + 1]=$REPLY; done
    fi
  fi
  TMPDIR=$JOB_TMP "$STOCK_SCRIPT" "${arguments[@]}" </dev/null 9>&- &
  JOB_CHILD=$!
}

# job_wait: a signal ends `wait` early; the child's own end is what counts.
job_wait() {
  local code
  while :; do
    JOB_SIGNALLED='' code=0
    wait "$JOB_CHILD" || code=$?
    ((code == 127)) && [[ $JOB_CODE ]] || JOB_CODE=$code
    [[ $JOB_SIGNALLED ]] || break
  done
}

# job_stop: ours ends in good order when its shell alone is told; a stock script has no trap, so everything in it must be told.
job_stop() {
  JOB_SIGNALLED=yes
  [[ $JOB_CHILD ]] || return 0
  if [[ $JOB_STOCK ]]; then
    trap : TERM
    kill -TERM 0
  else
    kill -TERM "$JOB_CHILD" 2>/dev/null || :
  fi
}

# job_end: the one way out. An operation killed by a signal that abort did not send has not finished its work or its cleaning:
# without `exit` the job is unknown, and that is the truth.
job_end() {
  local code=${JOB_CODE:-1} IFS=$' \t\n'
  trap - ERR
  trap : TERM
  set +e
  [[ $JOB_CODE ]] || printf '%s: %s\n' "${ERROR_CODE:-internal}" "${ERROR_TEXT:-the runner failed}" >&2
  rm -f -- "$JOB_DIR/secrets"
  job_sweep_mounts
  unwind good
  job_write ended
  if ((code < 128)) || [[ -e $JOB_DIR/aborted ]]; then
    job_write exit "$code"
  else
    printf 'The operation was killed by signal %s: its outcome is not known\n' "$((code - 128))" >&2
  fi
  DONE=yes
  exec 9>&- 8>&-
  job_prune
  exit 0
}

# job_sweep_mounts: no mount of a job outlives it. Ours has none left; a stock script leaves its own after a stopped VM.
job_sweep_mounts() {
  [[ $JOB_TMP == /tmp/csbackup.* && -d $JOB_TMP ]] || return 0
  local point seconds=5
  [[ $OPT_OPERATION != abort ]] || seconds=2 # somebody waits for the guest
  [[ $WORK && -d $WORK ]] || work_open
  look_at_mounts
  for point in "${MOUNTS[@]}"; do
    [[ $point == "$JOB_TMP"/* ]] || continue
    # -c: to look at the path of a mount that hangs would hang, too.
    run "$seconds" umount -c -- "$point" || run 2 umount -c -l -- "$point" || { left "mount $point (${RUN_ERR//$'\n'/; })" && continue; }
    rmdir -- "$point" || :
  done
  mounted_below "$JOB_TMP" || rm -rf --one-file-system -- "$JOB_TMP"
}

# job_prune: once a day, directories of jobs that ended more than 30 days ago. The books have long had what they said.
job_prune() {
  local today dir
  printf -v today '%(%Y-%m-%d)T' -1
  [[ ! -e $STATE_DIR/pruned || $(<"$STATE_DIR/pruned") != "$today" ]] || return 0
  touch -d '30 days ago' "$STATE_DIR/prune-before"
  for dir in "$STATE_DIR"/jobs/*/; do
    [[ -e $dir && $dir/lock -ot $STATE_DIR/prune-before && (! -e $dir/started || $dir/started -ot $STATE_DIR/prune-before) ]] || continue
    [[ ! -e $dir/ended || $dir/ended -ot $STATE_DIR/prune-before ]] || continue
    restore_is_settled "$dir" || continue
    flock -n "$dir/lock" rm -rf -- "$dir"
  done
  printf '%s\n' "$today" >"$STATE_DIR/pruned"
}

# ---- abort: end a job and leave the guest as it was, within ten seconds --------------------------
#
# The operation is asked first and cleans up by itself. Whatever it could not do any more is done here: libvirt's job, the
# guest's filesystems, a guest our job has paused, disks of a restore, mounts.

ABORT_HOW=none       # term, kill or none
ABORT_LIBVIRT=none   # none, aborted, hung, foreign, unreachable
ABORT_RESUMED=false ABORT_THAWED=false

operation_abort() {
  job_open
  work_open
  VIRSH_SECONDS=2 # nothing here may wait long for a libvirt that hangs
  job_look
  if [[ $JOB_STATE == absent ]] && job_claim; then job_forestall; fi
  job_look
  if [[ $JOB_STATE == running ]]; then job_halt; fi
  if [[ $JOB_STATE == unknown || -e $JOB_DIR/aborted ]]; then job_aftercare; fi
  job_look
  local code=0
  [[ $JOB_STATE != running ]] || left "job $OPT_JOB, which does not end"
  ((${#LEFT[@]} == 0)) || code=$EXIT_CLEANUP_FAILED
  json_strings "${LEFT[@]}"
  json_object s how "$ABORT_HOW" s libvirtJob "$ABORT_LIBVIRT" b resumed "$ABORT_RESUMED" b thawed "$ABORT_THAWED" s restore "$SETTLED" r left "$REPLY"
  job_answer "\"abort\":$REPLY" "$code"
}

# job_forestall: a job that has not begun has ended with this: its start may still be on its way, and nobody would follow what it began.
# Holding the lock; `started` comes first, so that a start which comes meanwhile begins nothing, and says no time: it never ran.
job_forestall() {
  printf 'Stopped before it began\n' >"$JOB_DIR/stdout" && job_write started '' && job_write aborted && job_write ended &&
    job_write exit "$EXIT_FAILED" || job_unwritable
  exec 8>&-
}

# job_halt: TERM to the runner, which knows whom to tell; KILL to its whole group when that has no effect.
job_halt() {
  local pid
  job_write aborted
  job_pid || return 0
  pid=$REPLY ABORT_HOW=term
  local turn
  # Again and again: a process that is just being started may lose a signal.
  for turn in 1 2 3 4 5 6; do
    # The runner may have been killed while its operation lives on: the group's number is not given away as long as it does.
    if [[ /proc/$pid/fd/8 -ef $JOB_DIR/lock ]]; then kill -TERM "$pid" 2>/dev/null || :; else kill -TERM -- "-$pid" 2>/dev/null || :; fi
    job_ends_within 1000 && return 0
  done
  ABORT_HOW=kill
  kill -KILL -- "-$pid" 2>/dev/null || :
  job_ends_within 500 || return 0
  job_finished || { job_write ended && job_write exit 137; }
  rm -f -- "$JOB_DIR/secrets"
}

# job_pid: REPLY is the runner's pid; a job that is just being started gets the moment it needs to write it.
job_pid() {
  local i
  for ((i = 0; i < 50; i++)); do
    job_text pid && [[ $REPLY =~ ^[1-9][0-9]*$ ]] && return 0
    job_alive || return 1
    nap 0.02
  done
  return 1
}

job_ends_within() {
  local until
  now_ms && until=$((REPLY + $1))
  while job_alive; do
    now_ms
    ((REPLY < until)) || return 1
    nap 0.05
  done
}

# job_aftercare: what is left of a job whose operation has ended, well or not. Everything here may be done twice.
job_aftercare() {
  local -A parsed=()
  local i
  OPT_REST=()
  # One that was stopped before it began.
  [[ -e $JOB_DIR/argv.json ]] || return 0
  json_read parsed "$(<"$JOB_DIR/argv.json")" && json_get parsed '#' || return 0
  local count=$REPLY
  for ((i = 0; i < count; i++)); do json_get parsed "$i" || :; OPT_REST+=("$REPLY"); done
  job_arguments
  if [[ $JOB_WHAT == restore ]]; then job_settle; elif [[ $JOB_VM ]]; then job_free_guest && job_drop_scratch; fi
  ! job_text tmp || { JOB_TMP=$REPLY && job_sweep_mounts; }
}

# job_free_guest: whoever holds the machine's lock now is another operation, and what libvirt does is its job.
job_free_guest() {
  OPT_VM=$JOB_VM
  vm_try_lock "$OPT_VM" 1 || { ABORT_LIBVIRT=foreign && return 0; }
  # First of all: a job that hangs must not keep the guest frozen, too.
  [[ $JOB_QUIESCE != true ]] || job_thaw
  if ! virsh_q domjobinfo "$OPT_VM"; then
    is_gone "$RUN_ERR" || job_unreachable
    return 0
  fi
  [[ $RUN_OUT == *'Job type:'*None* ]] || job_end_libvirt || return 0
  job_resume_guest
}

# job_drop_scratch: what a pull has kept for its export, once there is none: its operation was killed before it could, and what lies on the
# host's disk would be in the way of the next one.
job_drop_scratch() {
  [[ $JOB_WHAT == backup && $JOB_PATH =~ $PATH_PATTERN && -d $SCRATCH_DIR/$JOB_PATH ]] || return 0
  [[ $ABORT_LIBVIRT == @(none|aborted) ]] || return 0
  SCRATCH=$SCRATCH_DIR/$JOB_PATH
  run 5 rm -rf --one-file-system -- "$SCRATCH" || left "scratch files in $SCRATCH: $RUN_ERR"
  rmdir -- "${SCRATCH%/*}" 2>/dev/null || :
}

# job_thaw: as often as the time allows. Nothing says whether the guest is frozen; where nobody can be asked it was never frozen.
job_thaw() {
  local attempt until
  now_ms && until=$((REPLY + 2000))
  for attempt in 1 2 3; do
    virsh_q domfsthaw "$OPT_VM" && ABORT_THAWED=true && return 0
    ! is_gone "$RUN_ERR" && [[ $RUN_ERR != *'guest agent is not '@(connected|configured)* ]] || return 0
    now_ms
    ((REPLY < until)) || break
  done
  left "frozen filesystems in $OPT_VM, if they were frozen, after $attempt attempts: $RUN_ERR"
}

# job_settle: a restore that did not end by itself: its disks are all in place, or none.
job_settle() {
  OPT_VM=$JOB_VM
  vm_try_lock "$OPT_VM" 1 || { left "the restore of job $OPT_JOB: another operation works on $OPT_VM" && return 0; }
  settle_restore
}

job_unreachable() { ABORT_LIBVIRT=unreachable && left "libvirt does not answer: $RUN_ERR"; }

# job_end_libvirt: libvirt's answer to domjobabort is not the end of the job: with a target that hangs it never comes.
job_end_libvirt() {
  local until
  # `backup-dumpxml` shows where the job writes: below this job's mounts or path, else it is somebody else's.
  virsh_q backup-dumpxml "$OPT_VM" || has_no_backup "$RUN_ERR" || { job_unreachable && return 1; }
  job_text tmp || :
  [[ $RUN_OUT == *"'${REPLY:-/none}/"* || $JOB_PATH && $RUN_OUT == *"/$JOB_PATH/"* ]] || { ABORT_LIBVIRT=foreign && return 1; }
  virsh_q domjobabort "$OPT_VM" || :
  now_ms && until=$((REPLY + 2000))
  until virsh_q domjobinfo "$OPT_VM" && [[ $RUN_OUT == *'Job type:'*None* ]]; do
    ! is_gone "$RUN_ERR" || break
    now_ms
    if ((REPLY >= until)); then
      ((RUN_CODE == 0)) || { job_unreachable && return 1; }
      ABORT_LIBVIRT=hung && left "libvirt's backup job of $OPT_VM: its target does not answer" && return 1
    fi
    nap 0.05
  done
  ABORT_LIBVIRT=aborted
}

# job_resume_guest: only a guest that ran before the job and that an I/O error has paused; the job is gone by now.
job_resume_guest() {
  virsh_q domstate "$OPT_VM" --reason && [[ $RUN_OUT == 'paused (I/O error)'* ]] || return 0
  job_text vm_before && [[ $REPLY == running ]] || { left "$OPT_VM paused by an I/O error" && return 0; }
  virsh_q resume "$OPT_VM" || :
  nap 1 # the error may come back at once
  virsh_q domstate "$OPT_VM" --reason || :
  if [[ $RUN_OUT == running* ]]; then ABORT_RESUMED=true; else left "$OPT_VM $RUN_OUT"; fi
}

# ---- retire: drop a bitmap of ours that is no longer a parent --------------------------------------
#
# Only the books know whether it still is one: they call this once the child is recorded. Nothing there is success, too.

operation_retire() {
  need OPT_VM -v
  need OPT_BITMAP --bitmap
  need OPT_FENCE --fence
  work_open
  vm_lock "$OPT_VM"
  fence_check "$OPT_VM" "$OPT_FENCE"
  retire_look
  local found recorded=false
  disks_with_bitmap && found=$REPLY
  ! has_checkpoint "$OPT_BITMAP" || recorded=true
  bitmap_drop "$OPT_BITMAP" || die "Cannot retire $OPT_BITMAP of $OPT_VM: $RUN_ERR" retire-failed
  # No answer of libvirt or QEMU counts, only what is there afterwards.
  retire_look
  disks_with_bitmap
  [[ $REPLY == '[]' ]] && ! has_checkpoint "$OPT_BITMAP" || die "$OPT_BITMAP of $OPT_VM is still there after it was removed: $REPLY" retire-failed
  json_object n v 1 s vm "$OPT_VM" s state "${VM_STATE/absent/shut off}" s bitmap "$OPT_BITMAP" r removedFrom "$found" b checkpointRemoved "$recorded"
  unwind good
  printf '%s\n' "$REPLY"
  DONE=yes
  exit 0
}

# retire_look: the disks as they are now; every one must be readable, or "absent" would be a guess.
retire_look() {
  local i
  CHECKPOINTS=()
  look_at_state || die "libvirt does not answer: $RUN_ERR" libvirt-unreachable
  if vm_is_live; then
    ! job_active || die "$OPT_VM is busy with another job: ${JOB_OPERATION:-unknown}" job-busy
    { look_at_live_disks && look_at_checkpoints; } || die_unless_gone "Cannot look at $OPT_VM"
  else
    [[ $OPT_DISK_PATHS || $VM_STATE == 'shut off' ]] || die "$OPT_VM does not run: its disks must be told with -d" vm-not-found
    look_at_stopped_disks || die "Cannot look at the disks of $OPT_VM: $RUN_ERR" libvirt-unreachable
    for ((i = 0; i < DISKS; i++)); do [[ ! ${D[$i.inuse]} ]] || die "Cannot look at a disk of $OPT_VM: ${D[$i.inuse]}" disk-unreadable; done
  fi
}

# disks_with_bitmap: REPLY is the JSON array of the disks that have it, by target or, when stopped, by path.
disks_with_bitmap() {
  local i
  local -a having=()
  for ((i = 0; i < DISKS; i++)); do
    has_bitmap "$i" "$OPT_BITMAP" || continue
    if vm_is_live; then having+=("${D[$i.target]}"); else having+=("${D[$i.path]}"); fi
  done
  json_strings "${having[@]}"
}

# ---- release: take all our bitmaps off a machine ---------------------------------------------------
#
# Before an internal snapshot is reverted, which libvirt refuses while bitmaps are there, or when a machine leaves. The next backup
# is a full. With --dry-run it only tells what is there. Nothing there is success, too.

operation_release() {
  need OPT_VM -v
  [[ $OPT_DRY_RUN ]] || need OPT_FENCE --fence
  work_open
  vm_lock "$OPT_VM"
  [[ $OPT_DRY_RUN ]] || fence_check "$OPT_VM" "$OPT_FENCE"
  retire_look
  local name ours
  local -a released=()
  our_bitmaps && ours=$REPLY
  for name in $ours; do released_bitmap "$name" && released+=("$REPLY"); done
  if [[ ! $OPT_DRY_RUN ]]; then
    for name in $ours; do bitmap_drop "$name" || die "Cannot remove $name from $OPT_VM: $RUN_ERR" release-failed; done
    # No answer of libvirt or QEMU counts, only what is there afterwards.
    retire_look
    our_bitmaps
    [[ ! $REPLY ]] || die "Still on $OPT_VM after they were removed: $REPLY" release-failed
  fi
  json_array "${released[@]}"
  json_object n v 1 s vm "$OPT_VM" s state "${VM_STATE/absent/shut off}" b dryRun "${OPT_DRY_RUN:-false}" r bitmaps "$REPLY"
  unwind good
  printf '%s\n' "$REPLY"
  DONE=yes
  exit 0
}

# our_bitmaps: REPLY is the names of all checkpoints and bitmaps of ours, each once.
our_bitmaps() {
  local i name all="${CHECKPOINTS[*]} "
  for ((i = 0; i < DISKS; i++)); do all+=${D[$i.bitmaps]}; done
  REPLY=
  for name in $all; do [[ ! $name =~ $BITMAP_PATTERN || " $REPLY" == *" $name "* ]] || REPLY+="$name "; done
}

# released_bitmap NAME: REPLY is {"name","disks","checkpoint"}.
released_bitmap() {
  local recorded=false
  OPT_BITMAP=$1
  ! has_checkpoint "$1" || recorded=true
  disks_with_bitmap
  json_object s name "$1" r disks "$REPLY" b checkpoint "$recorded"
}

# ---- sweep: what calls and jobs left behind that were killed ----------------------------------------
#
# Ours is what a job directory or the private directory of a call has made note of, and nothing else: a stock script's mounts look
# the same. Whose process or lock still lives is not looked at further. What is safe goes; the rest is told, with the way out.

SWEPT=()      # one JSON object for each thing found
SWEEP_KNOWN='' # paths that a job or a call has made note of, each in its own line
SWEEP_KEPT=''  # those of them that stay
declare -A MACHINE_BACKUP=() MACHINE_STATE=() DEAD_JOB=()

operation_sweep() {
  work_open
  sweep_look_at_machines
  sweep_jobs
  sweep_calls
  sweep_guests
  sweep_strangers
  json_array "${SWEPT[@]}"
  json_object n v 1 b dryRun "${OPT_DRY_RUN:-false}" r items "$REPLY"
  unwind good
  printf '%s\n' "$REPLY"
  DONE=yes
  exit 0
}

# swept CODE SUBJECT removed|would-be-removed|left TEXT
swept() { json_object s code "$1" s subject "$2" s action "$3" s text "$4" && SWEPT+=("$REPLY"); }

# sweep_look_at_machines: what libvirt is doing for backups now, whoever began it.
sweep_look_at_machines() {
  local vm
  virsh_q list --name || { SWEEP_BLIND=$RUN_ERR && swept libvirt-silent libvirt left "libvirt does not answer, so nothing is removed that one of its jobs could use: $RUN_ERR" && return 0; }
  lines "$RUN_OUT"
  for vm in "${LINES[@]}"; do
    ! virsh_q backup-dumpxml "$vm" || MACHINE_BACKUP[$vm]=$RUN_OUT
    ! virsh_q domstate "$vm" --reason || MACHINE_STATE[$vm]=$RUN_OUT
  done
}
SWEEP_BLIND=''

sweep_jobs() {
  local dir abort
  for dir in "$STATE_DIR"/jobs/*/; do
    JOB_DIR=${dir%/} OPT_JOB=${JOB_DIR##*/}
    [[ -e $JOB_DIR/started && $OPT_JOB =~ $JOB_PATTERN ]] || continue
    if job_alive; then
      ! job_text tmp || SWEEP_KNOWN+=$REPLY$'\n'
      continue
    fi
    [[ ! -e $JOB_DIR/secrets ]] || sweep_away secrets "$JOB_DIR/secrets" "left by job $OPT_JOB" rm -f -- "$JOB_DIR/secrets" || :
    # After an end of its own, abort has nothing more to do.
    abort="$SCRIPT_FILE abort --job $OPT_JOB"
    [[ ! -e $JOB_DIR/exit || -e $JOB_DIR/aborted ]] || abort=''
    ! job_text tmp || sweep_folder "$REPLY" "job $OPT_JOB, which has ended" "$abort" || :
    restore_is_settled "$JOB_DIR" || sweep_restore
    [[ -e $JOB_DIR/exit ]] || ! job_machine || DEAD_JOB[$REPLY]=$OPT_JOB
  done
}

# sweep_restore: disks of a restore that died: put in place where all were, else taken back, as abort does.
sweep_restore() {
  local vm
  job_machine && vm=$REPLY || return 0
  if [[ $OPT_DRY_RUN ]]; then
    swept restore "$vm" would-be-removed "what the restore of job $OPT_JOB has begun and not ended"
    return 0
  fi
  local -a LEFT=()
  OPT_VM=$vm
  if vm_try_lock "$vm" 0; then settle_restore; else SETTLED='' && left "another operation works on $vm"; fi
  exec 9>&-
  if [[ $SETTLED ]]; then swept restore "$vm" removed "what the restore of job $OPT_JOB has begun and not ended: $SETTLED"
  else swept restore "$vm" left "the restore of job $OPT_JOB is not settled: ${LEFT[*]}"; fi
}

# job_machine: REPLY is the machine that a job was about; false when it was about none.
job_machine() {
  local i count
  local -A parsed=()
  [[ -e $JOB_DIR/argv.json ]] && json_read parsed "$(<"$JOB_DIR/argv.json")" && json_get parsed '#' || return 1
  count=$REPLY
  for ((i = 0; i + 1 < count; i++)); do
    json_get parsed "$i" && [[ $REPLY == @(-v|--vm) ]] && json_get parsed $((i + 1)) && return 0
  done
  return 1
}

# sweep_calls: the private directories of calls. A call that was killed cannot remove its own, nor what it noted there.
sweep_calls() {
  local dir path kept i
  for dir in "$STATE_DIR"/work.*/; do
    dir=${dir%/}
    [[ -d $dir && $dir != "$WORK" ]] || continue
    local -a owned=()
    [[ ! -e $dir/owned ]] || mapfile -t owned <"$dir/owned"
    if work_alive "$dir"; then
      for path in "${owned[@]}"; do SWEEP_KNOWN+=$path$'\n'; done
      continue
    fi
    kept=''
    # The last one first: it may lie in a mount that was made before.
    for ((i = ${#owned[@]} - 1; i >= 0; i--)); do sweep_folder "${owned[i]}" 'a killed call' || kept=yes; done
    # The note stays as long as what it tells of.
    if [[ $kept ]]; then [[ $OPT_DRY_RUN ]] || rm -rf -- "${dir:?}"/!(owner|owned)
    else sweep_away work-dir "$dir" 'left by a killed call' rm -rf --one-file-system -- "$dir" || :; fi
  done
}

# work_alive DIR: the call that made it lives. One that has not yet said who it is has an hour for it.
work_alive() {
  local pid='' start=''
  if [[ -e $1/owner ]] && read -r pid start <"$1/owner" && [[ $pid =~ ^[0-9]+$ ]]; then
    process_start "$pid" && [[ $REPLY == "$start" ]]
  else
    [[ ! $(find "$1" -maxdepth 0 -mmin +60) ]]
  fi
}

# sweep_folder PATH OWNER [ABORT]: a mount point, a folder of mount points or sockets, scratch files, or what a check wrote into a mount.
# False when it stays.
sweep_folder() {
  local code=tmp-dir vm
  local -a remove=(sweep_remove "$1")
  [[ $1 == @(/tmp/csbackup.*|"$SCRATCH_DIR"/*) && /$1/ != */../* ]] || return 0
  # One that is mounted is not looked at: it may hang.
  if mounted "$1" || mounted_below "$1"; then code=mount
  elif [[ $1 == */.chainkeeper-check.* ]]; then
    mounted "${1%/*}" || return 0
    code=check-dir remove=(run "$CHECK_SECONDS" rm -rf --one-file-system -- "$1")
  elif [[ ! -e $1 ]]; then return 0
  elif [[ $1 == "$SCRATCH_DIR"/* ]]; then code=scratch; fi
  # A job's folder says all about what is in it.
  ! below "$1" "$SWEEP_KEPT" || return 1
  ! below "$1" "$SWEEP_KNOWN" || return 0
  SWEEP_KNOWN+=$1$'\n'
  for vm in "${!MACHINE_BACKUP[@]}"; do
    [[ ${MACHINE_BACKUP[$vm]} == *"'$1/"* ]] || continue
    swept libvirt-job "$vm" left "libvirt's backup job of $vm goes on, begun by ${2%,*}; end it with: ${3:-virsh domjobabort $vm}"
    swept "$code" "$1" left "left by $2, and libvirt's backup job of $vm uses it"
    SWEEP_KEPT+=$1$'\n' && return 1
  done
  sweep_away "$code" "$1" "left by $2" "${remove[@]}" || { SWEEP_KEPT+=$1$'\n' && return 1; }
}

# sweep_away CODE PATH WHAT COMMAND...: false when it stays.
sweep_away() {
  if [[ $SWEEP_BLIND && $1 == @(mount|tmp-dir|scratch) ]]; then
    swept "$1" "$2" left "$3; whether libvirt uses it is not known" && return 1
  elif in_use "$2"; then
    swept "$1" "$2" left "$3, and process $REPLY uses it" && return 1
  elif [[ $OPT_DRY_RUN ]]; then
    swept "$1" "$2" would-be-removed "$3"
  elif "${@:4}"; then
    swept "$1" "$2" removed "$3"
  else
    swept "$1" "$2" left "$3, and cannot be removed: ${RUN_ERR//$'\n'/; }" && return 1
  fi
}

# in_use PATH: REPLY is a process that stands in it or has something of it open.
in_use() {
  run 20 find /proc/[0-9]*/cwd /proc/[0-9]*/fd \( -lname "$1" -o -lname "$1/*" \) -print -quit || RUN_ERR= # processes come and go
  REPLY=${RUN_OUT#/proc/} && REPLY=${REPLY%%/*}
  [[ $REPLY ]]
}

sweep_remove() {
  local point
  look_at_mounts
  for point in "${MOUNTS[@]}"; do
    [[ $point/ != "$1"/* ]] || run 5 umount -c -- "$point" || return 1
  done
  run 60 rm -rf --one-file-system -- "$1"
}

# sweep_guests: told only: what stopped a guest may still be there, and only a person knows whether it may go on.
sweep_guests() {
  local vm
  for vm in "${!MACHINE_STATE[@]}"; do
    [[ ${MACHINE_STATE[$vm]} == 'paused (I/O error)'* ]] || continue
    [[ ! -e $STATE_DIR/locks/$vm ]] || flock -n "$STATE_DIR/locks/$vm" true || continue
    if [[ ${DEAD_JOB[$vm]-} ]]; then
      swept paused-guest "$vm" left "an I/O error stopped it, and job ${DEAD_JOB[$vm]} died on it; this resumes it: $SCRIPT_FILE abort --job ${DEAD_JOB[$vm]}"
    else
      swept paused-guest "$vm" left "an I/O error stopped it, and no operation of ours is at work on it; when its storage is well: virsh resume $vm"
    fi
  done
}

# sweep_strangers: mounts that look like ours and that nobody here has made note of.
sweep_strangers() {
  local point
  look_at_mounts
  for point in "${MOUNTS[@]}"; do
    [[ $point == /tmp/csbackup.* ]] || continue
    below "$point" "$SWEEP_KNOWN" || swept stranger "$point" left 'a mount like ours that is in no note of ours: a stock script, perhaps at work, or an older version made it'
  done
}

# below PATH LIST: it is one of these paths, or inside of one.
below() {
  local known
  lines "$2"
  for known in "${LINES[@]}"; do [[ $1/ != "$known"/* ]] || return 0; done
  return 1
}

# ---- dispatch -------------------------------------------------------------------------------------

main() {
  arm_traps
  timing_start total
  parse_options "$@"
  read_host_conf
  OPT_DIALECT=${OPT_DIALECT:-$DEFAULT_DIALECT}
  job_join
  case $OPT_OPERATION in
    backup | delete | stats | inspect | check | start | status | abort | restore | retire | release | sweep | describe | checksum | take | keep) "operation_$OPT_OPERATION" ;;
    '') usage && DONE=yes && exit "$EXIT_FAILED" ;;
    *) bad_option "Unknown operation: $OPT_OPERATION" ;;
  esac
}

main "$@"

