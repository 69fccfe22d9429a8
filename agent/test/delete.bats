#!/usr/bin/env bats
# delete, where a manifest says which files are the backup's: these go, and nothing else.

load host
load stubs
setup_file() { host_up; }
teardown_file() { host_down; }
setup() { use_host; host_conf; a_backup; }

# a_backup: a finished one with all that ours and stock scripts write beside the disks, described and hashed.
a_backup() {
  BACKUP=$VM/2026.01.01.00.00.01 DIR=$NAS/$VM/2026.01.01.00.00.01
  mkdir -p "$DIR"
  for file in root.a.qcow2 datadisk.b.qcow2; do qemu-img create -q -f qcow2 "$DIR/$file" 1M; done
  for file in domain-config dominfo domiflist domblklist; do echo "<$file/>" >"$DIR/$file.xml"; done
  MANIFEST='{"v":1,"disks":[{"file":"root.a.qcow2"},{"file":"datadisk.b.qcow2"}]}'
  "$SCRIPT" describe -t dir -s "$NAS" -m '' -p "$BACKUP" --manifest "$MANIFEST" >/dev/null
  "$SCRIPT" checksum -t dir -s "$NAS" -m '' -p "$BACKUP" >/dev/null
  VICTIM=$LAB_DIR/victim
  mkdir -p "$VICTIM"
  echo precious >"$VICTIM/file"
}
delete() { script delete -t dir -s "$NAS" -m '' -p "$BACKUP" "$@"; }
there() { LC_ALL=C ls -A "$DIR" | paste -sd' '; }
# left NAME...: it went well, said that these are left, and they are.
left() {
  [[ $status -eq 0 ]]
  [[ ${lines[-1]} == LEFT=* ]]
  [[ $(jq -c . <<<"${lines[-1]#LEFT=}") == "$(jq -cn '$ARGS.positional' --args "$@")" ]]
  [[ $stderr == "warning: left in $BACKUP, no files of the backup: ${lines[-1]#LEFT=}" ]]
}
victim_whole() { [[ $(ls -A "$VICTIM") == file && $(<"$VICTIM/file") == precious ]]; }

