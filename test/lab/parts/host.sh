# One lab: a directory that plays the host, and its entry in the registry, so that a lab whose owner was killed can be found.

#: up                              make this machine a KVM host if it is none yet, and LAB_DIR a lab; idempotent
#:                                 LAB_SCRIPT=FILE: another host script than agent/nasbackup.sh
#:                                 LAB_OWNER=PID: `reap`, and any other lab's `up`, may remove the lab once that process is gone
verb_up() {
  local tool
  for tool in virsh virtlogd libvirtd qemu-img qemu-io qemu-system-x86_64 flock jq setpriv; do
    command -v "$tool" >/dev/null || die "missing on this machine: $tool"
  done
  with_registry lab_up
  printf '%s\n' "$LAB_DIR"
}

lab_up() {
  reap
  machine_up
  local created=''
  [[ -d $LAB_DIR ]] || { mkdir -p "$LAB_DIR"; created=yes; }
  [[ -e $REGISTRY/labs/$LAB_ID ]] && created=$(sed -n 's/^created=//p' "$REGISTRY/labs/$LAB_ID")
  # The entry stands before anything else is made: a lab killed from here on can be cleaned away.
  {
    printf 'dir=%s\ncreated=%s\n' "$LAB_DIR" "$created"
    [[ -z ${LAB_OWNER:-} ]] || printf 'owner=%s\n' "$(process_id "$LAB_OWNER")"
  } >"$REGISTRY/labs/$LAB_ID"
  mkdir -p "$IMAGES" "$NAS" "$MIRROR" "$HOST/state" "$HOST/scratch" "$RUN" "$SSH"
  chmod 755 "$IMAGES" "$NAS" "$HOST" "$SSH"
  chmod 700 "$HOST/state" "$RUN" "$MIRROR"
  chmod 711 "$HOST/scratch"
  qemu_reaches "$IMAGES" || die "QEMU's user cannot reach $IMAGES: choose a LAB_DIR whose parents all have the x bit for others"
  [[ -e $IMAGES/halt.rom ]] || halt_rom >"$IMAGES/halt.rom"
  install_script
}

# A firmware that halts: no machine of the lab has anything to boot, and SeaBIOS takes half a second to find that out.
halt_rom() {
  head -c 65520 /dev/zero
  printf '\xfa\xf4\xeb\xfd' # where the processor begins, 16 bytes before the end: cli, hlt, again
  head -c 12 /dev/zero
}

qemu_user() { { getent passwd libvirt-qemu || getent passwd qemu; } | cut -d: -f1; }
qemu_reaches() { setpriv --reuid="$(qemu_user)" --regid="$(id -g "$(qemu_user)")" --init-groups -- test -x "$1"; }

# The host script as `host install` would place it: one file of root's, its settings beside it.
install_script() {
  local script
  script=${LAB_SCRIPT:-$(readlink -m "$LAB_HOME/../../agent/nasbackup.sh")}
  printf 'state_dir=%s\nscratch_dir=%s\n' "$HOST/state" "$HOST/scratch" >"$HOST/host.conf"
  chmod 644 "$HOST/host.conf"
  if [[ -f $script ]]; then
    install -o root -g root -m 755 "$script" "$HOST/nasbackup.sh.new" && mv "$HOST/nasbackup.sh.new" "$HOST/nasbackup.sh"
  else
    printf 'lab: there is no %s: a lab without host script\n' "$script" >&2
  fi
}

#: host-beside                     a second host, as far as the service can tell: the script once more, with a state of its own; prints its
#:                                 path, and `sshd-up` of another user is the way to it. Both have the machine's one libvirt
verb_host_beside() {
  need_up
  mkdir -p "$HOST/beside/state" "$HOST/beside/scratch"
  chmod 700 "$HOST/beside/state"
  chmod 711 "$HOST/beside/scratch"
  install -o root -g root -m 755 "$HOST/nasbackup.sh" "$HOST/beside/nasbackup.sh"
  sed "s|=$HOST/|=$HOST/beside/|" "$HOST/host.conf" >"$HOST/beside/host.conf"
  printf '%s\n' "$HOST/beside/nasbackup.sh"
}

#: down                            remove the lab and all it left on the machine; the last lab puts the machine back as it was
verb_down() { with_registry lab_down; }

