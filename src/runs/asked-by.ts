import { UserError } from '../domain/errors';

/** Who asked for a run, and under which key. */
export interface AskedBy {
  readonly idempotencyKey: string | undefined;
  readonly trigger: 'rest' | 'cli';
}

/** Reads the headers of a call that asks for a run. @throws UserError `request.idempotency-key` */
export function askedBy(key: string | undefined, trigger: string | undefined): AskedBy {
  if (key !== undefined && !/^[\x21-\x7e]{1,255}$/.test(key))
    throw new UserError('request.idempotency-key', 'invalid', 'The Idempotency-Key is not 1 to 255 visible ASCII characters.');
  return { idempotencyKey: key, trigger: trigger === 'cli' ? 'cli' : 'rest' };
}
