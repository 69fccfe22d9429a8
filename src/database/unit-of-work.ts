import { AsyncLocalStorage } from 'node:async_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import type { DataSource, EntityManager, QueryRunner } from 'typeorm';
import { InvariantError } from '../domain/errors';
import { isBusy, toDatabaseError } from './database-error';
import type { SqliteFile } from './sqlite-driver';

/** Work that talks to the database and to nothing else: it may hold up everybody, and it may run more than once. */
export type DatabaseWork<T> = (manager: EntityManager) => Promise<T>;

/** What is going on in the present chain of awaits. */
interface Turn {
  readonly manager: EntityManager;
  readonly writes: boolean;
  over: boolean;
  /** What is done once it is committed. */
  readonly after: (() => void)[];
  failure: { readonly error: unknown } | undefined;
}

/** Tries before a busy database is reported; with the pauses between them about three seconds, SQLite's own waiting apart. */
const TRIES = 12;

/**
 * The one way to the database. `run` is a transaction; a `run` inside a `run` is part of it. On SQLite every caller
 * shares one connection, so two overlapping transactions would commit each other's rows and a read would see what is
 * never committed: there, turns are taken one after another, in order of arrival.
 */
export class UnitOfWork {
  readonly #turns = new AsyncLocalStorage<Turn>();
  readonly #oneConnection: boolean;
  #tail: Promise<unknown> = Promise.resolve();

  constructor(private readonly dataSource: DataSource) {
    this.#oneConnection = dataSource.options.type === 'better-sqlite3';
  }

  /**
   * All of the work is in the books afterwards, or nothing of it. A `run` that fails inside another one fails that one
   * too, even if its error is caught: half of a decision must not be recorded.
   */
  run<T>(work: DatabaseWork<T>): Promise<T> {
    return this.#change(work, (after) => this.#transaction(work, after));
  }

  /**
   * One statement that writes: the database makes a transaction of it by itself, and nobody has to begin and end one. Inside a `run` it is part of
   * that.
   */
  write<T>(statement: DatabaseWork<T>): Promise<T> {
    return this.#change(statement, (after) => this.#hold(this.dataSource.manager, false, statement, after));
  }

  /** Does it once what is being written is committed, and not at all if it never is. It must not fail; nobody waits for it. */
  onCommit(then: () => void): void {
    const turn = this.#current();
    if (turn === undefined) then();
    else turn.after.push(then);
  }

  /**
   * Reads what is committed, or inside a `run` also what that has written. Several statements may see different moments
   * on a server database; use `run` where that matters.
   */
  async read<T>(work: DatabaseWork<T>): Promise<T> {
    const outer = this.#current();
    if (outer !== undefined) return work(outer.manager);
    return this.#inTurn(() => mapped(() => this.#hold(this.dataSource.manager, false, work, [])));
  }

  #current(): Turn | undefined {
    const turn = this.#turns.getStore();
    // A turn that is over lives on in timers and in promises that nobody awaited; they start anew.
    return turn?.over === false ? turn : undefined;
  }

  async #change<T>(work: DatabaseWork<T>, alone: (after: (() => void)[]) => Promise<T>): Promise<T> {
    const outer = this.#current();
    if (outer !== undefined) return this.#join(outer, work);
    const after: (() => void)[] = [];
    const result = await this.#inTurn(() =>
      again(() => {
        after.length = 0;
        return alone(after);
      }),
    );
    for (const then of after) then();
    return result;
  }

  async #join<T>(outer: Turn, work: DatabaseWork<T>): Promise<T> {
    if (!outer.writes) throw new InvariantError('database.write-in-read', 'A transaction was asked for inside a read.');
    try {
      return await work(outer.manager);
    } catch (error) {
      outer.failure ??= { error };
      throw toDatabaseError(error);
    }
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    if (!this.#oneConnection) return work();
    const turn = this.#tail.then(work);
    this.#tail = turn.catch(() => undefined);
    return turn;
  }

  async #transaction<T>(work: DatabaseWork<T>, after: (() => void)[]): Promise<T> {
    if (!this.#oneConnection) return this.dataSource.transaction((manager) => this.#hold(manager, true, work, after));
    const runner = this.dataSource.createQueryRunner();
    try {
      return await this.dataSource.transaction((manager) => this.#hold(manager, true, work, after));
    } finally {
      retire(this.dataSource, runner);
    }
  }

  async #hold<T>(manager: EntityManager, writes: boolean, work: DatabaseWork<T>, after: (() => void)[]): Promise<T> {
    const turn: Turn = { manager, writes, over: false, after, failure: undefined };
    try {
      const result = await this.#turns.run(turn, () => work(manager));
      if (turn.failure !== undefined) throw turn.failure.error;
      return result;
    } finally {
      turn.over = true;
    }
  }
}

/**
 * TypeORM keeps one query runner for a SQLite file. After an error that makes SQLite roll back by itself (a full disk)
 * that runner still believes in its transaction and would never commit again; and a statement that nobody awaited would
 * be written after the rollback. So a runner serves one transaction, and what comes late meets a closed door.
 */
function retire(dataSource: DataSource, runner: QueryRunner): void {
  const driver = dataSource.driver as unknown as { queryRunner?: QueryRunner; databaseConnection: SqliteFile };
  Object.assign(runner, { isReleased: true });
  delete driver.queryRunner;
  if (driver.databaseConnection.open && driver.databaseConnection.inTransaction) driver.databaseConnection.exec('ROLLBACK');
}

async function mapped<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw toDatabaseError(error);
  }
}

/** Repeats work that lost against somebody else, with growing pauses that differ between the losers. */
async function again<T>(work: () => Promise<T>): Promise<T> {
  for (let tries = 1; ; tries += 1) {
    try {
      return await mapped(work);
    } catch (error) {
      if (!isBusy(error) || tries === TRIES) throw error;
      await sleep(Math.min(400, 10 * 2 ** tries) * (0.5 + Math.random() / 2));
    }
  }
}
