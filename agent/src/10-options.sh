# ---- options: the one place where what comes from outside is checked ----------------------------

OPT_OPERATION='' OPT_VM='' OPT_TYPE='' OPT_STORAGE='' OPT_MOUNT_OPTIONS='' OPT_PATH='' OPT_QUIESCE=''
OPT_DISK_PATHS='' OPT_MODE='' OPT_BITMAP_NEW='' OPT_BITMAP_PARENT='' OPT_PARENT_PATHS='' OPT_PARENT_PATH=''
OPT_DIALECT='' OPT_FACTS='' OPT_DISKS='' OPT_ON_LOST_BITMAP='' OPT_TRANSFER='' OPT_BANDWIDTH=''
OPT_JOB='' OPT_FENCE='' OPT_FROM='' OPT_BITMAP='' OPT_RUN='' OPT_DRY_RUN=''
OPT_SWAP='' OPT_SALVAGE='' OPT_OVERWRITE='' OPT_NEW_NAME='' OPT_NETWORKS='' OPT_ATTACH=''
OPT_MANIFEST='' OPT_VERIFY='' OPT_NAME='' OPT_SHA256='' OPT_LAST=''
OPT_SECRETS_FILE='' # 0600 JSON {"mountOptions":…,"credentials":{…}}; a job directory's (70-jobs), never an option
OPT_REST=()         # what follows "--"

readonly VM_PATTERN='^[A-Za-z0-9_][A-Za-z0-9_.+@:-]{0,126}$'
readonly BITMAP_PATTERN='^backup-[0-9]{1,12}$'
readonly PATH_PATTERN='^[A-Za-z0-9_][A-Za-z0-9_.+@:-]*(/[A-Za-z0-9_][A-Za-z0-9_.+@:-]*)*$'
readonly FLAG_PATTERN='^--(facts|dry-run|verify|salvage|swap|overwrite|networks)$' # options without a value
readonly SAFE_TEXT='^[^[:cntrl:]]*$'

usage() {
  cat <<'TEXT'
Usage: nasbackup.sh -o OPERATION [options]

Operations
  backup    back up a virtual machine to a NAS     delete    remove a backup from the NAS
  stats     size and use of the NAS                inspect   facts about a virtual machine, as JSON
  start, status, abort                             detached jobs
  retire    drop a bitmap that is no longer a parent
  release   drop all our bitmaps of a virtual machine
  restore   bring disks of a backup back, as a job: checked before, compared after
  check     is this host ready, as JSON
  describe  write a manifest beside the files of a backup
  take      bytes for a job, from stdin
  keep      put a copy of the books on the NAS
  checksum  write down the SHA-256 of its files, slowly
  sweep     remove what killed calls and jobs have left behind

Options
  -v, --vm NAME                libvirt domain
  -t, --type TYPE              nfs, cifs, ceph or dir (a directory of this host)
  -s, --storage ADDRESS        address of the NAS export
  -m, --mount OPTIONS          mount options (may be empty)
  -p, --path PATH              directory of the backup on the NAS, <instance>/<time>
  -q, --quiesce true|false     freeze the guest's filesystems for the moment of the checkpoint
  -d, --diskpaths CSV          disks of a stopped machine; empty for a running one
  -M, --mode MODE              full, incremental or legacy-full (the default)
      --bitmap-new NAME        checkpoint to create, backup-<seconds>
      --bitmap-parent NAME     checkpoint to start from
      --parent-paths CSV       parent files on the NAS, one for each disk
      --parent-path PATH       parent file of the first disk; the others lie beside it
      --disks JSON             [{"target","mode","parentFile","path","format"}], one for each disk; its
                               mode is full, incremental or (with --on-lost-bitmap rescue) rescued;
                               of a restore [{"target","file","to","format","virtualSize"}]
      --dialect seed|final     what to print (final)
      --facts                  print a line FACTS={json}
      --on-lost-bitmap full|rescue  a full of all disks, or compare with the chain and keep what differs
      --transfer push|pull|auto  QEMU writes the NAS itself, or readers of this host copy from scratch files
  -b, --bandwidth MIB          a second, all disks together; a running machine then goes by pull, for a push cannot
                               be limited
      --swap                   restore in place of the volumes of a stopped machine
      --overwrite              restore to block devices, whatever they hold
      --new-name NAME          restore as a new, stopped domain   --networks  with its links up
      --salvage                restore what can be read, though files are not what they were
      --attach NAME            attach the restored disk to that machine
      --fence N                epoch of the caller's lease
      --job ID  --from OFFSET  --bitmap NAME
      --run ID                 delete only what this run has begun and nobody has described since
      --manifest JSON          what the books say of the backup
      --name NAME              of a copy of the books, books-<time>.jsonl.gz
      --sha256 HEX             of the bytes that were handed over
      --last N                 copies of the books that stay
      --verify                 compare with the checksums that are there
      --dry-run                say what would be removed, and remove nothing
  -h, --help
TEXT
}

bad_option() { die "$1" bad-option; }

