import type { BookedBackup } from '../chain/booked-backup';
import { toDetails } from '../chain/chain-keys';
import { findParent, type Parent } from '../chain/find-parent';
import { lastFull } from '../chain/last-full';
import { restorePoints } from '../chain/restore-points';
import { type FullRule, fullDueAt } from '../schedule/full-due-at';
import { after, planRetention, type RetentionInput } from './plan-retention';
import type { Take } from './takes-ahead';

/** What is looked ahead over: a VM's real chains, and how they go on. */
export interface SimulationInput extends RetentionInput {
  readonly days: number;
  /** The backups to come, oldest first. */
  readonly takes: readonly Take[];
  /** Links in a chain, the full included, before the next full. */
  readonly fullEvery: number;
  readonly incrementalEnabled: boolean;
  /** When a chain is begun anew, however few links it has. */
  readonly fullRule: FullRule;
}

/** One day ahead, as it ends. */
export interface SimulatedDay {
  /** Epoch seconds of its end. */
  readonly date: number;
  readonly points: number;
  /** Bytes on the NAS, what is hidden included. */
  readonly bytes: number;
  readonly fulls: number;
  readonly incrementals: number;
  readonly bytesWritten: number;
  readonly removed: number;
  readonly bytesFreed: number;
  /** Seconds between the two neighbouring points that lie furthest apart; null: there are not two. */
  readonly longestGap: number | null;
}

/** Bytes that a full and an incremental are taken to have; null: the VM has none to go by, and they count as nothing. */
export interface ExpectedSizes {
  readonly FULL: number | null;
  readonly INCREMENTAL: number | null;
}

const DAY = 86_400;
/** Newest backups of a type that the size of the next is taken from. */
const SIZES = 20;

/** The VM as it is at a moment ahead. */
interface World {
  readonly backups: readonly BookedBackup[];
  readonly activeCheckpointId: string | null;
}

/**
 * What the rules come to if backups go on like this: every one succeeds, is as large as those before it and is accounted for, and what no
 * rule keeps goes after each, as it does after a real one. Day by day, so that whoever asks may breathe in between: a year of hours takes
 * seconds. The first is today, once all has gone that goes today.
 */
export function* simulateRetention(input: SimulationInput): Generator<SimulatedDay, void> {
  const sizes = expectedSizes(input.backups);
  const origins = new Map(input.origins);
  const { takes } = input;
  let world = letGo(input, { ...input, origins, now: input.now });
  yield dayOf(input.now, world, [], gone(input, world));
  for (let [day, serial] = [1, 0]; day <= input.days; day += 1) {
    const end = input.now + day * DAY;
    const took: BookedBackup[] = [];
    const removed: BookedBackup[] = [];
    for (let take = takes[serial]; take !== undefined && take.date <= end; take = takes[serial]) {
      const backup = next(world, input, { date: take.date, serial, sizes });
      took.push(backup);
      origins.set(backup.uuid, { scheduleId: take.scheduleId, manual: false });
      const taken = { backups: [backup, ...world.backups], activeCheckpointId: bitmapOf(serial) };
      world = letGo(taken, { ...input, origins, now: take.date });
      removed.push(...gone(taken, world));
      serial += 1;
    }
    yield dayOf(end, world, took, removed);
  }
}

/** What the next backups are taken to have: the mean of the newest of their type. */
export const expectedSizes = (backups: readonly BookedBackup[]): ExpectedSizes => ({
  FULL: sizeOf(backups, 'FULL'),
  INCREMENTAL: sizeOf(backups, 'INCREMENTAL'),
});

/** The world once all has gone that the rules let go now. */
function letGo(world: World, input: RetentionInput): World {
  const protections = input.protections.filter(({ until }) => until === null || until > input.now);
  const { backups, activeCheckpointId } = world;
  const { steps } = planRetention({ ...input, backups, activeCheckpointId, protections });
  // A checkpoint whose backup has gone is nobody's parent: to forget it as well would change nothing.
  return { backups: steps.reduce(after, backups), activeCheckpointId };
}

