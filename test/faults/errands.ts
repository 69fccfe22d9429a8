import type { Client } from '../../src/cli/client';
import type { BackupDto } from '../../src/backups/dto/backup.dto';
import type { RunDto } from '../../src/runs/dto/run.dto';
import { waitForRun } from '../story/story';
import { expectRefusal } from './expect-refusal';
import type { Fault } from './fault';
import { type Begun, type Errand, outcomeOf, type Stricken } from './stricken';

/** Something that is refused when it is asked for, with nothing changed. */
export const refused = (
  what: string,
  code: string,
  ask: (host: Stricken) => Promise<unknown>,
  more: Pick<Fault, 'next'> = {},
): Fault => ({
  ...{ what, step: 'asked', outcomes: new RegExp(`^refused ${code}$`), strike: () => Promise.resolve(), ...more },
  errand: {
    begin: async (host) => {
      await expectRefusal(ask(host), code);
      return begunAs('');
    },
    end: () => Promise.resolve({ outcome: `refused ${code}`, points: 0, wrong: [] }),
  } satisfies Errand,
});

/** A run that is neither a backup nor a restore of the suite's own. */
export const begunAs = (run: string): Begun => ({ run, moment: '', asks: {}, restore: null });

/** Waits for a run that lets go, and asks again where it failed: that must bring it to its end. */
export async function letGoInTheEnd(client: Client, run: string, again: () => Promise<RunDto>): Promise<string> {
  const first = outcomeOf(await waitForRun(client, run, 120));
  if (first === 'succeeded') return first;
  const { id } = await again();
  return `${first}; again: ${outcomeOf(await waitForRun(client, id, 120))}`;
}

/** What went is out of the books, or hidden where it had to stay; each other one can be restored. */
export async function wrongWith(host: Stricken, gone: readonly string[], hidden: readonly string[]): Promise<string[]> {
  const all = await host.client.all<BackupDto>(`/backups?vm=${host.vm}`);
  host.letGo([...gone, ...hidden]);
  const left = new Set(host.points.map(({ backup }) => backup.id));
  const isThere = new Set(all.map(({ id }) => id));
  return [
    ...all.filter(({ id }) => gone.includes(id)).map(({ id, status }) => `to be deleted, and in the books: ${id} ${status}`),
    ...all
      .filter(({ id, status }) => hidden.includes(id) && status !== 'Hidden')
      .map(({ id, status }) => `to be hidden: ${id} is ${status}`),
    ...hidden.filter((id) => !isThere.has(id)).map((id) => `hidden for others, and gone: ${id}`),
    ...all.filter(({ id, restorable }) => left.has(id) && !restorable).map(({ id }) => `cannot be restored: ${id}`),
    ...[...left].filter((id) => !isThere.has(id)).map((id) => `went along: ${id}`),
  ];
}
