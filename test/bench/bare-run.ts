import { randomUUID } from 'node:crypto';
import { createConnection, type ResultSetHeader } from 'mysql2/promise';
import type { DataSource } from 'typeorm';
import type { DatabaseConfig } from '../../src/database/data-source';
import { SqliteFile } from '../../src/database/sqlite-driver';

type Row = Readonly<Record<string, unknown>>;

/** What the engine wrote of one run, to be written again by hand: the same columns, and as many bytes. */
export interface RunSample {
  readonly run: Row;
  readonly events: readonly Row[];
  readonly backup: Row;
  readonly details: readonly Row[];
  readonly link: Row;
  /** Of the look before the run, and of the run; each with its disks. */
  readonly evidence: readonly { readonly row: Row; readonly disks: readonly Row[] }[];
  readonly checkpoint: Row;
  readonly manifest: Row;
}

/** The run that ended last, with all that was written down of it. */
export async function sampleRun(source: DataSource): Promise<RunSample> {
  const all = (table: string, column: string, value: unknown, order = column): Promise<Row[]> =>
    source.query(`SELECT * FROM ${table} WHERE ${column} = ? ORDER BY ${order}`, [value]);
  const [run = {}] = await source.query<Row[]>(`SELECT * FROM ck_runs WHERE state = 'succeeded' ORDER BY seq DESC LIMIT 1`);
  const first = async (table: string, column: string, value: unknown): Promise<Row> => {
    const [row] = await all(table, column, value);
    if (row === undefined) throw new Error(`the engine has written nothing into ${table}`);
    return row;
  };
  const evidence = await all('ck_evidence', 'run_id', run['id'], 'id');
  return {
    run,
    events: await all('ck_events', 'run_id', run['id'], 'seq'),
    backup: await first('backups', 'id', run['backup_id']),
    details: await all('backup_details', 'backup_id', run['backup_id'], 'id'),
    link: await first('ck_links', 'backup_id', run['backup_id']),
    evidence: await Promise.all(
      evidence.map(async (row) => ({ row, disks: await all('ck_evidence_disks', 'evidence_id', row['id']) })),
    ),
    checkpoint: await first('vm_instance_details', 'vm_id', run['vm_id']),
    manifest: await first('ck_manifests', 'backup_id', run['backup_id']),
  };
}

/** One connection without anything around it. */
interface Hand {
  /** Answers the id of an inserted row, and how many rows were changed. */
  write(sql: string, values: unknown[]): Promise<{ readonly id: number; readonly changed: number }>;
  read(sql: string, values: unknown[]): Promise<Row[]>;
  close(): Promise<void>;
}

/** Opens one, as durable as those of the service. */
async function openHand(config: DatabaseConfig): Promise<Hand> {
  if (config.kind === 'sqlite') {
    const file = new SqliteFile(config.path);
    file.pragma('journal_mode = WAL');
    file.pragma('synchronous = FULL');
    return {
      write: async (sql, values) => {
        const { lastInsertRowid, changes } = file.prepare(sql).run(...values);
        return { id: Number(lastInsertRowid), changed: changes };
      },
      read: async (sql, values) => file.prepare(sql).all(...values) as Row[],
      close: async () => void file.close(),
    };
  }
  const { host, port, user, password, database } = config;
  const connection = await createConnection({ host, port, user, password, database, timezone: 'Z', charset: 'utf8mb4' });
  return {
    write: async (sql, values) => {
      const [{ insertId, affectedRows }] = await connection.query<ResultSetHeader>(sql, values);
      return { id: insertId, changed: affectedRows };
    },
    read: async (sql, values) => (await connection.query(sql, values))[0] as Row[],
    close: () => connection.end(),
  };
}

/**
 * Runs by hand: what is written of a run, in as many transactions and in the same order, and how one is taken from those that wait. Chosen from the
 * server's log of all statements of a run, by what the books would lack without it:
 *
 * - it is written down, with its event (all of a batch in one transaction, as the scheduler does)
 * - who has a place looks for the next ones, as many as there are places
 * - taken: the lease, compared and set, and its epoch; the run, compared and set; its event
 * - decided: what was seen of the VM, and of its disk; the plan
 * - booked: the lease is held; the backup, its details, its link; what was measured, and of its disk; the VM's checkpoint; the run's end; its event
 * - that it was described; that the lease is given back
 *
 * Nothing is read that the decision needs (the books of the VM, its offering, host and repository), and nothing is sent to a host.
 */
