# ---- dispatch -------------------------------------------------------------------------------------

main() {
  arm_traps
  timing_start total
  parse_options "$@"
  read_host_conf
  OPT_DIALECT=${OPT_DIALECT:-$DEFAULT_DIALECT}
  job_join
  case $OPT_OPERATION in
    backup | delete | stats | inspect | check | start | status | abort | restore | retire | release | sweep | describe | checksum | take | keep) "operation_$OPT_OPERATION" ;;
    '') usage && DONE=yes && exit "$EXIT_FAILED" ;;
    *) bad_option "Unknown operation: $OPT_OPERATION" ;;
  esac
}

main "$@"
