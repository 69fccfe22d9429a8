import { Injectable } from '@nestjs/common';
import type { EventRow } from '../database/entities/event-row';
import { Events, type EventsOf } from '../database/repositories/events';
import { Vms } from '../database/repositories/vms';
import { found } from '../platform/found';
import { type Page, toPage, toPart } from '../platform/page';
import type { EventDto, EventsQuery } from './dto/event.dto';

/** Events of one look. */
const AT_ONCE = 200;

/** What has happened, and why. */
@Injectable()
export class EventsService {
  constructor(
    private readonly events: Events,
    private readonly vms: Vms,
  ) {}

  /** Newest first. */
  async list(query: EventsQuery): Promise<Page<EventDto>> {
    const { items, next } = await this.events.page(toPart(query), await this.#of(query));
    return toPage({ items: await this.#present(items), next }, (dto) => dto);
  }

  /** What has happened since an event, oldest first; without one from now on. What is younger than a second, or may come before something that is not there yet, waits for the next look. */
  async since(seq: number | null, query: EventsQuery): Promise<{ items: EventDto[]; seq: number }> {
    if (seq === null) return { items: [], seq: await this.events.last() };
    const rows = await this.events.settledSince(seq, AT_ONCE, await this.#of(query));
    return { items: await this.#present(rows), seq: rows.at(-1)?.seq ?? seq };
  }

  async #of({ vm, run, schedule, kind }: EventsQuery): Promise<EventsOf> {
    return {
      ...(vm === undefined ? {} : { vmId: found(await this.vms.find(vm), 'vm', vm).id }),
      ...(run === undefined ? {} : { runId: run }),
      ...(schedule === undefined ? {} : { scheduleId: schedule }),
      ...(kind === undefined ? {} : { kind }),
    };
  }

  async #present(rows: readonly EventRow[]): Promise<EventDto[]> {
    const vms = await this.vms.findMany([...new Set(rows.flatMap(({ vmId }) => vmId ?? []))]);
    const names = new Map(vms.map(({ id, instanceName }) => [id, instanceName]));
    return rows.map(({ seq, kind, reason, message, vmId, runId, scheduleId, facts, at }) => ({
      ...{ seq, kind, reason, message, vm: names.get(vmId ?? 0) ?? null },
      ...{ runId, scheduleId, facts, at: at.toISOString() },
    }));
  }
}
