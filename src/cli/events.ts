import type { Command } from 'commander';
import type { EventDto } from '../events/dto/event.dto';
import type { Page } from '../platform/page';
import { oneLine, show, table } from './output';
import { action, client, command, type CommonOptions } from './program';

interface Options extends CommonOptions {
  readonly vm?: string;
  readonly run?: string;
  readonly schedule?: string;
  readonly kind?: string;
  readonly limit?: string;
  readonly follow?: boolean;
}

/** `chainkeeper events`: what has happened, and why. */
export const eventsCommand = (): Command =>
  command('events', 'what has happened, newest first, and why')
    .option('--vm <vm>', 'only of this VM (id or name)')
    .option('--run <run>', 'only of this run (id)')
    .option('--schedule <schedule>', 'only of this schedule (id)')
    .option('--kind <kind>', 'only of this kind, such as skipped or failed')
    .option('--limit <n>', 'how many (default: 50)')
    .option('--follow', 'go on telling what happens, until it is interrupted')
    .action(
      action(async ({ json, follow, ...said }: Options) => {
        const query = new URLSearchParams(
          Object.entries(said).flatMap(([name, value]): [string, string][] =>
            value === undefined ? [] : [[name, String(value)]],
          ),
        );
        if (follow) return followEvents(query.toString(), json ?? false);
        const { items } = await client().get<Page<EventDto>>(`/events?${query.toString()}`);
        show(json, items, () =>
          table(items, [
            { title: 'AT', of: (row) => row.at },
            { title: 'KIND', of: (row) => row.kind },
            { title: 'VM', of: (row) => row.vm },
            { title: 'REASON', of: (row) => row.reason },
            { title: 'WHAT', of: (row) => row.message },
            { title: 'RUN', of: (row) => row.runId },
          ]),
        );
      }),
    );

/** One line each; with `--json` one object each. */
async function followEvents(query: string, json: boolean): Promise<void> {
  for await (const event of client().events<EventDto>(`/events/stream?${query}`))
    process.stdout.write(
      `${json ? JSON.stringify(event) : oneLine(`${event.at}  ${event.kind}  ${event.vm ?? '-'}  ${event.message}`)}\n`,
    );
}
