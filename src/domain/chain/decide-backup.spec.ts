import {
  answer,
  bitmap,
  bookedDisk,
  CHAIN,
  disk,
  full,
  FULL_BITMAP,
  GIB,
  incrementalPlan,
  inspect,
  keys,
  NEW_CHAIN,
  parent,
  PARENT_BITMAP,
  PARENT_KEYS,
  PARENT_PATH,
  planOf,
  situation,
  stock,
  T0,
  VM,
  type Changes,
} from '../../../test/unit/chain/situation';
import type { InspectedDisk } from '../agent/facts';
import type { BookedBackup } from './booked-backup';
import { CHAIN_KEYS, toDetails } from './chain-keys';
import { decideBackup } from './decide-backup';
import { FULL_REASONS, INCREMENTAL_REASONS, sentenceOf, type FullReason } from './reasons';

const oneDisk = (over: Parameters<typeof disk>[1]) => ({ facts: { disks: [disk('vda'), disk('vdb', over)] } });
const oneBitmap = (over: Parameters<typeof bitmap>[1]) => oneDisk({ bitmaps: [bitmap(PARENT_BITMAP, over)] });
const seenBefore = (over: Parameters<typeof disk>[1]) => ({
  books: { inspections: [inspect({ disks: [disk('vda'), disk('vdb', over)] })] },
});
const parentIs = (over: Partial<BookedBackup>) => ({ books: { backups: [parent(over), full()] } });
const recreatedBlindly = toDetails({ ...PARENT_KEYS, bitmapRecreated: FULL_BITMAP, recreateMethod: 'unknown' });

