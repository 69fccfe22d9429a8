# ---- facts: what was seen and done, for the books -------------------------------------------------

declare -A TIMING=() TIMING_FROM=()
timing_start() { now_ms && TIMING_FROM[$1]=$REPLY; }
timing_stop() { now_ms && TIMING[$1]=$((REPLY - TIMING_FROM[$1])); }

# print_failure: the last words on stdout. CloudStack keeps stdout alone, so the text stands there too.
print_failure() {
  case $OPT_OPERATION in
    backup | delete | stats | '') printf '%s\n' "$ERROR_TEXT" ;;
    *)
      json_object s code "$ERROR_CODE" s message "$ERROR_TEXT"
      json_object n v 1 r error "$REPLY"
      printf '%s\n' "$REPLY"
      ;;
  esac
}
