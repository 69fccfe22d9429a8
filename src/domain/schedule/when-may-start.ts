import { openSpan } from './open-span';
import type { StartRules } from './start-rules';
import { wallOf } from './wall-of';

/** Why something starts later than it was due. */
export interface StartDelay {
  readonly code: 'outside-window' | 'blackout';
  readonly sentence: string;
}

/** When something may start. */
export interface Start {
  readonly at: Date;
  /** What it waited for last; null: it may start when it was to. */
  readonly because: StartDelay | null;
  /** It starts before then, or the rules are asked again; null: it may start at any time from `at` on. */
  readonly startUntil: Date | null;
  /** When it is to be stopped if it goes on until then; null: it may finish. */
  readonly stopAt: Date | null;
}

/** Days: what waits for longer is taken to wait for ever; the next of its schedule asks anew. */
const DAYS = 60;
/** What is open for longer than anybody looks ahead is asked again after a week. */
const ASK_AGAIN_MS = 7 * 86_400_000;

/**
 * The first moment, from one on, at which all rules let something start; null: there is none within two months, as their windows never
 * meet or blackouts go on.
 */
export function whenMayStart(rules: readonly StartRules[], from: Date): Start | null {
  let [at, because]: [Date, StartDelay | null] = [from, null];
  const last = from.getTime() + DAYS * 86_400_000;
  while (at.getTime() <= last) {
    const found = tryAt(rules, at);
    if (found === null) return null;
    if (found.at.getTime() === at.getTime()) return { ...found, because };
    ({ at, because } = found);
  }
  return null;
}

/** Why something is left out that no rule ever lets start. */
export const neverAllowed = (rules: readonly StartRules[]): { readonly code: string; readonly sentence: string } => ({
  code: 'never-allowed',
  sentence: `The windows and blackouts of ${rules.map(({ owner }) => owner).join(' and ')} never let it start.`,
});

/** All say yes at that moment, or one says until when it does not. */
function tryAt(rules: readonly StartRules[], at: Date): Start | null {
  let startUntil: Date | null = null;
  let stopAt: Date | null = null;
  for (const rule of rules) {
    const span = openSpan(rule, at, DAYS);
    if (span === null) return null;
    if (span.from > at) return { at: span.from, because: delay(rule, at, span.from), startUntil: null, stopAt: null };
    if (rule.windows.length + rule.blackouts.length > 0)
      startUntil = earlier(startUntil, span.to ?? new Date(at.getTime() + ASK_AGAIN_MS));
    if (rule.atEnd === 'stop') stopAt = earlier(stopAt, span.to);
  }
  return { at, because: null, startUntil, stopAt };
}

const earlier = (a: Date | null, b: Date | null): Date | null => (a === null || (b !== null && b < a) ? b : a);

function delay({ owner, zone, windows, blackouts }: StartRules, at: Date, until: Date): StartDelay {
  const day = wallOf(at, zone).toISOString().slice(0, 10);
  const dark = blackouts.find(({ from, to }) => from <= day && day <= to);
  const then = `until ${until.toISOString().slice(0, 16)}Z`;
  if (dark !== undefined)
    return { code: 'blackout', sentence: `It waits ${then}: ${owner} has no backups on ${dark.text} (${zone}).` };
  const allowed = windows.map(({ text }) => text).join(' and ');
  return { code: 'outside-window', sentence: `It waits ${then}: ${owner} lets backups start ${allowed} (${zone}).` };
}
