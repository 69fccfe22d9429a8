import type { FullPlaces } from './forecast-fulls';

/** What a run takes places of; null: the books do not say. */
export interface PlacedRun {
  readonly vmId: number;
  readonly host: string | null;
  readonly repository: string | null;
  readonly zone: string | null;
  /** What it is likely to be; one that nobody can tell of counts as a full. What copies no disk is `incremental`. */
  readonly expects: 'full' | 'incremental' | 'unknown';
}

/** A run that waits. */
export interface QueuedRun extends PlacedRun {
  readonly id: string;
  readonly askedBy: Asker;
  readonly queuedAt: Date;
  /** Attempts that have failed. */
  readonly attempt: number;
  /** It begins no sooner: it is tried again then, or its window opens; null: nothing is waited for. */
  readonly notBefore: Date | null;
  /** It begins before then: its window closes; null: at any time. */
  readonly startUntil: Date | null;
}

/** A run that goes on. */
export interface RunningRun extends PlacedRun {
  /** This orchestrator drives it. */
  readonly here: boolean;
}

/** Whose turn it was, and when. Of those that need the same places the last one is enough. */
export type Turn = Pick<QueuedRun, 'host' | 'askedBy' | 'repository' | 'zone' | 'expects'> & { readonly at: Date };

type Asker = 'manual' | 'schedule' | 'service';

/** Places, each for one run; Infinity: as many as there are runs. */
export interface RunLimits {
  readonly perHost: number;
  readonly perRepository: number;
  readonly perZone: number;
  /** Of all orchestrators together. */
  readonly whole: number;
  /** Of this orchestrator. */
  readonly here: number;
  /** The part of the places of each that fulls may take, from 0 to 1; one place at least. */
  readonly fullShare: number;
}

/** Where no run begins now, by name. */
export interface Maintenance {
  readonly hosts: ReadonlySet<string>;
  readonly repositories: ReadonlySet<string>;
}

/** All that a choice is made by. */
export interface RunQueue {
  readonly queued: readonly QueuedRun[];
  readonly running: readonly RunningRun[];
  /** VMs that somebody works on, whether or not a run that takes places. */
  readonly busy: ReadonlySet<number>;
  readonly turns: readonly Turn[];
  readonly limits: RunLimits;
  readonly maintenance: Maintenance;
  readonly now: Date;
}

/** Why a run does not begin now. */
export interface Wait {
  readonly code:
    | 'not-before'
    | 'window-closed'
    | 'vm-busy'
    | `${'host' | 'repository'}-maintenance`
    | `${Bound}-${'places' | 'fulls' | 'kept'}`;
  /** For people. */
  readonly sentence: string;
}

type Bound = 'host' | 'repository' | 'zone' | 'whole' | 'here';

/** Which runs begin now, in this order, and what each other one waits for. */
export interface PickedRuns {
  readonly start: readonly string[];
  readonly waits: ReadonlyMap<string, Wait>;
}

/** Whose places they are, for people. */
const WHOSE: Readonly<Record<Bound, string>> = {
  host: 'the host',
  repository: 'the repository',
  zone: 'the zone',
  whole: 'all orchestrators',
  here: 'one orchestrator',
};

/** Of so many places fulls may take so many. */
const placesOfFulls = (places: number, share: number): number =>
  places === Infinity ? Infinity : Math.max(1, Math.floor(places * share));

/** How many fulls of one host go on at once where nothing else does: its VMs write to one repository, and one orchestrator drives them. */
export function fullsAtOnce({ perHost, perRepository, perZone, whole, here, fullShare }: RunLimits): FullPlaces {
  const limits = { host: perHost, repository: perRepository, zone: perZone, whole, here };
  const all = (Object.keys(limits) as Bound[]).map((bound) => ({
    atOnce: placesOfFulls(limits[bound], fullShare),
    of: WHOSE[bound],
  }));
  return all.reduce((least, one) => (one.atOnce < least.atOnce ? one : least));
}

