import {
  type BackupOrder,
  buildAbort,
  buildBackup,
  buildDelete,
  buildDiscard,
  buildInspect,
  buildRelease,
  buildRestore,
  buildRetire,
  buildStart,
  buildStats,
  buildStatus,
  type HostScript,
  type RestoreOrder,
} from './build-argv';

const OURS: HostScript = { kind: 'ours', dialect: 'seed' };
const stock = (dialect: HostScript['dialect']): HostScript => ({ kind: 'stock', dialect });
const NFS = { type: 'nfs', address: '10.1.1.1:/export', options: null };
const CIFS = { type: 'cifs', address: '//nas/share', options: 'username=bob,password=hunter2,vers=3.0' };

const order = (parts: Partial<BackupOrder> = {}): BackupOrder => ({
  vm: 'i-2-1234-VM',
  repository: NFS,
  path: 'i-2-1234-VM/2026.04.27.13.45.00',
  quiesce: false,
  diskPaths: [],
  mode: 'full',
  bitmapNew: 'backup-2',
  bitmapParent: null,
  disks: [
    { target: 'vda', mode: 'full', parentFile: null },
    { target: 'vdb', mode: 'full', parentFile: null },
  ],
  ...parts,
});

const incremental = order({
  mode: 'incremental',
  bitmapParent: 'backup-1',
  disks: [
    { target: 'vda', mode: 'incremental', parentFile: 'i-2-1234-VM/d1/root.a.qcow2', path: '/images/a' },
    { target: 'vdb', mode: 'incremental', parentFile: 'i-2-1234-VM/d1/datadisk.b.qcow2', path: '/images/b', format: 'qcow2' },
  ],
});

const HEAD = ['-o', 'backup', '-v', 'i-2-1234-VM', '-t', 'nfs', '-s', '10.1.1.1:/export', '-m', ''];
const COMMON = [...HEAD, '-p', 'i-2-1234-VM/2026.04.27.13.45.00', '-q', 'false', '-d', ''];

