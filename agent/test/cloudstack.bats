#!/usr/bin/env bats
# In the place of CloudStack's own script: its arguments, its output, no option of ours. It gives true incrementals there.

load host
setup_file() { host_up; }
teardown_file() { host_down; }
setup() { use_host; host_conf; }
teardown() { leave_host; }

# cloudstack MODE: the arguments in the order in which the agent sends them; empty ones are sent, too.
cloudstack() {
  next
  lab moment "$VM" "$BITMAP"
  local more=(-M "$1" --bitmap-new "$BITMAP")
  [[ $1 != incremental ]] || more+=(--bitmap-parent "$PARENT" --parent-paths "$(parent_files)")
  script -o backup -v "$VM" -t dir -s "$NAS" -m '' -p "$BACKUP_PATH" -q false -d "${DISK_PATHS:-}" "${more[@]}"
  [[ $status -eq 0 && $stderr != *error* ]] || { printf '%s\n%s\n' "$output" "$stderr" >&2; return 1; }
}
# CloudStack takes the last line for the size, and believes every bitmap that it asked for.
only_a_block_and_a_size() {
  [[ ${lines[0]} == "${1:-Job type:}"* && ${lines[-1]} =~ ^[0-9]+$ && $output != *BITMAP_* && $output != *FACTS* ]]
  [[ ${lines[-1]} == "$(du -sb "$NAS/$BACKUP_PATH" | cut -f1)" ]]
}

@test "a chain over a restart and a lost bitmap, as CloudStack drives it" {
  new_vm vda:64M vdb:32M
  cloudstack full
  only_a_block_and_a_size
  identical
  lab write-many "$VM" <<<$'write vda 0x22 4M 1M\nwrite vdb 0x23 5M 64K'
  cloudstack incremental
  only_a_block_and_a_size
  identical
  # Nobody calls retire here: the parent's bitmap went with the run.
  [[ $(bitmaps_of) == 'vda backup-1002,vdb backup-1002,' ]]

  lab write "$VM" vda 0x24 6M 1M
  restart_vm
  lab write "$VM" vdb 0x25 7M 1M
  cloudstack incremental
  only_a_block_and_a_size
  identical
  [[ $(qemu-img info --output=json "$NAS/$BACKUP_PATH/$(file_of "$(image vda)" 0)" | jq -r '."backing-filename"') == ../2026.01.01.00.00.02/* ]]

  # Storage migration drops bitmaps.
  lab vm-stop "$VM"
  lab bitmap-remove "$VM" vdb backup-1003
  start_vm
  lab write "$VM" vda 0x26 8M 1M
  cloudstack incremental
  only_a_block_and_a_size INCREMENTAL_FALLBACK=true
  identical
  lab write "$VM" vda 0x27 9M 1M
  cloudstack incremental
  only_a_block_and_a_size
  identical
  identical backup-1002 "$VM/2026.01.01.00.00.02"
}

# bats test_tags=full
@test "stopped: one size a disk, and the fallback said; then true incrementals" {
  new_vm vda:64M vdb:32M
  cloudstack full
  identical
  lab write "$VM" vda 0x22 4M 1M
  lab vm-stop "$VM"
  DISK_PATHS=$(all_images)
  cloudstack incremental
  identical
  [[ ${#lines[@]} -eq 3 && ${lines[0]} == INCREMENTAL_FALLBACK=true && ${lines[1]}${lines[2]} =~ ^[0-9]+$ ]]
  start_vm
  DISK_PATHS=''
  lab write "$VM" vdb 0x23 5M 1M
  cloudstack incremental
  only_a_block_and_a_size
  identical
}
