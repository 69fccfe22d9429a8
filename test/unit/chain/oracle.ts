import type { BookedBackup } from '../../../src/domain/chain/booked-backup';
import type { DecideInput } from '../../../src/domain/chain/decide-input';
import type { Reason } from '../../../src/domain/chain/reasons';

/**
 * What a decision must be, written a second time from the rules alone and in another manner: a flat list of statements
 * about one table of everything that was ever seen of each disk. It shares no code with what it judges.
 */
export function expectedOutcome(input: DecideInput): string {
  const refusal = RULES_OF_REFUSAL.find(([, holds]) => holds(input));
  if (refusal !== undefined) return refusal[0];
  const view = viewOf(input);
  const rule = RULES_OF_FULLS.find(([, holds]) => holds(view));
  if (rule !== undefined) return rule[0];
  const lost = RULES_OF_LOST_BITMAPS.find(([, holds]) => holds(view));
  if (lost !== undefined) {
    const wish = input.request.onLostBitmap ?? input.policy.onLostBitmap;
    return wish === 'rescue' && input.script.kind === 'ours' ? ('rescued' satisfies Reason) : lost[0];
  }
  const known = view.parent !== undefined && input.facts.checkpoints.includes(view.bitmap);
  return (known ? 'regular' : 'redefined') satisfies Reason;
}

const atWork = ({ books }: DecideInput) => books.backups.find(({ status }) => status === 'BackingUp' || status === 'Restoring');

/** Why no backup can be taken at all. */
export const RULES_OF_REFUSAL: readonly [string, (input: DecideInput) => boolean][] = [
  ['vm.bad-name', ({ facts }) => !/^\w[\w.+@:-]{0,126}$/.test(facts.vm.name)],
  ['vm.absent', ({ facts }) => facts.vm.state === 'absent'],
  ['vm.migrating', ({ facts }) => facts.job.active && String(facts.job.operation).toLowerCase().includes('migration')],
  ['vm.busy', ({ facts }) => facts.job.active],
  ['vm.restoring', (input) => atWork(input)?.status === 'Restoring'],
  ['backup.in-progress', (input) => atWork(input) !== undefined],
  ['vm.no-disks', ({ facts }) => facts.disks.length === 0],
  [
    'vm.disks-ambiguous',
    ({ facts }) => facts.disks.some(({ target }, at) => facts.disks.findIndex((one) => one.target === target) < at),
  ],
  [
    'backup.other-format',
    ({ facts, books, looked }) =>
      looked &&
      facts.vm.state === 'shut off' &&
      facts.disks.some(({ path, format }) => {
        const was = books.backups.filter(({ status }) => status === 'BackedUp').flatMap(({ disks }) => disks);
        const known = was.find((disk) => disk.path !== null && disk.path === path && disk.format !== null);
        return format !== null && known !== undefined && known.format !== format;
      }),
  ],
];

interface Seen {
  readonly target: string;
  readonly when: 'before' | 'now';
  readonly path: string | null;
  readonly inode: number | null;
  readonly size: number | null;
  /** null: the list could not be read; 'absent': read, and not in it. */
  readonly bitmap:
    | null
    | 'absent'
    | {
        recording: boolean | null;
        inconsistent: boolean | null;
        persistent: boolean | null;
        busy: boolean | null;
        granularity: number | null;
        count: number | null;
      };
}

interface View {
  readonly input: DecideInput;
  /** The newest finished backup. */
  readonly parent: BookedBackup | undefined;
  /** The parent and all under it, as far as the books lead; `whole` when they lead to the full. */
  readonly line: readonly BookedBackup[];
  readonly whole: boolean;
  readonly guessed: boolean;
  readonly bitmap: string;
  readonly seen: readonly Seen[];
}

const texts = ({ details }: BookedBackup, key: string): Set<string> =>
  new Set(details.flatMap(({ name, value }) => (name === key && value !== '' ? [value] : [])));
const text = (backup: BookedBackup, key: string): string | undefined =>
  texts(backup, key).size === 1 ? [...texts(backup, key)][0] : undefined;
