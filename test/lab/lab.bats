#!/usr/bin/env bats
# The lab on trial: it must show the truth, above all where the truth is bad.
bats_require_minimum_version 1.5.0

setup_file() {
  . "$BATS_TEST_DIRNAME/lab.sh"
  export LAB_DIR=/tmp/chainkeeper-labtest-$$ LAB_OWNER=$$
  lab up >/dev/null
}
teardown_file() { . "$BATS_TEST_DIRNAME/lab.sh"; lab down; }

setup() {
  . "$BATS_TEST_DIRNAME/lab.sh"
  VM=i-2-$((BATS_ROOT_PID % 90000 + 10000))-VM
  V='virsh -q -c qemu:///system'
}
teardown() { [[ ! -e $LAB_DIR/run/$VM.disks ]] || lab vm-remove "$VM"; }

image() { lab vm-disks "$VM" | awk -v target="$1" '$1 == target { print $2 }'; }
new_vm() { lab vm-create "$VM" "${@:-vda:16M}" && lab vm-start "$VM"; }

# backup FILE CHECKPOINT [PARENT]: a push backup of vda with a new checkpoint, by virsh alone.
backup() {
  printf "<domainbackup>%s<disks><disk name='vda' type='file'><target file='%s'/><driver type='qcow2'/></disk></disks></domainbackup>" \
    "${3:+<incremental>$3</incremental>}" "$1" >"$BATS_TEST_TMPDIR/b.xml"
  checkpoint_xml "$2" >"$BATS_TEST_TMPDIR/c.xml"
  $V backup-begin "$VM" "$BATS_TEST_TMPDIR/b.xml" "$BATS_TEST_TMPDIR/c.xml"
  for _ in {1..100}; do
    # Asked so, libvirt forgets it: the next one must not be taken for done.
    [[ $($V domjobinfo "$VM" --completed --anystats) == *Completed* ]] && return 0
    sleep 0.05
  done
  return 1
}
checkpoint_xml() { printf "<domaincheckpoint><name>%s</name><disks><disk name='vda' checkpoint='bitmap'/></disks></domaincheckpoint>" "$1"; }

@test "a full and an incremental are identical to their moments; one flipped byte is not" {
  new_vm
  lab write "$VM" vda 0x11 1M 256K
  lab moment "$VM" full
  backup "$LAB_DIR/nas/full.qcow2" backup-1
  lab write "$VM" vda 0x22 3M 64K
  lab moment "$VM" inc
  backup "$LAB_DIR/nas/inc.qcow2" backup-2 backup-1
  qemu-img rebase -u -b full.qcow2 -F qcow2 "$LAB_DIR/nas/inc.qcow2"
  [ "$(lab same "$VM" full vda "$LAB_DIR/nas/full.qcow2")" = identical ]
  [ "$(lab same "$VM" inc vda "$LAB_DIR/nas/inc.qcow2")" = identical ]
  run lab same "$VM" full vda "$LAB_DIR/nas/inc.qcow2"
  [ "$status" -eq 1 ]
  [[ $output == *'Content mismatch at offset 3145728'* ]]

  # one byte in the middle of an unallocated area, in the backup and in the record
  qemu-img convert -O raw "$LAB_DIR/nas/inc.qcow2" "$BATS_TEST_TMPDIR/flat"
  [ "$(lab same "$VM" inc vda "$BATS_TEST_TMPDIR/flat")" = identical ]
  printf '\1' | dd of="$BATS_TEST_TMPDIR/flat" bs=1 seek=9000001 conv=notrunc status=none
  run lab same "$VM" inc vda "$BATS_TEST_TMPDIR/flat"
  [ "$status" -eq 1 ]
  printf '\1' | dd of="$LAB_DIR/mirror/$VM.vda@inc.raw" bs=1 seek=3145729 conv=notrunc status=none
  run lab same "$VM" inc vda "$LAB_DIR/nas/inc.qcow2"
  [ "$status" -eq 1 ]
  [[ $output == *'Content mismatch'* ]]
}

