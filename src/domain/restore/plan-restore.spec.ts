import { bookedDisk, disk, full, GIB, inspect, keys, NAS, parent, T0, VM } from '../../../test/unit/chain/situation';
import type { BookedBackup } from '../chain/booked-backup';
import { toDetails } from '../chain/chain-keys';
import { planRestore, type RestoreBooks } from './plan-restore';
import type { Acceptance, RestorePlan, RestoreRequest } from './restore-plan';

const BY = { by: 'ops', why: 'the array is on fire' };
const UNPROVEN: Acceptance = { level: 'unproven', ...BY };
const SALVAGE: Acceptance = { level: 'broken', ...BY };
const VOLUMES = [
  { target: 'vda', deviceId: 0, path: '/mnt/pool/vda-image', size: GIB },
  { target: 'vdb', deviceId: 1, path: '/mnt/pool/vdb-image', size: GIB },
];
const STOPPED = inspect({ vm: { state: 'shut off' } });

type Asked = readonly [Partial<RestoreRequest>, Partial<RestoreBooks>?];
const decide = (...[request, books]: Asked) =>
  planRestore(
    {
      ...{
        backup: 'parent',
        way: 'new-disks',
        disks: null,
        to: '/restore',
        paths: {},
        files: {},
        format: null,
        overwrite: false,
      },
      ...{ newName: null, networks: false, attachTo: null, bandwidth: null, accepted: null },
      ...request,
    },
    { vm: VM, backups: [parent(), full()], volumes: VOLUMES, facts: null, ...books },
  );
const planned = (...asked: Asked): RestorePlan => {
  const plan = decide(...asked);
  if (plan.kind === 'refused') throw new Error(`${plan.code}: ${plan.message}`);
  return plan;
};
const refused = (...asked: Asked): string => {
  const plan = decide(...asked);
  return plan.kind === 'refused' ? plan.code : 'planned';
};
const next = (...asked: Asked): string => {
  const plan = decide(...asked);
  return plan.kind === 'refused' ? plan.next : 'planned';
};
const places = (...asked: Asked): string[] =>
  planned(...asked).disks.map(({ target, to, format }) => `${target} ${to} ${format}`);

const IN_PLACE = { way: 'in-place', to: null } as const;
const stopped = (over: Partial<RestoreBooks> = {}): Partial<RestoreBooks> => ({ facts: STOPPED, ...over });
const seen = (...disks: Parameters<typeof disk>[]): Partial<RestoreBooks> => ({
  facts: inspect({ vm: { state: 'shut off' }, disks: disks.map((one) => disk(...one)) }),
});

