import { type Facts } from './facts';
import { readFacts } from './read-facts';

const DISK: Facts['disks'][number] = {
  target: 'vda',
  path: '/images/a',
  inode: 17,
  format: 'qcow2',
  virtualSize: 67108864,
  method: 'incremental',
  file: 'root.a.qcow2',
  backing: '../d1/root.a.qcow2',
  fileSize: 393216,
  allocated: 397312,
  clusterSize: 65536,
  ownData: 65536,
  ownZero: 0,
  dirtyBefore: 65536,
  compared: null,
  parentBitmap: { recording: true, inconsistent: false, persistent: true, granularity: 65536 },
  check: 'ok',
  writtenBytes: 65536,
};

const FACTS: Facts = {
  v: 1,
  script: '1.0.0',
  dialect: 'seed',
  host: { name: 'kvm1', bootId: 'b', libvirt: '9.0.0', qemu: '7.2.22' },
  vm: { name: 'i-2-1234-VM', state: 'running', qemuStarted: '2026-04-27T13:45:00.123Z' },
  asked: { mode: 'incremental', bitmapNew: 'backup-2', bitmapParent: 'backup-1' },
  done: {
    mode: 'incremental',
    transfer: 'push',
    transferReason: null,
    bandwidth: 8,
    reason: 'redefined',
    recreateMethod: 'redefined',
    rescueRefused: null,
    bitmapNew: 'backup-2',
  },
  job: { result: 'completed', error: null, processed: 65536, total: 65536, ms: 12 },
  disks: [DISK],
  guest: { frozenMs: 3, pausedMs: null, slowestWriteMs: 7, resumed: null, thawed: true },
  space: { total: 100, free: 50 },
  cleanup: { ok: true, left: [] },
  timings: { mount: 5, total: 300, rebase: null },
  error: null,
};

const without = (path: string): unknown => edited(path, undefined);

/** The facts with one value changed, by a path such as `disks.0.inode`. */
function edited(path: string, value: unknown): unknown {
  const copy = structuredClone(FACTS) as unknown as Record<string, unknown>;
  const names = path.split('.');
  const last = names.pop() ?? '';
  const parent = names.reduce<Record<string, unknown>>((at, name) => at[name] as Record<string, unknown>, copy);
  parent[last] = value;
  return copy;
}

const read = (facts: unknown) => readFacts(JSON.stringify(facts));

