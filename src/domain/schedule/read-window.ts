import { refusal, type Refusal } from '../chain/refusal';
import type { StartWindow } from './start-rules';
import { WEEKDAYS, type Weekday } from './weekdays';

/** A window as people write it: `22:00-06:00`, `sat,sun 00:00-24:00`, `mon-fri 20:00-05:30`. */
export function readWindow(text: string): StartWindow | Refusal {
  const parts = text.trim().toLowerCase().split(/\s+/);
  const [days, span] = parts.length === 1 ? [WEEKDAYS, parts[0]] : [readDays(parts[0] ?? ''), parts[1]];
  if (parts.length > 2 || days === null) return bad(text, 'the days before the time are not a list such as sat,sun or mon-fri');
  const [from, to] =
    /^(.+)-(.+)$/
      .exec(span ?? '')
      ?.slice(1)
      .map(minuteOf) ?? [];
  if (from == null || to == null) return bad(text, 'the time is not HH:MM-HH:MM, from 00:00 to 24:00');
  if (from === to || from === 1440) return bad(text, 'it opens at no time of a day, or never closes');
  return { text: text.trim(), days, from, to: to > from ? to : to + 1440 };
}

function readDays(text: string): Weekday[] | null {
  const chosen = new Set<Weekday>();
  for (const part of text.split(',')) {
    const [first = -1, last = first, ...more] = part.split('-').map(dayOf);
    if (first < 0 || last < 0 || more.length > 0) return null;
    // Saturday to Monday goes over the end of the week.
    for (let day = first; ; day = (day + 1) % 7) {
      chosen.add(WEEKDAYS[day] ?? 'sun');
      if (day === last) break;
    }
  }
  return WEEKDAYS.filter((day) => chosen.has(day));
}

const dayOf = (text: string): number => (WEEKDAYS as readonly string[]).indexOf(text);

function minuteOf(text: string): number | null {
  const [, hour, minute] = /^(\d\d):(\d\d)$/.exec(text) ?? [];
  const minutes = Number(hour) * 60 + Number(minute);
  return Number(minute) < 60 && minutes <= 1440 ? minutes : null;
}

const bad = (text: string, why: string): Refusal =>
  refusal(
    'schedule.bad-window',
    'invalid',
    `${JSON.stringify(text)} is no window: ${why}.`,
    'Write it like 22:00-06:00 or sat,sun 00:00-24:00; what closes earlier than it opens closes on the day after.',
  );
