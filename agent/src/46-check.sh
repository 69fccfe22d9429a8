# ---- check: is this host ready? One line of JSON; with -t -s -m also about that repository -------------

operation_check() {
  local host space sessions='' problems repository text
  NAS_SECONDS=$CHECK_SECONDS
  work_open
  look_at_host || die "libvirt does not answer: $RUN_ERR" libvirt-unreachable
  look_at_versions
  # sshd's own view; what it does not tell stays unknown.
  ! run 10 sshd -T || [[ ! $RUN_OUT =~ (^|$'\n')maxsessions\ ([0-9]+) ]] || sessions=${BASH_REMATCH[2]}
  look_at_preflight
  look_at_apparmor
  [[ ! $MNT ]] || check_repository
  commit
  unwind good
  for text in "${LEFT[@]}"; do problem left-behind "Left behind: $text"; done
  json_host && host=$REPLY
  json_space && space=$REPLY
  json_tried && repository=$REPLY
  json_array "${PROBLEMS[@]}" && problems=$REPLY
  rfc3339_now
  json_object n v 1 s script "$SCRIPT_VERSION" r host "$host" s time "$REPLY" n maxSessions "$sessions" r space "$space" r repository "$repository" r apparmor "$APPARMOR" r problems "$problems"
  printf '%s\n' "$REPLY"
  DONE=yes
  exit 0
}

# qemu_user: REPLY is the user that libvirt starts QEMU as; its settings say, or the account that the packages make.
qemu_user() {
  local name
  if [[ -r /etc/libvirt/qemu.conf && $(</etc/libvirt/qemu.conf) =~ (^|$'\n')[[:blank:]]*user[[:blank:]]*=[[:blank:]]*\"\+?([A-Za-z0-9_.-]+)\" ]]; then
    REPLY=${BASH_REMATCH[2]}
    return 0
  fi
  for name in libvirt-qemu qemu; do id -u -- "$name" >/dev/null 2>&1 && REPLY=$name && return 0; done
  return 1
}

APPARMOR_KERNEL=/sys/kernel/security/apparmor APPARMOR_RULES=/etc/apparmor.d

# look_at_apparmor: whether it confines machines here, which do run confined, what QEMU has to be let write, and the rules as they
# lie there. Whether these suffice is for the reader to judge.
APPARMOR=''
look_at_apparmor() {
  local state=disabled line file profiles writes
  local -a confined=() files=()
  if [[ -d $APPARMOR_KERNEL/policy ]]; then
    # libvirt may have been told to leave its machines alone.
    state=unused
    ! virsh_q capabilities || [[ $RUN_OUT != *'<model>apparmor</model>'* ]] || state=confining
    while read -r line; do [[ $line != libvirt-* ]] || confined+=("$line"); done <"$APPARMOR_KERNEL/profiles"
    for file in "$APPARMOR_RULES"/abstractions/libvirt-qemu{,.d/*} "$APPARMOR_RULES"/{local/abstractions/libvirt-qemu,libvirt/TEMPLATE.qemu}; do
      [[ ! -f $file ]] || { json_object s path "${file#"$APPARMOR_RULES"/}" S text "$(<"$file")" && files+=("$REPLY"); }
    done
  fi
  json_strings "${confined[@]}" && profiles=$REPLY
  json_strings /tmp/csbackup.XXXXX "$SCRATCH_DIR" && writes=$REPLY
  json_array "${files[@]}"
  json_object s state "$state" r profiles "$profiles" r writes "$writes" r files "$REPLY" && APPARMOR=$REPLY
}
