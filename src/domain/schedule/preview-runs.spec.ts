import { nextDue } from './next-due';
import { predictLoad } from './predict-load';
import { type PreviewSchedule, previewRuns } from './preview-runs';
import { readRecurrence } from './read-recurrence';
import { readStartRules } from './read-start-rules';
import type { Recurrence } from './recurrence';
import type { StartRules } from './start-rules';

const NOW = new Date('2026-11-29T12:00:00Z');
const cron = (text: string): Recurrence => readRecurrence({ cron: text }) as Recurrence;
const schedule = (part: Partial<PreviewSchedule>, now = NOW): PreviewSchedule => {
  const rhythm = { recurrence: cron('0 2 * * *'), zone: 'UTC', jitter: 0, ...part };
  const due = nextDue(rhythm, now) ?? { instant: now, dueAt: now };
  return { id: 'daily', vm: 'a', host: 'kvm-1', rules: [], missed: 'skip', graceSeconds: 900, due, ...rhythm };
};
const night = readStartRules({
  ...{ owner: 'offering daily', zone: 'UTC', windows: ['22:00-06:00'], blackouts: [], atEnd: 'finish' },
}) as StartRules;
const lines = (schedules: readonly PreviewSchedule[], count: number): string[] =>
  previewRuns(schedules, NOW, count).map(
    ({ vm, schedules: ids, scheduledFor, startsAt }) =>
      `${vm} ${ids.join('+')} ${scheduledFor.toISOString().slice(5, 16)} ${startsAt.toISOString().slice(5, 19)}`,
  );

describe('previewRuns', () => {
  it('has the next of all together, what starts first first', () => {
    const rare = schedule({ id: 'monthly', vm: 'b', recurrence: cron('30 1 1 * *') });
    expect(lines([rare, schedule({ jitter: 90 })], 4)).toEqual([
      'a daily 11-30T02:00 11-30T02:01:30',
      'b monthly 12-01T01:30 12-01T01:30:00',
      'a daily 12-01T02:00 12-01T02:01:30',
      'a daily 12-02T02:00 12-02T02:01:30',
    ]);
  });

  it('makes one run of two schedules at one moment, and names both', () => {
    const hourly = schedule({ id: 'hourly', recurrence: cron('0 * * * *'), jitter: 5 });
    expect(lines([schedule({ jitter: 90 }), hourly], 16).slice(-2)).toEqual([
      'a hourly+daily 11-30T02:00 11-30T02:00:05',
      'a hourly 11-30T03:00 11-30T03:00:05',
    ]);
    expect(lines([schedule({}), schedule({ id: 'other' })], 3)).toEqual([
      ...['a daily+other 11-30T02:00 11-30T02:00:00', 'a daily+other 12-01T02:00 12-01T02:00:00'],
      'a daily+other 12-02T02:00 12-02T02:00:00',
    ]);
  });

  it('counts two schedules at one moment once, and two VMs twice', () => {
    expect(lines([schedule({}), schedule({ id: 'other', jitter: 9 })], 2)).toEqual([
      ...['a daily+other 11-30T02:00 11-30T02:00:00', 'a daily+other 12-01T02:00 12-01T02:00:00'],
    ]);
    expect(lines([schedule({ vm: 'b' }), schedule({})], 3)).toEqual([
      ...['a daily 11-30T02:00 11-30T02:00:00', 'b daily 11-30T02:00 11-30T02:00:00', 'a daily 12-01T02:00 12-01T02:00:00'],
    ]);
  });

  it('has one run for all that waited for a window', () => {
    const hourly = schedule({ id: 'hourly', recurrence: cron('0 * * * *'), jitter: 60, rules: [night] });
    expect(lines([hourly], 3)).toEqual([
      'a hourly 11-29T12:00 11-29T22:00:00',
      'a hourly 11-29T22:00 11-29T22:01:00',
      'a hourly 11-29T23:00 11-29T23:01:00',
    ]);
    expect(previewRuns([hourly], NOW, 1)[0]?.because).toMatchObject({ code: 'outside-window' });
  });

  it('has what was named before and starts yet', () => {
    expect(lines([schedule({ recurrence: cron('59 11 * * *'), jitter: 90 })], 1)).toEqual(['a daily 11-29T11:59 11-29T12:00:30']);
  });

  it('has what was put off already when its window opens, and why', () => {
    const due = { instant: new Date('2026-11-29T10:00:00Z'), dueAt: new Date('2026-11-29T22:00:00Z') };
    const noon = schedule({ recurrence: cron('0 10 * * *'), rules: [night], due });
    expect(lines([noon], 2)).toEqual(['a daily 11-29T10:00 11-29T22:00:00', 'a daily 11-30T10:00 11-30T22:00:00']);
    expect(previewRuns([noon], NOW, 1)[0]?.because).toMatchObject({ code: 'outside-window' });
  });

  it('has what is overdue at once, within its grace or where one is run for all that were missed', () => {
    const since = (minutes: number): PreviewSchedule['due'] => {
      const instant = new Date(NOW.getTime() - minutes * 60_000);
      return { instant, dueAt: instant };
    };
    const now = '11-29T12:00:00';
    expect(lines([schedule({ due: since(15) })], 2)).toEqual([
      `a daily 11-29T11:45 ${now}`,
      'a daily 11-30T02:00 11-30T02:00:00',
    ]);
    expect(lines([schedule({ due: since(16) })], 1)).toEqual(['a daily 11-30T02:00 11-30T02:00:00']);
    expect(lines([schedule({ due: since(600), missed: 'run-once' })], 1)).toEqual([`a daily 11-29T02:00 ${now}`]);
    expect(lines([schedule({ due: since(15), rules: [night] })], 1)).toEqual(['a daily 11-29T11:45 11-29T22:00:00']);
  });

  it('has nothing of what may never start', () => {
    const never = { ...night, windows: [], blackouts: [{ text: 'x', from: '2026-01-01', to: '9999-12-31' }] };
    expect(lines([schedule({ rules: [never] })], 5)).toEqual([]);
    expect(lines([], 5)).toEqual([]);
    expect(lines([schedule({})], 0)).toEqual([]);
  });

  it('is the same whatever came before: the runs after one of them are the rest', () => {
    const all = previewRuns([schedule({ jitter: 90 })], NOW, 5);
    const second = all[1]?.startsAt ?? NOW;
    expect(previewRuns([schedule({ jitter: 90 }, second)], second, 3)).toEqual(all.slice(2));
  });
});

