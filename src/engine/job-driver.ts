import { Inject, Injectable } from '@nestjs/common';
import { isOfBooks } from '../database/database-error';
import type { RunRow } from '../database/entities/run-row';
import type { Lease } from '../database/repositories/leases';
import { Hosts } from '../database/repositories/hosts';
import { Runs } from '../database/repositories/runs';
import type { HostCommand } from '../domain/agent/build-argv';
import { ChainkeeperError, OperationalError, UserError, wordsOf } from '../domain/errors';
import type { HostAccess } from '../hosts/host-access';
import type { HostClient } from '../hosts/host-client';
import { HOST_CLIENT } from '../hosts/host-client.token';
import { saysNotStarted } from '../hosts/script-error';
import { hostAccess } from '../inventory/host-access';
import { Config } from '../platform/config/load-config';
import type { Log } from '../platform/log';
import { claimOf, leaseLost } from './claim';
import { type FollowedJob, followJob } from './follow-job';
import { retryOf } from './retry-of';

/** A run and its job on a host, under the lease on the VM. */
export interface DrivenJob {
  readonly run: RunRow;
  /** The job on the host; a run that is dispatched again has another one then. */
  readonly jobId: string;
  /** Somebody else may have started the job. */
  readonly adopted: boolean;
  readonly lease: Lease;
  readonly signal: AbortSignal;
  readonly hears: Hears;
  readonly log: Log;
}

/** Is told whenever the host of a run begins to keep silent, and when it answers again. */
export type Hears = (answers: boolean) => void;

/** A job that ended, or that the host does not know. */
export interface DrivenEnd extends FollowedJob {
  /** The host as it was reached last. */
  readonly access: HostAccess;
  /** What an abort of it could not put back, for people. */
  readonly left: readonly string[];
}

/** What could not be put back, as a warning of its run. */
export const leftOnHost = (what: string): string => `left behind on the host: ${what}`;

/** Errors that say for certain that nothing was executed on the host. */
const NOT_EXECUTED = /^(host\.(unreachable|busy|key-|auth-failed|key-file|sudo-refused|script-missing)|name\.|repository\.)/;

/** It came to a host or repository in maintenance: it waits, and has not failed. */
const IN_MAINTENANCE = /^(?:host|repository)\.maintenance$/;

/** From an operation of the host script to what it printed, whatever dies on the way: the same for every run that has a job. */
@Injectable()
export class JobDriver {
  constructor(
    private readonly runs: Runs,
    private readonly hosts: Hosts,
    @Inject(HOST_CLIENT) private readonly client: HostClient,
    @Inject(Config) private readonly config: Config,
  ) {}

  /** Somebody asked the run to stop before its job began. What an adopted run has begun is aborted by whoever follows it. */
  async cancelled({ run, adopted, lease, log }: DrivenJob): Promise<boolean> {
    if (adopted || !(await this.runs.isAbortAsked(run.id))) return false;
    log.info('cancelled before anything was started');
    const end = {
      state: 'cancelled',
      errorCode: 'run.cancelled',
      errorMessage: 'Cancelled before anything was started.',
    } as const;
    if (!(await this.runs.end(claimOf(lease), end))) throw leaseLost(lease);
    return true;
  }

  /** Starts the job or finds it again, and follows it to its end. Null: it certainly did not start, and the run has ended or waits again. */
  async carry(drive: DrivenJob, access: HostAccess, order: () => HostCommand): Promise<DrivenEnd | null> {
    const started = await this.#start(drive, access, order);
    if (started === null) return null;
    const end = await this.#follow(drive, access, started.doubt !== null);
    // The call had ended, and nobody else could have started it.
    if (end.state === 'absent' && !drive.adopted && started.doubt?.code === 'host.script-failed')
      return this.giveUp(drive, started.doubt);
    return end;
  }

