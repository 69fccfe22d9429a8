# What the tests of the host script share: a lab of their own, one backup in one line, the oracle on its result.
# shellcheck shell=bash disable=SC2034,SC2154

bats_require_minimum_version 1.5.0
LAB_SH=$BATS_TEST_DIRNAME/../../test/lab/lab.sh

lab() { "$LAB_SH" "$@"; }

host_up() {
  export LAB_DIR=/tmp/chainkeeper-host-$$ LAB_OWNER=$$
  lab up >/dev/null
  host_conf
}
host_down() { lab down; }

# host_conf [LINE...]: the lab's settings, and these. No reserve: the lab's disks are small.
host_conf() {
  printf '%s\n' "state_dir=$LAB_DIR/host/state" "scratch_dir=$LAB_DIR/host/scratch" reserve_bytes=0 "$@" >"$LAB_DIR/host/host.conf"
}

use_host() {
  VM=i-$BATS_SUITE_TEST_NUMBER-$((BATS_ROOT_PID % 90000 + 10000))-VM
  SCRIPT=$LAB_DIR/host/nasbackup.sh
  NAS=$LAB_DIR/nas
  STAMP=0
  BITMAP=''
  ALLOWED=()
}

# Nothing may be left on the host but the checkpoints that the test knows of.
leave_host() {
  local code=0
  # A test that failed while its NAS stood still: everything that looks there would, too.
  [[ ! ${LINE:-} ]] || line unlimited
  if [[ -e $LAB_DIR/run/$VM.disks ]]; then
    lab leaks "${ALLOWED[@]}" >&2 || code=1
    # libvirt takes a second for it, and the next test has a machine of another name.
    lab vm-remove "$VM" </dev/null >/dev/null 2>&1 3>&- &
  fi
  return "$code"
}

