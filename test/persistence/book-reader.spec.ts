import { Backups } from '../../src/database/repositories/backups';
import { Evidence } from '../../src/database/repositories/evidence';
import { Offerings } from '../../src/database/repositories/offerings';
import { Resizes } from '../../src/database/repositories/resizes';
import { Restores } from '../../src/database/repositories/restores';
import { Runs } from '../../src/database/repositories/runs';
import { Schedules } from '../../src/database/repositories/schedules';
import { Vms } from '../../src/database/repositories/vms';
import { toDetails } from '../../src/domain/chain/chain-keys';
import { planRetention } from '../../src/domain/retention/plan-retention';
import { NO_COUNTS } from '../../src/domain/retention/retention-rules';
import { BookReader } from '../../src/engine/book-reader';
import { aBackup, aVm } from '../support/books';
import { describeDatabases } from '../support/databases';
import { keys } from '../unit/chain/situation';

describeDatabases('what is read from the books', (databases) => {
  it('a backup that CloudStack’s provider wants deleted later is hidden, whatever its status: it takes no good one’s place', async () => {
    const books = await databases.open();
    const { work } = books;
    const [backups, vm] = [new Backups(work), await aVm(books)];
    const take = (day: number, deletePending: boolean): ReturnType<Backups['insert']> =>
      backups.insert(
        aBackup(vm.id, { date: new Date(Date.UTC(2026, 3, day)) }),
        toDetails(keys({ chainId: `chain-${day}`, bitmapName: `backup-${day}`, deletePending })),
      );
    const [real, tombstone] = [await take(1, false), await take(2, true)];
    const reader = new BookReader(
      backups, new Evidence(work), new Restores(work), new Resizes(work), new Runs(work), new Vms(work), new Offerings(work),
      new Schedules(work),
    ); // prettier-ignore
    const read = await reader.retentionBooks(vm.id);
    expect(read.backups.map(({ uuid, status }) => [uuid, status])).toEqual([
      [tombstone.uuid, 'Hidden'],
      [real.uuid, 'BackedUp'],
    ]);
    const rules = { policy: { ...NO_COUNTS, keepLast: 1 }, minAgeHours: 0, zone: 'UTC', manual: true };
    const { steps, lines } = planRetention({ ...read, ...rules, now: Date.UTC(2026, 4, 1) / 1000 });
    expect(lines.map(({ backup, fate }) => [backup, fate])).toEqual([[real.uuid, 'stays']]);
    // What is hidden goes with the next that goes, and retention has nothing else to do.
    expect(steps.map(({ kind, backup }) => [kind, backup])).toEqual([['remove', tombstone.uuid]]);
  });
});
