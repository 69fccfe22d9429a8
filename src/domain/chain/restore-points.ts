import { type Assurance, weakest } from './assurance';
import type { BookedBackup } from './booked-backup';
import { type ChainLink, readChains } from './read-chain';

/** A backup that can be restored and is offered to people, and what it is worth. */
export interface RestorePoint {
  readonly backup: BookedBackup;
  readonly assurance: Assurance;
}

/** A finished full that is in no chain (a legacy full) stands for itself. */
export function standsAlone({ status, type, files }: Pick<BookedBackup, 'status' | 'type' | 'files'>): boolean {
  return status === 'BackedUp' && type === 'FULL' && files !== 'missing' && files !== 'damaged';
}

/** A backup that people are offered though it cannot be restored. */
export interface DeadPoint {
  readonly backup: BookedBackup;
  /** Null: it is in no chain. */
  readonly link: ChainLink | null;
  readonly why: string;
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

/** All that are offered among a VM's booked backups and are no restore points. */
export function deadPoints(backups: readonly BookedBackup[]): DeadPoint[] {
  const points = new Set(restorePoints(backups).map(({ backup }) => backup));
  const links = new Map(readChains(backups).flatMap((chain) => chain.links.map((link) => [link.backup, link] as const)));
  return backups
    .filter((backup) => backup.status === 'BackedUp' && !points.has(backup))
    .map((backup) => {
      const link = links.get(backup) ?? null;
      return { backup, link, why: whyDead(backup, link) };
    });
}

function whyDead(backup: BookedBackup, link: ChainLink | null): string {
  const isBad = ({ files }: BookedBackup): boolean => files === 'missing' || files === 'damaged';
  if (isBad(backup)) return `its files are ${backup.files}`;
  if (link === null) return 'it is incremental and in no chain';
  const under = link.ancestors?.find(isBad);
  return under === undefined ? 'the books do not lead down to its full' : `files that it stands on are ${under.files}`;
}
