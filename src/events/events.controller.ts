import { Controller, Get, Headers, type MessageEvent, Query, Sse } from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import { concatMap, from, map, type Observable, timer } from 'rxjs';
import type { Page } from '../platform/page';
import { EventDto, EventsQuery } from './dto/event.dto';
import { EventsService } from './events.service';

/** Milliseconds from one look to the next. */
const LOOK_MS = 500;

/** What has happened. */
@ApiTags('events')
@Controller('events')
export class EventsController {
  constructor(private readonly events: EventsService) {}

  /** Lists events, newest first. */
  @Get()
  list(@Query() query: EventsQuery): Promise<Page<EventDto>> {
    return this.events.list(query);
  }

  /** Tells events as they happen, a second late, as server-sent events; goes on after the one named in `Last-Event-ID`. */
  @Sse('stream')
  stream(@Query() query: EventsQuery, @Headers('last-event-id') lastId: string | undefined): Observable<MessageEvent> {
    let seq: number | null = lastId !== undefined && /^\d{1,15}$/.test(lastId) ? Number(lastId) : null;
    return timer(0, LOOK_MS).pipe(
      concatMap(async () => {
        const told = await this.events.since(seq, query);
        seq = told.seq;
        return told.items;
      }),
      concatMap((items) => from(items)),
      map((event): MessageEvent => ({ id: String(event.seq), type: event.kind, data: event })),
    );
  }
}
