#!/usr/bin/env bats
# describe: the manifest beside a backup's files, of what is there and finished only.

load host
load stubs
setup_file() { host_up; }
teardown_file() { host_down; }
setup() { use_host; host_conf; a_backup; }

# a_backup: a directory as a run leaves it: DIR, below NAS BACKUP.
a_backup() {
  BACKUP=$VM/2026.01.01.00.00.01 DIR=$NAS/$VM/2026.01.01.00.00.01
  mkdir -p "$DIR"
  qemu-img create -q -f qcow2 "$DIR/root.a.qcow2" 1M
  SIZE=$(stat -c %s "$DIR/root.a.qcow2")
  MANIFEST='{"v":1,"vm":{"name":"\"ü\\"},"disks":[{"file":"root.a.qcow2","size":'$SIZE'}]}'
}
describe() { script describe -t dir -s "$NAS" -m '' -p "${1:-$BACKUP}" --manifest "${2:-$MANIFEST}"; }
# refused CODE: an answer with that code, and nothing written.
refused() {
  [ "$status" -eq 1 ]
  [ "$(jq -r .error.code <<<"$output")" = "$1" ]
  [ -z "$(find "$NAS/$VM" -name '*manifest*')" ]
  [ -z "$(find "$LAB_DIR/host/state" -name 'work.*')" ]
}

@test "a manifest: what the books say, when it was written, and that there is no definition" {
  describe
  [ "$status" -eq 0 ]
  [ "$(jq -r '"\(.v) \(.path) \(.domainXml)"' <<<"$output")" = "1 $BACKUP null" ]
  jq -e --argjson said "$MANIFEST" 'del(.written, .domainXml) == $said' "$DIR/manifest.json"
  [ "$(jq -r .written "$DIR/manifest.json")" = "$(jq -r .written <<<"$output")" ]
  [ "$(jq .domainXml "$DIR/manifest.json")" = null ]
  [ "$(stat -c %a "$DIR/manifest.json")" = 600 ]
  [ "$(ls -A "$DIR" | paste -sd' ')" = 'manifest.json root.a.qcow2' ]
}

@test "again: the new one in the place of the old one, and the definition by its name" {
  describe
  echo '<domain/>' >"$DIR/domain-config.xml"
  echo old >"$DIR/.manifest.json.new"
  describe
  [ "$status" -eq 0 ]
  [ "$(jq -r .domainXml "$DIR/manifest.json")" = domain-config.xml ]
  [ ! -e "$DIR/.manifest.json.new" ]
}

@test "what is described is in the books, and no run takes it back any more" {
  echo run-1 >"$DIR/.chainkeeper-done"
  describe
  [ "$status" -eq 0 ]
  [ "$(ls -A "$DIR" | paste -sd' ')" = 'manifest.json root.a.qcow2' ]
  script delete -t dir -s "$NAS" -m '' -p "$BACKUP" --run run-1
  [[ $status -eq 1 && $stderr == *'nothing was removed'* && -e $DIR/root.a.qcow2 ]]
}

@test "nothing is written of a run that has not finished" {
  echo run-1 >"$DIR/.chainkeeper-run"
  describe
  refused not-finished
}

@test "nor where a file is missing, is another, or is a link" {
  truncate -s +512 "$DIR/root.a.qcow2"
  describe
  refused file-differs
  mv "$DIR/root.a.qcow2" "$NAS/elsewhere.qcow2"
  describe
  refused file-missing
  ln -s "$NAS/elsewhere.qcow2" "$DIR/root.a.qcow2"
  describe
  refused file-missing
}

@test "nor where there is no directory, or it leads to another place" {
  describe "$VM/none"
  refused path-missing
  ln -s "$DIR" "$NAS/$VM/link"
  describe "$VM/link"
  refused path-escapes
}

@test "what is no manifest is refused" {
  local bad
  for bad in '{}' '[]' '{"disks":[]}' 'text' '{"disks":[{"file":"../x"}]}' '{"disks":[{"file":"a/b"}]}' '{"disks":[{}]}' "$MANIFEST " "$MANIFEST$MANIFEST"; do
    describe "$BACKUP" "$bad"
    refused bad-option
  done
}

@test "a link in the place of the temporary file, or of the manifest, is not written through" {
  echo precious >"$LAB_DIR/outside"
  ln -s "$LAB_DIR/outside" "$DIR/.manifest.json.new"
  ln -s "$LAB_DIR/outside" "$DIR/manifest.json"
  describe
  [ "$status" -eq 0 ]
  [ "$(<"$LAB_DIR/outside")" = precious ]
  [ ! -L "$DIR/manifest.json" ]
  jq -e .v "$DIR/manifest.json"
}

@test "a NAS that is full: the old manifest stays, and nothing beside it" {
  local small
  small=$(lab nas-small 8 describe)
  mkdir -p "$small/$VM"
  cp -r "$DIR" "$small/$BACKUP"
  echo '{"old":true}' >"$small/$BACKUP/manifest.json"
  leave_free "$small" 0
  script describe -t dir -s "$small" -m '' -p "$BACKUP" --manifest "$MANIFEST"
  [ "$status" -eq 1 ]
  [ "$(jq -r .error.code <<<"$output")" = nas-not-writable ]
  [ "$(<"$small/$BACKUP/manifest.json")" = '{"old":true}' ]
  [ ! -e "$small/$BACKUP/.manifest.json.new" ]
}
