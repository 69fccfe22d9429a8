import fc from 'fast-check';
import type { HostScript } from '../../../src/domain/agent/build-argv';
import type { BitmapFacts, InspectedDisk, LostBitmapWish } from '../../../src/domain/agent/facts';
import type { BookedBackup, BookedDisk, DiskResize } from '../../../src/domain/chain/booked-backup';
import { toDetails, type DetailRow } from '../../../src/domain/chain/chain-keys';
import type { DecideInput } from '../../../src/domain/chain/decide-input';
import {
  bitmap,
  bookedDisk,
  CHAIN,
  disk,
  full,
  GIB,
  inspect,
  keys,
  NAS,
  NEW_CHAIN,
  OURS,
  situation,
  stock,
  T0,
  VM,
} from './situation';

/** Any situation of a VM: mostly in order, with a few things odd, so that incrementals and every reason come up. */

const mostly = <T>(usual: T, ...odd: readonly T[]): fc.Arbitrary<T> =>
  fc.oneof({ weight: 40, arbitrary: fc.constant(usual) }, { weight: 1, arbitrary: fc.constantFrom(...odd) });

const nameOf = (position: number): string => `backup-${T0 + position * 10}`;

const oddDetails = (rows: readonly DetailRow[]): fc.Arbitrary<readonly DetailRow[]> =>
  fc.oneof(
    { weight: 40, arbitrary: fc.constant(rows) },
    {
      weight: 3,
      arbitrary: fc
        .record({
          index: fc.nat(rows.length - 1),
          value: fc.constantFrom('drop', 'twice', '', '1x', '7', 'full', 'incremental', 'backup-3'),
        })
        .map(({ index, value }) => {
          const row = rows[index] as DetailRow;
          if (value === 'drop') return rows.filter((other) => other !== row);
          return [...rows, value === 'twice' ? row : { ...row, value }];
        }),
    },
    {
      weight: 1,
      arbitrary: fc
        .constantFrom('unknown', 'redefined')
        .map((method) => [
          ...rows,
          { name: 'nas.bitmap_recreated', value: 'backup-9' },
          { name: 'ck.recreate_method', value: method },
        ]),
    },
  );

const anyBookedDisk = (target: string, deviceId: number): fc.Arbitrary<BookedDisk> =>
  fc
    .record({
      path: mostly<string | null>(`/mnt/pool/${target}-image`, null, '/elsewhere'),
      inode: mostly<number | null>(101 + deviceId, null, 7),
      format: mostly<string | null>('qcow2', null, 'raw'),
      virtualSize: mostly<number | null>(GIB, null, 2 * GIB),
      file: mostly<string | null>(`disk${deviceId}.qcow2`, null, '../up'),
    })
    .map((over) => bookedDisk(target, deviceId, over));

const anyLink = (position: number, targets: readonly string[]): fc.Arbitrary<BookedBackup> => {
  const rows = toDetails(
    keys({
      chainId: CHAIN,
      position,
      bitmapName: nameOf(position),
      type: position === 0 ? 'full' : 'incremental',
      parentBackupId: position === 0 ? null : `link-${position - 1}`,
    }),
  );
  return fc
    .record({
      status: mostly<BookedBackup['status']>(
        'BackedUp',
        ...(['Hidden', 'Error', 'Removed', 'Failed', 'BackingUp', 'Restoring'] as const),
      ),
      externalId: mostly<string | null>(`vm/link-${position}`, null),
      date: mostly<number | null>(T0 + position * 10, null),
      repositoryId: mostly<string | null>(NAS, null, 'nas-2'),
      assurance: mostly<BookedBackup['assurance']>('accounted', 'proven', 'unproven', 'broken', null),
      files: mostly<BookedBackup['files']>('present', 'unknown', 'missing', 'damaged'),
      type: mostly<BookedBackup['type']>(position === 0 ? 'FULL' : 'INCREMENTAL', 'FULL'),
      details: oddDetails(rows),
      disks: fc.oneof(
        { weight: 40, arbitrary: fc.tuple(...targets.map((target, index) => anyBookedDisk(target, index))) },
        { weight: 1, arbitrary: fc.constant([]) },
      ),
    })
    .map((over) => full({ uuid: `link-${position}`, ...over }));
};

const anyBitmap = (name: string): fc.Arbitrary<BitmapFacts> =>
  fc
    .record({
      recording: mostly<boolean | null>(true, false, null),
      inconsistent: mostly<boolean | null>(false, true, null),
      persistent: mostly<boolean | null>(true, false, null),
      busy: mostly<boolean | null>(false, true, null),
      granularity: mostly<number | null>(65_536, 4096, null),
      dirtyBytes: mostly<number | null>(131_072, 65_536, 262_144, null),
    })
    .map((over) => bitmap(name, over));

