/** How far a run is, in bytes; the total null: not known. */
export interface BytesDone {
  readonly done: number;
  readonly total: number | null;
}

/** That a run has come so far. */
export interface ProgressNews {
  readonly code: 'quarter' | 'half' | 'three-quarters';
  /** For people. */
  readonly sentence: string;
}

const PARTS = [
  { part: 0.75, code: 'three-quarters' },
  { part: 0.5, code: 'half' },
  { part: 0.25, code: 'quarter' },
] as const;

/** What ends sooner tells enough by its end. */
const WORTH_TELLING_MS = 60_000;

/**
 * What is to be told of a run whose bytes have become more; null: nothing. Three times in a run at most, whoever drives it: what was told is
 * known from the bytes before.
 * @param before bytes that were done when it was last looked at
 * @param goneOnMs since it began
 */
export function tellProgress(before: number, { done, total }: BytesDone, goneOnMs: number): ProgressNews | null {
  if (total === null || total <= 0 || done >= total || goneOnMs < WORTH_TELLING_MS) return null;
  const passed = PARTS.find(({ part }) => done >= part * total && before < part * total);
  return passed === undefined ? null : { code: passed.code, sentence: `${done} of ${total} bytes are done.` };
}
