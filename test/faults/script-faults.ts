import { execFile } from 'node:child_process';
import { readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { waitForRun } from '../story/story';
import { until } from '../support/brake';
import { expectRefusal } from './expect-refusal';
import type { Fault } from './fault';
import { SLOW, type Step, type Stricken } from './stricken';

const run = promisify(execFile);

/** A signal to what the host runs for a job. */
export const signal =
  (name: NodeJS.Signals, pidOf: (host: Stricken, job: string) => number): Fault['strike'] =>
  async (host, job) => {
    let pid = 0;
    // The runner has to start what is struck.
    await until(() => {
      try {
        return Promise.resolve((pid = pidOf(host, job)) !== 0);
      } catch {
        return Promise.resolve(false);
      }
    }, 'nothing of the job runs');
    process.kill(pid, name);
  };
export const all = (host: Stricken, job: string): number => -host.runnerOf(job);
export const operation = (host: Stricken, job: string): number => host.operationOf(job);

const at = (step: Step, what: string, outcomes: RegExp, strike: Fault['strike'], quick = false): Fault => ({
  ...{ what, step, outcomes, strike, quick },
});

/** What becomes of the host script and of its job. */
export const SCRIPT_FAULTS: readonly Fault[] = [
  at('script started', 'killed (-9) with all that belongs to it', /^failed outcome-lost$/, signal('SIGKILL', all)),
  at('script started', 'killed (-9), its runner lives', /^failed outcome-lost$/, signal('SIGKILL', operation)),
  // Told before it has set its trap, it dies of the signal like any program.
  at('script started', 'TERM from an operator', /^(cancelled job-cancelled|failed outcome-lost)$/, signal('SIGTERM', operation)),
  at('copying', 'killed (-9) with all that belongs to it', /^failed outcome-lost$/, signal('SIGKILL', all), true),
  at('copying', 'killed (-9), its runner lives', /^failed outcome-lost$/, signal('SIGKILL', operation)),
  at('copying', 'TERM from an operator', /^cancelled job-cancelled$/, signal('SIGTERM', operation)),
  at('copying', 'an operator ends libvirt’s job by hand', /^cancelled job-cancelled$/, async (host) => {
    await host.virsh('domjobabort', host.vm);
  }),
  ...(['data complete', 'in cleanup'] as const).flatMap((step) => [
    at(step, 'killed (-9) with all that belongs to it', /^failed outcome-lost$/, signal('SIGKILL', all)),
    at(step, 'killed (-9), its runner lives', /^failed outcome-lost$/, signal('SIGKILL', operation)),
  ]),
  at('data complete', 'TERM from an operator', /^cancelled job-cancelled$/, signal('SIGTERM', operation)),
  // What is good by then stays good.
  at('in cleanup', 'TERM from an operator', /^succeeded$/, signal('SIGTERM', operation)),
  at('exit code unread', 'killed (-9) with all that is left of it', /^succeeded$/, (host, job) => {
    const pid = host.runnerOf(job);
    try {
      if (readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(job)) process.kill(-pid, 'SIGKILL');
    } catch {
      // it has ended by itself
    }
    return Promise.resolve();
  }),
  {
    what: 'a second orchestrator and an operator by hand want a backup, too',
    step: 'copying',
    outcomes: /^succeeded$/,
    strike: async (host) => {
      const first = { service: host.service, client: host.client };
      await host.serve();
      for (const client of [first.client, host.client])
        await expectRefusal(client.send('POST', '/backups', { vm: host.vm }), 'run.active');
      await expectRefusal(byHand(host, []), 'vm-busy');
      await expectRefusal(byHand(host, ['start', '--job', 'by-hand', '--fence', '0', '--']), 'fence-stale');
      host.go(first.service);
      await host.line('unlimited');
      others.push(first.service);
    },
    mend: async (host, job) => {
      await waitForRun(host.client, job);
      await others.pop()?.kill();
    },
  },
  {
    what: 'an operator by hand is first: a backup of the same VM goes on when it starts',
    step: 'decided',
    outcomes: /^failed vm-busy$/,
    strike: async (host) => {
      await host.line(SLOW);
      hand = byHand(host, []);
      // Between two jobs libvirt has no answer.
      const jobs = (): Promise<string> => host.virsh('domjobinfo', host.vm).catch(() => '');
      await until(async () => (await jobs()).includes('Backup'), 'the operator’s backup does not begin');
    },
    mend: async (host, job) => {
      await waitForRun(host.client, job);
      await host.line('unlimited');
      await hand;
      const directory = join(host.nas, host.vm, HAND_DIRECTORY);
      if (readdirSync(directory).filter((file) => file.endsWith('.qcow2')).length !== 2)
        throw new Error('the operator’s backup is not whole');
      rmSync(directory, { recursive: true });
      await host.virsh('checkpoint-delete', host.vm, HAND_BITMAP);
    },
  },
];

const HAND_DIRECTORY = '2001.09.09.01.46.40';
const HAND_BITMAP = 'backup-1000000000';
const others: { kill(): Promise<void> }[] = [];
let hand: Promise<unknown> | undefined;

function script({ lab }: Stricken, ...args: string[]): Promise<unknown> {
  return run(join(lab.folder, 'host/nasbackup.sh'), args);
}

/** A backup as somebody takes it who has only the host script. */
function byHand(host: Stricken, before: readonly string[]): Promise<unknown> {
  const { nas, vm } = host;
  const where = ['-v', vm, '-t', 'dir', '-s', nas, '-m', '', '-p', `${vm}/${HAND_DIRECTORY}`];
  return script(host, ...before, '-o', 'backup', ...where, '-M', 'full', '--bitmap-new', HAND_BITMAP, '--facts');
}
