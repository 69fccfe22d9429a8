import { Writable } from 'node:stream';
import { Claims } from '../../src/database/repositories/claims';
import { Leases } from '../../src/database/repositories/leases';
import { RunPlaces } from '../../src/database/repositories/run-places';
import { Runs } from '../../src/database/repositories/runs';
import { Queue } from '../../src/engine/queue';
import { PollingTransport } from '../../src/engine/transports/polling-transport';
import { Worker } from '../../src/engine/worker';
import { loadConfig } from '../../src/platform/config/load-config';
import { createLog } from '../../src/platform/log';
import { until } from '../support/brake';
import { describeDatabases } from '../support/databases';

/** Counts how often somebody looks for work. */
class CountedRuns extends Runs {
  looks = 0;
  override abandoned(limit: number): ReturnType<Runs['abandoned']> {
    this.looks += 1;
    return super.abandoned(limit);
  }
}

describeDatabases('the worker, whose books are away for a while', (databases) => {
  it('goes on looking, and says once that they are away and once that they are back', async () => {
    const { work, dataSource } = await databases.open();
    const lines: string[] = [];
    const sink = new Writable({ write: (line: Buffer, _, done) => (lines.push(line.toString()), done()) });
    const runs = new CountedRuns(work);
    const looksAgain = async (): Promise<void> => {
      const before = runs.looks;
      await until(() => runs.looks >= before + 4, 'it looks several times more');
    };
    const driven = {} as never;
    const config = loadConfig({ CHAINKEEPER_POLL_MS: '50' });
    const leases = new Leases(work);
    const claims = new Claims(work, leases, runs);
    const worker = new Worker(
      runs,
      leases,
      claims,
      new Queue(new RunPlaces(work), leases, config),
      driven,
      driven,
      driven,
      new PollingTransport(50),
      config,
      createLog({ level: 'info' }, sink),
    );
    worker.start();
    await looksAgain();
    await dataSource.query('ALTER TABLE ck_runs RENAME TO ck_elsewhere');
    await looksAgain();
    await dataSource.query('ALTER TABLE ck_elsewhere RENAME TO ck_runs');
    await looksAgain();
    await worker.beforeApplicationShutdown();
    expect(lines.map((line) => (JSON.parse(line) as { msg: string }).msg)).toEqual([
      'looking for work failed; it goes on at every poll',
      'looking for work goes well again',
    ]);
  });
});
