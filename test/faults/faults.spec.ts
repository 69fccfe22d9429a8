import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { chmod } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { describeDatabases } from '../support/databases';
import { FULL } from '../support/thorough';
import { faultsOn } from './faults';
import { type FaultRow, faultsPage } from './faults-page';
import { Stricken } from './stricken';

const ROOT = resolve(__dirname, '../..');
const rows: FaultRow[] = [];

afterAll(() => {
  mkdirSync(join(ROOT, 'reports'), { recursive: true });
  writeFileSync(join(ROOT, 'reports/faults.json'), JSON.stringify(rows, null, 2));
  // Only a run that saw every fault, and nothing wrong after any, may write the page.
  if (rows.length === faultsOn('sqlite').length + faultsOn('mariadb').length && rows.every(({ wrong }) => wrong.length === 0))
    writeFileSync(join(ROOT, 'docs/faults.md'), faultsPage(rows, new Date()));
});

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
        await fault.before?.(stricken);
        const begun = await (fault.restores ? stricken.beginRestore(fault.step, fault.restores) : stricken.begin(fault.step));
        try {
          await fault.strike(stricken, begun.run, begun.moment);
          stricken.go();
          await fault.mend?.(stricken, begun.run);
        } catch (error) {
          await stricken.startAnew();
          throw error;
        }
        const { outcome, made, next, compared, wrong } = await stricken.aftermath(begun);
        await fault.afterwards?.(stricken);
        rows.push({
          ...{ database: databases.kind, family: fault.family, what: fault.what, step: fault.step },
          ...{ outcome, made: fault.made ? made : null, next, compared, wrong, seconds: (Date.now() - began) / 1000 },
        });
        expect({ outcome, made, next, wrong }).toEqual({
          outcome: expect.stringMatching(fault.outcomes) as string,
          made: fault.made ? (expect.stringMatching(fault.made) as string) : made,
          next: expect.stringMatching(fault.next ?? /^INCREMENTAL regular$/) as string,
          wrong: [],
        });
      },
      300_000,
    );

    it('left every restore point what it was', async () => {
      expect(await stricken.bytes()).toEqual([]);
    }, 300_000);
  },
  FULL ? undefined : ['mariadb'],
);
