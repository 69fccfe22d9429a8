import { isName } from '../agent/names';
import type { BitmapFacts, InspectFacts } from '../agent/facts';
import { hasEnded, type RunState } from '../run/run-state';
import type { Books } from './booked-backup';
import { readChainKeys } from './chain-keys';

/** A run that planned a bitmap. */
export interface PlannedBitmap {
  readonly run: string;
  readonly state: RunState;
  readonly bitmap: string;
}

/** Whose a bitmap is by the books. The shape of a name is nobody's property, so `unknown` is not ours to remove unasked. */
export type BitmapOwner =
  /** The next incremental goes by it. */
  | 'parent'
  /** Of a backup that is no longer a parent. */
  | 'backup'
  /** Of a run that goes on. */
  | 'run'
  /** Left over from a run that made no backup with it. */
  | 'ended-run'
  /** Named as ours, and not in the books. */
  | 'unknown'
  | 'other-tool';

/** What keeps an incremental from going by it; `healthy`: nothing does. */
export type BitmapHealth =
  'healthy' | 'no-bitmap' | 'not-on-every-disk' | 'inconsistent' | 'not-recording' | 'not-stored' | 'unread';

/** One bitmap of a VM, all disks together. */
export interface BitmapEntry {
  readonly name: string;
  /** When its run began, epoch seconds: our names tell. Null: another tool's. */
  readonly created: number | null;
  /** Targets of the disks that have it. */
  readonly disks: readonly string[];
  /** libvirt has a checkpoint of that name; a restart loses it, and the next incremental registers it again. */
  readonly checkpoint: boolean;
  /** Bytes written since, over all disks; null: not known, as of a stopped VM. */
  readonly dirtyBytes: number | null;
  /** Bytes that one bit stands for; null: not known, or different from disk to disk. */
  readonly granularity: number | null;
  readonly health: BitmapHealth;
  readonly owner: BitmapOwner;
  /** Backup (uuid) that it belongs to. */
  readonly backup: string | null;
  /** Run that it is left over from, or that is at work on it. */
  readonly run: string | null;
  /** What to do about it, one sentence. */
  readonly advice: string;
}

/** Every bitmap and checkpoint on a VM: whose it is, how it is, and what to do about it. Oldest first, others' last. */
export function bitmapInventory(
  { checkpoints, disks }: Pick<InspectFacts, 'checkpoints' | 'disks'>,
  { backups, activeCheckpointId }: Pick<Books, 'backups' | 'activeCheckpointId'>,
  planned: readonly PlannedBitmap[],
): BitmapEntry[] {
  const names = new Set([...checkpoints, ...disks.flatMap(({ bitmaps }) => bitmaps?.map(({ name }) => name) ?? [])]);
  const entries = [...names].map((name): BitmapEntry => {
    const having = disks.flatMap(({ target, bitmaps }) => {
      const bitmap = bitmaps?.find((other) => other.name === name);
      return bitmap === undefined ? [] : [{ target, bitmap }];
    });
    const bitmaps = having.map(({ bitmap }) => bitmap);
    const backup = backups.find(({ details }) => readChainKeys(details).keys.bitmapName === name)?.uuid ?? null;
    const plan = planned.find(({ bitmap }) => bitmap === name) ?? null;
    const owner = ownerOf(name, name === activeCheckpointId, backup, plan);
    const unread = disks.some((disk) => disk.bitmaps === null);
    const health = healthOf(bitmaps, disks.length, unread);
    return {
      name,
      created: isName('bitmap', name) ? Number(name.slice('backup-'.length)) : null,
      disks: having.map(({ target }) => target),
      checkpoint: checkpoints.includes(name),
      dirtyBytes: sum(bitmaps.map(({ dirtyBytes }) => dirtyBytes)),
      granularity: same(bitmaps.map(({ granularity }) => granularity)),
      health,
      owner,
      backup,
      run: owner === 'run' || owner === 'ended-run' ? (plan?.run ?? null) : null,
      advice: owner === 'parent' && health !== 'healthy' ? UNFIT_PARENT : ADVICE[owner],
    };
  });
  return entries.sort(
    (one, other) => (one.created ?? Infinity) - (other.created ?? Infinity) || (one.name < other.name ? -1 : 1),
  );
}

const UNFIT_PARENT = 'No incremental can go by it: the next backup says why and takes what its policy allows, a full by default.';
const ADVICE: Readonly<Record<BitmapOwner, string>> = {
  parent: 'Keep it: the next incremental goes by it.',
  backup: 'Nothing: no incremental needs it any more, and the next run takes it off.',
  run: 'Nothing: its run goes on.',
  'ended-run': 'Sweep the host: its run made no backup with it, and it goes on recording for nobody.',
  unknown: 'Release the VM if no other service backs it up: nothing in these books needs it.',
  'other-tool': 'Nothing: it belongs to another tool, and is never touched.',
};

function ownerOf(name: string, active: boolean, backup: string | null, plan: PlannedBitmap | null): BitmapOwner {
  if (active) return 'parent';
  if (!isName('bitmap', name)) return 'other-tool';
  if (plan !== null && !hasEnded(plan.state)) return 'run';
  if (backup !== null) return 'backup';
  return plan === null ? 'unknown' : 'ended-run';
}

/** The worst of all disks. */
function healthOf(bitmaps: readonly BitmapFacts[], disks: number, unread: boolean): BitmapHealth {
  if (unread) return 'unread';
  if (bitmaps.length === 0) return 'no-bitmap';
  if (bitmaps.some(({ inconsistent }) => inconsistent === true)) return 'inconsistent';
  if (bitmaps.some(({ recording }) => recording === false)) return 'not-recording';
  if (bitmaps.some(({ persistent }) => persistent === false)) return 'not-stored';
  if (bitmaps.length < disks) return 'not-on-every-disk';
  return bitmaps.some((bitmap) => [bitmap.inconsistent, bitmap.recording, bitmap.persistent].includes(null))
    ? 'unread'
    : 'healthy';
}

const sum = (counts: readonly (number | null)[]): number | null =>
  counts.length === 0 || counts.includes(null) ? null : counts.reduce<number>((total, count) => total + (count ?? 0), 0);

const same = (values: readonly (number | null)[]): number | null => (new Set(values).size === 1 ? (values[0] ?? null) : null);