  /** Null: the run has ended. Otherwise what keeps us from being certain that the job was started. */
  async #start(
    drive: DrivenJob,
    access: HostAccess,
    order: () => HostCommand,
  ): Promise<{ readonly doubt: ChainkeeperError | null } | null> {
    const { jobId, adopted, lease, log } = drive;
    try {
      const command = order();
      await this.client.start(access, {
        jobId,
        fence: lease.epoch,
        argv: command.argv,
        ...(command.secrets === undefined ? {} : { secrets: command.secrets }),
      });
      log.info('dispatched');
      return { doubt: null };
    } catch (error) {
      if (isFenced(error)) throw leaseLost(lease);
      const doubt = doubtOf(error, adopted);
      if (doubt === null) return this.giveUp(drive, error);
      log.warn({ err: doubt }, 'nobody saw whether the job started; the host is asked');
      await this.runs.markUnknown(claimOf(lease), doubt.code, wordsOf(doubt));
      return { doubt };
    }
  }

  /** One that takes longer than it may, or that somebody wants to stop, is aborted. */
  async #follow(drive: DrivenJob, access: HostAccess, unheard: boolean): Promise<DrivenEnd> {
    const { run, jobId, lease, log, signal, hears } = drive;
    const claim = claimOf(lease);
    // Clocks of the day may step.
    const deadline = performance.now() + this.config.engine.runHours * 3_600_000;
    const hours = this.config.engine.runHours;
    let reached = access;
    let isUnknown = unheard;
    let aborted = false;
    let most = (run.progress as { done?: number } | null)?.done ?? 0;
    const abort = async (): Promise<void> => {
      aborted = true;
      await this.client.abort(reached, jobId);
    };
    const job = await followJob(
      this.client,
      access,
      jobId,
      {
        onStatus: async ({ progress, state }) => {
          hears(true);
          if (state !== 'running') return;
          if (isUnknown) await this.runs.hearAgain(claim);
          isUnknown = false;
          if (progress !== null) {
            const done = progress.processed ?? 0;
            await this.runs.noteProgress(claim, { done, total: progress.total }, most);
            most = Math.max(most, done);
          }
          if (aborted) return;
          if (await this.runs.isAbortAsked(run.id)) return abort();
          if (performance.now() < deadline) return;
          if (access.stock !== null) {
            aborted = true;
            log.warn({ hours }, 'the run takes longer than it may; a stock script cannot be told to end, so it is waited for');
            const words = `The stock script has run for more than ${hours} h. It is not killed: end it on the host when it does nothing.`;
            await this.runs.markUnknown(claim, 'run-overdue', words);
            return;
          }
          log.warn({ hours }, 'the run takes longer than it may; it is aborted');
          await abort();
        },
        onSilence: async (error) => {
          hears(false);
          log.warn({ err: error }, 'the host does not answer; it is asked again');
          await this.runs.markUnknown(claim, error.code, wordsOf(error));
          isUnknown = true;
        },
        reached: async () => (reached = await this.#reachedNow(reached)),
      },
      signal,
    );
    hears(true);
    // Whoever asked it to end may be somebody else, and have kept the answer.
    const left = job.aborted && job.state === 'done' ? await this.#leftBy(reached, jobId) : [];
    return { ...job, access: reached, left };
  }

  /** An abort may be asked for again: it tries once more, and says what it cannot put back. */
  async #leftBy(access: HostAccess, jobId: string): Promise<readonly string[]> {
    try {
      return (await this.client.abort(access, jobId)).abort?.left ?? [];
    } catch (error) {
      if (!(error instanceof ChainkeeperError)) throw error;
      return [`nobody knows what, the host could not say it: ${error.message}`];
    }
  }

  /** Somebody may have told the books of another address, or of another key. What is run there stays what it was. */
  async #reachedNow(access: HostAccess): Promise<HostAccess> {
    const host = await this.hosts.find(access.id);
    return host === null ? access : { ...hostAccess(host, this.config.ssh), stock: access.stock, dialect: access.dialect };
  }

  /** Ends a run that did not start on its host, or this attempt of it. An error that is not ours is thrown on. */
  async giveUp(drive: DrivenJob, error: unknown): Promise<null> {
    const { run, adopted, lease, log } = drive;
    if (!(error instanceof ChainkeeperError) || error.code === 'lease.lost' || isOfBooks(error)) throw error;
    if (!adopted && IN_MAINTENANCE.test(error.code)) {
      if (await this.cancelled(drive)) return null;
      if (await this.runs.putBack(claimOf(lease), error.code, error.message)) {
        log.info({ detail: error.message }, 'the run waits again');
        return null;
      }
    }
    const facts = error.facts as { script?: string; stdout?: string; stderr?: string };
    const failure = { family: error.family, code: facts.script ?? error.code, message: wordsOf(error) };
    // What an adopted run has begun is for its host to say; and who restores or deletes is there to ask again.
    const retry = adopted || run.kind !== 'backup' ? null : retryOf(run, failure, this.config.engine);
    if (retry !== null && (await this.runs.retryLater(claimOf(lease), { ...retry, errorCode: error.code }))) {
      log.warn({ err: error, afterMs: retry.afterMs }, 'the run could not start; it is tried again later');
      return null;
    }
    log.warn({ err: error }, 'the run could not start');
    await this.runs.end(claimOf(lease), {
      state: 'failed',
      errorCode: error.code,
      errorMessage: wordsOf(error),
      ...(facts.stderr === undefined ? {} : { stderr: facts.stderr }),
    });
    return null;
  }
}

/** The error after which nobody knows whether the job runs; null: it was not started, or the error is not the host's. */
function doubtOf(error: unknown, adopted: boolean): ChainkeeperError | null {
  if (!(error instanceof ChainkeeperError)) return null;
  // An adopted run may have been started by its former owner; only a first start can be certain that it was not.
  if (!adopted && (NOT_EXECUTED.test(error.code) || saysNotStarted(error))) return null;
  const lockedOut = adopted && error instanceof UserError && error.code.startsWith('host.');
  return error instanceof OperationalError || lockedOut ? error : null;
}

const isFenced = (error: unknown): boolean => error instanceof ChainkeeperError && error.facts['script'] === 'fence-stale';
