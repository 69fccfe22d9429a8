import { Injectable } from '@nestjs/common';
import { type EntityManager, LessThan, MoreThan, MoreThanOrEqual, type FindOptionsWhere } from 'typeorm';
import { now, nowPlus } from '../database-time';
import { EventRow } from '../entities/event-row';
import { cut, type Listed, type Part } from '../page';
import { addRows } from '../rows';
import { UnitOfWork } from '../unit-of-work';

/** Something that has happened; what it is not about is left out. */
export type NewEvent = Pick<EventRow, 'kind' | 'message'> &
  Partial<Pick<EventRow, 'vmId' | 'runId' | 'scheduleId' | 'hostId' | 'reason' | 'facts'>>;
/** Which events. */
export interface EventsOf {
  readonly vmId?: number;
  readonly runId?: string;
  readonly scheduleId?: string;
  readonly kind?: string;
}

/** What has happened, in order. Written in the transaction that made it so. */
@Injectable()
export class Events {
  constructor(private readonly work: UnitOfWork) {}

  add(event: NewEvent): Promise<void> {
    return this.work.run((manager) => addEvent(manager, event));
  }

  addMany(events: readonly NewEvent[]): Promise<void> {
    return this.work.run((manager) => addEvents(manager, events));
  }

  /** Whether such a thing was told since then. */
  was(of: EventsOf & { readonly reason: string }, since: Date): Promise<boolean> {
    return this.work.read((manager) => manager.existsBy(EventRow, { ...of, at: MoreThanOrEqual(since) }));
  }

  /** Newest first. */
  page(part: Part, of: EventsOf = {}): Promise<Listed<EventRow>> {
    const where: FindOptionsWhere<EventRow> = { ...of, ...(part.after === undefined ? {} : { seq: LessThan(part.after) }) };
    return this.work.read(async (manager) =>
      cut(await manager.find(EventRow, { where, order: { seq: 'DESC' }, take: part.limit + 1 }), part.limit, ({ seq }) => seq),
    );
  }

  /**
   * What has happened since that one, oldest first, but for the last second and what comes after a number that is missing: a transaction that
   * took it may still be about to commit, and whoever goes on from here would never see it. What was told while the clock was ahead is not
   * waited for.
   */
  settledSince(seq: number, limit: number, of: EventsOf = {}): Promise<EventRow[]> {
    return this.work.read((manager) =>
      manager
        .createQueryBuilder(EventRow, 'event')
        .where({ ...of, seq: MoreThan(seq) })
        .andWhere(`(event.at <= ${nowPlus(manager, -1000)} OR event.at > ${nowPlus(manager, AHEAD_MS)})`)
        .andWhere(`event.seq < COALESCE((${afterGap(manager)}), ${Number.MAX_SAFE_INTEGER})`, { since: seq })
        .orderBy('event.seq', 'ASC')
        .limit(limit)
        .getMany(),
    );
  }

  /** The latest time that something was told of, if that is yet to come by so much: the database's clock has gone back since. */
  async ahead(ofMs: number): Promise<Date | null> {
    return this.work.read(async (manager) => {
      const [row] = await manager
        .createQueryBuilder(EventRow, 'event')
        .where(`event.at > ${nowPlus(manager, ofMs)}`)
        .orderBy('event.at', 'DESC')
        .limit(1)
        .getMany();
      return row?.at ?? null;
    });
  }

  /** The newest there is; 0: none. */
  last(): Promise<number> {
    return this.work.read(async (manager) => {
      const [row] = await manager.find(EventRow, { order: { seq: 'DESC' }, take: 1, select: { seq: true } });
      return row?.seq ?? 0;
    });
  }
}

/** What is told of a moment so far away was told while the clock was ahead. */
const AHEAD_MS = 60_000;
/** A transaction that has stood still for so long is ended (data-source.ts): what it was to tell is not told any more, and its number stays missing. */
const GAP_MS = 60_000;

/** The first event after a number that is missing since a while ago. A cluster of servers counts in steps of its own. */
function afterGap(manager: EntityManager): string {
  const step = manager.dataSource.options.type === 'better-sqlite3' ? '1' : '@@auto_increment_increment';
  return `SELECT MIN(later.seq) FROM ck_events later
    WHERE later.seq > :since + ${step} AND later.at > ${nowPlus(manager, -GAP_MS)} AND later.at <= ${nowPlus(manager, AHEAD_MS)}
      AND NOT EXISTS (SELECT 1 FROM ck_events earlier WHERE earlier.seq < later.seq AND earlier.seq >= later.seq - ${step})`;
}

/** In the transaction that makes it so. */
export const addEvent = (manager: EntityManager, event: NewEvent): Promise<void> => addEvents(manager, [event]);

/** The same, in order. */
export async function addEvents(manager: EntityManager, events: readonly NewEvent[]): Promise<void> {
  if (events.length === 0) return;
  const at = (): string => now(manager);
  await addRows(
    manager,
    EventRow,
    events.map((event) => ({ ...event, at })),
  );
}
