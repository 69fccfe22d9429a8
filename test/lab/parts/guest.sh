# VMs with a real guest: Debian's cloud kernel and one program of ours (guest/guest.c), which writes numbered blocks over all of vda and
# says on the serial line what came of each. Its log is the witness of what it was promised and what it felt.

readonly GUEST_KIT=/var/cache/chainkeeper-lab
readonly GUEST_MODULES='virtio_ring virtio virtio_pci_modern_dev virtio_pci_legacy_dev virtio_pci virtio_blk virtio_console'

#: guest-kit                       bring in what a guest is made of, once for all labs of this machine: a kernel by apt-get (27 MB), not installed
verb_guest_kit() {
  local fd source
  ((EUID == 0)) || die 'the kit of a guest needs root'
  mkdir -p "$GUEST_KIT"
  exec {fd}>"$GUEST_KIT/lock"
  flock -w 300 "$fd" || die "another has held $GUEST_KIT for five minutes"
  [[ -e $GUEST_KIT/kernel/vmlinuz ]] || bring_kernel
  guest_program
  [[ -e $GUEST_PROGRAM.initrd ]] || make_guest
  exec {fd}>&-
}

# guest_program: GUEST_PROGRAM is where the program of this source lies; another clone has another.
guest_program() {
  GUEST_PROGRAM=$(sha256sum <"$LAB_HOME/guest/guest.c")
  GUEST_PROGRAM=$GUEST_KIT/guest-${GUEST_PROGRAM::8}
}

