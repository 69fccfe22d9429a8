import type { Assurance } from '../chain/assurance';

/** What the books know of a VM, as far as its protection goes. */
export interface CoverageBooks {
  readonly vm: string;
  /** Its offering, and the repository behind that, if it is there; null: it has none. */
  readonly offering: { readonly name: string; readonly repository: Place | null } | null;
  /** `status`: in CloudStack's words, who writes it. */
  readonly host: (Place & { readonly status: string }) | null;
  /** Of its run whose host keeps silent; null: there is none. */
  readonly silence: { readonly runId: string; readonly errorCode: string } | null;
  readonly schedules: readonly PromisedBackup[];
  readonly disks: readonly { readonly target: string; readonly format: string | null }[];
  /** The newest restore point that can be restored; null: there is none. */
  readonly newest: {
    readonly id: string;
    readonly date: Date;
    readonly assurance: Assurance;
    /** Targets of its disks; null: its script did not tell. */
    readonly disks: readonly string[] | null;
  } | null;
  /** Its backup runs that have ended, newest first. */
  readonly runs: readonly { readonly state: string; readonly errorCode: string | null; readonly ended: Date }[];
}

/** Where a backup is taken or written to. */
interface Place {
  readonly name: string;
  readonly maintenance: boolean;
}

/** What a schedule has promised by now. */
export interface PromisedBackup {
  readonly id: string;
  readonly paused: boolean;
  /** What stands in CloudStack's table can be read. */
  readonly readable: boolean;
  /** The last of its moments whose backup should have been taken by now, grace and jitter allowed for; null: none yet. */
  readonly promised: Date | null;
}

/** CloudStack's states of a host that does not answer. */
export const DOWN_STATES: readonly string[] = ['Down', 'Disconnected', 'Alert', 'Error'];

/** Something that stands between a VM or a disk and its protection. */
export interface CoverageProblem {
  /** Stable. */
  readonly code: string;
  readonly sentence: string;
  /** What to do. */
  readonly next: string;
  readonly since: Date | null;
}

/** How well a VM is protected. */
export interface Coverage {
  /** `protected`: as its schedules promise; `late`: less than that; `unprotected`: nothing of it, or of one of its disks, can be restored. */
  readonly state: 'protected' | 'late' | 'unprotected';
  readonly problems: readonly CoverageProblem[];
  readonly disks: readonly {
    readonly target: string;
    readonly protected: boolean;
    readonly problem: CoverageProblem | null;
  }[];
}

/** Whether a VM and each of its disks is protected, and why not. */
export function judgeCoverage(books: CoverageBooks): Coverage {
  const disks = books.disks.map((disk) => {
    const problem = problemOfDisk(disk, books);
    return { target: disk.target, protected: problem === null, problem };
  });
  const { problems, late } = problemsOfVm(books);
  const bare = books.newest === null || disks.some((disk) => !disk.protected);
  return { state: bare ? 'unprotected' : late ? 'late' : 'protected', problems, disks };
}