describe('planRestore', () => {
  it('new disks: disk to file to place, sizes to the byte, what the point is worth', () => {
    const odd = [bookedDisk('vda', 0, { virtualSize: GIB + 512 }), bookedDisk('vdb', 1, { virtualSize: 512 })];
    expect(planned({ bandwidth: 7 }, { backups: [parent({ disks: odd }), full()] })).toEqual({
      ...{ kind: 'restore', backup: 'parent', vm: VM, way: 'new-disks', externalId: parent().externalId, repositoryId: NAS },
      ...{ assurance: 'accounted', accepted: null, overwrite: false, newName: null, networks: false, attachTo: null },
      ...{ bandwidth: 7, bytes: GIB + 1024, warnings: [] },
      disks: [
        {
          ...{ target: 'vda', deviceId: 0, file: 'root.vda-image.qcow2', to: `/restore/${VM}-vda.qcow2`, format: 'qcow2' },
          ...{ virtualSize: GIB + 512, sizeNow: null },
        },
        {
          ...{ target: 'vdb', deviceId: 1, file: 'datadisk.vdb-image.qcow2', to: `/restore/${VM}-vdb.qcow2`, format: 'qcow2' },
          ...{ virtualSize: 512, sizeNow: null },
        },
      ],
    });
    expect(planned({}, { backups: [parent({ disks: [bookedDisk('vda', 0, { virtualSize: null })] }), full()] }).bytes).toBeNull();
  });

  it('places: a directory, a path for each, both; a device is raw unless somebody says otherwise', () => {
    expect(places({ to: '/restore//', format: 'raw' })).toEqual([
      `vda /restore/${VM}-vda.raw raw`,
      `vdb /restore/${VM}-vdb.raw raw`,
    ]);
    expect(places({ to: null, paths: { vda: '/dev/vg/a', vdb: '/r/b' } })).toEqual(['vda /dev/vg/a raw', 'vdb /r/b qcow2']);
    expect(places({ paths: { vdb: '/dev/vg/b' }, format: 'qcow2' })).toEqual([
      `vda /restore/${VM}-vda.qcow2 qcow2`,
      'vdb /dev/vg/b qcow2',
    ]);
    expect(places({ disks: ['vdb', 'vdb'] })).toEqual([`vdb /restore/${VM}-vdb.qcow2 qcow2`]);
    expect(places({ way: 'new-domain', newName: 'copy' })[0]).toBe('vda /restore/copy-vda.qcow2 qcow2');
    expect(planned({ way: 'new-domain', newName: 'copy', networks: true })).toMatchObject({ newName: 'copy', networks: true });
    expect(planned({ disks: ['vda'], attachTo: 'other' })).toMatchObject({
      attachTo: 'other',
      warnings: ['other will have a disk more: its next backup is a full'],
    });
    expect(
      planned({ attachTo: 'other' }, { backups: [full({ uuid: 'parent', disks: [bookedDisk('vda', 0)] })] }).disks,
    ).toHaveLength(1);
  });

  it.each<[string, string, Asked]>([
    ['no place', 'restore.contradiction', [{ to: null }]],
    ['a place for some only', 'restore.no-place', [{ to: null, paths: { vda: '/r/a' } }]],
    ['a place for a disk that is not restored', 'restore.contradiction', [{ disks: ['vda'], paths: { vdb: '/r/b' } }]],
    ['one place for two', 'restore.same-place', [{ to: null, paths: { vda: '/r/a', vdb: '/r/a' } }]],
    ['in place, and a directory', 'restore.contradiction', [{ way: 'in-place' }, stopped()]],
    ['in place, and a path', 'restore.contradiction', [{ ...IN_PLACE, paths: { vda: '/r/a' } }, stopped()]],
    ['in place, and over a device', 'restore.contradiction', [{ ...IN_PLACE, overwrite: true }, stopped()]],
    ['in place, and a new name', 'restore.contradiction', [{ ...IN_PLACE, newName: 'copy' }, stopped()]],
    ['in place, and attached', 'restore.contradiction', [{ ...IN_PLACE, disks: ['vda'], attachTo: 'other' }, stopped()]],
    ['a new VM without a name', 'restore.contradiction', [{ way: 'new-domain' }]],
    ['a name without a new VM', 'restore.contradiction', [{ newName: 'copy' }]],
    [
      'a new VM, and attached',
      'restore.contradiction',
      [{ way: 'new-domain', newName: 'copy', disks: ['vda'], attachTo: 'other' }],
    ],
    ['networks of no new VM', 'restore.contradiction', [{ networks: true }]],
    ['two disks attached', 'restore.contradiction', [{ attachTo: 'other' }]],
    ['a disk that it does not hold', 'restore.no-such-disk', [{ disks: ['vda', 'vdz'] }]],
    ['a backup of nobody', 'restore.nothing-there', [{ backup: 'none' }]],
  ])('refuses: %s', (_what, code, asked) => expect(refused(...asked)).toBe(code));

  it.each(['BackingUp', 'Error', 'Failed', 'Hidden', 'Restoring', 'Removed'] as const)('%s: no restore point', (status) => {
    expect(refused({ accepted: SALVAGE }, { backups: [parent({ status }), full()] })).toBe('restore.nothing-there');
  });

  it('a backup that lies nowhere', () => {
    expect(refused({}, { backups: [parent({ externalId: null }), full()] })).toBe('restore.nothing-there');
    expect(refused({}, { backups: [parent({ repositoryId: null }), full()] })).toBe('restore.no-repository');
  });

  describe('what a point is worth', () => {
    const doubtful = (over: Partial<BookedBackup>): Partial<RestoreBooks> => ({ backups: [parent(over), full()] });

    it('unproven: only when somebody takes it for that, who and why', () => {
      const books = doubtful({ assurance: 'unproven' });
      expect(refused({}, books)).toBe('restore.unproven');
      expect(planned({ accepted: UNPROVEN }, books)).toMatchObject({ assurance: 'unproven', accepted: UNPROVEN });
      expect(planned({ accepted: SALVAGE }, books)).toMatchObject({ assurance: 'unproven', accepted: SALVAGE });
      expect(refused({}, doubtful({ assurance: null }))).toBe('restore.unproven');
      // The weakest link under it counts.
      expect(refused({}, { backups: [parent(), full({ assurance: 'unproven' })] })).toBe('restore.unproven');
    });

    it('broken: only when somebody salvages it', () => {
      for (const books of [doubtful({ assurance: 'broken' }), doubtful({ files: 'damaged' })]) {
        expect(refused({}, books)).toBe('restore.broken');
        expect(refused({ accepted: UNPROVEN }, books)).toBe('restore.broken');
        expect(planned({ accepted: SALVAGE }, books)).toMatchObject({ assurance: 'broken', accepted: SALVAGE });
      }
      expect(refused({}, { backups: [parent(), full({ files: 'damaged' })] })).toBe('restore.broken');
      expect(refused({}, { backups: [full({ uuid: 'parent', details: [], files: 'damaged' })] })).toBe('restore.broken');
    });

    it('what is not there cannot be salvaged either', () => {
      const orphan = parent({ details: toDetails(keys({ parentBackupId: 'nobody', position: 1, type: 'incremental' })) });
      for (const backups of [
        [parent({ files: 'missing' }), full()],
        [parent(), full({ files: 'missing' })],
        [orphan, full()],
        [parent({ details: [] })],
      ])
        expect([refused({}, { backups }), refused({ accepted: SALVAGE }, { backups })]).toEqual([
          'restore.not-restorable',
          'restore.not-restorable',
        ]);
    });

    it('a legacy full stands for itself; a hidden link under a point is no obstacle', () => {
      expect(refused({}, { backups: [full({ uuid: 'parent', details: [] })] })).toBe('planned');
      expect(refused({}, { backups: [full({ uuid: 'parent', details: [], assurance: null })] })).toBe('restore.unproven');
      expect(refused({}, { backups: [parent(), full({ status: 'Hidden' })] })).toBe('planned');
    });

    it('the nearest better point is offered, and only one that is worth more and is offered', () => {
      const alone = (uuid: string, date: number | null, over: Partial<BookedBackup> = {}): BookedBackup =>
        full({ uuid, date, details: [], ...over });
      const asked = alone('parent', T0, { assurance: 'unproven' });
      const offered = (...others: BookedBackup[]): string => next({}, { backups: [asked, ...others] });
      expect(offered()).toBe('The VM has no better point. Or take it as it is: --accept-unproven, and why.');
      expect(offered(alone('far', T0 - 900), alone('near', T0 + 300), alone('farther', T0 + 1000))).toBe(
        `The nearest better point is near of ${new Date((T0 + 300) * 1000).toISOString()} (accounted). Or take it as it is: --accept-unproven, and why.`,
      );
      expect(
        offered(
          alone('hidden', T0, { status: 'Hidden' }),
          alone('missing', T0, { files: 'missing' }),
          alone('damaged', T0, { files: 'damaged', assurance: 'broken' }),
          alone('as doubtful', T0 + 1, { assurance: 'unproven' }),
          alone('good', T0 - 86_400, { assurance: 'proven' }),
        ),
      ).toContain('is good of');
      expect(
        next({}, { backups: [alone('parent', T0, { assurance: 'broken' }), alone('doubtful', T0, { assurance: 'unproven' })] }),
      ).toBe('The VM has no better point. Or take it as it is: --salvage, and why.');
      expect(next({}, { backups: [parent({ files: 'missing' }), full()] })).toContain('The nearest better point is full of');
      expect(planned({ accepted: UNPROVEN }, { backups: [asked, alone('near', null)] }).warnings).toEqual([
        'taken as it is, unproven: The nearest better point is near (accounted).',
      ]);
    });
  });

  describe('files that the books do not know', () => {
    const nameless = { backups: [full({ uuid: 'parent', details: [], disks: [bookedDisk('vda', 0, { file: null })] })] };
    const unknown = { backups: [full({ uuid: 'parent', details: [], disks: [] })] };
    it('are named by whoever asks', () => {
      expect(refused({}, nameless)).toBe('restore.files-unknown');
      expect(refused({}, unknown)).toBe('restore.files-unknown');
      expect(refused({ disks: ['vda'] }, unknown)).toBe('restore.files-unknown');
      expect(planned({ files: { vda: 'root.a.qcow2' } }, nameless).disks).toMatchObject([{ deviceId: 0, file: 'root.a.qcow2' }]);
      expect(planned({ files: { vda: 'a', vdb: 'b' } }, unknown)).toMatchObject({
        bytes: null,
        disks: [
          { target: 'vda', deviceId: 0, file: 'a', virtualSize: null },
          { target: 'vdb', deviceId: 1, file: 'b', virtualSize: null },
        ],
      });
      expect(planned({ disks: ['vdb'], files: { vda: 'a', vdb: 'b' } }, unknown).disks).toHaveLength(1);
    });
  });

  describe('in place', () => {
    it('over the VM’s own volumes, in their format, and says what that means', () => {
      const plan = planned(IN_PLACE, stopped());
      expect(plan.disks).toMatchObject([
        { target: 'vda', deviceId: 0, to: '/mnt/pool/vda-image', format: 'qcow2', virtualSize: GIB, sizeNow: GIB },
        { target: 'vdb', deviceId: 1, to: '/mnt/pool/vdb-image', format: 'qcow2', virtualSize: GIB, sizeNow: GIB },
      ]);
      expect(plan.warnings).toEqual([expect.stringMatching(/^every bitmap of the VM goes/)]);
      const backups = [parent({ disks: [bookedDisk('vda', 0, { format: 'raw' }), bookedDisk('vdb', 1)] }), full()];
      expect(places(IN_PLACE, { ...seen(['vda', { format: 'raw' }], ['vdb']), backups })).toEqual([
        'vda /mnt/pool/vda-image raw',
        'vdb /mnt/pool/vdb-image qcow2',
      ]);
    });

    it.each(['running', 'paused'] as const)('not while it is %s', (state) =>
      expect(refused(IN_PLACE, { facts: inspect({ vm: { state } }) })).toBe('restore.vm-running'),
    );
    it('nor when nobody has looked; a VM that libvirt has forgotten is stopped', () => {
      expect(refused(IN_PLACE)).toBe('restore.vm-running');
      expect(refused(IN_PLACE, { facts: inspect({ vm: { state: 'absent' }, disks: [] }) })).toBe('planned');
      // New disks touch nothing of it.
      expect(refused({}, { facts: inspect() })).toBe('planned');
    });

    it('a disk that the VM has no longer, and a VM that is gone', () => {
      expect(refused(IN_PLACE, stopped({ volumes: VOLUMES.slice(0, 1) }))).toBe('restore.no-volume');
      expect(refused(IN_PLACE, stopped({ volumes: [] }))).toBe('restore.no-volume');
      expect(refused({}, { volumes: [] })).toBe('planned');
    });

    it.each(['block', 'network'] as const)('a volume that is a %s device has no room beside it', (type) =>
      expect(refused(IN_PLACE, seen(['vda'], ['vdb', { type }]))).toBe('restore.not-in-place'),
    );
    it('nor has one that is no path; a format that nothing can write', () => {
      const rbd = VOLUMES.map((volume) => ({ ...volume, path: `pool/${volume.target}-image` }));
      expect(refused(IN_PLACE, stopped({ volumes: rbd }))).toBe('restore.not-in-place');
      expect(refused(IN_PLACE, seen(['vda', { format: 'vmdk' }]))).toBe('restore.not-in-place');
    });

    it('another format than the volume’s would be read as what it is not', () => {
      expect(refused({ ...IN_PLACE, format: 'raw' }, stopped())).toBe('restore.contradiction');
      expect(refused({ ...IN_PLACE, format: 'qcow2' }, stopped())).toBe('planned');
    });

    it('the format of a volume that is gone is that of the backup; where nobody knows it, it must be said', () => {
      const booked = (format: string | null) => ({
        ...seen(),
        backups: [parent({ disks: [bookedDisk('vda', 0, { format }), bookedDisk('vdb', 1)] }), full()],
      });
      expect(places(IN_PLACE, booked('raw'))).toEqual(['vda /mnt/pool/vda-image raw', 'vdb /mnt/pool/vdb-image qcow2']);
      expect(refused({ ...IN_PLACE, format: 'qcow2' }, booked('raw'))).toBe('restore.contradiction');
      expect(refused(IN_PLACE, booked('vmdk'))).toBe('restore.not-in-place');
      expect(refused(IN_PLACE, booked(null))).toBe('restore.format-unknown');
      expect(places({ ...IN_PLACE, disks: ['vda'], format: 'raw' }, booked(null))).toEqual(['vda /mnt/pool/vda-image raw']);
    });

    it('a volume that looks like another format than it had: its guest may have made it look so', () => {
      const faked = {
        ...seen(['vda'], ['vdb']),
        backups: [parent({ disks: [bookedDisk('vda', 0, { format: 'raw' }), bookedDisk('vdb', 1)] }), full()],
      };
      expect(refused(IN_PLACE, faked)).toBe('restore.format-unknown');
      for (const format of ['raw', 'qcow2'] as const)
        expect(places({ ...IN_PLACE, disks: ['vda'], format }, faked)).toEqual([`vda /mnt/pool/vda-image ${format}`]);
    });

    describe('a letter that is of another volume now', () => {
      const B = '/mnt/pool/vdb-image';
      const C = '/mnt/pool/other';
      const volumesAt = (...paths: string[]) =>
        paths.map((path, deviceId) => ({ target: `vd${'abc'[deviceId]}`, deviceId, path, size: GIB }));
      const at = (...paths: string[]) => stopped({ volumes: volumesAt('/mnt/pool/vda-image', ...paths) });

      it('is refused, whether the VM still has the one that was backed up or not', () => {
        for (const books of [at(C), at(C, B)]) {
          expect(refused(IN_PLACE, books)).toBe('restore.other-volume');
          expect(refused({ ...IN_PLACE, disks: ['vdb'] }, books)).toBe('restore.other-volume');
          expect(places({ ...IN_PLACE, disks: ['vda'] }, books)).toEqual(['vda /mnt/pool/vda-image qcow2']);
        }
        expect(next(IN_PLACE, at(C))).toContain(`--to vdb=${C}`);
        expect(next(IN_PLACE, at(C, B))).toContain(`--to vdb=${B}`);
        // Its letter is of nobody now.
        expect(refused(IN_PLACE, stopped({ volumes: [VOLUMES[0]!, { ...VOLUMES[1]!, target: 'vdc' }] }))).toBe(
          'restore.other-volume',
        );
      });

      it('unless somebody names the volume, which must be one of the VM and of one disk only', () => {
        const over = (path: string): Partial<RestoreRequest> => ({ ...IN_PLACE, paths: { vdb: path } });
        expect(planned(over(B), at(C, B))).toMatchObject({
          disks: [{ to: '/mnt/pool/vda-image' }, { target: 'vdb', deviceId: 2, to: B, format: 'qcow2' }],
          warnings: ['vdb of the VM stays as it is: it may not fit the others any more', expect.stringMatching(/^every/)],
        });
        const overC = { ...over(C), format: 'qcow2' } as const;
        expect(planned(overC, at(C)).disks[1]).toMatchObject({ target: 'vdb', deviceId: 1, to: C });
        expect(planned(overC, at(C)).warnings[0]).toBe(
          `vdb was ${B} when it was backed up, and goes over ${C}: see that this may be`,
        );
        expect(refused(over('/mnt/pool/nobodys'), at(C))).toBe('restore.contradiction');
        expect(refused(over('/mnt/pool/vda-image'), at(C))).toBe('restore.same-place');
        // What a volume was that is gone and was never backed up the books do not know.
        expect(refused(over(C), at(C))).toBe('restore.format-unknown');
      });

      it('a volume that went to another storage under its name is the same one, if no other has that name', () => {
        expect(places(IN_PLACE, at('/mnt/new/vdb-image'))[1]).toBe('vdb /mnt/new/vdb-image qcow2');
        expect(planned(IN_PLACE, at('/mnt/new/vdb-image')).warnings[0]).toContain('goes over /mnt/new/vdb-image');
        expect(refused(IN_PLACE, at(C, '/mnt/new/vdb-image'))).toBe('restore.other-volume');
        expect(refused(IN_PLACE, at('/mnt/new/vdb-image', '/mnt/newer/vdb-image'))).toBe('restore.other-volume');
        const backups = [
          parent({ disks: [bookedDisk('vda', 0, { path: '/a/disk' }), bookedDisk('vdb', 1, { path: '/b/disk' })] }),
          full(),
        ];
        const volumes = (...paths: string[]) => stopped({ volumes: volumesAt(...paths), backups });
        expect(places(IN_PLACE, volumes('/a/disk', '/b/disk'))).toEqual(['vda /a/disk qcow2', 'vdb /b/disk qcow2']);
        expect(refused(IN_PLACE, volumes('/b/disk', '/a/disk'))).toBe('restore.other-volume');
        expect(refused({ ...IN_PLACE, disks: ['vda'] }, volumes('/d/disk'))).toBe('restore.other-volume');
      });

      it('what the books never knew goes by its letter, and they say so', () => {
        const backups = [parent({ disks: [bookedDisk('vda', 0, { path: null })] }), full()];
        expect(planned(IN_PLACE, { ...at(C), backups })).toMatchObject({
          disks: [{ to: '/mnt/pool/vda-image' }],
          warnings: [expect.stringMatching(/^vdb of the VM/), expect.stringMatching(/^nobody knows/), expect.anything()],
        });
      });
    });

    it('says which disks stay, which changed their size, and which were elsewhere', () => {
      const books = seen(['vda', { virtualSize: GIB + 512 }], ['vdb']);
      const moved = [parent({ disks: [bookedDisk('vda', 0, { path: '/old/pool/vda-image' }), bookedDisk('vdb', 1)] }), full()];
      expect(planned({ ...IN_PLACE, disks: ['vda'] }, { ...books, backups: moved }).warnings).toEqual([
        'vdb of the VM stays as it is: it may not fit the others any more',
        'vda was /old/pool/vda-image when it was backed up, and goes over /mnt/pool/vda-image: see that this may be',
        `vda has ${GIB + 512} bytes now and will have ${GIB}`,
        expect.stringMatching(/^every bitmap/),
      ]);
    });

    it('goes by the books where the volume was not seen', () => {
      const volumes = [
        { ...VOLUMES[0]!, size: 7 * 512 },
        { ...VOLUMES[1]!, size: null },
      ];
      expect(planned(IN_PLACE, { ...seen(), volumes }).disks.map(({ sizeNow }) => sizeNow)).toEqual([7 * 512, null]);
    });
  });
});

