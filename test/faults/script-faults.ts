import type { Fault } from './fault';
import type { Stricken } from './stricken';

/** A signal to what the host runs for a job. */
const signal =
  (name: NodeJS.Signals, pidOf: (host: Stricken, job: string) => number): Fault['strike'] =>
  (host, job) => {
    process.kill(pidOf(host, job), name);
    return Promise.resolve();
  };
const all = (host: Stricken, job: string): number => -host.runnerOf(job);
const operation = (host: Stricken, job: string): number => host.operationOf(job);

const copying = (what: string, outcomes: RegExp, strike: Fault['strike'], quick = false): Fault => ({
  ...{ what, step: 'copying', outcomes, strike, quick },
});

/** What becomes of the host script and of its job. */
export const SCRIPT_FAULTS: readonly Fault[] = [
  copying('killed (-9) with all that belongs to it', /^failed outcome-lost$/, signal('SIGKILL', all), true),
  copying('killed (-9), its runner lives', /^failed outcome-lost$/, signal('SIGKILL', operation)),
  copying('TERM from an operator', /^cancelled job-cancelled$/, signal('SIGTERM', operation)),
  copying('an operator ends libvirt’s job by hand', /^cancelled job-cancelled$/, async (host) => {
    await host.virsh('domjobabort', host.vm);
  }),
];
