import { changeBetween } from './change-between';
import { zoneOffset } from './zone-offset';

/** A moment at which the clocks of a zone are put forward or back. */
export interface ClockChange {
  readonly at: Date;
  /** What they show then by the old time, and by the new, as `wallOf` has it. */
  readonly from: Date;
  readonly to: Date;
}

const DAY = 86_400_000;

/** When the clocks of a zone are changed in the days that follow a moment. */
export function clockChanges(zone: string, after: Date, days: number): ClockChange[] {
  const found: ClockChange[] = [];
  let before = zoneOffset(zone, after.getTime());
  for (let day = 1; day <= days; day += 1) {
    const moment = after.getTime() + day * DAY;
    const offset = zoneOffset(zone, moment);
    if (offset !== before) {
      const at = changeBetween(zone, moment - DAY, moment);
      found.push({ at: new Date(at), from: new Date(at + before), to: new Date(at + offset) });
    }
    before = offset;
  }
  return found;
}