describe('buildBackup', () => {
  it.each([
    ['legacy', order({ mode: 'legacy-full', bitmapNew: null }), []],
    ['seed', order({ mode: 'legacy-full', bitmapNew: null }), []],
    ['mid', order({ mode: 'legacy-full', bitmapNew: null }), []],
    ['final', order({ mode: 'legacy-full', bitmapNew: null }), ['-M', 'legacy-full']],
    ['seed', order(), ['-M', 'full', '--bitmap-new', 'backup-2']],
    ['mid', order(), ['-M', 'full', '--bitmap-new', 'backup-2']],
    ['final', order(), ['-M', 'full', '--bitmap-new', 'backup-2']],
    [
      'seed',
      incremental,
      [
        '-M',
        'incremental',
        '--bitmap-new',
        'backup-2',
        '--bitmap-parent',
        'backup-1',
        '--parent-path',
        'i-2-1234-VM/d1/root.a.qcow2',
      ],
    ],
    ...(['mid', 'final'] as const).map(
      (dialect) =>
        [
          dialect,
          incremental,
          [
            ...['-M', 'incremental', '--bitmap-new', 'backup-2', '--bitmap-parent', 'backup-1'],
            ...['--parent-paths', 'i-2-1234-VM/d1/root.a.qcow2,i-2-1234-VM/d1/datadisk.b.qcow2'],
          ],
        ] as const,
    ),
  ] as const)('speaks %s to a stock script', (dialect, what, mode) => {
    expect(buildBackup(stock(dialect), what)).toEqual({ argv: [...COMMON, ...mode] });
  });

  it('tells our script disk by disk, and asks for facts', () => {
    const { argv, secrets } = buildBackup(OURS, incremental);
    const disks = argv[argv.indexOf('--disks') + 1] ?? '';
    expect(argv).toEqual([
      ...COMMON,
      ...['-M', 'incremental', '--bitmap-new', 'backup-2', '--bitmap-parent', 'backup-1'],
      ...['--dialect', 'seed', '--facts', '--disks', disks, '--transfer', 'push', '--on-lost-bitmap', 'full'],
    ]);
    expect(buildBackup(OURS, { ...incremental, bandwidth: 8 }).argv).toEqual([...argv, '-b', '8']);
    expect(buildBackup(OURS, { ...incremental, bandwidth: null }).argv).toEqual(argv);
    // A stock script would take it for an invalid option.
    expect(buildBackup(stock('final'), { ...incremental, bandwidth: 8 }).argv).not.toContain('-b');
    expect(JSON.parse(disks)).toEqual(incremental.disks);
    expect(secrets).toBeUndefined();
  });

  it('names the disks of a stopped VM, and freezes when asked', () => {
    const { argv } = buildBackup(OURS, order({ quiesce: true, diskPaths: ['/images/a', 'rbd:pool/b'] }));
    expect(argv.slice(HEAD.length + 2, HEAD.length + 6)).toEqual(['-q', 'true', '-d', '/images/a,rbd:pool/b']);
  });

  it('sends secrets on stdin only', () => {
    const { argv, secrets } = buildBackup(OURS, order({ repository: CIFS }));
    expect(argv.join(' ')).not.toMatch(/hunter2|bob/);
    expect(argv[argv.indexOf('-m') + 1]).toBe('vers=3.0');
    expect(secrets).toEqual({ credentials: { username: 'bob', password: 'hunter2' } });
  });

  it('sends all mount options on stdin when one of them is a secret of its own', () => {
    const ceph = { type: 'ceph', address: 'mon:6789:/', options: 'name=admin,secret=AQB==' };
    const bare = { ...ceph, options: 'secret=AQB==' };
    expect(buildBackup(OURS, order({ repository: ceph }))).toMatchObject({
      secrets: { mountOptions: 'name=admin,secret=AQB==' },
    });
    expect(buildBackup(OURS, order({ repository: bare }))).toMatchObject({ secrets: { mountOptions: 'secret=AQB==' } });
  });

  it('does not put a secret on the command line of a stock script', () => {
    expect(() => buildBackup(stock('final'), order({ repository: CIFS }))).toThrow(
      expect.objectContaining({ family: 'user', kind: 'refused', code: 'repository.secret-on-argv' }) as Error,
    );
  });

  it.each([
    ['a legacy script asked for a bitmap', stock('legacy'), order()],
    ['a full without a bitmap', stock('seed'), order({ bitmapNew: null })],
    ['an incremental without a parent', stock('seed'), { ...incremental, bitmapParent: null }],
    ['an incremental without disks', stock('seed'), { ...incremental, disks: [] }],
    ['a disk without a parent file', stock('final'), { ...incremental, disks: order().disks }],
  ])('refuses %s as a bug', (_, script, what) => {
    expect(() => buildBackup(script, what)).toThrow(
      expect.objectContaining({ family: 'invariant', code: 'agent.incomplete-order' }) as Error,
    );
  });

  it.each([
    ['name.vm', order({ vm: '-v' })],
    ['name.path', order({ path: '../etc' })],
    ['name.bitmap', order({ bitmapNew: 'x' })],
    ['name.disk', order({ diskPaths: ['a,b'] })],
    ['name.mount', order({ repository: { ...NFS, type: 'xfs' } })],
    ['name.address', order({ repository: { ...NFS, address: '-o' } })],
    ['name.options', order({ repository: { ...NFS, options: 'a\nb' } })],
    ['name.target', order({ disks: [{ target: 'a b', mode: 'full', parentFile: null }] })],
    ['name.path', order({ disks: [{ target: 'vda', mode: 'incremental', parentFile: '/a' }] })],
    ['name.disk', order({ disks: [{ target: 'vda', mode: 'full', parentFile: null, path: 'x' }] })],
  ])('refuses bad input: %s', (code, what) => {
    expect(() => buildBackup(OURS, what)).toThrow(expect.objectContaining({ code }) as Error);
  });
});