bring_kernel() {
  local work=$GUEST_KIT/kernel.new package why='the real guest of the lab needs a kernel of Debian'
  command -v apt-get >/dev/null || die "$why, and there is no apt-get here"
  package=$(kernel_package)
  [[ $package ]] || { apt-get update -qq && package=$(kernel_package); }
  [[ $package ]] || die "$why, and apt knows no linux-image-cloud-amd64 here"
  rm -rf "$work" && mkdir "$work"
  (cd "$work" && apt-get download -qq "$package" 2>&1) >"$work/answer" || die "$why: $(<"$work/answer")"
  dpkg --fsys-tarfile "$work"/*.deb | tar -x -C "$work" --wildcards --no-anchored --transform 's|.*/||' 'vmlinuz-*' 'virtio*.ko*'
  rm "$work"/*.deb "$work/answer"
  mv "$work"/vmlinuz-* "$work/vmlinuz"
  ! compgen -G "$work/*.xz" >/dev/null || xz -d "$work"/*.xz
  rm -rf "$GUEST_KIT/kernel" && mv "$work" "$GUEST_KIT/kernel"
}
kernel_package() { { apt-cache depends linux-image-cloud-amd64 2>/dev/null || :; } | awk '/Depends: linux-image-/ { print $NF; exit }'; }

make_guest() {
  local work module
  work=$(mktemp -d "$GUEST_KIT/make.XXXXXX")
  gcc -O2 -Wall -static -o "$work/init" "$LAB_HOME/guest/guest.c" || die "cannot build the guest's program: are gcc and libc6-dev there?"
  cp "$work/init" "$GUEST_PROGRAM"
  mkdir "$work/dev" "$work/modules"
  for module in $GUEST_MODULES; do
    # Another kernel may have one built in.
    [[ ! -e $GUEST_KIT/kernel/$module.ko ]] || cp "$GUEST_KIT/kernel/$module.ko" "$work/modules/"
  done
  (cd "$work" && find . | cpio --quiet -o -H newc) >"$GUEST_PROGRAM.new"
  mv "$GUEST_PROGRAM.new" "$GUEST_PROGRAM.initrd"
  rm -rf "$work"
}

#: guest NAME [PACE_MS [AGENT]]    give a stopped VM a guest that writes 16 KiB, waits so long (20 ms), and again, over all of vda. What it
#:                                 writes is in no mirror: guest-same writes it there. AGENT, in a VM made with --agent: a guest agent that
#:                                 works, is mute, or refuses (to thaw, three times); a freeze holds its writes back
verb_guest() {
  need_vm "$1"
  gone "$1" || die "$1 runs"
  [[ ${2:-20} =~ ^[0-9]{1,5}$ ]] || die "not milliseconds: '$2'"
  [[ ${3:-works} =~ ^(works|mute|refuses)$ ]] || die "no such agent: '$3'"
  [[ ! ${3:-} || -e $RUN/$1.agent ]] || die "$1 was made without --agent"
  local image size format
  disk_of "$1" vda
  verb_guest_kit
  # libvirt gives to QEMU's user what it starts from, for as long as the VM runs: each VM has its own.
  cp "$GUEST_KIT/kernel/vmlinuz" "$IMAGES/$1.vmlinuz"
  cp "$GUEST_PROGRAM.initrd" "$IMAGES/$1.initrd"
  printf '%s\n' "pace=${2:-20}${3:+ agent=$3}" >"$RUN/$1.guest"
  : >"$RUN/$1.guest.log"
}

# guest_os NAME: what its domain has in the place of a firmware that halts. Started again it goes on where it was.
guest_os() {
  printf "<kernel>%s</kernel><initrd>%s</initrd>" "$IMAGES/$1.vmlinuz" "$IMAGES/$1.initrd"
  printf "<cmdline>console=ttyS0 quiet panic=-1 %s first=%s</cmdline>" "$(<"$RUN/$1.guest")" "$(($(verb_guest_acked "$1") + 1))"
}
guest_serial() { printf "<serial type='file'><source path='%s' append='on'/><target port='0'/></serial>" "$RUN/$1.guest.log"; }

need_guest() { need_vm "$1"; [[ -e $RUN/$1.guest ]] || die "$1 has no guest"; }

#: guest-acked NAME                the number of the last write that was acknowledged, by the guest's own log
verb_guest_acked() {
  need_guest "$1"
  guest_writes "$1" | awk '$6 == 0 { n = $2 } END { print n + 0 }'
}

# guest_writes NAME: the lines of its log that are whole.
guest_writes() { tr -d '\r' <"$RUN/$1.guest.log" | grep -aE '^w [0-9]+ [0-9]+ [0-9]+ [0-9]+ [0-9]+$' || :; }

#: guest-felt NAME FROM TO         of its writes with these numbers: how many failed, and in ms the longest time from one acknowledged to the
#:                                 next and the slowest write; tab-separated. A pause counts, in whole seconds
verb_guest_felt() {
  need_guest "$1"
  # Its own clock stands still while it is paused, the one of the board goes on; at midnight that one begins anew.
  guest_writes "$1" | awk -v from="$2" -v to="$3" '
    $2 < from || $2 > to { next }
    $6 != 0 { failed++; next }
    last {
      gap = $4 - ended
      board = ($5 - rtc + 86400) % 86400 * 1000
      if (board > gap + 1500) gap = board
      if (gap > longest) longest = gap
    }
    { if ($3 > slowest) slowest = $3; ended = $4; rtc = $5; last = $2 }
    END { printf "%d\t%d\t%d\n", failed, longest, slowest }'
}

#: guest-same NAME FILE FIRST LAST   is FILE what vda held after exactly so many of the guest's writes, no fewer than FIRST and no more than
#:                                 LAST, byte for byte? prints how many, or the difference and exits 1
verb_guest_same() {
  need_guest "$1"
  local name=$1 file=$2 raw=$RUN/$1.guest.raw last answer
  guest_program
  qemu-img convert -O raw "$file" "$raw"
  last=$("$GUEST_PROGRAM" last "$raw")
  rm "$raw"
  ((last >= $3 && last <= $4)) || { printf 'the last write in it is %s: expected %s to %s\n' "$last" "$3" "$4"; exit 1; }
  verb_moment "$name" guest
  "$GUEST_PROGRAM" replay "$(moment_file "$name" vda guest)" "$last"
  answer=$(verb_same "$name" guest vda "$file") || { printf 'not what it held after %s writes: %s\n' "$last" "$answer"; exit 1; }
  printf '%s\n' "$last"
}
