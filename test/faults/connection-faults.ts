import { setTimeout as sleep } from 'node:timers/promises';
import type { Fault } from './fault';

/** What becomes of the way to the host. */
export const CONNECTION_FAULTS: readonly Fault[] = [
  {
    what: 'sshd and its connections killed (-9), started again after a while',
    step: 'copying',
    outcomes: /^succeeded$/,
    quick: true,
    strike: async ({ lab }) => {
      await lab.verb('sshd-kill');
    },
    mend: async ({ lab }) => {
      await sleep(2000);
      await lab.access();
    },
  },
  {
    what: 'sshd is not there',
    step: 'decided',
    outcomes: /^failed host\.unreachable$/,
    strike: async ({ lab }) => {
      await lab.verb('sshd-kill');
    },
    mend: async (host) => {
      await sleep(4000);
      await host.lab.access();
    },
  },
];
