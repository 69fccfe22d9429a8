import type { BookedBackup } from '../chain/booked-backup';
import { type DeletionBooks, type DeletionStep, planDeletion } from '../chain/plan-deletion';
import { deadPoints, restorePoints } from '../chain/restore-points';
import { NO_COUNTS, type RetentionRules } from './retention-rules';
import { type DatedPoint, selectKept } from './select-kept';

/** Who asked for a backup. */
export interface BackupOrigin {
  /** Row id of CloudStack's schedule; null: of none. */
  readonly scheduleId: number | null;
  /** Somebody asked for it; neither a schedule nor the service did. */
  readonly manual: boolean;
}

/** A schedule, and how many of its backups are kept: CloudStack's `max_backups`; 0 limits nothing. */
export interface ScheduleCount {
  readonly id: number;
  /** For people: `daily`. */
  readonly name: string;
  readonly maxBackups: number;
}

/** What retention knows of a VM besides its chains. */
export interface RetentionBooks extends DeletionBooks {
  /** By the uuid of the backup; one that is missing counts as manual: rather a point too many. */
  readonly origins: ReadonlyMap<string, BackupOrigin>;
  readonly schedules: readonly ScheduleCount[];
}

/** What a policy is applied to; the backups newest first. */
export interface RetentionInput extends RetentionBooks, RetentionRules {
  /** Epoch seconds. */
  readonly now: number;
}

/** One backup that people are offered, and what becomes of it. */
export interface RetentionLine {
  readonly backup: string;
  /** False: it is no restore point, though it is offered as one; `why` says what is wrong with it. */
  readonly restorable: boolean;
  /** `hidden`: links that stay stand on it. */
  readonly fate: 'stays' | 'hidden' | 'removed';
  readonly why: string;
}

/** What a policy does today. */
export interface RetentionPlan {
  readonly kind: 'retention';
  /** Newest first. */
  readonly lines: readonly RetentionLine[];
  /** In order; deletions, each as safe as one that a person asks for. */
  readonly steps: readonly DeletionStep[];
  /** Bytes on the NAS. */
  readonly bytesFreed: number;
  readonly pointsLeft: number;
}

/**
 * What goes by a policy and by the counts of schedules, and why each other stays. Every point that goes is deleted as a person would
 * delete it, one after another from the oldest on: so the last and the best point stay, no link loses an ancestor, and what is protected is
 * not touched. What a deletion that was cut short has left hidden goes along. What cannot be restored goes by the same rules, as worth less
 * than any that can: it takes nobody's place, and where nothing can be restored it stays, for whoever may save something of it.
 */
export function planRetention(input: RetentionInput): RetentionPlan {
  const { minAgeHours, now } = input;
  const place = new Map(input.backups.map(({ uuid }, index) => [uuid, index]));
  const [alive, dead] = [restorePoints(input.backups), deadPoints(input.backups)];
  const wrong = new Map(dead.map((one) => [one.backup.uuid, one.why]));
  const points = [...alive, ...dead.map(({ backup }) => ({ backup, assurance: null }))]
    .map(({ backup, assurance }) => ({ uuid: backup.uuid, date: backup.date ?? now, assurance }))
    .sort((a, b) => b.date - a.date || (place.get(a.uuid) ?? 0) - (place.get(b.uuid) ?? 0));
  const why = whoStays(points, input);
  for (const { backup, link } of dead) {
    if (why.has(backup.uuid)) continue;
    if (alive.length === 0) why.set(backup.uuid, 'nothing else of the VM can be restored either');
    else if (link === null && backup.type === 'INCREMENTAL') why.set(backup.uuid, 'nobody knows what stands on it');
  }
  const steps: DeletionStep[] = [];
  let backups = input.backups;
  const letGo = (uuid: string): string | null => {
    const plan = planDeletion({ backup: uuid, forced: false, acceptLoss: false }, { ...input, backups });
    if (plan.kind === 'refused') return plan.message;
    steps.push(...plan.steps);
    backups = plan.steps.reduce(after, backups);
    return null;
  };
  for (const { uuid, date } of [...points].reverse()) {
    if (why.has(uuid)) continue;
    const held = date > now - minAgeHours * 3600 ? `younger than ${minAgeHours} h` : letGo(uuid);
    if (held !== null) why.set(uuid, held);
  }
  // A deletion takes along whatever is hidden and carries nothing: one that may be done is enough.
  backups.filter(({ status }) => status === 'Hidden').some(({ uuid }) => letGo(uuid) === null);
  const removed = new Set(steps.flatMap((step) => (step.kind === 'remove' ? [step.backup] : [])));
  return {
    kind: 'retention',
    lines: points.map(({ uuid }): RetentionLine => {
      const stays = why.get(uuid);
      const fate = stays !== undefined ? 'stays' : removed.has(uuid) ? 'removed' : 'hidden';
      const because = stays ?? (fate === 'removed' ? 'no rule keeps it' : 'no rule keeps it; links that stay stand on it');
      const ill = wrong.get(uuid);
      const restorable = ill === undefined;
      return { backup: uuid, restorable, fate, why: restorable ? because : `${because}; cannot be restored: ${ill}` };
    }),
    steps,
    bytesFreed: steps.reduce((sum, step) => sum + (step.kind === 'remove' ? step.bytes : 0), 0),
    pointsLeft: restorePoints(backups).length,
  };
}

/**
 * Why each point stays that a rule keeps, or that no rule speaks of. A VM has one chain whatever the number of its schedules; so the count
 * of a schedule speaks of its own backups alone and a policy of all that count for it, and a point goes when somebody speaks of it and
 * nobody keeps it.
 */
function whoStays(
  points: readonly DatedPoint[],
  { policy, zone, manual, origins, schedules }: RetentionInput,
): Map<string, string> {
  const originOf = ({ uuid }: DatedPoint): BackupOrigin => origins.get(uuid) ?? { scheduleId: null, manual: true };
  const counted = points.filter((point) => manual || !originOf(point).manual);
  const hasPolicy = Object.values(policy).some((count) => count > 0);
  const spoken = new Set(hasPolicy ? counted : []);
  const why = new Map<string, string>();
  if (hasPolicy) for (const [uuid, rule] of selectKept(counted, policy, zone)) why.set(uuid, `keep ${rule}`);
  for (const { id, name, maxBackups } of schedules.filter((schedule) => schedule.maxBackups > 0)) {
    const own = points.filter((point) => originOf(point).scheduleId === id);
    own.forEach((point) => spoken.add(point));
    for (const uuid of selectKept(own, { ...NO_COUNTS, keepLast: maxBackups }, zone).keys())
      if (!why.has(uuid)) why.set(uuid, `the ${name} schedule keeps its newest ${maxBackups}`);
  }
  for (const point of points)
    if (!spoken.has(point))
      why.set(
        point.uuid,
        hasPolicy && originOf(point).manual ? 'somebody asked for it, and the policy leaves such alone' : 'no rule speaks of it',
      );
  return why;
}

/** The books after a step. */
export function after(backups: readonly BookedBackup[], { kind, backup }: DeletionStep): readonly BookedBackup[] {
  if (kind === 'remove') return backups.filter(({ uuid }) => uuid !== backup);
  if (kind === 'hide') return backups.map((one) => (one.uuid === backup ? { ...one, status: 'Hidden' } : one));
  return backups;
}
