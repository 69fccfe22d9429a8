import { checkName } from '../domain/agent/names';
import type { HostAccess, StockScript } from './host-access';
import type { StartRequest, StatusRequest } from './host-client';

/**
 * A stock script knows no jobs, and nothing of ours need be installed beside it. So a plain shell keeps one: a folder in the home of
 * the SSH user with what the script prints and how it ended. Whoever holds its lock is the job; a lock cannot outlive its process.
 * It is made whole under another name and then renamed: the folder that is there already wins, and nothing runs twice. The script gets the login's own umask: QEMU has to pass through what it makes.
 */
export const START_PROGRAM = `set -eu
job=$1
shift
jobs=$HOME/.chainkeeper/jobs
mkdir -p -- "$jobs"
chmod 700 -- "$HOME/.chainkeeper"
if [ ! -e "$jobs/$job" ]; then
  find "$jobs" -mindepth 1 -maxdepth 1 -mtime +30 -exec rm -rf -- {} +
  new=$jobs/.$job.$$
  mkdir -- "$new"
  : >"$new/stdout"
  : >"$new/stderr"
  exec 9>"$new/lock"
  flock -n 9
  if mv -T -- "$new" "$jobs/$job" 2>/dev/null; then
    setsid sh -c 'folder=$1
shift
code=0
"$@" </dev/null >"$folder/stdout" 2>"$folder/stderr" || code=$?
echo "$code" >"$folder/exit.new"
mv -- "$folder/exit.new" "$folder/exit"' chainkeeper-job "$jobs/$job" "$@" </dev/null >/dev/null 2>&1 &
  else
    rm -rf -- "$new"
  fi
  exec 9>&-
fi
[ -d "$jobs/$job" ]`;

/** What became of a job, as our own script would say it, with what it has printed from the two offsets on. */
export const STATUS_PROGRAM = `set -eu
job=$1
folder=$HOME/.chainkeeper/jobs/$job
alive() { ! flock -n -s "$folder/lock" true; }
state=absent
exit=null
if [ -s "$folder/exit" ]; then state=done
elif [ -e "$folder/lock" ]; then
  if alive; then state=running
  elif [ -s "$folder/exit" ]; then state=done
  else state=unknown
  fi
fi
[ "$state" != done ] || exit=$(cat -- "$folder/exit")
chunk() {
  size=0 data='' next=$2
  if [ -e "$folder/$1" ]; then
    size=$(stat -c %s -- "$folder/$1")
    [ "$next" -le "$size" ] || next=$size
    # No more than that: what is printed meanwhile would come twice.
    more=$((size - next > 65536 ? 65536 : size - next))
    data=$(tail -c "+$((next + 1))" -- "$folder/$1" | head -c "$more" | base64 -w 0)
    next=$((next + more))
  fi
  printf ',"%s":"%s","%sNext":%s,"%sSize":%s' "$1" "$data" "$1" "$next" "$1" "$size"
}
printf '{"v":1,"job":"%s","state":"%s","exit":%s,"encoding":"base64"' "$job" "$state" "$exit"
chunk stdout "$2"
chunk stderr "$3"
printf '}\\n'`;

const shell = (program: string, ...args: string[]): string[] => ['sh', '-c', program, 'chainkeeper', ...args];

/** What runs a stock script with these arguments: anyone but root goes through sudo. */
export const stockCommand = ({ user }: HostAccess, { path }: StockScript, argv: readonly string[]): string[] => [
  ...(user === 'root' ? [] : ['sudo', '-n', '--']),
  path,
  ...argv,
];

/** Starts a stock script as a job; a second start of the same id starts nothing. */
export const startStock = (host: HostAccess, stock: StockScript, { jobId, argv }: StartRequest): string[] =>
  shell(START_PROGRAM, checkName('job', jobId), ...stockCommand(host, stock, argv));

/** Asks for the state and the output of such a job; the answer has the form of our script's. */
export const statusOfStock = ({ jobId, stdoutFrom = 0, stderrFrom = 0 }: StatusRequest): string[] =>
  shell(STATUS_PROGRAM, checkName('job', jobId), String(stdoutFrom), String(stderrFrom));
