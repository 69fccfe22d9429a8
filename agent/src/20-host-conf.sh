# ---- host.conf: what the host's owner has decided -----------------------------------------------
#
# Beside the script when there is one, else in /etc/chainkeeper. KEY=VALUE lines, never executed; only root may be able to write it.

SCRIPT_FILE=$(realpath -- "${BASH_SOURCE[0]}")
STATE_DIR=/var/lib/chainkeeper
DEFAULT_DIALECT=final
# What must stay free on the NAS for as long as a job runs. A push job copies old data before each guest
# write, so a full NAS fails the guest's own writes: 512 MiB is three seconds of a busy guest (150 MiB/s)
# on a target that is looked at every fifth of a second, with room for metadata and for other writers.
RESERVE_BYTES=$((512 * 1024 * 1024))
TIME_LIMIT=86400 # seconds after which a job that still runs is given up
STOCK_SCRIPT='' STOCK_DIALECT=''
SCRATCH_DIR=/var/lib/chainkeeper-scratch # what guests overwrite during a pull; on this host's own disk

read_host_conf() {
  local file line key value number=0
  for file in "${SCRIPT_FILE%/*}/host.conf" /etc/chainkeeper/host.conf; do
    [[ -e $file ]] && break
  done
  [[ -e $file ]] || return 0
  trusted_file "$file" || die "$file must belong to root and be writable by root alone" host-conf
  while IFS= read -r line || [[ $line ]]; do
    number=$((number + 1))
    [[ $line != @(|\#*) ]] || continue
    key=${line%%=*} value=${line#*=}
    [[ $line =~ ^([a-z_]+)=([^[:cntrl:]]*)$ ]] || die "$file line $number is not KEY=VALUE" host-conf
    case $key in
      state_dir) [[ $value == /* ]] && STATE_DIR=$value ;;
      dialect) [[ $value == @(seed|final) ]] && DEFAULT_DIALECT=$value ;;
      reserve_bytes) [[ $value =~ ^[0-9]{1,15}$ ]] && RESERVE_BYTES=$value ;;
      time_limit) [[ $value =~ ^[1-9][0-9]{0,6}$ ]] && TIME_LIMIT=$value ;;
      stock_script) [[ $value == /* ]] && STOCK_SCRIPT=$value ;;
      stock_dialect) [[ $value == @(legacy|seed|mid|final) ]] && STOCK_DIALECT=$value ;;
      scratch_dir) [[ $value == /* ]] && SCRATCH_DIR=$value ;;
      *) warn "$file line $number: unknown key $key" ;;
    esac || die "$file line $number: not a valid value of $key" host-conf
  done <"$file"
}

# trusted_file FILE: root's own, and nobody else can write it.
trusted_file() {
  local stat
  stat=$(stat -L -c '%u %a' -- "$1") || return 1
  [[ ${stat% *} == 0 ]] && (((8#${stat#* } & 8#022) == 0))
}
