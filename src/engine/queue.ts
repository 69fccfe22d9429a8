import { Inject, Injectable } from '@nestjs/common';
import { Leases } from '../database/repositories/leases';
import type { PlacedRow } from '../database/repositories/placed-row';
import { RunPlaces } from '../database/repositories/run-places';
import type { BackupPlan } from '../domain/chain/backup-plan';
import { pickRuns, type PlacedRun, type QueuedRun, type RunLimits, type Turn, type Wait } from '../domain/run/pick-runs';
import type { EngineConfig } from '../platform/config/engine.config';
import { Config } from '../platform/config/load-config';

/** Whoever asks what runs wait for gets an answer this old at most; the queue may be long, and many may ask. */
const FRESH_MS = 1000;

/** One look serves so long for all places that become free. What it does not know yet, or any more, is found at the claim or the next look. */
const LOOK_MS = 250;

/** Where others are quicker, lots are drawn of so many more runs than there are places, until nobody has been for a while. */
const SPREAD = 64;
const CONTENDED_MS = 5000;

/** What was seen of the runs that have not ended. */
interface Look {
  /** By our clock, which does not step, and in the database's time. */
  readonly at: number;
  readonly now: Date;
  readonly rows: readonly PlacedRow[];
}

/** The runs that wait, and whose turn it is. */
@Injectable()
export class Queue {
  /** The runs that this orchestrator drives, but for those whose host keeps silent: those take nobody's place, it may be days. */
  readonly driven = new Set<string>();
  readonly #turns = new Map<string, Turn>();
  /** In the database's time, when runs were picked last. */
  #now = new Date(0);
  #look: Look | undefined;
  /** VMs of the runs that were picked since that look: taken by now, here or by another orchestrator. */
  readonly #tried = new Set<number>();
  /** When another orchestrator was quicker last. */
  #lostAt = -Infinity;
  #waits: { readonly at: number; readonly all: Promise<ReadonlyMap<string, Wait>> } | undefined;

  constructor(
    private readonly places: RunPlaces,
    private readonly leases: Leases,
    @Inject(Config) private readonly config: Config,
  ) {}

  /** Runs that this orchestrator may begin now, in this order. Each is to be tried; those that were lost are to be told. */
  async pick(): Promise<PlacedRow[]> {
    let look = this.#look;
    let start = look === undefined || performance.now() - look.at > LOOK_MS ? [] : this.#pickFrom(look);
    if (look === undefined || start.length === 0) {
      look = await this.#lookAgain();
      this.#look = look;
      this.#tried.clear();
      start = this.#pickFrom(look);
    }
    for (const { vmId } of start) this.#tried.add(vmId);
    this.#now = nowOf(look);
    return start;
  }

