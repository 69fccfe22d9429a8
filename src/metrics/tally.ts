import { Injectable } from '@nestjs/common';
import { Leases } from '../database/repositories/leases';
import { RUN_KINDS, type RunRow } from '../database/entities/run-row';
import { type RunEvent, Runs } from '../database/repositories/runs';
import { hasEnded, RUN_STATES } from '../domain/run/run-state';
import type { Sample } from '../platform/metrics/write-metrics';
import { Count } from './count';

const KINDS = RUN_KINDS.map((kind) => ({ kind }));
const OUTCOMES = RUN_STATES.filter(hasEnded);
/** What an error makes of a run. */
const ERRORS: ReadonlySet<string> = new Set(['failed', 'retried', 'unknown']);

/** What this process has made of runs since it started. What has not happened counts 0: a series that is missing looks like one that is well. */
@Injectable()
export class Tally {
  readonly begun = new Count(KINDS);
  readonly recovered = new Count(KINDS);
  readonly retried = new Count(KINDS);
  readonly ended = new Count(KINDS.flatMap(({ kind }) => OUTCOMES.map((outcome) => ({ kind, outcome }))));
  readonly errors = new Count([]);
  readonly lateWrites = new Count([{}]);
  readonly #waits = { seconds: new Count(KINDS), runs: new Count(KINDS) };
  readonly #durations = { seconds: new Count(KINDS), runs: new Count(KINDS) };

  constructor(runs: Runs, leases: Leases) {
    runs.onTold((run, event) => this.#note(run, event));
    runs.onLate(() => this.lateWrites.add({}));
    leases.onLate(() => this.lateWrites.add({}));
  }

  get waits(): Sample[] {
    return summaryOf(this.#waits);
  }

  get durations(): Sample[] {
    return summaryOf(this.#durations);
  }

  #note({ kind, attempt, created, started, ended, errorCode }: RunRow, { kind: what }: RunEvent): void {
    const labels = { kind };
    if (what === 'started') {
      this.begun.add(labels);
      if (attempt === 0) addSpan(this.#waits, labels, created, started);
    }
    if (what === 'recovered') this.recovered.add(labels);
    if (what === 'retried') this.retried.add(labels);
    if (OUTCOMES.some((outcome) => outcome === what)) {
      this.ended.add({ kind, outcome: what });
      addSpan(this.#durations, labels, started, ended);
    }
    if (errorCode !== null && ERRORS.has(what)) this.errors.add({ kind, code: errorCode, became: what });
  }
}

interface Spans {
  readonly seconds: Count;
  readonly runs: Count;
}

function addSpan({ seconds, runs }: Spans, labels: { readonly kind: string }, from: Date | null, to: Date | null): void {
  if (from === null || to === null) return;
  seconds.add(labels, (to.getTime() - from.getTime()) / 1000);
  runs.add(labels);
}

const summaryOf = ({ seconds, runs }: Spans): Sample[] => [
  ...seconds.samples().map((sample) => ({ ...sample, part: 'sum' as const })),
  ...runs.samples().map((sample) => ({ ...sample, part: 'count' as const })),
];
