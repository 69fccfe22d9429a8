import { instantOf } from './instant-of';
import type { Blackout, StartRules, StartWindow } from './start-rules';
import { wallOf } from './wall-of';
import { WEEKDAYS } from './weekdays';

/** A time without a gap in which backups may start. */
export interface OpenSpan {
  readonly from: Date;
  /** The first moment after it; null: it has no end within two weeks. */
  readonly to: Date | null;
}

const MINUTE = 60_000;
const DAY = 1440 * MINUTE;
/** A run is over by then, or has other troubles. */
const LONGEST = 14 * DAY;
const ALWAYS: StartWindow = { text: '00:00-24:00', days: WEEKDAYS, from: 0, to: 1440 };

/**
 * The time that a moment lies in, or the next there is, by one set of rules; null: none that begins within so many days. A window opens
 * when the clocks first show its time, and closes when they first show the other: on the night that has an hour twice it is never open
 * for longer than they say.
 */
export function openSpan(rules: StartRules, at: Date, days: number): OpenSpan | null {
  if (rules.windows.length === 0 && rules.blackouts.length === 0) return { from: at, to: null };
  let open: { from: number; to: number } | null = null;
  for (const { from, to } of pieces(rules, at, days)) {
    if (to <= at.getTime()) continue;
    if (open === null) open = { from, to };
    else if (from > open.to) break;
    else open.to = Math.max(open.to, to);
    if (open.to > at.getTime() + LONGEST) return { from: new Date(open.from), to: null };
  }
  if (open === null || open.from > at.getTime() + days * DAY) return null;
  return { from: new Date(open.from), to: new Date(open.to) };
}

interface Piece {
  readonly from: number;
  readonly to: number;
}

/** What the windows leave open, less the blackouts, in the order in which it opens. */
function* pieces({ zone, windows, blackouts }: StartRules, at: Date, days: number): Generator<Piece, void> {
  const shown = wallOf(at, zone).getTime();
  const today = shown - (((shown % DAY) + DAY) % DAY);
  const daily = windows.length === 0 ? [ALWAYS] : [...windows].sort((a, b) => a.from - b.from);
  // What opened yesterday may be open still.
  for (let day = today - DAY; day <= today + days * DAY + LONGEST; day += DAY) {
    const weekday = WEEKDAYS[new Date(day).getUTCDay()] ?? 'sun';
    for (const { from, to } of daily.filter((window) => window.days.includes(weekday))) {
      const [opens, closes] = lit(day + from * MINUTE, day + to * MINUTE, blackouts);
      if (opens >= closes) continue;
      const piece = { from: instantOf(new Date(opens), zone).getTime(), to: instantOf(new Date(closes), zone).getTime() };
      // One that lies in the hour that is skipped does not open.
      if (piece.from < piece.to) yield piece;
    }
  }
}

/** What whole dark days leave of a time that lies on two days at most: so it is cut at its ends and never in two. */
function lit(from: number, to: number, blackouts: readonly Blackout[]): [number, number] {
  let [opens, closes] = [from, to];
  for (const blackout of blackouts) {
    const [dark, over] = [Date.parse(blackout.from), Date.parse(blackout.to) + DAY];
    if (over <= opens || dark >= closes) continue;
    if (dark <= opens) opens = over;
    else closes = dark;
  }
  return [opens, closes];
}
