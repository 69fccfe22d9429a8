#!/usr/bin/env bats
# Restore: everything is looked at before a byte is written, all is compared with the chain, and a machine's disks are the new ones or the
# old ones, never some of both.
load host.bash
load jobs.bash
load stubs.bash
load restores.bash

# One chain for all tests that leave its machine alone: a full and two incrementals; sizes are odd, and vdb grew before the last.
setup_file() {
  host_up
  BATS_SUITE_TEST_NUMBER=0 use_host
  new_vm vda:67109376 vdb:33555968
  full
  done_is full null
  lab write-many "$VM" <<<$'write vda 0x22 4M 1M\nzero vda 1M 64K\nwrite vdb 0x23 33555456 512'
  incremental
  done_is incremental regular
  lab disk-resize "$VM" vdb 41943552
  lab write-many "$VM" <<<$'write vda 0x31 67108864 512\nwrite vdb 0x32 41943040 512'
  incremental
  done_is incremental regular
  lab vm-stop "$VM"
  export CHAIN_VM=$VM CHAIN=$VM/2026.01.01.00.00.0
}
teardown_file() { host_down; }
setup() {
  use_host
  host_conf
  JOB=r-$BATS_TEST_NUMBER
  RESTORES=0
  OUT=$LAB_DIR/images/out-$BATS_TEST_NUMBER
  mkdir -p "$OUT"
}
teardown() {
  [[ ! ${LOOP:-} ]] || losetup -d "$LOOP"
  rm -rf "$OUT"
  # The chain's machine stays.
  VM=${OWN_VM:-$VM}
  leave_host
}

@test "every point of a chain as new disks, qcow2 and raw: to the byte, of its size, sparse" {
  local n
  on_chain
  for n in 1 2 3; do
    restore "$n" vda:$OUT/a$n.qcow2:qcow2 vdb:$OUT/b$n.raw:raw
    restored
    held "$n" vda "$OUT/a$n.qcow2"
    held "$n" vdb "$OUT/b$n.raw"
    answer "$n 0 true" '"\(.disks[0].links) \(.disks[0].hashed) \([.disks[].identical] | all)"'
  done
  answer '67109376 41943552' '"\(.disks[0].virtualSize) \(.disks[1].virtualSize)"'
  answer 'false null null null' '"\(.swapped) \(.domain) \(.attached) \(.error)"'
  answer true '.timings | [.mount, .prepare, .convert, .compare, .sync, .swap, .unmount, .total] | all(. != null)'
  [[ $(field "$RESTORE_JOB" .progress.processed) == $((67109376 + 41943552)) ]]
  [[ $(field "$RESTORE_JOB" .progress.total) == $((67109376 + 41943552)) ]]
  # 3 MiB of 40 are data.
  [[ $(($(stat -c '%b*%B' "$OUT/b3.raw"))) -lt 4194304 ]]
  [[ $(ls "$OUT") == $'a1.qcow2\na2.qcow2\na3.qcow2\nb1.raw\nb2.raw\nb3.raw' ]]
  [[ $(stat -c %a "$OUT/a1.qcow2") == 600 ]]
}

@test "in place: both disks are swapped with owner and mode, the machine starts, and its next backup is a true full" {
  new_vm vda:64M vdb:33555968
  full
  done_is full null
  ALLOWED+=("$BITMAP")
  lab write-many "$VM" <<<$'write vda 0x22 4M 1M\nwrite vdb 0x23 5M 64K'
  incremental
  done_is incremental regular
  identical
  lab write-many "$VM" <<<$'write vda 0x33 8M 1M\nwrite vdb 0x34 1M 64K'
  lab vm-stop "$VM"
  chown 107:108 "$(image vda)"
  chmod 640 "$(image vda)"
  restore_path "$BACKUP_PATH" --swap "vda:$(image vda):qcow2" "vdb:$(image vdb):qcow2"
  restored
  answer 'true true true' '"\(.swapped) \(.disks[0].swapped) \(.disks[1].swapped)"'
  [[ $(stat -c '%u:%g %a' "$(image vda)") == '107:108 640' ]]
  held_now vda
  held_now vdb
  lab bitmaps "$VM"
  [[ -z $(lab bitmaps "$VM") ]]
  nothing_beside vda vdb
  lab vm-start "$VM"
  mirror_is "$BITMAP"
  lab write "$VM" vda 0x44 16M 64K
  ALLOWED=()
  full
  done_is full null
  identical
}