/** What somebody waits for goes before what comes by itself, as if it had waited for so much longer: so an old run wins in the end. */
const MANUAL_LEAD_MS = 15 * 60_000;

/**
 * Who waits for so long has places kept: much longer than turns make anybody wait who is overtaken by each other line once, and much shorter
 * than a night.
 */
const PATIENCE_MS = 60 * 60_000;

/**
 * Which of the runs that wait begin now.
 *
 * The runs of one host stand in line, those that somebody asked for by hand in a line of their own, and the lines take turns: the one whose
 * turn it was least lately comes first, a new one as of when its first run was written down. So a host with ten thousand runs has one
 * turn like any other, and a line is overtaken by each other line once at most before its own turn comes (by one of those asked for by hand
 * until it has waited for so much longer). No place stays free that a waiting run could take, whatever stands before it in its line, but for
 * one thing: a run needs several places at once, and where they become free in turns and others take each of them, it would wait for ever.
 * Of a run that has waited for an hour only the turns of its own line count, and not what its host began elsewhere; and when it is its turn,
 * those of its places that are free, the nearest first up to the one that it waits for, are kept for it. So it holds up nobody in a repository
 * while it waits for its host; and for each place that is waited for, one run keeps others: the next one in turn.
 */
export function pickRuns({ queued, running, busy: held, turns, limits, maintenance, now }: RunQueue): PickedRuns {
  const places = new Places(limits);
  const busy = new Set([...held, ...running.map(({ vmId }) => vmId)]);
  for (const run of running) places.of(run, run.here).forEach((place) => place.take(run));
  const waits = new Map<string, Wait>();
  const lines = new Map<string, Line>();
  for (const run of [...queued].sort(oldestFirst)) {
    const wait = notNow(run, maintenance, now);
    if (wait === null) lineOf(run, lines, places).runs.push(run);
    else waits.set(run.id, wait);
  }
  const lastTurns = new Map<string, LastTurn>();
  for (const turn of turns)
    for (const key of [whoseOf(turn), keyOf(turn)]) {
      const at = Math.max(turn.at.getTime(), lastTurns.get(key)?.at ?? 0);
      lastTurns.set(key, { at, count: 0 });
    }
  const start = new Set<string>();
  const headOf = (line: Line): Head | null => {
    const run = line.next(busy);
    if (run === undefined) return null;
    const isOld = now.getTime() - run.queuedAt.getTime() > PATIENCE_MS;
    return { line, run, isOld, turn: lastTurns.get(isOld ? line.key : line.whose) };
  };
  let open = [...lines.values()].flatMap((line) => headOf(line) ?? []);
  let old: Head[] = [];
  /** Whose turn it was last. */
  let whose = '';
  for (;;) {
    // Within one choice places are only taken and VMs only become busy: a line that has nothing to start will have nothing.
    const heads: Head[] = [];
    const blocked: Head[] = [];
    for (const before of open) {
      const { line, run } = before;
      const head = line.whose !== whose && line.next(busy) === run ? before : headOf(line);
      if (head === null) continue;
      if (!line.isTaken) heads.push(head);
      else if (head.isOld) blocked.push(head);
    }
    if (blocked.length > 0) old = [...old, ...blocked].sort(byTurn);
    open = heads;
    const [first, ...others] = heads;
    if (first === undefined) break;
    const next = others.reduce((best, other) => (byTurn(other, best) < 0 ? other : best), first);
    const kept = keepBefore(next, old);
    old = old.slice(kept.seen);
    if (kept.any) continue;
    const { line, run } = next;
    start.add(run.id);
    busy.add(run.vmId);
    line.places.forEach((place) => place.take(run));
    whose = line.whose;
    for (const key of [line.whose, line.key]) lastTurns.set(key, { at: now.getTime(), count: start.size });
  }
  for (const { runs, wait = VM_BUSY } of lines.values())
    for (const { id, vmId } of runs) if (!start.has(id)) waits.set(id, busy.has(vmId) ? VM_BUSY : wait);
  return { start: [...start], waits };
}