function problemsOfVm(books: CoverageBooks): { problems: CoverageProblem[]; late: boolean } {
  const { vm, offering, host, silence, schedules, newest, disks } = books;
  const problems: CoverageProblem[] = [];
  const add = (code: string, sentence: string, next: string, since: Date | null = null): unknown =>
    problems.push({ code, sentence, next, since });
  const late = lateOf(books);
  if (offering === null)
    add('no-offering', `VM ${vm} has no offering: nobody said where its backups go.`, `chainkeeper vm assign ${vm} OFFERING`);
  else if (offering.repository === null)
    add(
      'no-repository',
      `The repository of offering ${offering.name} is gone.`,
      `chainkeeper offering change ${offering.name} --repository REPOSITORY`,
    );
  else if (offering.repository.maintenance)
    add(
      'repository-maintenance',
      `Repository ${offering.repository.name} is in maintenance: no new run starts there.`,
      `End it: chainkeeper repo maintenance end ${offering.repository.name}`,
    );
  if (schedules.length === 0)
    add(
      'no-schedule',
      `No schedule holds for VM ${vm}: its backups are taken when somebody asks.`,
      `chainkeeper schedule add --vm ${vm} --every daily --at MM:HH`,
    );
  else if (schedules.every(({ paused }) => paused))
    add('paused', `All schedules of VM ${vm} are paused.`, `chainkeeper schedule resume ${schedules[0]?.id ?? 'SCHEDULE'}`);
  const unreadable = schedules.find(({ paused, readable }) => !paused && !readable);
  if (unreadable !== undefined)
    add(
      'schedule-unreadable',
      `Schedule ${unreadable.id} of VM ${vm} cannot be read: nothing comes of it, and nobody knows what it promises.`,
      'Its page says why (GET /schedules/{id}): mend it where it was written.',
    );
  if (host === null)
    add('no-host', `The books do not say which host VM ${vm} is on.`, 'Tell them: PATCH /vms/{id} with its host.');
  else if (host.maintenance)
    add(
      'host-maintenance',
      `Host ${host.name} is in maintenance: no new run starts there.`,
      'Move the VM, or end the maintenance.',
    );
  if (host !== null && (silence !== null || DOWN_STATES.includes(host.status)))
    add(
      'host-down',
      silence === null
        ? `Host ${host.name} is ${host.status}, says CloudStack.`
        : `Host ${host.name} does not answer: run ${silence.runId} of VM ${vm} is unknown (${silence.errorCode}).`,
      `Look at the host and the network: chainkeeper host check ${host.name}`,
    );
  if (disks.length === 0)
    add('no-disks', `The books know no disk of VM ${vm}.`, 'Back it up while it runs: its disks are noted then.');
  const failing = failingOf(books);
  if (failing !== null) problems.push(failing);
  if (newest === null) add('no-restore-point', `Nothing of VM ${vm} can be restored.`, `chainkeeper backup ${vm}`);
  else {
    if (late !== null)
      add(
        'late',
        `The newest restore point is of ${iso(newest.date)}, and one was promised for ${iso(late)}.`,
        `chainkeeper events --vm ${vm}`,
        late,
      );
    if (newest.assurance === 'unproven' || newest.assurance === 'broken')
      add(newest.assurance, `The newest restore point is ${newest.assurance}.`, `chainkeeper explain ${newest.id}`, newest.date);
  }
  return { problems, late: late !== null };
}

/** The oldest promise that was not kept; null: all were. */
function lateOf({ schedules, newest }: CoverageBooks): Date | null {
  const broken = schedules.flatMap(({ paused, promised }) =>
    paused || promised === null || (newest !== null && newest.date >= promised) ? [] : promised.getTime(),
  );
  return broken.length === 0 ? null : new Date(Math.min(...broken));
}

function failingOf({ vm, runs }: CoverageBooks): CoverageProblem | null {
  const good = runs.findIndex(({ state }) => state === 'succeeded');
  const failed = (good === -1 ? runs : runs.slice(0, good)).filter(({ state }) => state === 'failed');
  const first = failed.at(-1);
  if (first === undefined) return null;
  const times = failed.length === 1 ? 'The last backup' : `The last ${failed.length} backups`;
  return {
    code: 'failing',
    sentence: `${times} of VM ${vm} failed, since ${iso(first.ended)}: ${failed[0]?.errorCode ?? 'unknown'}.`,
    next: `chainkeeper run list --vm ${vm}`,
    since: first.ended,
  };
}

function problemOfDisk(
  { target, format }: CoverageBooks['disks'][number],
  { vm, newest }: CoverageBooks,
): CoverageProblem | null {
  if (newest === null)
    return {
      code: 'no-restore-point',
      sentence: `Nothing of disk ${target} can be restored.`,
      next: `chainkeeper backup ${vm}`,
      since: null,
    };
  // A stock script tells nothing of its disks; it takes all that there are.
  if (newest.disks === null || newest.disks.includes(target)) return null;
  const raw = format !== null && format !== 'qcow2' ? ` It is ${format}.` : '';
  return {
    code: raw === '' ? 'not-in-backup' : 'unsupported-format',
    sentence: `Disk ${target} is not in the newest restore point.${raw}`,
    next: `chainkeeper backup ${vm}`,
    since: newest.date,
  };
}

const iso = (date: Date): string => `${date.toISOString().slice(0, 19)}Z`;
