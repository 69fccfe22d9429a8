import { type Assurance, weakest } from './assurance';
import type { BookedBackup } from './booked-backup';
import { readChains } from './read-chain';

/** A backup that can be restored and is offered to people, and what it is worth. */
export interface RestorePoint {
  readonly backup: BookedBackup;
  readonly assurance: Assurance;
}

/** A finished full that is in no chain (a legacy full) stands for itself. */
export function standsAlone({ status, type, files }: Pick<BookedBackup, 'status' | 'type' | 'files'>): boolean {
  return status === 'BackedUp' && type === 'FULL' && files !== 'missing' && files !== 'damaged';
}

/** All restore points among a VM's booked backups. */
export function restorePoints(backups: readonly BookedBackup[]): RestorePoint[] {
  const links = readChains(backups).flatMap((chain) => chain.links);
  const linked = new Set(links.map(({ backup }) => backup.uuid));
  return [
    ...links
      .filter(({ restorable, offered }) => restorable && offered)
      .map(({ backup, pointAssurance }) => ({ backup, assurance: pointAssurance })),
    ...backups
      .filter((backup) => !linked.has(backup.uuid) && standsAlone(backup))
      .map((backup) => ({ backup, assurance: weakest([backup.assurance ?? 'unproven']) })),
  ];
}
