# ---- what is made of restored disks: a new domain, or one more disk of a machine ----------------------
#
# The definition lies on the NAS, where somebody may have changed it: what of a host's it names (its files, devices, programs) does not
# come back, but what we put there ourselves. Each line is one element, as libvirt writes it; nothing else is read.

readonly XML_NAME='[A-Za-z_][A-Za-z0-9_.:-]*'
readonly XML_LEAF="^ *<($XML_NAME)( [^<>]*)?/>\$" XML_TEXT="^ *<($XML_NAME)( [^<>]*)?>[^<>]*</($XML_NAME)>\$"
readonly XML_OPEN="^ *<($XML_NAME)( [^<>]*[^<>/])?>([^<>]*)\$" XML_CLOSE="^([^<>]*)</($XML_NAME)>\$"
# An absolute path, or what is one even without its slash: QEMU stands in the root directory.
readonly NAMES_PATH='=["'\'']/|>/| (file|path|evdev|socket|rendernode)='
readonly HARMLESS_PATH='^ *<(backend model=.random.>/dev/u?random<|loader( [^>]*)?>/usr/share/([A-Za-z0-9_+-][A-Za-z0-9_.+-]*/)*[A-Za-z0-9_.+-]+<)'
DOMAIN_XML='' TAKEN_OUT=()

