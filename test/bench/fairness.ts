import { writeFileSync } from 'node:fs';
import { pickRuns, type QueuedRun, type RunLimits, type RunningRun, type Turn } from '../../src/domain/run/pick-runs';
import type { BenchResult } from './bench-result';
import { drawWaits, type WaitBand } from './draw-waits';
import { median, round } from './rounds';

const MINUTE = 60;
const HOUR = 60 * MINUTE;
/** Four orchestrators of eight places each, as they come; no limits of hosts or repositories. */
const PLACES = 32;
const LIMITS: RunLimits = {
  ...{ perHost: Infinity, perRepository: Infinity, perZone: Infinity, whole: PLACES, here: PLACES, fullShare: 0.75 },
};
/** Seconds between two looks. */
const LOOK = 10;
const BEGAN = Date.UTC(2026, 0, 1);

/** A VM of the simulation: its run is due at these seconds, and takes so many. */
interface SimulatedVm {
  readonly id: number;
  readonly host: string;
  readonly group: string;
  readonly expects: 'full' | 'incremental';
  readonly dues: readonly number[];
  readonly takes: number;
}

interface Waiting extends QueuedRun {
  readonly vm: SimulatedVm;
  /** Seconds. */
  readonly since: number;
}

interface Going extends RunningRun {
  readonly until: number;
}

/** The longest wait of each VM in seconds, and what was left out because a run of the VM waited yet. */
interface Waited {
  readonly longest: ReadonlyMap<number, number>;
  readonly leftOut: number;
  readonly hours: number;
}

/** Which of the runs that wait begin now; `pickRuns`, or what there was before it. */
type Choice = (queued: readonly Waiting[], running: readonly Going[], turns: readonly Turn[], now: Date) => readonly string[];

const GROUPS = {
  storm: 'host that restarted: 200 fulls of 30 min',
  many: 'host with very many VMs: 10,000 runs of 30 s',
  beside: 'beside a VM of 2 hours: 39 VMs, hourly, of 1 min',
  others: 'nine other hosts: 360 VMs, hourly, of 1 min',
};

/**
 * How long each VM waits in a bad night, first come first served and as the engine chooses: a simulation around the very function that the engine
 * asks, with its clock only. A host has restarted, and all its VMs need a full; another has ten thousand runs at once; one VM takes two hours; and the
 * other VMs have their hourly incrementals.
 */
export async function benchFairness(_quick: boolean, plot?: string): Promise<BenchResult> {
  const vms = badNight();
  const before = simulate(vms, firstComeFirstServed);
  const after = simulate(vms, byTurns);
  const bands = Object.values(GROUPS).map((group): WaitBand => {
    const waits = ({ longest }: Waited): number[] =>
      vms.flatMap((vm) => (vm.group === group ? (longest.get(vm.id) ?? []) : [])).sort((a, b) => a - b);
    return { title: group, before: waits(before), after: waits(after) };
  });
  if (plot !== undefined) writeFileSync(plot, drawWaits(bands));
  const others = bands.find(({ title }) => title === GROUPS.others) as WaitBand;
  const words = (seconds: readonly number[]) => ({
    median_minutes: round(median(seconds) / MINUTE),
    longest_minutes: round((seconds.at(-1) ?? 0) / MINUTE),
  });
  return {
    bench: 'fairness',
    ratios: { longest_wait_of_other_hosts_vs_first_come: round((others.after.at(-1) ?? 0) / (others.before.at(-1) ?? 1)) },
    values: {
      waits: Object.fromEntries(bands.map((band) => [band.title, { before: words(band.before), after: words(band.after) }])),
      left_out: { before: before.leftOut, after: after.leftOut },
      hours_until_all_is_done: { before: round(before.hours), after: round(after.hours) },
    },
    limit: { what: 'places, each for one run', places: PLACES },
  };
}

function badNight(): SimulatedVm[] {
  const vms: SimulatedVm[] = [];
  const add = (count: number, vm: Omit<SimulatedVm, 'id' | 'dues'>, duesOf: (index: number) => number[]): void => {
    for (let index = 0; index < count; index += 1) vms.push({ ...vm, id: vms.length + 1, dues: duesOf(index) });
  };
  // The first runs come due within the first minute, so that none of them is due at one instant with all others.
  add(200, { host: 'kvm1', group: GROUPS.storm, expects: 'full', takes: 30 * MINUTE }, (index) => [index % MINUTE]);
  add(10_000, { host: 'kvm2', group: GROUPS.many, expects: 'incremental', takes: 30 }, (index) => [index % MINUTE]);
  const hourly = (index: number): number[] =>
    Array.from({ length: 6 }, (_, hour) => hour * HOUR + ((index * 7) % 60) * MINUTE + (index % 60));
  add(1, { host: 'kvm3', group: 'the VM of 2 hours', expects: 'incremental', takes: 2 * HOUR }, () => [5 * MINUTE]);
  add(39, { host: 'kvm3', group: GROUPS.beside, expects: 'incremental', takes: MINUTE }, hourly);
  for (let host = 4; host <= 12; host += 1)
    add(40, { host: `kvm${host}`, group: GROUPS.others, expects: 'incremental', takes: MINUTE }, hourly);
  return vms;
}

function simulate(vms: readonly SimulatedVm[], choose: Choice): Waited {
  const dues = vms.flatMap((vm) => vm.dues.map((at) => ({ vm, at }))).sort((a, b) => a.at - b.at);
  const turns = new Map<string, Turn>();
  const longest = new Map<number, number>();
  let [queued, running, leftOut, now] = [[] as Waiting[], [] as Going[], 0, 0];
  for (let next = 0; next < dues.length || queued.length + running.length > 0; now += LOOK) {
    running = running.filter(({ until }) => until > now);
    for (; next < dues.length && (dues[next]?.at ?? 0) <= now; next += 1) {
      const { vm, at } = dues[next] as (typeof dues)[number];
      // A VM has one run at a time, and a schedule does not ask for a second one.
      const has = ({ vmId }: { readonly vmId: number }): boolean => vmId === vm.id;
      if (queued.some(has) || running.some(has)) leftOut += 1;
      else queued.push(runOf(vm, at, next));
    }
    const at = new Date(BEGAN + now * 1000);
    const started = new Set(choose(queued, running, [...turns.values()], at));
    for (const run of queued) {
      if (!started.has(run.id)) continue;
      const { vm, since, host, askedBy, repository, zone, expects } = run;
      longest.set(vm.id, Math.max(longest.get(vm.id) ?? 0, now - since));
      running.push({ ...run, here: true, until: now + vm.takes });
      turns.set(vm.host, { host, askedBy, repository, zone, expects, at });
    }
    queued = queued.filter(({ id }) => !started.has(id));
  }
  return { longest, leftOut, hours: now / HOUR };
}

const runOf = (vm: SimulatedVm, since: number, count: number): Waiting => ({
  id: String(count).padStart(6, '0'),
  vm,
  since,
  vmId: vm.id,
  host: vm.host,
  repository: 'nas',
  zone: 'z',
  expects: vm.expects,
  askedBy: 'schedule',
  queuedAt: new Date(BEGAN + since * 1000),
  attempt: 0,
  notBefore: null,
  startUntil: null,
});

const firstComeFirstServed: Choice = (queued, running) => queued.slice(0, PLACES - running.length).map(({ id }) => id);

const byTurns: Choice = (queued, running, turns, now) =>
  pickRuns({
    ...{ queued, running, turns, now, busy: new Set(), limits: LIMITS },
    maintenance: { hosts: new Set(), repositories: new Set() },
  }).start;