const anyDisk = (target: string, index: number, name: string): fc.Arbitrary<InspectedDisk> =>
  fc
    .record({
      path: mostly<string | null>(`/mnt/pool/${target}-image`, null, '/elsewhere'),
      inode: mostly<number | null>(101 + index, null, 7),
      type: mostly<InspectedDisk['type']>('file', null, 'block', 'network'),
      format: mostly<string | null>('qcow2', null, 'raw'),
      compat: mostly<string | null>('1.1', null, '0.10'),
      virtualSize: mostly<number | null>(GIB, null, GIB / 2, 2 * GIB),
      bitmaps: fc.oneof(
        { weight: 40, arbitrary: anyBitmap(name).map((one) => [bitmap('other-tool', { recording: false }), one]) },
        { weight: 2, arbitrary: fc.constantFrom<BitmapFacts[] | null>([], null) },
      ),
    })
    .map((over) => disk(target, over));

const anyDisks = (targets: readonly string[], name: string): fc.Arbitrary<InspectedDisk[]> =>
  fc.oneof(
    { weight: 40, arbitrary: fc.tuple(...targets.map((target, index) => anyDisk(target, index, name))) },
    { weight: 1, arbitrary: fc.tuple(...[...targets, 'vdz'].map((target, index) => anyDisk(target, index, name))) },
    { weight: 1, arbitrary: fc.constant<InspectedDisk[]>([]) },
    { weight: 1, arbitrary: fc.tuple(...['vda', 'vda'].map((target, index) => anyDisk(target, index, name))) },
  );

const anyResizes = (target: string): fc.Arbitrary<DiskResize[]> => {
  const size = fc.constantFrom(GIB / 2, GIB, 2 * GIB);
  return fc.oneof(
    { weight: 12, arbitrary: fc.constant<DiskResize[]>([]) },
    {
      weight: 1,
      arbitrary: fc.array(fc.record({ target: fc.constantFrom(target, 'vdz'), from: size, to: size }), { maxLength: 3 }),
    },
  );
};

/** Books and facts that may be anything, and the wish and the policy beside them. */
export const anySituation: fc.Arbitrary<DecideInput> = fc
  .record({ links: fc.integer({ min: 0, max: 4 }), targets: fc.constantFrom(['vda'], ['vda', 'vdb']) })
  .chain(({ links, targets }) => {
    const name = nameOf(links - 1);
    return fc
      .record({
        backups: fc.tuple(...Array.from({ length: links }, (_, index) => anyLink(links - 1 - index, targets))),
        failedBefore: fc.boolean(),
        activeCheckpointId: mostly<string | null>(links === 0 ? null : name, null, nameOf(0), 'backup-3'),
        disks: anyDisks(targets, name),
        inspections: fc.array(anyDisks(targets, name), { maxLength: 2 }),
        resizes: anyResizes('vda'),
        restoredAt: mostly<number | null>(null, T0, T0 + 20, T0 + 1000),
        state: mostly<'running' | 'paused' | 'shut off' | 'absent'>('running', 'paused', 'shut off', 'absent'),
        vm: mostly(VM, '-x', 'a/b', '', 'x'.repeat(128)),
        job: mostly<string | null>(null, 'Backup', 'Outgoing migration'),
        checkpoints: fc.constantFrom([name], [name], [name], []),
        mode: mostly<'auto' | 'full'>('auto', 'full'),
        incrementalEnabled: mostly(true, false),
        fullEvery: mostly<number | null>(10, null, 0, 1, 2, 4),
        fullDueAt: mostly<number | null>(null, T0, T0 + 7200, T0 + 9999),
        acceptUnprovenParent: fc.boolean(),
        script: mostly<HostScript>(OURS, stock('legacy'), stock('seed'), stock('mid'), stock('final')),
        onLostBitmap: fc.constantFrom<LostBitmapWish>('full', 'full', 'rescue'),
        wish: mostly<LostBitmapWish | undefined>(undefined, 'full', 'rescue'),
        repositoryId: mostly(NAS, 'nas-2'),
        faked: fc.boolean(),
      })
      .map((any): DecideInput => {
        const failed = full({ uuid: 'failed', status: 'Failed', details: [] });
        const input = situation({ repositoryId: any.repositoryId, script: any.script });
        return {
          ...input,
          newChainId: NEW_CHAIN,
          request: { mode: any.mode, quiesce: false, ...(any.wish === undefined ? {} : { onLostBitmap: any.wish }) },
          policy: {
            ...input.policy,
            incrementalEnabled: any.incrementalEnabled,
            fullEvery: any.fullEvery,
            fullDueAt: any.fullDueAt,
            acceptUnprovenParent: any.acceptUnprovenParent,
            onLostBitmap: any.onLostBitmap,
          },
          books: {
            backups: any.failedBefore ? [failed, ...any.backups] : any.backups,
            activeCheckpointId: any.activeCheckpointId,
            lastUsedEpoch: null,
            restoredAt: any.restoredAt,
            resizes: any.resizes,
            inspections: any.inspections.map((disks) => ({ disks })),
          },
          facts: inspect({
            vm: { name: any.vm, state: any.state },
            job: { active: any.job !== null, operation: any.job },
            checkpoints: any.checkpoints,
            // What a guest can do to a raw disk, seen once it is stopped; by chance alone that would hardly ever come up.
            disks: any.disks.map((one) => (any.state === 'shut off' && any.faked ? { ...one, format: 'raw' } : one)),
          }),
        };
      });
  });