export class BareRuns {
  readonly #waiting: { readonly id: string; readonly vmId: number }[] = [];
  /** Found before: until its claim is committed, a run waits by the books. */
  readonly #found = new Set<string>();
  /** Who looks, so that others wait for what is found. */
  #looking: Promise<void> | undefined;
  #left = 0;

  private constructor(
    private readonly hands: readonly Hand[],
    private readonly sample: RunSample,
    private readonly sqlite: boolean,
  ) {}

  static async open(config: DatabaseConfig, sample: RunSample, width: number): Promise<BareRuns> {
    const hands = await Promise.all(Array.from({ length: config.kind === 'sqlite' ? 1 : width }, () => openHand(config)));
    return new BareRuns(hands, sample, config.kind === 'sqlite');
  }

  /** One run of each of these VMs, as many at once as there are connections. */
  async run(vmIds: readonly number[]): Promise<void> {
    const [first] = this.hands;
    await this.#queue(first as Hand, vmIds);
    this.#left = vmIds.length;
    await Promise.all(this.hands.map((hand) => this.#lane(hand)));
  }

  /** Each VM has had a lease and a checkpoint before. */
  async prepare(vmIds: readonly number[]): Promise<void> {
    const hand = this.hands[0] as Hand;
    await this.#together(hand, async () => {
      for (const vmId of vmIds) {
        await hand.write('INSERT INTO ck_vm_leases (vm_id, epoch) VALUES (?, 1)', [vmId]);
        await insert(hand, 'vm_instance_details', [{ ...without(this.sample.checkpoint, 'id'), vm_id: vmId }]);
      }
    });
  }

  async close(): Promise<void> {
    await Promise.all(this.hands.map((hand) => hand.close()));
  }

