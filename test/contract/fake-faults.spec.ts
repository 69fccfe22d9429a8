import { randomUUID } from 'node:crypto';
import { FakeLab } from '../../src/hosts/fake/fake-lab';
import type { Fault, ScriptFault } from '../../src/hosts/fake/fault-plan';
import type { HostAccess } from '../../src/hosts/host-access';
import type { HostClient } from '../../src/hosts/host-client';
import { ChainOf, type Point } from './chain-of';
import { follow } from './follow';

const MIB = 1024 * 1024;
const VM = 'i-2-7-VM';

/** The fake host can be told to fail in every way that a real one can; whatever happens, a good incremental follows. */
describe('faults of the fake host', () => {
  let lab: FakeLab;
  let client: HostClient;
  let host: HostAccess;
  let chain: ChainOf;
  let full: Point;

  beforeEach(async () => {
    lab = new FakeLab();
    await lab.up();
    client = lab.client();
    host = await lab.access();
    await lab.vmCreate(VM, [
      { target: 'vda', size: 8 * MIB },
      { target: 'vdb', size: 4 * MIB },
    ]);
    await lab.vmStart(VM);
    chain = new ChainOf(lab, client, host, VM, 'nas');
    await lab.write(VM, 'vda', 0x11, 0, MIB);
    full = await chain.take('full');
    await lab.write(VM, 'vda', 0x22, MIB, 200_000);
  });
  afterEach(() => lab.down());

  const goodIncremental = async (parent = full): Promise<void> => {
    const next = await chain.take('incremental', parent);
    expect(next.answer).toMatchObject({ result: true, incrementalFallback: false });
    expect(await chain.identical(next)).toEqual([true, true]);
  };

  const failures: [ScriptFault, Partial<Record<string, unknown>>][] = [
    ['mount-failed', { code: 'mount-failed' }],
    ['nas-full', { code: 'target-full', resumed: true }],
    ['job-failed', { code: 'job-failed' }],
    ['job-cancelled', { code: 'job-cancelled' }],
    ['check-failed', { code: 'check-failed' }],
  ];
  test.each(failures)('%s: the run fails with its code, everything is taken back', async (kind, { code, resumed = null }) => {
    lab.host.faults.add({ kind });
    const { job, answer, bitmap } = await chain.take('incremental', full);
    expect(job).toMatchObject({ state: 'done', exit: 1 });
    expect(answer).toMatchObject({ result: false, needsCleanup: false });
    expect(answer.facts?.error?.code).toBe(code);
    expect(answer.facts?.guest?.resumed ?? null).toBe(resumed);
    expect(lab.host.vm(VM).state).toBe('running');
    expect(await lab.bitmaps(VM, 'vda')).not.toContain(bitmap);
    expect(await lab.leaks([full.bitmap])).toEqual([]);
    await goodIncremental();
  });

  test('guest-gone: the run fails, and after the start only a full is honest', async () => {
    lab.host.faults.add({ kind: 'guest-gone' });
    const { answer } = await chain.take('incremental', full);
    expect(answer.facts?.error?.code).toBe('guest-gone');
    await lab.vmStart(VM);
    const next = await chain.take('incremental', full);
    expect(next.answer).toMatchObject({ result: true, incrementalFallback: true });
    expect(await chain.identical(next)).toEqual([true, true]);
  });

  test('killed: the outcome is unknown, its files are no backup, and the parent is still good', async () => {
    lab.host.faults.add({ kind: 'killed' });
    const lost = await chain.take('incremental', full);
    expect(lost.job).toMatchObject({ state: 'unknown', exit: null });
    expect(lost.answer.code).toBe('outcome-unknown');
    await expect(chain.identical(lost)).rejects.toThrow(/chain is broken/);
    await client.abort(host, lost.jobId);
    await chain.discard(lost);
    await chain.retire(lost.bitmap);
    expect(await lab.leaks([full.bitmap])).toEqual([]);
    await goodIncremental();
  });

  test('umount-busy: the data is good, the cleanup is not', async () => {
    lab.host.faults.add({ kind: 'umount-busy' });
    const { job, answer } = await chain.take('incremental', full);
    expect(job.exit).toBe(0);
    expect(job.stderr).toContain('left behind');
    expect(answer).toMatchObject({ result: true });
    expect(answer.facts?.cleanup).toEqual({ ok: false, left: [expect.stringContaining('busy')] });
    expect(await lab.leaks([full.bitmap, answer.bitmapCreated ?? ''])).toEqual([expect.stringMatching(/^mount\t/)]);
  });

  test('thaw-failed: the run fails, and that the guest is frozen is said', async () => {
    lab.host.vm(VM).agent = true;
    lab.host.faults.add({ kind: 'thaw-failed' });
    const order = await chain.order('incremental', full);
    const argv = order.argv.map((word, index) => (order.argv[index - 1] === '-q' ? 'true' : word));
    await client.start(host, { ...order, argv });
    const { job, answer } = chain.ended(order, await follow(client, host, order.jobId));
    expect(job.exit).toBe(20);
    expect(answer).toMatchObject({
      result: false,
      needsCleanup: true,
      facts: { guest: { thawed: false }, error: { code: 'thaw-failed' } },
    });
  });

  test('redefine-refused: a full, with the reason', async () => {
    await lab.vmStop(VM);
    await lab.vmStart(VM);
    lab.host.faults.add({ kind: 'redefine-refused' });
    const { answer } = await chain.take('incremental', full);
    expect(answer.facts?.done).toMatchObject({ mode: 'full', reason: 'bitmap-unconfirmed', recreateMethod: null });
  });

  test.each<[Fault['kind'], string]>([
    ['unreachable', 'host.unreachable'],
    ['busy', 'host.busy'],
    ['key-unknown', 'host.key-unknown'],
    ['key-changed', 'host.key-changed'],
    ['auth-failed', 'host.auth-failed'],
  ])('%s: nothing is executed', async (kind, code) => {
    lab.host.faults.add({ kind, on: 'start' });
    const order = await chain.order('incremental', full);
    await expect(client.start(host, order)).rejects.toMatchObject({ code });
    expect(await client.status(host, { jobId: order.jobId })).toMatchObject({ state: 'absent' });
  });

  test.each<[Fault['kind']]>([['timeout'], ['lost-before'], ['lost-after']])(
    '%s at the start: asked again, it runs once',
    async (kind) => {
      lab.host.faults.add({ kind, on: 'start' });
      const point = await chain.take('incremental', full);
      expect(point.job.exit).toBe(0);
      expect(lab.host.jobs.size).toBe(2);
      expect(await chain.identical(point)).toEqual([true, true]);
    },
  );

  test('a start whose end is never seen ends with the outcome unknown, not failed', async () => {
    lab.host.faults.add({ kind: 'lost-after', on: 'start', times: Infinity });
    await expect(client.start(host, await chain.order('full'))).rejects.toMatchObject({
      code: 'host.outcome-unknown',
      kind: 'unreachable',
    });
  });

  test('garbage instead of an answer is refused by name', async () => {
    lab.host.faults.add({ kind: 'garbage', on: 'inspect' });
    await expect(client.inspect(host, { vm: VM })).rejects.toMatchObject({ code: 'host.bad-answer' });
  });

  test('a host that is not there', async () => {
    await expect(client.probe({ ...host, address: 'elsewhere' })).rejects.toMatchObject({ code: 'host.unreachable' });
  });

  test('a power cut in the middle: the job is unknown, and the host comes back', async () => {
    lab.host.paceMs = 50;
    const order = await chain.order('incremental', full);
    await client.start(host, order);
    lab.host.reboot();
    expect(await client.status(host, { jobId: order.jobId })).toMatchObject({ state: 'unknown', exit: null });
    await lab.vmStart(VM);
    lab.host.paceMs = 0;
    const next = await chain.take('full');
    expect(await chain.identical(next)).toEqual([true, true]);
  });

  test('a NAS that is too small is refused before the job begins', async () => {
    await lab.nasSmall('small', 1);
    const small = new ChainOf(lab, client, host, VM, 'small');
    const { answer } = await small.take('full');
    expect(answer.facts).toMatchObject({ error: { code: 'target-full' }, job: null });
  });

  test('a stopped VM cannot be started while its images are read', async () => {
    await lab.vmStop(VM);
    chain.stopped = true;
    lab.host.paceMs = 30;
    const order = await chain.order('full');
    await client.start(host, order);
    await new Promise((later) => setTimeout(later, 45));
    await expect(lab.vmStart(VM)).rejects.toThrow(/lock/);
    expect(await client.abort(host, order.jobId)).toMatchObject({ state: 'done', exit: 1 });
    expect(await lab.bitmaps(VM, 'vda')).toEqual([full.bitmap]);
    await lab.vmStart(VM);
  });

  test('secrets of a job are gone when it ends', async () => {
    const order = { ...(await chain.order('full')), jobId: randomUUID(), secrets: { mountOptions: 'vers=3' } };
    await client.start(host, order);
    const job = lab.host.jobs.get(order.jobId);
    expect(job?.secrets).toEqual({ mountOptions: 'vers=3' });
    await job?.finished;
    expect(job?.secrets).toBeNull();
  });
});