# bats test_tags=full
@test "in place: a volume that is gone is made again, and one whose name is a link or a device is refused" {
  chain_of_two
  rm "$(image vdb)"
  restore_path "$BACKUP_PATH" --swap "vda:$(image vda):qcow2" "vdb:$(image vdb):qcow2"
  restored
  held_now vda
  held_now vdb
  nothing_beside vda vdb
  mv "$(image vdb)" "$OUT/moved"
  ln -s "$OUT/moved" "$(image vdb)"
  restore_path "$BACKUP_PATH" --swap "vda:$(image vda):qcow2" "vdb:$(image vdb):qcow2"
  refused target-unsupported
  rm "$(image vdb)"
  mv "$OUT/moved" "$(image vdb)"
}

@test "in place: an image that holds snapshots is not replaced, for they would go with it" {
  local before
  chain_of_two
  qemu-img snapshot -c before-upgrade "$(image vdb)"
  before=$(picture)
  restore_path "$BACKUP_PATH" --swap "vda:$(image vda):qcow2" "vdb:$(image vdb):qcow2"
  refused image-has-snapshots
  answer true '.error.message | contains("before-upgrade")'
  [[ $(picture) == "$before" ]]
  qemu-img snapshot -d before-upgrade "$(image vdb)"
  restore_path "$BACKUP_PATH" --swap "vda:$(image vda):qcow2" "vdb:$(image vdb):qcow2"
  restored
  held_now vda
  held_now vdb
}

@test "a machine that runs or is paused, and an image that somebody has open: refused, and nothing was touched" {
  local before holder
  chain_of_two
  before=$(picture)
  hold_image vdb
  restore_path "$BACKUP_PATH" --swap "vda:$(image vda):qcow2" "vdb:$(image vdb):qcow2"
  refused target-in-use
  exec 7>&-
  wait "$holder"
  [[ $(picture) == "$before" ]]
  lab vm-start "$VM"
  restore_path "$BACKUP_PATH" --swap "vda:$(image vda):qcow2"
  refused vm-running
  lab vm-pause "$VM"
  restore_path "$BACKUP_PATH" --swap "vda:$(image vda):qcow2"
  refused vm-running
}

@test "targets: there already, no such directory, no room, a link that leads somewhere" {
  on_chain
  echo precious >"$OUT/there"
  ln -s "$OUT/nowhere" "$OUT/link"
  restore 3 "vda:$OUT/new:qcow2" "vdb:$OUT/there:qcow2"
  refused target-exists
  [[ $(<"$OUT/there") == precious ]]
  restore 3 --overwrite "vda:$OUT/there:raw"
  refused target-exists
  restore 3 "vda:$OUT/link:qcow2"
  refused target-exists
  restore 3 "vda:$OUT/none/new:qcow2"
  refused target-missing
  host_conf reserve_bytes=900000000000000
  restore 3 "vda:$OUT/new:qcow2"
  refused target-full
  [[ $(ls "$OUT") == $'link\nthere' ]]
}