const place = (backup: BookedBackup): number =>
  Number(/^\d{1,9}$/.test(text(backup, 'nas.chain_position') ?? '') ? text(backup, 'nas.chain_position') : NaN);
const finished = (backup: BookedBackup): boolean => backup.status === 'BackedUp';
const bitmapOf = (backup: BookedBackup): string | undefined =>
  /^backup-\d+$/.test(text(backup, 'nas.bitmap_name') ?? '') ? text(backup, 'nas.bitmap_name') : undefined;
const there = ({ status }: BookedBackup): boolean => status !== 'Removed' && status !== 'Expunged';
const blind = (backup: BookedBackup): boolean =>
  backup.type === 'INCREMENTAL' &&
  texts(backup, 'nas.bitmap_recreated').size > 0 &&
  !['redefined', 'rescued'].includes(text(backup, 'ck.recreate_method') ?? '');

function viewOf(input: DecideInput): View {
  const parent = input.books.backups.find(finished);
  const line: BookedBackup[] = parent === undefined ? [] : [parent];
  let guessed = false;
  const links = input.books.backups.filter(
    (backup) =>
      ['BackedUp', 'Hidden', 'Restoring'].includes(backup.status) &&
      parent !== undefined &&
      text(backup, 'nas.chain_id') === text(parent, 'nas.chain_id'),
  );
  while (line.at(-1)?.type === 'INCREMENTAL') {
    const top = line.at(-1) as BookedBackup;
    const below = links.filter((backup) => place(backup) === place(top) - 1);
    const named = text(top, 'nas.parent_backup_id');
    const next = named === undefined ? (below.length === 1 ? below[0] : undefined) : below.find(({ uuid }) => uuid === named);
    if (next === undefined) break;
    guessed ||= named === undefined;
    line.push(next);
  }
  const bottom = line.at(-1);
  const bitmap = (parent && bitmapOf(parent)) ?? '';
  const looks = [
    ...input.books.inspections.map(({ disks }) => ({ disks, when: 'before' as const })),
    { disks: input.facts.disks, when: 'now' as const },
  ];
  return {
    input,
    parent,
    line,
    whole: bottom?.type === 'FULL' && place(bottom) === 0,
    guessed,
    bitmap,
    seen: looks.flatMap(({ disks, when }) =>
      disks.map(({ target, path, inode, virtualSize, bitmaps }) => {
        const found = bitmaps?.find(({ name }) => name === bitmap);
        return {
          target,
          when,
          path,
          inode,
          size: virtualSize,
          bitmap: bitmaps === null ? null : found === undefined ? 'absent' : { ...found, count: found.dirtyBytes },
        };
      }),
    ),
  };
}

const now = ({ seen }: View): readonly Seen[] => seen.filter(({ when }) => when === 'now');
const booked = (view: View, target: string) => view.parent?.disks.find((disk) => disk.target === target);
const names = (list: readonly { target: string }[]): string =>
  list
    .map(({ target }) => target)
    .sort()
    .join();
const sizesOf = (view: View, target: string): number[] => {
  const ofTarget = view.input.books.resizes.filter((resize) => resize.target === target);
  return [
    ...view.seen.filter((one) => one.target === target).flatMap(({ size }) => size ?? []),
    ...ofTarget.flatMap(({ from, to }) => [from, to]),
  ];
};
const targetsOf = (view: View): string[] => view.parent?.disks.map(({ target }) => target) ?? [];
const worth = (backup: BookedBackup): number => {
  const rank = ['broken', 'unproven', 'accounted', 'proven'].indexOf(backup.assurance ?? 'unproven');
  return blind(backup) && rank === 2 ? 1 : rank;
};

/** The growth of a disk is fully known when the record leads from the size in the parent to the size now without a jump. */
function growthKnown(view: View, target: string): boolean {
  const stops = [booked(view, target)?.virtualSize ?? NaN];
  for (const { target: other, from, to } of view.input.books.resizes) {
    if (other !== target) continue;
    if (from !== stops.at(-1)) return false;
    stops.push(to);
  }
  const last = now(view).find((one) => one.target === target)?.size;
  return last === stops.at(-1) && sizesOf(view, target).every((size) => stops.includes(size));
}

