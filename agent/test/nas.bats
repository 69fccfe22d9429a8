#!/usr/bin/env bats
# The NAS: how it is mounted, what delete removes and what it never touches, what stats says.

load host
load stubs
setup_file() { host_up; }
teardown_file() { host_down; }
setup() { use_host; host_conf; }

# mounting: `mount` writes its arguments and the credentials file down, and shows a directory instead of the NAS.
mounting() {
  use_stubs
  stub mount <<SH
printf '%s\n' "\$@" >"\$CALLS"
for word; do
  [[ \$word != *credentials=* ]] || file=\${word##*credentials=}
  [[ \$word != *secretfile=* ]] || file=\${word##*secretfile=}
done
[[ ! \${file-} ]] || { stat -c %a "\$file" >"\$CALLS.mode"; cp "\$file" "\$CALLS.secret"; }
cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\0' '\n' | grep -c 'hunter[2]' >"\$CALLS.seen"
real -o bind "$NAS" "\${!#}"
SH
}
arguments() { paste -sd" " "$CALLS"; }
mount_point='/tmp/csbackup\.[A-Za-z0-9]+(/csbackup\.[A-Za-z0-9]+)?$'
# as_job OPERATION...: through a job, which takes secrets from stdin.
as_job() {
  local job=job-$BATS_TEST_NUMBER state
  printf '%s' "$SECRETS" | "$SCRIPT" start --job "$job" --fence 1 -- "$@" >/dev/null
  for _ in {1..200}; do
    state=$("$SCRIPT" status --job "$job" | jq -r '"\(.state) \(.exit)"')
    [[ $state != running* ]] && break
    sleep 0.05
  done
  [[ $state == 'done 0' ]] || { "$SCRIPT" status --job "$job" | jq -r '.stdout, .stderr | @base64d' >&2; return 1; }
}

@test "nfs, with options and without" {
  mounting
  script stats -t nfs -s nas.example:/backups -m vers=4.1,soft
  [[ $status -eq 0 && $(arguments) =~ ^'-t nfs -o vers=4.1,soft -- nas.example:/backups '$mount_point ]]
  script stats -t nfs -s nas.example:/backups -m ''
  [[ $status -eq 0 && $(arguments) =~ ^'-t nfs -- nas.example:/backups '$mount_point ]]
  script stats -t nfs -s nas.example:/backups -m username=u,password=p
  [[ $status -eq 0 ]] # not ours to judge: to mount they are options like others
}

@test "cifs: nobrl, and credentials in a file of 0600 that goes away, on no command line" {
  mounting
  SECRETS='{"credentials":{"username":"u","password":"hunter2,with=all","domain":"d"}}' as_job stats -t cifs -s //nas.example/backups -m vers=3.0
  [[ $(arguments) =~ ^'-t cifs -o vers=3.0,nobrl,credentials='[^,[:space:]]+' -- //nas.example/backups '$mount_point ]]
  [[ $(<"$CALLS.mode") == 600 && $(<"$CALLS.seen") == 0 ]]
  diff - "$CALLS.secret" <<<$'username=u\npassword=hunter2,with=all\ndomain=d'
  [[ ! -e $(sed -n 's/.*credentials=//p' "$CALLS") ]]
  run ! grep -rF hunter2 "$LAB_DIR/host/state"

  # CloudStack gives them as mount options, to which no file is an alternative: at least mount does not get them so.
  script stats -t cifs -s //nas.example/backups -m username=u,password=hunter2,vers=3.0
  [[ $status -eq 0 && $(arguments) != *hunter2* && $(arguments) == *vers=3.0,nobrl,credentials=* ]]
  diff - "$CALLS.secret" <<<$'username=u\npassword=hunter2'
}

@test "ceph: the secret in a file" {
  mounting
  SECRETS='{"credentials":{"username":"admin","password":"hunter2"}}' as_job stats -t ceph -s mon1:6789:/ -m noatime
  [[ $(arguments) =~ ^'-t ceph -o noatime,name=admin,secretfile='[^,[:space:]]+' -- mon1:6789:/ '$mount_point ]]
  [[ $(<"$CALLS.mode") == 600 && $(<"$CALLS.secret") == hunter2 && $(<"$CALLS.seen") == 0 ]]
}

@test "a mount that fails: CloudStack's text, the reason, and nothing left" {
  use_stubs
  stub mount <<<'echo "mount.nfs: access denied by server while mounting" >&2; exit 32'
  script stats -t nfs -s nas.example:/backups -m ''
  [[ $status -eq 1 && $output == *'Failed to mount nfs store'*'access denied'* && $stderr == *'access denied'* ]]
  script backup -v "$VM" -t nfs -s nas.example:/backups -m '' -p "$VM/1" -q false -d /none --facts
  [[ $status -eq 1 && $output == *'Failed to mount nfs store'* ]]
  expect mount-failed .error.code
  [[ -z $(find "$LAB_DIR/host/state" -name 'work.*') ]]
}

@test "stats: where it was mounted, and its size and use in KiB" {
  local small
  small=$(lab nas-small 64 stats)
  head -c 10M /dev/zero >"$small/file"
  script stats -t dir -s "$small" -m ''
  [[ $status -eq 0 && ${#lines[@]} -eq 2 && ${lines[0]} == /tmp/csbackup.* ]]
  [[ ${lines[1]} == "$(stat -f -c '%S %b %f' "$small" | awk '{ print $1 * $2 / 1024, $1 * ($2 - $3) / 1024 }')" ]]
  ((${lines[1]#* } >= 10240))
}

@test "delete: one backup and no other, twice if asked" {
  mkdir -p "$NAS/$VM"/{1,2}
  echo one >"$NAS/$VM/1/root.qcow2"
  echo two >"$NAS/$VM/2/root.qcow2"
  script delete -t dir -s "$NAS" -m '' -p "$VM/1"
  [[ $status -eq 0 && $output == *"removed '/tmp/csbackup."*"/$VM/1/root.qcow2'"* && $output == *'removed directory'* ]]
  [[ ! -e $NAS/$VM/1 && $(<"$NAS/$VM/2/root.qcow2") == two ]]
  script delete -t dir -s "$NAS" -m '' -p "$VM/1"
  [[ $status -eq 0 && -z $output && $(<"$NAS/$VM/2/root.qcow2") == two ]]
}

@test "delete --run: what bears the mark of that run, finished or not, and nothing else" {
  mkdir -p "$NAS/$VM"/{mine,done,theirs,theirs-done,described,empty}
  echo run-1 | tee "$NAS/$VM/mine/.chainkeeper-run" >"$NAS/$VM/done/.chainkeeper-done"
  echo run-2 | tee "$NAS/$VM/theirs/.chainkeeper-run" >"$NAS/$VM/theirs-done/.chainkeeper-done"
  for name in mine done theirs theirs-done described; do echo data >"$NAS/$VM/$name/root.qcow2"; done
  for name in theirs theirs-done described; do
    script delete -t dir -s "$NAS" -m '' -p "$VM/$name" --run run-1
    [[ $status -eq 1 && $stderr == *'nothing was removed'* && $(<"$NAS/$VM/$name/root.qcow2") == data ]]
  done
  for name in mine done empty absent; do
    script delete -t dir -s "$NAS" -m '' -p "$VM/$name" --run run-1
    [[ $status -eq 0 && ! -e $NAS/$VM/$name ]]
  done
}

@test "delete: a link is removed, never followed; a path that leads elsewhere is refused" {
  mkdir -p "$NAS/$VM/1" "$NAS/other" "$LAB_DIR/outside"
  echo precious | tee "$NAS/other/file" >"$LAB_DIR/outside/file"
  ln -s "$LAB_DIR/outside" "$NAS/$VM/1/link"
  ln -s "$NAS/other" "$NAS/$VM/elsewhere"
  script delete -t dir -s "$NAS" -m '' -p "$VM/1"
  [[ $status -eq 0 && ! -e $NAS/$VM/1 && $(<"$LAB_DIR/outside/file") == precious ]]
  local path
  for path in "$VM/elsewhere" "$VM/elsewhere/file"; do
    script delete -t dir -s "$NAS" -m '' -p "$path"
    [[ $status -eq 1 && $stderr == *'leads to another place'* && $(<"$NAS/other/file") == precious ]]
  done
  # No backup, all backups of a machine, what is above the NAS, what a shell would make of it.
  for path in '' "$VM" "$VM/" "/$VM/2" ../outside/file "$VM/../other" "$VM/." '*/*' "$VM/-x" "$VM/a b" $'a/\nb'; do
    script delete -t dir -s "$NAS" -m '' -p "$path"
    [[ $status -eq 1 && $(<"$NAS/other/file") == precious && $(<"$LAB_DIR/outside/file") == precious ]]
  done
  rm "$NAS/$VM/elsewhere"
}

@test "a backup into a directory that leads elsewhere is refused" {
  new_vm vda:64M
  mkdir "$LAB_DIR/elsewhere"
  ln -s "$LAB_DIR/elsewhere" "$NAS/$VM"
  full
  failed_is path-escapes
  [[ -z $(ls -A "$LAB_DIR/elsewhere") && -z $(lab bitmaps "$VM") ]]
  rm "$NAS/$VM"
  leave_host
}

@test "an unknown option: CloudStack's words, the usage, and exit 1" {
  script -o backup --frobnicate x
  [[ $status -eq 1 && ${lines[0]} == 'Invalid option: --frobnicate' && $output == *Usage:* && $stderr == *'Invalid option: --frobnicate'* ]]
  script --help
  [[ $status -eq 0 && $output == *Usage:* && $output == *--bitmap-parent* ]]
  script
  [[ $status -eq 1 && $output == *Usage:* ]]
  script -o
  [[ $status -eq 1 && $stderr == *'needs a value'* ]]
  script explode
  [[ $status -eq 1 && $stderr == *'Unknown operation: explode'* ]]
}