@test "a chain that lacks a file, or leads out of the repository by name, link, format or data file: refused before anything is read from there" {
  local first top secret=$OUT/secret
  on_chain
  top=$NAS/copy/2026.01.01.00.00.03/$(backup_file vda)
  first=$NAS/copy/2026.01.01.00.00.01/$(backup_file vda)
  printf 'root:secret of this host' >"$secret"
  truncate -s 1M "$secret"
  # bad WHAT...: does that to a fresh copy of the chain, and then nothing is restored from it.
  bad() {
    rm -rf "$NAS/copy"
    cp -r "$NAS/$VM" "$NAS/copy"
    "${@:2}"
    restore_path copy/2026.01.01.00.00.03 "vda:$OUT/new:qcow2"
    refused "$1"
  }
  stands_on() { qemu-img rebase -u -b "$1" -F "$2" "$3"; }
  is_link() { mv "$1" "$OUT/outside" && ln -s "$OUT/outside" "$1"; }
  keeps_data_in() { rm "$2" && qemu-img create -q -f qcow2 -o "data_file=$1,data_file_raw=on" "$2" 64M; }
  has_byte() { printf '\xff' | dd of="$2" bs=1 seek="$1" conv=notrunc status=none; }
  bad chain-missing rm "$first"
  answer "[{\"path\":\"${first#"$NAS/"}\",\"state\":\"missing\"}]" '.spoilt | tojson'
  bad chain-missing rm -r "${first%/*}"
  answer "${first#"$NAS/"} missing" '.spoilt[] | "\(.path) \(.state)"'
  # As a repository that is not mounted: nothing is known of any file.
  bad chain-missing rm -r "$NAS/copy"
  answer '[]' '.spoilt | tojson'
  bad chain-unsafe stands_on "$secret" raw "$first"
  bad chain-unsafe stands_on "$first" qcow2 "$top"
  bad chain-unsafe stands_on "../../../../../..$secret" qcow2 "$first"
  bad chain-unsafe stands_on 'json:{"driver":"raw","file":{"driver":"file","filename":"/etc/passwd"}}' raw "$first"
  bad chain-unsafe stands_on "../2026.01.01.00.00.03/${top##*/}" qcow2 "$first"
  bad chain-unsafe is_link "$first"
  bad chain-unsafe cp "$secret" "$first"
  bad chain-unsafe keeps_data_in "$OUT/data" "$first"
  bad check-failed has_byte 131080 "$top"
  rm "$OUT/outside" "$OUT/data"
  ln -s "$NAS/copy/2026.01.01.00.00.03" "$NAS/linked"
  restore_path linked "vda:$OUT/new:qcow2"
  rm "$NAS/linked"
  refused path-escapes
  [[ $(ls "$OUT") == secret ]]
  rm -rf "$NAS/copy"
}

@test "checksums: counted where they are; a flipped byte in a middle link is found before the machine is touched" {
  local before dir
  chain_of_two
  before=$(picture)
  for dir in "$NAS/$VM"/*1; do checksums "$dir"; done
  restore_path "$BACKUP_PATH" --swap "vda:$(image vda):qcow2" "vdb:$(image vdb):qcow2"
  restored
  answer '2 1' '"\(.disks[0].links) \(.disks[0].hashed)"'
  held_now vda
  before=$(picture)
  flip "$(echo "$NAS/$VM"/*1/root.*)"
  restore_path "$BACKUP_PATH" --swap "vda:$(image vda):qcow2" "vdb:$(image vdb):qcow2"
  refused checksum-mismatch
  [[ $output == *2026.01.01.00.00.01* ]]
  answer "$(cd "$NAS" && echo "$VM"/*1/root.*) damaged" '.spoilt[] | "\(.path) \(.state)"'
  [[ $(picture) == "$before" ]]
  # Cut off, it says nothing of anything.
  truncate -s 20 "$NAS/$VM"/*1/checksums.json
  restore_path "$BACKUP_PATH" "vda:$OUT/new:qcow2"
  restored
  answer 0 '.disks[0].hashed'
  [[ $stderr == *'checksums.json cannot be read'* ]]
}

@test "salvage: what is not as it was comes back all the same, is named, and only that is lost" {
  local file table index=0 entry
  chain_of_two
  for file in "$NAS/$VM"/*1; do checksums "$file"; done
  flip "$(echo "$NAS/$VM"/*1/root.*)"
  restore_path "$BACKUP_PATH" --salvage "vda:$OUT/flipped:raw" "vdb:$OUT/whole:raw"
  restored
  answer 1 '.damaged | length'
  answer '0 null true' '"\(.disks[0].hashed) \(.disks[0].unread) \(.disks[0].identical)"'
  answer '1 true' '"\(.disks[1].hashed) \(.disks[1].identical)"'
  [[ $(jq -r '.damaged[0]' <<<"${output##*RESTORE=}") == *'not what it was when it was hashed'* ]]
  [[ $(differing "$OUT/flipped") == 1 ]]
  cmp "$LAB_DIR/mirror/$VM.vdb@$BITMAP.raw" "$OUT/whole"
  # A table of the full that leads nowhere: nobody can read that cluster any more.
  file=$(echo "$NAS/$VM"/*1/root.*)
  table=$(number "$file" "$(number "$file" 40)")
  until entry=$((table + 8 * index)) && (($(number "$file" "$entry"))); do index=$((index + 1)); done
  printf '\x80\0\0\x01\x23\x45\x62\0' | dd of="$file" bs=1 seek="$entry" conv=notrunc status=none
  restore_path "$BACKUP_PATH" "vda:$OUT/refused:raw"
  refused check-failed
  restore_path "$BACKUP_PATH" --salvage "vda:$OUT/torn:raw"
  restored
  answer '65536 null' '"\(.disks[0].unread) \(.disks[0].identical)"'
  [[ $(jq -r '.damaged[-1]' <<<"${output##*RESTORE=}") == *"65536 bytes of ${file##*/}"*"the first at $((index * 65536))" ]]
  # The flipped byte and that cluster, which is zeroes.
  (($(differing "$OUT/torn") <= 65537))
  cmp -n 65536 -i "$((index * 65536)):0" "$OUT/torn" /dev/zero
}

