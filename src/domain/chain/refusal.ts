import type { ErrorKind } from '../errors';

/** What was asked for means nothing or cannot be done now; nothing was changed. The rim makes a UserError of it. */
export interface Refusal {
  readonly kind: 'refused';
  /** Stable: `docs/errors.md` has all. */
  readonly code: string;
  readonly errorKind: Extract<ErrorKind, 'invalid' | 'busy' | 'conflict' | 'refused' | 'not-found'>;
  readonly message: string;
  /** What the reader can do next. */
  readonly next: string;
}

/** Says no. */
export const refusal = (code: string, errorKind: Refusal['errorKind'], message: string, next: string): Refusal => ({
  ...{ kind: 'refused', code, errorKind, message, next },
});

/** Whether the answer is a no. */
export const isRefusal = <T extends object>(answer: T | Refusal): answer is Refusal =>
  'kind' in answer && answer.kind === 'refused';
