import { bitmap, disk, FULL_BITMAP, full, parent, PARENT_BITMAP, T0 } from '../../../test/unit/chain/situation';
import { type BitmapEntry, bitmapInventory, type PlannedBitmap } from './bitmap-inventory';

const LEFT_OVER = `backup-${T0 + 7200}`;
const run = (state: PlannedBitmap['state'], name = LEFT_OVER): PlannedBitmap => ({ run: 'run-1', state, bitmap: name });
const books = (activeCheckpointId: string | null = PARENT_BITMAP) => ({ backups: [parent(), full()], activeCheckpointId });

/** Both disks carry these bitmaps. */
function inventory(
  names: readonly string[],
  planned: PlannedBitmap[] = [],
  active: string | null = PARENT_BITMAP,
): BitmapEntry[] {
  const bitmaps = names.map((name) => bitmap(name));
  return bitmapInventory(
    { checkpoints: names, disks: [disk('vda', { bitmaps }), disk('vdb', { bitmaps })] },
    books(active),
    planned,
  );
}
/** The parent's bitmap, one disk's being different. */
const parentWith = (over: Parameters<typeof bitmap>[1]): BitmapEntry | undefined =>
  bitmapInventory(
    { checkpoints: [], disks: [disk('vda'), disk('vdb', { bitmaps: [bitmap(PARENT_BITMAP, over)] })] },
    books(),
    [],
  )[0];

describe('the bitmaps of a VM', () => {
  it('tells the parent: since when, on which disks, how much was written', () => {
    expect(inventory([PARENT_BITMAP])).toEqual([
      {
        name: PARENT_BITMAP, created: T0 + 3600, disks: ['vda', 'vdb'], checkpoint: true, dirtyBytes: 262_144, granularity: 65_536,
        health: 'healthy', owner: 'parent', backup: parent().uuid, run: null, advice: 'Keep it: the next incremental goes by it.',
      },
    ]); // prettier-ignore
  });

  it.each<[string, string, PlannedBitmap[], Partial<BitmapEntry>]>([
    [
      'of a backup that is no parent any more',
      FULL_BITMAP,
      [run('succeeded', FULL_BITMAP)],
      { owner: 'backup', backup: full().uuid, run: null },
    ],
    ['of a run that goes on', LEFT_OVER, [run('unknown')], { owner: 'run', run: 'run-1' }],
    ['of a run that failed', LEFT_OVER, [run('failed')], { owner: 'ended-run', run: 'run-1', backup: null }],
    ['of a run that was cancelled', LEFT_OVER, [run('cancelled')], { owner: 'ended-run' }],
    ['named as ours and in no book', LEFT_OVER, [], { owner: 'unknown', run: null }],
    ['of another tool', 'snapshot-1', [], { owner: 'other-tool', created: null }],
  ])('knows whose it is: %s', (_, name, planned, expected) => {
    const entry = inventory([PARENT_BITMAP, name], planned).find((other) => other.name === name);
    expect(entry).toMatchObject({ ...expected, advice: expect.stringMatching(/\.$/) });
  });

  it('takes nobody’s for a parent once the books know no active checkpoint', () => {
    expect(inventory([PARENT_BITMAP], [], null)[0]).toMatchObject({ owner: 'backup', backup: parent().uuid });
  });

  it.each([
    ['inconsistent', { inconsistent: true, recording: false }],
    ['not-recording', { recording: false }],
    ['not-stored', { persistent: false }],
    ['unread', { recording: null }],
  ])('is as ill as its worst disk: %s', (health, over) => {
    expect(parentWith(over)).toMatchObject({ health, owner: 'parent', advice: expect.stringMatching(/^No incremental/) });
  });

  it('sees a disk without it, a record without a bitmap, a disk that could not be read, a record that is lost', () => {
    const look = (bitmaps: ReturnType<typeof bitmap>[] | null, checkpoints: string[], first: typeof bitmaps = bitmaps): unknown =>
      bitmapInventory({ checkpoints, disks: [disk('vda', { bitmaps: first }), disk('vdb', { bitmaps })] }, books(), [])[0];
    expect(look([], [], [bitmap()])).toMatchObject({
      health: 'not-on-every-disk',
      disks: ['vda'],
      checkpoint: false,
      dirtyBytes: 131_072,
    });
    expect(look([], [PARENT_BITMAP])).toMatchObject({ health: 'no-bitmap', disks: [], dirtyBytes: null, granularity: null });
    expect(look(null, [], [bitmap()])).toMatchObject({ health: 'unread' });
    expect(look([bitmap()], [])).toMatchObject({ health: 'healthy', checkpoint: false });
  });

  it('does not invent a count or a granularity', () => {
    expect(parentWith({ dirtyBytes: null, granularity: 32_768 })).toMatchObject({ dirtyBytes: null, granularity: null });
  });

  it('lists the oldest first, and other tools’ last', () => {
    expect(inventory(['zz', LEFT_OVER, 'aa', FULL_BITMAP, PARENT_BITMAP]).map(({ name }) => name)).toEqual([
      FULL_BITMAP,
      PARENT_BITMAP,
      LEFT_OVER,
      'aa',
      'zz',
    ]);
  });
});