@test "all that is the backup's goes, temporary names and an old mark too, in rm's words alone" {
  echo half | tee "$DIR/.manifest.json.new" "$DIR/.checksums.json.new" >"$DIR/.chainkeeper-run"
  [[ $(there) == '.chainkeeper-run .checksums.json.new .manifest.json.new checksums.json datadisk.b.qcow2 domain-config.xml domblklist.xml domiflist.xml dominfo.xml manifest.json root.a.qcow2' ]]
  delete
  [[ $status -eq 0 && ! -e $DIR && ${#lines[@]} -eq 12 && ! $stderr ]]
  [[ $(grep -vc "^removed \(directory \)\?'/tmp/csbackup[.]" <<<"$output") == 0 ]]
  [[ ${lines[-2]} == *"/$BACKUP/manifest.json'" && ${lines[-1]} == "removed directory '"*"/$BACKUP'" ]]
  delete
  [[ $status -eq 0 && ! $output ]]
}

@test "what else lies there stays, and its directory and the manifest with it; again does no harm; without it, all goes" {
  mkdir "$DIR/sub"
  echo mine | tee "$DIR/Übergabe.txt" "$DIR/sub/root.a.qcow2" "$DIR/copy of root.a.qcow2" "$DIR/@" "$DIR/*" "$DIR/x]" >"$DIR/.hidden"
  : >"$DIR/"$'two\nlines\e[2J'
  ln -s "$VICTIM" "$DIR/link"
  local round
  for round in first second; do
    delete
    left '*' .hidden @ 'copy of root.a.qcow2' link sub $'two?lines?[2J' 'x]' Übergabe.txt
    [[ $round == first || ${#lines[@]} -eq 1 ]]
    [[ $(ls -A "$DIR" | wc -l) == 11 && -e $DIR/manifest.json && -L $DIR/link ]]
    [[ $(cat "$DIR/Übergabe.txt" "$DIR/sub/root.a.qcow2" "$DIR/copy of root.a.qcow2" "$DIR/.hidden" "$DIR/@" "$DIR/*" "$DIR/x]" | sort -u) == mine ]]
    victim_whole
  done
  rm -r "$DIR/sub" "$DIR/"{Ü,.h,copy,two,link,@,\*,x}*
  delete
  [[ $status -eq 0 && ! -e $DIR && $output != *LEFT* ]]
  victim_whole
}

@test "a link or a folder under a name of the backup's is not what was written: it stays, and where it leads to is not touched" {
  rm "$DIR/root.a.qcow2" "$DIR/datadisk.b.qcow2" "$DIR/checksums.json"
  ln -s "$VICTIM/file" "$DIR/root.a.qcow2"
  ln -s "$VICTIM" "$DIR/checksums.json"
  mkdir "$DIR/datadisk.b.qcow2"
  echo mine >"$DIR/datadisk.b.qcow2/file"
  delete
  left checksums.json datadisk.b.qcow2 root.a.qcow2
  [[ $(there) == 'checksums.json datadisk.b.qcow2 manifest.json root.a.qcow2' ]]
  [[ $(<"$DIR/datadisk.b.qcow2/file") == mine ]]
  victim_whole
}

@test "cut short by kill -9 and repeated: the manifest is still there and says what is left to go" {
  echo mine >"$DIR/notes"
  use_stubs
  # It stands still behind the first file.
  stub rm <<'SH'
files=("$@")
for i in "${!files[@]}"; do [[ ${files[i]} != */root.a.qcow2 ]] || unset "files[$i]"; done
((${#files[@]} < $#)) || { real "$@"; exit; }
real "${files[@]}"
echo $$ >"$CALLS"
exec sleep 60
SH
  begin delete -t dir -s "$NAS" -m '' -p "$BACKUP"
  for _ in {1..500}; do [[ ! -s $CALLS ]] || break; sleep 0.02; done
  kill -KILL "$SCRIPT_PID"
  end
  [[ $(there) == 'manifest.json notes root.a.qcow2' ]]
  kill "$(<"$CALLS")"
  leave_mount "$(mount_of_run)"
  SCRIPT=$LAB_DIR/host/nasbackup.sh
  delete
  left notes
  [[ $(there) == 'manifest.json notes' ]]
  rm "$DIR/notes"
  delete
  [[ $status -eq 0 && ! -e $DIR ]]
}

@test "what comes there in the last moment stays: the directory cannot go, and the next deletion still knows" {
  local manifest
  manifest=$(<"$DIR/manifest.json")
  use_stubs
  stub rm <<SH
[[ " \$* " != *' -d '* ]] || echo mine >"$DIR/late"
real "\$@"
SH
  delete
  [[ $status -eq 1 && $stderr == *'Directory not empty'* ]]
  [[ $(there) == 'late manifest.json' ]]
  [[ $(<"$DIR/manifest.json") == "$manifest" ]]
  SCRIPT=$LAB_DIR/host/nasbackup.sh
  delete
  left late
  [[ $(<"$DIR/late") == mine ]]
}

@test "a manifest that cannot be used: nothing goes, how to go on is said, and that works" {
  local bad before
  echo mine >"$DIR/notes"
  before=$(there)
  for bad in '' text '{}' '[]' '{"disks":[]}' '{"disks":[{}]}' '{"disks":[{"file":null}]}' '{"disks":[{"file":".."}]}' \
    '{"disks":[{"file":"../../victim/file"}]}' '{"disks":[{"file":"/etc/passwd"}]}' '{"disks":[{"file":"sub/x"}]}' \
    '{"disks":[{"file":"root.a.qcow2"},{"file":"-rf"}]}' '{"disks":[{"file":"a b"}]}' '{"disks":[{"file":"manifest.json"}]}' "$MANIFEST$MANIFEST"; do
    echo "$bad" >"$DIR/manifest.json"
    delete
    [[ $status -eq 1 && $output == *'nothing was removed'*'rename manifest.json and delete it again'* ]]
    [[ $(there) == "$before" ]]
  done
  { echo "$MANIFEST" && head -c 131072 /dev/zero | tr '\0' ' '; } >"$DIR/manifest.json"
  delete
  [[ $status -eq 1 && $(there) == "$before" ]]
  rm "$DIR/manifest.json"
  echo "$MANIFEST" >"$VICTIM/manifest.json"
  ln -s "$VICTIM/manifest.json" "$DIR/manifest.json"
  delete
  [[ $status -eq 1 && $(there) == "$before" ]]
  rm "$VICTIM/manifest.json"
  mv "$DIR/manifest.json" "$DIR/manifest.json.bad"
  delete
  [[ $status -eq 0 && ! -e $DIR ]]
  victim_whole
}

@test "a directory that cannot be looked at has no manifest as little as it has one: nothing goes" {
  use_stubs
  stub ls <<<'echo "ls: cannot open directory: Input/output error" >&2; exit 2'
  delete
  [[ $status -eq 1 && $stderr == *"Cannot look at $BACKUP on the NAS"*'Input/output error'* ]]
  [[ -e $DIR/root.a.qcow2 && -e $DIR/manifest.json ]]
}
