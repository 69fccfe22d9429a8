import type { Weekday } from './weekdays';

/** A time of the day in which backups may start, on some days of the week. */
export interface StartWindow {
  /** As it was written. */
  readonly text: string;
  /** Those on which it opens; it may close on the day after. */
  readonly days: readonly Weekday[];
  /** Minutes from midnight of the day on which it opens. */
  readonly from: number;
  /** The same, and more than `from`: what closes on the day after has 1440 and more. */
  readonly to: number;
}

/** Days on which no backup starts, both included, as `yyyy-mm-dd`. */
export interface Blackout {
  /** As it was written. */
  readonly text: string;
  readonly from: string;
  readonly to: string;
}

/** When somebody (an offering, a host) lets backups start. */
export interface StartRules {
  /** Whose they are, as a sentence names it: `offering daily`, `host kvm-3`. */
  readonly owner: string;
  /** IANA name of the time zone that all of it is meant in. */
  readonly zone: string;
  /** None: at any time. */
  readonly windows: readonly StartWindow[];
  readonly blackouts: readonly Blackout[];
  /** What becomes of a backup that goes on when the window closes. */
  readonly atEnd: 'finish' | 'stop';
}
