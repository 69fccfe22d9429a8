import { setTimeout as sleep } from 'node:timers/promises';
import type { Fault } from './fault';
import { pastLease, type Step } from './stricken';

const STEPS: readonly Step[] = [
  'before inspect',
  'decided',
  'script started',
  'copying',
  'data complete',
  'in cleanup',
  'exit code unread',
  'recording',
  'before retire',
  'retired',
];

/** Kill -9 of the service: whoever comes next adopts the run. */
const killed: Fault[] = STEPS.map((step) => ({
  what: 'killed (-9), another one comes',
  step,
  outcomes: /^succeeded$/,
  quick: step === 'recording',
  strike: async (host) => {
    await host.service.kill();
    await host.serve();
  },
}));

/**
 * SIGSTOP past its lease; another adopts the run; the first one wakes up and must change nothing. SQLite is for one service at a time:
 * there nobody else can come, and it goes on with its own run.
 */
const asleep: Fault[] = (['decided', 'exit code unread', 'recording'] as const).map((step) => ({
  what: 'stands still past its lease, another one takes over if there can be one, it goes on',
  step,
  outcomes: /^succeeded$/,
  quick: step === 'exit code unread',
  strike: async (host) => {
    const sleeper = host.service;
    process.kill(sleeper.pid, 'SIGSTOP');
    await pastLease();
    if (host.severalServe) {
      await host.serve();
      await sleep(3000);
    }
    process.kill(sleeper.pid, 'SIGCONT');
    host.go(sleeper);
    await sleep(1000);
    if (host.severalServe) await sleeper.kill();
  },
}));

/** What becomes of the service. */
export const ORCHESTRATOR_FAULTS: readonly Fault[] = [...killed, ...asleep];