# read_definition: DOMAIN_XML is the new domain's, from the one that lies beside the backup.
read_definition() {
  local file=$MNT/$OPT_PATH/domain-config.xml
  ! virsh_q domuuid "$OPT_NEW_NAME" || die "There is a domain $OPT_NEW_NAME already" name-taken
  is_gone "$RUN_ERR" || die "libvirt does not answer: $RUN_ERR" libvirt-unreachable
  nas test -f "$file" || die "$OPT_PATH holds no domain-config.xml: the machine was stopped when it was backed up, or it is another tool's" definition-missing
  nas realpath -e -- "$file" && [[ $RUN_OUT == "$MNT"/* ]] || die "$OPT_PATH/domain-config.xml leads out of the repository" chain-unsafe
  nas head -c 1048576 -- "$RUN_OUT" || die "Cannot read $OPT_PATH/domain-config.xml: $RUN_ERR" definition-missing
  DOMAIN_UUID=$(</proc/sys/kernel/random/uuid)
  rewrite_definition "$RUN_OUT"
  ((${#TAKEN_OUT[@]} == 0)) || warn "not in the new domain: $(printf '%s; ' "${TAKEN_OUT[@]}")"
}

# rewrite_definition XML
rewrite_definition() {
  local line kind name depth=0 i
  local -a path=() element=()
  DOMAIN_XML='' TAKEN_OUT=()
  lines "$1"
  for line in "${LINES[@]}"; do
    # What applications have noted there is of no form.
    [[ $depth -lt 2 || ${path[1]} != metadata || $line == '  </metadata>' ]] || continue
    kind=''
    if [[ $line =~ $XML_LEAF ]]; then kind=leaf
    elif [[ $line =~ $XML_TEXT ]]; then [[ ${BASH_REMATCH[1]} != "${BASH_REMATCH[3]}" ]] || kind=leaf
    elif [[ $line =~ $XML_OPEN ]]; then
      name=${BASH_REMATCH[1]}
      [[ ${BASH_REMATCH[3]} && $name != description ]] || { kind=open && path[depth]=$name && depth=$((depth + 1)); }
    elif [[ $depth -gt 0 && $line =~ $XML_CLOSE && ${BASH_REMATCH[2]} == "${path[depth - 1]}" ]]; then
      name=${BASH_REMATCH[2]}
      [[ ${BASH_REMATCH[1]} == *[!\ ]* && $name != description ]] || { kind=close && depth=$((depth - 1)); }
    elif [[ $line != *[\<\>]* && $depth == 2 && ${path[1]} == description ]]; then kind=text
    fi
    case $kind:$depth:${name-} in
      open:1:domain) begin_domain "$line" && continue ;;
      close:0:domain) continue ;;
      open:2:devices) DOMAIN_XML+=$'  <devices>\n' && continue ;;
      close:1:devices) DOMAIN_XML+=$'  </devices>\n' && continue ;;
      :* | *:0:*) bad_definition "$line" ;;
    esac
    element+=("$line")
    if [[ $depth == 2 && ${path[1]} == devices ]]; then keep_device && element=(); elif ((depth == 1)); then keep_element && element=(); fi
  done
  ((depth == 0)) && [[ $DOMAIN_XML ]] || bad_definition 'its end is missing'
  DOMAIN_XML+=$'</domain>\n'
  for ((i = 0; i < RESTORES; i++)); do [[ ${R[$i.defined]-} ]] || die "The stored definition has no disk ${R[$i.target]}" definition-unsafe; done
}

bad_definition() { die "domain-config.xml is not as libvirt writes it: ${1:0:200}" definition-unsafe; }

begin_domain() {
  [[ ! $DOMAIN_XML && $1 == '<domain '* ]] && xml_attribute "$1" type && [[ $REPLY =~ ^[a-z]+$ ]] || bad_definition "$1"
  DOMAIN_XML="<domain type='$REPLY'>"$'\n'
  DOMAIN_XML+="  <name>$OPT_NEW_NAME</name>"$'\n'"  <uuid>$DOMAIN_UUID</uuid>"$'\n'
}

# The elements and devices below read `element`, of rewrite_definition.
element_name() { tag_of "${element[0]}"; }
# tag_of LINE: REPLY is the name of what begins or ends there.
tag_of() { REPLY=${1#*<} && REPLY=${REPLY#/} && REPLY=${REPLY%%[!A-Za-z0-9_.:-]*}; }

keep_element() {
  local type=''
  xml_attribute "${element[0]}" type && type=$REPLY
  element_name
  case $REPLY:$type in
    @(name|uuid|title|metadata|resource|seclabel):*) ;; # of that machine, or made by libvirt
    genid:*) DOMAIN_XML+=$'  <genid/>\n' ;;
    description:*) ((${#element[@]} > 1)) || DOMAIN_XML+=${element[0]}$'\n' ;;
    os:*) keep_lines '@(nvram|kernel|initrd|cmdline|dtb|acpi|init*)' ;;
    @(memory|currentMemory|maxMemory|vcpu|vcpus|iothreads|iothreadids|cputune|memtune|blkiotune|numatune|memoryBacking):* | \
      @(features|cpu|clock|on_poweroff|on_reboot|on_crash|pm):*) keep_lines '' ;;
    sysinfo:smbios)
      # CloudStack tells the guest its uuid there; libvirt takes none but the domain's.
      element=("${element[@]/%<entry name=\'uuid\'>*/<entry name=\'uuid\'>$DOMAIN_UUID</entry>}")
      keep_lines ''
      ;;
    *) TAKEN_OUT+=("$REPLY") ;;
  esac
}

# keep_lines PATTERN: the element, without the elements of these names below it, nor any that names a file of a host.
keep_lines() {
  local line name skip='' nested=0
  for line in "${element[@]}"; do
    tag_of "$line" && name=$REPLY
    if [[ $skip ]]; then
      case $line in
        *"</$skip>"*) nested=$((nested - 1)) ;;
        *"<$skip"[\ \>]*) [[ $line == *'/>' ]] || nested=$((nested + 1)) ;;
      esac
      ((nested)) || skip=''
    elif has_pattern "$name" "$1" || names_file "$name" "$line"; then
      # What libvirt made by itself is not missed.
      [[ $name == @(nvram|alias|source|log|mac|target|link) ]] || TAKEN_OUT+=("${line#"${line%%[!" "]*}"}")
      [[ $line == *'/>' || $line == *"</$name>" ]] || { skip=$name && nested=1; }
    else
      DOMAIN_XML+=$line$'\n'
    fi
  done
}

# shellcheck disable=SC2053 # a pattern
has_pattern() { [[ $1 == $2 ]]; }

# names_file NAME LINE: also where it is said in a text, with or without a slash.
names_file() {
  [[ ! $2 =~ $HARMLESS_PATH ]] || return 1
  [[ $2 =~ $NAMES_PATH || $1 == @(loader|backend) && $2 == *"</$1>" ]]
}

