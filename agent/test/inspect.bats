#!/usr/bin/env bats
# inspect: what is, in one line of JSON, and nothing is changed by looking.

load host
load stubs
setup_file() { host_up; }
teardown_file() { host_down; }
setup() { use_host; host_conf; }
teardown() { leave_host; }

inspect() { script inspect -v "$VM" "$@" && [[ $status -eq 0 && ${#lines[@]} -eq 1 ]]; }
# seen VALUE FILTER
seen() { local is; is=$(jq -r "$2" <<<"$output"); [[ $is == "$1" ]] || { printf '%s is %s, not %s\n%s\n' "$2" "$is" "$1" "$output" >&2; return 1; }; }

@test "a running machine: disks, bitmaps and their counts, checkpoints, since when it runs, the room on the NAS" {
  new_vm vda:64M vdb:32M
  full
  done_is full null
  identical
  lab write "$VM" vda 0x22 4M 100K
  local before
  before=$(virsh_q dumpxml "$VM"; lab bitmaps "$VM"; virsh_q checkpoint-list "$VM"; find "$NAS" -printf '%p %s %T@\n')
  inspect -t dir -s "$NAS" -m ''
  seen "running false backup-1001 null" '"\(.vm.state) \(.job.active) \(.checkpoints | join(",")) \(.agent)"'
  seen "vda $(image vda) qcow2 67108864 65536" '.disks[0] | "\(.target) \(.path) \(.format) \(.virtualSize) \(.clusterSize)"'
  seen "$(stat -c %i "$(image vdb)")" '.disks[1].inode'
  # 100 KiB from 4 MiB on touch two clusters.
  seen 'backup-1001 true false true 65536 131072' '.disks[0].bitmaps[0] | "\(.name) \(.recording) \(.inconsistent) \(.persistent) \(.granularity) \(.dirtyBytes)"'
  seen "$(stat -f -c '%S %b' "$NAS" | awk '{ print $1 * $2 }')" .space.total
  seen true '(.vm.qemuStarted | fromdateiso8601? // (.[0:19] + "Z" | fromdateiso8601)) as $t | (now - $t) < 600'
  [[ $(virsh_q dumpxml "$VM"; lab bitmaps "$VM"; virsh_q checkpoint-list "$VM"; find "$NAS" -printf '%p %s %T@\n') == "$before" ]]

  local first
  first=$(jq -r .vm.qemuStarted <<<"$output")
  restart_vm
  inspect
  # libvirt has forgotten, the disk has not.
  seen ' backup-1001 true true' '"\(.checkpoints | join(",")) \(.disks[1].bitmaps[0].name) \(.disks[1].bitmaps[0].recording) \(.vm.qemuStarted > "'"$first"'")"'
}

@test "a guest that sleeps, has panicked or is shutting down: its QEMU has the disks, and they are backed up like those of others" {
  local state
  new_vm vda:64M
  use_stubs
  for state in 'pmsuspended:paused' 'crashed:paused' 'in shutdown:running' 'idle:running'; do
    stub virsh <<END
[[ " \$* " != *' domstate '* ]] || { echo '${state%:*} (unknown)'; exit; }
real "\$@"
END
    inspect
    seen "${state#*:} ${state%:*} vda" '"\(.vm.state) \(.vm.reason) \(.disks[0].target)"'
    full
    done_is full null
    identical
  done
}

# bats test_tags=full
@test "a crash: bitmaps that are there and good for nothing" {
  new_vm vda:64M
  full
  done_is full null
  restart_vm
  flush_vm vda
  lab vm-crash "$VM"
  start_vm
  inspect
  seen 'backup-1001 false true' '.disks[0].bitmaps[0] | "\(.name) \(.recording) \(.inconsistent)"'
  ALLOWED=("$BITMAP")
}

@test "what each disk does with an error: its guest stops, or hears of it" {
  lab vm-create "$VM" vda:64M vdb:32M
  lab vm-start "$VM"
  inspect
  seen 'null null' '"\(.disks[0].errorPolicy) \(.disks[1].errorPolicy)"'
  lab vm-stop "$VM"
  sed -i "/dev='vdb'/s/<driver /<driver error_policy='report' /" "$LAB_DIR/run/$VM.xml"
  virsh_q create "$LAB_DIR/run/$VM.xml"
  inspect
  seen 'null report' '"\(.disks[0].errorPolicy) \(.disks[1].errorPolicy)"'
}

@test "paused, stopped, unknown" {
  new_vm vda:64M
  full
  done_is full null
  identical
  lab vm-pause "$VM"
  inspect
  seen 'paused user' '"\(.vm.state) \(.vm.reason)"'
  lab vm-stop "$VM"
  inspect -d "$(image vda)"
  seen 'shut off null backup-1001 true null' '"\(.vm.state) \(.vm.qemuStarted) \(.disks[0].bitmaps[0] | "\(.name) \(.recording) \(.dirtyBytes)")"'
  inspect
  seen 'absent 0' '"\(.vm.state) \(.disks | length)"'
  inspect -d /none/at/all
  seen 'shut off null disk-unreadable' '"\(.vm.state) \(.disks[0].bitmaps) \([.problems[].code] | join(","))"'
}

# bats test_tags=full
@test "what would fail later is said before: QEMU may not enter the NAS, libvirt or QEMU too old" {
  new_vm vda:64M
  mkdir -m 0700 "$NAS/closed"
  inspect -t dir -s "$NAS/closed" -m ''
  seen true '[.problems[].code] | index("nas-not-reachable") != null'
  inspect -t dir -s "$NAS" -m '' -p "$VM/1"
  seen 'path-missing' '[.problems[].code] | map(select(. == "path-missing" or . == "nas-not-reachable")) | join(",")'

  use_stubs
  stub virsh <<<'[[ "$*" != *version* ]] && { real "$@"; exit; }; real "$@" | sed "s/^Running against daemon: .*/Running against daemon: 6.0.0/; s/QEMU [0-9.]*$/QEMU 4.1.1/"'
  inspect
  seen 'version-too-old,version-too-old' '[.problems[].code | select(. == "version-too-old")] | join(",")'
  full
  failed_is version-too-old
  untouched
  [[ $output == *'libvirt 6.0.0 is too old: 7.2.0 or newer is needed'* ]]
}

@test "no libvirt, or one that answers nonsense: an error that says so, as JSON" {
  use_stubs
  stub virsh <<<'echo "error: failed to connect to the hypervisor" >&2; exit 1'
  script inspect -v "$VM"
  [[ $status -eq 1 ]]
  seen libvirt-unreachable .error.code
  [[ $output == *'failed to connect'* ]]
}

@test "check: whether AppArmor confines machines here, which ones run so, and the rules as they lie there" {
  local kernel=$BATS_TEST_TMPDIR/kernel rules=$BATS_TEST_TMPDIR/rules
  script check
  [[ $status -eq 0 ]]
  seen "$([[ -d /sys/kernel/security/apparmor/policy ]] && echo true || echo false)" '.apparmor.state != "disabled"'
  seen '/tmp/csbackup.XXXXX' '.apparmor.writes[0]'

  use_stubs
  sed -i "s#^APPARMOR_KERNEL=.*#APPARMOR_KERNEL=$kernel APPARMOR_RULES=$rules#" "$SCRIPT"
  mkdir -p "$kernel/policy" "$rules"/{abstractions/libvirt-qemu.d,local/abstractions,libvirt}
  printf '%s\n' '/usr/sbin/libvirtd (enforce)' 'libvirt-0a1b2c3d-0000-4000-8000-000000000001 (enforce)' >"$kernel/profiles"
  printf '  # "rules" of \\ libvirt\n\t/dev/kvm rw,\n' >"$rules/abstractions/libvirt-qemu"
  : >"$rules/local/abstractions/libvirt-qemu"
  echo '/** rwk,' >"$rules/abstractions/libvirt-qemu.d/site"
  echo 'profile LIBVIRT_TEMPLATE { }' >"$rules/libvirt/TEMPLATE.qemu"
  stub virsh <<<'real "$@"'
  script check
  seen unused .apparmor.state
  stub virsh <<<'[[ "$*" == *capabilities* ]] && echo "<secmodel><model>apparmor</model></secmodel>" || real "$@"'
  script check
  seen 'confining libvirt-0a1b2c3d-0000-4000-8000-000000000001 (enforce)' '"\(.apparmor.state) \(.apparmor.profiles | join(","))"'
  seen 'abstractions/libvirt-qemu abstractions/libvirt-qemu.d/site local/abstractions/libvirt-qemu libvirt/TEMPLATE.qemu' \
    '[.apparmor.files[].path] | join(" ")'
  seen $'  # "rules" of \\ libvirt\n\t/dev/kvm rw,' '.apparmor.files[0].text'
}
