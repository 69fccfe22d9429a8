import type { BookedBackup } from '../chain/booked-backup';
import { type DeletionBooks, type DeletionStep, planDeletion } from '../chain/plan-deletion';
import { restorePoints } from '../chain/restore-points';
import { type RetentionPolicy, selectKept } from './select-kept';

/** What a policy is applied to. */
export interface RetentionInput extends DeletionBooks {
  readonly policy: RetentionPolicy;
  /** Hours; what is younger stays. */
  readonly minAgeHours: number;
  /** IANA name of the time zone that days and weeks begin in. */
  readonly zone: string;
  /** Epoch seconds. */
  readonly now: number;
}

/** One restore point, and what becomes of it. */
export interface RetentionLine {
  readonly backup: string;
  /** `hidden`: links that stay stand on it. */
  readonly fate: 'stays' | 'hidden' | 'removed';
  readonly why: string;
}

/** What a policy does today. */
export interface RetentionPlan {
  /** Newest first. */
  readonly lines: readonly RetentionLine[];
  /** In order; deletions, each as safe as one that a person asks for. */
  readonly steps: readonly DeletionStep[];
  /** Bytes on the NAS. */
  readonly bytesFreed: number;
  readonly pointsLeft: number;
}

/**
 * What goes by a policy, and why each other stays. Every point that goes is deleted as a person would delete it, one after another from the
 * oldest on: so the last and the best point stay, no link loses an ancestor, and what is protected is not touched.
 */
export function planRetention({ policy, minAgeHours, zone, now, ...books }: RetentionInput): RetentionPlan {
  const points = restorePoints(books.backups)
    .map(({ backup, assurance }) => ({ uuid: backup.uuid, date: backup.date ?? now, assurance }))
    .sort((a, b) => b.date - a.date || (a.uuid < b.uuid ? 1 : -1));
  const kept = selectKept(points, policy, zone);
  const why = new Map<string, string>();
  const steps: DeletionStep[] = [];
  let backups = books.backups;
  for (const { uuid, date } of [...points].reverse()) {
    const rule = kept.get(uuid);
    if (rule !== undefined) why.set(uuid, rule === 'all' ? 'the policy keeps all' : `keep ${rule}`);
    else if (date > now - minAgeHours * 3600) why.set(uuid, `younger than ${minAgeHours} h`);
    if (why.has(uuid)) continue;
    const plan = planDeletion({ backup: uuid, forced: false, acceptLoss: false }, { ...books, backups });
    if (plan.kind === 'refused') {
      why.set(uuid, plan.message);
      continue;
    }
    steps.push(...plan.steps);
    backups = plan.steps.reduce(after, backups);
  }
  const removed = new Set(steps.flatMap((step) => (step.kind === 'remove' ? [step.backup] : [])));
  return {
    lines: points.map(({ uuid }): RetentionLine => {
      const stays = why.get(uuid);
      if (stays !== undefined) return { backup: uuid, fate: 'stays', why: stays };
      return removed.has(uuid)
        ? { backup: uuid, fate: 'removed', why: 'no rule keeps it' }
        : { backup: uuid, fate: 'hidden', why: 'no rule keeps it; links that stay stand on it' };
    }),
    steps,
    bytesFreed: steps.reduce((sum, step) => sum + (step.kind === 'remove' ? step.bytes : 0), 0),
    pointsLeft: restorePoints(backups).length,
  };
}

/** The books after a step. */
function after(backups: readonly BookedBackup[], { kind, backup }: DeletionStep): readonly BookedBackup[] {
  if (kind === 'remove') return backups.filter(({ uuid }) => uuid !== backup);
  if (kind === 'hide') return backups.map((one) => (one.uuid === backup ? { ...one, status: 'Hidden' } : one));
  return backups;
}
