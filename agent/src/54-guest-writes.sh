# ---- what the writes of the guest took ---------------------------------------------------------------
#
# QEMU counts them in a histogram when it is asked to, in memory only: the guest does not notice. One that somebody else
# has asked for is left alone, and then nothing is known.

SLOWEST_MS=''    # a write took at least this; empty: none was seen to end
COUNTED=()       # QEMU's paths of the disks that are counted for us
readonly WRITE_MS_BOUNDS='1 2 5 10 20 50 100 200 500 1000 2000 5000 10000 20000 60000'
readonly WRITE_NS_BOUNDS=${WRITE_MS_BOUNDS// /000000,}000000

# count_writes: from here on, for the disks of this run.
count_writes() {
  local path
  write_counts || return 0
  for path in "${!HISTOGRAMS[@]}"; do
    # Ours may be there from a run that was killed; asked for again it begins anew.
    [[ ${HISTOGRAMS[$path]} == @(|"$WRITE_NS_BOUNDS:"*) ]] || continue
    qmp "{\"execute\":\"block-latency-histogram-set\",\"arguments\":{\"id\":\"$path\",\"boundaries-write\":[$WRITE_NS_BOUNDS]}}" || continue
    COUNTED+=("$path")
  done
  always_push read_writes
}

# read_writes: SLOWEST_MS is where the highest class begins that holds a write; then QEMU counts no longer.
read_writes() {
  local path n counted
  local VIRSH_SECONDS=2
  local -a bins bounds
  # A QEMU that stands in a NAS would only be waited for.
  ((${#COUNTED[@]})) && [[ ! $JOB_STUCK && $ERROR_CODE != guest-gone ]] && write_counts || return 0
  read -ra bounds <<<"0 $WRITE_MS_BOUNDS"
  for path in "${COUNTED[@]}"; do
    # Another node may be the disk's uppermost by now: a job that goes on, another tool's snapshot.
    counted=${HISTOGRAMS[$path]-}
    IFS=, read -ra bins <<<"${counted#*:}"
    for ((n = 0; n < ${#bins[@]}; n++)); do
      ((bins[n] == 0 || bounds[n] < ${SLOWEST_MS:-0})) || SLOWEST_MS=${bounds[n]}
    done
    qmp "{\"execute\":\"block-latency-histogram-set\",\"arguments\":{\"id\":\"$path\"}}" || :
  done
  COUNTED=()
}

# write_counts: HISTOGRAMS[path of the disk in QEMU] is BOUNDS:BINS, each a comma list in ns, or empty where nothing is counted.
declare -A HISTOGRAMS=()
write_counts() {
  local i n count path of
  HISTOGRAMS=()
  qmp '{"execute":"query-blockstats"}' && json_get QMP 'return#' && count=$REPLY || return 1
  for ((n = 0; n < count; n++)); do
    json_get QMP "return.$n.node-name" || continue
    for ((i = 0; i < DISKS; i++)); do [[ $REPLY != "${D[$i.node]}" ]] || break; done
    ((i < DISKS)) && json_get QMP "return.$n.qdev" || continue
    path=$REPLY
    [[ $path =~ ^[][A-Za-z0-9_./-]+$ ]] || continue
    HISTOGRAMS[$path]=''
    for of in rd wr; do
      ! json_get QMP "return.$n.stats.${of}_latency_histogram.bins#" || HISTOGRAMS[$path]=other
    done
    json_get QMP "return.$n.stats.wr_latency_histogram.boundaries#" || continue
    number_list "return.$n.stats.wr_latency_histogram.boundaries" "$REPLY" && HISTOGRAMS[$path]=$REPLY
    json_get QMP "return.$n.stats.wr_latency_histogram.bins#"
    number_list "return.$n.stats.wr_latency_histogram.bins" "$REPLY" && HISTOGRAMS[$path]+=:$REPLY
  done
}

# number_list AT COUNT: REPLY is that array of QMP as a comma list.
number_list() {
  local i list=''
  for ((i = 0; i < $2; i++)); do json_get QMP "$1.$i" && list+=,$REPLY; done
  REPLY=${list#,}
}