# new_vm DISK:SIZE...: running, with some data on each disk.
new_vm() {
  local disk
  lab vm-create "$VM" "${@:-vda:64M}"
  lab vm-start "$VM"
  for disk in "${@:-vda:64M}"; do lab write "$VM" "${disk%%:*}" 0x11 1M 2M; done
}
virsh_q() { virsh -q -c qemu:///system "$@"; }
image() { lab vm-disks "$VM" | awk -v target="$1" '$1 == target { print $2 }'; }
all_images() { lab vm-disks "$VM" | cut -f2 | paste -sd,; }
start_vm() { lab vm-start "$VM"; }
restart_vm() { lab vm-stop "$VM" && lab vm-start "$VM"; }

# flush_vm TARGET...: a guest's own flush: what was not flushed may be lost when QEMU is killed.
flush_vm() {
  local target alias
  for target; do
    alias=$(virsh_q dumpxml "$VM" | tr -d '\n' | sed "s/<\/disk>/&\n/g" | sed -n "/dev='$target'/s/.*<alias name='\([^']*\)'.*/\1/p")
    virsh_q qemu-monitor-command "$VM" --hmp "qemu-io -d /machine/peripheral/$alias/virtio-backend \"flush\"" >/dev/null
  done
}

# next: the names of the next backup.
next() {
  STAMP=$((STAMP + 1))
  PARENT=$BITMAP PARENT_PATH=${BACKUP_PATH:-}
  BITMAP=backup-$((1000 + STAMP))
  printf -v BACKUP_PATH '%s/2026.01.01.00.00.%02d' "$VM" "$STAMP"
}

script() { run --separate-stderr "$SCRIPT" "$@"; }
common() { COMMON=(-v "$VM" -t dir -s "${REPOSITORY:-$NAS}" -m '' -p "$BACKUP_PATH" -q "${QUIESCE:-false}" -d "${DISK_PATHS:-}" --dialect seed --facts); }

# full, incremental [OPTION...]: the next backup of the chain; its moment is kept under the name of its bitmap.
full() { next && lab moment "$VM" "$BITMAP" && common && script -o backup "${COMMON[@]}" -M full --bitmap-new "$BITMAP" "$@"; }
incremental() {
  next && lab moment "$VM" "$BITMAP" && common
  script -o backup "${COMMON[@]}" -M incremental --bitmap-new "$BITMAP" --bitmap-parent "$PARENT" --parent-paths "$(parent_files)" "$@"
}
# The attempt failed: the next one starts from the same parent.
forget() { BITMAP=$PARENT BACKUP_PATH=$PARENT_PATH; }

# parent_files: in the order of the disks: the first is root.
parent_files() {
  local target path i=0
  lab vm-disks "$VM" | while read -r target path _; do
    printf '%s%s/%s' "${comma:-}" "$PARENT_PATH" "$(file_of "$path" "$i")" && comma=, i=1
  done
}
file_of() { if (($2 == 0)); then echo "root.${1##*/}.qcow2"; else echo "datadisk.${1##*/}.qcow2"; fi; }

# fact FILTER: jq on FACTS.
fact() { jq -r "$1" <<<"$(sed -n 's/^FACTS=//p' <<<"$output")"; }

# expect VALUE FILTER
expect() {
  local is
  is=$(fact "$2")
  [[ $is == "$1" ]] || { printf '%s is %s, not %s\n%s\n%s\n' "$2" "$is" "$1" "$output" "$stderr" >&2 && return 1; }
}
done_is() { [[ $status -eq 0 ]] && expect "$1 $2" '"\(.done.mode) \(.done.reason)"' && expect true .cleanup.ok || { printf 'exit %s\n%s\n%s\n' "$status" "$output" "$stderr" >&2 && return 1; }; }
failed_is() { [[ $status -eq 1 ]] && expect "$1" .error.code && expect none .done.mode || { printf 'exit %s\n%s\n%s\n' "$status" "$output" "$stderr" >&2 && return 1; }; }

# identical [BITMAP PATH]: the oracle on every disk of that backup, the last one by default.
identical() {
  local target path i=0 answer
  while read -r target path _; do
    answer=$(lab same "$VM" "${1:-$BITMAP}" "$target" "${REPOSITORY:-$NAS}/${2:-$BACKUP_PATH}/$(file_of "$path" "$i")") || { echo "$target of ${2:-$BACKUP_PATH}: $answer" >&2 && return 1; }
    i=1
  done < <(lab vm-disks "$VM")
  ALLOWED+=("${1:-$BITMAP}")
}

# accounted: the three counts of the last incremental agree, disk by disk.
accounted() {
  expect true '[.disks[] | select(.method == "incremental") | .dirtyBefore <= .ownData + .ownZero] | all'
}
bitmaps_of() { lab bitmaps "$VM" | cut -f1-2 | tr '\t\n' ' ,'; }

# scatter: 8 MiB in pieces of 64K. QEMU copies 64 pieces at once, and no limit stops those.
scatter() {
  local i
  for ((i = 0; i < 128; i++)); do echo "write vda 0x22 $((i * 131072)) 64K"; done | lab write-many "$VM"
}

# slow_nas [DIR]: the NAS of this test is at the end of a line (`line SPEED`), so that a job takes as long as a test wants.
slow_nas() { LINE=line-$BATS_SUITE_TEST_NUMBER REPOSITORY=$(lab nas-slow "line-$BATS_SUITE_TEST_NUMBER" "$@"); }
line() { lab nas-speed "$LINE" "$1"; }
SLOW=1M # what `scatter` wrote takes eight seconds

# leave_free DIR BYTES: fills a nas-small, all but that.
leave_free() { fallocate -l "$(($(stat -f -c '%S*%a' "$1") - $2))" "$1/filler"; }

# caught [COMMAND...]: a backup job that has begun on a slow line is held in the middle by QEMU's own limit, on a NAS that is quick again, until
# let_go. Without the line, which stands still for that moment, it would be over too soon. COMMAND runs while the line is still slow.
caught() {
  local before now=none missed=0 limit
  in_flight
  line 0
  # QEMU may stand in the NAS itself, and answers only when that goes on.
  job_speed 1 3>&- &
  limit=$!
  for _ in {1..40}; do kill -0 "$limit" 2>/dev/null || break; sleep 0.05; done
  line "$SLOW"
  wait "$limit"
  "${@:-true}"
  line unlimited
  until before=$now && now=$(in_flight && virsh_q domjobinfo "$VM" --rawstats | grep disk_processed) && [[ $now == "$before" ]]; do
    # libvirt may be at work on something that QEMU told it, and refuse to say anything meanwhile.
    [[ $now ]] || ((++missed < 3)) || return 1
    sleep 0.5
  done
}
let_go() { job_speed 0; }
job_speed() {
  local id
  for id in $(virsh_q qemu-monitor-command "$VM" '{"execute":"query-block-jobs"}' | jq -r '.return[].device'); do
    virsh_q qemu-monitor-command "$VM" "{\"execute\":\"block-job-set-speed\",\"arguments\":{\"device\":\"$id\",\"speed\":$1}}" >/dev/null
  done
}

# in_flight: the backup job has begun to copy, and the slow line sees to it that it will not be over soon.
in_flight() {
  local info
  for _ in {1..400}; do
    info=$(virsh_q domjobinfo "$VM" --rawstats 2>/dev/null) || :
    if [[ $info == *'disk_processed: '[1-9]* && $info != *'disk_remaining: 0'* ]]; then return; fi
    sleep 0.02
  done
  echo "no backup job in flight: $info" >&2
  return 1
}

# converting: qemu-img copies a stopped machine's disk, and has something on the NAS already; CONVERT is its pid.
converting() {
  for _ in {1..400}; do
    CONVERT=$(pgrep -f "^qemu-img convert .*/$BACKUP_PATH/" | head -n 1)
    if [[ $CONVERT && -s $(compgen -G "$REPOSITORY/$BACKUP_PATH/*.qcow2") ]]; then return; fi
    sleep 0.02
  done
  echo 'no qemu-img convert' >&2
  return 1
}

# begin COMMAND...: the script in the background; end waits for it and sets status, output, stderr as run does.
begin() {
  "$SCRIPT" "$@" >"$BATS_TEST_TMPDIR/out" 2>"$BATS_TEST_TMPDIR/err" 3>&- &
  SCRIPT_PID=$!
}
end() {
  status=0
  wait "$SCRIPT_PID" || status=$?
  output=$(<"$BATS_TEST_TMPDIR/out") stderr=$(<"$BATS_TEST_TMPDIR/err")
  mapfile -t lines <<<"$output"
}
begin_incremental() {
  next && lab moment "$VM" "$BITMAP" && common
  begin -o backup "${COMMON[@]}" -M incremental --bitmap-new "$BITMAP" --bitmap-parent "$PARENT" --parent-paths "$(parent_files)" "$@"
}

# The mount point of the run in progress: a mount of this test's NAS. It is not touched: it may hang.
mount_of_run() {
  awk -v nas="${REPOSITORY:-$NAS}" '
    $5 == nas { device = $3 }
    $5 ~ "^/tmp/csbackup[.]" && ($3 == device || $4 != "/" && substr(nas, length(nas) - length($4) + 1) == $4) { print $5 }
  ' /proc/self/mountinfo
}

# leave_mount DIRECTORY: as soon as whoever was left in it has gone.
leave_mount() {
  for _ in {1..100}; do umount "$1" 2>/dev/null && break; sleep 0.1; done
  rmdir "$1"
}

# ended_within SECONDS: the script that was begun, from now on.
ended_within() {
  local until=${EPOCHREALTIME/./}
  patience "$1" && until=$((until + REPLY))
  while kill -0 "$SCRIPT_PID" 2>/dev/null; do
    ((${EPOCHREALTIME/./} < until)) || { echo "still running after $1 s (here and now $((REPLY / 1000)) ms)" >&2 && return 1; }
    sleep 0.05
  done
}

# patience SECONDS: REPLY is what they are in microseconds here and now: where others work, too, starting twenty processes takes
# more than the 40 ms of an idle machine, and everything else as much longer.
patience() {
  local from=${EPOCHREALTIME/./} _
  for _ in {1..20}; do /bin/true; done
  REPLY=$(((${EPOCHREALTIME/./} - from) / 40 * $1 * 1000))
  ((REPLY > $1 * 1000000)) || REPLY=$(($1 * 1000000))
}

# untouched: a failed run left nothing: no directory, no bitmap of its own, the machine in its state, the parent's bitmaps whole.
untouched() {
  [[ ! -e ${REPOSITORY:-$NAS}/$BACKUP_PATH ]] || { echo "$BACKUP_PATH is there" >&2 && return 1; }
  [[ " $(bitmaps_of)" != *" $BITMAP,"* ]] || { echo "bitmap $BITMAP is there" >&2 && return 1; }
}