@test "a backup that is longer by zeroes is not the same" {
  new_vm
  lab moment "$VM" now
  truncate -s 17M "$BATS_TEST_TMPDIR/longer"
  run lab same "$VM" now vda "$BATS_TEST_TMPDIR/longer"
  [ "$status" -eq 1 ]
  [[ $output == 'size differs'* ]]
}

@test "a bitmap that was lost and created anew leaves a hole, and the oracle sees it" {
  new_vm
  backup "$LAB_DIR/nas/hole-full.qcow2" backup-1
  lab write "$VM" vda 0x33 2M 128K
  lab vm-stop "$VM"
  lab bitmap-remove "$VM" vda backup-1
  lab vm-start "$VM"
  checkpoint_xml backup-1 >"$BATS_TEST_TMPDIR/again.xml"
  $V checkpoint-create "$VM" "$BATS_TEST_TMPDIR/again.xml"
  lab moment "$VM" inc
  backup "$LAB_DIR/nas/hole-inc.qcow2" backup-2 backup-1
  qemu-img rebase -u -b hole-full.qcow2 -F qcow2 "$LAB_DIR/nas/hole-inc.qcow2"
  run lab same "$VM" inc vda "$LAB_DIR/nas/hole-inc.qcow2"
  [ "$status" -eq 1 ]
  [[ $output == *'Content mismatch at offset 2097152'* ]]
}

@test "bitmaps survive a clean restart and are broken by a crash" {
  new_vm
  backup "$LAB_DIR/nas/restart-full.qcow2" backup-1
  lab write "$VM" vda 0x44 0 64K
  [ "$(lab bitmaps "$VM")" = "$(printf 'vda\tbackup-1\trecording,persistent\t65536')" ]
  lab vm-stop "$VM"
  [ "$(lab bitmaps "$VM")" = "$(printf 'vda\tbackup-1\tauto')" ]
  lab vm-start "$VM"
  [ -z "$($V checkpoint-list "$VM" --name)" ]
  lab vm-crash "$VM"
  [ "$(lab bitmaps "$VM")" = "$(printf 'vda\tbackup-1\tin-use,auto')" ]
}

@test "all kinds of writes, on a running and on a stopped VM, end in disk and mirror alike" {
  new_vm vda:16M vdb:8M:cluster_size=4k
  printf '%s\n' 'write vda 0xab 512 512' 'write vdb 0x01 0 8M' 'zero vdb 64K 4096' 'discard vdb 1M 128K' 'write vdb 0xff 1M 4096' |
    lab write-many "$VM"
  lab disk-add "$VM" vdc 8M
  lab write "$VM" vdc 0x55 4M 64K
  lab disk-resize "$VM" vdc 10M
  lab write "$VM" vdc 0x56 9M 64K
  lab vm-pause "$VM"
  lab zero "$VM" vdc 4M 4096
  lab vm-resume "$VM"
  lab moment "$VM" running
  lab vm-stop "$VM"
  for target in vda vdb vdc; do [ "$(lab same "$VM" running "$target" "$(image "$target")")" = identical ]; done
  lab write "$VM" vda 0x66 1M 1M
  lab discard "$VM" vda 1M 64K
  lab moment "$VM" stopped
  [ "$(lab same "$VM" stopped vda "$(image vda)")" = identical ]
  run lab same "$VM" running vda "$(image vda)"
  [ "$status" -eq 1 ]
}

