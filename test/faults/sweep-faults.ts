import { execFile } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import type { SweepDto } from '../../src/upkeep/dto/sweep.dto';
import { waitForRun } from '../story/story';
import { begunAs } from './errands';
import type { Fault } from './fault';
import { killOperation, serviceKilled } from './restore-faults';
import type { Errand, Step, Stricken } from './stricken';

const run = promisify(execFile);

/** Paths that a sweep has to take away, and a mount like ours that is none; of the fault that strikes now. */
let ours: string[] = [];
let stranger = '';
let asked: Promise<string> | undefined;

/** A call of the host script by hand that is killed: its mount, its mount point and its note stay. */
async function killedCall(host: Stricken): Promise<void> {
  const directory = join(host.vm, '2001.09.09.01.46.40');
  mkdirSync(join(host.nas, directory), { recursive: true });
  writeFileSync(join(host.nas, directory, 'file'), 'x');
  const before = works(host);
  host.tool.arm({ tool: 'rm', words: '2001[.]09[.]09' });
  const script = join(host.lab.folder, 'host/nasbackup.sh');
  const call = run(script, ['-o', 'delete', '-t', 'dir', '-s', host.nas, '-m', '', '-p', directory]).catch(() => undefined);
  await host.tool.stands();
  host.tool.signal('SIGKILL');
  host.tool.release();
  await call;
  rmSync(join(host.nas, directory), { recursive: true });
  const [work = ''] = works(host).filter((path) => !before.includes(path));
  ours = [work, readFileSync(join(work, 'owned'), 'utf8').trim()];
  if (!mountPoints().includes(ours[1] ?? '')) throw new Error(`a killed call has left no mount at ${ours[1]}`);
}

/** A run that failed, and what it would have left where the NAS was away when it ended. */
async function failedRun(host: Stricken): Promise<void> {
  const folder = join(host.nas, host.vm);
  const before = readdirSync(folder);
  const { run: id } = await host.begin('copying');
  const [name = ''] = readdirSync(folder).filter((file) => !before.includes(file));
  await killOperation(host, id, '');
  host.go();
  await host.line('unlimited');
  await waitForRun(host.client, id);
  const directory = join(folder, name);
  if (name === '' || existsSync(directory)) throw new Error(`the failed run has left ${name}`);
  mkdirSync(directory);
  writeFileSync(join(directory, '.chainkeeper-run'), `${id}\n`);
  writeFileSync(join(directory, 'root.partial.qcow2'), 'x');
  ours = [directory];
}

const works = ({ lab }: Stricken): string[] => {
  const state = join(lab.folder, 'host/state');
  return readdirSync(state).flatMap((name) => (name.startsWith('work.') ? [join(state, name)] : []));
};
const mountPoints = (): string[] =>
  readFileSync('/proc/self/mountinfo', 'utf8')
    .split('\n')
    .map((row) => row.split(' ')[4] ?? '')
    .filter((point) => point.startsWith('/tmp/csbackup.'));

const ask = async ({ client, host }: Stricken): Promise<SweepDto> =>
  (await client.send<SweepDto>('POST', `/hosts/${host}/sweep`)).body;

const sweeping = (left: (host: Stricken) => Promise<void>): Errand => ({
  begin: async (host, step) => {
    await left(host);
    // Nobody has made note of it: a stock script, perhaps at work.
    stranger = mkdtempSync('/tmp/csbackup.');
    await run('mount', ['--bind', join(host.lab.folder, 'images'), stranger]);
    const stands = await host.standAt(step);
    asked = ask(host).then(
      () => 'answered',
      (error: unknown) => `failed ${(error as { code?: string }).code ?? 'without an answer'}`,
    );
    await stands();
    return begunAs('');
  },
  end: async (host) => {
    const outcome = (await asked) ?? '';
    await ask(host);
    const wrong = ours.filter((path) => existsSync(path)).map((path) => `not swept: ${path}`);
    const { items } = await ask(host);
    const again = items
      .filter(({ action }) => action !== 'left')
      .map(({ code, subject }) => `found a third time: ${code} ${subject}`);
    const told = items.some(({ code, subject, action }) => code === 'stranger' && subject === stranger && action === 'left');
    if (!told || !mountPoints().includes(stranger)) wrong.push(`${stranger} is not ours, and was not left and told`);
    else {
      await run('umount', [stranger]);
      rmdirSync(stranger);
    }
    return { outcome: `${outcome}; again: swept`, points: 0, wrong: [...wrong, ...again] };
  },
});
const OF_A_CALL = sweeping(killedCall);
const OF_A_RUN = sweeping(failedRun);

const at = (
  step: Step,
  what: string,
  errand: Errand,
  outcomes: RegExp,
  fault: Pick<Fault, 'strike' | 'mend' | 'quick'>,
): Fault => ({
  ...{ step, what, errand, outcomes },
  ...fault,
});

const CALL_STEPS = ['before it unmounts', 'before a mount point goes', 'before the note goes'] as const;
const RUN_STEPS = ['host swept', 'before removal', 'what a run left goes', 'recording removal'] as const;
const UNANSWERED = /^failed service\.unreachable; again: swept$/;

const scriptKilled: Pick<Fault, 'strike'> = { strike: ({ tool }) => Promise.resolve(tool.signal('SIGKILL')) };

/** What becomes of a sweep; each is swept again to the end. A mount that is not ours stays. */
export const SWEEP_FAULTS: readonly Fault[] = [
  ...CALL_STEPS.flatMap((step): Fault[] => [
    at(step, 'after a killed call: the service is killed (-9), another one comes', OF_A_CALL, UNANSWERED, {
      strike: serviceKilled,
    }),
    at(step, 'after a killed call: the script is killed (-9)', OF_A_CALL, /^failed host\.[a-z-]+; again: swept$/, scriptKilled),
  ]),
  at('before it unmounts', 'after a killed call: the NAS hangs for five seconds', OF_A_CALL, /^answered; again: swept$/, {
    strike: (host) => host.line('0'),
    mend: async (host) => {
      await sleep(5000);
      await host.line('unlimited');
    },
  }),
  ...RUN_STEPS.map((step) =>
    at(step, 'after a failed run: the service is killed (-9), another one comes', OF_A_RUN, UNANSWERED, {
      strike: serviceKilled,
    }),
  ),
  at('what a run left goes', 'after a failed run: the script is killed (-9)', OF_A_RUN, /^answered; again: swept$/, scriptKilled),
  at('before removal', 'after a failed run: the NAS hangs for five seconds', OF_A_RUN, /^answered; again: swept$/, {
    strike: (host) => host.line('0'),
    mend: async (host) => {
      await sleep(5000);
      await host.line('unlimited');
    },
  }),
];
