#!/usr/bin/env bats
# Backups of a machine whose guest is real and writes all the time. Its own log is the witness: of which writes it was promised, and of how
# long it waited. A restore point is the disk after exactly so many of them, byte for byte: no fewer than it had acknowledged before the
# backup was asked for, none that it began after the end. And every write that it was promised is on its disk in the end.

load host
setup_file() { host_up; }
teardown_file() { host_down; }
setup() { use_host; host_conf; }
teardown() { leave_host; }

# writing_guest: data everywhere, so that each write is over something that a backup has to keep.
writing_guest() {
  lab vm-create "$VM" vda:64M
  lab write "$VM" vda 0x5a 0 64M
  lab guest "$VM"
  lab vm-start "$VM"
  it_goes_on
}
acked() { lab guest-acked "$VM"; }
# it_goes_on: it runs, and acknowledges ten writes more; none has failed.
it_goes_on() {
  local from _
  from=$(acked)
  for _ in {1..600}; do
    if (($(acked) >= from + 10)); then
      [[ $(virsh_q domstate "$VM") == running && $(felt 1 "$(acked)") == 0$'\t'* ]] && return 0
      break
    fi
    sleep 0.1
  done
  { virsh_q domstate "$VM" --reason; felt 1 "$(acked)"; tail -n 5 "$LAB_DIR/run/$VM.guest.log"; } >&2
  return 1
}
felt() { lab guest-felt "$VM" "$1" "$2"; }
# told WHAT: what it felt since FIRST, in the test's own output.
told() {
  local gap slowest
  IFS=$'\t' read -r _ gap slowest < <(felt "$FIRST" "$(acked)")
  echo "# $1: longest gap $gap ms, slowest write $slowest ms, $(($(acked) - FIRST)) writes" >&3
}

# begin_backup WAY full|incremental [OPTION...]: in the background, on its way.
begin_backup() {
  local parent=()
  next
  common
  [[ $2 == full ]] || parent=(--bitmap-parent "$PARENT" --parent-paths "$(parent_files)")
  FIRST=$(acked)
  begin -o backup "${COMMON[@]}" -M "$2" --bitmap-new "$BITMAP" --transfer "$1" "${parent[@]}" "${@:3}"
}
# point MODE REASON: the backup that was begun ends well, and is what the disk held at one moment of its time. DURING: how many of the guest's
# writes were acknowledged between that moment and the end.
point() {
  local last held
  end
  last=$(acked)
  done_is "$1" "$2"
  ALLOWED+=("$BITMAP")
  held=$(lab guest-same "$VM" "$REPOSITORY/$BACKUP_PATH/$(file_of "$(image vda)" 0)" "$FIRST" "$((last + 1))") || { echo "$BACKUP_PATH: $held" >&2; return 1; }
  DURING=$((last - held))
}
# promised: the end of every test: it goes on, and what it was promised is on its disk.
promised() {
  local last held
  it_goes_on
  lab vm-stop "$VM"
  last=$(acked)
  held=$(lab guest-same "$VM" "$(image vda)" "$last" "$((last + 1))") || { echo "$held" >&2; return 1; }
}

# copying: data of the backup that was begun has come to the NAS.
copying() {
  local _
  for _ in {1..400}; do
    if [[ $(virsh_q domjobinfo "$VM" 2>/dev/null) == *Backup* && -s $(compgen -G "$REPOSITORY/$BACKUP_PATH/*.qcow2") ]]; then return 0; fi
    sleep 0.05
  done
  return 1
}

@test "it writes through fulls and incrementals of both ways, and is suspended by its user: each is the disk at one moment" {
  local way slowly=()
  REPOSITORY=$NAS
  writing_guest
  for way in push pull; do
    # A copy that is quick is of one moment by chance.
    [[ $way == push ]] || slowly=(-b 16)
    begin_backup "$way" full "${slowly[@]}"
    point full null
    ((DURING > 0))
    it_goes_on
    told "full by $way, $DURING of them during it"
    begin_backup "$way" incremental
    point incremental regular
    it_goes_on
    told "incremental by $way"

    lab vm-pause "$VM"
    begin_backup "$way" incremental
    point incremental regular
    # One more may be on the disk: its guest was paused before it could say so.
    ((DURING == 0 || DURING == -1))
    expect paused .vm.state
    [[ $(virsh_q domstate "$VM" --reason) == 'paused (user)'* ]]
    lab vm-resume "$VM"
    it_goes_on
  done
  promised
}

# chain: a full of the guest, and what it has written since.
chain() {
  writing_guest
  begin_backup push full
  point full null
  it_goes_on
}
# next_point WAY: whatever became of the last backup, the next one follows from the parent, and is true; then the end of the test.
next_point() {
  it_goes_on
  forget
  line unlimited
  begin_backup "$1" incremental
  point incremental regular
  promised
}

