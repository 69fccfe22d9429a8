# ---- the disks of a machine -----------------------------------------------------------------------
#
# D["$i.field"] holds what is known of disk i (0 … DISKS-1), B["$i.$bitmap.field"] of its bitmaps.

DISKS=0
declare -A D=() B=()
readonly DISK_FIELDS='target device type path format node policy inode compat virtual cluster actual inuse unsafe written bitmaps
  mode parent file image backing size allocated filecluster data zero dirty compared parentbitmap check'

disk_new() {
  local field
  for field in $DISK_FIELDS; do D[$DISKS.$field]=''; done
  DISKS=$((DISKS + 1))
}

# xml_attribute LINE NAME: REPLY is the value of an attribute in libvirt's own formatting; false when absent.
xml_attribute() {
  REPLY=''
  [[ $1 == *" $2='"* ]] || return 1
  REPLY=${1#*" $2='"}
  REPLY=${REPLY%%\'*}
  REPLY=${REPLY//&lt;/<} REPLY=${REPLY//&gt;/>} REPLY=${REPLY//&quot;/\"} REPLY=${REPLY//&apos;/\'} REPLY=${REPLY//&amp;/&}
}

# xml_escape TEXT: REPLY may stand in an attribute or in text.
xml_escape() {
  REPLY=${1//&/&amp;}
  REPLY=${REPLY//</&lt;} REPLY=${REPLY//>/&gt;} REPLY=${REPLY//\'/&apos;} REPLY=${REPLY//\"/&quot;}
}

# read_domain_xml XML: every disk that holds data. CD-ROM and floppy drives do not belong to a machine's data.
# libvirt indents each level by two blanks, which tells a disk's own elements from those of its backing chain.
read_domain_xml() {
  local line i=-1 name=''
  DISKS=0 D=() B=()
  lines "$1"
  for line in "${LINES[@]}"; do
    case $line in
      '  <name>'*) name=${line#*>} && name=${name%%<*} ;;
      '  <uuid>'*) VM_UUID=${line#*>} && VM_UUID=${VM_UUID%%<*} ;;
      '    <disk '*)
        xml_attribute "$line" device || :
        [[ $REPLY != @(cdrom|floppy) ]] || continue
        i=$DISKS && disk_new
        D[$i.device]=$REPLY
        xml_attribute "$line" type && D[$i.type]=$REPLY
        [[ ${D[$i.type]} == @(file|block) ]] || D[$i.type]=network
        ;;
      '    </disk>') i=-1 ;;
      "      <"*)
        ((i >= 0)) || continue
        case $line in
          *'<driver '*)
            xml_attribute "$line" type && D[$i.format]=$REPLY
            xml_attribute "$line" error_policy && D[$i.policy]=$REPLY
            ;;
          *'<source '*)
            { xml_attribute "$line" file || xml_attribute "$line" dev || xml_attribute "$line" name; } && D[$i.path]=$REPLY
            xml_attribute "$line" index && D[$i.node]=libvirt-$REPLY-format
            ;;
          *'<target '*) xml_attribute "$line" dev && D[$i.target]=$REPLY ;;
        esac
        ;;
    esac
  done
  xml_escape "$OPT_VM"
  # virsh takes ids and uuids for names.
  [[ $name == "$REPLY" ]] || { RUN_ERR="there is no virtual machine named $OPT_VM" && return 1; }
}

# look_at_live_disks: the domain as libvirt sees it now, and each active layer as QEMU sees it.
look_at_live_disks() {
  local i
  virsh_q dumpxml "$OPT_VM" || return 1
  read_domain_xml "$RUN_OUT" || return 1
  look_at_nodes || return 1
  look_at_written
  for ((i = 0; i < DISKS; i++)); do look_at_inode "$i"; done
}

look_at_inode() {
  [[ ${D[$1.type]} != file ]] || { run "$NAS_SECONDS" stat -L -c %i -- "${D[$1.path]}" && D[$1.inode]=$RUN_OUT; } || :
}

