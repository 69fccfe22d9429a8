import { randomUUID } from 'node:crypto';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { DataSource } from 'typeorm';
import { createDataSource, type DatabaseConfig } from '../../src/database/data-source';
import { migrate } from '../../src/database/migrate';
import { Dues } from '../../src/database/repositories/dues';
import { Events } from '../../src/database/repositories/events';
import { Hosts } from '../../src/database/repositories/hosts';
import { Offerings } from '../../src/database/repositories/offerings';
import { Runs } from '../../src/database/repositories/runs';
import { Schedules } from '../../src/database/repositories/schedules';
import { StartRules } from '../../src/database/repositories/start-rules';
import { Vms } from '../../src/database/repositories/vms';
import { UnitOfWork } from '../../src/database/unit-of-work';
import { Rhythms } from '../../src/engine/rhythms';
import { Scheduler } from '../../src/engine/scheduler';
import { StartRuleReader } from '../../src/engine/start-rule-reader';
import { StartTimes } from '../../src/engine/start-times';
import { loadConfig } from '../../src/platform/config/load-config';
import { createLog } from '../../src/platform/log';
import { startMariadb } from '../support/mariadb';
import type { BenchResult } from './bench-result';
import { median, round } from './rounds';

/** VMs of each offering: each has one schedule, so this many are due of it at one instant. */
const VMS_OF_ONE = 10_000;
const AT_ONCE = 1000;

/**
 * The scheduler by itself, on MariaDB and on SQLite: a look for work with a million schedules of which none is due, ten thousand that are due at
 * one instant, all of them once more after a day down, and the process's memory. Beside it the bare rows that a due has to write, by hand.
 */
export async function benchPlanner(quick: boolean): Promise<BenchResult> {
  const all = quick ? 100_000 : 1_000_000;
  const server = await startMariadb();
  const folder = mkdtempSync(join(tmpdir(), 'ck-bench-'));
  try {
    const mariadb = await measure(await server.newDatabase(), all, quick);
    const sqlite = await measure({ kind: 'sqlite', path: join(folder, 'books.sqlite') }, quick ? all : all / 10, quick);
    return {
      bench: 'planner',
      ratios: { tick_of_10000_vs_bare_rows: round(mariadb.tick_of_10000_due.seconds / mariadb.bare_rows_of_10000.seconds) },
      values: { ...(quick ? {} : { idle_tick_ms_at_1e6: mariadb.idle_tick_ms }), rss_mb_at_1e5: mariadb.rss_mb, mariadb, sqlite },
      limit: {
        what: 'seconds to write the rows of 10,000 dues by hand, in the same transactions',
        ...mariadb.bare_rows_of_10000,
      },
    };
  } finally {
    await server.stop();
    if (existsSync(folder)) rmSync(folder, { recursive: true, force: true });
  }
}