lab_down() {
  if [[ -e $REGISTRY/labs/$LAB_ID ]]; then
    local created vm
    created=$(sed -n 's/^created=//p' "$REGISTRY/labs/$LAB_ID")
    lift_lines
    end_scripts
    if libvirt_answers; then
      forget_definitions
      for vm in $(lab_vms); do remove_vm "$vm"; done
    else
      # Nobody to ask: after a restart of the machine neither libvirt nor these QEMUs run.
      for vm in $(lab_vms); do kill_qemu "$vm" || :; done
    fi
    end_sshd
    unmount_all
    remove_job_folders
    end_lines
    rm -f "/etc/sudoers.d/chainkeeper-lab-$LAB_ID"
    if [[ $created == yes ]]; then
      rm -rf --one-file-system "$LAB_DIR"
    else
      rm -rf --one-file-system "$IMAGES" "$NAS" "$MIRROR" "$HOST" "$RUN" "$SSH"
    fi
    rm -f "$REGISTRY/labs/$LAB_ID"
  fi
  [[ ${REAPING:-} || -n $(ls -A "$REGISTRY/labs") ]] || machine_down
}

# Runs of this lab's host script that are still alive, by the path in their command line; no other process has it.
script_pids() { processes_with "$HOST/nasbackup.sh"; processes_with "$HOST/beside/nasbackup.sh"; }
no_script() { [[ -z $(script_pids) ]]; }

end_scripts() {
  local pid
  for pid in $(script_pids); do kill -TERM "$pid" 2>/dev/null || :; done
  wait_until 12 no_script || for pid in $(script_pids); do kill -KILL "$pid" 2>/dev/null || :; done
}

# Mounts under LAB_DIR, and those elsewhere that show a part of it: temporary mounts of the host script, deepest first.
# mountinfo: 3 device, 4 root of the mount within its filesystem, 5 mount point.
lab_mounts() {
  local top root device small
  read -r device root top < <(findmnt -n -o MAJ:MIN,FSROOT,TARGET -T "$(existing "$LAB_DIR")")
  small=$(awk -v nas="$NAS/" 'index($5, nas) == 1 && $4 == "/" { print $3 }' /proc/self/mountinfo | sort -u | tr '\n' ' ')
  local inside=${LAB_DIR#"${top%/}"}
  awk -v dir="$LAB_DIR/" -v inside="${root%/}$inside/" -v device="$device" -v small=" $small" '
    index($5 "/", dir) == 1 || ($3 == device && index($4 "/", inside) == 1) || index(small, " " $3 " ") { print $5 }
  ' /proc/self/mountinfo | sort -r
}
existing() { local path=$1; while [[ ! -e $path ]]; do path=$(dirname "$path"); done; printf %s "$path"; }

unmount_all() {
  local target
  while read -r target; do
    umount "$target" || umount -l "$target"
    [[ $target == "$LAB_DIR"/* ]] || rmdir "$target" 2>/dev/null || :
  done < <(lab_mounts)
}

# remove_job_folders: where jobs that were killed and that nobody swept had their mounts, which are gone now.
remove_job_folders() {
  local file folder
  for file in "$HOST"/{,beside/}state/jobs/*/tmp; do
    [[ -e $file ]] && folder=$(<"$file") || continue
    [[ $folder != /tmp/csbackup.* || ! -d $folder ]] || find "$folder" -xdev -depth -type d -empty -delete
  done
}

#: reap [--all]                    remove labs whose owner (LAB_OWNER at `up`) is dead; with --all every lab of this machine
verb_reap() { with_registry reap_and_rest "$@"; }

reap_and_rest() {
  reap "$@"
  [[ -n $(ls -A "$REGISTRY/labs") ]] || machine_down
}

reap() {
  local entry owner dir
  for entry in "$REGISTRY"/labs/*; do
    [[ -e $entry ]] || continue
    owner=$(sed -n 's/^owner=//p' "$entry") dir=$(sed -n 's/^dir=//p' "$entry")
    [[ ${1:-} == --all ]] || { [[ -n $owner ]] && process_gone "$owner"; } || continue
    [[ $dir == "${LAB_DIR:-}" ]] && continue
    printf 'lab: removing %s, whose owner is gone\n' "$dir" >&2
    # One lab that cannot be removed must not keep another from coming up. In the background, because `set -e` is off before `||`.
    (LAB_DIR=$dir REAPING=yes; use_lab; lab_down) &
    wait $! || printf 'lab: %s could not be removed, see above: it is tried again at the next up or reap\n' "$dir" >&2
  done
}
