import type { VmState } from '../agent/facts';

/** One look at a VM, by an inspection or a run. */
export interface Sighting {
  readonly vmId: string;
  /** The backup whose run looked; null when no backup came of that run. */
  readonly backupId: string | null;
  readonly vmState: VmState | null;
  /** RFC 3339 UTC. */
  readonly qemuStarted: string | null;
}

/** A start time is worked out from the kernel's clock ticks, and may come out a little different each time. */
const SAME_START_MS = 2_000;

type Known = 'nothing' | 'stopped' | number;

/**
 * Restarts of the VM per backup (uuid): how often another QEMU was seen than before, from the looks that led to the
 * backup before it, exclusive, to its own, inclusive. A restart is counted with the backup that first saw it, so it is a
 * lower bound: of several restarts between two looks one is seen. Backups without any look that saw QEMU or a stopped
 * VM are not in the map.
 * @param sightings in the order in which they were recorded; the clocks of hosts do not matter.
 */
export function countRestarts(sightings: readonly Sighting[]): Map<string, number> {
  const counts = new Map<string, number>();
  const known = new Map<string, Known>();
  const pending = new Map<string, number>();
  for (const { vmId, backupId, vmState, qemuStarted } of sightings) {
    const before = known.get(vmId) ?? 'nothing';
    const now = lookOf(vmState, qemuStarted, before);
    known.set(vmId, now);
    pending.set(vmId, (pending.get(vmId) ?? 0) + (isRestart(before, now) ? 1 : 0));
    if (backupId === null || now === 'nothing') continue;
    counts.set(backupId, (counts.get(backupId) ?? 0) + (pending.get(vmId) ?? 0));
    pending.set(vmId, 0);
  }
  return counts;
}

function lookOf(state: VmState | null, started: string | null, before: Known): Known {
  if (state === 'shut off') return 'stopped';
  const start = started === null ? NaN : Date.parse(started);
  return Number.isNaN(start) ? before : start;
}

function isRestart(before: Known, now: Known): boolean {
  if (typeof now !== 'number' || before === 'nothing') return false;
  return before === 'stopped' || Math.abs(now - before) > SAME_START_MS;
}