async function measure(config: DatabaseConfig, schedules: number, quick: boolean) {
  const source = await createDataSource(config);
  try {
    await migrate(source);
    const work = new UnitOfWork(source);
    const [rows, dues, vms, runs, offerings] = [
      new Schedules(work),
      new Dues(work),
      new Vms(work),
      new Runs(work),
      new Offerings(work),
    ];
    const rhythms = new Rhythms(work, rows, dues, vms, new Events(work));
    const reader = new StartRuleReader(new StartRules(work), offerings, new Hosts(work));
    const times = new StartTimes(work, runs, dues, vms, rows, rhythms, reader);
    const settings = loadConfig({ CHAINKEEPER_DB_PATH: ':memory:', CHAINKEEPER_LOG_LEVEL: 'silent' });
    const rooms = [work, rows, dues, runs, vms, offerings, new Events(work), rhythms, reader, times] as const;
    const scheduler = new Scheduler(...rooms, settings, createLog(settings.log));

    let rss = 0;
    const filled: number[] = [];
    for (let offering = 0; offering * VMS_OF_ONE < schedules; offering += 1) {
      const { id } = await offerings.create(
        { uuid: randomUUID(), name: `offering ${offering}`, description: null, externalId: null },
        [],
      );
      await fill(source, id, offering * VMS_OF_ONE, Math.min(VMS_OF_ONE, schedules));
      // Each at its own minute, so that what is due at one instant is those of one.
      const own = { cron: `${offering % 60} ${Math.floor(offering / 60) % 24} 1 1 *`, timezone: 'UTC' };
      const schedule = await rows.create({ id: randomUUID(), vmId: null, offeringId: id, own, cloudstack: null });
      filled.push(await seconds(() => rhythms.refresh(schedule)));
      if ((offering + 1) * VMS_OF_ONE === 100_000) rss = process.memoryUsage.rss() / 2 ** 20;
    }
    const idle: number[] = [];
    for (let turn = 0; turn < 200; turn += 1) idle.push((await seconds(() => scheduler.tick())) * 1000);

    const due = await seconds(() => drain(source, scheduler, 'schedule_seq = 1'));
    const bare = await seconds(() => bareRows(work));
    // Of those the day before, whoever was down.
    const catching = quick ? 2 : 5;
    await source.query(`UPDATE ck_runs SET state = 'succeeded'`);
    const caught = await seconds(() => drain(source, scheduler, `schedule_seq BETWEEN 2 AND ${catching + 1}`, 24));
    return {
      schedules,
      idle_tick_ms: round(median(idle)),
      idle_tick_p99_ms: round([...idle].sort((a, b) => a - b)[Math.floor(idle.length * 0.99)] ?? 0),
      tick_of_10000_due: { seconds: round(due), ms_each: round(due / 10) },
      bare_rows_of_10000: { seconds: round(bare) },
      catch_up_after_a_day: { dues: catching * VMS_OF_ONE, seconds: round(caught) },
      refresh_of_10000_vms: { seconds: round(median(filled)) },
      rss_mb: round(rss),
    };
  } finally {
    await source.destroy();
  }
}

/** VMs of an offering, by hand: to add them one by one is not what is measured. */
async function fill(source: DataSource, offering: number, from: number, count: number): Promise<void> {
  for (let at = from; at < from + count; at += AT_ONCE) {
    const values = Array.from(
      { length: AT_ONCE },
      (_, index) => `('vm-${at + index}', 'vm', 'i-2-${at + index}-VM', 'Running', 1, 1, 1, 1, 'KVM', ${offering})`,
    );
    await source.query(
      `INSERT INTO vm_instance (uuid, name, instance_name, state, data_center_id, account_id, domain_id, service_offering_id, hypervisor_type, backup_offering_id) VALUES ${values.join(',')}`,
    );
  }
}

/** Makes dues become due, and ticks until none is. */
async function drain(source: DataSource, scheduler: Scheduler, which: string, hoursAgo = 0): Promise<void> {
  const at = new Date(Date.now() - hoursAgo * 3_600_000 - 1000).toISOString().replace('T', ' ').replace('Z', '');
  await source.query(`UPDATE ck_due SET instant = '${at}', due_at = '${at}' WHERE ${which}`);
  while ((await scheduler.tick()) > 0);
}

/** What 10,000 dues write at least: the move, the run, its event. */
async function bareRows(work: UnitOfWork): Promise<void> {
  const moment = new Date(Date.now() + 3_600_000).toISOString().replace('T', ' ').replace('Z', '');
  for (let from = 0; from < 10_000; from += 200)
    await work.run(async (manager) => {
      for (let vm = from + 1; vm <= from + 200; vm += 1) {
        const id = randomUUID();
        await manager.query(`UPDATE ck_due SET instant = ?, due_at = ? WHERE schedule_seq = 1 AND vm_id = ?`, [
          moment,
          moment,
          vm,
        ]);
        await manager.query(
          `INSERT INTO ck_runs (id, vm_id, kind, state, triggered_by, requested, epoch, schedule_id, scheduled_for, created) VALUES (?, ?, 'bare', 'succeeded', 'schedule', '{}', 0, 'bare', ?, ?)`,
          [id, vm, moment, moment],
        );
        await manager.query(
          `INSERT INTO ck_events (kind, vm_id, run_id, message, at) VALUES ('queued', ?, ?, 'It was due.', ?)`,
          [vm, id, moment],
        );
      }
    });
}

async function seconds(work: () => Promise<unknown>): Promise<number> {
  const began = performance.now();
  await work();
  return (performance.now() - began) / 1000;
}