/** When a line last had its turn, and which turn of this choice that was; 0: it was before. */
interface LastTurn {
  readonly at: number;
  readonly count: number;
}

const VM_BUSY: Wait = { code: 'vm-busy', sentence: 'waits until nobody else works on its VM' };

const isFull = ({ expects }: PlacedRun): boolean => expects !== 'incremental';
const whoseOf = ({ host, askedBy }: Pick<Turn, 'host' | 'askedBy'>): string => JSON.stringify([host, askedBy === 'manual']);
const keyOf = ({ host, askedBy, repository, zone, expects }: Omit<Turn, 'at'>): string =>
  JSON.stringify([host, askedBy === 'manual', repository, zone, expects !== 'incremental']);
const oldestFirst = (a: QueuedRun, b: QueuedRun): number => a.queuedAt.getTime() - b.queuedAt.getTime() || (a.id < b.id ? -1 : 1);

function notNow(run: QueuedRun, { hosts, repositories }: Maintenance, now: Date): Wait | null {
  const { host, repository, attempt, notBefore, startUntil } = run;
  if (notBefore !== null && notBefore > now)
    return {
      code: 'not-before',
      sentence: `${attempt > 0 ? 'is tried again' : 'waits until its window opens'} at ${notBefore.toISOString()}`,
    };
  if (startUntil !== null && startUntil <= now)
    return { code: 'window-closed', sentence: `waits for its next window: the last closed at ${startUntil.toISOString()}` };
  if (host !== null && hosts.has(host)) return { code: 'host-maintenance', sentence: `waits for host ${host}: in maintenance` };
  if (repository !== null && repositories.has(repository))
    return { code: 'repository-maintenance', sentence: `waits for repository ${repository}: in maintenance` };
  return null;
}

/** The first of a line, and the last turn that counts for it. */
interface Head {
  readonly line: Line;
  readonly run: QueuedRun;
  readonly isOld: boolean;
  readonly turn: LastTurn | undefined;
}

/** Whose turn is first. */
function byTurn({ run: a, turn: turnA }: Head, { run: b, turn: turnB }: Head): number {
  const due = (run: QueuedRun, turn: LastTurn | undefined): number =>
    Math.max(run.queuedAt.getTime(), turn?.at ?? 0) - (run.askedBy === 'manual' ? MANUAL_LEAD_MS : 0);
  return due(a, turnA) - due(b, turnB) || (turnA?.count ?? 0) - (turnB?.count ?? 0) || oldestFirst(a, b);
}

/** Places are kept for old runs whose turn comes before the one that would begin: for how many that was asked, and whether any place was free. */
function keepBefore(next: Head, old: readonly Head[]): { readonly seen: number; readonly any: boolean } {
  for (const [index, head] of old.entries()) {
    if (byTurn(head, next) > 0) return { seen: index, any: false };
    if (head.line.keep(head.run)) return { seen: index + 1, any: true };
  }
  return { seen: old.length, any: false };
}

function lineOf(run: QueuedRun, lines: Map<string, Line>, places: Places): Line {
  const key = keyOf(run);
  let line = lines.get(key);
  if (line === undefined) lines.set(key, (line = new Line(key, whoseOf(run), isFull(run), places.of(run, true))));
  return line;
}

/** Runs that need the same places, oldest first. */
class Line {
  readonly runs: QueuedRun[] = [];
  #at = 0;
  /** The place that others are kept for. */
  #awaited: Place | undefined;

  constructor(
    readonly key: string,
    readonly whose: string,
    private readonly fulls: boolean,
    readonly places: readonly Place[],
  ) {}

