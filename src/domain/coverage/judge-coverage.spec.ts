import { type CoverageBooks, judgeCoverage, type PromisedBackup } from './judge-coverage';

const at = (day: number, hour = 2): Date => new Date(Date.UTC(2026, 10, day, hour));
const promise = (id: string, promised: Date | null, different: Partial<PromisedBackup> = {}): PromisedBackup => ({
  ...{ id, promised, paused: false, readable: true },
  ...different,
});
const GOOD: CoverageBooks = {
  vm: 'i-2-10-VM',
  offering: { name: 'daily', repository: { name: 'nas1', maintenance: false } },
  host: { name: 'kvm1', maintenance: false, status: 'Up' },
  silence: null,
  schedules: [promise('s1', at(29))],
  disks: [
    { target: 'vda', format: 'qcow2' },
    { target: 'vdb', format: null },
  ],
  newest: { id: 'b1', date: at(29, 3), assurance: 'accounted', disks: ['vda', 'vdb'] },
  runs: [{ state: 'succeeded', errorCode: null, ended: at(29, 3) }],
};
const judged = (different: Partial<CoverageBooks>): string => {
  const { state, problems } = judgeCoverage({ ...GOOD, ...different });
  return [state, ...problems.map(({ code, since }) => (since === null ? code : `${code} ${since.getUTCDate()}`))].join(', ');
};
const failed = (day: number, errorCode = 'host.unreachable') => ({ state: 'failed', errorCode, ended: at(day) });
const newest = (different: Partial<NonNullable<CoverageBooks['newest']>>): Partial<CoverageBooks> => ({
  newest: { id: 'b1', date: at(29, 3), assurance: 'accounted', disks: ['vda', 'vdb'], ...different },
});

describe('judgeCoverage', () => {
  it.each<[string, Partial<CoverageBooks>, string]>([
    ['all is as promised', {}, 'protected'],
    ['no promise yet', { schedules: [promise('s1', null)] }, 'protected'],
    ['taken in the very second', newest({ date: at(29) }), 'protected'],
    ['a second too old', newest({ date: new Date(at(29).getTime() - 1000) }), 'late, late 29'],
    ['one of two schedules is not kept', { schedules: [promise('a', at(28)), promise('b', at(30))] }, 'late, late 30'],
    ['what is paused promises nothing', { schedules: [promise('a', at(30), { paused: true })] }, 'protected, paused'],
    ['one of two is paused', { schedules: [promise('a', at(30), { paused: true }), promise('b', at(29))] }, 'protected'],
    [
      'a promise that nobody can read',
      { schedules: [promise('a', at(29)), promise('b', null, { readable: false })] },
      'protected, schedule-unreadable',
    ],
    ['one that is paused besides', { schedules: [promise('b', null, { readable: false, paused: true })] }, 'protected, paused'],
    ['no schedule', { schedules: [] }, 'protected, no-schedule'],
    ['no offering', { offering: null }, 'protected, no-offering'],
    ['its repository is gone', { offering: { name: 'daily', repository: null } }, 'protected, no-repository'],
    [
      'its repository in maintenance',
      { offering: { name: 'daily', repository: { name: 'nas1', maintenance: true } } },
      'protected, repository-maintenance',
    ],
    ['no host', { host: null }, 'protected, no-host'],
    ['its host in maintenance', { host: { name: 'kvm1', maintenance: true, status: 'Up' } }, 'protected, host-maintenance'],
    [
      'CloudStack says that its host is down',
      { host: { name: 'kvm1', maintenance: false, status: 'Down' } },
      'protected, host-down',
    ],
    ['its host does not answer', { silence: { runId: 'r1', errorCode: 'host.unreachable' } }, 'protected, host-down'],
    ['no disk', { disks: [] }, 'protected, no-disks'],
    ['never backed up', { newest: null, runs: [] }, 'unprotected, no-restore-point'],
    ['unproven', newest({ assurance: 'unproven' }), 'protected, unproven 29'],
    ['broken', newest({ assurance: 'broken' }), 'protected, broken 29'],
    ['a failure since', { runs: [failed(30), ...GOOD.runs] }, 'protected, failing 30'],
    [
      'failures since',
      { runs: [failed(30), { state: 'skipped', errorCode: null, ended: at(30) }, failed(28), ...GOOD.runs] },
      'protected, failing 28',
    ],
    ['a failure before', { runs: [...GOOD.runs, failed(28)] }, 'protected'],
    ['failures only', { newest: null, runs: [failed(30), failed(27)] }, 'unprotected, failing 27, no-restore-point'],
  ])('%s', (_, different, words) => expect(judged(different)).toBe(words));

  it('looks at each disk', () => {
    const disksOf = (different: Partial<CoverageBooks>): unknown[] =>
      judgeCoverage({ ...GOOD, ...different }).disks.map(({ target, problem }) => [target, problem?.code ?? null]);
    expect(disksOf({})).toEqual([
      ['vda', null],
      ['vdb', null],
    ]);
    expect(disksOf(newest({ disks: ['vda'] }))).toEqual([
      ['vda', null],
      ['vdb', 'not-in-backup'],
    ]);
    expect(judged(newest({ disks: ['vda'] }))).toBe('unprotected');
    expect(disksOf({ ...newest({ disks: [] }), disks: [{ target: 'vdc', format: 'raw' }] })).toEqual([
      ['vdc', 'unsupported-format'],
    ]);
    expect(disksOf(newest({ disks: null }))).toEqual(disksOf({}));
    expect(disksOf({ newest: null })).toEqual([
      ['vda', 'no-restore-point'],
      ['vdb', 'no-restore-point'],
    ]);
  });

  it('says what and what to do', () => {
    const { problems } = judgeCoverage({ ...GOOD, ...newest({ date: at(27) }), runs: [failed(29), failed(28)] });
    expect(problems.map(({ sentence }) => sentence)).toEqual([
      'The last 2 backups of VM i-2-10-VM failed, since 2026-11-28T02:00:00Z: host.unreachable.',
      'The newest restore point is of 2026-11-27T02:00:00Z, and one was promised for 2026-11-29T02:00:00Z.',
    ]);
    expect(problems.every(({ next }) => /\S/.test(next))).toBe(true);
  });
});
