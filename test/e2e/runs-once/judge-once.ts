import type { EventRow } from '../../../src/database/entities/event-row';
import type { RunRow } from '../../../src/database/entities/run-row';
import type { StartLine } from './start-log';
import type { RunMove } from './watch-books';

/** All that is known at the end, from witnesses that know nothing of each other. */
export interface Seen {
  /** Runs that were written down before the disturbances began, or while they went on. */
  readonly asked: readonly string[];
  readonly runs: readonly Pick<
    RunRow,
    'id' | 'vmId' | 'state' | 'attempt' | 'epoch' | 'jobId' | 'reason' | 'errorCode' | 'backupId' | 'scheduledFor'
  >[];
  /** Of every backup in the books that is one, its run. */
  readonly backups: readonly { readonly id: number; readonly runId: string }[];
  readonly moves: readonly RunMove[];
  readonly events: readonly Pick<EventRow, 'kind' | 'runId'>[];
  readonly starts: readonly StartLine[];
}

/** What a run of the test came to. */
export interface Counts {
  readonly runs: number;
  readonly succeeded: number;
  /** Of each that failed, with what. */
  readonly failed: readonly string[];
  /** Attempts that failed and were followed by another one. */
  readonly retries: number;
  /** Orders to start a job that orchestrators gave, and jobs that the host began for them. */
  readonly asked: number;
  readonly starts: number;
  /** How often one was held up at the worst moment, other stops apart. */
  readonly overslept: number;
  readonly adoptions: number;
  /** Runs that more than one orchestrator has driven, in one attempt. */
  readonly runsAdopted: number;
}

const ENDED = new Set(['succeeded', 'failed', 'cancelled', 'skipped']);

/** Everything that contradicts "each run ran once", a line each; and what there was. */
export function judgeOnce(seen: Seen): { wrong: string[]; counts: Counts } {
  const moves = groupBy(seen.moves, ({ runId }) => runId);
  const events = groupBy(seen.events, ({ runId }) => runId ?? '');
  const jobs = groupBy(
    seen.starts.filter(({ what }) => what !== 'overslept'),
    ({ job }) => runOf(job),
  );
  const backups = groupBy(seen.backups, ({ runId }) => runId);
  const ids = new Set(seen.runs.map(({ id }) => id));
  const wrong = [
    ...seen.asked.filter((id) => !ids.has(id)).map((id) => `${id} is lost`),
    ...[...jobs.keys()].filter((id) => !ids.has(id)).map((id) => `the host ran a job of ${id}, which is no run`),
    ...repeated(
      seen.runs.flatMap(({ vmId, scheduledFor }) => (scheduledFor ? [`${vmId} ${scheduledFor.toISOString()}`] : [])),
    ).map((twice) => `two runs of one VM and instant: ${twice}`),
    ...overlaps(seen.starts),
    // Neither a clock that is wrong nor a look that came late makes the books contradict themselves.
    ...seen.runs.filter(({ reason }) => reason === 'lineage-mismatch').map(({ id }) => `${id}: its chain was broken`),
    ...seen.runs.flatMap((run) => {
      const said = [
        ...judgeEnd(run, moves.get(run.id) ?? [], events.get(run.id) ?? []),
        ...judgeClaims(moves.get(run.id) ?? [], jobs.get(run.id) ?? []),
        ...judgeJobs(
          run,
          jobs.get(run.id) ?? [],
          (backups.get(run.id) ?? []).map(({ id }) => id),
        ),
      ];
      return said.map((words) => `${run.id}: ${words}`);
    }),
  ];
  const adopted = seen.moves.filter(isAdoption);
  const counts = {
    ...{ runs: seen.runs.length, succeeded: count(seen.runs, ({ state }) => state === 'succeeded') },
    failed: seen.runs.flatMap(({ state, errorCode }) => (state === 'failed' ? [errorCode ?? 'without a reason'] : [])),
    retries: seen.runs.reduce((sum, { attempt }) => sum + attempt, 0),
    asked: count(seen.starts, ({ what }) => what === 'asked'),
    starts: count(seen.starts, ({ what }) => what === 'began'),
    overslept: count(seen.starts, ({ what }) => what === 'overslept'),
    ...{ adoptions: adopted.length, runsAdopted: new Set(adopted.map(({ runId }) => runId)).size },
  };
  return { wrong, counts };
}

