import { HttpException } from '@nestjs/common';
import { ChainkeeperError, type ErrorKind, InvariantError, UserError } from '../domain/errors';

/** An error as clients see it: RFC 9457 problem details with a stable `code`. */
export interface Problem {
  readonly type: string;
  readonly title: string;
  readonly status: number;
  /** Stable identifier of the error; see docs/errors.md. */
  readonly code: string;
  /** What, where and why. */
  readonly detail: string;
  /** What can be done next. */
  readonly next: string;
  /** The request that failed, as in the log. */
  readonly requestId?: string;
  /** Machine-readable facts, as the error carries them. */
  readonly facts?: Readonly<Record<string, unknown>>;
}

const STATUS: Readonly<Record<ErrorKind, number>> = {
  invalid: 400,
  unauthorized: 401,
  'not-found': 404,
  conflict: 409,
  refused: 409,
  busy: 423,
  unreachable: 503,
  failed: 502,
  bug: 500,
};

const TITLE: Readonly<Record<ErrorKind, string>> = {
  invalid: 'The request is not valid',
  unauthorized: 'Not allowed',
  'not-found': 'Not found',
  conflict: 'In conflict with what is there',
  refused: 'Refused for safety or by policy',
  busy: 'Busy',
  unreachable: 'Not reachable',
  failed: 'Something outside the service failed',
  bug: 'A fault in Chainkeeper',
};

/** Where HTTP has a finer word than our kinds. */
const STATUS_OF_CODE: Readonly<Record<string, number>> = { 'request.too-large': 413, 'request.media-type': 415 };

/** What to do where the error itself does not say. */
const NEXT: Readonly<Record<ErrorKind, string>> = {
  invalid: 'Correct the request and send it again; nothing was changed. /api/docs describes every field.',
  unauthorized: 'Show the right credentials.',
  'not-found': 'Ids and names are in the list of the same resource.',
  conflict: 'Look at what is there, and change that or the request; nothing was changed.',
  refused: 'Nothing was changed; see docs/errors.md for what the code means.',
  busy: 'Try again later.',
  unreachable: 'Try again when it can be reached.',
  failed: 'See docs/errors.md for what the code means; the log has the details.',
  bug: 'Please report it with the lines of the log that carry this request id.',
};

/** HTTP status of an error. */
export const statusOf = ({ kind, code }: Pick<ChainkeeperError, 'kind' | 'code'>): number => STATUS_OF_CODE[code] ?? STATUS[kind];

/** Turns any error into a problem. What we do not know is a fault of ours, and its text stays in the log. */
export function toProblem(error: unknown, requestId?: string): Problem {
  const { kind, code, message, next, facts } = toOurs(error);
  return {
    type: `urn:chainkeeper:${code}`,
    title: TITLE[kind],
    status: statusOf({ kind, code }),
    code,
    detail: message,
    next: next ?? NEXT[kind],
    ...(requestId === undefined ? {} : { requestId }),
    ...(Object.keys(facts).length === 0 ? {} : { facts }),
  };
}

/** The framework's own errors have no code; of those that a caller can meet there are two. */
function toOurs(error: unknown): ChainkeeperError {
  if (error instanceof ChainkeeperError) return error;
  const status = error instanceof HttpException ? error.getStatus() : 500;
  if (status === 404)
    return new UserError('request.no-route', 'not-found', 'There is no such address, or it does not take this method.', {
      next: 'The addresses and their methods are described at /api/docs.',
    });
  if (status < 500)
    return new UserError('request.malformed', 'invalid', 'The address cannot be read; look at its percent signs.');
  return new InvariantError('internal.fault', 'An unexpected error; the log has it under this request id.');
}