keep_device() {
  local line type=''
  xml_attribute "${element[0]}" type && type=$REPLY
  element_name
  case $REPLY:$type in
    emulator:*) ;; # libvirt knows its own
    disk:*) keep_disk ;;
    interface:@(bridge|network|user|direct)) keep_interface ;;
    @(channel|serial|console|parallel|redirdev):@(pty|unix|spicevmc|spiceport|null|vc)) keep_lines '@(alias|source|log)' ;;
    @(controller|input|graphics|video|sound|audio|memballoon|watchdog|panic|vsock|hub|iommu):*) keep_lines alias ;;
    @(rng|tpm):*)
      # Nothing is left of it without its source.
      for line in "${element[@]}"; do
        tag_of "$line"
        ! names_file "$REPLY" "$line" || { TAKEN_OUT+=("the device of ${line#"${line%%[!" "]*}"}") && return 0; }
      done
      keep_lines alias
      ;;
    *) TAKEN_OUT+=("device $REPLY${type:+ of type $type}") ;;
  esac
}

# keep_disk: a restored one with its new source; a drive without its medium; others do not come along.
keep_disk() {
  local line device=disk target='' i found='' type=file where
  xml_attribute "${element[0]}" device && device=$REPLY
  for line in "${element[@]}"; do [[ $line != '      <target '* ]] || { xml_attribute "$line" dev && target=$REPLY; }; done
  if [[ $device == @(cdrom|floppy) ]]; then
    for line in "${element[@]}"; do [[ $line != '      <source '* ]] || TAKEN_OUT+=("the medium of $target"); done
    DOMAIN_XML+="    <disk type='file' device='$device'>"$'\n'
    keep_parts '' '@(target|readonly|address|boot)'
    return 0
  fi
  for ((i = 0; i < RESTORES; i++)); do [[ ${R[$i.target]} != "$target" ]] || found=$i; done
  [[ $found ]] || { TAKEN_OUT+=("disk $target, which is not restored") && return 0; }
  i=$found R[$found.defined]=yes
  xml_escape "${R[$i.to]}" && where="<source file='$REPLY'/>"
  [[ ${R[$i.kind]} != device ]] || type=block where=${where/file=/dev=}
  DOMAIN_XML+="    <disk type='$type' device='disk'>"$'\n'
  keep_parts "${R[$i.format]}" '@(target|boot|serial|wwn|address|iotune|shareable|blockio|geometry)' "$where"
}

# keep_parts FORMAT PATTERN [SOURCE]: the disk's own elements of these names behind its driver and source.
keep_parts() {
  local line name key driver="      <driver name='qemu' type='${1:-raw}'" skip=''
  for line in "${element[@]}"; do
    [[ $line == '      <driver '* && $1 ]] || continue
    for key in cache error_policy rerror_policy io discard detect_zeroes iothread queues; do
      xml_attribute "$line" "$key" && [[ $REPLY =~ ^[a-z0-9_]+$ ]] && driver+=" $key='$REPLY'"
    done
  done
  DOMAIN_XML+="$driver/>"$'\n'
  [[ ! ${3-} ]] || DOMAIN_XML+="      $3"$'\n'
  for line in "${element[@]:1:${#element[@]}-2}"; do
    # Six blanks are the disk's own level; what lies deeper goes with what it belongs to.
    if [[ $line == '      <'[!\ ]* ]]; then
      tag_of "$line" && name=$REPLY
      if has_pattern "$name" "$2" && [[ ! $line =~ $NAMES_PATH ]]; then skip=''; else skip=yes; fi
    fi
    [[ $skip ]] || [[ $line =~ $NAMES_PATH ]] || DOMAIN_XML+=$line$'\n'
  done
  DOMAIN_XML+=$'    </disk>\n'
}

# keep_interface: libvirt gives it a MAC of its own; its link is down, or two machines would answer to one address.
keep_interface() {
  local end=${element[-1]}
  unset 'element[-1]'
  keep_lines '@(mac|alias|target|link)'
  [[ $OPT_NETWORKS ]] || DOMAIN_XML+=$'      <link state=\'down\'/>\n'
  DOMAIN_XML+=$end$'\n'
}

define_domain() {
  add_note "domain $OPT_NEW_NAME $DOMAIN_UUID"
  undo_push undefine_domain "$OPT_NEW_NAME" "$DOMAIN_UUID"
  printf '%s' "$DOMAIN_XML" >"$WORK/domain.xml"
  virsh_q define "$WORK/domain.xml" || die "libvirt does not take the definition of $OPT_NEW_NAME: $RUN_ERR" define-failed
  virsh_q domuuid "$OPT_NEW_NAME" && [[ $RUN_OUT == *"$DOMAIN_UUID"* ]] || die "libvirt did not keep $OPT_NEW_NAME: $RUN_ERR" define-failed
  DOMAIN_MADE=yes
}

