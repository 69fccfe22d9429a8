import type { Sighting } from './count-restarts';
import { median, recreationReport, SUSPICIOUS_RATIO, USUAL_NEEDS, type ReportedBackup } from './recreation-report';

const backup = (backupId: string, size: number | null, over: Partial<ReportedBackup> = {}): ReportedBackup => ({
  backupId,
  vmId: 'vm',
  vm: 'i-2-7-VM',
  date: '2026-04-27T16:26:40.000Z',
  type: 'INCREMENTAL',
  size,
  reason: 'regular',
  recreated: null,
  recreateMethod: null,
  assurance: 'accounted',
  ...over,
});
const seen = (backupId: string | null, qemuStarted: string | null, over: Partial<Sighting> = {}): Sighting => ({
  vmId: 'vm',
  backupId,
  vmState: 'running',
  qemuStarted,
  ...over,
});
const DAY = '2026-04-27T10:00:00.000Z';
const NIGHT = '2026-04-27T22:00:00.000Z';

describe('recreationReport', () => {
  it('keeps what it is given, in its order', () => {
    const given = [backup('b', 2, { recreated: 'backup-1', recreateMethod: 'redefined', reason: 'redefined' }), backup('a', 1)];
    expect(recreationReport(given, [])).toEqual(
      given.map((row, index) => ({ ...row, ratio: index === 0 ? 2 / 1.5 : 1 / 1.5, restarts: null, suspicion: null })),
    );
  });

  it('measures each incremental by the median of its own VM, and no full', () => {
    const rows = recreationReport(
      [
        backup('full', 5000, { type: 'FULL' }),
        backup('a', 10),
        backup('b', 20),
        backup('c', 60),
        backup('x', 7, { vmId: 'other' }),
      ],
      [],
    );
    expect(rows.map(({ ratio }) => ratio)).toEqual([null, 0.5, 1, 3, 1]);
  });

  it('has no ratio without a size or without anything usual', () => {
    expect(recreationReport([backup('a', null), backup('b', 10)], []).map(({ ratio }) => ratio)).toEqual([null, 1]);
    expect(recreationReport([backup('a', 0)], [])[0]).toMatchObject({ ratio: null, suspicion: null });
  });

  it('suspects both tails', () => {
    const usual = [90, 90, 90].map((size, index) => backup(`u${index}`, size));
    const suspicionOf = (size: number) => recreationReport([...usual, backup('x', size)], []).at(-1)?.suspicion;
    expect(suspicionOf(90 * SUSPICIOUS_RATIO)).toBe('large');
    expect(suspicionOf(90 * SUSPICIOUS_RATIO - 1)).toBeNull();
    expect(suspicionOf(90 / SUSPICIOUS_RATIO)).toBe('small');
    expect(suspicionOf(90 / SUSPICIOUS_RATIO + 1)).toBeNull();
  });

  it('suspects nothing where nothing is usual yet', () => {
    const few = Array.from({ length: USUAL_NEEDS - 1 }, (_, index) => backup(`u${index}`, index === 0 ? 1 : 1000));
    expect(recreationReport(few, []).map(({ suspicion }) => suspicion)).toEqual([null, null, null]);
    expect(recreationReport([...few, backup('x', 1000)], [])[0]?.suspicion).toBe('small');
  });

  it('counts restarts with the backup that first saw them', () => {
    const rows = recreationReport(
      ['a', 'b', 'c', 'd'].map((id) => backup(id, 1)),
      [seen(null, DAY), seen('a', DAY), seen(null, NIGHT), seen('b', NIGHT), seen('c', NIGHT)],
    );
    expect(rows.map(({ restarts }) => restarts)).toEqual([0, 1, 0, null]);
  });

  it('hands what a run without a backup saw on to the next', () => {
    const sightings = [seen('a', DAY), seen('failed', NIGHT), seen(null, DAY), seen('b', DAY)];
    expect(recreationReport([backup('a', 1), backup('b', 1)], sightings).map(({ restarts }) => restarts)).toEqual([0, 2]);
  });

  it('takes a start after a stop for a restart, with the backup that saw the VM run again', () => {
    const stopped = { vmState: 'shut off' as const };
    const sightings = [seen('a', DAY), seen(null, null, stopped), seen('b', null, stopped), seen('c', NIGHT)];
    expect(
      recreationReport(
        ['a', 'b', 'c'].map((id) => backup(id, 1)),
        sightings,
      ).map(({ restarts }) => restarts),
    ).toEqual([0, 0, 1]);
    expect(recreationReport([backup('a', 1)], [seen(null, null, stopped), seen('a', DAY)])[0]?.restarts).toBe(1);
  });

  it('takes starts that differ by a clock tick for one', () => {
    const sightings = [
      seen('a', '2026-04-27T10:00:00.000Z'),
      seen('b', '2026-04-27T10:00:02.000Z'),
      seen('c', '2026-04-27T10:00:04.001Z'),
      seen('d', '2026-04-27T09:59:00.000Z'),
    ];
    expect(
      recreationReport(
        ['a', 'b', 'c', 'd'].map((id) => backup(id, 1)),
        sightings,
      ).map(({ restarts }) => restarts),
    ).toEqual([0, 0, 1, 1]);
  });

  it('knows nothing of a VM that nobody saw, and mixes no two VMs', () => {
    const other = { vmId: 'other' };
    const sightings = [
      seen('a', null),
      seen('x', DAY, other),
      seen(null, 'garbage'),
      seen('b', DAY),
      seen('y', NIGHT, other),
      seen('c', null),
    ];
    const rows = recreationReport(
      [...['a', 'b', 'c'].map((id) => backup(id, 1)), ...['x', 'y'].map((id) => backup(id, 1, other))],
      sightings,
    );
    expect(rows.map(({ restarts }) => restarts)).toEqual([null, 0, 0, 0, 1]);
  });
});

describe('median', () => {
  it.each([
    [[], null],
    [[3], 3],
    [[10, 9, 100], 10],
    [[4, 1, 2, 3], 2.5],
  ])('of %j is %s', (values, expected) => expect(median(values)).toBe(expected));
});
