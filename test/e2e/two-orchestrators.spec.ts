import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { loadavg, tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { BackupWithEvidenceDto } from '../../src/backups/dto/backup.dto';
import type { Client } from '../../src/cli/client';
import { EventRow } from '../../src/database/entities/event-row';
import { LinkRow } from '../../src/database/entities/link-row';
import { RunRow } from '../../src/database/entities/run-row';
import { Dues } from '../../src/database/repositories/dues';
import { Schedules } from '../../src/database/repositories/schedules';
import { Vms } from '../../src/database/repositories/vms';
import { OperationalError } from '../../src/domain/errors';
import type { ScheduleDto } from '../../src/schedules/dto/schedule.dto';
import { fuzzSeed, Random } from '../fuzz/random';
import type { RealLab } from '../lab/lab';
import { Stage } from '../story/stage';
import { isIdentical } from '../story/story';
import { until } from '../support/brake';
import { type Books, describeDatabases } from '../support/databases';
import { leftovers } from '../support/leftovers';
import { environmentOf } from '../support/service-config';
import { FULL } from '../support/thorough';
import { admitTo } from './runs-once/admit';
import { judgeOnce } from './runs-once/judge-once';
import { StartLog } from './runs-once/start-log';
import { readMoves, readThefts, watchBooks } from './runs-once/watch-books';
import { drawRounds, type Round } from './two-orchestrators/draw-rounds';
import { readJobDirectories } from './two-orchestrators/job-directories';
import { Pair } from './two-orchestrators/pair';
import { StrikeFile } from './two-orchestrators/strike-file';

const MIB = 1024 * 1024;
const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const SIZE = FULL ? { rounds: 30, vms: 2 } : { rounds: 4, vms: 1 };
const FULL_EVERY = 3;
const REPORT = resolve(__dirname, '../../reports/two-orchestrators.json');
/** How long a run that has ended may take to what follows its end. */
const AFTER_END_MS = 5000;

/** A VM with a schedule of its own. */
interface Watched {
  readonly vm: string;
  readonly vmId: number;
  readonly targets: readonly string[];
  readonly schedule: string;
}

/**
 * Two orchestrators that are processes, on one MariaDB and one real host, and VMs with a schedule of every minute each. In every round one or both of
 * them are killed, or held up for longer than their leases, at a moment of the run that is drawn. At the end the host's job directories, what each
 * orchestrator asked for, what the database saw of every change, and the books are laid beside each other, and the bytes of every point.
 */
describeDatabases(
  'two orchestrators and schedules of every minute, on a real host',
  (databases) => {
    it(
      `make one run of each of ${SIZE.rounds} minutes and every VM, whoever is killed in the middle, and every restore point is true`,
      async () => {
        const began = performance.now();
        const random = new Random(fuzzSeed);
        const folder = mkdtempSync(join(tmpdir(), 'chainkeeper-two-'));
        // Several seeds may be tried side by side.
        const stage = await Stage.open({ kind: 'real', folder, name: `two${process.pid}` });
        const lab = stage.lab as RealLab;
        let pair: Pair | undefined;
        try {
          const books = await databases.open();
          await watchBooks(books.dataSource);
          // A line that can be made slow, so that a copy has a middle.
          await lab.verb('nas-slow', stage.nas);
          const [starts, strikes] = [new StartLog(join(folder, 'starts')), new StrikeFile(folder)];
          const places = { CHAINKEEPER_TEST_STARTS: join(folder, 'starts'), CHAINKEEPER_TEST_STRIKES: folder };
          pair = new Pair(environmentOf(books.config, places), admitTo(databases, books), random);
          await pair.complete();
          const watched = await register(stage, pair.client as Client, books);
          const ofOne = { books, lab, nas: stage.nas, pair, strikes, watched };

          const rounds = drawRounds(SIZE.rounds, random);
          const first = Math.floor(Date.now() / MINUTE_MS) * MINUTE_MS - SIZE.rounds * MINUTE_MS;
          let missed = 0;
          for (const [index, round] of rounds.entries())
            if (!(await play({ ...ofOne, index, round, instant: new Date(first + index * MINUTE_MS) }))) missed += 1;
          await pair.complete();
          const client = pair.client as Client;

          const { manager } = books.dataSource;
          const runs = await manager.find(RunRow, { order: { seq: 'ASC' } });
          const links = await manager.find(LinkRow, { select: { backupId: true, backupUuid: true, runId: true } });
          const { wrong, counts } = judgeOnce({
            asked: runs.map(({ id }) => id),
            runs,
            backups: links.map(({ backupId, runId }) => ({ id: backupId, runId: runId ?? '' })),
            moves: await readMoves(books.dataSource),
            events: await manager.find(EventRow, { order: { seq: 'ASC' } }),
            starts: readJobDirectories(join(lab.folder, 'host/state'), starts.read()),
          });
          wrong.push(...(await readThefts(books.dataSource)));
          // Each minute of each VM has its run, and there is no other.
          const minutes = watched.flatMap(({ vmId }) => rounds.map((_, index) => `${vmId} ${first + index * MINUTE_MS}`));
          const ran = runs.map(
            ({ vmId, scheduledFor, state }) =>
              `${vmId} ${scheduledFor?.getTime() ?? 'unscheduled'}${state === 'succeeded' ? '' : `: ${state}`}`,
          );
          wrong.push(...minutes.filter((one) => !ran.includes(one)).map((one) => `no good run of ${one}`));
          wrong.push(
            ...ran.filter((one, at) => !minutes.includes(one) || ran.indexOf(one) !== at).map((one) => `a run of ${one}`),
          );

          const at = new Map(runs.map(({ id, scheduledFor }) => [id, ((scheduledFor?.getTime() ?? 0) - first) / MINUTE_MS]));
          const roundOf = new Map(links.map(({ backupUuid, runId }) => [backupUuid, at.get(runId ?? '')]));
          let compared = 0;
          const last: string[] = [];
          for (const { vm, targets } of watched) {
            const { items } = await client.get<{ items: { id: string }[] }>(`/backups?vm=${vm}&limit=200`);
            const points = (
              await Promise.all(items.map(({ id }) => client.get<BackupWithEvidenceDto>(`/backups/${id}`)))
            ).reverse();
            last.push(points.at(-1)?.chain.bitmap ?? '');
            const types = points.map(({ type }) => type).join();
            const planned = rounds.map((_, index) => (index % FULL_EVERY === 0 ? 'FULL' : 'INCREMENTAL')).join();
            if (types !== planned) wrong.push(`${vm}: ${types}`);
            for (const point of points) {
              const index = roundOf.get(point.id) ?? -1;
              compared += 1;
              const ofVm = { ...stage.story(client, () => undefined), vm, targets };
              if (rounds[index] === undefined) wrong.push(`${vm}: a point of no round`);
              else if (!(await isIdentical(ofVm, point, `round-${index}`)))
                wrong.push(`${vm}: the bytes of round ${index} differ`);
            }
            const [inBooks, onNas] = [
              points.map(({ externalId }) => externalId),
              readdirSync(lab.nasFile(stage.nas, vm)).map((name) => `${vm}/${name}`),
            ];
            if (inBooks.sort().join() !== onNas.sort().join()) wrong.push(`${vm}: on the NAS is ${onNas.join()}`);
          }
          wrong.push(...(await leftovers(lab, last)).map((left) => `left behind: ${left}`));

          const { runs: made, adoptions, runsAdopted, starts: jobs } = counts;
          const report = {
            ...{ seed: fuzzSeed, ...SIZE, runs: made, jobs, ...pair.deeds, missed },
            ...{ takeovers: adoptions, runsTakenOver: runsAdopted, edits: rounds.filter(({ edited }) => edited).length },
            ...{ pointsCompared: compared, contradictions: wrong.length },
            ...{ seconds: Math.round((performance.now() - began) / 1000), load: Math.round(loadavg()[1] ?? 0) },
          };
          mkdirSync(dirname(REPORT), { recursive: true });
          writeFileSync(REPORT, JSON.stringify({ ...report, wrong, rounds }, null, 2));
          const about = `FUZZ_SEED=${fuzzSeed}: ${JSON.stringify(report)}`;
          process.stdout.write(`${about}\n`);
          expect([about, ...wrong]).toEqual([about]);
          // It was disturbed indeed.
          for (const much of [pair.deeds.kills, pair.deeds.stops, adoptions]) expect([about, much > 0]).toEqual([about, true]);
        } finally {
          await pair?.stop();
          await stage.close();
          rmSync(folder, { recursive: true, force: true });
        }
      },
      FULL ? 60 * MINUTE_MS : 400_000,
    );
  },
  ['mariadb'],
);

/** The VMs, as an operator registers them, and a schedule for each. */
async function register(stage: Stage, client: Client, books: Books): Promise<Watched[]> {
  const host = await stage.register(client, { dialect: 'seed', fullEvery: FULL_EVERY });
  const watched: Watched[] = [];
  for (let which = 0; which < SIZE.vms; which += 1) {
    const vm = which === 0 ? stage.vm : stage.vm.replace('-10-', `-${10 + which}-`);
    if (which > 0) {
      await stage.lab.vmCreate(vm, [{ target: 'vda', size: 32 * MIB }]);
      await stage.lab.vmStart(vm);
      await client.send('POST', '/vms', { name: vm, host: host.id });
      await client.send('PUT', `/vms/${vm}/offering`, { offering: 'story' });
    }
    const { body } = await client.send<ScheduleDto>('POST', '/schedules', { vm, cron: '* * * * *' });
    const vmId = (await new Vms(books.work).find(vm))?.id ?? 0;
    watched.push({ vm, targets: which === 0 ? stage.targets : ['vda'], schedule: body.id, vmId });
  }
  await nameNext(books, watched, null);
  return watched;
}

interface Played {
  readonly books: Books;
  readonly lab: RealLab;
  readonly nas: string;
  readonly pair: Pair;
  readonly strikes: StrikeFile;
  readonly watched: readonly Watched[];
  readonly index: number;
  readonly round: Round;
  readonly instant: Date;
}

/** One minute: the guests write, it comes due, and whoever comes to the moment is struck. False: nobody came there. */
async function play({
  books,
  lab,
  nas,
  pair,
  strikes,
  watched,
  index,
  round: { strike, edited },
  instant,
}: Played): Promise<boolean> {
  const runs = (): Promise<RunRow[]> => books.dataSource.manager.find(RunRow, { where: { scheduledFor: instant } });
  const haveEnded = async (): Promise<boolean> => {
    const made = await runs();
    return made.length >= watched.length && made.every(({ ended }) => ended !== null);
  };
  await pair.complete();
  // None while a guest writes: what a backup holds must be known.
  for (const [which, { vm, targets }] of watched.entries()) {
    for (const [disk, target] of targets.entries())
      await lab.write(
        vm,
        target,
        0x10 + index + 0x50 * disk + 0x30 * which,
        ((index + disk + which) % 8) * 1.5 * MIB,
        (2 - disk) * MIB,
      );
    await lab.moment(vm, `round-${index}`);
  }
  if (strike?.moment === 'copying') await lab.verb('nas-speed', nas, index % FULL_EVERY === 0 ? '4M' : '1M');
  if (strike !== null) strikes.order({ ...strike, round: index });
  await farFromTheMinute();
  await nameNext(books, watched, instant);

  const struck = strike === null ? Promise.resolve(true) : meet();
  await until(async () => (await runs()).length >= watched.length, `round ${index} has its runs`, 5);
  await nameNext(books, watched, null);
  if (edited) await edit();
  await until(haveEnded, `the runs of round ${index} have ended, struck by ${JSON.stringify(strike)}`, 5);
  const met = await struck;
  strikes.withdraw();
  await lab.verb('nas-speed', nas, 'unlimited');
  return met;

  async function meet(): Promise<boolean> {
    let endedAt: number | null = null;
    for (;;) {
      const struck = strikes.struck(index);
      if (struck !== null) {
        if (strike !== null) await pair.strike(struck.owner, strike);
        return true;
      }
      if (endedAt === null && (await haveEnded())) endedAt = performance.now();
      if (endedAt !== null && performance.now() - endedAt > AFTER_END_MS) return false;
      await sleep(10);
    }
  }
  async function edit(): Promise<void> {
    await farFromTheMinute();
    const cron = index % 2 === 0 ? '*/1 * * * *' : '* * * * *';
    // Whoever was asked may be killed over it: whoever asks tries the other.
    const asks = (schedule: string): Promise<boolean> =>
      pair.client?.send('PATCH', `/schedules/${schedule}`, { cron }).then(
        () => true,
        (error: unknown) => {
          if (error instanceof OperationalError && error.code === 'service.unreachable') return false;
          throw error;
        },
      ) ?? Promise.resolve(false);
    for (const { schedule } of watched) await until(() => asks(schedule), `round ${index} has its schedules changed`, 5);
    await nameNext(books, watched, null);
  }
}

/** What comes next of the schedules: a minute that has just passed, so that nobody waits for it, and is due; null: nothing before an hour is over. */
async function nameNext(books: Books, watched: readonly Watched[], instant: Date | null): Promise<void> {
  const [now, later] = [new Date(Date.now() - 1), new Date(Date.now() + HOUR_MS)];
  for (const { schedule, vmId } of watched) {
    const seq = (await new Schedules(books.work).find(schedule))?.seq ?? 0;
    await new Dues(books.work).replace(seq, [{ vmId, instant: instant ?? later, dueAt: instant === null ? later : now }]);
  }
}

/** The schedules are real: between what is named here and what is taken away again their own minute must not come. */
async function farFromTheMinute(): Promise<void> {
  const left = MINUTE_MS - (Date.now() % MINUTE_MS);
  if (left < 5000) await sleep(left + 100);
}
