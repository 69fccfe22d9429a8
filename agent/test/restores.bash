# What the tests of restore share.
# shellcheck shell=bash disable=SC2034,SC2154

# on_chain: the tests that only read use the chain that setup_file made; its points are 1, 2 and 3.
on_chain() { OWN_VM=$VM VM=$CHAIN_VM; }

# restore POINT [OPTION...] DISK...: of the chain; restore_path PATH ... of any backup. DISK is TARGET:TO:FORMAT. Waits for the end; status,
# output and stderr are as run sets them, RESTORE_JOB is the job.
restore() { restore_path "$CHAIN$1" "${@:2}"; }
restore_path() {
  begin_restore "$@"
  ends "$RESTORE_JOB" 'done'
  told "$RESTORE_JOB"
}
told() { status=$(field "$1" .exit) output=$(said "$1" stdout) stderr=$(said "$1" stderr); }

begin_restore() {
  local path=$1 word disks=''
  local -a options=()
  shift
  for word; do
    if [[ $word =~ ^(vd[a-z]):(/.*):(qcow2|raw)$ ]]; then
      disks+="${disks:+,}$(jq -nc --arg target "${BASH_REMATCH[1]}" --arg file "$(backup_file "${BASH_REMATCH[1]}")" --arg to "${BASH_REMATCH[2]}" --arg format "${BASH_REMATCH[3]}" '$ARGS.named')"
    else
      options+=("$word")
    fi
  done
  RESTORES=$((RESTORES + 1)) RESTORE_JOB=$JOB-$RESTORES
  start "$RESTORE_JOB" restore -v "${RESTORE_VM:-$VM}" -t dir -s "${REPOSITORY:-$NAS}" -m '' -p "$path" --disks "[$disks]" "${options[@]}" >/dev/null
}
# backup_file TARGET: of the machine's disk.
backup_file() {
  local target path i=0
  while read -r target path _; do
    [[ $target != "$1" ]] || file_of "$path" "$i"
    i=1
  done < <(lab vm-disks "$VM")
}

# answer VALUE FILTER: jq on RESTORE=, which is the last line.
answer() {
  local is
  is=$(jq -r "$2" <<<"$(tail -n 1 <<<"$output" | sed -n 's/^RESTORE=//p')")
  [[ $is == "$1" ]] || { printf '%s is %s, not %s\n%s\n%s\n' "$2" "$is" "$1" "$output" "$stderr" >&2 && return 1; }
}
restored() { [[ $status -eq 0 ]] && answer 'null true' '"\(.error) \(.cleanup.ok)"' || { printf 'exit %s\n%s\n%s\n' "$status" "$output" "$stderr" >&2 && return 1; }; }
# refused CODE: and the folder for new disks is as it was.
refused() {
  [[ $status -eq 1 ]] && answer "$1 false true" '"\(.error.code) \(.swapped) \(.cleanup.ok)"' || { printf 'exit %s\n%s\n%s\n' "$status" "$output" "$stderr" >&2 && return 1; }
  [[ -z $(find "$LAB_DIR/images" -name '*.restore-*' -o -name '*.before-*') ]] || { find "$LAB_DIR/images" >&2 && return 1; }
}

# held POINT TARGET FILE: the oracle, on a point of the chain.
held() { lab same "$VM" "backup-100$1" "$2" "$3" >&2; }
# held_now TARGET: the machine's own disk is what it was at its last backup.
held_now() { lab same "$VM" "$BITMAP" "$1" "$(image "$1")" >&2; }
nothing_beside() {
  local target
  for target; do [[ $(compgen -G "$(image "$target")*") == "$(image "$target")" ]] || { compgen -G "$(image "$target")*" >&2 && return 1; }; done
}
# mirror_is LABEL: from here on the record of what the disks hold goes on from that moment.
mirror_is() {
  local target
  while read -r target _; do cp --sparse=always "$LAB_DIR/mirror/$VM.$target@$1.raw" "$LAB_DIR/mirror/$VM.$target.raw"; done < <(lab vm-disks "$VM")
}

# chain_of_two: a stopped machine of the test's own, with a full and an incremental, and other data since.
chain_of_two() {
  new_vm vda:64M vdb:16777728
  full
  done_is full null
  lab write-many "$VM" <<<$'write vda 0x22 4M 1M\nwrite vdb 0x23 16777216 512'
  incremental
  done_is incremental regular
  lab write-many "$VM" <<<$'write vda 0x33 8M 1M\nwrite vdb 0x34 1M 64K'
  lab vm-stop "$VM"
}

# picture: what the machine's images are, to the byte, the owner and the inode.
picture() {
  local path
  lab vm-disks "$VM" | while read -r _ path _; do
    stat -c '%i %h %u:%g %a' "$path"
    sha256sum "$path"
  done
}

# hold_image TARGET, hold_file FILE: somebody else has it open, as `holder`, until descriptor 7 is closed.
hold_image() { hold_file "$(image "$1")"; }
hold_file() {
  mkfifo "$BATS_TEST_TMPDIR/hold"
  qemu-io -f raw "$1" <"$BATS_TEST_TMPDIR/hold" >"$BATS_TEST_TMPDIR/holder" 2>&1 3>&- &
  holder=$!
  exec 7>"$BATS_TEST_TMPDIR/hold"
  for _ in {1..200}; do [[ ! -s $BATS_TEST_TMPDIR/holder ]] || break; sleep 0.02; done
}

# move_image TARGET DIR: of a stopped machine, to other storage.
move_image() {
  local image
  image=$(image "$1")
  mv "$image" "$2/"
  sed -i "s#\t$image\t#\t$2/${image##*/}\t#" "$LAB_DIR/run/$VM.disks"
}