@test "the second disk finds no room: all is as it was, byte for byte" {
  local before small
  chain_of_two
  small=$(lab nas-small 24 "small-$BATS_TEST_NUMBER")
  move_image vdb "$small"
  use_stubs
  # It was there when it was looked at.
  stub qemu-img <<<'if [[ $1 == measure ]]; then echo "{\"required\":1000}"; else real "$@"; fi'
  leave_free "$small" 1000000
  before=$(picture)
  restore_path "$BACKUP_PATH" --swap "vda:$(image vda):qcow2" "vdb:$(image vdb):raw"
  refused target-full
  answer 'true false' '"\(.disks[0].identical) \(.disks[1].swapped)"'
  [[ $(picture) == "$before" ]]
  nothing_beside vda vdb
  lab vm-start "$VM"
}

@test "what was written is not what the chain holds: found by the comparison, and the machine keeps its disks" {
  local before
  chain_of_two
  use_stubs
  stub qemu-img <<'STUB'
code=0
real "$@" || code=$?
[[ $1 != convert || ${!#} != *.restore-* ]] || printf 'X' | dd of="${!#}" bs=1 seek="$(($(stat -c %s "${!#}") - 4000))" conv=notrunc status=none
exit "$code"
STUB
  before=$(picture)
  restore_path "$BACKUP_PATH" --swap "vda:$(image vda):qcow2" "vdb:$(image vdb):raw"
  refused restore-differs
  answer false '.disks[0].identical'
  [[ $(picture) == "$before" ]]
}

# bats test_tags=full
@test "what is not what the books say, a word too much, no job: refused" {
  on_chain
  local disk="{\"target\":\"vda\",\"file\":\"$(backup_file vda)\",\"to\":\"$OUT/new\",\"format\":\"qcow2\"}"
  told_of() { start "$JOB-$1" restore -v "$VM" -t dir -s "$NAS" -m '' -p "${CHAIN}3" "${@:2}" >/dev/null; ends "$JOB-$1" 'done'; told "$JOB-$1"; }
  told_of size --disks "[${disk%\}},\"virtualSize\":67109888}]"
  refused size-mismatch
  told_of key --disks "[${disk%\}},\"mode\":\"full\"}]"
  refused bad-option
  told_of twice --disks "[$disk,$disk]"
  refused bad-option
  told_of relative --disks "[${disk/$OUT/images/..}]"
  refused bad-option
  told_of both --swap --new-name other --disks "[$disk]"
  refused bad-option
  told_of file --disks "[${disk/root./root.x}]"
  refused chain-missing
  script restore -v "$VM" -t dir -s "$NAS" -m '' -p "${CHAIN}3" --disks "[$disk]"
  refused bad-option
  [[ -z $(ls "$OUT") ]]
}

@test "a new domain: its own name, uuid and disks, links down, nothing of the host that the stored definition names; it starts" {
  local name=new-$VM uuid xml
  on_chain
  rm -rf "$NAS/copy" && cp -r "$NAS/$VM" "$NAS/copy"
  spoil_definition "$NAS/copy/2026.01.01.00.00.03/domain-config.xml"
  restore_path copy/2026.01.01.00.00.03 --new-name "$name" "vda:$OUT/a&b.qcow2:qcow2" "vdb:$OUT/b.raw:raw"
  restored
  answer "$name" .domain.name
  uuid=$(virsh_q domuuid "$name")
  answer "$uuid" .domain.uuid
  [[ $uuid != "$(<"$LAB_DIR/run/$VM.uuid")" ]]
  xml=$(virsh_q dumpxml "$name" --inactive)
  echo "$xml" >&2
  [[ $(virsh_q domstate "$name") == 'shut off' ]]
  [[ $xml != *secret* && $stderr == *secret* ]]
  [[ $xml == *"<entry name='product'>CloudStack KVM Hypervisor</entry>"*"<entry name='uuid'>$uuid</entry>"* ]]
  [[ $xml != *52:54:00:aa:bb:cc* && $xml == *"<link state='down'/>"* ]]
  [[ $(virsh_q domblklist "$name" | awk 'NR > 0 && $2 ~ "^/" { print $1, $2 }') == "vda $OUT/a&b.qcow2"$'\n'"vdb $OUT/b.raw" ]]
  held 3 vda "$OUT/a&b.qcow2"
  held 3 vdb "$OUT/b.raw"
  virsh_q start "$name"
  [[ $(virsh_q domstate "$name") == running ]]
  restore 3 --new-name "$name" "vda:$OUT/again:qcow2" "vdb:$OUT/again2:qcow2"
  refused name-taken
  virsh_q destroy "$name"
  virsh_q undefine "$name"

  # Only one of its disks; its links as they were.
  restore_path copy/2026.01.01.00.00.03 --new-name "$name" --networks "vdb:$OUT/only.qcow2:qcow2"
  restored
  [[ $stderr == *'disk vda, which is not restored'* ]]
  xml=$(virsh_q dumpxml "$name" --inactive)
  virsh_q undefine "$name"
  [[ $xml != *"dev='vda'"* && $xml != *"<link"* && $xml == *"<interface type='user'>"* ]]
  rm "$NAS/copy/2026.01.01.00.00.03/domain-config.xml"
  restore_path copy/2026.01.01.00.00.03 --new-name "$name" "vdb:$OUT/none.qcow2:qcow2"
  refused definition-missing
  rm -rf "$NAS/copy"
}

# bats test_tags=full
@test "one disk, attached to another machine that runs, and to a stopped one's definition" {
  local other name=kept-$VM from
  new_vm vda:64M
  other=$VM
  on_chain
  restore 2 --attach "$other" "vda:$OUT/a.raw:raw"
  restored
  answer "$other vdb" '"\(.attached.vm) \(.attached.target)"'
  [[ $(virsh_q domblklist "$other" | awk '$1 == "vdb" { print $2 }') == "$OUT/a.raw" ]]
  restore 1 --attach "$other" "vdb:$OUT/b.qcow2:qcow2"
  restored
  answer vdc .attached.target
  restore 1 --attach "$name" "vdb:$OUT/c.qcow2:qcow2"
  refused vm-not-found

  virsh_q dumpxml "$other" | sed "s/<name>.*</<name>$name</; /<uuid>/d; s/<domain .*/<domain type='qemu'>/; /\/devices>/i <channel type='pty'><target type='virtio' name='a'/></channel>" >"$OUT/kept.xml"
  virsh_q define "$OUT/kept.xml"
  restore 1 --attach "$name" "vdb:$OUT/c.qcow2:qcow2"
  from=$(virsh_q domblklist "$name" --inactive | awk '$1 == "vdd" { print $2 }')
  virsh_q undefine "$name"
  restored
  [[ $from == "$OUT/c.qcow2" ]]
  VM=$OWN_VM
  lab vm-stop "$VM"
  held_as 2 vda "$OUT/a.raw"
}

@test "whoever begins to work on a machine while its new disk is copied: it is attached afterwards, and nobody else works on it then" {
  local other lock
  new_vm vda:64M
  other=$VM lock=$LAB_DIR/host/state/locks/$VM
  on_chain
  use_stubs
  stub qemu-img <<STUB
if [[ \$1 == compare ]]; then
  flock "$lock" bash -c "touch \$CALLS.locked; sleep 1; echo let go >>\$CALLS" &
  until [[ -e \$CALLS.locked ]]; do sleep 0.02; done
fi
real "\$@"
STUB
  stub virsh <<STUB
[[ " \$* " != *' attach-disk '* ]] || { flock -n "$lock" true && echo free >>\$CALLS || echo held >>\$CALLS; }
real "\$@"
STUB
  restore 2 --attach "$other" "vda:$OUT/a.raw:raw"
  restored
  answer "$other vdb" '"\(.attached.vm) \(.attached.target)"'
  [[ $(<"$CALLS") == $'let go\nheld' ]]
  VM=$OWN_VM
  lab vm-stop "$VM"
  held_as 2 vda "$OUT/a.raw"
}

# bats test_tags=full
@test "killed at every step, and its abort once more: all disks are the new ones or the old ones, and nothing is beside them" {
  local when n=0 before outcome outcomes=''
  chain_of_two
  ends_anywhere
  for when in before after; do
    for ((n = 1; n < 100; n++)); do
      before=$(picture)
      kill_at "$when" "$n"
      begin_restore "$BACKUP_PATH" --swap "vda:$(image vda):qcow2" "vdb:$(image vdb):qcow2"
      for _ in {1..400}; do [[ $(state "$RESTORE_JOB") == running ]] || break; sleep 0.05; done
      [[ $(state "$RESTORE_JOB") == unknown ]] || break
      # What the abort does is cut off as well, at its n-th step.
      kill_at "$when" $((n % 7 + 1))
      setsid -w "$SCRIPT" abort --job "$RESTORE_JOB" >/dev/null 2>&1 || :
      aborted "$RESTORE_JOB"
      outcome=$(jq -r .abort.restore <<<"$output")
      outcomes+="$outcome "
      case $outcome in
        rolled-back) [[ $(picture) == "$before" ]] ;;
        finished) held_now vda && held_now vdb && [[ $(picture) != "$before" ]] ;;
        *) false ;;
      esac
      nothing_beside vda vdb
      aborted "$RESTORE_JOB"
      [[ $(jq -r .abort.restore <<<"$output") == "$outcome" ]]
    done
    [[ $(state "$RESTORE_JOB") == 'done' ]]
    told "$RESTORE_JOB"
    restored
  done
  echo "$outcomes" >&2
  [[ $outcomes == *rolled-back*finished* ]]
  # Enough steps to speak of every one.
  [[ $n -gt 12 ]]
  lab vm-start "$VM"
}

