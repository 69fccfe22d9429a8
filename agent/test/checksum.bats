#!/usr/bin/env bats
# checksum: what the files of a backup hold, written down once, compared as often as asked, slowly.

load host
load jobs
load stubs
setup_file() { host_up; }
teardown_file() { host_down; }
setup() { use_host; host_conf; a_backup; }

# a_backup: a directory as a run leaves it: DIR, below NAS BACKUP.
a_backup() {
  BACKUP=$VM/2026.01.01.00.00.01 DIR=$NAS/$VM/2026.01.01.00.00.01
  mkdir -p "$DIR"
  head -c 20M /dev/urandom >"$DIR/root.a.qcow2"
  head -c 100K /dev/urandom >"$DIR/datadisk.b.qcow2"
  echo '<domain/>' >"$DIR/domain-config.xml"
  : >"$DIR/empty.xml"
  echo '{}' >"$DIR/manifest.json"
}
checksum() { script checksum -t dir -s "$NAS" -m '' -p "$BACKUP" "$@"; }
# flip FILE: one byte in the middle of it, and nothing else.
flip() {
  local at=$(($(stat -c %s "$1") / 2)) byte
  byte=$(od -An -tu1 -j "$at" -N 1 "$1")
  printf "\\x$(printf %02x $((byte ^ 1)))" | dd of="$1" bs=1 seek="$at" conv=notrunc status=none
}
# failed_with CODE
failed_with() {
  [ "$status" -eq 1 ]
  [ "$(jq -r .error.code <<<"$output")" = "$1" ]
  [ -z "$(find "$LAB_DIR/host/state" -name 'work.*')" ]
}

@test "every file that belongs to the backup, as sha256sum has it, in the format that restores read" {
  checksum
  [ "$status" -eq 0 ]
  [ "$(jq -r '"\(.new) \(.differs) \(.bytes)"' <<<"$output")" = "true null $((20 * 1024 * 1024 + 100 * 1024 + 10))" ]
  [ "$(jq -r '"\(.v) \(.algorithm) \(.files | keys | join(" "))"' "$DIR/checksums.json")" = '1 sha256 datadisk.b.qcow2 domain-config.xml empty.xml root.a.qcow2' ]
  (cd "$DIR" && jq -r '.files | to_entries[] | "\(.value.sha256)  \(.key)"' checksums.json | sha256sum --check --strict)
  [ "$(jq '.files["root.a.qcow2"].size' "$DIR/checksums.json")" = 20971520 ]
  [ "$(jq -c .files <<<"$output")" = "$(jq -c .files "$DIR/checksums.json")" ]
  checksum --verify
  [ "$status" -eq 0 ]
  [ "$(jq -c '[.new, .differs]' <<<"$output")" = '[false,[]]' ]
  [ "$(jq -r '.there | sort | join(" ")' <<<"$output")" = 'checksums.json datadisk.b.qcow2 domain-config.xml empty.xml manifest.json root.a.qcow2' ]
}

@test "a flipped byte, a file that is shorter, one that is gone: each is named" {
  checksum
  [ "$status" -eq 0 ]
  flip "$DIR/root.a.qcow2"
  checksum --verify
  [ "$status" -eq 0 ]
  [ "$(jq -c .differs <<<"$output")" = '["root.a.qcow2"]' ]
  truncate -s -1 "$DIR/datadisk.b.qcow2"
  rm "$DIR/domain-config.xml"
  checksum --verify
  [ "$status" -eq 0 ]
  [ "$(jq -c '.differs | sort' <<<"$output")" = '["datadisk.b.qcow2","domain-config.xml","root.a.qcow2"]' ]
}

@test "what lies there is never taken again: spoilt files would become good ones" {
  checksum
  local before
  before=$(<"$DIR/checksums.json")
  flip "$DIR/root.a.qcow2"
  checksum
  [ "$status" -eq 0 ]
  [ "$(jq -c '[.new, .bytes]' <<<"$output")" = '[false,0]' ]
  [ "$(<"$DIR/checksums.json")" = "$before" ]
}