/** All that somebody reads who is refused, and what the rim makes of it. */
describe('planRestore, in words', () => {
  const said = (...asked: Asked): string => {
    const plan = decide(...asked);
    return plan.kind === 'refused' ? `${plan.errorKind}: ${plan.message} ${plan.next}` : 'planned';
  };
  const alone = (over: Partial<BookedBackup>): Partial<RestoreBooks> => ({
    backups: [full({ uuid: 'parent', details: [], ...over })],
  });
  const nameless = [bookedDisk('vda', 0), bookedDisk('vdb', 1, { file: null })];
  const other = [VOLUMES[0]!, { ...VOLUMES[1]!, path: '/mnt/pool/other' }];
  const format = (booked: string | null, now: string | null): Partial<RestoreBooks> => ({
    ...(now === null ? seen() : seen(['vda', { format: now }], ['vdb'])),
    backups: [parent({ disks: [bookedDisk('vda', 0, { format: booked }), bookedDisk('vdb', 1)] }), full()],
  });

  it.each<[string, Asked]>([
    [
      'conflict: Backup none is not of this VM: nothing to be restored from. chainkeeper backups --vm VM lists the restore points.',
      [{ backup: 'none' }],
    ],
    [
      'conflict: Backup parent is Failed: nothing to be restored from. chainkeeper backups --vm VM lists the restore points.',
      [{}, { backups: [parent({ status: 'Failed' }), full()] }],
    ],
    [
      'refused: Nobody knows in which repository backup parent lies. Its offering or repository was removed from the books; docs/restore-by-hand.md tells how to restore it from the NAS alone.',
      [{}, alone({ repositoryId: null })],
    ],
    [
      'refused: Backup parent cannot be restored: a file of it or of a link under it is missing, or the books do not lead to its full. The VM has no better point. When it is back: chainkeeper checksums BACKUP --verify. Or look at what is there, by hand: docs/restore-by-hand.md.',
      [{}, alone({ files: 'missing' })],
    ],
    [
      'refused: Backup parent is broken. A witness contradicts it: it does not hold what the disk held. The VM has no better point. Or take it as it is: --salvage, and why.',
      [{}, alone({ assurance: 'broken' })],
    ],
    [
      'refused: Backup parent is unproven. Nothing contradicts it, and too little supports it. The VM has no better point. Or take it as it is: --accept-unproven, and why.',
      [{}, alone({ assurance: 'unproven' })],
    ],
    [
      'refused: A restore in place goes over the VM’s own volumes: it has no directory, device, name or other VM. Leave these out, or the wish for it to be in place.',
      [{ way: 'in-place' }, stopped()],
    ],
    [
      'refused: A restore in place goes over the VM’s own volumes: it has no directory, device, name or other VM. Leave these out, or the wish for it to be in place.',
      [{ ...IN_PLACE, newName: 'copy' }, stopped()],
    ],
    [
      'refused: Nobody said where the disks are to go. Name a directory of the host (--to), or ask for --in-place.',
      [{ to: null }],
    ],
    ['refused: A new VM needs a name, and only a new VM has one. Give it with --new-name.', [{ way: 'new-domain' }]],
    ['refused: Only a new VM gets network links. Leave --networks out, or name the VM with --new-name.', [{ networks: true }]],
    [
      'refused: A new VM has its disks already. Leave --attach or --new-name out.',
      [{ way: 'new-domain', newName: 'copy', attachTo: 'other' }],
    ],
    ['refused: A place was named for disk vdc, which is not restored. What is restored: vda, vdb.', [{ paths: { vdc: '/r/c' } }]],
    [
      'refused: Only one new disk can be attached to another VM. Name it with --disk. What is restored: vda, vdb.',
      [{ attachTo: 'other' }],
    ],
    [
      'conflict: VM i-2-7-VM is paused: its disks are in use. Stop it first, or restore into new files (--to).',
      [IN_PLACE, { facts: inspect({ vm: { state: 'paused' } }) }],
    ],
    [
      'conflict: VM i-2-7-VM is in an unknown state: its disks are in use. Stop it first, or restore into new files (--to).',
      [IN_PLACE],
    ],
    ['not-found: Backup parent holds no disk vdz. It holds vda, vdb.', [{ disks: ['vdz'] }]],
    [
      'refused: The books do not know the files of backup parent for disk vdb: a stock script took it. Name them: --file vda=root.….qcow2, one for each disk; they lie in its directory on the NAS.',
      [{}, alone({ disks: nameless })],
    ],
    [
      'refused: The books do not know the files of backup parent: a stock script took it. Name them: --file vda=root.….qcow2, one for each disk; they lie in its directory on the NAS.',
      [{}, alone({ disks: [] })],
    ],
    [
      'refused: Two disks would go to /r/a. Name a place of its own for each.',
      [{ to: null, paths: { vda: '/r/a', vdb: '/r/a' } }],
    ],
    [
      'refused: Disk vdb of i-2-7-VM is no file: there is no room beside it to write the new one before the old one goes. Restore it to a path (--to), and replace it by hand.',
      [IN_PLACE, seen(['vda'], ['vdb', { type: 'block' }])],
    ],
    [
      'refused: VM i-2-7-VM has no volume /r/a: a restore in place goes over its own. Its volumes are: vda /mnt/pool/vda-image, vdb /mnt/pool/vdb-image.',
      [{ ...IN_PLACE, paths: { vda: '/r/a' } }, stopped()],
    ],
    [
      'refused: VM i-2-7-VM has no volume /r/a: a restore in place goes over its own. Its volumes are: none.',
      [{ ...IN_PLACE, paths: { vda: '/r/a' } }, stopped({ volumes: [] })],
    ],
    [
      'refused: VM i-2-7-VM has no disk vdb now. Restore it into a new file (--disk, --to) and attach that, or leave it out by naming the others with --disk.',
      [IN_PLACE, stopped({ volumes: VOLUMES.slice(0, 1) })],
    ],
    [
      'refused: Disk vdb was /mnt/pool/vdb-image when it was backed up. VM i-2-7-VM has /mnt/pool/other there now. Say which volume it is to go over, for what that holds is lost: --to vdb=/mnt/pool/other. Volumes: vda /mnt/pool/vda-image, vdb /mnt/pool/other.',
      [IN_PLACE, stopped({ volumes: other })],
    ],
    [
      'refused: Disk vdb was /mnt/pool/vdb-image when it was backed up. That is vdc of i-2-7-VM now. Say which volume it is to go over, for what that holds is lost: --to vdb=/mnt/pool/vdb-image. Volumes: vda /mnt/pool/vda-image, vdb /mnt/pool/other, vdc /mnt/pool/vdb-image.',
      [IN_PLACE, stopped({ volumes: [...other, { ...VOLUMES[1]!, target: 'vdc' }] })],
    ],
    [
      'refused: Disk vdb was /mnt/pool/vdb-image when it was backed up. That is vdc of i-2-7-VM now. Say which volume it is to go over, for what that holds is lost: --to vdb=/mnt/pool/vdb-image. Volumes: vda /mnt/pool/vda-image, vdc /mnt/pool/vdb-image.',
      [IN_PLACE, stopped({ volumes: [VOLUMES[0]!, { ...VOLUMES[1]!, target: 'vdc' }] })],
    ],
    [
      'refused: Disk vda of i-2-7-VM is of the format vmdk, which nothing here can write. Restore it to a path (--to), and change the definition of the VM by hand.',
      [IN_PLACE, format('vmdk', null)],
    ],
    [
      'refused: Disk vda of i-2-7-VM was raw when it was backed up, and looks like qcow2 now. Say what the definition of the VM says: --format. A guest can make a raw disk look like something else.',
      [IN_PLACE, format('raw', 'qcow2')],
    ],
    [
      'refused: Disk vda of i-2-7-VM is qcow2: as raw it could not be read in its place. Leave the format out, or restore into new files (--to).',
      [{ ...IN_PLACE, format: 'raw' }, format('qcow2', 'qcow2')],
    ],
    [
      'refused: The volume of disk vda of i-2-7-VM cannot be read or is gone, and nobody knows its format. Say what the definition of the VM says: --format qcow2 or --format raw.',
      [IN_PLACE, format(null, null)],
    ],
    [
      'refused: Nobody said where disk vdb is to go. Name a directory (--to), or its own path (--to vdb=/…), or leave it out by naming the others with --disk.',
      [{ to: null, paths: { vda: '/r/a' } }],
    ],
  ])('%s', (words, asked) => expect(said(...asked)).toBe(words));
});