# bats test_tags=full
@test "killed between two swaps: a machine that was started meanwhile keeps its disks until it stops; sweep puts them back as abort does" {
  local before
  chain_of_two
  ends_anywhere
  before=$(picture)
  kill_on "mv .*$(image vdb).restore"
  begin_restore "$BACKUP_PATH" --swap "vda:$(image vda):qcow2" "vdb:$(image vdb):qcow2"
  ends "$RESTORE_JOB" unknown
  kill_at never 0
  [[ $(picture) != "$before" ]]
  lab vm-start "$VM"
  run --separate-stderr "$SCRIPT" abort --job "$RESTORE_JOB"
  [ "$status" -eq 20 ]
  [[ $(jq -r '"\(.abort.restore) \(.abort.left[0])"' <<<"$output") == 'null disks of '*'half of them swapped'* ]]
  run --separate-stderr "$SCRIPT" sweep
  [[ $(jq -r '.items[] | select(.code == "restore") | .action' <<<"$output") == left ]]
  lab vm-stop "$VM"
  run --separate-stderr "$SCRIPT" sweep --dry-run
  [[ $(jq -r '.items[] | select(.code == "restore") | "\(.action) \(.subject)"' <<<"$output") == "would-be-removed $VM" ]]
  run --separate-stderr "$SCRIPT" sweep
  [[ $(jq -r '.items[] | select(.code == "restore") | .text' <<<"$output") == *rolled-back ]]
  nothing_beside vda vdb
  run --separate-stderr "$SCRIPT" sweep
  [[ $(jq -r '[.items[] | select(.code == "restore")] | length' <<<"$output") == 0 ]]
  aborted "$RESTORE_JOB"
  [[ $(jq -r .abort.restore <<<"$output") == rolled-back ]]

  # When all were swapped a start is no harm: they are the new ones.
  kill_on 'mv .*/restored$'
  begin_restore "$BACKUP_PATH" --swap "vda:$(image vda):qcow2" "vdb:$(image vdb):qcow2"
  ends "$RESTORE_JOB" unknown
  lab vm-start "$VM"
  aborted "$RESTORE_JOB"
  [[ $(jq -r .abort.restore <<<"$output") == finished ]]
  nothing_beside vda vdb
  lab vm-stop "$VM"
  held_now vda
  held_now vdb
}

