import { countRestarts, type Sighting } from './count-restarts';

/** One finished backup, as the report needs it. */
export interface ReportedBackup {
  readonly backupId: string;
  readonly vmId: string;
  /** libvirt's name of the VM. */
  readonly vm: string;
  /** When it was finished, RFC 3339 UTC. */
  readonly date: string | null;
  readonly type: 'FULL' | 'INCREMENTAL';
  /** Bytes of its directory on the NAS. */
  readonly size: number | null;
  readonly reason: string | null;
  /** Name of the bitmap that was recreated before it. */
  readonly recreated: string | null;
  readonly recreateMethod: string | null;
  readonly assurance: string | null;
}

/** One backup in the report: what operators lay beside VM restarts when a size surprises them. */
export interface RecreationRow extends ReportedBackup {
  /** Size against the median of all incrementals of the VM; null for a full and where no size is known. */
  readonly ratio: number | null;
  /** Restarts of the VM seen since the backup before it (the parent of an incremental); null: nothing was seen. */
  readonly restarts: number | null;
  /** A size far from the usual; small is as suspicious as large, for a hole makes a delta small. */
  readonly suspicion: 'large' | 'small' | null;
}

/** From this ratio on, or below its inverse, a size is suspicious. */
export const SUSPICIOUS_RATIO = 3;
/** With fewer incrementals of a VM nobody can say what is usual. */
export const USUAL_NEEDS = 4;

/**
 * The report, in the order of `backups`. Give it all backups of each VM, whatever part of the rows is wanted:
 * what is usual is the median size of all of the VM's incrementals, itself included; of an even number of sizes the
 * mean of the two in the middle.
 * @param sightings of the same VMs, in the order in which they were recorded.
 */
export function recreationReport(backups: readonly ReportedBackup[], sightings: readonly Sighting[]): RecreationRow[] {
  const reported = new Set(backups.map(({ backupId }) => backupId));
  // A run that left no row in the report hands what it saw on to the next.
  const restarts = countRestarts(
    sightings.map((sighting) =>
      sighting.backupId !== null && reported.has(sighting.backupId) ? sighting : { ...sighting, backupId: null },
    ),
  );
  const sizes = new Map<string, number[]>();
  for (const { vmId, type, size } of backups) {
    if (type === 'INCREMENTAL' && size !== null) sizes.set(vmId, [...(sizes.get(vmId) ?? []), size]);
  }
  return backups.map((backup) => {
    const all = backup.type === 'INCREMENTAL' ? (sizes.get(backup.vmId) ?? []) : [];
    const ratio = ratioOf(backup.size, median(all));
    return {
      ...backup,
      ratio,
      restarts: restarts.get(backup.backupId) ?? null,
      suspicion: all.length < USUAL_NEEDS ? null : suspicionOf(ratio),
    };
  });
}

/** The median; null of nothing. */
export function median(values: readonly number[]): number | null {
  const sorted = [...values].sort((a, b) => a - b);
  const upper = sorted[Math.floor(sorted.length / 2)];
  const lower = sorted[Math.floor((sorted.length - 1) / 2)];
  return upper === undefined || lower === undefined ? null : (lower + upper) / 2;
}

function ratioOf(size: number | null, usual: number | null): number | null {
  return size === null || usual === null || usual === 0 ? null : size / usual;
}

function suspicionOf(ratio: number | null): RecreationRow['suspicion'] {
  if (ratio === null) return null;
  if (ratio >= SUSPICIOUS_RATIO) return 'large';
  return ratio <= 1 / SUSPICIOUS_RATIO ? 'small' : null;
}
