import type { BookedBackup } from '../../src/domain/chain/booked-backup';
import { toDetails } from '../../src/domain/chain/chain-keys';
import { planDeletion } from '../../src/domain/chain/plan-deletion';
import { planRetention } from '../../src/domain/retention/plan-retention';
import { round } from './rounds';

const OF_A_VM = 100;
const CHAIN = 14;
const DAY = 86_400;
const NOW = 1_777_300_000;
const KEEP_ALL_BUT_ONE = { keepLast: OF_A_VM - 1, keepHourly: 0, keepDaily: 0, keepWeekly: 0, keepMonthly: 0, keepYearly: 0 };

/** What one kind of plan took for all VMs. */
interface Planned {
  readonly seconds: number;
  /** Of the slowest VM. */
  readonly worst_ms: number;
}

/**
 * Plans over the books of many VMs with a hundred daily backups each, VM by VM as the service reads them: the deletion of a link in the middle
 * of a chain, of a whole chain, and what a policy does in a night.
 */
export function benchPlans(vms: number): Readonly<Record<string, unknown>> {
  const before = process.memoryUsage().rss;
  const books = (backups: readonly BookedBackup[]) => ({
    ...{ backups, activeCheckpointId: null, protections: [], notComparedSince: null },
  });
  const deletion = (forced: boolean) => (backups: readonly BookedBackup[]) =>
    planDeletion({ backup: backups[CHAIN]?.uuid ?? '', forced, acceptLoss: false }, books(backups)).kind === 'deletion';
  const retention = (backups: readonly BookedBackup[]): boolean =>
    planRetention({
      ...books(backups),
      ...{ origins: new Map(), schedules: [], manual: true },
      policy: KEEP_ALL_BUT_ONE,
      minAgeHours: 0,
      zone: 'Europe/Berlin',
      now: NOW,
    }).steps.length > 0;
  const plans = {
    deletion_of_a_link: timed(vms, deletion(false)),
    deletion_of_a_chain: timed(vms, deletion(true)),
    retention_of_a_night: timed(vms, retention),
  };
  return { backups: vms * OF_A_VM, ...plans, mib: Math.round((process.resourceUsage().maxRSS * 1024 - before) / 1024 / 1024) };
}

function timed(vms: number, plan: (backups: readonly BookedBackup[]) => boolean): Planned {
  let [total, worst] = [0, 0];
  for (let vm = 0; vm < vms; vm += 1) {
    const backups = booksOf(vm);
    const began = performance.now();
    if (!plan(backups)) throw new Error('a plan of the bench does nothing');
    const took = performance.now() - began;
    total += took;
    worst = Math.max(worst, took);
  }
  return { seconds: round(total / 1000), worst_ms: round(worst) };
}

/** Newest first, as the books give them. */
function booksOf(vm: number): BookedBackup[] {
  const uuid = (turn: number): string => `${vm}-${turn}`;
  return Array.from({ length: OF_A_VM }, (_, turn): BookedBackup => {
    const position = turn % CHAIN;
    const date = NOW - (OF_A_VM - turn) * DAY;
    return {
      uuid: uuid(turn),
      status: 'BackedUp',
      type: position === 0 ? 'FULL' : 'INCREMENTAL',
      externalId: `i-2-${vm}-VM/${turn}`,
      date,
      size: position === 0 ? 500_000_000 : 5_000_000,
      repositoryId: 'nas',
      details: toDetails({
        parentBackupId: position === 0 ? null : uuid(turn - 1),
        bitmapName: `backup-${date}`,
        chainId: `chain-${vm}-${turn - position}`,
        position,
        type: position === 0 ? 'full' : 'incremental',
        bitmapRecreated: null,
        recreateMethod: null,
        deletePending: false,
      }),
      disks: [],
      assurance: 'accounted',
      files: 'present',
    };
  }).reverse();
}
