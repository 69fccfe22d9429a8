import { ChainkeeperError, type ErrorKind } from '../domain/errors';

/** Exit codes of the command line; stable, so that scripts can build on them. */
export const EXIT = {
  done: 0,
  failed: 1,
  usage: 2,
  warnings: 3,
  notFound: 10,
  refused: 11,
  busy: 12,
  unreachable: 13,
} as const;

const BY_KIND: Readonly<Record<ErrorKind, number>> = {
  invalid: EXIT.usage,
  'not-found': EXIT.notFound,
  unauthorized: EXIT.refused,
  refused: EXIT.refused,
  conflict: EXIT.refused,
  busy: EXIT.busy,
  unreachable: EXIT.unreachable,
  failed: EXIT.failed,
  bug: EXIT.failed,
};

/** The exit code that an error ends the command with. */
export const exitCodeOf = (error: unknown): number => (error instanceof ChainkeeperError ? BY_KIND[error.kind] : EXIT.failed);
