# VMs without a guest OS: transient domains with virtio disks, as CloudStack's are. run/NAME.disks is the truth about a VM's disks:
# target, image, size in bytes, format, tab-separated.

#: vm-create NAME [--agent] DISK:SIZE[:OPTIONS] ...   images (qcow2 v3; OPTIONS go to qemu-img create -o, or `raw`) and their mirrors
verb_vm_create() {
  local name=$1 agent='' disk; shift
  check_name "$name"; need_up
  [[ ${1:-} == --agent ]] && { agent=yes; shift; }
  (($# > 0)) || die 'vm-create NAME DISK:SIZE ...'
  [[ ! -e $RUN/$name.disks ]] || die "this lab has a VM $name already"
  ! virsh_q domstate "$name" >/dev/null 2>&1 || die "libvirt knows another VM $name"
  for disk; do
    [[ $disk =~ ^(vd[a-z]):([0-9]+[KMG]?)(:[a-z0-9_=,.]+)?$ ]] || die "not DISK:SIZE[:OPTIONS]: '$disk'"
  done
  for disk; do
    IFS=: read -r target size options <<<"$disk"
    make_disk "$name" "$target" "$size" "$options"
  done
  cat /proc/sys/kernel/random/uuid >"$RUN/$name.uuid"
  [[ -z $agent ]] || touch "$RUN/$name.agent"
}

# Image names are bare uuids, as on CloudStack's primary storage.
make_disk() {
  local name=$1 target=$2 size options=${4:-} image format=qcow2
  size=$(bytes "$3")
  ((size > 0 && size % 512 == 0)) || die "a disk is a multiple of 512 bytes: $3"
  image=$IMAGES/$(</proc/sys/kernel/random/uuid)
  if [[ $options == raw ]]; then
    format=raw
    truncate -s "$size" "$image"
  else
    qemu-img create -q -f qcow2 -o "compat=1.1${options:+,$options}" "$image" "$size"
  fi
  truncate -s "$size" "$(mirror "$name" "$target")"
  printf '%s\t%s\t%s\t%s\n' "$target" "$image" "$size" "$format" >>"$RUN/$name.disks"
}

lab_vms() { local file; for file in "$RUN"/*.disks; do [[ -e $file ]] && basename "$file" .disks; done; return 0; }
need_vm() { check_name "$1"; need_up; [[ -e $RUN/$1.disks ]] || die "this lab has no VM $1"; }
# libvirt keeps the pidfile as long as it knows the VM; whether it knows of an end is another question.
running() { qemu_of "$1"; }
gone() { [[ ! -e /run/libvirt/qemu/$1.pid ]] && ! virsh_q domstate "$1" >/dev/null 2>&1; }
mirror() { printf '%s' "$MIRROR/$1.$2.raw"; }

# disk_of NAME TARGET: sets image, size, format.
disk_of() {
  check_target "$2"
  local found
  while IFS=$'\t' read -r found image size format; do [[ $found != "$2" ]] || return 0; done <"$RUN/$1.disks"
  die "VM $1 has no disk $2"
}

disk_xml() {
  printf "<disk type='file' device='disk'><driver name='qemu' type='%s' discard='unmap'/><source file='%s'/><target dev='%s' bus='virtio'/></disk>\n" "$3" "$2" "$1"
}

vm_xml() {
  local name=$1 target image format boot="<loader type='rom'>$IMAGES/halt.rom</loader>" memory=64 cache=16
  [[ ! -e $RUN/$name.boots ]] || boot=''
  # A kernel is more than a firmware that halts.
  [[ ! -e $RUN/$name.guest ]] || { boot=$(guest_os "$name"); memory=128 cache=64; }
  printf "<domain type='qemu'><name>%s</name><uuid>%s</uuid><memory unit='MiB'>%s</memory><vcpu>1</vcpu>\n" "$name" "$(<"$RUN/$name.uuid")" "$memory"
  printf "<os><type arch='x86_64' machine='pc'>hvm</type>%s</os><features><acpi/><tcg><tb-cache unit='MiB'>%s</tb-cache></tcg></features><devices>\n" "$boot" "$cache"
  while IFS=$'\t' read -r target image _ format; do disk_xml "$target" "$image" "$format"; done <"$RUN/$name.disks"
  [[ ! -e $RUN/$name.agent ]] || printf "<channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0'/></channel>\n"
  [[ ! -e $RUN/$name.guest ]] || guest_serial "$name"
  printf "<memballoon model='none'/></devices></domain>\n"
}

#: vm-start NAME                   `virsh create`: a transient domain
verb_vm_start() {
  need_vm "$1"
  vm_xml "$1" >"$RUN/$1.xml"
  virsh_q create "$RUN/$1.xml" >/dev/null
}

#: vm-stop NAME                    `virsh destroy`, and wait until it is gone; with vm-start a clean restart
verb_vm_stop() {
  need_vm "$1"
  virsh_q destroy "$1" >/dev/null
  wait_until 20 gone "$1" || die "$1 does not go away"
}

#: vm-crash NAME                   kill -9 of its QEMU, and wait until libvirt has noticed
verb_vm_crash() {
  need_vm "$1"
  kill_qemu "$1" || die "$1 does not run"
  wait_until 20 gone "$1" || die "libvirt does not notice that $1 is dead"
}

# qemu_of NAME: REPLY is the one process of this VM: by libvirt's pidfile, and its command line must name it.
qemu_of() {
  local -a words=()
  { read -r REPLY <"/run/libvirt/qemu/$1.pid" || [[ $REPLY ]]; } 2>/dev/null || return 1 # the file ends without a newline
  { mapfile -t -d '' words <"/proc/$REPLY/cmdline"; } 2>/dev/null || return 1
  [[ ${words[2]-} == "guest=$1,"* ]]
}
kill_qemu() { qemu_of "$1" && kill -KILL "$REPLY"; }

#: vm-pause NAME / vm-resume NAME  `virsh suspend`, `virsh resume`
verb_vm_pause() { need_vm "$1"; virsh_q suspend "$1" >/dev/null; }
verb_vm_resume() { need_vm "$1"; virsh_q resume "$1" >/dev/null; }

#: vm-remove NAME                  stop it and delete its disks, mirrors, moments and QEMU's log
verb_vm_remove() { need_vm "$1"; remove_vm "$1"; }

# Two at once are one after the other: a test's own machine may still be going away when its lab goes down.
remove_vm() {
  local image lock
  exec {lock}>"$RUN/$1.removing"
  flock -w 60 "$lock" || die "$1 is being removed, for a minute now"
  if [[ -e $RUN/$1.disks ]]; then remove_it "$1"; fi
  exec {lock}>&-
}

remove_it() {
  if ! gone "$1"; then
    # Its disks go too: no need for QEMU to close them in good order, which takes a second.
    kill_qemu "$1" || timeout 20 virsh -q -c "$URI" destroy "$1" >/dev/null || :
    wait_until 20 gone "$1" || die "$1 does not go away"
  fi
  local list
  for list in "$RUN/$1.disks" "$RUN/$1".vd?.aside; do
    [[ ! -e $list ]] || while IFS=$'\t' read -r _ image _; do rm -f "$image"; done <"$list"
  done
  rm -f "$MIRROR/$1".vd?.raw "$MIRROR/$1".vd?@*.raw "/var/log/libvirt/qemu/$1.log"*
  rm -f "$RUN/$1.uuid" "$RUN/$1.agent" "$RUN/$1.boots" "$RUN/$1.guest"* "$IMAGES/$1.vmlinuz" "$IMAGES/$1.initrd" "$RUN/$1.xml" "$RUN/$1.disks" "$RUN/$1".vd?.aside "$RUN/$1.removing"
}

#: domain-remove NAME              take a persistent domain that a restore has made out of libvirt; its disks stay
verb_domain_remove() {
  check_name "$1"; need_up
  ! running "$1" || virsh_q destroy "$1" >/dev/null
  virsh_q undefine "$1" >/dev/null
}

# forget_definitions: what a restore has defined over disks of this lab. A VM that was only defined besides running is one of ours again.
forget_definitions() {
  local name
  for name in $(virsh_q list --all --persistent --name); do
    [[ $(virsh_q domblklist "$name") == *" $IMAGES/"* ]] || continue
    virsh_q undefine "$name" --managed-save --checkpoints-metadata >/dev/null
    [[ -e $RUN/$name.disks ]] || ! running "$name" || virsh_q destroy "$name" >/dev/null
  done
}

#: vm-disks NAME                   TARGET<TAB>PATH<TAB>SIZE of each disk
verb_vm_disks() { need_vm "$1"; cut -f1-3 "$RUN/$1.disks"; }

#: disk-add NAME TARGET SIZE       a new disk, attached live when the VM runs
verb_disk_add() {
  need_vm "$1"; check_target "$2"
  ! grep -q "^$2"$'\t' "$RUN/$1.disks" && [[ ! -e $RUN/$1.$2.aside ]] || die "VM $1 has a disk $2 already"
  make_disk "$1" "$2" "$3"
  attach_live "$1" "$2"
}

attach_live() {
  local image size format
  running "$1" || return 0
  disk_of "$1" "$2"
  disk_xml "$2" "$image" "$format" >"$RUN/$1.attach.xml"
  virsh_q attach-device "$1" "$RUN/$1.attach.xml" --live >/dev/null
  rm -f "$RUN/$1.attach.xml"
}

#: disk-detach NAME TARGET         taken out, live when the VM runs, and put aside: image and mirror stay
verb_disk_detach() {
  need_vm "$1"
  local image size format
  disk_of "$1" "$2"
  ! running "$1" || detach_live "$1" "$2"
  grep "^$2"$'\t' "$RUN/$1.disks" >"$RUN/$1.$2.aside"
  sed -i "/^$2\t/d" "$RUN/$1.disks"
}

# A guest has to let go of a disk, and none of the lab's has a kernel that would: what it would write to its ACPI ports is written for it.
detach_live() {
  local slot
  disk_alias "$2"
  slot=$(virsh_q qemu-monitor-command "$1" '{"execute":"query-pci"}' |
    jq --arg id "$REPLY" '.return[] | select(.bus == 0) | .devices[] | select(.qdev_id == $id) | .slot')
  [[ $slot ]] || die "QEMU has no disk $2 of $1 on its first bus"
  virsh_q detach-disk "$1" "$2" --live >/dev/null
  virsh_q qemu-monitor-command "$1" --hmp 'o/w 0xae10 0' >/dev/null
  virsh_q qemu-monitor-command "$1" --hmp "o/w 0xae08 $((1 << slot))" >/dev/null
  wait_until 20 has_no_disk "$1" "$2" || die "$1 does not let go of $2"
}
has_no_disk() { ! virsh_q domblklist "$1" | grep -q "^ *$2 "; }

#: disk-attach NAME TARGET         a disk that was put aside is put in again
verb_disk_attach() {
  need_vm "$1"; check_target "$2"
  [[ -e $RUN/$1.$2.aside ]] || die "no disk $2 of $1 was put aside"
  cat "$RUN/$1.$2.aside" >>"$RUN/$1.disks"
  sort -o "$RUN/$1.disks" "$RUN/$1.disks"
  rm -f "$RUN/$1.$2.aside"
  attach_live "$1" "$2"
}

#: disk-remove NAME TARGET         taken out as by disk-detach, and deleted with its mirror; its moments stay
verb_disk_remove() {
  local image size format
  need_vm "$1"
  disk_of "$1" "$2"
  verb_disk_detach "$1" "$2"
  rm -f "$RUN/$1.$2.aside" "$image" "$(mirror "$1" "$2")"
}

#: disk-resize NAME TARGET SIZE    live or stopped, smaller or larger; the mirror goes along
verb_disk_resize() {
  need_vm "$1"
  local image size format to
  disk_of "$1" "$2"
  to=$(bytes "$3")
  if running "$1"; then
    virsh_q blockresize "$1" "$2" "${to}B" >/dev/null
  else
    qemu-img resize -q --shrink -f "$format" "$image" "$to"
  fi
  truncate -s "$to" "$(mirror "$1" "$2")"
  local rest
  rest=$(grep -v "^$2"$'\t' "$RUN/$1.disks" || :)
  { [[ -z $rest ]] || printf '%s\n' "$rest"; printf '%s\t%s\t%s\t%s\n' "$2" "$image" "$to" "$format"; } | sort >"$RUN/$1.disks.new"
  mv "$RUN/$1.disks.new" "$RUN/$1.disks"
}

#: boot-writer NAME [BASE]         give a stopped VM a boot sector that writes vda for ever, a cluster a tick (18 a second), from BASE + 8M
#:                                 to BASE + 16M: a guest that feels what its disk does. What it writes is in no mirror. BASE: n x 32M
verb_boot_writer() {
  need_vm "$1"
  gone "$1" || die "$1 runs"
  local image size format sector=$RUN/$1.boot base high
  disk_of "$1" vda
  base=$(bytes "${2:-0}")
  ((base % (32 << 20) == 0 && size >= base + (16 << 20))) || die "not a multiple of 32M with 16M of vda behind it: $base"
  printf -v high '\\x%02x\\x%02x' $((base >> 25 & 255)) $((base >> 33 & 255))
  {
    printf '\xfa\x31\xc0\x8e\xd8\x8e\xd0\xbc\x00\x7c\xfb'             # ds = ss = 0, sp = 0x7c00, interrupts on
    printf '\xb2\x80\xbe\x2d\x7c\xb8\x00\x43\xcd\x13'                 # again: int 13h ah=43h: write, as the packet at 0x7c2d says
    printf '\x81\x06\x35\x7c\x80\x00\x81\x26\x35\x7c\xff\x3f\x81\x0e\x35\x7c\x00\x40\xf4\xeb\xe1' # next cluster; wait for a tick
    printf '\x90\x90\x90'
    printf '\x10\x00\x01\x00\x00\x7c\x00\x00\x00\x40%b\x00\x00\x00\x00' "$high" # the packet: 1 sector, from 0x7c00, to LBA 0x4000 + BASE
    head -c 449 /dev/zero
    printf '\x55\xaa'
  } >"$sector"
  [[ $(stat -c %s "$sector") == 512 ]] || die 'the boot sector is not 512 bytes'
  qemu-io -f "$format" -c "write -s $sector 0 512" "$image" >/dev/null
  dd if="$sector" of="$(mirror "$1" vda)" conv=notrunc status=none
  rm -f "$sector"
  touch "$RUN/$1.boots"
}
