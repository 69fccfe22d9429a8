import type { BackupMode, DiskFacts, Facts, InspectFacts } from '../agent/facts';
import type { Assurance } from './assurance';
import type { BackupPlan, PlannedDisk } from './backup-plan';
import { bitmapOn, illnessOf } from './check-bitmaps';
import type { Answer, Looks, Recreation } from './settlement';

/** QEMU copies in units of at least this many bytes, however fine the bitmap is. */
const COPY_UNIT = 65_536;

/** What the facts of a run support, with what keeps them from supporting more. */
export interface Verdict {
  readonly assurance: Extract<Assurance, 'broken' | 'unproven' | 'accounted'>;
  readonly findings: readonly string[];
}

type Doubt = { readonly worth: 'broken' | 'unproven'; readonly why: string };

/**
 * The assurance of a backup at its birth. A full is accounted for when exit, sizes and check agree on every disk; an
 * incremental when the lineage of plan and run agree **and** the bytes do: a blank bitmap agrees with itself.
 */
export function assureRun(
  plan: BackupPlan,
  made: BackupMode,
  answer: Answer,
  facts: Facts | null,
  recreation: Recreation | null,
  looks: Looks,
): Verdict {
  const doubts = facts === null ? [unproven('the host script reported no facts')] : doubtsOf(plan, made, answer, facts);
  if (made === 'incremental' && recreation?.method === 'unknown') {
    doubts.push(
      unproven(`bitmap ${recreation.bitmap} was recreated, and the host did not say how: an empty one would leave a hole`),
      ...doubtRecreation(plan, recreation.bitmap, looks),
    );
  }
  const worst = doubts.some(({ worth }) => worth === 'broken') ? 'broken' : 'unproven';
  return { assurance: doubts.length === 0 ? 'accounted' : worst, findings: doubts.map(({ why }) => why) };
}

/**
 * Only an empty bitmap can be put where there is none, or one that is not well; and a bitmap that holds less after the run than
 * before it is another one. Either way the delta lacks writes.
 */
function doubtRecreation({ disks }: BackupPlan, bitmap: string, { before, after }: Looks): Doubt[] {
  return disks.flatMap(({ target }) => {
    const on = (facts: InspectFacts | null) => facts?.disks.find((disk) => disk.target === target);
    const [was, is] = [on(before), on(after)];
    const illness = was === undefined ? null : illnessOf(was.bitmaps, bitmap);
    if (illness !== null && illness.reason !== 'bitmap-unconfirmed')
      return [broken(`disk ${target}, looked at before the run: ${illness.detail}; so an empty one took its place`)];
    const [held, holds] = [was, is].map((disk) => (disk && bitmapOn(disk, bitmap)?.dirtyBytes) ?? null);
    return held != null && holds != null && holds < held
      ? [broken(`the bitmap ${bitmap} of disk ${target} fell from ${held} to ${holds} dirty bytes: an empty one took its place`)]
      : [];
  });
}

function doubtsOf(plan: BackupPlan, made: BackupMode, { exitCode }: Answer, facts: Facts): Doubt[] {
  const pairs = plan.disks.flatMap((planned) =>
    facts.disks.filter(({ target }) => target === planned.target).map((ran) => ({ planned, ran })),
  );
  const doubts = exitCode === 0 ? [] : [unproven(`the host script ended with exit code ${exitCode}`)];
  for (const { planned, ran } of pairs) {
    doubts.push(...doubtSize(planned, ran));
    if (made === 'incremental')
      doubts.push(...doubtLineage(planned, ran), ...(ran.method === 'rescued' ? doubtComparison(ran) : doubtBytes(planned, ran)));
  }
  // What a comparison found is not in the job's count.
  if (made === 'incremental' && facts.disks.every(({ method }) => method !== 'rescued')) doubts.push(...doubtJob(facts));
  return doubts;
}

function doubtSize(planned: PlannedDisk, { target, virtualSize }: DiskFacts): Doubt[] {
  return virtualSize !== null && virtualSize === planned.virtualSize
    ? []
    : [unproven(`disk ${target} had ${bytes(planned.virtualSize)} at the inspection and ${bytes(virtualSize)} in the run`)];
}