# bats test_tags=full
@test "told to end between two swaps, or while it copies: as it was; a start meanwhile is refused" {
  local before new
  slow_nas
  new_vm vda:64M vdb:32M:raw
  scatter
  lab vm-stop "$VM"
  DISK_PATHS=$(all_images)
  full --disks "$(lab vm-disks "$VM" | jq -Rnc '[inputs | split("\t") | {target: .[0], path: .[1], format: (if .[0] == "vdb" then "raw" else "qcow2" end)}]')"
  done_is legacy-full image-unsupported
  before=$(picture)
  line "$SLOW"
  begin_restore "$BACKUP_PATH" --swap "vda:$(image vda):qcow2" "vdb:$(image vdb):raw"
  copying "$(image vda)"
  run lab vm-start "$VM"
  [ "$status" -ne 0 ]
  [[ $output == *lock* ]]
  aborted "$RESTORE_JOB"
  [[ $(jq -r '"\(.state) \(.exit) \(.abort.how) \(.abort.restore)"' <<<"$output") == 'done 1 term rolled-back' ]]
  told "$RESTORE_JOB"
  refused job-cancelled
  [[ $(picture) == "$before" ]]

  # Killed there: the same by abort.
  begin_restore "$BACKUP_PATH" --swap "vda:$(image vda):qcow2" "vdb:$(image vdb):raw"
  copying "$(image vda)"
  kill -KILL -- "-$(runner_of "$RESTORE_JOB")"
  ends "$RESTORE_JOB" unknown
  aborted "$RESTORE_JOB"
  [[ $(jq -r .abort.restore <<<"$output") == rolled-back ]]
  [[ $(picture) == "$before" ]]
  nothing_beside vda vdb
  line unlimited

  # Raw images are held as well.
  wait_on "mv .*$(image vdb).restore"
  begin_restore "$BACKUP_PATH" --swap "vda:$(image vda):qcow2" "vdb:$(image vdb):raw"
  appears "$BATS_TEST_TMPDIR/here"
  run lab vm-start "$VM"
  [ "$status" -ne 0 ]
  aborted "$RESTORE_JOB"
  [[ $(jq -r '"\(.abort.how) \(.abort.restore)"' <<<"$output") == 'term rolled-back' ]]
  [[ $(picture) == "$before" ]]
  nothing_beside vda vdb
  lab vm-start "$VM"
}