parse_options() {
  local option
  while (($#)); do
    option=$1
    case $option in
      -h | --help) usage && DONE=yes && exit 0 ;;
      --) shift && OPT_REST=("$@") && break ;;
      --facts | --dry-run | --verify | --salvage | --swap | --overwrite | --networks)
        option=${option#--} option=OPT_${option^^}
        printf -v "${option//-/_}" true
        shift && continue
        ;;
      -*) ;;
      *)
        [[ ! $OPT_OPERATION ]] || invalid_option "$option"
        OPT_OPERATION=$option && shift && continue
        ;;
    esac
    case $option in
      -o | --operation) option=OPT_OPERATION ;;
      -v | --vm) option=OPT_VM ;;
      -t | --type) option=OPT_TYPE ;;
      -s | --storage) option=OPT_STORAGE ;;
      -m | --mount) option=OPT_MOUNT_OPTIONS ;;
      -p | --path) option=OPT_PATH ;;
      -q | --quiesce) option=OPT_QUIESCE ;;
      -d | --diskpaths) option=OPT_DISK_PATHS ;;
      -M | --mode) option=OPT_MODE ;;
      -b | --bandwidth) option=OPT_BANDWIDTH ;;
      --bitmap-new | --bitmap-parent | --parent-paths | --parent-path | --disks | --dialect | --on-lost-bitmap | --transfer | --job | --fence | --from | --bitmap | --run | --new-name | --attach | --manifest | --name | --sha256 | --last)
        option=${option#--} option=OPT_${option^^} option=${option//-/_}
        ;;
      *) invalid_option "$option" ;;
    esac
    (($# > 1)) || bad_option "Option $1 needs a value"
    printf -v "$option" %s "$2"
    shift 2
  done
  check_options
}

# CloudStack reads this text from stdout.
invalid_option() {
  DONE=yes
  printf 'Invalid option: %s\n' "$1"
  printf 'Invalid option: %s\n' "$1" >&2
  usage
  exit "$EXIT_FAILED"
}

check_options() {
  local disk
  must_match OPT_VM "$VM_PATTERN" 'name of the virtual machine'
  must_match OPT_NEW_NAME "$VM_PATTERN" 'name of the new machine'
  must_match OPT_ATTACH "$VM_PATTERN" 'name of the machine to attach to'
  must_match OPT_BITMAP_NEW "$BITMAP_PATTERN" 'name of the new bitmap'
  must_match OPT_BITMAP_PARENT "$BITMAP_PATTERN" "name of the parent's bitmap"
  must_match OPT_BITMAP "$BITMAP_PATTERN" 'name of the bitmap'
  must_match OPT_RUN "$JOB_PATTERN" 'id of a run'
  must_match OPT_NAME "$COPY_PATTERN" 'name of a copy'
  must_match OPT_SHA256 '^[0-9a-f]{64}$' 'SHA-256'
  must_match OPT_LAST '^[1-9][0-9]{0,3}$' 'number of copies'
  must_match OPT_FENCE '^[0-9]{1,15}$' 'fence'
  must_match OPT_TYPE '^(nfs|cifs|ceph|dir)$' 'type of the storage'
  must_match OPT_STORAGE '^[^-[:cntrl:]][^[:cntrl:]]*$' 'address of the storage'
  must_match OPT_MOUNT_OPTIONS "$SAFE_TEXT" 'mount options' secret
  must_match OPT_QUIESCE '^(true|false)$' 'value of --quiesce'
  must_match OPT_DIALECT '^(seed|final)$' dialect
  must_match OPT_ON_LOST_BITMAP '^(full|rescue)$' 'way to handle a lost bitmap'
  must_match OPT_TRANSFER '^(push|pull|auto)$' transfer
  must_match OPT_BANDWIDTH '^[1-9][0-9]{0,5}$' 'limit in MiB a second'
  must_match OPT_PATH "$PATH_PATTERN" 'path of the backup'
  must_match OPT_PARENT_PATH "$PATH_PATTERN" 'path of the parent file'
  split_list "$OPT_PARENT_PATHS"
  for disk in "${LIST[@]}"; do
    [[ $disk =~ $PATH_PATTERN ]] || bad_option "Not a valid path of a parent file: $disk"
  done
  split_list "$OPT_DISK_PATHS"
  for disk in "${LIST[@]}"; do
    [[ $disk =~ ^(/|rbd:)[^[:cntrl:]]+$ && /$disk/ != */../* ]] || bad_option "Not a valid path of a disk: ${disk%%:*}"
  done
}

# must_match VARIABLE PATTERN WHAT [secret]: an empty value passes: what an operation needs, it asks for itself.
must_match() {
  [[ ! ${!1} || ${!1} =~ $2 ]] && return 0
  if [[ ${4-} ]]; then bad_option "Not a valid $3"; else bad_option "Not a valid $3: ${!1}"; fi
}

# need VARIABLE OPTION: for what an operation cannot do without.
need() { [[ ${!1} ]] || bad_option "Operation $OPT_OPERATION needs $2"; }

# split_list CSV: LIST is its items; none for an empty text.
split_list() {
  LIST=()
  [[ ! $1 ]] || IFS=, read -r -a LIST <<<"$1"
}
