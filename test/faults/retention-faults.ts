import { renameSync } from 'node:fs';
import type { RetentionPlanDto } from '../../src/retention/dto/retention.dto';
import type { RunDto } from '../../src/runs/dto/run.dto';
import { waitForRun } from '../story/story';
import { away } from './database-faults';
import { begunAs, letGoInTheEnd, refused, wrongWith } from './errands';
import { expectRefusal } from './expect-refusal';
import type { Fault } from './fault';
import { serviceKilled, trimmed } from './restore-faults';
import { type Errand, outcomeOf, type Step, type Stricken } from './stricken';

/** By which the chain of two goes that was taken before the newest backup, a full. */
const RULES = { keepLast: 1, manual: true };

/** What is to go, and what somebody protects so that it stays; of the fault that strikes now. */
let going: string[] = [];
let kept: string[] = [];

/** All points but a chain of two of its own are protected: no rule may let them go. */
async function setUp(host: Stricken): Promise<void> {
  going = (await host.chain(2)).map(({ id }) => id);
  kept = host.points.map(({ backup }) => backup.id).filter((id) => !going.includes(id));
  for (const id of kept) await host.client.send('PUT', `/backups/${id}/protection`, { by: 'ops', why: 'other faults need it' });
}

async function shown({ client, vm }: Stricken): Promise<string> {
  const plan = await client.get<RetentionPlanDto>(`/vms/${vm}/retention?keepLast=1&manual=true`);
  const removed = plan.steps.flatMap(({ kind, backup }) => (kind === 'remove' ? [backup] : []));
  if (removed.some((id) => !going.includes(id))) throw new Error(`the plan removes ${removed.join(', ')}`);
  return plan.planId;
}

const apply = async (host: Stricken, plan: string): Promise<RunDto> =>
  (await host.client.send<RunDto>('POST', `/vms/${host.vm}/retention`, { plan, ...RULES })).body;

async function end(host: Stricken, run: string): ReturnType<Errand['end']> {
  await host.client.send('DELETE', `/vms/${host.vm}/retention-policy`);
  const outcome = await letGoInTheEnd(host.client, run, async () => apply(host, await shown(host)));
  const wrong = await wrongWith(host, going, []);
  for (const id of kept) await host.client.send('DELETE', `/backups/${id}/protection`);
  return { outcome, points: 3, wrong };
}

/** Somebody applies the plan that was shown. */
const applying: Errand = {
  begin: async (host, step) => {
    await setUp(host);
    await host.backup({ mode: 'full' });
    const plan = await shown(host);
    const stands = await host.standAt(step);
    const { id } = await apply(host, plan);
    await stands();
    return begunAs(id);
  },
  end: (host, { run }) => end(host, run),
};

/** The service lets go by itself, after a backup. */
const afterBackup: Errand = {
  begin: async (host, step) => {
    await setUp(host);
    await host.client.send('PUT', `/vms/${host.vm}/retention-policy`, RULES);
    const stands = await host.standAt(step);
    // It fails here unless its run has succeeded, whatever becomes of the other one.
    await host.backup({ mode: 'full' });
    await stands();
    const { items } = await host.client.get<{ items: RunDto[] }>(`/runs?vm=${host.vm}&limit=1`);
    if (items[0]?.kind !== 'retention') throw new Error(`the newest run is a ${items[0]?.kind}`);
    return begunAs(items[0].id);
  },
  end: (host, { run }) => end(host, run),
};

let asked: Promise<RunDto> | undefined;

/** Somebody has agreed to a plan; its run is not written down yet. */
const agreeing: Errand = {
  begin: async (host, step) => {
    await setUp(host);
    await host.backup({ mode: 'full' });
    const plan = await shown(host);
    const stands = await host.standAt(step);
    asked = apply(host, plan);
    await stands();
    return begunAs('');
  },
  end: async (host) => end(host, (await asked)?.id ?? ''),
};

const at = (
  step: Step,
  what: string,
  outcomes: RegExp,
  errand: Errand,
  fault: Pick<Fault, 'strike' | 'mend' | 'quick' | 'books'>,
): Fault => ({ what, step, outcomes, errand, ...fault });

const nasGone: Pick<Fault, 'strike' | 'mend'> = {
  strike: (host) => Promise.resolve(renameSync(host.nas, `${trimmed(host.nas)}.away`)),
  mend: async (host, job) => {
    await waitForRun(host.client, job);
    renameSync(`${trimmed(host.nas)}.away`, host.nas);
  },
};

/** What becomes of retention. */
export const RETENTION_FAULTS: readonly Fault[] = [
  ...(['decided', 'hiding', 'before removal', 'removed', 'recording removal', 'between two links'] as const).map((step) =>
    at(step, 'a plan is applied: the service is killed (-9), another one comes', /^succeeded$/, applying, {
      strike: serviceKilled,
    }),
  ),
  ...(['hiding', 'recording removal', 'between two links'] as const).map((step) =>
    at(step, 'a plan is applied: the database server is killed (-9) and started again', /^succeeded$/, applying, {
      books: ['mariadb'],
      strike: ({ databases }) => databases.server().end('SIGKILL'),
      mend: away(({ databases }) => databases.server().startAgain()),
    }),
  ),
  at('files go', 'a plan is applied: the script is killed (-9)', /^failed .*; again: succeeded$/, applying, {
    strike: ({ tool }) => Promise.resolve(tool.signal('SIGKILL')),
    mend: async (host, job) => {
      await waitForRun(host.client, job);
      await host.client.send('POST', `/hosts/${host.host}/sweep`);
    },
  }),
  at('before removal', 'a plan is applied: the NAS is gone', /^failed deletion\.failed; again: succeeded$/, applying, nasGone),
  at('between two links', 'a plan is applied: the NAS is gone', /^failed deletion\.failed; again: succeeded$/, applying, nasGone),
  at(
    'before removal',
    'after a backup: the NAS is gone, and the backup is taken all the same',
    /^failed deletion\.failed; again: succeeded$/,
    afterBackup,
    nasGone,
  ),
  at('between two links', 'after a backup: the service is killed (-9), another one comes', /^succeeded$/, afterBackup, {
    strike: serviceKilled,
  }),
  refused('a plan is applied that no longer holds: a backup was taken since', 'retention.plan-changed', async (host) => {
    const plan = await host.client.get<RetentionPlanDto>(`/vms/${host.vm}/retention?keepLast=1&manual=true`);
    await host.backup({ mode: 'full' });
    return apply(host, plan.planId);
  }),
  at(
    'plan agreed',
    'a plan no longer holds when its run begins: one of its points was protected meanwhile',
    /^failed retention\.plan-changed; again: succeeded$/,
    agreeing,
    {
      strike: async ({ client }) => {
        await client.send('PUT', `/backups/${going[1]}/protection`, { by: 'ops', why: 'a court wants it' });
      },
      mend: async (host) => {
        const { id } = (await asked) as RunDto;
        const run = await waitForRun(host.client, id);
        if (outcomeOf(run) !== 'failed retention.plan-changed') throw new Error(outcomeOf(run));
        await expectRefusal(host.client.send('DELETE', `/backups/${going[1]}`), 'deletion.protected');
        await host.client.send('DELETE', `/backups/${going[1]}/protection`);
      },
    },
  ),
];
