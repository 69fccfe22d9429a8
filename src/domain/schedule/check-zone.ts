import { refusal, type Refusal } from '../chain/refusal';
import { isTimeZone } from './is-time-zone';

/** Why a text is no time zone, or null. */
export function checkZone(text: string): Refusal | null {
  if (isTimeZone(text)) return null;
  return refusal(
    'schedule.unknown-zone',
    'invalid',
    `${JSON.stringify(text)} is no time zone that this service knows.`,
    'Name one as IANA has it, such as Europe/Berlin or UTC; an offset such as +02:00 is none.',
  );
}