# look_at_nodes: format, sizes and bitmaps of each disk's active layer. What the devices hold is asked for, not the list of all nodes:
# that ends a QEMU which is making an image at that moment (see make_images), for whomever it makes it.
look_at_nodes() {
  local i n count found=0
  qmp '{"execute":"query-block"}' || return 1
  json_get QMP 'return#' && count=$REPLY
  for ((n = 0; n < count; n++)); do
    json_get QMP "return.$n.inserted.node-name" || continue
    # A newer libvirt gives a raw disk one node only.
    [[ $REPLY != *-storage ]] || REPLY=${REPLY%storage}format
    look_at_disk_of "return.$n.inserted"
  done
  ((found < DISKS)) || return 0
  # A job stands between a device and its disk: then it has all its images.
  qmp '{"execute":"query-named-block-nodes","arguments":{"flat":true}}' || return 1
  json_get QMP 'return#' && count=$REPLY
  for ((n = 0; n < count; n++)); do
    ! json_get QMP "return.$n.node-name" || look_at_disk_of "return.$n"
  done
}

# look_at_disk_of AT: the disk, if any, whose node REPLY names.
look_at_disk_of() {
  for ((i = 0; i < DISKS; i++)); do
    [[ $REPLY == "${D[$i.node]}" ]] || continue
    look_at_node "$i" "$1"
    found=$((found + 1))
    return 0
  done
}

look_at_node() {
  local i=$1 at=$2 n count=0 name field
  json_get QMP "$at.drv" && D[$i.format]=$REPLY
  json_get QMP "$at.image.virtual-size" && D[$i.virtual]=$REPLY
  json_get QMP "$at.image.cluster-size" && D[$i.cluster]=$REPLY
  json_get QMP "$at.image.actual-size" && D[$i.actual]=$REPLY
  json_get QMP "$at.image.format-specific.data.compat" && D[$i.compat]=$REPLY
  D[$i.bitmaps]=''
  json_get QMP "$at.dirty-bitmaps#" && count=$REPLY
  for ((n = 0; n < count; n++)); do
    # Nameless bitmaps belong to running jobs.
    json_get QMP "$at.dirty-bitmaps.$n.name" && [[ $REPLY == +([[:graph:]]) ]] || continue
    name=$REPLY
    D[$i.bitmaps]+="$name "
    for field in recording persistent busy granularity count; do
      json_get QMP "$at.dirty-bitmaps.$n.$field" || :
      B[$i.$name.$field]=$REPLY
    done
    json_get QMP "$at.dirty-bitmaps.$n.inconsistent" || REPLY=false
    B[$i.$name.inconsistent]=$REPLY B[$i.$name.flags]=''
  done
}

