import { setTimeout as sleep } from 'node:timers/promises';
import { type BeforeApplicationShutdown, Inject, Injectable } from '@nestjs/common';
import type { RunRow } from '../database/entities/run-row';
import { Dues } from '../database/repositories/dues';
import { Events } from '../database/repositories/events';
import { Leases } from '../database/repositories/leases';
import { Runs } from '../database/repositories/runs';
import { UnitOfWork } from '../database/unit-of-work';
import { judgeStuck, type StuckCode, type StuckFinding } from '../domain/run/judge-stuck';
import { hasEnded } from '../domain/run/run-state';
import { Config } from '../platform/config/load-config';
import { LOG, type Log } from '../platform/log';
import { LookLog } from './look-log';

/** Between looks. */
const LOOK_MS = 60_000;
const PAGE = 500;
/** Backups of a VM that its usual speed is told from. */
const LOOKED_AT = 9;

/** Tells of runs that seem to be stuck, each attempt once for each reason, whoever looks. It stops none: a person knows more. */
@Injectable()
export class Watcher implements BeforeApplicationShutdown {
  readonly #stop = new AbortController();
  readonly looks: LookLog;
  #loop: Promise<void> | undefined;
  #stuck: ReadonlyMap<StuckCode, number> | null = null;

  constructor(
    private readonly runs: Runs,
    private readonly events: Events,
    private readonly dues: Dues,
    private readonly leases: Leases,
    private readonly work: UnitOfWork,
    @Inject(Config) private readonly config: Config,
    @Inject(LOG) private readonly log: Log,
  ) {
    this.looks = new LookLog(log, 'stuck runs');
  }

  start(): void {
    this.#loop ??= this.#turn();
  }

  /** Begins nothing from now on. */
  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#loop;
  }

  beforeApplicationShutdown(): Promise<void> {
    return this.stop();
  }

  async #turn(): Promise<void> {
    while (!this.#stop.signal.aborted) {
      await this.look().then(
        () => this.looks.ended(null),
        (error: unknown) => this.looks.ended(error),
      );
      await sleep(LOOK_MS, undefined, { signal: this.#stop.signal }).catch(() => undefined);
    }
  }

  /** How many runs seemed to be stuck at the last look, by why; null: there was none yet. */
  get stuck(): ReadonlyMap<StuckCode, number> | null {
    return this.#stuck;
  }

  /** Looks at all runs that have not ended; how many of them seem to be stuck. */
  async look(): Promise<number> {
    const found = new Map<StuckCode, number>();
    for (
      let after = 0, page = await this.runs.unended(after, PAGE);
      page.length > 0;
      page = await this.runs.unended(after, PAGE)
    ) {
      for (const run of page) {
        const finding = await this.judge(run);
        if (finding === null) continue;
        found.set(finding.code, (found.get(finding.code) ?? 0) + 1);
        await this.#tell(run, finding);
      }
      after = page.at(-1)?.seq ?? after;
    }
    this.#stuck = found;
    return [...found.values()].reduce((sum, count) => sum + count, 0);
  }

  /** Whether a run seems to be stuck now; null: it does not. */
  async judge(run: RunRow): Promise<StuckFinding | null> {
    if (hasEnded(run.state)) return null;
    const { done = null, total = null } = (run.progress ?? {}) as { done?: number; total?: number | null };
    const watched = {
      ...{ state: run.state, queuedAt: run.created, notBefore: run.notBefore, startedAt: run.started },
      ...{ lastProgressAt: run.progressed, done, total },
      bytesPerSecond: run.state === 'queued' ? null : await this.#usualSpeed(run.vmId),
    };
    const { stuckMinutes: silentMinutes, stuckQueuedHours: queuedHours } = this.config.engine;
    return judgeStuck(watched, { silentMinutes, queuedHours }, await this.dues.now());
  }

  async #tell(run: RunRow, { code: reason, sentence, next }: StuckFinding): Promise<void> {
    const { id: runId, vmId, scheduleId, hostId } = run;
    const wasTold = (): Promise<boolean> =>
      this.events.was({ runId, kind: 'stuck', reason }, run.started ?? run.notBefore ?? run.created);
    if (await wasTold()) return;
    await this.work.run(async () => {
      // Other workers look as well.
      await this.leases.takeTurns();
      if (await wasTold()) return;
      await this.events.add({ kind: 'stuck', runId, vmId, scheduleId, hostId, reason, message: `${sentence} ${next}` });
      this.work.onCommit(() => this.log.warn({ runId, vmId, code: reason, detail: sentence }, 'a run seems to be stuck'));
    });
  }

  async #usualSpeed(vmId: number): Promise<number | null> {
    const speeds = (await this.runs.lastBackups(vmId, LOOKED_AT)).flatMap(({ started, ended, progress }) => {
      const { done } = (progress ?? {}) as { done?: number };
      const seconds = started && ended ? (ended.getTime() - started.getTime()) / 1000 : 0;
      return done && seconds > 0 ? [done / seconds] : [];
    });
    return speeds.sort((a, b) => a - b)[Math.floor(speeds.length / 2)] ?? null;
  }
}