/** It ended once, by whoever owned it at that moment, nothing was changed afterwards, and the events say the same. */
function judgeEnd({ state, epoch, attempt }: Seen['runs'][number], moves: readonly RunMove[], events: Seen['events']): string[] {
  const wrong: string[] = [];
  const ends = moves.filter(({ was, became }) => !ENDED.has(was) && ENDED.has(became));
  if (!ENDED.has(state)) wrong.push(`it did not end: ${state}`);
  if (ends.length !== 1) wrong.push(`it ended ${ends.length} times`);
  for (const { epoch: by, leaseEpoch, leaseRun, runId, owner, writer } of ends)
    if (by !== leaseEpoch || leaseRun !== runId || by !== epoch || owner !== writer)
      wrong.push(
        `${writer} recorded its end at epoch ${by}; ${owner ?? 'nobody'} had it, and the lease was ${leaseEpoch} of ${leaseRun ?? 'nobody'}`,
      );
  for (const { was, became, epoch: by, epochWas } of moves)
    if (ENDED.has(was) && (was !== became || by !== epochWas)) wrong.push(`it was ${was}, and became ${became} at epoch ${by}`);
  const told = events.filter(({ kind }) => ENDED.has(kind)).map(({ kind }) => kind);
  if (told.length !== 1 || told[0] !== state) wrong.push(`it is ${state}, and its events tell ${told.join(', ') || 'no end'}`);
  const [claims, adoptions] = [moves.filter(isClaim).length, moves.filter(isAdoption).length];
  if (claims !== attempt + 1) wrong.push(`it was claimed ${claims} times for ${attempt + 1} attempts`);
  const [started, recovered] = ['started', 'recovered'].map((what) => count(events, ({ kind }) => kind === what));
  if (started !== claims || recovered !== adoptions)
    wrong.push(`claimed ${claims} and adopted ${adoptions} times; its events tell ${started} and ${recovered}`);
  return wrong;
}

/** Each owner has an epoch of its own, higher than all before, with the lease; and whoever asked the host was such an owner. */
function judgeClaims(moves: readonly RunMove[], lines: readonly StartLine[]): string[] {
  const wrong: string[] = [];
  const owners = new Map<number, string | null>();
  for (const { runId, epoch, epochWas, owner, writer, leaseRun, leaseEpoch } of moves.filter(
    (move) => isClaim(move) || isAdoption(move),
  )) {
    if (owner !== writer) wrong.push(`${writer} took it for ${owner ?? 'nobody'}`);
    if (epoch <= epochWas) wrong.push(`epoch ${epoch} came after ${epochWas}`);
    if (leaseRun !== runId || leaseEpoch !== epoch) wrong.push(`taken at epoch ${epoch}, while the lease was ${leaseEpoch}`);
    owners.set(epoch, owner);
  }
  for (const { what, epoch, owner, job } of lines)
    if (what === 'asked' && owners.get(epoch) !== owner)
      wrong.push(`${owner ?? ''} asked for ${job} at epoch ${epoch}, which was ${owners.get(epoch) ?? 'nobody'}'s`);
    else if (what === 'began' && !owners.has(epoch)) wrong.push(`${job} began at epoch ${epoch}, which was nobody's`);
  return wrong;
}

/** One job for each attempt (and one more where a full took the incremental's place), and one backup of the one that went well. */
function judgeJobs(
  { id, state, attempt, jobId, backupId }: Seen['runs'][number],
  lines: readonly StartLine[],
  backups: readonly number[],
): string[] {
  const wrong: string[] = [];
  const began = lines.filter(({ what }) => what === 'began').map(({ job }) => job);
  const expected = Array.from({ length: attempt + 1 }, (_, index) => (index === 0 ? id : `${id}-${index + 1}`));
  const instead = began.filter((job) => job.endsWith('-full') && expected.includes(job.slice(0, -'-full'.length)));
  const jobs = [...expected, ...instead].sort();
  if (began.length !== new Set(began).size || began.slice().sort().join() !== [...new Set(jobs)].join())
    wrong.push(`${attempt + 1} attempts, and the host began ${began.join(', ') || 'nothing'}`);
  const good = lines.filter(({ what, exit }) => what === 'ended' && exit === 0).map(({ job }) => job);
  const booked = state === 'succeeded' ? [backupId] : [];
  if (good.length !== booked.length || (booked.length > 0 && good[0] !== jobId))
    wrong.push(`it ${state} with job ${jobId ?? 'none'}, and on the host went well: ${good.join(', ') || 'nothing'}`);
  if (backups.join() !== booked.join()) wrong.push(`it ${state}, and these backups are of it: ${backups.join(', ') || 'none'}`);
  return wrong;
}

/** Jobs of one VM that were alive at the same time. */
function overlaps(starts: readonly StartLine[]): string[] {
  const wrong: string[] = [];
  const alive = new Map<string, string>();
  for (const { what, vm, job } of starts) {
    const other = alive.get(vm);
    if (what === 'began') {
      if (other !== undefined) wrong.push(`${vm}: ${job} began while ${other} went on`);
      alive.set(vm, job);
    } else if (what === 'ended' && other === job) alive.delete(vm);
  }
  return [...wrong, ...[...alive].map(([vm, job]) => `${vm}: ${job} still goes on`)];
}

const isClaim = ({ was, became }: RunMove): boolean => was === 'queued' && became === 'running';
const isAdoption = ({ was, became, epoch, epochWas }: RunMove): boolean =>
  (was === 'running' || was === 'unknown') && became === 'running' && epoch !== epochWas;

/** `<uuid>`, `<uuid>-2`, `<uuid>-2-full`: a run's jobs. */
const runOf = (job: string): string => job.slice(0, 36);

const count = <T>(items: readonly T[], is: (item: T) => boolean): number => items.filter(is).length;

const repeated = (words: readonly string[]): string[] => words.filter((word, index) => words.indexOf(word) !== index);

function groupBy<T>(items: readonly T[], keyOf: (item: T) => string): Map<string, T[]> {
  const groups = new Map<string, T[]>();
  for (const item of items) groups.set(keyOf(item), [...(groups.get(keyOf(item)) ?? []), item]);
  return groups;
}
