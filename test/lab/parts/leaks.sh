# NAS directories, and what backup runs left behind.

#: nas-small SIZE_MIB NAME [DIR]   a NAS that runs full: a loop-mounted ext4 at nas/NAME; prints the path
#:                                 DIR: where its disk is (on a nas-slow it is as slow, and still says "No space left")
verb_nas_small() {
  (($# == 3)) || need_args 2 "$@"
  need_up; check_name "$2"
  local disk=${3:-$RUN}/$2.ext4
  [[ $1 =~ ^[0-9]+$ ]] || die "not a number of MiB: '$1'"
  [[ ! -e $NAS/$2 ]] || die "there is a nas/$2 already"
  truncate -s "${1}M" "$disk"
  mkfs.ext4 -q -m 0 -b 4096 -O ^has_journal "$disk"
  mkdir "$NAS/$2"
  mount -o "loop${3:+,sync}" "$disk" "$NAS/$2"
  rmdir "$NAS/$2/lost+found"
  printf '%s\n' "$NAS/$2"
}

#: leaks [CHECKPOINT ...]          what runs left on the machine, a line each: KIND<TAB>WHAT; exits 1 when there is anything
#:                                 CHECKPOINTs are those that may be there, on any VM of the lab
verb_leaks() {
  need_up
  local found
  found=$(leaked_mounts; leaked_processes; leaked_locks; leaked_in_libvirt "$@"; leaked_files)
  [[ -z $found ]] && return 0
  printf '%s\n' "$found"
  exit 1
}

leaked_mounts() {
  local target
  while read -r target; do
    [[ $target == "$NAS"/* && $target != *csbackup* ]] || printf 'mount\t%s\n' "$target"
  done < <(lab_mounts)
}

leaked_processes() {
  local pid
  for pid in $(script_pids); do printf 'process\t%s %s\n' "$pid" "$(command_line "$pid" | tr '\n' ' ')"; done
}

# The kernel's list of locks knows files by their inodes.
leaked_locks() {
  local inode lock held
  held=$(</proc/locks)
  while read -r inode lock; do
    [[ $held != *:"$inode "* ]] || printf 'lock\t%s\n' "$lock"
  done < <(stat -c "%i %n" "$HOST"/{,beside/}state/locks/* "$HOST"/{,beside/}state/jobs/*/lock 2>/dev/null || :)
}

# One virsh answers both questions about a VM.
leaked_in_libvirt() {
  local vm line
  for vm in $(lab_vms); do
    running "$vm" || continue
    while read -r line; do
      case $line in
        'Job type:'*None*) ;;
        'Job type:'*) printf 'job\t%s %s\n' "$vm" "${line#*: }" ;;
        '' | [A-Z]*:*) ;;
        *) [[ " $* " == *" $line "* ]] || printf 'checkpoint\t%s %s\n' "$vm" "$line" ;;
      esac
    done < <(virsh_q "domjobinfo $vm; checkpoint-list $vm --name")
  done
}

# A directory of a backup that failed must not stay: one without any disk, or with files that only a run in progress has.
leaked_files() {
  local dir file
  while read -r dir; do
    compgen -G "$dir/*.qcow2" >/dev/null || printf 'partial\t%s\n' "$dir"
    for file in backup.xml checkpoint.xml recreate-checkpoint.xml; do [[ ! -e $dir/$file ]] || printf 'partial\t%s\n' "$dir/$file"; done
    for file in "$dir"/*.partial "$dir"/*.tmp "$dir"/*.sock "$dir/.chainkeeper-run"; do [[ ! -e $file ]] || printf 'partial\t%s\n' "$file"; done
  done < <(find "$NAS" -type d -regextype posix-extended -regex '.*/[0-9]{4}(\.[0-9]{2}){5}')
  find "$HOST"/{,beside/}scratch "$HOST"/{,beside/}state/jobs \( -name 'secrets*' -o -path "$HOST/scratch/*" -o -path "$HOST/beside/scratch/*" \) -printf 'file\t%p\n' 2>/dev/null || :
}
