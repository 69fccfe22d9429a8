import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { Dues } from '../../src/database/repositories/dues';
import { Hosts } from '../../src/database/repositories/hosts';
import { Offerings } from '../../src/database/repositories/offerings';
import { Schedules } from '../../src/database/repositories/schedules';
import { Vms } from '../../src/database/repositories/vms';
import { describeDatabases } from '../support/databases';
import { FakeService } from '../support/fake-service';
import { FULL } from '../support/thorough';

const VMS = FULL ? 10_000 : 60;
const PER_HOST = 6;
const LONGEST_MS = FULL ? 3_600_000 : 90_000;
const HOUR = 3_600_000;

/** All that has become due while no service ran, and a restart of the service in the middle of it. */
describeDatabases('a service that was away for three hours', (databases) => {
  it(
    `takes one backup of each VM that was due meanwhile, and overruns no host`,
    async () => {
      const settings = {
        CHAINKEEPER_RUNS_AT_ONCE: '12',
        CHAINKEEPER_RUNS_PER_HOST: `${PER_HOST}`,
        CHAINKEEPER_FULLS_PERCENT: '100',
      };
      const service = await FakeService.start(await databases.fresh(), settings);
      try {
        await service.register();
        const { work, dataSource } = await databases.reopen(service.config.books);
        const [host, offering] = [await new Hosts(work).find('kvm1'), await new Offerings(work).find('daily')];
        const instant = new Date((Math.floor(Date.now() / HOUR) - 3) * HOUR);
        // Once a day, so that nothing else is due however long this takes.
        const cron = `0 ${instant.getUTCHours()} * * *`;
        const made = (await service.post('/schedules', { offering: 'daily', cron })).body as { id: string };
        const vms = new Vms(work);
        for (let vm = 0; vm < VMS; vm += 1) {
          const instanceName = `i-3-${vm}-VM`;
          await service.lab.vmCreate(instanceName, [{ target: 'vda', size: 64 * 1024 }]);
          await service.lab.vmStart(instanceName);
          const { id } = await vms.create({
            ...{ uuid: randomUUID(), name: instanceName, instanceName, hostId: host?.id ?? 0, state: 'Running' },
          });
          await vms.assignOffering(id, offering?.id ?? 0);
        }
        // Each phase of a job takes a moment, so that jobs are side by side.
        service.lab.host.pace = () => sleep(FULL ? 20 : 60);
        let most = 0;
        service.onCommand = ({ argv }) => {
          if (!argv.includes('start')) return;
          const going = [...service.lab.host.jobs.values()].filter(({ state }) => state === 'running').length;
          most = Math.max(most, going);
        };
        const seq = (await new Schedules(work).find(made.id))?.seq ?? 0;
        const all = (await dataSource.query<{ id: number | string }[]>('SELECT id FROM vm_instance')).map(({ id }) => Number(id));
        await new Dues(work).replace(
          seq,
          all.map((vmId) => ({ vmId, instant, dueAt: instant })),
        );
        const count = async (where: string): Promise<number> =>
          Number(
            (await dataSource.query<{ many: number | string }[]>(`SELECT COUNT(*) AS many FROM ck_runs WHERE ${where}`))[0]?.many,
          );
        const ended = async (many: number): Promise<void> => {
          for (const deadline = Date.now() + LONGEST_MS; (await count('ended IS NOT NULL')) < many; await sleep(FULL ? 1000 : 50))
            if (Date.now() > deadline) throw new Error(`${await count('ended IS NOT NULL')} of ${many} have ended`);
        };
        await ended(VMS / 2);
        await service.restart();
        await ended(all.length);
        expect(await count(`state = 'succeeded' AND attempt = 0`)).toBe(all.length);
        expect(await count('TRUE')).toBe(all.length);
        expect(
          new Set((await dataSource.query<{ vm: number }[]>('SELECT vm_id AS vm FROM ck_runs')).map(({ vm }) => vm)).size,
        ).toBe(all.length);
        expect(Number((await dataSource.query<{ many: number }[]>('SELECT COUNT(*) AS many FROM backups'))[0]?.many)).toBe(
          all.length,
        );
        expect([most > 1, most <= PER_HOST]).toEqual([true, true]);
        expect([...service.lab.host.jobs.values()].length).toBe(all.length);
      } finally {
        await service.close();
      }
    },
    2 * LONGEST_MS,
  );
});
