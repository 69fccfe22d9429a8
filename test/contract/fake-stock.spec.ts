import { randomUUID } from 'node:crypto';
import { posix } from 'node:path';
import { buildBackup } from '../../src/domain/agent/build-argv';
import type { BackupMode, Dialect } from '../../src/domain/agent/facts';
import { parseOutput, type ParsedOutput } from '../../src/domain/agent/parse-output';
import { FakeLab } from '../../src/hosts/fake/fake-lab';
import type { HostAccess } from '../../src/hosts/host-access';
import type { HostClient } from '../../src/hosts/host-client';
import { follow } from './follow';

const MIB = 1024 * 1024;
const VM = 'i-2-8-VM';

/** The stock scripts of the field, with what they get wrong, as a plain shell keeps them. */
describe('stock scripts on the fake host', () => {
  let lab: FakeLab;
  let client: HostClient;
  let host: HostAccess;
  let serial = 0;

  const open = async (dialect: Dialect): Promise<void> => {
    lab = new FakeLab();
    await lab.up();
    client = lab.client();
    host = { ...(await lab.access()), dialect, stock: { path: lab.installStock(dialect), beside: true } };
    await lab.vmCreate(VM, [{ target: 'vda', size: 8 * MIB }]);
    await lab.vmStart(VM);
    await lab.write(VM, 'vda', 0x11, 0, MIB);
  };
  const take = async (dialect: Dialect, mode: BackupMode, parent: Taken | null = null, stopped = false): Promise<Taken> => {
    const [disk] = await lab.vmDisks(VM);
    const file = `root.${posix.basename(disk?.path ?? '')}.qcow2`;
    const path = `${VM}/2026.01.01.00.00.0${(serial = (serial + 1) % 10)}`;
    const bitmap = `backup-${1000 + serial}`;
    const command = buildBackup(
      { kind: 'stock', dialect },
      {
        vm: VM,
        repository: { type: 'dir', address: await lab.nas('nas'), options: null },
        path,
        quiesce: false,
        diskPaths: stopped ? [disk?.path ?? ''] : [],
        mode,
        bitmapNew: mode === 'legacy-full' ? null : bitmap,
        bitmapParent: parent?.bitmap ?? null,
        disks: [{ target: 'vda', mode: parent ? 'incremental' : 'full', parentFile: parent && `${parent.path}/${file}` }],
      },
    );
    await lab.moment(VM, bitmap);
    const jobId = randomUUID();
    await client.start(host, { jobId, fence: 1, ...command });
    const { stdout, stderr, exit } = await follow(client, host, jobId);
    const answer = parseOutput({ dialect, vmState: stopped ? 'stopped' : 'running', stdout, stderr, exitCode: exit });
    return { path, bitmap, answer, file: lab.nasFile('nas', `${path}/${file}`) };
  };
  interface Taken {
    path: string;
    bitmap: string;
    answer: ParsedOutput;
    file: string;
  }
  const identical = ({ bitmap, file }: Taken): Promise<boolean> => lab.same(VM, bitmap, 'vda', file);
  const restart = async (): Promise<void> => {
    await lab.vmStop(VM);
    await lab.vmStart(VM);
  };

  afterEach(() => lab.down());

  test('ours beside it looks at a repository that needs credentials', async () => {
    await open('seed');
    const repository = { type: 'cifs', address: await lab.nas('nas'), options: 'username=bob,password=hunter2' };
    expect((await client.inspect(host, { vm: VM, repository })).space).not.toBeNull();
    expect([...lab.host.homeJobs]).toEqual([]);
  });

  test.each<[Dialect]>([['seed'], ['mid'], ['final']])(
    '%s: full and incremental without a restart are identical',
    async (dialect) => {
      await open(dialect);
      const full = await take(dialect, 'full');
      await lab.write(VM, 'vda', 0x22, MIB, MIB);
      const next = await take(dialect, 'incremental', full);
      expect([full.answer.result, next.answer.result, next.answer.bitmapRecreated]).toEqual([true, true, null]);
      expect([await identical(full), await identical(next)]).toEqual([true, true]);
    },
  );

  test('seed: a bitmap that outlived the restart makes every further incremental fail', async () => {
    await open('seed');
    const full = await take('seed', 'full');
    await restart();
    const { answer } = await take('seed', 'incremental', full);
    expect(answer).toMatchObject({
      result: false,
      exitCode: 1,
      details: expect.stringContaining('Failed to recreate parent bitmap'),
    });
  });

  test('seed: a lost bitmap is recreated blank: success, a marker, and a hole', async () => {
    await open('seed');
    const full = await take('seed', 'full');
    await lab.write(VM, 'vda', 0x22, 2 * MIB, MIB);
    await lab.vmStop(VM);
    await lab.bitmapRemove(VM, 'vda', full.bitmap);
    await lab.vmStart(VM);
    const next = await take('seed', 'incremental', full);
    expect(next.answer).toMatchObject({ result: true, bitmapRecreated: full.bitmap, bitmapCreated: next.bitmap });
    expect(await identical(next)).toBe(false);
  });

  test('mid: drops the bitmap that tracked everything and makes the same hole', async () => {
    await open('mid');
    const full = await take('mid', 'full');
    await lab.write(VM, 'vda', 0x22, 2 * MIB, MIB);
    await restart();
    const next = await take('mid', 'incremental', full);
    expect(next.answer).toMatchObject({ result: true, bitmapRecreated: full.bitmap });
    expect(await identical(next)).toBe(false);
  });

  test('final: a lost bitmap leads to a full, a spoiled one to a failure without a word', async () => {
    await open('final');
    const full = await take('final', 'full');
    await lab.vmStop(VM);
    await lab.bitmapRemove(VM, 'vda', full.bitmap);
    await lab.vmStart(VM);
    const next = await take('final', 'incremental', full);
    expect(next.answer).toMatchObject({ result: true, incrementalFallback: true });
    expect(await identical(next)).toBe(true);
    await restart();
    await lab.vmCrash(VM);
    await lab.vmStart(VM);
    expect((await take('final', 'incremental', next)).answer).toMatchObject({ result: false, details: '' });
  });

  test.each<[Dialect, BackupMode]>([
    ['legacy', 'legacy-full'],
    ['seed', 'full'],
    ['mid', 'full'],
    ['final', 'full'],
  ])('%s: a stopped VM', async (dialect, mode) => {
    await open(dialect);
    await lab.vmStop(VM);
    const point = await take(dialect, mode, null, true);
    expect(point.answer).toMatchObject({ result: true, bitmapCreated: dialect === 'mid' ? point.bitmap : null });
    expect(await identical(point)).toBe(true);
  });
});
