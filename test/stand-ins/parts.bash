# shellcheck shell=bash disable=SC2034,SC2154  # variables are shared with the dialects
# What the stand-ins of CloudStack's host scripts share. They are written from the tables in docs/stock-hosts.md, in words of our
# own: what they print and how they end is theirs, how they work is not, but for what they get wrong.
set -eo pipefail

die() { printf '%s\n' "$1"; exit "${2:-1}"; }

read_options() {
  operation='' vm='' type='' address='' options='' path='' quiesce='' disks='' mode='' new='' parent='' parents=''
  while (($#)); do
    case $1 in
      -o | --operation) operation=$2 ;;
      -v | --vm) vm=$2 ;;
      -t | --type) type=$2 ;;
      -s | --storage) address=$2 ;;
      -m | --mount) options=$2 ;;
      -p | --path) path=$2 ;;
      -q | --quiesce) quiesce=$2 ;;
      -d | --diskpaths) disks=$2 ;;
      *) known "$@" || die "Invalid option: $1" ;;
    esac
    shift 2
  done
}

# What the dialects since the seed know besides; PARENT_OPTION is how this one names parent files.
known() {
  [[ ${PARENT_OPTION-} ]] || return 1
  case $1 in
    -M | --mode) mode=$2 ;;
    --bitmap-new) new=$2 ;;
    --bitmap-parent) parent=$2 ;;
    "$PARENT_OPTION") parents=$2 ;;
    *) return 1 ;;
  esac
}

# The lab's repositories are directories. What mount says goes to stdout, and its exit code ends the script.
mount_store() {
  point=$(mktemp -d -t csbackup.XXXXX)
  chmod 755 "$point"
  if [[ $type == dir ]]; then options=${options:+$options,}bind type=none; fi
  mount -t "$type" -o "$options" "$address" "$point" 2>&1 | tee /dev/null
  dest=$point/$path
}

# No pipe into grep -q: it would end virsh early, and with pipefail a found name would count as none.
is_line_of() { [[ $'\n'$2$'\n' == *$'\n'"$1"$'\n'* ]]; }
running() { is_line_of "$vm" "$(virsh -q list --state-running --name)"; }
live_disks() { virsh -q domblklist "$vm" --details | awk '$2 == "disk" { print $3, $4 }'; }
file_of() { if (($1 == 0)); then printf 'root.%s.qcow2' "${2##*/}"; else printf 'datadisk.%s.qcow2' "${2##*/}"; fi; }

# begin_job [BASE]: a push of all disks, with a checkpoint where a bitmap is wanted.
begin_job() {
  local index=0 target source
  {
    printf "<domainbackup mode='push'>%s<disks>\n" "${1:+<incremental>$1</incremental>}"
    while read -r target source; do
      printf "<disk name='%s' backup='yes' type='file'><target file='%s'/><driver type='qcow2'/></disk>\n" \
        "$target" "$dest/$(file_of "$index" "$source")"
      index=$((index + 1))
    done < <(live_disks)
    printf '</disks></domainbackup>\n'
  } >"$dest/backup.xml"
  [[ ! $new ]] || printf '<domaincheckpoint><name>%s</name></domaincheckpoint>\n' "$new" >"$dest/checkpoint.xml"
  [[ $quiesce != true ]] || virsh -q domfsfreeze "$vm" >/dev/null
  local code=0
  said=$(virsh -q backup-begin "$vm" "$dest/backup.xml" ${new:+"$dest/checkpoint.xml"} 2>&1) || code=$?
  [[ $quiesce != true ]] || virsh -q domfsthaw "$vm" >/dev/null || die "Failed to thaw the filesystem for vm $vm"
  return "$code"
}

# The real ones look every 5 s, and for as long as it takes. By then QEMU has closed its targets, which comes a moment after
# libvirt's word; looking more often, these have to wait for that.
watch_job() {
  local state file
  while :; do
    state=$(virsh -q domjobinfo "$vm" --completed --keep-completed | awk '/^Job type:/ { print $3 }')
    if [[ $state == Completed ]]; then
      for file in "$dest"/*.qcow2; do until qemu-img info -f qcow2 "$file" >/dev/null; do sleep 0.1; done; done
      break
    fi
    if [[ $state == Failed ]]; then
      printf 'Virsh backup job failed\n'
      clean_up || die 'Backup cleanup failed' 20
      exit 1
    fi
    sleep 0.2
  done
}

clean_up() { rm -rf -- "$dest" && umount "$point" && rmdir "$point"; }

describe_vm() {
  virsh -q dumpxml "$vm" >"$dest/domain-config.xml"
  virsh -q dominfo "$vm" >"$dest/dominfo.xml"
  virsh -q domiflist "$vm" >"$dest/domiflist.xml"
  virsh -q domblklist "$vm" >"$dest/domblklist.xml"
  rm -f "$dest/backup.xml" "$dest/checkpoint.xml" "$dest/recreate-checkpoint.xml"
  sync
}

# rebase_onto FILE ...: each disk's delta onto its parent's file; with fewer files than disks the last one serves for the rest.
rebase_onto() {
  local index=0 source below
  local -a files=("$@")
  while read -r _ source; do
    below=${files[index]:-${files[-1]}}
    qemu-img rebase -q -u -F qcow2 -b "$(realpath --relative-to="$dest" -m "$point/$below")" \
      "$dest/$(file_of "$index" "$source")" || die "qemu-img rebase failed for $source onto $below"
    index=$((index + 1))
  done < <(live_disks)
}

need_parent_files() {
  local file
  for file in "$@"; do [[ -f $point/$file ]] || die "Parent backup file does not exist on NAS: $file"; done
}

has_record() { is_line_of "$1" "$(virsh -q checkpoint-list "$vm" --name)"; }

# A new, empty bitmap under the parent's name. This is the hole.
recreate_blank() {
  printf '<domaincheckpoint><name>%s</name></domaincheckpoint>\n' "$parent" >"$dest/recreate-checkpoint.xml"
  virsh -q checkpoint-create "$vm" "$dest/recreate-checkpoint.xml" >/dev/null 2>&1
}

print_job() { virsh domjobinfo "$vm" --completed; }
print_size() { du -sb "$dest" | cut -f1; }

copy_stopped() {
  local index=0 source
  local -a sources
  IFS=, read -r -a sources <<<"$disks"
  for source in "${sources[@]}"; do
    qemu-img convert -O qcow2 "$source" "$dest/$(file_of "$index" "$source")" ||
      { printf 'qemu-img convert failed for %s\n' "$source" && clean_up && exit 1; }
    index=$((index + 1))
  done
  sync
}

# seed_stopped: the new bitmap on every disk of the stopped VM, before anything is copied.
seed_stopped() {
  local source
  local -a sources
  IFS=, read -r -a sources <<<"$disks"
  for source in "${sources[@]}"; do qemu-img bitmap --add -f qcow2 "$source" "$new" || return 1; done
}

delete_backup() {
  mount_store
  rm -frv -- "$dest"
  umount "$point"
  rmdir "$point"
}

print_stats() {
  mount_store
  df --output=target,size,used -- "$point" | awk 'NR == 2 { print $1; print $2, $3 }'
  umount "$point"
  rmdir "$point"
}

# main BACKUP: what the operation asks for.
main() {
  read_options "$@"
  case $operation in
    backup)
      mount_store
      mkdir -p "$dest"
      if running; then live; else stopped; fi
      ;;
    delete) delete_backup ;;
    stats) print_stats ;;
    *) die "Invalid option: $operation" ;;
  esac
}