/** Every obstacle that there is, each alone on an otherwise healthy VM: reason, what is special, how it came about. */
const OBSTACLES: readonly [FullReason, string, Changes][] = [
  ['script-unsupported', 'a legacy script', { script: stock('legacy') }],
  ['storage-unsupported', 'a block device', oneDisk({ type: 'block' })],
  ['storage-unsupported', 'a network disk', oneDisk({ type: 'network', format: null })],
  ['image-unsupported', 'a raw image', oneDisk({ format: 'raw', compat: null })],
  ['image-unsupported', 'an old qcow2', oneDisk({ compat: '0.10' })],
  ['requested', 'a full asked for', { request: { mode: 'full' } }],
  ['bitmap-unconfirmed', 'a full asked for because of something', { request: { mode: 'full', because: 'bitmap-unconfirmed' } }],
  ['incremental-disabled', 'switched off', { policy: { incrementalEnabled: false } }],
  ['incremental-disabled', 'no chain length', { policy: { fullEvery: null } }],
  ['incremental-disabled', 'a full every time', { policy: { fullEvery: 1 } }],
  ['incremental-disabled', 'a full every 0', { policy: { fullEvery: 0 } }],
  ['vm-stopped', 'shut off', { facts: { vm: { state: 'shut off' } } }],
  ['no-parent', 'the first backup', { books: { backups: [], activeCheckpointId: null } }],
  [
    'no-parent',
    'only a failed run before',
    { books: { backups: [parent({ status: 'Failed', details: [] })], activeCheckpointId: null } },
  ],
  [
    'no-parent',
    'all backups removed',
    { books: { backups: [parent({ status: 'Removed' }), full({ status: 'Expunged' })], activeCheckpointId: null } },
  ],
  ['parent-not-backed-up', 'the owner of the checkpoint is hidden', parentIs({ status: 'Hidden' })],
  ['parent-not-backed-up', 'the owner of the checkpoint is in error', parentIs({ status: 'Error' })],
  [
    'parent-not-backed-up',
    'the only backup is hidden',
    { books: { backups: [full({ status: 'Hidden' })], activeCheckpointId: null } },
  ],
  ['bitmap-unconfirmed', 'no bitmap booked', parentIs({ details: toDetails({ ...PARENT_KEYS, bitmapName: null }) })],
  ['bitmap-unconfirmed', 'a legacy full', parentIs({ type: 'FULL', details: [] })],
  ['bitmap-unconfirmed', 'no active checkpoint', { books: { activeCheckpointId: null } }],
  ['chain-length', 'the last link allowed', { policy: { fullEvery: 2 } }],
  ['full-due', 'due now', { policy: { fullDueAt: T0 + 7200 } }],
  ['repository-changed', 'another repository', { repositoryId: 'nas-2' }],
  ['repository-changed', 'the repository of the parent is unknown', parentIs({ repositoryId: null })],
  ['restored-since', 'restored after the parent', { books: { restoredAt: T0 + 3661 } }],
  ['restored-since', 'restored in the same second', { books: { restoredAt: T0 + 3660 } }],
  [
    'restored-since',
    'restored, and the time of the parent is unknown',
    { books: { ...parentIs({ date: null }).books, restoredAt: T0 } },
  ],
  ['parent-unproven', 'an unproven parent', parentIs({ assurance: 'unproven' })],
  [
    'parent-unproven',
    'a broken parent, whatever the policy',
    { ...parentIs({ assurance: 'broken' }), policy: { acceptUnprovenParent: true } },
  ],
  ['parent-unproven', 'a link under the parent', { books: { backups: [parent(), full({ assurance: null })] } }],
  [
    'parent-unproven',
    'a bitmap recreated blindly, whatever the policy',
    { ...parentIs({ details: recreatedBlindly }), policy: { acceptUnprovenParent: true } },
  ],
  [
    'parent-unproven',
    'contradicting keys',
    parentIs({ details: [...toDetails(PARENT_KEYS), { name: CHAIN_KEYS.chainPosition, value: '2' }] }),
  ],
  [
    'parent-unproven',
    'a malformed position',
    parentIs({
      details: toDetails(PARENT_KEYS).map((row) => (row.name === CHAIN_KEYS.chainPosition ? { ...row, value: '1x' } : row)),
    }),
  ],
  ['parent-unproven', 'two types', parentIs({ type: 'FULL' })],
  ['parent-unproven', 'a bitmap without a chain', parentIs({ details: toDetails({ ...PARENT_KEYS, chainId: null }) })],
  ['parent-unproven', 'a bitmap without a position', parentIs({ details: toDetails({ ...PARENT_KEYS, position: null }) })],
  [
    'parent-unproven',
    'a parent of the parent that is only guessed',
    parentIs({ details: toDetails({ ...PARENT_KEYS, parentBackupId: null }) }),
  ],
  ['parent-unproven', 'a full that is gone from the books', { books: { backups: [parent()] } }],
  [
    'parent-file-missing',
    'a full that is gone, whatever the policy',
    { books: { backups: [parent()] }, policy: { acceptUnprovenParent: true } },
  ],
  ['parent-file-missing', 'the parent is missing', parentIs({ files: 'missing' })],
  ['parent-file-missing', 'the full is damaged', { books: { backups: [parent(), full({ files: 'damaged' })] } }],
  ['parent-file-missing', 'no place is booked', parentIs({ externalId: null })],
  [
    'parent-file-missing',
    'no file name is booked',
    parentIs({ disks: [bookedDisk('vda', 0), bookedDisk('vdb', 1, { file: null })] }),
  ],
  [
    'parent-file-missing',
    'a file name that is a path',
    parentIs({ disks: [bookedDisk('vda', 0, { file: '../x' }), bookedDisk('vdb', 1)] }),
  ],
  ['lineage-mismatch', 'another active checkpoint', { books: { activeCheckpointId: FULL_BITMAP } }],
  ['lineage-mismatch', 'no facts on the parent’s disks', parentIs({ disks: [] })],
  ['disk-set-changed', 'a new disk', { facts: { disks: [disk('vda'), disk('vdb'), disk('vdc')] } }],
  ['disk-set-changed', 'a disk less', { facts: { disks: [disk('vda')] } }],
  ['disk-set-changed', 'a disk that was away in between', { books: { inspections: [inspect({ disks: [disk('vda')] })] } }],
  ['disk-shrunk', 'smaller now', oneDisk({ virtualSize: GIB - 1 })],
  ['disk-shrunk', 'smaller in between', seenBefore({ virtualSize: GIB / 2 })],
  [
    'disk-shrunk',
    'shrunk and grown back by the record',
    {
      books: {
        resizes: [
          { target: 'vdb', from: GIB, to: GIB - 512 },
          { target: 'vdb', from: GIB - 512, to: GIB },
        ],
      },
    },
  ],
  [
    'disk-shrunk',
    'shrunk and grown beyond by the record',
    {
      ...oneDisk({ virtualSize: 2 * GIB }),
      books: {
        resizes: [
          { target: 'vdb', from: GIB, to: 512 },
          { target: 'vdb', from: 512, to: 2 * GIB },
        ],
      },
    },
  ],
  [
    'disk-shrunk',
    'a record that starts below the parent',
    { ...oneDisk({ virtualSize: 2 * GIB }), books: { resizes: [{ target: 'vdb', from: 512, to: 2 * GIB }] } },
  ],
  ['disk-resize-unknown', 'larger, and nobody saw it', oneDisk({ virtualSize: 2 * GIB })],
  [
    'disk-resize-unknown',
    'larger than by the record',
    { ...oneDisk({ virtualSize: 3 * GIB }), books: { resizes: [{ target: 'vdb', from: GIB, to: 2 * GIB }] } },
  ],
  [
    'disk-resize-unknown',
    'the record has a hole',
    {
      ...oneDisk({ virtualSize: 4 * GIB }),
      books: {
        resizes: [
          { target: 'vdb', from: GIB, to: 2 * GIB },
          { target: 'vdb', from: 3 * GIB, to: 4 * GIB },
        ],
      },
    },
  ],
  [
    'disk-resize-unknown',
    'the record is of another disk',
    {
      ...oneDisk({ virtualSize: 2 * GIB }),
      books: {
        resizes: [
          { target: 'vda', from: GIB, to: GIB },
          { target: 'vdc', from: GIB, to: 2 * GIB },
        ],
      },
    },
  ],
  ['disk-resize-unknown', 'larger in between, and nobody saw it', seenBefore({ virtualSize: 2 * GIB })],
  ['disk-resize-unknown', 'the size now is unknown', oneDisk({ virtualSize: null })],
  [
    'disk-resize-unknown',
    'the size of the parent is unknown',
    parentIs({ disks: [bookedDisk('vda', 0, { virtualSize: null }), bookedDisk('vdb', 1)] }),
  ],
  ['lineage-mismatch', 'another path', oneDisk({ path: '/mnt/other/vdb-image' })],
  ['lineage-mismatch', 'another inode', oneDisk({ inode: 5 })],
  ['lineage-mismatch', 'the path is unknown', oneDisk({ path: null })],
  ['lineage-mismatch', 'the inode is unknown', oneDisk({ inode: null })],
  [
    'lineage-mismatch',
    'the path of the parent is unknown',
    parentIs({ disks: [bookedDisk('vda', 0, { path: null }), bookedDisk('vdb', 1)] }),
  ],
  [
    'lineage-mismatch',
    'the inode of the parent is unknown',
    parentIs({ disks: [bookedDisk('vda', 0), bookedDisk('vdb', 1, { inode: null })] }),
  ],
  ['lineage-mismatch', 'another path in between', seenBefore({ path: '/mnt/other' })],
  ['lineage-mismatch', 'another inode in between', seenBefore({ inode: 7 })],
  ['bitmap-unconfirmed', 'the bitmaps could not be read', oneDisk({ bitmaps: null })],
  ['bitmap-missing', 'on one disk of two', oneDisk({ bitmaps: [] })],
  ['bitmap-missing', 'another bitmap in its place', oneDisk({ bitmaps: [bitmap('backup-1')] })],
  ['bitmap-inconsistent', 'after a crash', oneBitmap({ inconsistent: true, recording: false })],
  ['bitmap-not-recording', 'disabled', oneBitmap({ recording: false })],
  ['lineage-mismatch', 'not persistent', oneBitmap({ persistent: false })],
  ['bitmap-unconfirmed', 'recording or not is unknown', oneBitmap({ recording: null })],
  ['bitmap-unconfirmed', 'consistent or not is unknown', oneBitmap({ inconsistent: null })],
  ['bitmap-unconfirmed', 'persistent or not is unknown', oneBitmap({ persistent: null })],
  ['bitmap-unconfirmed', 'in use', oneBitmap({ busy: true })],
  ['lineage-mismatch', 'missing in between', seenBefore({ bitmaps: [] })],
  ['lineage-mismatch', 'inconsistent in between', seenBefore({ bitmaps: [bitmap(PARENT_BITMAP, { inconsistent: true })] })],
  ['lineage-mismatch', 'not recording in between', seenBefore({ bitmaps: [bitmap(PARENT_BITMAP, { recording: false })] })],
  ['lineage-mismatch', 'not persistent in between', seenBefore({ bitmaps: [bitmap(PARENT_BITMAP, { persistent: false })] })],
  ['lineage-mismatch', 'the dirty count fell', seenBefore({ bitmaps: [bitmap(PARENT_BITMAP, { dirtyBytes: 196_608 })] })],
  [
    'lineage-mismatch',
    'another granularity',
    seenBefore({ bitmaps: [bitmap(PARENT_BITMAP, { granularity: 32_768, dirtyBytes: 0 })] }),
  ],
  [
    'lineage-mismatch',
    'the dirty count fell between two earlier inspections',
    {
      books: {
        inspections: [10, 0].map((granules) =>
          inspect({ disks: [disk('vda', { bitmaps: [bitmap(PARENT_BITMAP, { dirtyBytes: granules * 65_536 })] }), disk('vdb')] }),
        ),
      },
      facts: { disks: [disk('vda', { bitmaps: [bitmap(PARENT_BITMAP, { dirtyBytes: 20 * 65_536 })] }), disk('vdb')] },
    },
  ],
  ['bitmap-unconfirmed', 'the record is lost and the script cannot repair', { facts: { checkpoints: [] }, script: stock('mid') }],
];