describe('readFacts', () => {
  it('reads whole facts as they are', () => {
    expect(read(FACTS)).toEqual({ ok: true, value: FACTS, warnings: [] });
  });

  it.each<[string, readonly string[]]>([
    ['dialect', ['legacy', 'seed', 'mid', 'final']],
    ['vm.state', ['running', 'paused', 'shut off', 'absent']],
    ['done.mode', ['full', 'incremental', 'legacy-full', 'none']],
    ['done.transfer', ['push', 'pull', 'offline']],
    ['done.recreateMethod', ['redefined', 'rescued']],
    ['job.result', ['completed', 'failed', 'cancelled', 'unknown']],
    ['disks.0.method', ['full', 'incremental', 'rescued', 'converted']],
    ['disks.0.check', ['ok', 'errors', 'skipped']],
  ])('knows every word of %s', (path, words) => {
    for (const word of words)
      expect(read(edited(path, word))).toMatchObject({ ok: true, value: edited(path, word), warnings: [] });
  });

  it('takes no word for the weakest', () => {
    expect(read(edited('done', {}))).toMatchObject({ value: { done: { mode: 'none' } } });
    expect(read(edited('job', {}))).toMatchObject({ value: { job: { result: 'unknown' } } });
    expect(read(without('cleanup'))).toMatchObject({ value: { cleanup: { ok: true, left: [] } } });
    expect(read(edited('cleanup', { ok: false }))).toMatchObject({ value: { cleanup: { ok: false, left: [] } } });
  });

  it('takes what is missing for unknown', () => {
    const { v } = FACTS;
    expect(read({ v })).toEqual({
      ok: true,
      warnings: ['host', 'vm', 'asked', 'done', 'disks', 'cleanup', 'timings'].map((name) => `$.${name}: unknown`),
      value: {
        v: 1,
        script: null,
        dialect: null,
        host: { name: null, bootId: null, libvirt: null, qemu: null },
        vm: { name: null, state: null, qemuStarted: null },
        asked: { mode: null, bitmapNew: null, bitmapParent: null },
        done: {
          mode: 'none',
          transfer: null,
          transferReason: null,
          bandwidth: null,
          reason: null,
          recreateMethod: null,
          rescueRefused: null,
          bitmapNew: null,
        },
        job: null,
        disks: [],
        guest: null,
        space: null,
        cleanup: { ok: true, left: [] },
        timings: {},
        error: null,
      },
    });
  });

  it.each([
    ...['script', 'dialect', 'job', 'guest', 'space', 'error'],
    ...['host.name', 'host.bootId', 'host.libvirt', 'host.qemu', 'vm.name', 'vm.state', 'vm.qemuStarted'],
    ...['asked.mode', 'asked.bitmapNew', 'asked.bitmapParent'],
    ...['done.transfer', 'done.bandwidth', 'done.reason', 'done.recreateMethod', 'done.rescueRefused', 'done.bitmapNew'],
    ...[
      'job.error',
      'job.processed',
      'job.total',
      'job.ms',
      'guest.frozenMs',
      'guest.pausedMs',
      'guest.slowestWriteMs',
      'guest.resumed',
      'guest.thawed',
    ],
    ...Object.keys(DISK)
      .filter((name) => name !== 'target')
      .map((name) => `disks.0.${name}`),
    ...Object.keys(DISK.parentBitmap ?? {}).map((name) => `disks.0.parentBitmap.${name}`),
  ])('%s may be missing or null', (path) => {
    const expected = { ok: true, value: edited(path, null), warnings: [] };
    expect(read(without(path))).toEqual(expected);
    expect(read(edited(path, null))).toEqual(expected);
  });

  it.each([
    ['disks.0.inode', '17', '$.disks[0].inode', 'must be a whole number from 0 to 2^53-1, not string'],
    ['disks.0.inode', 1.5, '$.disks[0].inode', 'must be a whole number from 0 to 2^53-1, not 1.5'],
    ['disks.0.inode', -1, '$.disks[0].inode', 'must be a whole number from 0 to 2^53-1, not -1'],
    ['disks.0.inode', 2 ** 53, '$.disks[0].inode', 'must be a whole number from 0 to 2^53-1, not 9007199254740992'],
    ['disks.0.target', null, '$.disks[0].target', 'must be a text, not null'],
    ['disks.0.target', undefined, '$.disks[0].target', 'must be a text, not undefined'],
    ['disks.0.parentBitmap', [], '$.disks[0].parentBitmap', 'must be an object, not list'],
    ['disks.0.parentBitmap.recording', 'true', '$.disks[0].parentBitmap.recording', 'must be true or false, not string'],
    ['disks', {}, '$.disks', 'must be a list, not object'],
    ['disks', [null], '$.disks[0]', 'must be an object, not null'],
    ['host', 'kvm1', '$.host', 'must be an object, not string'],
    ['vm.state', 1, '$.vm.state', 'must be a text, not 1'],
    ['vm.qemuStarted', '2026-04-27 13:45', '$.vm.qemuStarted', 'must be a time in UTC (RFC 3339), not string'],
    ['vm.qemuStarted', '2026-13-27T13:45:00Z', '$.vm.qemuStarted', 'must be a time in UTC (RFC 3339), not string'],
    ['vm.qemuStarted', ' 2026-04-27T13:45:00Z', '$.vm.qemuStarted', 'must be a time in UTC (RFC 3339), not string'],
    ['vm.qemuStarted', '2026-04-27T13:45:00Z ', '$.vm.qemuStarted', 'must be a time in UTC (RFC 3339), not string'],
    ['vm.qemuStarted', 1777300200, '$.vm.qemuStarted', 'must be a time in UTC (RFC 3339), not 1777300200'],
    ['cleanup.ok', null, '$.cleanup.ok', 'must be true or false, not null'],
    ['cleanup.left', [1], '$.cleanup.left[0]', 'must be a text, not 1'],
    ['timings.mount', 'x', '$.timings.mount', 'must be a whole number from 0 to 2^53-1, not string'],
    ['timings', [], '$.timings', 'must be an object, not list'],
    ['space.free', null, '$.space.free', 'must be a whole number from 0 to 2^53-1, not null'],
    ['error', { code: 'x' }, '$.error.message', 'must be a text, not undefined'],
    ['job.result', 3, '$.job.result', 'must be a text, not 3'],
  ])('refuses %s = %j, and says where', (path, value, at, message) => {
    expect(read(edited(path, value))).toMatchObject({ ok: false, path: at, message });
  });

  it.each(['', '{', 'nonsense', '{"v":1,}', '[1'])('refuses %j as no JSON', (text) => {
    const reading = readFacts(text);
    expect(reading).toMatchObject({ ok: false, path: '$', warnings: [] });
    expect(reading).toHaveProperty('message', expect.stringMatching(/^not JSON: /));
  });

  it.each(['null', '[]', '1', '"x"'])('refuses %s as no object', (text) => {
    expect(readFacts(text)).toMatchObject({ ok: false, path: '$', message: expect.stringMatching(/^must be an object/) });
  });

  it('warns of a version and of fields that it does not know, and reads on', () => {
    const reading = read({ ...FACTS, v: 2, extra: 1, host: { ...FACTS.host, cpu: 'x' } });
    expect(reading).toEqual({
      ok: true,
      value: FACTS,
      warnings: ['$.extra: unknown field', '$.v: unknown version 2, read as version 1', '$.host.cpu: unknown field'],
    });
    expect(read(without('v'))).toMatchObject({ warnings: ['$.v: unknown version missing, read as version 1'] });
  });

  it.each([
    ['dialect', 'future', null],
    ['vm.state', 'dreaming', null],
    ['disks.0.method', 'magic', null],
    ['disks.0.check', 'perhaps', null],
    ['done.transfer', 'pigeon', null],
    ['done.recreateMethod', 'blank', null],
  ])('takes the unknown word in %s for unknown, with a warning', (path, value, read_) => {
    const at = `$.${path.replace('disks.0', 'disks[0]')}`;
    expect(read(edited(path, value))).toEqual({
      ok: true,
      value: edited(path, read_),
      warnings: [`${at}: unknown value "${value}"`],
    });
  });

  it.each([
    ['done.mode', 'other', 'none'],
    ['job.result', 'odd', 'unknown'],
  ])('has a word of its own for an unknown %s', (path, value, read_) => {
    expect(read(edited(path, value))).toEqual({
      ok: true,
      value: edited(path, read_),
      warnings: [`$.${path}: unknown value "${value}"`, `$.${path}: unknown`],
    });
  });

  it('is not led astray by names of the language', () => {
    const text = '{"v":1,"__proto__":{"script":"evil"},"constructor":1,"timings":{"__proto__":1}}';
    const reading = readFacts(text);
    expect(reading).toMatchObject({ ok: true, value: { script: null } });
    expect(reading.warnings).toContain('$.__proto__: unknown field');
    expect(reading.warnings).toContain('$.constructor: unknown field');
  });
});
