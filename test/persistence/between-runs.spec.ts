import { pino } from 'pino';
import { Leases } from '../../src/database/repositories/leases';
import { Runs } from '../../src/database/repositories/runs';
import { BetweenRuns } from '../../src/engine/between-runs';
import { loadConfig } from '../../src/platform/config/load-config';
import { aRun, aVm } from '../support/books';
import { describeDatabases } from '../support/databases';

describeDatabases('what is no run and holds the lease all the same', (databases) => {
  it('lets nobody else in while it works, takes no VM with a run, and gives the lease back when it fails', async () => {
    const books = await databases.open();
    const [runs, leases] = [new Runs(books.work), new Leases(books.work)];
    const between = new BetweenRuns(runs, leases, loadConfig({}), pino({ level: 'silent' }));
    const { id: vmId } = await aVm(books);

    await between.hold(vmId, async ({ epoch }) => {
      await expect(between.hold(vmId, async () => undefined)).rejects.toMatchObject({ code: 'vm.busy', kind: 'busy' });
      expect(await leases.acquire(vmId, 'run-1', 'a', 1000)).toMatchObject({ kind: 'busy', by: { epoch } });
    });
    await expect(between.hold(vmId, () => Promise.reject(new Error('the host did not')))).rejects.toThrow('the host did not');
    expect(await leases.find(vmId)).toMatchObject({ owner: null, leaseUntil: null });

    await runs.create(aRun(vmId));
    await expect(between.hold(vmId, async () => undefined)).rejects.toMatchObject({ code: 'run.active' });
  });
});
