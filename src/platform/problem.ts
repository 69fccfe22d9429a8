import { HttpException } from '@nestjs/common';
import { ChainkeeperError, type ErrorKind } from '../domain/errors';

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
  readonly next?: string;
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

const problem = (kind: ErrorKind, status: number, code: string, detail: string, rest: Partial<Problem>): Problem => ({
  type: `urn:chainkeeper:${code}`,
  title: TITLE[kind],
  status,
  code,
  detail,
  ...rest,
});

const HTTP_KIND: Readonly<Record<number, ErrorKind>> = {
  401: 'unauthorized',
  403: 'refused',
  404: 'not-found',
  503: 'unreachable',
};

/** Turns any error into a problem. What we do not know is a fault of ours, and its text stays in the log. */
export function toProblem(error: unknown, requestId?: string): Problem {
  const rest = requestId === undefined ? {} : { requestId };
  if (error instanceof ChainkeeperError)
    return problem(error.kind, STATUS[error.kind], error.code, error.message, {
      ...rest,
      ...(error.next === undefined ? {} : { next: error.next }),
      ...(Object.keys(error.facts).length === 0 ? {} : { facts: error.facts }),
    });
  if (error instanceof HttpException) {
    const status = error.getStatus();
    const kind = HTTP_KIND[status] ?? (status < 500 ? 'invalid' : 'bug');
    return problem(kind, status, `http.${status}`, error.message, rest);
  }
  return problem('bug', 500, 'internal.fault', 'An unexpected error; the log has it under this request id.', rest);
}
