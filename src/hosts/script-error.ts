import type { Secrets } from '../domain/agent/build-argv';
import { type ChainkeeperError, OperationalError } from '../domain/errors';
import type { HostAccess } from './host-access';
import { redact } from './redact';
import type { RemoteResult } from './remote-shell';

const KEPT = 4000;

/** The error for a call of the host script that did not give its answer. Its stderr goes along, cut and without secrets. */
export function scriptError(host: HostAccess, operation: string, result: RemoteResult, secrets?: Secrets): OperationalError {
  const stdout = redact(result.stdout, secrets);
  const stderr = redact(result.stderr, secrets);
  const said = stderr.trim() || stdout.trim() || 'nothing';
  const facts = {
    host: host.name,
    exit: result.exit,
    signal: result.signal,
    stdout: stdout.slice(0, KEPT),
    stderr: stderr.slice(0, KEPT),
  };
  const failure = ownFailure(stdout);
  if (failure !== null) {
    return new OperationalError('host.script-failed', 'failed', `${operation} on ${host.name}: ${failure.message}`, {
      facts: { ...facts, script: failure.code },
    });
  }
  if (result.exit === null) {
    return new OperationalError('host.outcome-unknown', 'unreachable', `Nobody saw how ${operation} ended on ${host.name}`, {
      next: 'It may have been done; it is found out by asking the host again.',
      facts,
    });
  }
  if (/^sudo: .*command not found/m.test(stderr) || result.exit === 127 || result.exit === 126) {
    return new OperationalError(
      'host.script-missing',
      'failed',
      `${host.name} has no host script at ${host.scriptPath}: ${said}`,
      {
        next: `Run: chainkeeper host install ${host.name}`,
        facts,
      },
    );
  }
  if (/^sudo: |^Sorry, user /m.test(stderr)) {
    return new OperationalError(
      'host.sudo-refused',
      'failed',
      `${host.user} may not run ${host.scriptPath} on ${host.name}: ${said}`,
      {
        next: `Run \`chainkeeper host install ${host.name} --dry-run\`: it prints the sudoers line that is missing, or that the script is.`,
        facts,
      },
    );
  }
  return new OperationalError(
    'host.script-failed',
    'failed',
    `${operation} on ${host.name} failed with exit ${result.exit}: ${said.slice(0, 500)}`,
    {
      facts: { ...facts, script: null },
    },
  );
}

/** Words of the script that say nothing of how far it had come. */
const ANYWHERE: ReadonlySet<unknown> = new Set(['internal', 'job-cancelled']);

/** Whether this error of a `start` is the script's own word that it has started no job, whoever asked for it. */
export const saysNotStarted = ({ code, facts }: ChainkeeperError): boolean =>
  code === 'host.script-failed' && typeof facts['script'] === 'string' && !ANYWHERE.has(facts['script']);

/** `{"v":1,"error":{"code":…,"message":…}}`, as our script prints it for the operations that answer in JSON. */
function ownFailure(stdout: string): { code: string; message: string } | null {
  try {
    const { error } = JSON.parse(stdout) as { error?: { code?: unknown; message?: unknown } };
    if (typeof error?.code !== 'string') return null;
    return { code: error.code, message: typeof error.message === 'string' ? error.message : error.code };
  } catch {
    return null;
  }
}