@test "a disk is taken out of a running VM and put in again, bytes and bitmap with it; a removed one is gone for good" {
  new_vm vda:16M vdb:8M
  lab write "$VM" vdb 0x11 1M 64K
  $V checkpoint-create-as "$VM" backup-1
  local path
  path=$(image vdb)
  lab disk-detach "$VM" vdb
  [[ $($V domblklist "$VM") != *vdb* ]]
  run lab disk-add "$VM" vdb 8M
  [ "$status" -eq 1 ]
  lab disk-attach "$VM" vdb
  lab write "$VM" vdb 0x22 2M 64K
  [[ $(lab bitmaps "$VM") == *$'vdb\tbackup-1\trecording,persistent\t65536'* ]]
  lab moment "$VM" back
  lab disk-remove "$VM" vdb
  [ ! -e "$path" ] && [ ! -e "$LAB_DIR/mirror/$VM.vdb.raw" ]

  lab disk-add "$VM" vdb 8M
  lab moment "$VM" new
  lab vm-stop "$VM"
  [ "$(lab same "$VM" new vdb "$(image vdb)")" = identical ]
  run lab same "$VM" back vdb "$(image vdb)"
  [[ $output == *'Content mismatch at offset 1048576'* ]]
  lab disk-detach "$VM" vdb
  lab moment "$VM" new
  run lab same "$VM" new vdb "$path"
  [[ $output == *'no moment new'* ]]
}

@test "a write that QEMU could not do fails, and the mirror stays as it was" {
  small=$(lab nas-small 2 small)
  lab vm-create "$VM" vda:16M
  mv "$(image vda)" "$small/disk"
  sed -i "s|\t[^\t]*images/[^\t]*|\t$small/disk|" "$LAB_DIR/run/$VM.disks"
  lab vm-start "$VM"
  lab write "$VM" vda 0x11 0 64K
  before=$(sha256sum <"$LAB_DIR/mirror/$VM.vda.raw")
  run lab write "$VM" vda 0x22 1M 8M
  [ "$status" -eq 1 ]
  [[ $output == *'0 of 1 writes went through'*'No space left'* ]]
  [ "$(sha256sum <"$LAB_DIR/mirror/$VM.vda.raw")" = "$before" ]
}

# acknowledges N: the guest does so many writes more.
acknowledges() {
  local from
  from=$(lab guest-acked "$VM")
  for _ in {1..600}; do (($(lab guest-acked "$VM") >= from + $1)) && return 0; sleep 0.1; done
  return 1
}

# bats test_tags=full
@test "a real guest: its disk is what its log says; a write that is lost or older, and a pause, are seen" {
  local last image place
  lab vm-create "$VM" vda:16M
  lab write "$VM" vda 0x5a 0 16M
  lab guest "$VM"
  lab vm-start "$VM"
  acknowledges 20
  lab vm-pause "$VM"
  sleep 3
  lab vm-resume "$VM"
  acknowledges 20
  lab vm-crash "$VM"
  last=$(lab guest-acked "$VM") image=$(image vda)
  IFS=$'\t' read -r failed gap slowest < <(lab guest-felt "$VM" 1 "$last")
  [ "$failed" -eq 0 ]
  ((gap >= 2000 && slowest < 2000))
  # Started again it goes on where it was.
  lab vm-start "$VM"
  acknowledges 20
  lab vm-stop "$VM"
  ((last + 20 <= $(lab guest-acked "$VM")))
  last=$(lab guest-acked "$VM")
  last=$(lab guest-same "$VM" "$image" "$last" "$((last + 1))")

  run lab guest-same "$VM" "$image" "$((last + 1))" "$((last + 9))"
  [ "$status" -eq 1 ]
  run lab guest-same "$VM" "$image" 1 "$((last - 1))"
  [ "$status" -eq 1 ]
  # One of the middle is as it was before it; of one a sector is another's. guest/guest.c says where they lie.
  place=$(((last - 7) * 1543 % 1024 * 16384))
  cp "$image" "$BATS_TEST_TMPDIR/lost"
  qemu-io -f qcow2 -c "write -P 0x5a $place 16K" "$BATS_TEST_TMPDIR/lost" >/dev/null
  run lab guest-same "$VM" "$BATS_TEST_TMPDIR/lost" 1 "$last"
  [ "$status" -eq 1 ]
  [[ $output == "not what it held after $last writes: Content mismatch at offset $place"* ]]
  cp "$image" "$BATS_TEST_TMPDIR/flipped"
  qemu-io -f qcow2 -c "write -P 0x01 $((place + 8192)) 512" "$BATS_TEST_TMPDIR/flipped" >/dev/null
  run lab guest-same "$VM" "$BATS_TEST_TMPDIR/flipped" 1 "$last"
  [ "$status" -eq 1 ]
  [[ $output == *"Content mismatch at offset $((place + 8192))"* ]]
}

