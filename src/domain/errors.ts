/**
 * Three families of error, split by who has to act. Each carries a stable `code`
 * (`area.problem`, never reused), a `kind` that the rim maps to an HTTP status and a CLI exit code,
 * and, where there is one, the next step for the person who reads it.
 */

/** What sort of trouble it is, independent of HTTP and of the command line. */
export type ErrorKind =
  /** The input is wrong; nothing was changed. */
  | 'invalid'
  /** The thing named does not exist. */
  | 'not-found'
  /** Not allowed for this caller. */
  | 'unauthorized'
  /** The input is well-formed, but contradicts what is there. */
  | 'conflict'
  /** Refused for safety or by policy. */
  | 'refused'
  /** Somebody else is at it; try again later. */
  | 'busy'
  /** A host, database or NAS did not answer. */
  | 'unreachable'
  /** Something outside the process failed. */
  | 'failed'
  /** A bug: a rule of ours does not hold. */
  | 'bug';

/** Optional parts of an error. */
export interface ErrorParts {
  /** What the reader can do next, as one sentence. */
  readonly next?: string;
  /** Machine-readable facts about the error. Never a secret: they are shown to API clients. */
  readonly facts?: Readonly<Record<string, unknown>>;
  /** The error that led here; it is logged, never shown to API clients. */
  readonly cause?: unknown;
}

/** The base of the three families; not to be thrown itself. */
export abstract class ChainkeeperError extends Error {
  /** Which family: who has to act. */
  abstract readonly family: 'user' | 'operational' | 'invariant';
  readonly next: string | undefined;
  readonly facts: Readonly<Record<string, unknown>>;

  protected constructor(
    /** Stable identifier, `area.problem` in kebab case. */
    readonly code: string,
    readonly kind: ErrorKind,
    message: string,
    parts: ErrorParts = {},
  ) {
    super(message, parts.cause === undefined ? undefined : { cause: parts.cause });
    this.name = new.target.name;
    this.next = parts.next;
    this.facts = parts.facts ?? {};
  }
}

/** The caller asked for something that cannot be: the caller has to act. */
export class UserError extends ChainkeeperError {
  readonly family = 'user';

  constructor(
    code: string,
    kind: 'invalid' | 'not-found' | 'unauthorized' | 'conflict' | 'refused' | 'busy',
    message: string,
    parts?: ErrorParts,
  ) {
    super(code, kind, message, parts);
  }
}

/** Something outside the process failed, and may work later: the operator may have to act. */
export class OperationalError extends ChainkeeperError {
  readonly family = 'operational';

  constructor(code: string, kind: 'unreachable' | 'failed' | 'busy', message: string, parts?: ErrorParts) {
    super(code, kind, message, parts);
  }
}

/** A rule of the product does not hold: a developer has to act. */
export class InvariantError extends ChainkeeperError {
  readonly family = 'invariant';

  constructor(code: string, message: string, parts?: ErrorParts) {
    super(code, 'bug', message, parts);
  }
}

/** What went wrong and what to do about it, in one text. */
export const wordsOf = ({ message, next }: ChainkeeperError): string => (next === undefined ? message : `${message} ${next}`);
