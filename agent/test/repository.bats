#!/usr/bin/env bats
# check of a repository: every kind of NAS the lab has, and the faults that it has not, by a program that lies.

load host
load stubs
setup_file() { host_up; }
teardown_file() { host_down; }
setup() { use_host; host_conf; }
teardown() { leave_host; }

check() { script check -t dir -s "${REPOSITORY:-$NAS}" -m ''; }
answer() { jq -r "$1" <<<"$output"; }
problems() { answer '[.problems[].code] | join(" ")'; }
# tried FIELD...: what came of them, in one line.
tried() { local field; for field; do answer ".repository.$field"; done | paste -sd' '; }
# nothing_left [DIR]: nothing of a check lies there, nothing is mounted, no work directory.
nothing_left() {
  [[ -z $(find "${1:-$NAS}" -maxdepth 1 -name '.chainkeeper-check*') ]]
  [[ -z $(mount_of_run) ]]
  [[ -z $(find "$LAB_DIR/host/state" -name 'work.*') ]]
}

@test "a good one: written, read back past the cache, renamed, kept, timed; a long file; and nothing is there afterwards" {
  check
  [[ $status -eq 0 && -z $(problems) ]]
  [[ $(tried data direct rename sync directories sparse gone writes) == 'true true true true true true true 16' ]]
  (($(answer .repository.largestFile) >= 2 ** 41))
  (($(answer .repository.medianUs) > 0))
  (($(answer '.repository | .worstUs - .medianUs') >= 0))
  [[ $(tried type) == "$(stat -f -c %T "$NAS")" ]]
  nothing_left
  script check
  [[ $(answer .repository) == null ]]
}

@test "a small one: its own limit; full: said so, whatever is left to try; read-only: nothing is tried" {
  REPOSITORY=$(lab nas-small 24 check)
  check
  [[ -z $(problems) && $(tried data sparse gone) == 'true true true' ]]
  leave_free "$REPOSITORY" 262144
  check
  [[ $status -eq 0 ]]
  [[ $(problems) == nas-full && $(tried data sync directories gone) == 'false true true true' ]]
  nothing_left "$REPOSITORY"
  mount -o remount,ro "$REPOSITORY"
  check
  [[ $status -eq 0 && $(problems) == nas-read-only ]]
  [[ $(tried data gone directories) == 'null null false' ]]
  nothing_left "$REPOSITORY"
}

@test "one that QEMU's user may not enter" {
  REPOSITORY=$LAB_DIR/nas/closed
  mkdir -m 700 "$REPOSITORY"
  check
  [[ $(problems) == nas-not-reachable && $(tried data gone) == 'true true' ]]
  chmod 711 "$REPOSITORY"
  check
  [[ -z $(problems) ]]
}

# quick_script: steps have two seconds.
quick_script() { use_stubs && sed -i 's/^CHECK_SECONDS=10/CHECK_SECONDS=2/' "$SCRIPT"; }

@test "a slow one: every small write has its time, and the worst of them is told" {
  slow_nas
  line 600K
  check
  [[ $status -eq 0 && -z $(problems) && $(tried data gone) == 'true true' ]]
  # 4 KiB at 600 KiB/s.
  (($(answer .repository.medianUs) > 5000))
  line unlimited
  nothing_left "$LAB_DIR/run/$LINE.data"
}

@test "one that hangs: said within the time of a step, not touched again, what is left is told and swept later" {
  local data
  slow_nas
  quick_script
  data=$LAB_DIR/run/$LINE.data
  line 100K
  begin check -t dir -s "$REPOSITORY" -m ''
  until [[ $(find "$data" -name data -size +0) ]]; do sleep 0.02; done
  line 0
  ended_within 12
  end
  line unlimited
  [[ $status -eq 0 ]]
  [[ $(problems) == 'nas-hung left-behind'* ]]
  [[ $(answer '.problems[0].message') == *'within 2 s when it was to write 1 MiB' ]]
  [[ $(tried data rename gone) == 'false null false' || $(tried data rename gone) == 'false false false' ]]
  # The writer that was left in it ends, and what stays is swept, by the note of it.
  for _ in {1..50}; do script sweep; [[ $(mount_of_run) ]] || break; sleep 0.1; done
  nothing_left "$data"
}