# bats test_tags=full
@test "a real guest with a guest agent: a freeze holds its writes until the thaw, which may be refused" {
  local last
  lab vm-create "$VM" --agent vda:16M
  lab guest "$VM" 20 refuses
  lab vm-start "$VM"
  acknowledges 20
  virsh -q -c qemu:///system domfsfreeze "$VM"
  last=$(lab guest-acked "$VM")
  for _ in 1 2 3; do
    run virsh -q -c qemu:///system domfsthaw "$VM"
    [[ $status -ne 0 && $output == *'the agent is busy'* ]]
  done
  sleep 1
  [ "$(lab guest-acked "$VM")" -eq "$last" ]
  virsh -q -c qemu:///system domfsthaw "$VM"
  acknowledges 20
  IFS=$'\t' read -r failed gap slowest < <(lab guest-felt "$VM" 1 "$(lab guest-acked "$VM")")
  ((failed == 0 && gap >= 1000 && slowest >= 1000))
}

@test "what is not a write is refused and nothing is written" {
  new_vm
  before=$(sha256sum <"$LAB_DIR/mirror/$VM.vda.raw")
  for bad in 'write vda 0x11 16M 512' 'write vda 0x11 100 512' 'write vda 256 0 512' 'write vdb 0x11 0 512' 'discard vda 4096 64K' \
    'write vda 0x11 0 0' 'format vda 0x11 0 512' "write vda 0x11';id 0 512"; do
    run lab write-many "$VM" <<<"write vda 0x77 0 512
$bad"
    [ "$status" -eq 1 ]
    [[ $output == lab:* ]]
  done
  [ "$(sha256sum <"$LAB_DIR/mirror/$VM.vda.raw")" = "$before" ]
}

@test "a NAS on a line is as slow as it is told, hangs, and goes on with nothing lost" {
  nas=$(lab nas-slow line)
  head -c 3M /dev/urandom >"$BATS_TEST_TMPDIR/data"
  cp "$BATS_TEST_TMPDIR/data" "$nas/quick"
  lab nas-speed line 1M
  from=${EPOCHREALTIME/./}
  cp "$BATS_TEST_TMPDIR/data" "$nas/slow"
  # Not faster: how much slower is the machine's affair.
  ((${EPOCHREALTIME/./} - from > 2500000))
  lab nas-speed line 0
  cp "$BATS_TEST_TMPDIR/data" "$nas/hung" 3>&- 4>&- & copy=$!
  stat -f "$nas" >/dev/null 3>&- 4>&- & look=$!
  sleep 1
  kill -0 "$copy"
  kill -0 "$look"
  lab nas-speed line unlimited
  wait "$copy" "$look"
  for file in quick slow hung; do
    cmp "$BATS_TEST_TMPDIR/data" "$nas/$file"
    cmp "$BATS_TEST_TMPDIR/data" "$LAB_DIR/run/line.data/$file"
  done
  small=$(lab nas-small 4 small-line "$nas")
  run dd if=/dev/zero of="$small/full" bs=64K
  [[ $output == *'No space left'* ]]
}

@test "what the lab starts and leaves running holds no descriptor of its starter's: bats would wait for it for ever" {
  user=cklabd$((BATS_ROOT_PID % 10000))
  lab sshd-up "$user" >/dev/null
  lab nas-slow idle-line >/dev/null
  output=$(readlink /proc/self/fd/3)
  [[ $output == pipe:* ]]
  for pid in $(cat /run/libvirtd.pid /run/virtlogd.pid "$LAB_DIR/ssh/$user/sshd.pid") $(pgrep -f "$LAB_DIR/run/idle-line.speed"); do
    echo "$pid $(cat "/proc/$pid/comm")"
    run ! grep -qxF "$output" <(readlink "/proc/$pid/fd/"* || :)
  done
}

