import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client } from '../../src/cli/client';
import type { BackupWithEvidenceDto } from '../../src/backups/dto/backup.dto';
import { RunRow } from '../../src/database/entities/run-row';
import { Dues } from '../../src/database/repositories/dues';
import { Schedules } from '../../src/database/repositories/schedules';
import { Vms } from '../../src/database/repositories/vms';
import type { ScheduleDto } from '../../src/schedules/dto/schedule.dto';
import { Stage } from '../story/stage';
import { isIdentical } from '../story/story';
import { until } from '../support/brake';
import { type Books, describeDatabases } from '../support/databases';
import { freePort } from '../support/free-port';
import { leftovers } from '../support/leftovers';
import { type NodeScript, startScript } from '../support/node-script';
import { environmentOf } from '../support/service-config';

const MIB = 1024 * 1024;
const MINUTE_MS = 60_000;
/** Rounds in whose middle the orchestrator that drives the run is killed. */
const KILLED_IN = [1, 3];
const ROUNDS = 5;

/** One of two, as `chainkeeper serve` starts it. */
interface Orchestrator {
  readonly owner: string;
  readonly script: NodeScript;
  readonly client: Client;
}

describeDatabases(
  'two orchestrators and a schedule of every minute, on a real host',
  (databases) => {
    it('make one run of each minute, whoever is killed in the middle, and every restore point is true', async () => {
      const folder = mkdtempSync(join(tmpdir(), 'chainkeeper-two-'));
      const stage = await Stage.open({ kind: 'real', folder, name: 'two' });
      const living = new Map<string, Orchestrator>();
      try {
        const books = await databases.open();
        const start = async (owner: string): Promise<void> => {
          const port = await freePort();
          const more = { CHAINKEEPER_OWNER: owner, CHAINKEEPER_LEASE_SECONDS: '3', CHAINKEEPER_HTTP_PORT: String(port) };
          const script = startScript('test/e2e/child/serve.ts', null, environmentOf(books.config, more));
          const url = `http://127.0.0.1:${port}`;
          await until(() => fetch(`${url}/health/ready`).then(({ ok }) => ok, () => false), `${owner} is ready`); // prettier-ignore
          living.set(owner, { owner, script, client: new Client({ url }) });
        };
        const anyone = (): Client => ([...living.values()][0] as Orchestrator).client;
        await start('first');
        await start('second');
        await stage.register(anyone(), { dialect: 'seed', fullEvery: 3 });
        const { body: schedule } = await anyone().send<ScheduleDto>('POST', '/schedules', { vm: stage.vm, cron: '* * * * *' });
        const dueIn = await clockOf(books, schedule.id, stage.vm);

        const runs = (): Promise<RunRow[]> => books.dataSource.manager.find(RunRow, { order: { seq: 'ASC' } });
        for (let round = 0; round < ROUNDS; round += 1) {
          // None while the guest writes: what a backup holds must be known.
          await dueIn(round, 60 * MINUTE_MS);
          await stage.lab.write(stage.vm, 'vda', 0x10 + round, round * MIB, 2 * MIB);
          await stage.lab.write(stage.vm, 'vdb', 0x50 + round, round * 2 * MIB, MIB);
          await stage.lab.moment(stage.vm, `round-${round}`);
          await dueIn(round, 0);
          await until(async () => (await runs()).length > round, `round ${round} has its run`);
          await dueIn(round, 60 * MINUTE_MS);
          if (KILLED_IN.includes(round)) {
            let driver: Orchestrator | undefined;
            await until(async () => {
              const run = (await runs())[round];
              driver = run?.jobId == null || run.ended !== null ? undefined : living.get(run.owner ?? '');
              return driver !== undefined;
            }, `a job of round ${round} has begun`);
            const { owner, script } = driver as Orchestrator;
            await script.kill();
            living.delete(owner);
            await until(async () => (await runs())[round]?.ended != null, `the other has brought round ${round} to its end`);
            expect((await runs())[round]?.owner).not.toBe(owner);
            await start(`${owner}-again`);
          }
          await until(async () => (await runs())[round]?.ended != null, `round ${round} has ended`);
        }

        const made = await runs();
        expect(made.map(({ state, errorMessage }) => [state, errorMessage])).toEqual(Array(ROUNDS).fill(['succeeded', null]));
        expect(new Set(made.map(({ scheduledFor }) => scheduledFor?.getTime())).size).toBe(ROUNDS);
        const { items } = await anyone().get<{ items: { id: string }[] }>(`/backups?vm=${stage.vm}`);
        expect(items).toHaveLength(ROUNDS);
        const points = await Promise.all(items.map(({ id }) => anyone().get<BackupWithEvidenceDto>(`/backups/${id}`)));
        expect(points.map(({ type }) => type).reverse()).toEqual(['FULL', 'INCREMENTAL', 'INCREMENTAL', 'FULL', 'INCREMENTAL']);
        const story = stage.story(anyone(), () => undefined);
        for (const [round, point] of points.reverse().entries())
          expect([round, await isIdentical(story, point, `round-${round}`)]).toEqual([round, true]);
        expect(await leftovers(stage.lab, [points.at(-1)?.chain.bitmap ?? ''])).toEqual([]);
      } finally {
        for (const { script } of living.values()) await script.kill();
        await stage.close();
        rmSync(folder, { recursive: true, force: true });
      }
    }, 400_000);
  },
  ['mariadb'],
);

/** When the schedule's run of a round is due: the minutes are those that have just passed, so that nobody waits for them. */
async function clockOf(books: Books, scheduleId: string, vm: string): Promise<(round: number, inMs: number) => Promise<void>> {
  const seq = (await new Schedules(books.work).find(scheduleId))?.seq ?? 0;
  const vmId = (await new Vms(books.work).find(vm))?.id ?? 0;
  const first = Math.floor(Date.now() / MINUTE_MS) * MINUTE_MS - ROUNDS * MINUTE_MS;
  return (round, inMs) =>
    new Dues(books.work).replace(seq, [
      { vmId, instant: new Date(first + round * MINUTE_MS), dueAt: new Date(Date.now() + inMs - 1) },
    ]);
}