@test "checksums that are none are said to be so, and stay" {
  local bad
  for bad in '' '{}' 'x' '{"v":1,"algorithm":"md5","files":{}}' '{"v":1,"algorithm":"sha256","files":{}}' '{"v":1,"algorithm":"sha256","files":{"../x":{"size":1,"sha256":"a"}}}' \
    '{"v":1,"algorithm":"sha256","files":{"root.a.qcow2":{"size":1}}}' '{"v":1,"algorithm":"sha256","files":{"root.a.qcow2":{"size":1,"sha256":"A"}}}'; do
    printf %s "$bad" >"$DIR/checksums.json"
    checksum --verify
    failed_with checksums-damaged
    checksum
    failed_with checksums-damaged
    [ "$(<"$DIR/checksums.json")" = "$bad" ]
  done
}

@test "nothing to compare with; a run that has not finished; no backup" {
  checksum --verify
  failed_with not-hashed
  echo run-1 >"$DIR/.chainkeeper-run"
  checksum
  failed_with not-finished
  rm -r "$DIR"
  checksum
  failed_with path-missing
  # As a repository that is not mounted: whether it is gone nobody knows.
  rmdir "$NAS/$VM"
  checksum
  failed_with read-failed
}

@test "a link is nobody's file: it is neither read nor followed" {
  echo secret >"$LAB_DIR/outside"
  ln -s "$LAB_DIR/outside" "$DIR/link.qcow2"
  checksum
  [ "$status" -eq 0 ]
  [ "$(jq '.files | has("link.qcow2")' <<<"$output")" = false ]
  rm "$DIR/domain-config.xml"
  ln -s "$LAB_DIR/outside" "$DIR/domain-config.xml"
  checksum --verify
  [ "$(jq -c .differs <<<"$output")" = '["domain-config.xml"]' ]
}

@test "no faster than it is told" {
  local from=${EPOCHREALTIME/./} took
  checksum -b 10
  took=$(((${EPOCHREALTIME/./} - from) / 1000))
  [ "$status" -eq 0 ]
  ((took >= 2000 && took < 6000)) || { echo "$took ms" >&2; return 1; }
}

@test "as a job: its progress in bytes, its priority, and an end when told, with nothing left" {
  start sums checksum -t dir -s "$NAS" -m '' -p "$BACKUP" -b 1 >/dev/null
  for _ in {1..100}; do [[ $(field sums .progress.processed) == null ]] || break; sleep 0.1; done
  [ "$(field sums .progress.total)" = $((20 * 1024 * 1024 + 100 * 1024 + 10)) ]
  local pid
  pid=$(pgrep -f "bash $SCRIPT --job sums " | head -n 1)
  [ "$(ps -o ni= -p "$pid" | tr -d ' ')" = 19 ]
  [ "$(ionice -p "$pid")" = idle ]
  "$SCRIPT" abort --job sums >"$BATS_TEST_TMPDIR/abort"
  [ "$(jq -c '[.state, .abort.left]' "$BATS_TEST_TMPDIR/abort")" = '["done",[]]' ]
  [ ! -e "$DIR/checksums.json" ]
  [ ! -e "$DIR/.checksums.json.new" ]
  run ! pgrep -f "if=/tmp/csbackup.*$BACKUP"
  [ -z "$(mount_of_run)" ]
}

@test "whoever reads stops with the operation, also where nothing holds it back" {
  truncate -s 400M "$DIR/root.a.qcow2"
  use_stubs
  stub dd <<'SH'
echo dd >>"$CALLS"
for word; do [[ $word != if=/tmp/* ]] || exec 7<"${word#if=}"; done
sleep 0.2
real "$@"
SH
  start slow checksum -t dir -s "$NAS" -m '' -p "$BACKUP" >/dev/null
  for _ in {1..100}; do [[ ! -s $CALLS ]] || break; sleep 0.1; done
  "$SCRIPT" abort --job slow >/dev/null
  local calls
  calls=$(wc -l <"$CALLS")
  sleep 1
  [ "$(wc -l <"$CALLS")" -eq "$calls" ]
  ((calls < 10))
  [ -z "$(mount_of_run)" ]
}
