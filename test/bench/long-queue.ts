import { randomUUID } from 'node:crypto';
import { createDataSource, type DatabaseConfig } from '../../src/database/data-source';
import { migrate } from '../../src/database/migrate';
import { Leases } from '../../src/database/repositories/leases';
import { RunPlaces } from '../../src/database/repositories/run-places';
import { Runs } from '../../src/database/repositories/runs';
import { UnitOfWork } from '../../src/database/unit-of-work';
import { Queue } from '../../src/engine/queue';
import { loadConfig } from '../../src/platform/config/load-config';
import { median, round } from './rounds';

const RUNS = 10_000;
const HOSTS = 100;
const AT_ONCE = 1000;
const TURNS = 15;

/** What one look for work costs while ten thousand runs of a hundred hosts wait: the statement with its rows, that with the choice, and the choice alone. */
export async function benchLongQueue(config: DatabaseConfig) {
  const source = await createDataSource(config);
  try {
    await migrate(source);
    const work = new UnitOfWork(source);
    for (let host = 1; host <= HOSTS; host += 1)
      await source.query(
        `INSERT INTO host (uuid, name, status, type, private_ip_address, data_center_id, hypervisor_type, resource_state) VALUES (?, ?, 'Up', 'Routing', '-', 1, 'KVM', 'Enabled')`,
        [randomUUID(), `kvm${host}`],
      );
    for (let from = 0; from < RUNS; from += AT_ONCE) {
      const values = Array.from({ length: AT_ONCE }, (_, index) => {
        const vm = from + index + 1;
        return `(${vm}, 'vm-${vm}', 'vm', 'i-2-${vm}-VM', 'Running', 1, 1, 1, 1, 'KVM', ${1 + (vm % HOSTS)})`;
      });
      await source.query(
        `INSERT INTO vm_instance (id, uuid, name, instance_name, state, data_center_id, account_id, domain_id, service_offering_id, hypervisor_type, host_id) VALUES ${values.join(',')}`,
      );
      await new Runs(work).createMany(
        Array.from({ length: AT_ONCE }, (_, index) => ({
          ...{ id: randomUUID(), vmId: from + index + 1, kind: 'backup', triggeredBy: 'schedule', idempotencyKey: null },
          requested: { mode: 'auto', quiesce: false },
        })),
      );
    }
    const places = new RunPlaces(work);
    const settings = loadConfig({ CHAINKEEPER_DB_PATH: ':memory:', CHAINKEEPER_LOG_LEVEL: 'silent' });
    const queue = new Queue(places, new Leases(work), settings);
    const times = async (once: () => Promise<unknown>): Promise<number> => {
      const ms: number[] = [];
      for (let turn = 0; turn < TURNS; turn += 1) {
        const began = performance.now();
        await once();
        ms.push(performance.now() - began);
      }
      return round(median(ms));
    };
    return {
      runs: RUNS,
      hosts: HOSTS,
      look_ms: await times(() => places.look()),
      look_and_pick_ms: await times(() => {
        queue.heardOf('a run that it has not seen');
        return queue.pick();
      }),
      // The same look serves for a while.
      pick_ms: await times(() => queue.pick()),
    };
  } finally {
    await source.destroy();
  }
}