@test "ended in the middle: nothing stays" {
  slow_nas
  line 100K
  begin check -t dir -s "$REPOSITORY" -m ''
  until [[ $(find "$LAB_DIR/run/$LINE.data" -name data) ]]; do sleep 0.02; done
  line unlimited
  kill -TERM "$SCRIPT_PID"
  end
  [[ $status -eq 1 && $(answer .error.code) == job-cancelled ]]
  nothing_left "$LAB_DIR/run/$LINE.data"
}

@test "kill -9 in the middle: a sweep takes away what lies on the NAS, then the mount" {
  local data removed=''
  slow_nas
  data=$LAB_DIR/run/$LINE.data
  line 100K
  begin check -t dir -s "$REPOSITORY" -m ''
  until [[ $(find "$data" -name data) ]]; do sleep 0.02; done
  kill -KILL "$SCRIPT_PID"
  end
  [[ $status -eq 137 && $(find "$data" -name data) ]]
  script sweep --dry-run
  [[ $(answer '[.items[] | .code + " " + .action] | sort | join(", ")') =~ ^'check-dir '(left|would-be-removed) ]]
  [[ $(find "$data" -name '.chainkeeper-check.*') ]]
  line unlimited
  # Its last command ends first, and one sweep may find the mount still busy that another has emptied.
  for _ in {1..50}; do
    script sweep
    removed+=$(answer '.items[] | select(.action == "removed").code + " "')
    [[ $(mount_of_run) ]] || break
    sleep 0.1
  done
  [[ $(xargs <<<"$removed") == 'check-dir mount work-dir' ]]
  nothing_left "$data"
}

@test "what a check left an hour ago goes with the next one, on whatever host; a younger one may be at work" {
  mkdir -p "$NAS"/.chainkeeper-check.{elsewhere.abc123/sub,young.abc123} "$NAS/2026.chainkeeper-check.old"
  touch "$NAS/.chainkeeper-check.elsewhere.abc123/hole"
  touch -d '61 minutes ago' "$NAS"/{.chainkeeper-check.elsewhere.abc123,2026.chainkeeper-check.old}
  touch -d '59 minutes ago' "$NAS/.chainkeeper-check.young.abc123"
  check
  [[ $status -eq 0 && -z $(problems) ]]
  [[ ! -e $NAS/.chainkeeper-check.elsewhere.abc123 ]]
  [[ -d $NAS/.chainkeeper-check.young.abc123 && -d $NAS/2026.chainkeeper-check.old ]]
  rmdir "$NAS/.chainkeeper-check.young.abc123" "$NAS/2026.chainkeeper-check.old"
  nothing_left
}

@test "one that gives back something else than it was given" {
  use_stubs
  stub dd <<'SH'
real "$@" || exit
case "$*" in
  *iflag=direct*) for word; do [[ $word != of=* ]] || printf 'not what it was' | real of="${word#of=}" bs=1 seek=70000 conv=notrunc status=none; done ;;
esac
SH
  check
  [[ $status -eq 0 && $(problems) == nas-corrupts && $(tried data direct gone) == 'false true true' ]]
  nothing_left
}

@test "one past whose cache nobody can read, with files that have no holes, that renames nothing and keeps no directory" {
  use_stubs
  stub dd <<'SH'
[[ "$*" != *iflag=direct* ]] || { echo "dd: failed to open: Invalid argument" >&2; exit 1; }
real "$@"
SH
  stub stat <<<'if [[ $2 == "%b %B" ]]; then echo "8192 512"; else real "$@"; fi'
  stub mv <<<'echo "mv: cannot move: Input/output error" >&2; exit 1'
  stub sync <<<'echo "sync: Invalid argument" >&2; exit 1'
  check
  [[ $status -eq 0 && $(problems) == 'nas-no-rename nas-no-sync' ]]
  [[ $(tried data direct sparse largestFile rename sync gone) == 'true false false null false false true' ]]
  nothing_left
}

@test "one that removes nothing: what is left there is told" {
  use_stubs
  stub rm <<<'[[ "$*" != *.chainkeeper-check* ]] || exit 0; real "$@"'
  check
  [[ $status -eq 0 && $(problems) == left-behind && $(tried gone) == false ]]
  [[ $(answer '.problems[0].message') == *'.chainkeeper-check.'*'on the NAS' ]]
  rm -rf "$NAS"/.chainkeeper-check.*
}