  async #queue(hand: Hand, vmIds: readonly number[]): Promise<void> {
    const { run, events } = this.sample;
    const made = vmIds.map((vmId) => ({ id: randomUUID(), vmId }));
    const asked = ['kind', 'triggered_by', 'requested', 'created'].map((column) => [column, run[column]] as const);
    await this.#together(hand, async () => {
      await insert(
        hand,
        'ck_runs',
        made.map(({ id, vmId }) => ({ ...Object.fromEntries(asked), id, vm_id: vmId, state: 'queued', epoch: 0, attempt: 0 })),
      );
      await insert(
        hand,
        'ck_events',
        made.map((one) => eventOf(events[0], one)),
      );
    });
  }

  async #lane(hand: Hand): Promise<void> {
    while (this.#left > 0) {
      this.#left -= 1;
      let next = this.#waiting.shift();
      while (next === undefined) {
        await (this.#looking ??= this.#look(hand).finally(() => (this.#looking = undefined)));
        next = this.#waiting.shift();
      }
      await this.#one(hand, next);
    }
  }

  async #look(hand: Hand): Promise<void> {
    const sql = `SELECT id, vm_id FROM ck_runs WHERE state = 'queued' ORDER BY seq LIMIT ${2 * this.hands.length}`;
    for (const { id, vm_id: vmId } of await hand.read(sql, [])) {
      if (this.#found.has(String(id))) continue;
      this.#found.add(String(id));
      this.#waiting.push({ id: String(id), vmId: Number(vmId) });
    }
  }

  async #one(hand: Hand, run: { readonly id: string; readonly vmId: number }): Promise<void> {
    const { sample } = this;
    const { id, vmId } = run;
    const [look, measured] = sample.evidence;
    const epoch = await this.#together(hand, async () => {
      const free = `vm_id = ? AND (lease_until IS NULL OR lease_until <= ${this.#now})`;
      const take = `UPDATE ck_vm_leases SET run_id = ?, owner = ?, epoch = epoch + 1, lease_until = ${this.#later} WHERE ${free}`;
      one(await hand.write(take, [id, 'by hand', vmId]));
      const [lease] = await hand.read('SELECT epoch FROM ck_vm_leases WHERE vm_id = ?', [vmId]);
      const start = `UPDATE ck_runs SET state = 'running', owner = ?, epoch = ?, started = ${this.#now} WHERE id = ? AND state = 'queued'`;
      one(await hand.write(start, ['by hand', lease?.['epoch'], id]));
      await insert(hand, 'ck_events', [eventOf(sample.events[1], run)]);
      return Number(lease?.['epoch']);
    });
    await this.#together(hand, async () => {
      await evidence(hand, look, { run_id: id, vm_id: vmId });
      const plan = 'UPDATE ck_runs SET host_id = ?, plan = ?, job_id = ?, reason = ? WHERE id = ? AND epoch = ?';
      const { host_id: host, plan: planned, reason } = sample.run;
      one(await hand.write(plan, [host, planned, id, reason, id, epoch]));
    });
    const backupId = await this.#together(hand, async () => {
      const hold = `UPDATE ck_vm_leases SET lease_until = ${this.#later} WHERE vm_id = ? AND run_id = ? AND epoch = ? AND lease_until > ${this.#now}`;
      one(await hand.write(hold, [vmId, id, epoch]));
      const uuid = randomUUID();
      const backup = await insert(hand, 'backups', [{ ...without(sample.backup, 'id'), uuid, vm_id: vmId }]);
      await insert(
        hand,
        'backup_details',
        sample.details.map((detail) => ({ ...without(detail, 'id'), backup_id: backup })),
      );
      await insert(hand, 'ck_links', [{ ...sample.link, backup_id: backup, backup_uuid: uuid, run_id: id }]);
      await evidence(hand, measured, { run_id: id, vm_id: vmId, backup_id: backup });
      const checkpoint = 'UPDATE vm_instance_details SET value = ? WHERE vm_id = ? AND name = ?';
      one(await hand.write(checkpoint, [id, vmId, sample.checkpoint['name']]));
      const { progress, stdout, stderr, exit_code: exit, warnings } = sample.run;
      const end = `UPDATE ck_runs SET state = 'succeeded', backup_id = ?, progress = ?, stdout = ?, stderr = ?, exit_code = ?, warnings = ?, ended = ${this.#now} WHERE id = ? AND epoch = ?`;
      one(await hand.write(end, [backup, progress, stdout, stderr, exit, warnings, id, epoch]));
      await insert(hand, 'ck_events', [eventOf(sample.events.at(-1), run)]);
      return backup;
    });
    await insert(hand, 'ck_manifests', [{ ...sample.manifest, backup_id: backupId }]);
    const release =
      'UPDATE ck_vm_leases SET run_id = NULL, owner = NULL, lease_until = NULL WHERE vm_id = ? AND run_id = ? AND epoch = ?';
    one(await hand.write(release, [vmId, id, epoch]));
  }

  async #together<T>(hand: Hand, work: () => Promise<T>): Promise<T> {
    await hand.write(this.sqlite ? 'BEGIN IMMEDIATE' : 'START TRANSACTION', []);
    const result = await work();
    await hand.write('COMMIT', []);
    return result;
  }

  get #now(): string {
    return this.sqlite ? `strftime('%Y-%m-%d %H:%M:%f', 'now')` : 'UTC_TIMESTAMP(3)';
  }

  get #later(): string {
    return this.sqlite ? `strftime('%Y-%m-%d %H:%M:%f', 'now', '+30 seconds')` : 'UTC_TIMESTAMP(3) + INTERVAL 30 SECOND';
  }
}

const without = (row: Row, column: string): Row => Object.fromEntries(Object.entries(row).filter(([name]) => name !== column));

const eventOf = (event: Row | undefined, { id, vmId }: { readonly id: string; readonly vmId: number }): Row => ({
  ...without(event ?? {}, 'seq'),
  run_id: id,
  vm_id: vmId,
});

async function evidence(hand: Hand, sample: RunSample['evidence'][number] | undefined, about: Row): Promise<void> {
  const id = await insert(hand, 'ck_evidence', [{ ...without(sample?.row ?? {}, 'id'), ...about }]);
  await insert(
    hand,
    'ck_evidence_disks',
    (sample?.disks ?? []).map((disk) => ({ ...disk, evidence_id: id })),
  );
}

async function insert(hand: Hand, table: string, rows: readonly Row[]): Promise<number> {
  const columns = Object.keys(rows[0] ?? {});
  const marks = `(${columns.map(() => '?').join(', ')})`;
  const sql = `INSERT INTO ${table} (${columns.join(', ')}) VALUES ${rows.map(() => marks).join(', ')}`;
  return (
    await hand.write(
      sql,
      rows.flatMap((row) => columns.map((column) => row[column])),
    )
  ).id;
}

/** What changed no row did not happen, and would be quicker than it may be. */
function one({ changed }: { readonly changed: number }): void {
  if (changed !== 1) throw new Error('a statement by hand has changed nothing');
}
