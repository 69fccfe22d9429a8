# ---- what is printed: CloudStack's dialects, and the facts ------------------------------------------

print_backup() {
  local i
  [[ $OPT_DIALECT != seed || ! $RECREATE_METHOD ]] || printf 'BITMAP_RECREATED=%s\n' "$OPT_BITMAP_PARENT"
  [[ $OPT_MODE != incremental || $DONE_MODE == incremental ]] || printf 'INCREMENTAL_FALLBACK=true\n'
  if [[ $TRANSFER == offline ]]; then
    print_facts
    for ((i = 0; i < DISKS; i++)); do printf '%s\n' "${D[$i.size]}"; done
  else
    printf '%s\n\n' "$JOB_BLOCK"
    print_facts
    printf '%s\n' "$BACKUP_SIZE"
  fi
  [[ $OPT_DIALECT != seed || ! $DONE_BITMAP ]] || printf 'BITMAP_CREATED=%s\n' "$DONE_BITMAP"
}

print_facts() {
  [[ ! $OPT_FACTS ]] || { json_facts && printf 'FACTS=%s\n' "$REPLY"; }
}

# print_failure: the last words on stdout. CloudStack keeps stdout alone, so the text stands there too.
print_failure() {
  case $OPT_OPERATION in
    backup | delete | stats | '')
      printf '%s\n' "$ERROR_TEXT"
      [[ $OPT_OPERATION != backup ]] || print_facts
      ;;
    restore)
      printf '%s\n' "$ERROR_TEXT"
      print_restore
      ;;
    *)
      json_object s code "$ERROR_CODE" s message "$ERROR_TEXT"
      json_object n v 1 r error "$REPLY"
      printf '%s\n' "$REPLY"
      ;;
  esac
}