describe('planRestore, where little is known', () => {
  const unknown = (over: Partial<BookedBackup> = {}): Partial<RestoreBooks> => ({
    backups: [full({ uuid: 'parent', details: [], disks: [], ...over })],
  });

  it('offers what is worth more than the point, though that one cannot be restored at all', () => {
    const good = full({ uuid: 'good', details: [], assurance: 'accounted' });
    const gone = (over: Partial<BookedBackup>): string =>
      next({}, { backups: [full({ uuid: 'parent', details: [], files: 'missing', ...over }), good] });
    expect(gone({ assurance: 'proven' })).toMatch(/^The nearest better point is good of /);
  });

  it('says that a salvaged point is taken as it is', () => {
    expect(planned({ accepted: SALVAGE }, unknown({ assurance: 'broken', disks: [bookedDisk('vda', 0)] })).warnings).toEqual([
      'taken as it is, broken: The VM has no better point.',
    ]);
  });

  it('a file that somebody names takes the place of the one in the books, and makes no second disk', () => {
    const plan = planned({ files: { vdb: 'datadisk.other.qcow2' } });
    expect(plan.disks.map(({ target, file }) => `${target} ${file}`)).toEqual([
      'vda root.vda-image.qcow2',
      'vdb datadisk.other.qcow2',
    ]);
  });

  it('a file that somebody names for a disk that the books do not know is one disk more', () => {
    expect(
      planned({ files: { vdc: 'datadisk.new.qcow2' } }).disks.map(({ target, deviceId }) => `${target} ${deviceId}`),
    ).toEqual(['vda 0', 'vdb 1', 'vdc 2']);
  });

  it('a volume by its name, among disks whose volumes nobody knows', () => {
    const disks = [bookedDisk('vda', 0), bookedDisk('vdb', 1, { path: null })];
    const volumes = [{ ...VOLUMES[0]!, path: '/mnt/new/vda-image' }, VOLUMES[1]!];
    expect(places(IN_PLACE, { ...seen(), volumes, backups: [parent({ disks }), full()] })[0]).toBe(
      'vda /mnt/new/vda-image qcow2',
    );
  });

  it('the volume that was backed up, named: its format is the one in the books; of another, what somebody says', () => {
    const backups = [parent({ disks: [bookedDisk('vda', 0, { format: 'raw' }), bookedDisk('vdb', 1)] }), full()];
    const over = (path: string, now: string): Partial<RestoreBooks> => ({
      ...seen(['vda', { format: now, path }], ['vdb']),
      ...{ backups, volumes: [{ ...VOLUMES[0]!, path }, VOLUMES[1]!] },
    });
    const own = VOLUMES[0]!.path;
    expect(refused({ ...IN_PLACE, paths: { vda: own } }, over(own, 'qcow2'))).toBe('restore.format-unknown');
    expect(refused({ ...IN_PLACE, paths: { vda: '/mnt/pool/x' } }, over('/mnt/pool/x', 'qcow2'))).toBe('planned');
  });

  it('sizes that nobody knows are not told as changed', () => {
    const told = (now: number | null, then: number | null): string[] => {
      const volumes = [{ ...VOLUMES[0]!, size: now }, VOLUMES[1]!];
      const disks = [bookedDisk('vda', 0, { virtualSize: then }), bookedDisk('vdb', 1)];
      return [...planned(IN_PLACE, { ...seen(), volumes, backups: [parent({ disks }), full()] }).warnings];
    };
    expect(told(GIB, 512)).toEqual([`vda has ${GIB} bytes now and will have 512`, expect.stringMatching(/^every bitmap/)]);
    expect(told(null, 512)).toEqual([expect.stringMatching(/^every bitmap/)]);
    expect(told(GIB, null)).toEqual([expect.stringMatching(/^every bitmap/)]);
  });

  it('names every disk that stays', () => {
    const volumes = [...VOLUMES, { target: 'vdc', deviceId: 2, path: '/mnt/pool/c', size: GIB }];
    expect(planned({ ...IN_PLACE, disks: ['vda'] }, stopped({ volumes })).warnings[0]).toMatch(/^vdb, vdc of the VM stays/);
  });
});