@test "leaks tells of mounts, jobs, checkpoints, locks and half a backup" {
  new_vm
  run lab leaks
  [ "$status" -eq 0 ]
  [ -z "$output" ]
  $V checkpoint-create-as "$VM" backup-9 --diskspec vda,checkpoint=bitmap >/dev/null
  # A pull job lasts until somebody ends it.
  mkdir -m 777 "$LAB_DIR/job"
  printf "<domainbackup mode='pull'><server transport='unix' socket='$LAB_DIR/job/sock'/></domainbackup>" >"$BATS_TEST_TMPDIR/job.xml"
  $V backup-begin "$VM" "$BATS_TEST_TMPDIR/job.xml"
  mount=$(mktemp -d -t csbackup.XXXXX)
  mount --bind "$LAB_DIR/nas" "$mount"
  mkdir -p "$LAB_DIR/nas/$VM/2026.01.02.03.04.05" "$LAB_DIR/host/state/locks"
  # A sleeper holds the lock, without bats' descriptors: bats would wait for them.
  flock -o "$LAB_DIR/host/state/locks/$VM" sleep 60 3>&- 4>&- >/dev/null 2>&1 &
  holder=$!
  for _ in {1..50}; do flock -n "$LAB_DIR/host/state/locks/$VM" true || break; sleep 0.05; done
  run lab leaks backup-1
  $V domjobabort "$VM"
  for _ in {1..100}; do [[ $($V domjobinfo "$VM") != *None* ]] || break; sleep 0.05; done
  umount "$mount"; rmdir "$mount"
  kill "$(ps -o pid= --ppid "$holder")"; wait "$holder" || :
  rm -r "$LAB_DIR/nas/$VM"
  [ "$status" -eq 1 ]
  [[ $output == *"mount	$mount"* && $output == *"checkpoint	$VM backup-9"* && $output == *"job	$VM "* && $output == *"lock	"*"/$VM"* && $output == *"partial	"* ]]
  run lab leaks backup-9
  [ "$status" -eq 0 ]
}

@test "the lab's user may run the host script as root, and nothing else" {
  user=cklabt$((BATS_ROOT_PID % 10000))
  printf '#!/bin/sh\necho "uid $(id -u), $*"\n' >"$LAB_DIR/host/nasbackup.sh"; chmod 755 "$LAB_DIR/host/nasbackup.sh"
  json=$(lab sshd-up "$user")
  field() { jq -r ".$1" <<<"$json"; }
  printf '[127.0.0.1]:%s %s\n' "$(field port)" "$(field hostKey)" >"$BATS_TEST_TMPDIR/known"
  say() { ssh -q -o BatchMode=yes -o UserKnownHostsFile="$BATS_TEST_TMPDIR/known" -p "$(field port)" -i "$(field privateKey)" "$user@127.0.0.1" "$@"; }
  [ "$(say sudo -n "$(field script)" 'a b')" = 'uid 0, a b' ]
  run say sudo -n id
  [ "$status" -eq 1 ]
  say 'touch started; sleep 2; touch ended' & session=$!
  for _ in {1..50}; do [ -e "$LAB_DIR/ssh/$user/home/started" ] && break; sleep 0.05; done
  lab sshd-drop "$user"
  run wait "$session"
  [ "$status" -ne 0 ]
  [ "$(say id -un)" = "$user" ]
  lab sshd-kill "$user"
  run say true
  [ "$status" -ne 0 ]
  [ "$(lab sshd-up "$user")" = "$json" ]
  say true
}