describe('buildRestore', () => {
  const disk = { target: 'vda', file: 'root.a.qcow2', to: '/images/a b', format: 'qcow2', virtualSize: 1_000_000_512 } as const;
  const restore = (parts: Partial<RestoreOrder> = {}): RestoreOrder => ({
    vm: 'i-2-1234-VM',
    repository: NFS,
    path: 'i-2-1234-VM/2026.04.27.13.45.00',
    disks: [disk],
    way: { kind: 'new-disks' },
    ...parts,
  });
  const HEAD_OF_RESTORE = ['restore', '-v', 'i-2-1234-VM', '-t', 'nfs', '-s', '10.1.1.1:/export', '-m', ''];
  const PLACE = ['-p', 'i-2-1234-VM/2026.04.27.13.45.00', '--disks', JSON.stringify([disk])];

  it.each<[string, Partial<RestoreOrder>, string[]]>([
    ['new disks', {}, []],
    ['in place', { way: { kind: 'in-place' } }, ['--swap']],
    ['a new domain', { way: { kind: 'new-domain', name: 'other', networks: false } }, ['--new-name', 'other']],
    ['with its networks', { way: { kind: 'new-domain', name: 'o', networks: true } }, ['--new-name', 'o', '--networks']],
    ['attached', { way: { kind: 'attached', vm: 'i-2-7-VM' } }, ['--attach', 'i-2-7-VM']],
    ['over a block device, slowly', { overwrite: true, mibPerSecond: 40 }, ['--overwrite', '-b', '40']],
  ])('%s', (_what, parts, end) => {
    expect(buildRestore(restore(parts))).toEqual({ argv: [...HEAD_OF_RESTORE, ...PLACE, ...end] });
  });

  it('credentials go on stdin', () => {
    const { argv, secrets } = buildRestore(restore({ repository: CIFS }));
    expect(argv.join(' ')).not.toContain('hunter2');
    expect(secrets).toEqual({ credentials: { username: 'bob', password: 'hunter2' } });
  });

  it.each<[string, string, Partial<RestoreOrder>]>([
    ['a file with a folder', 'name.file', { disks: [{ ...disk, file: '../x' }] }],
    ['a relative path', 'name.disk', { disks: [{ ...disk, to: 'images/a' }] }],
    ['a path with ..', 'name.disk', { disks: [{ ...disk, to: '/images/../etc/a' }] }],
    ['an option for a name', 'name.vm', { way: { kind: 'new-domain', name: '-x', networks: false } }],
    ['an option for a VM', 'name.vm', { way: { kind: 'attached', vm: '--swap' } }],
    ['half a byte', 'agent.not-a-whole-number', { disks: [{ ...disk, virtualSize: 0.5 }] }],
  ])('refuses %s', (_what, code, parts) => {
    expect(() => buildRestore(restore(parts))).toThrow(expect.objectContaining({ code }) as Error);
  });
});

