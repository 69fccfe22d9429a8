import type { Schedule } from '../database/repositories/schedules';
import { isRefusal } from '../domain/chain/refusal';
import { checkZone } from '../domain/schedule/check-zone';
import { nextRun } from '../domain/schedule/next-run';
import { readRecurrence } from '../domain/schedule/read-recurrence';
import { warnOfClockChange } from '../domain/schedule/warn-of-clock-change';
import { wishOf, zoneOf } from '../engine/rhythms';
import type { ScheduleDto } from './dto/schedule.dto';
import { INTERVALS } from './intervals';

/** A schedule for people. */
export function presentSchedule(
  schedule: Schedule,
  names: { readonly vm: string | null; readonly offering: string | null },
  now: Date,
): ScheduleDto {
  const { cloudstack, paused } = schedule;
  const zone = zoneOf(schedule);
  const recurrence = readRecurrence(wishOf(schedule));
  const refused = isRefusal(recurrence) ? recurrence : checkZone(zone);
  const readable = isRefusal(recurrence) || refused !== null ? null : recurrence;
  const warning = readable && warnOfClockChange(readable, zone, now);
  return {
    id: schedule.id,
    ...names,
    every: INTERVALS[cloudstack?.scheduleType ?? -1] ?? null,
    at: cloudstack?.schedule ?? null,
    cron: isRefusal(recurrence) ? null : recurrence.cron,
    timezone: zone,
    maxBackups: cloudstack?.maxBackups ?? null,
    quiesce: (cloudstack === null ? schedule.quiesce : cloudstack.quiescevm) ?? false,
    jitterSeconds: schedule.jitterSeconds,
    missed: schedule.missed,
    graceSeconds: schedule.graceSeconds,
    paused: paused?.toISOString() ?? null,
    pausedWhy: schedule.pausedWhy,
    next: (paused === null && readable && nextRun(readable, zone, now)?.toISOString()) || null,
    warnings: [
      ...(refused === null ? [] : [`Nothing comes of it: ${refused.message} ${refused.next}`]),
      ...(warning === null ? [] : [warning]),
    ],
    created: schedule.created.toISOString(),
    changed: schedule.changed.toISOString(),
  };
}
