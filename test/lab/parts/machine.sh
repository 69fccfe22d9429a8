# What all labs of a machine share: libvirt without systemd, /dev/kvm, mount propagation. The first lab sets it up and writes down
# what it found; the last one puts that back. What ran before any lab is never stopped.

libvirt_answers() { timeout 20 virsh -q -c "$URI" version >/dev/null 2>&1; }
daemon_pid() { local pid; pid=$(cat "/run/$1.pid" 2>/dev/null) && [[ $(cat "/proc/$pid/comm" 2>/dev/null) == "$1" ]] && printf %s "$pid"; }

machine_up() {
  kvm_up
  propagation_up
  libvirt_answers && return 0
  local daemon
  for daemon in virtlogd libvirtd; do
    daemon_pid "$daemon" >/dev/null && continue
    alone perl "$LAB_HOME/parts/reap.pl" "$daemon" -d
    wait_until 20 daemon_pid "$daemon" >/dev/null || die "$daemon did not come up"
    process_id "$(daemon_pid "$daemon")" >"$REGISTRY/$daemon.started"
  done
  wait_until 60 libvirt_answers || die "libvirt does not answer at $URI"
}

# With /dev/kvm out of its reach libvirt probes QEMU anew at every start of a VM: a minute instead of 0.3 s.
kvm_up() {
  [[ -c /dev/kvm && $(stat -c '%a %U:%G' /dev/kvm) == '600 root:root' ]] || return 0
  stat -c '%a %u:%g' /dev/kvm >"$REGISTRY/kvm"
  chgrp kvm /dev/kvm && chmod 660 /dev/kvm
}

# QEMU lives in a mount namespace of its own: with private propagation a NAS mounted after the VM's start is not there for it.
propagation_up() {
  [[ $(findmnt -n -o PROPAGATION /) == private* ]] || return 0
  findmnt -rn -o TARGET,PROPAGATION | grep ' private' | cut -d' ' -f1 >"$REGISTRY/private"
  mount --make-rshared /
}

machine_down() {
  local daemon record mode owner target
  if [[ -e $REGISTRY/libvirtd.started && -n $(virsh_q list --name 2>/dev/null) ]]; then
    printf 'lab: VMs that belong to no lab are running: libvirt stays\n' >&2
    rm -f "$REGISTRY"/*.started
  fi
  for daemon in libvirtd virtlogd; do
    [[ -e $REGISTRY/$daemon.started ]] || continue
    record=$(<"$REGISTRY/$daemon.started")
    if process_lives "$record"; then
      kill "${record%%:*}"
      wait_until 20 process_gone "$record" || die "$daemon does not stop"
    fi
    rm -f "$REGISTRY/$daemon.started"
  done
  if [[ -e $REGISTRY/kvm ]]; then
    read -r mode owner <"$REGISTRY/kvm"
    chown "$owner" /dev/kvm && chmod "$mode" /dev/kvm
  fi
  if [[ -e $REGISTRY/private ]]; then
    while read -r target; do mountpoint -q "$target" && mount --make-private "$target"; done <"$REGISTRY/private"
  fi
  rm -rf "$REGISTRY"
}

process_gone() { ! process_lives "$1"; }
