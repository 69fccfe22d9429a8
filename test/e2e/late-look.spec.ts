import { Events } from '../../src/database/repositories/events';
import { Evidence } from '../../src/database/repositories/evidence';
import { Leases } from '../../src/database/repositories/leases';
import { Vms } from '../../src/database/repositories/vms';
import { Volumes } from '../../src/database/repositories/volumes';
import { until } from '../support/brake';
import { describeDatabases } from '../support/databases';
import { FakeService } from '../support/fake-service';

jest.setTimeout(120_000);

/** Somebody sleeps over what he has seen of a VM, until its lease is another's. */
describeDatabases('a look that comes too late', (databases) => {
  it('is not kept, nor are the disks and the restart that were seen with it', async () => {
    const service = await FakeService.start(await databases.fresh());
    try {
      await service.register();
      const { work, dataSource } = await databases.reopen(service.config.books);
      const [evidence, volumes, events, leases] = [new Evidence(work), new Volumes(work), new Events(work), new Leases(work)];
      const { id: vmId } = (await new Vms(work).find(service.vm)) ?? { id: 0 };
      await dataSource.query(`UPDATE ck_hosts SET boot_id = 'the one before'`);
      await dataSource.query('UPDATE volumes SET size = 1024');
      const kept = async () => ({
        looks: (await evidence.ofVm(vmId)).filter(({ kind }) => kind === 'inspect').length,
        sizes: (await volumes.ofVm(vmId)).map(({ size }) => size),
        restarts: (await events.page({ limit: 10 }, { kind: 'host-restarted' })).items.length,
      });

      let stolen: ReturnType<Leases['acquire']> | undefined;
      service.onCommand = async ({ argv }) => {
        if (!argv.includes('inspect') || stolen !== undefined) return;
        await dataSource.query(`UPDATE ck_vm_leases SET lease_until = '2026-01-01 00:00:00.000' WHERE vm_id = ${vmId}`);
        stolen = leases.acquire(vmId, 'somebody', 'else', 60_000);
        await stolen;
      };
      const { body } = await service.post('/backups', { vm: service.vm });
      await until(() => service.lines.some((line) => line.includes('driving the run failed')), 'it finds that it was too late');
      expect(await kept()).toEqual({ looks: 0, sizes: [1024, 1024], restarts: 0 });

      const answer = await stolen;
      if (answer?.kind !== 'held') throw new Error('The lease could not be taken.');
      await service.lab.moment(service.vm, 'point');
      await leases.release(answer.lease);
      const { state, backupId } = await service.ended((body as { id: string }).id);
      expect(state).toBe('succeeded');
      expect(await kept()).toEqual({ looks: 1, sizes: [4194304, 2097152], restarts: 1 });
      expect(await service.restoresAs(backupId as string, 'point')).toBe(true);
    } finally {
      await service.close();
    }
  });
});