describe('the other operations', () => {
  it('delete and stats are as CloudStack sends them', () => {
    const repository = ['-t', 'nfs', '-s', '10.1.1.1:/export', '-m', ''];
    expect(buildDelete(OURS, NFS, 'vm/d1')).toEqual({ argv: ['-o', 'delete', ...repository, '-p', 'vm/d1'] });
    expect(buildStats(OURS, NFS)).toEqual({ argv: ['-o', 'stats', ...repository] });
    expect(buildStats(stock('final'), NFS)).toEqual({ argv: ['-o', 'stats', ...repository] });
    expect(buildDiscard(NFS, 'vm/d1', 'run-1')).toEqual({ argv: ['delete', ...repository, '-p', 'vm/d1', '--run', 'run-1'] });
    expect(() => buildDelete(OURS, NFS, '/')).toThrow(expect.objectContaining({ code: 'name.path' }) as Error);
  });

  it('inspect names the disks of a stopped VM and the repository', () => {
    expect(buildInspect({ vm: 'vm' })).toEqual({ argv: ['inspect', '-v', 'vm'] });
    expect(buildInspect({ vm: 'vm', diskPaths: [] })).toEqual({ argv: ['inspect', '-v', 'vm'] });
    expect(buildInspect({ vm: 'vm', diskPaths: ['/a', '/b'], repository: CIFS })).toEqual({
      argv: ['inspect', '-v', 'vm', '-d', '/a,/b', '-t', 'cifs', '-s', '//nas/share', '-m', 'vers=3.0'],
      secrets: { credentials: { username: 'bob', password: 'hunter2' } },
    });
  });

  it('start wraps another command and carries its secrets', () => {
    expect(buildStart({ jobId: 'run-1', fence: 7, argv: ['-o', 'stats'] })).toEqual({
      argv: ['start', '--job', 'run-1', '--fence', '7', '--', '-o', 'stats'],
    });
    const secrets = { credentials: { password: 'hunter2' } };
    expect(buildStart({ jobId: 'run-1', fence: 0, argv: [], secrets })).toEqual({
      argv: ['start', '--job', 'run-1', '--fence', '0', '--'],
      secrets,
    });
  });

  it('status asks from where the last answer ended', () => {
    expect(buildStatus({ jobId: 'run-1' })).toEqual({ argv: ['status', '--job', 'run-1', '--from', '0:0'] });
    expect(buildStatus({ jobId: 'run-1', stdoutFrom: 65536, stderrFrom: 12 }).argv.at(-1)).toBe('65536:12');
  });

  it('abort and retire', () => {
    expect(buildAbort('run-1')).toEqual({ argv: ['abort', '--job', 'run-1'] });
    const retire = ['retire', '-v', 'vm', '--bitmap', 'backup-1', '--fence', '3'];
    expect(buildRetire({ vm: 'vm', bitmap: 'backup-1', fence: 3 })).toEqual({ argv: retire });
    expect(buildRetire({ vm: 'vm', bitmap: 'backup-1', fence: 3, diskPaths: ['/a'] })).toEqual({ argv: [...retire, '-d', '/a'] });
    expect(buildRelease({ vm: 'vm', fence: 3, diskPaths: ['/a'] })).toEqual({
      argv: ['release', '-v', 'vm', '-d', '/a', '--fence', '3'],
    });
    // A look needs no fence and leaves none behind.
    expect(buildRelease({ vm: 'vm', fence: 3, dryRun: true })).toEqual({ argv: ['release', '-v', 'vm', '--dry-run'] });
    expect(() => buildRetire({ vm: 'vm', bitmap: 'snap-1', fence: 3 })).toThrow(
      expect.objectContaining({ code: 'name.bitmap' }) as Error,
    );
  });

  it.each([-1, 1.5, NaN, 2 ** 53])('an epoch or offset of %p is a bug', (value) => {
    const bug = expect.objectContaining({ family: 'invariant', code: 'agent.not-a-whole-number' }) as Error;
    expect(() => buildStart({ jobId: 'a', fence: value, argv: [] })).toThrow(bug);
    expect(() => buildStatus({ jobId: 'a', stdoutFrom: value })).toThrow(bug);
    expect(() => buildStatus({ jobId: 'a', stderrFrom: value })).toThrow(bug);
    expect(() => buildRetire({ vm: 'a', bitmap: 'backup-1', fence: value })).toThrow(bug);
  });

  it('job ids cannot lead out of the job directory', () => {
    for (const jobId of ['../x', '', '-x', 'a/b']) {
      expect(() => buildStart({ jobId, fence: 1, argv: [] })).toThrow(expect.objectContaining({ code: 'name.job' }) as Error);
      expect(() => buildStatus({ jobId })).toThrow(expect.objectContaining({ code: 'name.job' }) as Error);
      expect(() => buildAbort(jobId)).toThrow(expect.objectContaining({ code: 'name.job' }) as Error);
    }
  });
});