# undefine_domain NAME UUID: ours alone.
undefine_domain() {
  DOMAIN_MADE=''
  virsh_q domuuid "$1" && [[ $RUN_OUT == *"$2"* ]] || { is_gone "$RUN_ERR" || [[ ! $RUN_ERR ]] || left "domain $1: $RUN_ERR"; return 0; }
  virsh_q undefine "$1" --nvram || virsh_q undefine "$1" || left "domain $1: $RUN_ERR"
}

# look_at_receiver: the machine that the disk is attached to.
look_at_receiver() {
  virsh_q domstate "$OPT_ATTACH" || {
    ! is_gone "$RUN_ERR" || die "There is no virtual machine $OPT_ATTACH" vm-not-found
    die "libvirt does not answer: $RUN_ERR" libvirt-unreachable
  }
  # Not kept for as long as the copy takes: others may work on it meanwhile.
  lock_receiver 0
  exec 7>&-
}

# lock_receiver SECONDS: descriptor 7 is the lock of the machine that the disk is attached to, until this script ends; for whoever has it
# there is so much time.
lock_receiver() {
  local REPLY until
  [[ $OPT_ATTACH != "$OPT_VM" ]] || return 0
  mkdir -p -- "$STATE_DIR/locks"
  exec 7>>"$STATE_DIR/locks/$OPT_ATTACH"
  now_ms && until=$((REPLY + $1 * 1000))
  until flock -n 7; do
    now_ms
    ((REPLY < until)) || die "Another operation works on $OPT_ATTACH" vm-busy
    nap 0.2
  done
}
readonly RECEIVER_SECONDS=600 # what was copied for hours is not given up for a backup that is about to end

# is_persistent: of the machine whose dominfo RUN_OUT is.
is_persistent() { [[ $RUN_OUT =~ Persistent:\ +yes ]]; }

# attach_disk: under the next free name of the same letters.
attach_disk() {
  local bus=${R[0.target]%[a-z]} name='' letter used type=file subdriver=${R[0.format]}
  local -a how=()
  virsh_q domstate "$OPT_ATTACH" || die "$OPT_ATTACH is gone: $RUN_ERR" attach-failed
  [[ $RUN_OUT == 'shut off'* ]] || how+=(--live)
  virsh_q dominfo "$OPT_ATTACH" || die "$OPT_ATTACH is gone: $RUN_ERR" attach-failed
  ! is_persistent || how+=(--config)
  virsh_q dumpxml "$OPT_ATTACH" && used=$RUN_OUT || die "$OPT_ATTACH is gone: $RUN_ERR" attach-failed
  # Next time it starts it may have disks that it has not now.
  ! virsh_q dumpxml "$OPT_ATTACH" --inactive || used+=$RUN_OUT
  for letter in {a..z}; do [[ $used == *"<target dev='$bus$letter'"* ]] || { name=$bus$letter && break; }; done
  [[ $name ]] || die "$OPT_ATTACH has no name left for a disk $bus" attach-failed
  [[ ${R[0.kind]} != device ]] || type=block
  add_note "attach $OPT_ATTACH ${R[0.to]}"
  undo_push detach_disk "$OPT_ATTACH" "${R[0.to]}"
  virsh_q attach-disk "$OPT_ATTACH" "${R[0.to]}" "$name" --driver qemu --subdriver "$subdriver" --sourcetype "$type" "${how[@]}" ||
    die "$OPT_ATTACH does not take the disk: $RUN_ERR" attach-failed
  ATTACHED=$name
}

# detach_disk VM PATH: from the definition; a running machine that has it keeps it, and so the disk stays (take_back looks).
detach_disk() {
  ATTACHED=''
  virsh_q dominfo "$1" && is_persistent && virsh_q domblklist "$1" --inactive && [[ $RUN_OUT == *" $2"?($'\n'*) ]] || return 0
  virsh_q detach-disk "$1" "$2" --config || left "disk $2 in the definition of $1: $RUN_ERR"
}

# unmake: for a restore whose script is gone.
unmake() {
  [[ ! $NOTE_ATTACHED ]] || detach_disk "${NOTE_ATTACHED%% *}" "${NOTE_ATTACHED#* }"
  # shellcheck disable=SC2086 # a name and a uuid
  [[ ! $NOTE_DOMAIN ]] || undefine_domain $NOTE_DOMAIN
}
