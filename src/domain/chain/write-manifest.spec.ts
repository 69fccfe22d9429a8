import type { BookedBackup } from './booked-backup';
import { type ManifestBooks, writeManifest } from './write-manifest';

const backup = (different: Partial<BookedBackup> = {}): BookedBackup => ({
  uuid: 'b2',
  status: 'BackedUp',
  type: 'INCREMENTAL',
  externalId: 'vm/2',
  date: 1,
  size: 10,
  repositoryId: 'r',
  details: [
    { name: 'nas.parent_backup_id', value: 'b1' },
    { name: 'nas.bitmap_name', value: 'backup-2' },
    { name: 'nas.chain_id', value: 'c' },
    { name: 'nas.chain_position', value: '1' },
    { name: 'nas.bitmap_recreated', value: 'backup-1' },
    { name: 'ck.recreate_method', value: 'rescued' },
  ],
  disks: [{ target: 'vda', deviceId: 0, path: '/images/a', inode: 1, format: 'qcow2', virtualSize: 64, file: 'root.a.qcow2' }],
  assurance: 'accounted',
  files: 'present',
  ...different,
});
const books = (different: Partial<ManifestBooks> = {}): ManifestBooks => ({
  vm: { id: 'v', name: 'vm' },
  backup: backup(),
  parentPath: 'vm/1',
  reason: 'rescued',
  assuranceAtBirth: 'accounted',
  times: { began: 'a', ended: 'b' },
  measured: { host: 'kvm1', script: '1.0.0', disks: [{ target: 'vda', fileSize: 9, backing: '../1/root.a.qcow2' }] },
  service: '0.1.0',
  ...different,
});

describe('writeManifest', () => {
  it('tells the place in the chain, the recreation, and of each disk its file and what that stands on', () => {
    expect(writeManifest(books())).toMatchObject({
      chain: { id: 'c', position: 1, parent: { backup: 'b1', path: 'vm/1' } },
      bitmap: 'backup-2',
      recreation: { bitmap: 'backup-1', method: 'rescued' },
      disks: [
        {
          ...{ target: 'vda', deviceId: 0, file: 'root.a.qcow2', size: 9, virtualSize: 64 },
          ...{ backing: '../1/root.a.qcow2', source: '/images/a' },
        },
      ],
    });
  });

  it('of a stock script’s legacy full: no chain, no size, and nothing guessed', () => {
    const legacy = books({ backup: backup({ type: 'FULL', details: [] }), measured: null, parentPath: null });
    expect(writeManifest(legacy)).toMatchObject({
      ...{ chain: null, bitmap: null, recreation: null, host: null, script: null },
      disks: [{ file: 'root.a.qcow2', size: null, backing: null }],
    });
  });

  it.each([
    ['no disk is known', []],
    ['one of the files is not', [...backup().disks, { ...backup().disks[0], target: 'vdb', file: null }]],
    ['one of the names is none', [{ ...backup().disks[0], file: '../a' }]],
  ])('is refused where %s', (_what, disks) => {
    const unknown = books({ backup: backup({ disks: disks as BookedBackup['disks'] }) });
    expect(writeManifest(unknown)).toMatchObject({ kind: 'refused', code: 'manifest.files-unknown' });
  });
});
