import { refusal, type Refusal } from '../chain/refusal';
import type { Blackout } from './start-rules';

/** Days without backups as people write them: `2026-12-24..2026-12-26`, or `2026-12-24` alone. */
export function readBlackout(text: string): Blackout | Refusal {
  const days = text.trim().split('..');
  const [from = '', to = from] = days;
  if (days.length > 2) return bad(text, 'it is not one day or two with .. between them');
  const wrong = [from, to].find((day) => !isDay(day));
  if (wrong !== undefined) return bad(text, `${JSON.stringify(wrong)} is no day`);
  return from <= to ? { text: text.trim(), from, to } : bad(text, 'it ends before it begins');
}

/** Whether there is such a day: `2026-02-30` is none. */
function isDay(text: string): boolean {
  if (!/^\d{4}-\d\d-\d\d$/.test(text)) return false;
  const date = new Date(`${text}T00:00:00Z`);
  return !Number.isNaN(date.getTime()) && date.toISOString().startsWith(text);
}

const bad = (text: string, why: string): Refusal =>
  refusal(
    'schedule.bad-blackout',
    'invalid',
    `${JSON.stringify(text)} names no days without backups: ${why}.`,
    'Write it like 2026-12-24..2026-12-26; both days are included.',
  );
