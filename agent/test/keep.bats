#!/usr/bin/env bats
# take and keep: a copy of the books comes to the NAS whole or not at all, and the oldest go.

load host
load jobs
load stubs
setup_file() { host_up; }
teardown_file() { host_down; }
setup() {
  use_host
  host_conf
  NAS=$LAB_DIR/nas-$BATS_TEST_NUMBER BOOKS=$LAB_DIR/nas-$BATS_TEST_NUMBER/chainkeeper-books
  mkdir "$NAS"
  head -c 3M /dev/urandom >"$BATS_TEST_TMPDIR/copy"
  SUM=$(sha256sum <"$BATS_TEST_TMPDIR/copy" | cut -d' ' -f1)
  JOB=keep-$BATS_TEST_NUMBER
}

# take OFFSET BYTES: that part of the copy.
take() { dd if="$BATS_TEST_TMPDIR/copy" bs=64K iflag=skip_bytes,count_bytes skip="$1" count="$2" status=none | "$SCRIPT" take --job "$JOB" --from "$1"; }
take_all() { take 0 2M >/dev/null && take 2097152 2M >/dev/null; }
# keep NAME [LAST]
keep() { start "$JOB" keep -t dir -s "$NAS" -m '' --name "books-$1.jsonl.gz" --sha256 "$SUM" --last "${2:-3}" >/dev/null && ends "$JOB" done; }

@test "in pieces, whole on the NAS, for nobody else to read, and nothing of it left on the host" {
  run --separate-stderr take 2097152 2M
  [ "$status" -eq 0 ]
  [ "$(jq -c '[.v, .size]' <<<"$output")" = '[1,3145728]' ]
  take 0 2M >/dev/null
  [ "$(stat -c %a "$LAB_DIR/host/state/jobs/$JOB/input")" = 600 ]
  keep 2026.01.01.00.00.01
  [ "$(field "$JOB" .exit)" = 0 ]
  [ "$(said "$JOB" stdout | jq -c '[.name, .kept, .removed]')" = '["books-2026.01.01.00.00.01.jsonl.gz",["books-2026.01.01.00.00.01.jsonl.gz"],[]]' ]
  cmp "$BATS_TEST_TMPDIR/copy" "$BOOKS/books-2026.01.01.00.00.01.jsonl.gz"
  [ "$(stat -c '%a' "$BOOKS" "$BOOKS/books-2026.01.01.00.00.01.jsonl.gz" | paste -sd' ')" = '700 600' ]
  [ ! -e "$LAB_DIR/host/state/jobs/$JOB/input" ]
  [ -z "$(mount_of_run)" ]
}

@test "the oldest go, and nothing else of what lies there" {
  mkdir -p "$BOOKS/books-2020.01.01.00.00.00.jsonl.gz.d"
  local second
  for second in 01 02 03 04; do echo old >"$BOOKS/books-2026.01.01.00.00.$second.jsonl.gz"; done
  echo mine | tee "$BOOKS/books-2019.jsonl.gz" "$BOOKS/notes" >"$BOOKS/books-2019.01.01.00.00.00.jsonl.gz.bak"
  take_all
  keep 2026.01.01.00.00.05 2
  [ "$(said "$JOB" stdout | jq -r '.removed | length')" = 3 ]
  [ "$(ls "$BOOKS" | paste -sd' ')" = 'books-2019.01.01.00.00.00.jsonl.gz.bak books-2019.jsonl.gz books-2020.01.01.00.00.00.jsonl.gz.d books-2026.01.01.00.00.04.jsonl.gz books-2026.01.01.00.00.05.jsonl.gz notes' ]
}

@test "half of it is not kept" {
  take 0 2M >/dev/null
  keep 2026.01.01.00.00.01
  [ "$(field "$JOB" .exit)" = 1 ]
  [ "$(said "$JOB" stdout | jq -r .error.code)" = input-differs ]
  [ ! -e "$BOOKS" ]
  [ ! -e "$LAB_DIR/host/state/jobs/$JOB/input" ]
}

@test "nothing handed over, a job that has begun, and no job at all" {
  keep 2026.01.01.00.00.01
  [ "$(said "$JOB" stdout | jq -r .error.code)" = input-missing ]
  run --separate-stderr take 0 1M
  [ "$status" -eq 1 ]
  [ "$(jq -r .error.code <<<"$output")" = job-busy ]
  script keep -t dir -s "$NAS" -m '' --name books-2026.01.01.00.00.01.jsonl.gz --sha256 "$SUM" --last 1
  [ "$status" -eq 1 ]
  [ "$(jq -r .error.code <<<"$output")" = input-missing ]
  run --separate-stderr start "$JOB-2" take --from 0
  [ "$status" -eq 1 ]
}

@test "names that lead elsewhere are refused, and so is a directory that does" {
  local bad
  for bad in '../x' 'books-1.jsonl.gz' 'books-2026.01.01.00.00.01.jsonl.gz/../x' '*'; do
    script keep -t dir -s "$NAS" -m '' --name "$bad" --sha256 "$SUM" --last 1
    [ "$status" -eq 1 ]
    [ "$(jq -r .error.code <<<"$output")" = bad-option ]
  done
  mkdir "$LAB_DIR/elsewhere"
  ln -s "$LAB_DIR/elsewhere" "$BOOKS"
  take_all
  keep 2026.01.01.00.00.01
  [ "$(said "$JOB" stdout | jq -r .error.code)" = path-escapes ]
  [ -z "$(ls -A "$LAB_DIR/elsewhere")" ]
}

@test "a NAS that is full keeps the copies that it has" {
  NAS=$(lab nas-small 8 keep)
  BOOKS=$NAS/chainkeeper-books
  mkdir "$BOOKS"
  echo old >"$BOOKS/books-2026.01.01.00.00.01.jsonl.gz"
  leave_free "$NAS" 1048576
  take_all
  keep 2026.01.01.00.00.02 1
  [ "$(said "$JOB" stdout | jq -r .error.code)" = nas-not-writable ]
  [ "$(ls -A "$BOOKS")" = books-2026.01.01.00.00.01.jsonl.gz ]
}
