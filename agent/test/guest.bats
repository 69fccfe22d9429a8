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
  local failed gap slowest
  IFS=$'\t' read -r failed gap slowest < <(felt "$FIRST" "$(acked)")
  echo "# $1: longest gap $gap ms, slowest write $slowest ms, $(($(acked) - FIRST)) writes" >&3
}

# begin_backup WAY full|incremental: in the background, on its way.
begin_backup() {
  local more=()
  next
  common
  [[ $2 == full ]] || more=(--bitmap-parent "$PARENT" --parent-paths "$(parent_files)")
  FIRST=$(acked)
  begin -o backup "${COMMON[@]}" -M "$2" --bitmap-new "$BITMAP" --transfer "$1" "${more[@]}"
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
  local way
  slow_nas
  writing_guest
  it_goes_on
  FIRST=1 told 'no backup'
  for way in push pull; do
    line 32M
    begin_backup "$way" full
    point full null
    ((DURING > 5))
    it_goes_on
    told "full by $way"
    begin_backup "$way" incremental
    point incremental regular
    it_goes_on
    told "incremental by $way"
    line unlimited

    lab vm-pause "$VM"
    begin_backup "$way" incremental
    point incremental regular
    ((DURING == 0))
    expect paused .vm.state
    [[ $(virsh_q domstate "$VM" --reason) == 'paused (user)'* ]]
    lab vm-resume "$VM"
    it_goes_on
  done
  promised
}