  /** There is news of a run: what was seen without it is out of date. */
  heardOf(runId: string): void {
    if (this.#look?.rows.some(({ id }) => id === runId) !== true) this.#look = undefined;
  }

  /**
   * Of those that were picked so many could not be begun. All look at the same line, and another orchestrator was quicker: who loses draws lots
   * from then on. Answers whether there may be others in their place at once.
   */
  lost(howMany: number): boolean {
    if (howMany === 0) return false;
    this.#lostAt = performance.now();
    if (!this.#shares) return true;
    // Perhaps the place is somebody else's: then nothing that was seen may begin.
    this.#look = undefined;
    return false;
  }

  /**
   * Whether one that was picked may begin still, whatever other orchestrators have begun since. To be asked first in the transaction that
   * begins it: nobody else begins one until that has ended.
   */
  async mayBegin({ id, state }: Pick<PlacedRow, 'id' | 'state'>): Promise<boolean> {
    if (state !== 'queued' || !this.#shares) return true;
    await this.leases.takeTurns();
    return this.#choose(await this.#lookAgain(id)).start.length > 0;
  }

  /** One of them was begun: the next turn is another's. */
  began(row: PlacedRow): void {
    const { host, askedBy, repository, zone, expects } = queuedOf(row);
    const turn = { host, askedBy, repository, zone, expects };
    this.#turns.set(JSON.stringify(turn), { ...turn, at: this.#now });
  }

  /** What each run that waits is waiting for, by its id. */
  waits(): Promise<ReadonlyMap<string, Wait>> {
    const at = Date.now();
    if (this.#waits === undefined || at - this.#waits.at > FRESH_MS)
      this.#waits = { at, all: this.#lookAgain().then((look) => this.#choose(look).waits) };
    return this.#waits.all;
  }

  /** Whether there are places that other orchestrators take as well. */
  get #shares(): boolean {
    const { runsPerHost, runsPerRepository, runsPerZone, runsInAll } = this.config.engine;
    return runsPerHost + runsPerRepository + runsPerZone + runsInAll > 0;
  }

  async #lookAgain(only?: string): Promise<Look> {
    const seen = await this.places.look(only);
    return { ...seen, at: performance.now() };
  }

  #pickFrom(look: Look): PlacedRow[] {
    const isOpen = ({ id, vmId, state }: PlacedRow): boolean =>
      state !== 'queued' || this.driven.has(id) || !this.#tried.has(vmId);
    const untried = { ...look, rows: look.rows.filter(isOpen) };
    const { start } = this.#choose(untried);
    if (start.length === 0 || performance.now() - this.#lostAt > CONTENDED_MS) return start;
    const lots = new Set(shuffled(this.#choose(untried, SPREAD).start).slice(0, start.length));
    // Some of them may need the same place.
    return this.#choose({
      ...look,
      rows: untried.rows.filter((row) => row.state !== 'queued' || this.driven.has(row.id) || lots.has(row)),
    }).start;
  }

  /** @param more places than this orchestrator has */
  #choose(look: Look, more = 0): { start: PlacedRow[]; waits: ReadonlyMap<string, Wait> } {
    const { rows } = look;
    const queued = rows.filter(({ id, state }) => state === 'queued' && !this.driven.has(id));
    const limits = limitsOf(this.config.engine);
    const going = rows.filter(({ id, state }) => state === 'running' || this.driven.has(id));
    const { start, waits } = pickRuns({
      queued: queued.map(queuedOf),
      running: going.map((row) => ({ ...placeOf(row), here: this.driven.has(row.id) })),
      busy: new Set(rows.flatMap(({ vmId, state, leased }) => (leased || state !== 'queued' ? [vmId] : []))),
      turns: [...this.#turns.values()],
      limits: { ...limits, here: limits.here + more },
      maintenance: {
        hosts: new Set(queued.flatMap(({ resting }) => resting.host ?? [])),
        repositories: new Set(queued.flatMap(({ resting }) => resting.repositories)),
      },
      now: nowOf(look),
    });
    const by = new Map(queued.map((row) => [row.id, row]));
    return { start: start.flatMap((id) => by.get(id) ?? []), waits };
  }
}

const nowOf = ({ at, now }: Look): Date => new Date(now.getTime() + performance.now() - at);

/** 0 says that nobody has set a limit. */
export const limitsOf = (engine: EngineConfig): RunLimits => ({
  perHost: engine.runsPerHost || Infinity,
  perRepository: engine.runsPerRepository || Infinity,
  perZone: engine.runsPerZone || Infinity,
  whole: engine.runsInAll || Infinity,
  here: engine.runsAtOnce,
  fullShare: engine.fullsPercent / 100,
});

function placeOf(row: PlacedRow): PlacedRun {
  const { vmId, kind, requested, host, repository, zone } = row;
  // What only needs the NAS is done by whichever host is there.
  const ofItsHost = kind === 'backup' || (requested as { readonly way?: string }).way === 'in-place';
  return { vmId, host: ofItsHost ? host : null, repository, zone, expects: expectedOf(row) };
}

function expectedOf({ kind, requested, plan, hasCheckpoint, restarted }: PlacedRow): PlacedRun['expects'] {
  if (kind !== 'backup') return 'incremental';
  if (plan !== null) return (plan as BackupPlan).kind === 'incremental' ? 'incremental' : 'full';
  if ((requested as { readonly mode?: string }).mode === 'full' || !hasCheckpoint) return 'full';
  return restarted ? 'unknown' : 'incremental';
}

// Field by field, as the rows: to spread ten thousand of them at each look takes six times as long.
function queuedOf(row: PlacedRow): QueuedRun {
  const { vmId, host, repository, zone, expects } = placeOf(row);
  const askedBy = row.triggeredBy === 'schedule' || row.triggeredBy === 'service' ? row.triggeredBy : 'manual';
  const { id, created: queuedAt, attempt, notBefore, startUntil, resting } = row;
  const at = resting.host ?? host;
  return { id, vmId, host: at, repository, zone, expects, askedBy, queuedAt, attempt, notBefore, startUntil };
}

function shuffled<T>(all: readonly T[]): T[] {
  const lots = all.map((one) => ({ one, lot: Math.random() }));
  return lots.sort((a, b) => a.lot - b.lot).map(({ one }) => one);
}
