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
  VM=i-$BATS_TEST_NUMBER-$((BATS_ROOT_PID % 90000 + 10000))-VM
  SCRIPT=$LAB_DIR/host/nasbackup.sh
  NAS=$LAB_DIR/nas
  STAMP=0
  BITMAP=''
  ALLOWED=()
}

# Nothing may be left on the host but the checkpoints that the test knows of.
leave_host() {
  local code=0
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

# scatter: 75 MiB in 1200 pieces. QEMU copies what is in one piece in one go, and no speed limit stops that.
scatter() {
  local i
  for ((i = 0; i < 1200; i++)); do echo "write vda 0x22 $((i * 131072)) 64K"; done | lab write-many "$VM"
}

# slow_job [BYTES_PER_SECOND]: waits for the backup job to run, and slows it down; fails when it is too late for that.
slow_job() {
  local jobs id
  for _ in {1..200}; do
    jobs=$(virsh_q qemu-monitor-command "$VM" '{"execute":"query-block-jobs"}' 2>/dev/null | jq -r '.return[]?.device')
    [[ $jobs ]] && break
  done
  for id in $jobs; do
    virsh_q qemu-monitor-command "$VM" "{\"execute\":\"block-job-set-speed\",\"arguments\":{\"device\":\"$id\",\"speed\":${1:-1000000}}}" >/dev/null
  done
  [[ $jobs && $(virsh_q domjobinfo "$VM" --rawstats) != *'disk_remaining: 0'* ]] || { echo 'the job was over too soon' >&2 && return 1; }
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

# The mount point of the run in progress.
mount_of_run() { awk '$5 ~ "^/tmp/csbackup[.]" { print $5 }' /proc/self/mountinfo | while read -r dir; do [[ ! -d $dir/$VM ]] || echo "$dir"; done; }

# ended_within SECONDS: the script that was begun, from now on.
ended_within() {
  local until=$((${EPOCHREALTIME/./} + $1 * 1000000))
  while kill -0 "$SCRIPT_PID" 2>/dev/null; do
    ((${EPOCHREALTIME/./} < until)) || { echo "still running after $1 s" >&2 && return 1; }
    sleep 0.05
  done
}

# untouched: a failed run left nothing: no directory, no bitmap of its own, the machine in its state, the parent's bitmaps whole.
untouched() {
  [[ ! -e ${REPOSITORY:-$NAS}/$BACKUP_PATH ]] || { echo "$BACKUP_PATH is there" >&2 && return 1; }
  [[ " $(bitmaps_of)" != *" $BITMAP,"* ]] || { echo "bitmap $BITMAP is there" >&2 && return 1; }
}
