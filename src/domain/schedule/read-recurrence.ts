import { refusal, type Refusal } from '../chain/refusal';
import { cronOf } from './cron-of';
import { nextRun } from './next-run';
import type { Recurrence } from './recurrence';

/** What was said: a row of CloudStack's (`schedule_type` and `schedule`), or a cron pattern. */
export type RecurrenceWish = { readonly type: number; readonly text: string } | { readonly cron: string };

interface Part {
  readonly what: string;
  readonly low: number;
  readonly high: number;
  /** Which part of a cron pattern says it, and how much its number differs there. */
  readonly field: number;
  readonly shift: number;
}

const MINUTE: Part = { what: 'minute', low: 0, high: 59, field: 0, shift: 0 };
const HOUR: Part = { what: 'hour', low: 0, high: 23, field: 1, shift: 0 };
/** As Java counts: 1 is Sunday. */
const WEEKDAY: Part = { what: 'day of the week', low: 1, high: 7, field: 4, shift: -1 };
/** No month is without it. */
const MONTHDAY: Part = { what: 'day of the month', low: 1, high: 28, field: 2, shift: 0 };

/** CloudStack's kinds of schedule, by their number. */
const KINDS: readonly { readonly name: string; readonly form: string; readonly like: string; readonly parts: readonly Part[] }[] =
  [
    { name: 'HOURLY', form: 'MM', like: '30 for half past each hour', parts: [MINUTE] },
    { name: 'DAILY', form: 'MM:HH', like: '30:02 for half past two', parts: [MINUTE, HOUR] },
    { name: 'WEEKLY', form: 'MM:HH:D', like: '30:02:1 for half past two on Sundays', parts: [MINUTE, HOUR, WEEKDAY] },
    { name: 'MONTHLY', form: 'MM:HH:D', like: '30:02:15 for half past two on the 15th', parts: [MINUTE, HOUR, MONTHDAY] },
  ];

/** The parts of a cron pattern. */
const FIELDS: readonly { readonly what: string; readonly takes: string }[] = [
  { what: 'minute', takes: 'numbers from 0 to 59, as in 0, 0,30, 10-20 or */15' },
  { what: 'hour', takes: 'numbers from 0 to 23, as in 2, 2,14, 8-17 or */6' },
  { what: 'day of the month', takes: 'numbers from 1 to 31, L for the last day, 15W for the weekday nearest to the 15th' },
  { what: 'month', takes: 'numbers from 1 to 12 or jan to dec' },
  {
    what: 'day of the week',
    takes: 'numbers from 0 (Sunday) to 6 or sun to sat, as in mon-fri; 5#2 for the second Friday, 5L for the last',
  },
];

/** When something is to recur, from what was said of it. */
export const readRecurrence = (wish: RecurrenceWish): Recurrence | Refusal =>
  'cron' in wish ? readCron(wish.cron) : readCloudStack(wish.type, wish.text);

function readCloudStack(type: number, text: string): Recurrence | Refusal {
  const kind = KINDS[type];
  if (kind === undefined)
    return badTime(
      `There is no type of schedule ${type}.`,
      `Types are ${KINDS.map(({ name }, index) => `${index} (${name})`).join(', ')}.`,
    );
  const { name, form, like, parts } = kind;
  const said = text.split(':');
  const next = `Write it as ${form}, such as ${like}.`;
  const start = `${JSON.stringify(text)} is no ${name} schedule:`;
  if (said.length !== parts.length)
    return badTime(`${start} it has ${counted(said.length)}, and ${form} has ${parts.length}.`, next);
  const cron = ['*', '*', '*', '*', '*'];
  for (const [index, { what, low, high, field, shift }] of parts.entries()) {
    const part = said[index] ?? '';
    const number = /^\d{1,2}$/.test(part) ? Number(part) : NaN;
    if (!(number >= low && number <= high))
      return badTime(
        `${start} its part ${index + 1}, the ${what}, is ${JSON.stringify(part)} and goes from ${low} to ${high}.`,
        next,
      );
    cron[field] = String(number + shift);
  }
  return recurrenceOf(cron);
}

function readCron(text: string): Recurrence | Refusal {
  const fields = text.split(/\s+/).filter((field) => field !== '');
  const start = `${JSON.stringify(text)} is no cron pattern:`;
  if (fields.length !== FIELDS.length)
    return badCron(
      `${start} it has ${counted(fields.length)}.`,
      `Write five: ${FIELDS.map(({ what }) => what).join(', ')}. There are no seconds.`,
    );
  if (!isCron(fields)) {
    const wrong = FIELDS.findIndex((_, index) => !isCron(fields.map((field, other) => (other === index ? field : '*'))));
    const { what, takes } = FIELDS[wrong] ?? { what: 'whole', takes: 'five parts that fit each other' };
    return badCron(
      `${start} its part ${wrong + 1}, the ${what}, is ${JSON.stringify(fields[wrong] ?? text)}.`,
      `It takes ${takes}.`,
    );
  }
  const recurrence = recurrenceOf(fields);
  if (nextRun(recurrence, 'UTC', new Date(0)) !== null) return recurrence;
  return refusal(
    'schedule.never',
    'invalid',
    `${JSON.stringify(text)} names a day that never comes.`,
    'Correct its day of the month (part 3), month (part 4) or day of the week (part 5).',
  );
}

function isCron(fields: readonly string[]): boolean {
  // A colon would make a date of it.
  if (fields.some((field) => !/^[\w*,/?#+-]+$/.test(field))) return false;
  try {
    cronOf(fields.join(' '), 'UTC');
    return true;
  } catch {
    return false;
  }
}

const recurrenceOf = (fields: readonly string[]): Recurrence => ({
  cron: fields.join(' '),
  fixed: !fields.slice(0, 2).some((field) => /[*?/]/.test(field)),
});

const counted = (parts: number): string => (parts === 1 ? '1 part' : `${parts} parts`);
const badTime = (message: string, next: string): Refusal => refusal('schedule.bad-time', 'invalid', message, next);
const badCron = (message: string, next: string): Refusal => refusal('schedule.bad-cron', 'invalid', message, next);