@test "two labs at once keep out of each other's way; the one whose owner was killed is removed by the next up" {
  new_vm
  other=/tmp/chainkeeper-labtest-$$-other user=cklabo$((BATS_ROOT_PID % 10000))
  sleep 60 3>&- & owner=$!
  LAB_OWNER=$owner lab "$other" up
  run lab "$other" vm-create "$VM" vda:16M
  [ "$status" -eq 1 ]
  [[ $output == *'another VM'* ]]
  lab "$other" vm-create "$VM-b" vda:16M
  lab "$other" vm-start "$VM-b"
  lab "$other" sshd-up "$user" >/dev/null
  lab "$other" nas-small 4 small >/dev/null
  lab "$other" nas-slow line >/dev/null
  lab "$other" nas-speed line 0
  touch "$other/nas/line/waits" 3>&- 4>&- &
  kill "$owner"; wait "$owner" || :
  lab up
  [ ! -e "$other" ]
  run $V domstate "$VM-b"
  [ "$status" -ne 0 ]
  run getent passwd "$user"
  [ "$status" -ne 0 ]
  run ! grep -q "$other" /proc/self/mountinfo
  run ! pgrep -f "$other/run/line.speed"
  [ "$(grep -l "$other" /etc/sudoers.d/* | wc -l)" -eq 0 ]
  [ "$($V domstate "$VM")" = running ]
}

@test "machines that were only defined, or made by a restore, go with a dead owner's lab" {
  dead=/tmp/chainkeeper-labtest-$$-dead
  sleep 60 3>&- & owner=$!
  LAB_OWNER=$owner lab "$dead" up
  for name in "$VM-b" "$VM-c"; do lab "$dead" vm-create "$name" vda:16M; done
  lab "$dead" vm-start "$VM-b"
  $V dumpxml "$VM-b" >"$BATS_TEST_TMPDIR/b.xml"
  $V define "$BATS_TEST_TMPDIR/b.xml"
  # Stopped, with a saved state and a checkpoint that libvirt keeps.
  checkpoint_xml backup-1 >"$BATS_TEST_TMPDIR/c.xml"
  $V checkpoint-create "$VM-b" "$BATS_TEST_TMPDIR/c.xml"
  $V managedsave "$VM-b"
  # No VM of the lab, and running from one of its files.
  sed "s#<name>.*</name>#<name>new-$VM</name>#; s#<uuid>.*</uuid>##; s#$(lab "$dead" vm-disks "$VM-b" | cut -f2)#$(lab "$dead" vm-disks "$VM-c" | cut -f2)#" "$BATS_TEST_TMPDIR/b.xml" >"$BATS_TEST_TMPDIR/n.xml"
  $V define "$BATS_TEST_TMPDIR/n.xml"
  $V start "new-$VM"
  kill "$owner"; wait "$owner" || :
  lab reap
  [ ! -e "$dead" ]
  run -0 $V list --all --name
  [[ $output != *"$VM-b"* ]]
  [[ $output != *"new-$VM"* ]]
}

@test "after a restart of the machine, with neither libvirt nor QEMU to ask, a dead owner's lab is removed and stops no other" {
  gone=/tmp/chainkeeper-labtest-$$-gone stuck=/tmp/chainkeeper-labtest-$$-stuck
  sleep 60 3>&- & owner=$!
  for dir in "$gone" "$stuck"; do LAB_OWNER=$owner lab "$dir" up; done
  lab "$gone" vm-create "$VM-b" vda:16M
  kill "$owner"; wait "$owner" || :
  mkdir "$BATS_TEST_TMPDIR/bin" "$stuck/run/$VM-c.speed" # no line has a directory in its place: the removal fails there
  printf '#!/bin/sh\nexit 1\n' >"$BATS_TEST_TMPDIR/bin/virsh"
  chmod +x "$BATS_TEST_TMPDIR/bin/virsh"
  PATH=$BATS_TEST_TMPDIR/bin:$PATH run lab reap
  [ "$status" -eq 0 ]
  [[ $output == *"$stuck could not be removed"* ]]
  [ ! -e "$gone" ]
  [ -e "$stuck" ]
  rmdir "$stuck/run/$VM-c.speed"
  lab reap
  [ ! -e "$stuck" ]
}

@test "a directory that QEMU's user cannot reach is refused" {
  closed=$(mktemp -d)
  run lab "$closed/lab" up
  lab "$closed/lab" down
  rmdir "$closed"
  [ "$status" -eq 1 ]
  [[ $output == *"cannot reach"* ]]
}