/** Had the inspection seen another file or size, the plan would have been a full: the delta may be of another disk. */
function doubtLineage(planned: PlannedDisk, { target, path, inode, virtualSize }: DiskFacts): Doubt[] {
  const pairs = [
    [planned.path, path],
    [planned.inode, inode],
    [planned.virtualSize, virtualSize],
  ];
  if (pairs.some(([before, now]) => before !== null && now !== null && before !== now)) {
    return [broken(`disk ${target} was another one in the run than at the inspection`)];
  }
  return path !== null && inode !== null
    ? []
    : [unproven(`disk ${target} is not known to be the same file at the inspection and in the run`)];
}

/** What a comparison has not read may differ. */
function doubtComparison({ target, compared, virtualSize }: DiskFacts): Doubt[] {
  return compared !== null && compared === virtualSize
    ? []
    : [unproven(`of disk ${target} ${bytes(compared)} were compared with the chain, and it has ${bytes(virtualSize)}`)];
}

/** The bitmap must be the one that was inspected, and the delta must hold all that it called dirty. */
function doubtBytes({ mode, bitmap }: PlannedDisk, ran: DiskFacts): Doubt[] {
  const { target, dirtyBefore, parentBitmap, virtualSize } = ran;
  if (mode === 'rescued') return [broken(`disk ${target} went by a bitmap that was lost at the inspection`)];
  const own = ownBytes(ran);
  if (
    parentBitmap === null ||
    dirtyBefore === null ||
    own === null ||
    parentBitmap.granularity === null ||
    virtualSize === null
  ) {
    return [unproven(`the bitmap and the delta of disk ${target} were not measured`)];
  }
  const doubts: Doubt[] = [];
  const { recording, inconsistent, persistent } = parentBitmap;
  if (recording === false || inconsistent === true || persistent === false) {
    doubts.push(broken(`the parent's bitmap on disk ${target} was not healthy`));
  } else if (recording === null || inconsistent === null || persistent === null) {
    doubts.push(unproven(`the parent's bitmap on disk ${target} is not known to have been healthy`));
  }
  if (bitmap?.granularity != null && bitmap.granularity !== parentBitmap.granularity) {
    doubts.push(
      broken(
        `the parent's bitmap on disk ${target} changed its granularity from ${bitmap.granularity} to ${parentBitmap.granularity} bytes: it is another bitmap`,
      ),
    );
  }
  const dirtyInspected = bitmap?.dirtyBytes ?? 0;
  if (dirtyBefore < dirtyInspected) {
    doubts.push(
      broken(
        `the parent's bitmap on disk ${target} fell from ${dirtyInspected} to ${dirtyBefore} dirty bytes: it is another bitmap`,
      ),
    );
  }
  if (dirtyBefore > own + beyondEnd(virtualSize, parentBitmap.granularity)) {
    doubts.push(broken(`the delta of disk ${target} holds ${own} bytes, and the bitmap called ${dirtyBefore} dirty`));
  }
  return doubts;
}

/** The job counts whole units, the delta ends with the disk: they may differ by what lies beyond the end, and no more. */
function doubtJob({ job, disks }: Facts): Doubt[] {
  const unmeasured = [unproven('the bytes of the job were not measured')];
  let own = 0;
  let beyond = 0;
  for (const disk of disks) {
    const held = ownBytes(disk);
    if (held === null || disk.virtualSize === null) return unmeasured;
    own += held;
    beyond += beyondEnd(disk.virtualSize, Math.max(COPY_UNIT, disk.clusterSize ?? 0));
  }
  // libvirt says nothing of the bytes of a job that had none to copy.
  const processed = job?.processed ?? (job !== null && own === 0 ? 0 : null);
  if (processed === null) return unmeasured;
  return processed >= own && processed <= own + beyond
    ? []
    : [unproven(`the job moved ${processed} bytes, and the deltas hold ${own}`)];
}

function ownBytes({ ownData, ownZero }: DiskFacts): number | null {
  return ownData === null || ownZero === null ? null : ownData + ownZero;
}

/** The part of the last unit that lies beyond the end of the disk, in bytes. */
function beyondEnd(virtualSize: number, unit: number): number {
  return (unit - (virtualSize % unit)) % unit;
}

function bytes(count: number | null): string {
  return count === null ? 'an unknown number of bytes' : `${count} bytes`;
}

function unproven(why: string): Doubt {
  return { worth: 'unproven', why };
}

function broken(why: string): Doubt {
  return { worth: 'broken', why };
}