# checksums DIR: as the service leaves them beside a backup.
checksums() { "$SCRIPT" checksum -t dir -s "$NAS" -m '' -p "${1#"$NAS/"}" >/dev/null; }

# flip FILE: one byte of its data, which qemu-img check does not notice.
flip() {
  local at
  at=$(($(stat -c %s "$1") - 4096))
  printf '\x5a' | dd of="$1" bs=1 seek="$at" conv=notrunc status=none
}

# differing FILE: bytes in which a raw restore of vda is not what the disk held at its last backup.
differing() { { cmp -l "$LAB_DIR/mirror/$VM.vda@$BITMAP.raw" "$1" || :; } | wc -l; }
# number FILE OFFSET: a place in a qcow2 file, as its tables write it, without their flags.
number() { printf '%d' "$((0x$(od -An -v -tx1 -j "$2" -N 8 -- "$1" | tr -d ' ') & 0x00fffffffffffe00))"; }

# held_as POINT TARGET FILE: of the chain, whatever VM is.
held_as() { lab same "$CHAIN_VM" "backup-100$1" "$2" "$3" >&2; }

# spoil_definition FILE: what somebody on the NAS could write into it to reach this host, and a network that starts anywhere. And what
# CloudStack tells a guest of itself.
spoil_definition() {
  sed -i "
    s#<domain type='qemu'[^>]*>#<domain type='qemu' id='7' xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'>#
    /<os>/a\    <kernel>/secret/kernel</kernel>
    /<os>/i\  <sysinfo type='smbios'>\n    <system>\n      <entry name='product'>CloudStack KVM Hypervisor</entry>\n      <entry name='uuid'>$(<"$LAB_DIR/run/$CHAIN_VM.uuid")</entry>\n    </system>\n  </sysinfo>
    /<os>/i\  <sysinfo type='fwcfg'>\n    <entry name='opt/x' file='secret/entry'/>\n  </sysinfo>\n  <metadata>\n    <x:y xmlns:x='z'>text <b/> more</x:y>\n  </metadata>
    /<devices>/a\    <emulator>/secret/emulator</emulator>\n    <disk type='file' device='disk'>\n      <driver name='qemu' type='raw'/>\n      <source file='/secret/disk'/>\n      <target dev='vdx' bus='virtio'/>\n    </disk>\n    <disk type='file' device='cdrom'>\n      <driver name='qemu' type='raw'/>\n      <source file='/secret/cdrom'/>\n      <target dev='hda' bus='ide'/>\n      <readonly/>\n    </disk>\n    <interface type='user'>\n      <mac address='52:54:00:aa:bb:cc'/>\n      <target dev='vnet7'/>\n      <model type='virtio'/>\n      <rom file='secret/rom'/>\n      <alias name='net0'/>\n    </interface>\n    <serial type='file'>\n      <source path='/secret/serial'/>\n      <target port='0'/>\n    </serial>\n    <rng model='virtio'>\n      <backend model='random'>secret/rng</backend>\n    </rng>\n    <filesystem type='mount'>\n      <source dir='/secret/dir'/>\n      <target dir='x'/>\n    </filesystem>
    s#</domain>#  <qemu:commandline>\n    <qemu:arg value='-fw_cfg'/>\n    <qemu:arg value='name=opt/x,file=secret'/>\n  </qemu:commandline>\n  <seclabel type='none'/>\n</domain>#
  " "$1"
}

# aborted JOB: nothing is left.
aborted() {
  kill_at never 0
  run --separate-stderr "$SCRIPT" abort --job "$1"
  [[ $status -eq 0 && $(jq -c .abort.left <<<"$output") == '[]' ]] || { echo "$output $stderr" >&2 && return 1; }
}

# ends_anywhere: from now on each step on images and on the job's notes can be its last: kill_at before|after N, kill_on PATTERN (of the
# step's words), wait_on PATTERN (until it is ended; the file `here` says that it is there). All that runs there is killed.
ends_anywhere() {
  local program
  use_stubs
  for program in ln mv rm sync cp; do
    stub "$program" <<STUB
told=$BATS_TEST_TMPDIR/told
case "\$*" in
  *.restore-* | *.before-* | */images/* | */restored | */restore) ;;
  *) real "\$@"; exit ;;
esac
IFS=' ' read -r when what <"\$told"
count=\$((\$(<"\$CALLS") + 1))
echo "\$count" >"\$CALLS"
case \$when in
  before) ((count != what)) || kill -KILL 0 ;;
  on) [[ ! "$program \$*" =~ \$what ]] || kill -KILL 0 ;;
  wait) [[ ! "$program \$*" =~ \$what ]] || { : >"$BATS_TEST_TMPDIR/here"; sleep 20; } ;;
esac
code=0
real "\$@" || code=\$?
[[ \$when != after ]] || ((count != what)) || kill -KILL 0
exit "\$code"
STUB
  done
  kill_at never 0
}
kill_at() {
  echo "$1 $2" >"$BATS_TEST_TMPDIR/told"
  echo 0 >"$BATS_TEST_TMPDIR/calls"
}
kill_on() { kill_at on "$1"; }
wait_on() {
  ends_anywhere
  kill_at wait "$1"
}

# copying IMAGE: its new one is being written.
copying() {
  for _ in {1..400}; do
    ! pgrep -f "^qemu-img convert .*$1.restore-" >/dev/null || return 0
    sleep 0.02
  done
  echo 'no qemu-img convert' >&2
  return 1
}