/** What a person is told was seen, and of which disk. */
const WORDS: readonly [string, string][] = [
  ['a legacy script', 'VM: the legacy script takes nothing but whole copies'],
  ['a block device', 'vdb: the disk is of type block'],
  ['a raw image', 'vdb: the format is raw'],
  ['an old qcow2', 'vdb: the format is qcow2, version 0.10'],
  ['a full asked for', 'VM: the request asks for a full'],
  ['switched off', 'VM: incrementals are switched off'],
  ['no chain length', 'VM: the policy makes every backup a full'],
  ['a full every time', 'VM: the policy makes every backup a full'],
  ['shut off', 'VM: the host says that the VM is shut off'],
  ['the first backup', 'VM: the books hold no finished backup of the VM'],
  ['the owner of the checkpoint is hidden', 'VM: backup parent is Hidden'],
  ['the only backup is hidden', 'VM: backup full is Hidden'],
  ['no bitmap booked', 'VM: backup parent has no confirmed bitmap'],
  ['no active checkpoint', 'VM: the VM has no active checkpoint'],
  ['the last link allowed', 'VM: the chain has 2 links, and a full is due every 2 backups'],
  ['due now', 'VM: a full has been due since epoch 1777307200'],
  ['another repository', 'VM: the parent lies in nas-1, this backup goes to nas-2'],
  ['the repository of the parent is unknown', 'VM: the parent lies in an unknown repository, this backup goes to nas-1'],
  [
    'restored after the parent',
    ['vda', 'vdb'].map((name) => `${name}: the VM was restored at epoch 1777303661, the parent is of 1777303660`).join('; '),
  ],
  [
    'restored, and the time of the parent is unknown',
    ['vda', 'vdb'].map((name) => `${name}: the VM was restored at epoch 1777300000, the parent is of an unknown time`).join('; '),
  ],
  ['an unproven parent', 'VM: the parent is unproven'],
  [
    'a bitmap recreated blindly, whatever the policy',
    'VM: the chain is closed: before backup parent a bitmap was recreated, and the host did not say how',
  ],
  ['contradicting keys', 'VM: nas.chain_position of backup parent: contradiction, the values are "1", "2"'],
  ['a malformed position', 'VM: nas.chain_position of backup parent: malformed, the value is "1x"'],
  ['two types', 'VM: nas.type of backup parent: type-mismatch, the key says incremental, the backup says FULL'],
  ['a bitmap without a chain', 'VM: backup parent has a bitmap, but no place in a chain'],
  ['a bitmap without a position', 'VM: backup parent has a bitmap, but no place in a chain'],
  ['a full that is gone, whatever the policy', 'VM: the books do not hold every file from the parent down to its full'],
  ['no place is booked', 'VM: the books do not know where the parent lies'],
  ['no file name is booked', 'vdb: the books do not know the name of the parent’s file'],
  ['another active checkpoint', `VM: the active checkpoint is ${FULL_BITMAP}, the parent's bitmap is ${PARENT_BITMAP}`],
  ['no facts on the parent’s disks', 'VM: the books hold no facts on the disks of the parent'],
  ['a new disk', 'VM: the parent has vda, vdb, the VM has vda, vdb, vdc'],
  ['a disk that was away in between', 'VM: the parent has vda, vdb, the VM had vda'],
  ['smaller now', `vdb: it had ${GIB} bytes in the parent and 1073741823 since`],
  ['larger, and nobody saw it', `vdb: it had ${GIB} bytes in the parent and has 2147483648 now; not every step between is known`],
  ['the record has a hole', `vdb: it had ${GIB} bytes in the parent and has 4294967296 now; not every step between is known`],
  ['the size now is unknown', 'vdb: its size is not known'],
  ['the size of the parent is unknown', 'vda: its size is not known'],
  ['another path', 'vdb: it was /mnt/pool/vdb-image (inode 102) and is /mnt/other/vdb-image (inode 102)'],
  ['the path is unknown', 'vdb: its path and inode are not known both in the books and on the host'],
  ['the path of the parent is unknown', 'vda: its path and inode are not known both in the books and on the host'],
  ['the inode of the parent is unknown', 'vdb: its path and inode are not known both in the books and on the host'],
  ['another inode in between', 'vdb: it was /mnt/pool/vdb-image (inode 102) and was once /mnt/pool/vdb-image (inode 7)'],
  ['the bitmaps could not be read', 'vdb: its bitmaps could not be read'],
  ['on one disk of two', `vdb: it has no bitmap ${PARENT_BITMAP}`],
  ['after a crash', `vdb: bitmap ${PARENT_BITMAP} is inconsistent`],
  ['disabled', `vdb: bitmap ${PARENT_BITMAP} is not recording`],
  ['not persistent', `vdb: bitmap ${PARENT_BITMAP} is not persistent, and ours are`],
  ['recording or not is unknown', `vdb: the host does not know the whole state of bitmap ${PARENT_BITMAP}`],
  ['in use', `vdb: bitmap ${PARENT_BITMAP} is in use by something else`],
  ['missing in between', `vdb: at an earlier inspection: it has no bitmap ${PARENT_BITMAP}`],
  ['not persistent in between', `vdb: at an earlier inspection: bitmap ${PARENT_BITMAP} is not persistent, and ours are`],
  ['the dirty count fell', `vdb: bitmap ${PARENT_BITMAP} fell from 196608 to 131072 dirty bytes`],
  ['another granularity', `vdb: bitmap ${PARENT_BITMAP} had granularities of 32768 and 65536 bytes`],
  ['the dirty count fell between two earlier inspections', `vda: bitmap ${PARENT_BITMAP} fell from 655360 to 0 dirty bytes`],
  [
    'the record is lost and the script cannot repair',
    'VM: libvirt has lost the checkpoint, and the script on the host cannot register it again',
  ],
];

