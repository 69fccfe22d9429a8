import type { DataSource } from 'typeorm';

/** A change of a run's state or owner as the database itself saw it, and whose the lease on the VM was at that moment. */
export interface RunMove {
  readonly runId: string;
  readonly was: string;
  readonly became: string;
  readonly epochWas: number;
  readonly epoch: number;
  readonly owner: string | null;
  /** Who wrote it: every orchestrator comes to the database under its own name. */
  readonly writer: string;
  readonly leaseRun: string | null;
  readonly leaseEpoch: number;
}

const TABLE = `CREATE TABLE seen_moves (
  seq BIGINT AUTO_INCREMENT PRIMARY KEY, run_id VARCHAR(64), was VARCHAR(20), became VARCHAR(20),
  epoch_was BIGINT, epoch BIGINT, owner VARCHAR(255), writer VARCHAR(255), lease_run VARCHAR(64), lease_epoch BIGINT)`;

// The lease is read as this transaction sees it, its own changes included, and without a lock that nobody else would take.
const TRIGGER = `CREATE TRIGGER see_moves AFTER UPDATE ON ck_runs FOR EACH ROW
  IF OLD.state <> NEW.state OR OLD.epoch <> NEW.epoch OR OLD.ended IS NOT NULL THEN
    SET @lease_run = NULL, @lease_epoch = NULL;
    SELECT run_id, epoch INTO @lease_run, @lease_epoch FROM ck_vm_leases WHERE vm_id = NEW.vm_id;
    INSERT INTO seen_moves (run_id, was, became, epoch_was, epoch, owner, writer, lease_run, lease_epoch)
      VALUES (NEW.id, OLD.state, NEW.state, OLD.epoch, NEW.epoch, NEW.owner, SUBSTRING_INDEX(USER(), '@', 1), @lease_run, @lease_epoch);
  END IF`;

const THEFTS = 'CREATE TABLE seen_thefts (seq BIGINT AUTO_INCREMENT PRIMARY KEY, words VARCHAR(255))';

// By the database's clock, which is the only one that counts.
const THEFT_TRIGGER = `CREATE TRIGGER see_thefts AFTER UPDATE ON ck_vm_leases FOR EACH ROW
  BEGIN
    IF OLD.epoch <> NEW.epoch AND OLD.lease_until > UTC_TIMESTAMP(3) THEN
      INSERT INTO seen_thefts (words) VALUES (CONCAT(USER(), ' took the lease ', NEW.epoch, ' from ', OLD.owner, ' before it ran out'));
    END IF;
    IF NEW.lease_until > UTC_TIMESTAMP(3) + INTERVAL 1 MINUTE THEN
      INSERT INTO seen_thefts (words) VALUES (CONCAT(USER(), ' took the lease ', NEW.epoch, ' until ', NEW.lease_until));
    END IF;
  END`;

/** Lets the database write down what becomes of every run, in the transaction that makes it so: what no process can leave out. */
export async function watchBooks(source: DataSource): Promise<void> {
  for (const statement of [TABLE, TRIGGER, THEFTS, THEFT_TRIGGER]) await source.query(statement);
}

/** Leases that somebody took from a living owner, or for longer than any is set to be: a line each. */
export async function readThefts(source: DataSource): Promise<string[]> {
  return (await source.query<{ words: string }[]>('SELECT words FROM seen_thefts ORDER BY seq')).map(({ words }) => words);
}

/** In the order in which they happened. */
export async function readMoves(source: DataSource): Promise<RunMove[]> {
  const rows = await source.query<Row[]>('SELECT * FROM seen_moves ORDER BY seq');
  return rows.map((row) => ({
    ...{ runId: row.run_id, was: row.was, became: row.became, owner: row.owner, writer: row.writer, leaseRun: row.lease_run },
    ...{ epochWas: Number(row.epoch_was), epoch: Number(row.epoch), leaseEpoch: Number(row.lease_epoch) },
  }));
}

type Row = Record<'run_id' | 'was' | 'became' | 'epoch_was' | 'epoch' | 'writer' | 'lease_epoch', string> &
  Record<'owner' | 'lease_run', string | null>;
