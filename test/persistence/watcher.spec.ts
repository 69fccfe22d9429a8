import { Dues } from '../../src/database/repositories/dues';
import { Events } from '../../src/database/repositories/events';
import { Leases } from '../../src/database/repositories/leases';
import { Runs } from '../../src/database/repositories/runs';
import { Watcher } from '../../src/engine/watcher';
import { createLog } from '../../src/platform/log';
import { aRun, aVm } from '../support/books';
import { type Books, describeDatabases } from '../support/databases';
import { serviceConfig } from '../support/service-config';

describeDatabases('the watcher', (databases) => {
  let books: Books;
  let runs: Runs;
  let watcher: Watcher;
  let watcherOf: (theirs: Books) => Watcher;
  beforeAll(async () => {
    books = await databases.open();
    runs = new Runs(books.work);
    const settings = serviceConfig(books.config, { CHAINKEEPER_STUCK_MINUTES: '10', CHAINKEEPER_STUCK_QUEUED_HOURS: '2' });
    watcherOf = ({ work }) =>
      new Watcher(
        ...([new Runs(work), new Events(work), new Dues(work), new Leases(work), work] as const),
        ...([settings, createLog(settings.log)] as const),
      );
    watcher = watcherOf(books);
  });

  const ago = (minutes: number): string =>
    new Date(Date.now() - minutes * 60_000).toISOString().replace('T', ' ').replace('Z', '');
  /** A run as the books would have it after a while. */
  const aged = async (columns: Record<string, string>): Promise<string> => {
    const { id, vmId } = aRun((await aVm(books)).id);
    await runs.create(aRun(vmId, { id }));
    const set = Object.entries(columns).map(([name, value]) => `${name} = '${value}'`);
    await books.dataSource.query(`UPDATE ck_runs SET ${set.join(', ')} WHERE id = '${id}'`);
    return id;
  };
  const told = async (runId: string): Promise<string[]> =>
    (await new Events(books.work).page({ limit: 10 }, { runId, kind: 'stuck' })).items.map(({ reason }) => reason ?? '');

  it('tells once of what makes no progress, and of what waits for ever', async () => {
    const silent = await aged({ state: 'running', started: ago(60), progressed: ago(11), progress: '{"done":5,"total":10}' });
    const never = await aged({ state: 'unknown', started: ago(11) });
    const queued = await aged({ state: 'queued', created: ago(121) });
    const moving = await aged({ state: 'running', started: ago(60), progressed: ago(9), progress: '{"done":5,"total":10}' });
    const young = await aged({ state: 'queued', created: ago(119) });
    const ended = await aged({ state: 'succeeded', started: ago(60), created: ago(600) });
    expect([await watcher.look(), await watcher.look()]).toEqual([3, 3]);
    expect(await Promise.all([silent, never, queued].map(told))).toEqual([['no-progress'], ['no-progress'], ['queued-long']]);
    expect((await Promise.all([moving, young, ended].map(told))).flat()).toEqual([]);
  });

  it('tells it once, however many look at a time', async () => {
    const silent = await aged({ state: 'running', started: ago(60), progressed: ago(11), progress: '{"done":5,"total":10}' });
    const others = await Promise.all([1, 2, 3].map(() => databases.reopen(books.config)));
    await Promise.all([watcher, ...others.map(watcherOf)].map((one) => one.look()));
    expect(await told(silent)).toEqual(['no-progress']);
  });

  it('tells it again of another attempt', async () => {
    const silent = await aged({ state: 'running', started: ago(600), progressed: ago(300), progress: '{"done":5,"total":10}' });
    await watcher.look();
    await books.dataSource.query(`UPDATE ck_events SET at = '${ago(290)}' WHERE run_id = '${silent}' AND kind = 'stuck'`);
    await watcher.look();
    expect(await told(silent)).toEqual(['no-progress']);
    await books.dataSource.query(
      `UPDATE ck_runs SET attempt = 1, started = '${ago(20)}', progressed = NULL, progress = NULL WHERE id = '${silent}'`,
    );
    expect([await watcher.look(), await told(silent)]).toEqual([expect.any(Number), ['no-progress', 'no-progress']]);
  });

  it('goes by what backups of the VM usually come to', async () => {
    const vm = await aVm(books);
    const taken = aRun(vm.id);
    await runs.create(taken);
    // 1000 bytes a second.
    const before = `state = 'succeeded', started = '2026-01-01 00:00:00.000', ended = '2026-01-01 00:01:00.000', progress = '{"done":60000,"total":60000}'`;
    await books.dataSource.query(`UPDATE ck_runs SET ${before} WHERE id = '${taken.id}'`);
    const run = aRun(vm.id);
    await runs.create(run);
    const goesOn = (minutes: number): Promise<unknown> =>
      books.dataSource.query(
        `UPDATE ck_runs SET state = 'running', started = '${ago(minutes)}', progressed = '${ago(0)}', progress = '{"done":60000,"total":120000}' WHERE id = '${run.id}'`,
      );
    await goesOn(15);
    await watcher.look();
    expect(await told(run.id)).toEqual([]);
    await goesOn(17);
    await watcher.look();
    expect(await told(run.id)).toEqual(['longer-than-usual']);
  });

  it('knows when bytes last became more', async () => {
    const vm = await aVm(books);
    const run = aRun(vm.id);
    await runs.create(run);
    await books.dataSource.query(`UPDATE ck_runs SET state = 'running', epoch = 7 WHERE id = '${run.id}'`);
    expect(await runs.noteProgress({ id: run.id, epoch: 7 }, { done: 0, total: 10 }, 0)).toBe(true);
    expect((await runs.find(run.id))?.progressed).toBeNull();
    expect(await runs.noteProgress({ id: run.id, epoch: 7 }, { done: 4, total: 10 }, 0)).toBe(true);
    expect(await runs.noteProgress({ id: run.id, epoch: 6 }, { done: 9, total: 10 }, 4)).toBe(false);
    expect(await runs.find(run.id)).toMatchObject({ progress: { done: 4, total: 10 }, progressed: expect.any(Date) as Date });
  });
});
