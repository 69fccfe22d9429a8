import { describeDatabases } from '../support/databases';
import { FakeService } from '../support/fake-service';
import { shiftClock } from '../support/shift-clock';

jest.setTimeout(120_000);

const HOUR = 3_600_000;

/** Of several orchestrators one may be wrong about the time, and the next run of a VM is another's. */
describeDatabases('a clock that is wrong', (databases) => {
  let service: FakeService;
  beforeEach(async () => {
    service = await FakeService.start(await databases.fresh());
    await service.register({ offering: { fullEvery: 10 } });
  });
  afterEach(() => service?.close());

  it.each([
    ['ahead', HOUR],
    ['behind', -HOUR],
  ])('an hour %s breaks no chain, and is in no name and no date', async (_, ms) => {
    const [dates, names, types]: [number[], string[], string[]] = [[], [], []];
    const began = Math.floor(Date.now() / 1000) * 1000;
    for (const [index, wrong] of [0, ms, 0, 0].entries()) {
      await service.lab.write(service.vm, 'vda', index + 1, index * 64 * 1024, 64 * 1024);
      await service.lab.moment(service.vm, `point-${index}`);
      const right = shiftClock(wrong);
      const backup = await service.backup().finally(right);
      dates.push(Date.parse(backup.date as string));
      names.push(backup.externalId as string);
      types.push(`${backup.type} ${backup.reason}`);
      if (index === 3) expect(await service.restoresAs(backup.id as string, 'point-3')).toBe(true);
    }
    expect(types).toEqual(['FULL no-parent', 'INCREMENTAL regular', 'INCREMENTAL regular', 'INCREMENTAL regular']);
    expect(dates).toEqual([...dates].sort((a, b) => a - b));
    expect(dates.every((date) => date >= began && date <= Date.now())).toBe(true);
    const epochs = names.map((name) =>
      Date.parse(
        `${name
          .split('/')[1]
          ?.replace(/\.(\d\d)\.(\d\d)\.(\d\d)$/, 'T$1:$2:$3Z')
          .replaceAll('.', '-')}`,
      ),
    );
    expect(epochs.every((epoch, index) => epoch > (epochs[index - 1] ?? 0) && Math.abs(epoch - began) < HOUR / 2)).toBe(true);
  });
});
