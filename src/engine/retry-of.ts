import type { RunRow } from '../database/entities/run-row';
import type { RunRetry } from '../database/repositories/runs';
import type { ChainkeeperError } from '../domain/errors';
import { LONGEST_RETRY_SECONDS, retryRun } from '../domain/run/retry-run';
import type { EngineConfig } from '../platform/config/engine.config';

/** Why an attempt failed. */
export interface Failure {
  readonly family: ChainkeeperError['family'];
  readonly code: string;
  readonly message: string;
}

/** What is written down of an attempt that is followed by another one; null: none follows. */
export function retryOf(
  { id, attempt, warnings }: Pick<RunRow, 'id' | 'attempt' | 'warnings'>,
  { family, code, message }: Failure,
  { attempts, retrySeconds }: Pick<EngineConfig, 'attempts' | 'retrySeconds'>,
): RunRetry | null {
  const answer = retryRun(
    { runId: id, attempt: attempt + 1, family, code },
    { attempts, firstSeconds: retrySeconds, longestSeconds: LONGEST_RETRY_SECONDS },
  );
  if (answer.kind === 'never') return null;
  const history = [...(warnings ?? []), `${answer.sentence}: ${message}`];
  return { errorCode: code, errorMessage: message, warnings: history, afterMs: answer.afterMs };
}

/** The job of an attempt on its host, which knows those of the attempts before. */
export const jobOf = ({ id, attempt }: Pick<RunRow, 'id' | 'attempt'>): string => (attempt === 0 ? id : `${id}-${attempt + 1}`);