# bats test_tags=full
@test "killed while new disks get their names, a domain or a machine: they are gone again" {
  local name=new-$VM before after
  on_chain
  ends_anywhere
  kill_on "ln .*$OUT/b"
  begin_restore "${CHAIN}3" "vda:$OUT/a:qcow2" "vdb:$OUT/b:qcow2"
  ends "$RESTORE_JOB" unknown
  [[ -e $OUT/a ]]
  aborted "$RESTORE_JOB"
  [[ $(jq -r .abort.restore <<<"$output") == rolled-back ]]
  [[ -z $(ls "$OUT") ]]

  kill_on 'mv .*/restored$'
  begin_restore "${CHAIN}3" --new-name "$name" "vda:$OUT/a:qcow2" "vdb:$OUT/b:qcow2"
  ends "$RESTORE_JOB" unknown
  virsh_q domstate "$name"
  aborted "$RESTORE_JOB"
  [[ $(jq -r .abort.restore <<<"$output") == rolled-back ]]
  [[ -z $(ls "$OUT") ]]
  run virsh_q domstate "$name"
  [ "$status" -ne 0 ]

  # A running machine has the disk: it stays until that lets go.
  VM=$OWN_VM
  new_vm vda:64M
  VM=$CHAIN_VM
  kill_on 'mv .*/restored$'
  begin_restore "${CHAIN}3" --attach "$OWN_VM" "vda:$OUT/a:qcow2"
  ends "$RESTORE_JOB" unknown
  kill_at never 0
  run --separate-stderr "$SCRIPT" abort --job "$RESTORE_JOB"
  [ "$status" -eq 20 ]
  echo "$output" >&2
  [[ $(jq -r '.abort.left[0]' <<<"$output") == "$OUT/a: it is in use"* ]]
  [[ -e $OUT/a ]]
  lab vm-stop "$OWN_VM"
  aborted "$RESTORE_JOB"
  [[ $(jq -r .abort.restore <<<"$output") == rolled-back ]]
  [[ -z $(ls "$OUT") ]]

  # A definition does not hold on to it.
  sed "s#<name>.*</name>#<name>$name</name>#; s#<uuid>.*</uuid>##" "$LAB_DIR/run/$OWN_VM.xml" >"$BATS_TEST_TMPDIR/kept.xml"
  virsh_q define "$BATS_TEST_TMPDIR/kept.xml"
  kill_on 'mv .*/restored$'
  begin_restore "${CHAIN}3" --attach "$name" "vda:$OUT/a:qcow2"
  ends "$RESTORE_JOB" unknown
  before=$(virsh_q domblklist "$name")
  aborted "$RESTORE_JOB"
  after=$(virsh_q domblklist "$name")
  virsh_q undefine "$name"
  [[ $before == *"$OUT/a"* ]]
  [[ $after != *"$OUT/a"* ]]
  [[ -z $(ls "$OUT") ]]
}