# look_at_written: bytes that the guest wrote since QEMU started, a witness independent of any bitmap.
look_at_written() {
  local i line
  for ((i = 0; i < DISKS; i++)); do
    virsh_q domblkstat "$OPT_VM" "${D[$i.target]}" || continue
    lines "$RUN_OUT"
    for line in "${LINES[@]}"; do
      [[ $line != *' wr_bytes '* ]] || { line=${line##* wr_bytes } && D[$i.written]=${line// /}; }
    done
  done
}

# look_at_stopped_disks [-U]: from -d, else from --disks, else from the definition of a persistent machine.
look_at_stopped_disks() {
  local i path
  local -A defined=()
  split_list "$OPT_DISK_PATHS"
  if ((${#LIST[@]})); then
    # Where there is a definition, it knows what they are.
    if [[ $VM_STATE == 'shut off' ]] && virsh_q dumpxml "$OPT_VM" --inactive && read_domain_xml "$RUN_OUT"; then
      for ((i = 0; i < DISKS; i++)); do [[ ! ${D[$i.path]} ]] || defined[${D[$i.path]}]=${D[$i.format]}; done
    fi
    DISKS=0 D=() B=()
    for path in "${LIST[@]}"; do
      i=$DISKS && disk_new
      D[$i.path]=$path D[$i.target]=disk$i D[$i.format]=${defined[$path]-}
    done
  elif [[ $OPT_DISKS ]]; then
    DISKS=0 D=() B=()
    for ((i = 0; i < ASKED_DISKS; i++)); do
      disk_new
      D[$i.path]=${ASKED[$i.path]} D[$i.target]=${ASKED[$i.target]}
    done
  elif [[ $VM_STATE == 'shut off' ]]; then
    virsh_q dumpxml "$OPT_VM" --inactive || return 1
    read_domain_xml "$RUN_OUT" || return 1
  fi
  for ((i = 0; i < DISKS; i++)); do
    [[ ! ${ASKED[$i.format]-} ]] || D[$i.format]=${ASKED[$i.format]}
    look_at_image "$i" "${1-}"
    look_at_inode "$i"
  done
}

# look_at_image I [-U]: a stopped disk as its file tells it; D[i.inuse] holds the reason why it cannot be read.
look_at_image() {
  local i=$1 path=${D[$1.path]} n count=0 name
  local -A info
  if [[ $path != /* ]]; then
    D[$i.type]=network
  elif ! run "$NAS_SECONDS" test -e "$path"; then
    D[$i.inuse]="$path: no such file" && return 0
  elif run "$NAS_SECONDS" test -b "$path"; then
    D[$i.type]=block
  else
    D[$i.type]=file
  fi
  [[ ${D[$i.type]} == file || ${D[$i.format]} ]] || D[$i.format]=raw
  [[ ${D[$i.format]} ]] || guess_format "$i" || return 0
  if ! run "$VIRSH_SECONDS" qemu-img info ${2:+"$2"} ${D[$i.format]:+-f "${D[$i.format]}"} --output=json "$path"; then
    D[$i.inuse]=$RUN_ERR && return 0
  fi
  json_read info "$RUN_OUT" || { D[$i.inuse]='qemu-img info answered something that is not JSON' && return 0; }
  json_get info format && D[$i.format]=$REPLY
  json_get info virtual-size && D[$i.virtual]=$REPLY
  json_get info cluster-size && D[$i.cluster]=$REPLY
  json_get info actual-size && D[$i.actual]=$REPLY
  json_get info format-specific.data.compat && D[$i.compat]=$REPLY
  D[$i.bitmaps]=''
  json_get info 'format-specific.data.bitmaps#' && count=$REPLY
  for ((n = 0; n < count; n++)); do
    json_get info "format-specific.data.bitmaps.$n.name" && [[ $REPLY == +([[:graph:]]) ]] || continue
    name=$REPLY
    D[$i.bitmaps]+="$name "
    json_get info "format-specific.data.bitmaps.$n.granularity" || :
    B[$i.$name.granularity]=$REPLY B[$i.$name.persistent]=true B[$i.$name.busy]=false B[$i.$name.count]=''
    B[$i.$name.flags]=' '
    B[$i.$name.flags]+=$(bitmap_flags "$n")' '
    # "in-use" in a stopped image: QEMU died before it could save the bitmap. "auto": it records from the next start on.
    B[$i.$name.inconsistent]=false B[$i.$name.recording]=false
    [[ ${B[$i.$name.flags]} != *' in-use '* ]] || B[$i.$name.inconsistent]=true
    [[ ${B[$i.$name.flags]} != *' auto '* || ${B[$i.$name.inconsistent]} == true ]] || B[$i.$name.recording]=true
  done
}

# guess_format I: of a file of which nobody said what it is, so that its guest may have written what stands at its begin: raw, or a qcow2
# that stands on nothing but files beside it, as volumes do on their templates. False, with the reason in D[i.inuse] and D[i.unsafe], when
# it would have QEMU read other files of this host.
guess_format() {
  local i=$1 at=${D[$1.path]} folder header format='' n
  local -A info
  run "$NAS_SECONDS" realpath -e -- "$at" || { D[$i.inuse]=$RUN_ERR && return 1; }
  folder=${RUN_OUT%/*}
  for ((n = 0; n < 64; n++)); do
    run "$NAS_SECONDS" od -An -v -tx1 -N80 -- "$at" || { D[$i.inuse]=$RUN_ERR && return 1; }
    header=${RUN_OUT//[[:space:]]/}
    if [[ $header != 514649fb* ]]; then
      ((n == 0)) || { unsafe_image "$i" "stands on $at, of which nobody says what it is" || return 1; }
      D[$i.format]=raw && return 0
    fi
    ! keeps_data_elsewhere "$header" || { unsafe_image "$i" 'keeps its data in another file' || return 1; }
    json_string "$at"
    run "$VIRSH_SECONDS" qemu-img info -U --output=json "json:{\"driver\":\"qcow2\",\"backing\":null,\"file\":{\"driver\":\"file\",\"filename\":$REPLY}}" &&
      json_read info "$RUN_OUT" || { D[$i.inuse]=${RUN_ERR:-'qemu-img info answered something that is not JSON'} && return 1; }
    json_get info backing-filename-format && format=$REPLY || format=''
    json_get info backing-filename || { D[$i.format]=qcow2 && return 0; }
    [[ $REPLY == /* ]] && at=$REPLY || at=${at%/*}/$REPLY
    run "$NAS_SECONDS" realpath -e -- "$at" && [[ ${RUN_OUT%/*} == "$folder" ]] || { unsafe_image "$i" "stands on a file outside of its directory: $at" || return 1; }
    case $format in
      raw) D[$i.format]=qcow2 && return 0 ;;
      qcow2 | '') ;;
      *) unsafe_image "$i" "stands on a file of the format $format" || return 1 ;;
    esac
  done
  unsafe_image "$i" 'stands on more files than any volume'
}

# unsafe_image I TEXT: always false.
unsafe_image() {
  D[$1.unsafe]=yes
  D[$1.inuse]="${D[$1.path]} $2. A guest can write that into a raw disk: back the machine up while it runs, or say the format in --disks"
  return 1
}

# keeps_data_elsewhere HEADER: the first 80 bytes of a qcow2, in hexadecimal; version 2 has no features, and bit 2 of those that a reader
# must know is the external data file. To be asked before QEMU opens it: that would open the data file as well.
keeps_data_elsewhere() { [[ ${1:8:8} != 00000002 && ${#1} -ge 160 ]] && ((16#${1:158:2} & 4)); }

bitmap_flags() {
  local f count=0
  json_get info "format-specific.data.bitmaps.$1.flags#" && count=$REPLY
  for ((f = 0; f < count; f++)); do
    json_get info "format-specific.data.bitmaps.$1.flags.$f" && printf '%s ' "$REPLY"
  done
}

# has_bitmap I NAME: it is in the active layer, in whatever state.
has_bitmap() { [[ " ${D[$1.bitmaps]}" == *" $2 "* ]]; }

# bitmap_health I NAME: REPLY is ok, or the reason why no incremental can start from it.
bitmap_health() {
  if ! has_bitmap "$1" "$2"; then REPLY=bitmap-missing
  elif [[ ${B[$1.$2.inconsistent]} == true ]]; then REPLY=bitmap-inconsistent
  elif [[ ${B[$1.$2.recording]} != true || ${B[$1.$2.persistent]} != true ]]; then REPLY=bitmap-not-recording
  else REPLY=ok; fi
}

# storage_verdict: empty when every disk can hold bitmaps, else the reason code.
storage_verdict() {
  local i
  REPLY=''
  for ((i = 0; i < DISKS; i++)); do
    if [[ ${D[$i.type]} != file || ${D[$i.device]:-disk} != disk ]]; then REPLY=storage-unsupported && return 0
    elif [[ ${D[$i.format]} != qcow2 || ${D[$i.compat]} == 0.10 ]]; then REPLY=image-unsupported; fi
  done
}

# volume_name PATH: REPLY is what a disk's backup file is called after, as in CloudStack's layout.
volume_name() {
  local path=${1%%:*}
  [[ $1 != rbd:* ]] || { path=${1#rbd:} && path=${path%%:*}; }
  case $path in
    /dev/drbd/by-res/*) path=${path#/dev/drbd/by-res/} && path=${path%%/*} && path=${path#cs-} ;;
  esac
  REPLY=${path##*/}
}
