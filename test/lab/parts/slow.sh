# A NAS behind a network that can be slow or stand still: sshfs, and between it and a real sftp-server a line whose speed is told.

#: nas-slow NAME [DIR]             a NAS on a line of its own: an sshfs mount of DIR (its own directory unless given) at nas/NAME; prints the path
verb_nas_slow() {
  need_up; check_name "${1:-}"
  local name=$1 data=${2:-$RUN/$1.data} server
  [[ -e ${2:-/} ]] || die "no such directory: $2"
  [[ ! -e $NAS/$name ]] || die "there is a nas/$name already"
  for server in /usr/lib/openssh/sftp-server /usr/libexec/openssh/sftp-server; do [[ ! -x $server ]] || break; done
  mkdir -p "$data" "$NAS/$name"
  printf 'unlimited\n' >"$RUN/$name.speed"
  # Synchronous, and no cache of names: what the NAS has not taken was not written, and what is gone there is gone here.
  alone sshfs -o "ssh_command=node $LAB_HOME/slow-line.mjs $server $RUN/$name.speed,sshfs_sync,dir_cache=no,allow_other" \
    "lab:$data" "$NAS/$name" >"$RUN/$name.sshfs" 2>&1 || die "sshfs: $(<"$RUN/$name.sshfs")"
  printf '%s\n' "$NAS/$name"
}

#: nas-speed NAME SPEED            what passes to that NAS from now on: bytes a second, 0 (it hangs: lift it before `leaks`), unlimited
verb_nas_speed() {
  need_args 2 "$@"; need_up; check_name "$1"
  [[ -e $RUN/$1.speed ]] || die "no nas-slow $1"
  [[ $2 == unlimited ]] || bytes "$2" >/dev/null
  set_speed "$RUN/$1.speed" "$2"
}
set_speed() { if [[ $2 == unlimited ]]; then echo unlimited; else bytes "$2"; fi >"$1"; }

# Whoever waits for a NAS that hangs cannot be ended.
lift_lines() { local file; for file in "$RUN"/*.speed; do [[ ! -e $file ]] || set_speed "$file" unlimited; done; }

# Unmounted, sshfs ends and its line with it; a moment later.
end_lines() {
  local file pid
  for file in "$RUN"/*.speed; do
    [[ -e $file ]] || continue
    wait_until 5 no_process_with "$file" || for pid in $(processes_with "$file"); do kill -KILL "$pid" 2>/dev/null || :; done
  done
}
