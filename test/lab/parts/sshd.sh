# An sshd of the lab's own, as unprivileged a way in as on a real host: a user without rights, one sudoers line for one file.
# Each user has its own sshd (several hosts on one machine): ssh/USER/ holds its keys, configuration and pid.

#: sshd-up USER [PORT]             create the user, start its sshd on 127.0.0.1; prints {host,port,user,privateKey,hostKey,fingerprint,script}
#:                                 again after sshd-kill or sshd-down USER: the same keys and port, the lines of ssh/USER/more in its configuration
verb_sshd_up() {
  local user=${1:-} port=${2:-} dir
  [[ $user =~ ^[a-z][a-z0-9-]{0,30}$ ]] || die "not a user name: '$user'"
  need_up
  [[ -z $port || $port =~ ^[0-9]{1,5}$ ]] || die "not a port: '$port'"
  dir=$SSH/$user
  if [[ ! -e $dir/user ]]; then
    ! getent passwd "$user" >/dev/null || die "there is a user $user already, and not this lab's"
    make_user "$user" "$dir"
  fi
  allow_script
  [[ -n $port ]] || port=$(cat "$dir/port" 2>/dev/null || :)
  sshd_runs "$dir" || start_sshd "$user" "$dir" "$port"
  jq -cn --arg host 127.0.0.1 --argjson port "$(<"$dir/port")" --arg user "$user" --arg privateKey "$dir/id" \
    --arg hostKey "$(cut -d' ' -f1,2 "$dir/host_key.pub")" --arg fingerprint "$(ssh-keygen -lf "$dir/host_key.pub" | cut -d' ' -f2)" \
    --arg script "$HOST/nasbackup.sh" '$ARGS.named'
}

make_user() {
  local user=$1 dir=$2
  mkdir -p "$dir/home"
  touch "$dir/user"
  # No password, but not locked either: without PAM sshd refuses locked accounts even with a key.
  useradd --system --user-group --no-create-home --home-dir "$dir/home" --shell /bin/sh --password '*' "$user"
  chown "$user" "$dir/home"
  ssh-keygen -q -t ed25519 -N '' -C "$user" -f "$dir/id"
  ssh-keygen -q -t ed25519 -N '' -C 'lab host' -f "$dir/host_key"
  cp "$dir/id.pub" "$dir/authorized_keys"
  chmod 644 "$dir/authorized_keys"
}

# One line, for every user of this lab: our script, and stand-ins of stock scripts where there are any.
allow_script() {
  local file="/etc/sudoers.d/chainkeeper-lab-$LAB_ID" user
  for user in $(lab_users); do printf '%s ALL=(root) NOPASSWD: %s, %s/stock/, %s/beside/\n' "$user" "$HOST/nasbackup.sh" "$HOST" "$HOST"; done >"$RUN/sudoers"
  visudo -q -c -f "$RUN/sudoers" || die 'visudo does not accept the sudoers line'
  install -o root -g root -m 440 "$RUN/sudoers" "$file.new~" && mv "$file.new~" "$file"
}
lab_users() { local mark; for mark in "$SSH"/*/user; do [[ -e $mark ]] && basename "$(dirname "$mark")"; done; return 0; }

start_sshd() {
  local user=$1 dir=$2 wanted=$3 port
  mkdir -p /run/sshd
  for _ in {1..20}; do
    port=${wanted:-$((20000 + RANDOM % 20000))}
    cat >"$dir/sshd_config" <<-CONFIG
	ListenAddress 127.0.0.1:$port
	HostKey $dir/host_key
	PidFile $dir/sshd.pid
	AuthorizedKeysFile $dir/authorized_keys
	AllowUsers $user
	UsePAM no
	StrictModes no
	PasswordAuthentication no
	KbdInteractiveAuthentication no
	PrintMotd no
	UseDNS no
	LogLevel VERBOSE
	CONFIG
    [[ ! -e $dir/more ]] || cat "$dir/more" >>"$dir/sshd_config"
    rm -f "$dir/sshd.pid"
    if alone /usr/sbin/sshd -f "$dir/sshd_config" -E "$dir/log" && wait_until 3 sshd_runs "$dir"; then
      printf '%s\n' "$port" >"$dir/port"
      return 0
    fi
    [[ -z $wanted ]] || break
  done
  die "sshd does not start on port $port: $(tail -n 3 "$dir/log")"
}

# The pidfile alone is not proof: the process must be an sshd with this lab's configuration.
sshd_runs() {
  local pid
  pid=$(cat "$1/sshd.pid" 2>/dev/null) && command_line "$pid" | grep -qF "$1/sshd_config"
}

#: sshd-down [USER]                stop it (all of this lab's) and its connections; the user stays until `down`
verb_sshd_down() { need_up; each_sshd "${1:-}" TERM; }

#: sshd-kill [USER]                kill -9 of the sshd and its connections, for faults; what runs on the host goes on
verb_sshd_kill() { need_up; each_sshd "${1:-}" KILL; }

#: sshd-drop [USER]                kill -9 of the connections alone; the sshd goes on listening
verb_sshd_drop() { need_up; each_sshd "${1:-}" DROP; }

each_sshd() {
  local user
  for user in $(lab_users); do
    [[ -z $1 || $1 == "$user" ]] && stop_sshd "$SSH/$user" "$2"
  done
  return 0
}

stop_sshd() {
  local listener pid sessions
  sshd_runs "$1" || return 0
  listener=$(<"$1/sshd.pid")
  sessions=$(sshd_below "$listener")
  if [[ $2 != DROP ]]; then
    kill "-$2" "$listener"
    wait_until 10 pid_gone "$listener" || die "sshd $listener does not stop"
  fi
  for pid in $sessions; do kill -KILL "$pid" 2>/dev/null || :; done
}
pid_gone() { [[ ! -e /proc/$1 ]]; }

# Descendants that are sshd themselves: the connections, not the commands run in them.
sshd_below() {
  local child
  for child in $(ps -o pid= --ppid "$1" || :); do
    [[ $(cat "/proc/$child/comm" 2>/dev/null) == sshd ]] || continue
    printf '%s\n' "$child"
    sshd_below "$child"
  done
}

end_sshd() {
  local user pid
  each_sshd '' TERM
  for user in $(lab_users); do
    if getent passwd "$user" >/dev/null; then
      for pid in $(ps -o pid= -u "$user" || :); do kill -KILL "$pid" 2>/dev/null || :; done
      wait_until 5 userdel "$user" 2>/dev/null || userdel "$user"
    fi
    rm -f "$SSH/$user/user"
  done
}