/** On the first disk in the host's order that is not well, what is wrong is what counts. */
function firstIllness(view: View): Reason | null {
  for (const { bitmap } of now(view)) {
    if (bitmap === null) return 'bitmap-unconfirmed';
    if (bitmap === 'absent') return 'bitmap-missing';
    if (bitmap.inconsistent === true) return 'bitmap-inconsistent';
    if (bitmap.recording === false) return 'bitmap-not-recording';
    if (bitmap.persistent === false) return 'lineage-mismatch';
    if ([bitmap.inconsistent, bitmap.recording, bitmap.persistent].includes(null) || bitmap.busy === true)
      return 'bitmap-unconfirmed';
  }
  return null;
}

const foughtOver = (view: View): boolean =>
  targetsOf(view).some((target) => {
    const ofTarget = view.seen.filter((one) => one.target === target);
    const states = ofTarget.flatMap(({ bitmap }) => (bitmap === null || bitmap === 'absent' ? [] : [bitmap]));
    const counts = states.flatMap(({ count }) => count ?? []);
    return (
      ofTarget.some(
        ({ when, bitmap }) =>
          when === 'before' &&
          (bitmap === 'absent' ||
            (bitmap !== null && (bitmap.inconsistent === true || bitmap.recording === false || bitmap.persistent === false))),
      ) ||
      new Set(states.flatMap(({ granularity }) => granularity ?? [])).size > 1 ||
      counts.some((count, index) => counts.slice(0, index).some((earlier) => earlier > count))
    );
  });

/** Of the sizes the first disk in the books' order that is not well decides, as of the bitmaps the first of the host's. */
function firstSize(view: View): Reason | null {
  for (const target of targetsOf(view)) {
    const before = booked(view, target)?.virtualSize ?? null;
    const last = now(view).find((one) => one.target === target)?.size ?? null;
    if (before === null || last === null) return 'disk-resize-unknown';
    if (sizesOf(view, target).some((size) => size < before)) return 'disk-shrunk';
    if (sizesOf(view, target).some((size) => size !== before) && !growthKnown(view, target)) return 'disk-resize-unknown';
  }
  return null;
}

const strayed = (view: View): boolean =>
  targetsOf(view).some((target) => {
    const before = booked(view, target);
    const last = now(view).find((one) => one.target === target);
    const unknown = [before?.path, before?.inode, last?.path, last?.inode].some((value) => value == null);
    return (
      unknown ||
      view.seen.some(
        (one) =>
          one.target === target &&
          ((one.path ?? before?.path) !== before?.path || (one.inode ?? before?.inode) !== before?.inode),
      )
    );
  });

const restored = ({ input, parent }: View): boolean =>
  input.books.restoredAt !== null && !((parent?.date ?? -1) > input.books.restoredAt);

