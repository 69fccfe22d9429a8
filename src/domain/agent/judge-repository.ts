import type { InspectFacts } from './facts';
import { fromProblem, type HostFinding, type Looked, ok, unanswered } from './host-finding';
import type { MountAdvice } from './judge-mount-options';
import { quote } from './quote';
import type { CheckFacts, TriedRepository } from './read-check';

/** A repository, what there is to say of its mount options, and what a host saw of it. */
export interface LookedRepository {
  readonly name: string;
  readonly type: string;
  readonly address: string;
  readonly advice: readonly MountAdvice[];
  readonly look: Looked<CheckFacts>;
}

const GIB = 1024 ** 3;
const SPACE_LEFT = 0.05;
/** An image of a disk may get as large as the disk, and a little more. */
const SMALL_FILE = 2048 * GIB;
const TINY_FILE = 16 * GIB;
const SLOW_MEDIAN_US = 100_000;
const SLOW_WORST_US = 2_000_000;

/**
 * Judges a repository by what a host saw of it: what is good, what is not, why it matters and what mends it.
 * @param said what is known of the host already, and is not the repository's fault
 */
export function judgeRepository(repository: LookedRepository, host: string, said: InspectFacts['problems']): HostFinding[] {
  const { name, look, advice } = repository;
  const options = advice.map(({ option, severity, why }): HostFinding => {
    const command = severity === 'ok' ? null : `chainkeeper repo change ${quote(name)} --mount-options-file FILE`;
    return { code: 'mount-option', severity, subject: name, what: `mount option ${option}`, why, command };
  });
  if (!('facts' in look)) return [unanswered(name, look.failed), ...options];
  const { space, repository: tried, problems } = look.facts;
  return [
    ...problems
      .filter(({ code }) => !said.some((other) => other.code === code))
      .map((problem) => fromProblem(name, problem))
      .map((finding) => ({ ...finding, command: mends(finding.code, repository, host) ?? finding.command })),
    ...judgeSpace(name, space),
    ...(tried === null ? [] : [...judgeTried(name, tried), ...judgeFiles(name, tried), ...judgeLatency(name, tried)]),
    ...options,
  ];
}

function mends(code: string, { type, address }: LookedRepository, host: string): string | null {
  if (code === 'left-behind' || code === 'nas-hung') return `chainkeeper host sweep ${quote(host)}`;
  if (type !== 'dir') return null;
  if (code === 'nas-not-reachable') return `chmod o+x ${quote(address)}`;
  if (code === 'nas-read-only') return `mount -o remount,rw "$(findmnt -n -o TARGET -T ${quote(address)})"`;
  return null;
}

function judgeSpace(name: string, space: CheckFacts['space']): HostFinding[] {
  if (space === null) return [];
  const what = `${space.free} of ${space.total} bytes are free`;
  if (space.free >= space.total * SPACE_LEFT) return [ok('space', name, what)];
  return [{ code: 'nas-nearly-full', severity: 'warning', subject: name, what, why: 'A backup that finds no room fails, and a push pauses its guest.', command: null }]; // prettier-ignore
}

/** What went wrong is among the problems. */
function judgeTried(name: string, { type, data, direct, rename, sync, directories, gone }: TriedRepository): HostFinding[] {
  return [
    ...(data === true
      ? [ok('read-back', name, `1 MiB came back as it was written${direct === true ? ', past the host’s cache' : ' (the host’s cache may have answered)'}; file system ${type ?? 'unknown'}`)] // prettier-ignore
      : []),
    ...(rename === true && sync === true && directories === true ? [ok('names', name, 'it renames, keeps (fsync), makes and removes')] : []),
    ...(gone === true ? [ok('gone', name, 'what was written is gone again')] : []),
  ]; // prettier-ignore
}

function judgeFiles(name: string, { sparse, largestFile }: TriedRepository): HostFinding[] {
  if (sparse === false)
    return [{ code: 'nas-not-sparse', severity: 'warning', subject: name, what: 'a file with a hole takes the room of a whole one', why: 'Each full then takes as much as the disk has room for, whatever it holds, and each backup is judged by a size that says nothing.', command: null }]; // prettier-ignore
  if (sparse === null) return [];
  if (largestFile === null) return [ok('files', name, 'holes take no room; how long a file may get was not tried')];
  const what = `a file may have ${largestFile / GIB} GiB`;
  if (largestFile >= SMALL_FILE) return [ok('files', name, `holes take no room; ${what} at least`)];
  return [{ code: 'nas-small-files', severity: largestFile < TINY_FILE ? 'error' : 'warning', subject: name, what: `${what} and not much more`, why: 'A backup of a larger disk fails when its file gets there.', command: null }]; // prettier-ignore
}

const ms = (us: number): string => `${us < 10_000 ? (us / 1000).toFixed(1) : Math.round(us / 1000)} ms`;

function judgeLatency(name: string, { writes, medianUs, worstUs }: TriedRepository): HostFinding[] {
  if (writes === null || medianUs === null || worstUs === null) return [];
  const what = `4 KiB are kept in ${ms(medianUs)}, at worst in ${ms(worstUs)} (${writes} writes)`;
  if (medianUs < SLOW_MEDIAN_US && worstUs < SLOW_WORST_US) return [ok('latency', name, what)];
  return [{ code: 'nas-slow', severity: 'warning', subject: name, what, why: 'With a push the guest waits as long for its own writes; a pull keeps it apart from the NAS.', command: `chainkeeper repo change ${quote(name)} --transfer pull` }]; // prettier-ignore
}
