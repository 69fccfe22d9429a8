import type { Fault } from './fault';
import { readerFaults } from './reader-faults';

/** What becomes of a run whose data readers of the host copy from an export, beside scratch files. */
export const PULL_FAULTS: readonly Fault[] = readerFaults({
  asks: { transfer: 'pull' },
  made: /^INCREMENTAL regular$/,
  again: /^INCREMENTAL regular$/,
  afterCrash: /^FULL (bitmap-inconsistent|bitmap-missing)$/,
  withoutScratch: { outcomes: /^failed scratch-full$/ },
});