slow_target() {
  slow_nas
  writing_guest
  sleep 10
  FIRST=1 told 'no backup'
  line 4M
  begin_backup "$1" full
  point full null
  ((DURING > 5))
  it_goes_on
  told "slow NAS, $1"
  begin_backup "$1" incremental
  point incremental regular
  promised
}
# bats test_tags=full
@test "push: a slow NAS" { slow_target push; }
# bats test_tags=full
@test "pull: a slow NAS" { slow_target pull; }

# hanging_target WAY: for some seconds, in the middle of a job.
hanging_target() {
  slow_nas
  chain
  line "$SLOW"
  begin_backup "$1" full
  copying
  line 0
  sleep 6
  line unlimited
  point full null
  it_goes_on
  told "NAS hangs for 6 s, $1"
  promised
}
# bats test_tags=full
@test "push: a NAS that hangs and comes back" { hanging_target push; }
# bats test_tags=full
@test "pull: a NAS that hangs and comes back" { hanging_target pull; }

# given_up WAY: the NAS hangs until the script gives the backup up, and comes back later.
given_up() {
  local dir
  slow_nas
  chain
  line "$SLOW"
  begin_backup "$1" full
  copying
  line 0
  # By pull it writes as if nothing were.
  [[ $1 == push ]] || it_goes_on
  ended_within 120
  [[ $1 == push ]] || it_goes_on
  end
  [[ $status -eq 20 ]]
  expect 'target-hung none' '"\(.error.code) \(.done.mode)"'
  line unlimited
  it_goes_on
  told "NAS hangs until the backup is given up, $1"
  for _ in {1..100}; do [[ $(virsh_q domjobinfo "$VM") == *None* ]] && break; sleep 0.1; done
  [[ " $(bitmaps_of)" != *" $BITMAP,"* ]] || virsh_q checkpoint-delete "$VM" "$BITMAP"
  for dir in $(mount_of_run); do leave_mount "$dir"; done
  rm -rf "${REPOSITORY:?}/$BACKUP_PATH"
  next_point "$1"
}
# bats test_tags=full
@test "push: a NAS that hangs until the backup is given up" { given_up push; }
# bats test_tags=full
@test "pull: a NAS that hangs until the backup is given up" { given_up pull; }

# full_target WAY RESERVE: another one fills the NAS in the middle of a job.
full_target() {
  host_conf reserve_bytes="$2"
  slow_nas
  REPOSITORY=$(lab nas-small 300 "small-$BATS_SUITE_TEST_NUMBER" "$REPOSITORY")
  chain
  line 4M
  begin_backup "$1" full
  copying
  leave_free "$REPOSITORY" 8000000
  ended_within 60
  line unlimited
  end
  failed_is target-full
  untouched
  it_goes_on
  told "NAS fills, reserve $2, $1"
  echo "# paused for $(fact .guest.pausedMs) ms, resumed: $(fact .guest.resumed)" >&3
  rm "$REPOSITORY/filler"
  next_point "$1"
}
# bats test_tags=full
@test "push: a NAS that fills, and the reserve" {
  full_target push 20000000
  expect 'null null' '"\(.guest.pausedMs) \(.guest.resumed)"'
}
# bats test_tags=full
@test "pull: a NAS that fills, and the reserve" { full_target pull 20000000; }
# bats test_tags=full
@test "push: a NAS that fills to the last byte" { full_target push 0; }
# bats test_tags=full
@test "pull: a NAS that fills to the last byte" { full_target pull 0; }

# By push such an error may be what a write of the guest is answered with (docs/repositories.md).
# bats test_tags=full
@test "pull: a NAS that answers with an error" {
  local small
  small=$(lab nas-small 300 "small-$BATS_SUITE_TEST_NUMBER")
  # sftp knows no "No space left".
  slow_nas "$small"
  chain
  line 4M
  begin_backup pull full
  copying
  leave_free "$small" 4000000
  ended_within 60
  line unlimited
  end
  failed_is copy-failed
  [[ $stderr == *'Input/output error'* ]]
  untouched
  it_goes_on
  told 'NAS answers with an error, pull'
  rm "$small/filler"
  next_point pull
}

# bats test_tags=full
@test "pull: scratch that fills, with a reserve and without" {
  local scratch reserve
  scratch=$(lab nas-small 12 "scratch-$BATS_SUITE_TEST_NUMBER")
  slow_nas
  chain
  for reserve in 3000000 0; do
    host_conf "scratch_dir=$scratch" reserve_bytes="$reserve"
    line "$SLOW"
    begin_backup pull full
    ended_within 120
    line unlimited
    end
    failed_is scratch-full
    untouched
    it_goes_on
    told "scratch fills, reserve $reserve"
    echo "# paused for $(fact .guest.pausedMs) ms, resumed: $(fact .guest.resumed)" >&3
    if ((reserve)); then expect null .guest.pausedMs; else expect true .guest.resumed; fi
    [[ -z $(find "$scratch" -mindepth 1) ]]
    forget
  done
  host_conf
  begin_backup pull incremental
  point incremental regular
  promised
}