# bats test_tags=full
@test "block devices: only when told so, large enough and unused; what lies behind the disk stays" {
  on_chain
  truncate -s 42M "$OUT/device"
  # Nothing of what it held may be taken for the disk's zeroes.
  tr '\0' 'x' </dev/zero | head -c 44040192 >"$OUT/device"
  LOOP=$(losetup -f --show "$OUT/device")
  restore 3 "vdb:$LOOP:raw"
  refused target-exists
  restore 3 --overwrite "vda:$LOOP:raw"
  refused target-too-small
  mkfs.ext4 -q "$LOOP"
  mkdir "$OUT/mnt"
  mount "$LOOP" "$OUT/mnt"
  restore 3 --overwrite "vdb:$LOOP:raw"
  umount "$OUT/mnt"
  refused target-in-use
  tr '\0' 'x' </dev/zero | dd of="$LOOP" bs=1M iflag=fullblock count=42 status=none
  hold_file "$LOOP"
  restore 3 --overwrite "vdb:$LOOP:raw"
  exec 7>&-
  wait "$holder"
  refused target-in-use
  restore 3 --overwrite "vdb:$LOOP:raw"
  restored
  answer 'true null 41943552' '"\(.disks[0].identical) \(.disks[0].allocated) \(.disks[0].virtualSize)"'
  head -c 41943552 "$LOOP" >"$OUT/read"
  held 3 vdb "$OUT/read"
  [[ $(tail -c 4096 "$OUT/device" | tr -d x | wc -c) == 0 ]]
  # By another name of it, as logical volumes have, and as qcow2.
  ln -s "$LOOP" "$OUT/volume"
  restore 2 --overwrite "vdb:$OUT/volume:qcow2"
  restored
  qemu-img convert -f qcow2 -O raw "$LOOP" "$OUT/read"
  held 2 vdb "$OUT/read"
}

# bats test_tags=full
@test "a persistent machine: our checkpoints go with its old disks, other tools' are told of; with a saved state it is refused" {
  local xml=$BATS_TEST_TMPDIR/kept.xml
  new_vm vda:64M
  full
  done_is full null
  lab vm-stop "$VM"
  sed "s#<devices>#<devices><channel type='pty'><target type='virtio' name='a'/></channel>#" "$LAB_DIR/run/$VM.xml" >"$xml"
  virsh_q define "$xml"
  virsh_q start "$VM"
  printf '<domaincheckpoint><name>%s</name><disks><disk name="vda" checkpoint="bitmap"/></disks></domaincheckpoint>' foreign >"$BATS_TEST_TMPDIR/c.xml"
  virsh_q checkpoint-create "$VM" "$BATS_TEST_TMPDIR/c.xml"
  printf '<domaincheckpoint><name>%s</name><disks><disk name="vda" checkpoint="bitmap"/></disks></domaincheckpoint>' backup-1999 >"$BATS_TEST_TMPDIR/c.xml"
  virsh_q checkpoint-create "$VM" "$BATS_TEST_TMPDIR/c.xml"
  virsh_q managedsave "$VM"
  restore_path "$BACKUP_PATH" --swap "vda:$(image vda):qcow2"
  refused vm-saved
  virsh_q managedsave-remove "$VM"
  restore_path "$BACKUP_PATH" --swap "vda:$(image vda):qcow2"
  restored
  [[ $stderr == *'checkpoints of other tools'*foreign* ]]
  [[ $(virsh_q checkpoint-list "$VM" --name | xargs) == foreign ]]
  held_now vda
  virsh_q checkpoint-delete "$VM" foreign --metadata
  virsh_q undefine "$VM"
}