const RULES_OF_FULLS: readonly [Reason, (view: View) => boolean][] = [
  ['script-unsupported', ({ input }) => input.script.dialect === 'legacy'],
  ['storage-unsupported', ({ input }) => input.facts.disks.some(({ type }) => type !== null && type !== 'file')],
  [
    'image-unsupported',
    ({ input }) => input.facts.disks.some(({ format, compat }) => !['qcow2', null].includes(format) || compat === '0.10'),
  ],
  ['requested', ({ input }) => input.request.mode === 'full'],
  ['incremental-disabled', ({ input }) => !input.policy.incrementalEnabled || !((input.policy.fullEvery ?? 0) > 1)],
  ['vm-stopped', ({ input }) => input.facts.vm.state === 'shut off'],
  [
    'parent-not-backed-up',
    ({ input, parent }) => {
      const rows = input.books.backups.filter(there);
      const owner = rows.find((backup) => bitmapOf(backup) !== undefined && bitmapOf(backup) === input.books.activeCheckpointId);
      return (
        (owner !== undefined && !finished(owner)) ||
        (parent === undefined && rows.some((backup) => bitmapOf(backup) !== undefined))
      );
    },
  ],
  ['no-parent', ({ parent }) => parent === undefined],
  [
    'parent-unproven',
    ({ parent }) => {
      if (parent === undefined) return false;
      const keys = [
        'nas.parent_backup_id',
        'nas.bitmap_name',
        'nas.chain_id',
        'nas.chain_position',
        'nas.type',
        'nas.bitmap_recreated',
        'ck.recreate_method',
      ];
      const type = text(parent, 'nas.type');
      const bitmap = text(parent, 'nas.bitmap_name');
      return (
        keys.some((key) => texts(parent, key).size > 1) ||
        (text(parent, 'nas.chain_position') !== undefined && Number.isNaN(place(parent))) ||
        (bitmap !== undefined && bitmapOf(parent) === undefined) ||
        (type !== undefined && type.toUpperCase() !== parent.type) ||
        (type !== undefined && !['full', 'incremental'].includes(type))
      );
    },
  ],
  ['bitmap-unconfirmed', ({ bitmap }) => bitmap === ''],
  [
    'parent-unproven',
    ({ parent }) => parent !== undefined && (text(parent, 'nas.chain_id') === undefined || Number.isNaN(place(parent))),
  ],
  [
    'script-unsupported',
    ({ input }) => input.script.kind === 'stock' && input.script.dialect === 'seed' && input.facts.disks.length > 1,
  ],
  ['chain-length', ({ input, parent }) => parent !== undefined && place(parent) + 1 >= (input.policy.fullEvery ?? 0)],
  ['full-due', ({ input }) => input.policy.fullDueAt !== null && input.now >= input.policy.fullDueAt],
  ['repository-changed', ({ input, parent }) => parent?.repositoryId !== input.repositoryId],
  [
    'parent-unproven',
    ({ input, line, whole, guessed }) => {
      // How the chain goes on under a link that leads nowhere is not known, so it cannot be known to be closed either.
      if (blind(line[0] as BookedBackup) || (whole && line.some(blind))) return true;
      return Math.min(...line.map(worth), whole && !guessed ? 3 : 1) < (input.policy.acceptUnprovenParent ? 1 : 2);
    },
  ],
  [
    'parent-file-missing',
    ({ parent, line, whole }) =>
      !whole ||
      line.some(({ files }) => files === 'missing' || files === 'damaged') ||
      parent?.externalId === null ||
      (parent?.disks ?? []).some(({ file }) => file === null || file.includes('/')),
  ],
  ['restored-since', (view) => view.input.books.activeCheckpointId === null && restored(view)],
  ['bitmap-unconfirmed', ({ input }) => input.books.activeCheckpointId === null],
  ['lineage-mismatch', ({ input, bitmap, parent }) => input.books.activeCheckpointId !== bitmap || parent?.disks.length === 0],
  [
    'disk-set-changed',
    (view) =>
      [...view.input.books.inspections, view.input.facts].some(
        ({ disks }) => disks.length > 0 && names(disks) !== names(view.parent?.disks ?? []),
      ),
  ],
  ['disk-shrunk', (view) => firstSize(view) === 'disk-shrunk'],
  ['disk-resize-unknown', (view) => firstSize(view) === 'disk-resize-unknown'],
];

/** Why a bitmap is not to be gone by. What the disk holds can still be compared with the chain. */
const RULES_OF_LOST_BITMAPS: typeof RULES_OF_FULLS = [
  ['restored-since', restored],
  ['lineage-mismatch', strayed],
  ['bitmap-unconfirmed', (view) => firstIllness(view) === 'bitmap-unconfirmed'],
  ['bitmap-missing', (view) => firstIllness(view) === 'bitmap-missing'],
  ['bitmap-inconsistent', (view) => firstIllness(view) === 'bitmap-inconsistent'],
  ['bitmap-not-recording', (view) => firstIllness(view) === 'bitmap-not-recording'],
  ['lineage-mismatch', (view) => firstIllness(view) === 'lineage-mismatch' || foughtOver(view)],
  [
    'bitmap-unconfirmed',
    ({ input, bitmap }) =>
      input.script.kind === 'stock' && input.script.dialect !== 'final' && !input.facts.checkpoints.includes(bitmap),
  ],
];