describe('predictLoad', () => {
  const run = (vm: string, host: string | null, at: string): Parameters<typeof predictLoad>[0][number] => ({
    ...{ vm, host, schedules: ['daily'], scheduledFor: new Date(`${at}Z`), startsAt: new Date(`${at}Z`), because: null },
  });
  const usual = new Map([
    ['a', { seconds: 5400, bytes: 5400 }],
    ['b', { seconds: 60, bytes: 7 }],
    ['c', { seconds: 0, bytes: 9 }],
  ]);

  it('gives each hour its part of what goes over it, host by host', () => {
    const runs = [
      run('a', 'kvm-1', '2026-11-29T02:45:00'),
      run('b', 'kvm-1', '2026-11-29T03:00:00'),
      run('b', 'kvm-2', '2026-11-29T03:10:00'),
    ];
    const hour = (text: string): Date => new Date(`2026-11-29T${text}:00:00Z`);
    expect(predictLoad(runs, usual)).toEqual([
      { hour: hour('02'), host: 'kvm-1', starts: 1, unknown: 0, seconds: 900, bytes: 900 },
      { hour: hour('03'), host: 'kvm-1', starts: 1, unknown: 0, seconds: 3660, bytes: 3607 },
      { hour: hour('03'), host: 'kvm-2', starts: 1, unknown: 0, seconds: 60, bytes: 7 },
      { hour: hour('04'), host: 'kvm-1', starts: 0, unknown: 0, seconds: 900, bytes: 900 },
    ]);
  });

  it('counts those of which nothing is known, and those that take no time', () => {
    expect(predictLoad([run('x', null, '2026-11-29T02:45:00'), run('c', null, '2026-11-29T02:59:59')], usual)).toEqual([
      { hour: new Date('2026-11-29T02:00:00Z'), host: null, starts: 2, unknown: 1, seconds: 0, bytes: 9 },
    ]);
  });
});
