import type { RestoreWay } from '../../src/domain/agent/build-argv';
import { readRestore, type RestoreFacts } from '../../src/domain/agent/read-restore';
import { FakeLab } from '../../src/hosts/fake/fake-lab';
import type { ScriptFault } from '../../src/hosts/fake/fault-plan';
import type { HostAccess } from '../../src/hosts/host-access';
import type { HostClient } from '../../src/hosts/host-client';
import { ChainOf, type Point } from './chain-of';
import { follow } from './follow';

const MIB = 1024 * 1024;
const VM = 'i-2-7-VM';

/** A restore on the fake host can fail in every way that one on a real host can; the disks are the old ones or the new ones. */
describe('faults of a restore on the fake host', () => {
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
      { target: 'vdb', size: MIB + 512 },
    ]);
    await lab.vmStart(VM);
    chain = new ChainOf(lab, client, host, VM, 'nas');
    await lab.write(VM, 'vda', 0x11, 0, MIB);
    await lab.write(VM, 'vdb', 0x12, MIB, 512);
    full = await chain.take('full');
    await lab.write(VM, 'vda', 0x22, MIB, 200_000);
    await lab.write(VM, 'vdb', 0x23, MIB, 512);
    await lab.moment(VM, 'now');
    await lab.vmStop(VM);
  });
  afterEach(() => lab.down());

  const IN_PLACE: RestoreWay = { kind: 'in-place' };
  const begin = async (way: RestoreWay = IN_PLACE): Promise<string> => {
    const order = await chain.restore(
      full,
      ({ path, target }) => (way.kind === 'in-place' ? path : `/fake/images/${target}`),
      way,
    );
    await client.start(host, order);
    return order.jobId;
  };
  const restore = async (way: RestoreWay = IN_PLACE): Promise<RestoreFacts & { exit: number | null }> => {
    const job = await follow(client, host, await begin(way));
    const reading = readRestore(job.stdout);
    if (!reading.ok) throw new Error(job.stdout + job.stderr);
    return { ...reading.value, exit: job.exit };
  };
  const holds = async (moment: string): Promise<boolean[]> =>
    Promise.all((await chain.disks()).map(({ path, target }) => lab.same(VM, moment, target, path)));

  test.each<[ScriptFault, string, boolean | null]>([
    ['mount-failed', 'mount-failed', null],
    ['nas-full', 'target-full', null],
    ['check-failed', 'restore-differs', false],
  ])('%s: refused with its code, the disks are the old ones', async (kind, code, identical) => {
    lab.host.faults.add({ kind, on: 'restore' });
    const { exit, error, swapped, disks } = await restore();
    expect([exit, error?.code, swapped, disks[0]?.identical]).toEqual([1, code, false, identical]);
    expect(await holds('now')).toEqual([true, true]);
    await lab.vmStart(VM);
    expect(await lab.leaks([])).toEqual([]);
  });

  test.each<[ScriptFault, string, string]>([
    ['killed', 'rolled-back', 'now'],
    ['killed-at-end', 'finished', 'full'],
  ])('%s: its outcome is unknown until abort tells it', async (kind, outcome, moment) => {
    lab.host.faults.add({ kind, on: 'restore' });
    const jobId = await begin();
    expect(await follow(client, host, jobId)).toMatchObject({ state: 'unknown', exit: null });
    expect((await client.abort(host, jobId)).abort).toMatchObject({ restore: outcome, left: [] });
    expect((await client.abort(host, jobId)).abort).toMatchObject({ restore: outcome, left: [] });
    expect(await holds(moment === 'full' ? full.bitmap : moment)).toEqual([true, true]);
    expect((await client.sweep(host, { dryRun: true })).items).toEqual([]);
  });

  test('sweep settles what nobody came back for', async () => {
    lab.host.faults.add({ kind: 'killed', on: 'restore' });
    await follow(client, host, await begin());
    const [dry] = (await client.sweep(host, { dryRun: true })).items;
    expect(dry).toMatchObject({ code: 'restore', subject: VM, action: 'would-be-removed' });
    const [done] = (await client.sweep(host, { dryRun: false })).items;
    expect(done).toMatchObject({ code: 'restore', action: 'removed', text: expect.stringMatching(/rolled-back$/) });
  });

  test('the VM cannot be started while its disks are restored', async () => {
    lab.host.paceMs = 20;
    const jobId = await begin();
    await new Promise((later) => setTimeout(later, 5));
    await expect(lab.vmStart(VM)).rejects.toThrow(/lock/);
    expect((await follow(client, host, jobId)).exit).toBe(0);
    await lab.vmStart(VM);
  });

  test('a VM that was stopped when it was backed up has no definition to make a domain of', async () => {
    chain.stopped = true;
    full = await chain.take('full');
    const { error } = await restore({ kind: 'new-domain', name: 'new', networks: false });
    expect(error?.code).toBe('definition-missing');
  });
});
