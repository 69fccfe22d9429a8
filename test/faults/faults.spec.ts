import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { chmod } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { describeDatabases } from '../support/databases';
import { FULL } from '../support/thorough';
import type { Fault } from './fault';
import { faultsOn } from './faults';
import { type FaultRow, faultsPage } from './faults-page';
import { type Begun, Stricken } from './stricken';

const ROOT = resolve(__dirname, '../..');
/** What was seen when each last struck, this time or before: a run of some faults does not forget the others. */
const SEEN = join(ROOT, 'reports/faults-seen.json');
const rows = new Map<string, FaultRow | null>();
const keyOf = ({ database, family, step, what }: Pick<FaultRow, 'database' | 'family' | 'step' | 'what'>): string =>
  [database, family, step, what].join(' | ');

afterAll(() => {
  const known = existsSync(SEEN) ? (JSON.parse(readFileSync(SEEN, 'utf8')) as FaultRow[]) : [];
  const all = new Map<string, FaultRow | null>([...known.map((row) => [keyOf(row), row] as const), ...rows]);
  const wanted = (['sqlite', 'mariadb'] as const).flatMap((database) =>
    faultsOn(database).map((fault) => all.get(keyOf({ database, ...fault })) ?? null),
  );
  const seen = wanted.filter((row) => row !== null);
  mkdirSync(join(ROOT, 'reports'), { recursive: true });
  writeFileSync(SEEN, JSON.stringify(seen, null, 2));
  // Only when every fault was seen, and nothing wrong after any when it last struck, the page is written.
  if (seen.length === wanted.length) writeFileSync(join(ROOT, 'docs/faults.md'), faultsPage(seen));
});

async function beginOf({ step, errand, restores, wishes, asks }: Fault, host: Stricken): Promise<Begun> {
  if (errand) return errand.begin(host, step);
  return restores ? host.beginRestore(step, restores, await wishes?.(host)) : host.begin(step, asks);
}

/** Real faults on a real host. A run that was struck may fail; what the service vouches for is true, and the next backup too. */
describeDatabases(
  'a fault',
  (databases) => {
    let folder = '';
    let stricken: Stricken;

    beforeAll(async () => {
      folder = mkdtempSync(join(tmpdir(), 'chainkeeper-faults-'));
      await chmod(folder, 0o711);
      stricken = await Stricken.open(folder, `f${process.pid}${databases.kind}`, databases);
    }, 300_000);
    afterAll(async () => {
      await stricken?.close();
      rmSync(folder, { recursive: true, force: true });
    }, 120_000);

    it.each(
      faultsOn(databases.kind)
        .filter(({ quick }) => FULL || quick)
        .map((fault) => [`${fault.family}, ${fault.step}: ${fault.what}`, fault] as const),
    )(
      '%s',
      async (_, fault) => {
        const began = Date.now();
        const key = keyOf({ database: databases.kind, ...fault });
        rows.set(key, null);
        let begun: Begun;
        try {
          await fault.before?.(stricken);
          begun = await beginOf(fault, stricken);
          await fault.strike(stricken, begun.run, begun.moment);
          stricken.go();
          await fault.mend?.(stricken, begun.run);
        } catch (error) {
          await stricken.startAnew().catch((later: unknown) => {
            throw new Error(`${String(error)}; then nothing could be started anew: ${String(later)}`, { cause: error });
          });
          throw error;
        }
        const { outcome, made, next, compared, wrong } = await stricken.aftermath(begun, fault.errand);
        await fault.afterwards?.(stricken);
        expect({ outcome, made, next, wrong }).toEqual({
          outcome: expect.stringMatching(fault.outcomes) as string,
          made: fault.made ? (expect.stringMatching(fault.made) as string) : made,
          next: expect.stringMatching(fault.next ?? /^INCREMENTAL regular$/) as string,
          wrong: [],
        });
        rows.set(key, {
          ...{ database: databases.kind, family: fault.family, what: fault.what, step: fault.step },
          ...{ outcome, made: fault.made ? made : null, next, compared, seconds: (Date.now() - began) / 1000 },
          seen: new Date().toISOString().slice(0, 10),
        });
      },
      300_000,
    );

    it('left every restore point what it was', async () => {
      const wrong = await stricken.bytes();
      if (wrong.length > 0) for (const key of rows.keys()) rows.set(key, null);
      expect(wrong).toEqual([]);
    }, 300_000);
  },
  FULL ? undefined : ['mariadb'],
);
