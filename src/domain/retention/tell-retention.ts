import type { RetentionPlan } from './plan-retention';

/** What a plan of retention does, as an event tells it. */
export interface RetentionNews {
  /** For people. */
  readonly sentence: string;
  readonly facts: {
    /** Uuids of backups; files of hidden ones stay for links that stand on them. */
    readonly removed: readonly string[];
    readonly hidden: readonly string[];
    /** Why the others stay, and how many for that. */
    readonly stay: readonly { readonly why: string; readonly count: number }[];
    readonly bytesFreed: number;
  };
}

/** What a plan lets go, and why the rest stays. */
export function tellRetention({ lines, bytesFreed }: RetentionPlan): RetentionNews {
  const of = (fate: 'removed' | 'hidden'): string[] => lines.flatMap((line) => (line.fate === fate ? [line.backup] : []));
  const [removed, hidden] = [of('removed'), of('hidden')];
  const counts = new Map<string, number>();
  for (const { fate, why } of lines) if (fate === 'stays') counts.set(why, (counts.get(why) ?? 0) + 1);
  const stay = [...counts].map(([why, count]) => ({ why, count }));
  const goes = removed.length + hidden.length;
  const reasons = stay.map(({ why, count }) => `${why} (${count})`).join(', ');
  const staying = `${lines.length - goes} stay${reasons === '' ? '' : `: ${reasons}`}`;
  const what = lines.every(({ restorable }) => restorable) ? 'restore points' : 'backups, some of which cannot be restored,';
  return {
    sentence: `${goes} of ${lines.length} ${what} go, which frees ${bytesFreed} bytes; ${staying}.`,
    facts: { removed, hidden, stay, bytesFreed },
  };
}