describe('decideBackup', () => {
  it.each(OBSTACLES)('%s: %s', (reason, _what, changes) => {
    const plan = planOf(changes);
    expect(plan.kind).toBe(reason.endsWith('-unsupported') ? 'legacy-full' : 'full');
    expect(plan).toMatchObject({ reason, sentence: FULL_REASONS[reason], parent: null, repair: 'none' });
    expect(plan.evidence[0]).toMatchObject({ fact: reason });
    expect(plan.evidence.every(({ detail }) => detail.length > 0)).toBe(true);
    expect(plan.disks.every(({ mode, parentFile, bitmap: was }) => mode === 'full' && parentFile === null && was === null)).toBe(
      true,
    );
  });

  it.each(WORDS)('%s: says %s', (what, words) => {
    const changes = OBSTACLES.find(([, name]) => name === what)?.[2];
    const { evidence } = planOf(changes);
    expect(evidence.map(({ target, detail }) => `${target ?? 'VM'}: ${detail}`).join('; ')).toBe(words);
  });

  it('says all that is odd about the keys of a parent', () => {
    const odd = [...toDetails(PARENT_KEYS), ...toDetails(keys({ chainId: 'other', position: 3, bitmapName: null }))];
    const [seen] = planOf(parentIs({ details: odd })).evidence;
    expect(seen?.detail.split('; ').map((text) => text.split(':')[0])).toEqual(
      ['nas.chain_id', 'nas.chain_position', 'nas.type'].map((key) => `${key} of backup parent`),
    );
  });

  it('builds on a proven parent too, and on one that is not only where the policy allows it', () => {
    const lenient = { policy: { acceptUnprovenParent: true } };
    for (const assurance of ['accounted', 'proven'] as const) {
      const books = { backups: [parent({ assurance }), full({ assurance })] };
      expect(planOf({ books }).kind).toBe('incremental');
      expect(planOf({ books, ...lenient }).kind).toBe('incremental');
    }
    expect(planOf({ ...parentIs({ assurance: 'unproven' }), ...lenient }).kind).toBe('incremental');
  });

  it('tells of a bitmap whose dirty bytes nobody counted', () =>
    expect(planOf(oneBitmap({ dirtyBytes: null })).evidence[2]?.detail).toBe(
      `bitmap ${PARENT_BITMAP} is healthy, with an unknown number of dirty bytes`,
    ));

  it('calls a job that it has no name for a job', () =>
    expect(decideBackup(situation({ facts: { job: { active: true, operation: null } } }))).toMatchObject({
      code: 'vm.busy',
      message: `The host is at work on the VM ${VM}: a job.`,
    }));

  it('reaches every reason of a full', () => {
    expect(new Set(OBSTACLES.map(([reason]) => reason))).toEqual(new Set(Object.keys(FULL_REASONS)));
  });

  it.each([
    ['what the offering says', {}, 'auto'],
    ['what the call says instead', { transfer: 'pull' as const }, 'pull'],
  ])('lets the data travel by %s', (_, request, transfer) => {
    expect(planOf({ request, policy: { transfer: 'auto' } }).transfer).toBe(transfer);
  });

  describe('where the bitmap of one disk of two is lost', () => {
    const rescue = { onLostBitmap: 'rescue' } as const;
    const lost = (over: Partial<InspectedDisk>) => ({ disks: [disk('vda', over), disk('vdb')] });

    it.each<[string, Partial<InspectedDisk>, string]>([
      ['gone', { bitmaps: [] }, 'bitmap-missing'],
      ['spoiled by a crash', { bitmaps: [bitmap(PARENT_BITMAP, { inconsistent: true })] }, 'bitmap-inconsistent'],
      ['stopped', { bitmaps: [bitmap(PARENT_BITMAP, { recording: false })] }, 'bitmap-not-recording'],
      ['not to be read', { bitmaps: null }, 'bitmap-unconfirmed'],
      ['on a disk that is another file, as after a storage migration', { inode: 7 }, 'lineage-mismatch'],
    ])('%s: plans a full, or the rescue of that disk where it is wished for', (_, over, reason) => {
      expect(planOf({ facts: lost(over) })).toMatchObject({ kind: 'full', reason, onLostBitmap: 'full' });
      const plan = planOf({ policy: rescue, facts: lost(over) });
      expect(plan).toMatchObject({
        kind: 'incremental',
        reason: 'rescued',
        repair: 'rescue',
        onLostBitmap: 'rescue',
        position: 2,
      });
      expect(plan.disks).toMatchObject([
        { mode: 'rescued', bitmap: null, parentFile: expect.stringContaining('root.vda-image.qcow2') },
        { mode: 'incremental', bitmap: { dirtyBytes: 131_072 }, parentFile: expect.stringContaining('datadisk.vdb-image.qcow2') },
      ]);
      expect(plan.evidence[0]).toMatchObject({ fact: reason, target: 'vda' });
      expect(plan.evidence.map(({ target }) => target)).toEqual(['vda', null, 'vdb']);
    });

    it('lets a call say something else than the offering', () => {
      const facts = lost({ bitmaps: [] });
      expect(planOf({ facts, request: rescue }).reason).toBe('rescued');
      expect(planOf({ facts, policy: rescue, request: { onLostBitmap: 'full' } }).reason).toBe('bitmap-missing');
    });

    it('registers the surviving one again, and a bitmap that only libvirt forgot is not lost', () => {
      expect(planOf({ policy: rescue, facts: { ...lost({ bitmaps: [] }), checkpoints: [] } }).evidence[1]).toMatchObject({
        fact: 'redefined',
      });
      expect(planOf({ policy: rescue, facts: { checkpoints: [] } })).toMatchObject({ reason: 'redefined', repair: 'redefine' });
    });

    it.each<[string, Changes, string]>([
      ['the script on the host cannot compare', { script: stock('mid') }, 'bitmap-missing'],
      ['a file under it is missing', { books: { backups: [parent({ files: 'missing' }), full()] } }, 'parent-file-missing'],
      ['the parent is unproven', { books: { backups: [parent({ assurance: 'unproven' }), full()] } }, 'parent-unproven'],
      ['the disk was smaller in between', { books: { resizes: [{ target: 'vda', from: GIB, to: GIB / 2 }] } }, 'disk-shrunk'],
    ])('plans a full all the same where %s', (_, changes, reason) => {
      expect(planOf({ policy: rescue, facts: lost({ bitmaps: [] }), ...changes })).toMatchObject({ kind: 'full', reason });
    });
  });

  it('plans a regular incremental where nothing speaks against it', () => {
    expect(decideBackup(situation())).toEqual({
      kind: 'incremental',
      reason: 'regular',
      sentence: INCREMENTAL_REASONS.regular,
      vm: VM,
      vmState: 'running',
      repositoryId: 'nas-1',
      quiesce: false,
      transfer: 'push',
      transferFrom: 'offering',
      bandwidth: null,
      bandwidthFrom: null,
      warnings: [],
      onLostBitmap: 'full',
      bitmapNew: `backup-${T0 + 7200}`,
      backupPath: `${VM}/2026.04.27.16.26.40`,
      chainId: CHAIN,
      position: 2,
      parent: { uuid: 'parent', externalId: PARENT_PATH, bitmap: PARENT_BITMAP },
      repair: 'none',
      fallbackChainId: NEW_CHAIN,
      superseded: [PARENT_BITMAP],
      disks: ['vda', 'vdb'].map((target, deviceId) => ({
        target,
        deviceId,
        path: `/mnt/pool/${target}-image`,
        inode: 101 + deviceId,
        format: 'qcow2',
        virtualSize: GIB,
        mode: 'incremental',
        parentFile: `${PARENT_PATH}/${deviceId === 0 ? 'root' : 'datadisk'}.${target}-image.qcow2`,
        bitmap: { granularity: 65_536, dirtyBytes: 131_072 },
      })),
      evidence: [
        { fact: 'regular', target: null, detail: `libvirt knows the checkpoint ${PARENT_BITMAP}` },
        { fact: 'regular', target: 'vda', detail: `bitmap ${PARENT_BITMAP} is healthy, with 131072 dirty bytes` },
        { fact: 'regular', target: 'vdb', detail: `bitmap ${PARENT_BITMAP} is healthy, with 131072 dirty bytes` },
      ],
    });
  });

  it('takes a full of two disks by the stock seed script, which has one parent file for both, and goes on with one disk', () => {
    const both = planOf({ script: stock('seed') });
    expect(both).toMatchObject({ kind: 'full', reason: 'script-unsupported' });
    expect(both.evidence[0]?.detail).toBe('the seed script takes one parent file, and the VM has several disks');
    const [first] = incrementalPlan({}).disks;
    const disks = parent().disks.filter(({ target }) => target === first?.target);
    const one = { script: stock('seed'), facts: { disks: [disk('vda')] }, books: { backups: [parent({ disks }), full()] } };
    expect(planOf(one)).toMatchObject({ kind: 'incremental', reason: 'regular' });
  });

  it('lets the stock final script repair, which does it exactly', () => {
    const plan = planOf({ facts: { checkpoints: [] }, script: stock('final') });
    expect(plan).toMatchObject({ kind: 'incremental', reason: 'redefined', repair: 'redefine' });
  });

  it('plans the exact repair where libvirt has lost its record and the bitmap survived', () => {
    const plan = planOf({ facts: { checkpoints: ['snapshot-of-somebody-else'] } });
    expect(plan).toMatchObject({
      kind: 'incremental',
      reason: 'redefined',
      sentence: INCREMENTAL_REASONS.redefined,
      repair: 'redefine',
    });
    expect(plan.evidence[0]?.detail).toBe(`libvirt has no checkpoint ${PARENT_BITMAP} any more, the bitmap is there`);
  });

  it('takes a paused VM as a running one, and freezes neither it nor a stopped one', () => {
    expect(planOf({ facts: { vm: { state: 'paused' } }, request: { quiesce: true } })).toMatchObject({
      kind: 'incremental',
      vmState: 'paused',
      quiesce: false,
    });
    expect(planOf({ facts: { vm: { state: 'shut off' } }, request: { quiesce: true } })).toMatchObject({
      kind: 'full',
      vmState: 'shut off',
      quiesce: false,
    });
    expect(planOf({ request: { quiesce: true } }).quiesce).toBe(true);
    expect(planOf().quiesce).toBe(false);
  });

  it.each<[string, Changes]>([
    ['two links of three', { policy: { fullEvery: 3 } }],
    ['a full that is due in a second', { policy: { fullDueAt: T0 + 7201 } }],
    ['a restore before the parent', { books: { restoredAt: T0 + 3659 } }],
    ['a restore before a parent of known time only', { books: { restoredAt: null, ...parentIs({ date: null }).books } }],
    ['newer runs that failed', { books: { backups: [parent({ uuid: 'x', status: 'Failed', details: [] }), parent(), full()] } }],
    [
      'an unproven parent that the policy accepts',
      { ...parentIs({ assurance: 'unproven' }), policy: { acceptUnprovenParent: true } },
    ],
    ['a proven parent', parentIs({ assurance: 'proven' })],
    ['files of which nothing is known', parentIs({ files: 'unknown' })],
    [
      'a bitmap that was registered again before the parent',
      parentIs({ details: toDetails({ ...PARENT_KEYS, bitmapRecreated: FULL_BITMAP, recreateMethod: 'redefined' }) }),
    ],
    ['duplicate rows of one value', parentIs({ details: [...toDetails(PARENT_KEYS), ...toDetails(PARENT_KEYS)] })],
    ['keys that nobody knows', parentIs({ details: [...toDetails(PARENT_KEYS), { name: 'nas.future', value: 'x' }] })],
    ['a disk list in another order', { facts: { disks: [disk('vdb'), disk('vda')] } }],
    ['an inspection that saw no disks', { books: { inspections: [inspect({ disks: [] })] } }],
    ['an inspection that knew nothing of a disk', seenBefore({ path: null, inode: null, virtualSize: null, bitmaps: null })],
    [
      'an inspection that knew nothing of the bitmap',
      seenBefore({
        bitmaps: [
          bitmap(PARENT_BITMAP, { recording: null, inconsistent: null, persistent: null, granularity: null, dirtyBytes: null }),
        ],
      }),
    ],
    ['a bitmap that was in use in between', seenBefore({ bitmaps: [bitmap(PARENT_BITMAP, { busy: true })] })],
    ['a count that rose', seenBefore({ bitmaps: [bitmap(PARENT_BITMAP, { dirtyBytes: 65_536 })] })],
    ['a count that stayed', seenBefore({})],
    ['a count that is unknown now', oneBitmap({ dirtyBytes: null })],
    [
      'a disk that grew by the record',
      { ...oneDisk({ virtualSize: 2 * GIB }), books: { resizes: [{ target: 'vdb', from: GIB, to: 2 * GIB }] } },
    ],
    [
      'a disk that grew twice by the record',
      {
        ...oneDisk({ virtualSize: 3 * GIB }),
        books: {
          resizes: [
            { target: 'vdb', from: GIB, to: 2 * GIB },
            { target: 'vdb', from: 2 * GIB, to: 3 * GIB },
          ],
          inspections: [inspect({ disks: [disk('vda'), disk('vdb', { virtualSize: 2 * GIB })] })],
        },
      },
    ],
    [
      'a disk that grew and shrank to no less than the parent',
      {
        books: {
          resizes: [
            { target: 'vdb', from: GIB, to: 2 * GIB },
            { target: 'vdb', from: 2 * GIB, to: GIB },
          ],
        },
      },
    ],
    ['an unknown qcow2 version', oneDisk({ compat: null })],
    ['an unknown type and format', oneDisk({ type: null, format: null })],
    [
      'other tools’ checkpoints and bitmaps',
      {
        facts: {
          checkpoints: [PARENT_BITMAP, 'x'],
          disks: [disk('vda', { bitmaps: [bitmap('x', { inconsistent: true }), bitmap()] }), disk('vdb')],
        },
      },
    ],
    ['a script that cannot repair where nothing is lost', { script: stock('mid') }],
    ['two disks and ours in the seed dialect', { script: { kind: 'ours', dialect: 'seed' } }],
    ['a stock script that takes a path for each of two disks', { script: stock('final') }],
  ])('is not put off by %s', (_what, changes) => {
    expect(planOf(changes)).toMatchObject({ kind: 'incremental', reason: 'regular', repair: 'none' });
  });

  it('says of every disk what is wrong with it, and takes the first as the reason', () => {
    const plan = planOf({
      facts: { disks: [disk('vda', { bitmaps: [] }), disk('vdb', { bitmaps: [bitmap(PARENT_BITMAP, { inconsistent: true })] })] },
    });
    expect(plan.reason).toBe('bitmap-missing');
    expect(plan.evidence).toEqual([
      { fact: 'bitmap-missing', target: 'vda', detail: `it has no bitmap ${PARENT_BITMAP}` },
      { fact: 'bitmap-inconsistent', target: 'vdb', detail: `bitmap ${PARENT_BITMAP} is inconsistent` },
    ]);
  });

  it('starts a new chain with a full and no chain at all where the storage cannot', () => {
    expect(planOf({ request: { mode: 'full' } })).toMatchObject({
      kind: 'full',
      chainId: NEW_CHAIN,
      position: 0,
      bitmapNew: `backup-${T0 + 7200}`,
    });
    expect(planOf(oneDisk({ type: 'block' }))).toMatchObject({
      kind: 'legacy-full',
      chainId: null,
      position: null,
      bitmapNew: null,
      backupPath: `${VM}/2026.04.27.16.26.40`,
    });
  });

  it('looks for what cannot be before what was wished, and for wishes before the books', () => {
    expect(planOf({ ...oneDisk({ type: 'block' }), request: { mode: 'full' } }).reason).toBe('storage-unsupported');
    expect(
      planOf({ facts: { disks: [disk('vda', { format: 'raw' }), disk('vdb', { type: 'block' })] } }).evidence.map(
        ({ fact }) => fact,
      ),
    ).toEqual(['storage-unsupported', 'image-unsupported']);
    expect(planOf({ request: { mode: 'full' }, policy: { incrementalEnabled: false } }).reason).toBe('requested');
    expect(planOf({ policy: { incrementalEnabled: false }, facts: { vm: { state: 'shut off' } } }).reason).toBe(
      'incremental-disabled',
    );
    expect(planOf({ facts: { vm: { state: 'shut off' } }, books: { backups: [] } }).reason).toBe('vm-stopped');
  });

  it('explains a lost bitmap by the restore that lost it', () => {
    expect(planOf({ books: { restoredAt: T0 + 4000, activeCheckpointId: null }, ...oneDisk({ bitmaps: [] }) }).reason).toBe(
      'restored-since',
    );
  });

  it('compares every disk of a restored VM with its chain where that is wished for', () => {
    const restored = { books: { restoredAt: T0 + 4000 } };
    expect(planOf({ ...restored, policy: { onLostBitmap: 'rescue' } })).toMatchObject({
      ...{ kind: 'incremental', reason: 'rescued', repair: 'rescue' },
      disks: [{ mode: 'rescued' }, { mode: 'rescued' }],
    });
    expect(planOf({ ...restored, policy: { onLostBitmap: 'full' } })).toMatchObject({ kind: 'full', reason: 'restored-since' });
    expect(planOf({ ...restored, looked: false, policy: { onLostBitmap: 'rescue' } }).reason).toBe('restored-since');
  });

  describe('names', () => {
    const named = (changes: Changes) => {
      const { bitmapNew, backupPath } = planOf(changes);
      return [bitmapNew, backupPath];
    };

    it('never gives a name twice', () => {
      expect(named({ now: T0 })).toEqual([`backup-${T0 + 3601}`, `${VM}/2026.04.27.15.26.41`]);
      expect(named({ books: { lastUsedEpoch: T0 + 7200 } })).toEqual([`backup-${T0 + 7201}`, `${VM}/2026.04.27.16.26.41`]);
      expect(named({ books: { lastUsedEpoch: null } })).toEqual([`backup-${T0 + 7200}`, `${VM}/2026.04.27.16.26.40`]);
    });

    it('passes over names that the host shows or the books hold', () => {
      const epoch = T0 + 7200;
      expect(named({ facts: { checkpoints: [PARENT_BITMAP, `backup-${epoch}`] } })[0]).toBe(`backup-${epoch + 1}`);
      expect(named({ facts: { disks: [disk('vda', { bitmaps: [bitmap(), bitmap(`backup-${epoch}`)] }), disk('vdb')] } })[0]).toBe(
        `backup-${epoch + 1}`,
      );
      expect(named({ books: { backups: [parent(), full({ externalId: `${VM}/2026.04.27.16.26.40` })] } })[0]).toBe(
        `backup-${epoch + 1}`,
      );
    });

    it('cuts fractions of a second', () => expect(named({ now: T0 + 7200.9 })[0]).toBe(`backup-${T0 + 7200}`));

    it('takes a time that no name can carry for a bug', () => {
      for (const now of [-1, 253_402_300_800, NaN, Infinity])
        expect(() => planOf({ now, books: { lastUsedEpoch: null } })).toThrow(
          expect.objectContaining({ code: 'chain.bad-epoch' }),
        );
      expect(named({ now: 253_402_300_799 })[1]).toBe(`${VM}/9999.12.31.23.59.59`);
      expect(named({ now: 0, books: { lastUsedEpoch: null } })[1]).toBe(`${VM}/1970.01.01.00.00.00`);
    });
  });

  describe('superseded bitmaps', () => {
    it('are those that the host shows and the books know, and the active one in any case', () => {
      const shown = [bitmap(), bitmap(FULL_BITMAP), bitmap('backup-99'), bitmap('snapshot')];
      expect(planOf({ facts: { disks: [disk('vda', { bitmaps: shown }), disk('vdb')] } }).superseded).toEqual([
        PARENT_BITMAP,
        FULL_BITMAP,
      ]);
      expect(
        planOf({ facts: { checkpoints: [], disks: [disk('vda', { bitmaps: [] }), disk('vdb', { bitmaps: null })] } }).superseded,
      ).toEqual([PARENT_BITMAP]);
      expect(planOf({ books: { activeCheckpointId: 'backup-5', backups: [] } }).superseded).toEqual(['backup-5']);
      expect(planOf({ books: { activeCheckpointId: null, backups: [] } }).superseded).toEqual([]);
    });

    it('go with a legacy full too', () => expect(planOf(oneDisk({ type: 'block' })).superseded).toEqual([PARENT_BITMAP]));
  });

  describe('refusals', () => {
    it.each<[string, string, Changes]>([
      ['vm.bad-name', 'refused', { facts: { vm: { name: '../x' } } }],
      ['vm.absent', 'not-found', { facts: { vm: { state: 'absent' } } }],
      ['vm.busy', 'busy', { facts: { job: { active: true, operation: 'Backup' } } }],
      ['vm.busy', 'busy', { facts: { job: { active: true, operation: null } } }],
      ['vm.migrating', 'busy', { facts: { job: { active: true, operation: 'Outgoing migration' } } }],
      ['backup.in-progress', 'busy', parentIs({ status: 'BackingUp' })],
      ['vm.restoring', 'busy', parentIs({ status: 'Restoring' })],
      ['vm.no-disks', 'conflict', { facts: { disks: [] } }],
      ['vm.disks-ambiguous', 'conflict', { facts: { disks: [disk('vda'), disk('vda')] } }],
      [
        'backup.other-format',
        'refused',
        { facts: { vm: { state: 'shut off' }, disks: [disk('vda'), disk('vdb', { format: 'raw' })] } },
      ],
    ])('%s', (code, errorKind, changes) => {
      const refusal = decideBackup(situation(changes));
      expect(refusal).toMatchObject({ kind: 'refused', code, errorKind });
      expect(refusal).toHaveProperty('message', expect.stringMatching(/\.$/));
      expect(refusal).toHaveProperty('next', expect.stringMatching(/\.$/));
    });

    it('the format of a disk counts where a stopped VM’s disk says it itself, and the books know another of that file', () => {
      const seen = (state: 'shut off' | 'running', path: string, format: string | null) =>
        decideBackup(situation({ facts: { vm: { state }, disks: [disk('vda', { path, format }), disk('vdb')] } })).kind;
      expect(seen('shut off', disk().path ?? '', 'raw')).toBe('refused');
      for (const kind of [
        seen('running', disk().path ?? '', 'raw'),
        seen('shut off', '/mnt/pool/other', 'raw'),
        seen('shut off', disk().path ?? '', null),
        seen('shut off', disk().path ?? '', 'qcow2'),
      ])
        expect(kind).not.toBe('refused');
    });

    it('name the VM, the backup and the job', () => {
      expect(decideBackup(situation({ facts: { job: { active: true, operation: 'Backup' } } }))).toHaveProperty(
        'message',
        `The host is at work on the VM ${VM}: Backup.`,
      );
      expect(decideBackup(situation(parentIs({ status: 'BackingUp' })))).toHaveProperty(
        'message',
        `Backup parent of the VM ${VM} is being taken.`,
      );
    });

    it('go before everything else', () => {
      expect(decideBackup(situation({ request: { mode: 'full' }, facts: { vm: { state: 'absent' }, disks: [] } }))).toMatchObject(
        { code: 'vm.absent' },
      );
    });
  });

  it('is a function of its input alone', () => {
    const input = situation();
    const before = structuredClone(input);
    expect(decideBackup(input)).toEqual(decideBackup(structuredClone(input)));
    expect(input).toEqual(before);
  });
});

describe('builders', () => {
  it('agree with each other', () => {
    expect(incrementalPlan().bitmapNew).toBe(answer().bitmapCreated);
    expect(keys().bitmapName).toBe(FULL_BITMAP);
    expect(sentenceOf('regular')).toBe(INCREMENTAL_REASONS.regular);
  });
});