/** What one has and the other has not any more. */
function gone(before: World, { backups }: World): BookedBackup[] {
  const left = new Set(backups.map(({ uuid }) => uuid));
  return before.backups.filter(({ uuid }) => !left.has(uuid));
}

const dayOf = (
  date: number,
  { backups }: World,
  took: readonly BookedBackup[],
  removed: readonly BookedBackup[],
): SimulatedDay => ({
  date,
  ...standing(backups),
  fulls: took.filter(({ type }) => type === 'FULL').length,
  incrementals: took.filter(({ type }) => type === 'INCREMENTAL').length,
  bytesWritten: bytesOf(took),
  removed: removed.length,
  bytesFreed: bytesOf(removed),
});

const bitmapOf = (serial: number): string => `backup-${serial + 1}`;

/** The next backup: an incremental where the books allow one. What the host would say against it nobody knows yet. */
function next(
  world: World,
  input: SimulationInput,
  { date, serial, sizes }: { date: number; serial: number; sizes: ExpectedSizes },
): BookedBackup {
  const parent = parentOf(world, input, date);
  const type = parent === null ? 'FULL' : 'INCREMENTAL';
  return {
    uuid: `simulated-${serial + 1}`,
    status: 'BackedUp',
    type,
    externalId: `simulated/${serial + 1}`,
    date,
    size: sizes[type] ?? 0,
    repositoryId: null,
    details: toDetails({
      parentBackupId: parent?.backup.uuid ?? null,
      bitmapName: bitmapOf(serial),
      // Chains are told apart by their ids alone.
      chainId: parent?.chainId ?? `00000000-0000-4000-8000-${String(serial + 1).padStart(12, '0')}`,
      position: parent === null ? 0 : parent.position + 1,
      type: parent === null ? 'full' : 'incremental',
      bitmapRecreated: null,
      recreateMethod: null,
      deletePending: false,
    }),
    disks: [],
    assurance: 'accounted',
    files: 'present',
  };
}

function parentOf({ backups, activeCheckpointId }: World, input: SimulationInput, date: number): Parent | null {
  if (!input.incrementalEnabled) return null;
  const fullFrom = fullDueAt(input.fullRule, lastFull(backups));
  if (fullFrom !== null && fullFrom <= date) return null;
  const parent = findParent({
    ...{ backups, activeCheckpointId, lastUsedEpoch: null, restoredAt: null, resizes: [], inspections: [] },
  });
  if ('fact' in parent || parent.bitmap !== activeCheckpointId || parent.position + 1 >= input.fullEvery) return null;
  const { restorable, pointAssurance } = parent.link;
  return restorable && (pointAssurance === 'accounted' || pointAssurance === 'proven') ? parent : null;
}

function sizeOf(backups: readonly BookedBackup[], of: BookedBackup['type']): number | null {
  const sizes = backups.flatMap(({ type, size }) => (type === of && size !== null ? [size] : [])).slice(0, SIZES);
  return sizes.length === 0 ? null : Math.round(sizes.reduce((sum, size) => sum + size, 0) / sizes.length);
}

const bytesOf = (backups: readonly BookedBackup[]): number => backups.reduce((sum, { size }) => sum + (size ?? 0), 0);

function standing(backups: readonly BookedBackup[]): Pick<SimulatedDay, 'points' | 'bytes' | 'longestGap'> {
  const points = restorePoints(backups);
  const dates = points.flatMap(({ backup }) => backup.date ?? []).sort((a, b) => a - b);
  const gaps = dates.slice(1).map((date, index) => date - (dates[index] ?? 0));
  return {
    points: points.length,
    bytes: bytesOf(backups),
    longestGap: gaps.length === 0 ? null : gaps.reduce((longest, gap) => Math.max(longest, gap)),
  };
}
