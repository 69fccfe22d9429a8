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