  /** The first whose VM nobody works on. */
  next(busy: ReadonlySet<number>): QueuedRun | undefined {
    for (; ; this.#at += 1) {
      const run = this.runs[this.#at];
      if (run === undefined || !busy.has(run.vmId)) return run;
    }
  }

  get isTaken(): boolean {
    return this.places.some((place) => place.isTaken(this.fulls));
  }

  /** Where there is no place for any of them; undefined: there is one everywhere. */
  get wait(): Wait | undefined {
    return (this.#awaited ?? this.places.find((place) => place.isTaken(this.fulls)))?.wait(this.fulls);
  }

  /** What is free for the first of them, the nearest first, is kept until the next place is free too. False: nothing is, or another comes first. */
  keep(run: QueuedRun): boolean {
    const free = this.places.findIndex((place) => place.isTaken(this.fulls));
    const awaited = this.places[free];
    if (awaited?.isNext(this.fulls) !== true) return false;
    this.#awaited = awaited;
    this.places.slice(0, free).forEach((place) => place.keep(run));
    return free > 0;
  }
}

/** The places of one host, repository and so on. */
class Place {
  #runs = 0;
  #fulls = 0;
  /** Of the runs that others are kept for. */
  readonly #kept: QueuedRun[] = [];
  #keptFulls = 0;
  readonly #awaited = { runs: false, fulls: false };
  readonly #limit: Readonly<Record<'runs' | 'fulls', number>>;

  constructor(
    private readonly bound: Bound,
    private readonly name: string,
    limit: number,
    share: number,
  ) {
    this.#limit = { runs: limit, fulls: placesOfFulls(limit, share) };
  }

  take(run: PlacedRun): void {
    this.#runs += 1;
    if (isFull(run)) this.#fulls += 1;
  }

  keep(run: QueuedRun): void {
    this.#kept.push(run);
    if (isFull(run)) this.#keptFulls += 1;
  }

  /** Kept ones too. */
  isTaken(forFull: boolean): boolean {
    return this.#runs + this.#kept.length >= this.#limit.runs || (forFull && this.#fulls + this.#keptFulls >= this.#limit.fulls);
  }

  /** Whether whoever waits for one is the first that does. */
  isNext(forFull: boolean): boolean {
    const what = forFull && this.#runs < this.#limit.runs ? 'fulls' : 'runs';
    const isFirst = !this.#awaited[what];
    this.#awaited[what] = true;
    return isFirst;
  }

  wait(forFull: boolean): Wait {
    const [noPlace, noFull] = [this.#runs >= this.#limit.runs, forFull && this.#fulls >= this.#limit.fulls];
    if (!noPlace && !noFull)
      return {
        code: `${this.bound}-kept`,
        sentence: `waits for ${this.name}: a free place is kept for run ${this.#kept.at(-1)?.id ?? ''}, which has waited for longer`,
      };
    if (!noPlace)
      return {
        code: `${this.bound}-fulls`,
        sentence: `waits for ${this.name}: ${this.#fulls} of ${this.#limit.fulls} places that fulls may take are taken`,
      };
    return {
      code: `${this.bound}-places`,
      sentence: `waits for ${this.name}: ${this.#runs} of ${this.#limit.runs} places are taken`,
    };
  }
}

/** All places, by what they are of. */
class Places {
  readonly #places = new Map<string, Place>();

  constructor(private readonly limits: RunLimits) {}

  /** Those that a run takes, the nearest first. */
  of({ host, repository, zone }: PlacedRun, here: boolean): Place[] {
    const { perHost, perRepository, perZone, whole, here: mine } = this.limits;
    return [
      ...(host === null ? [] : [this.#place('host', `host ${host}`, perHost)]),
      ...(repository === null ? [] : [this.#place('repository', `repository ${repository}`, perRepository)]),
      ...(zone === null ? [] : [this.#place('zone', `zone ${zone}`, perZone)]),
      this.#place('whole', 'all orchestrators', whole),
      ...(here ? [this.#place('here', 'this orchestrator', mine)] : []),
    ];
  }

  #place(bound: Bound, name: string, limit: number): Place {
    const key = `${bound} ${name}`;
    let place = this.#places.get(key);
    if (place === undefined) this.#places.set(key, (place = new Place(bound, name, limit, this.limits.fullShare)));
    return place;
  }
}
