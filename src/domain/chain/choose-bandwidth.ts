import type { BackupPolicy, BackupRequest } from './backup-plan';

/** Who said how much a run may move. */
export type BandwidthSource = 'call' | 'offering' | 'repository';

/** A limit in MiB a second for all disks of a run together, and who said so; null: nobody did. */
export interface ChosenBandwidth {
  readonly bandwidth: number | null;
  readonly bandwidthFrom: BandwidthSource | null;
}

/** Who said so, for people. */
export const BANDWIDTH_SOURCES: Readonly<Record<BandwidthSource, string>> = {
  call: 'the call asked for it',
  offering: 'the offering says so',
  repository: 'the repository says so',
};

/** What the call says; else the smaller of what offering and repository say: the one goes easy on the VM's host, the other on the NAS. */
export function chooseBandwidth(
  { bandwidth: called }: Pick<BackupRequest, 'bandwidth'>,
  { bandwidth: offered, repositoryBandwidth: allowed }: Pick<BackupPolicy, 'bandwidth' | 'repositoryBandwidth'>,
): ChosenBandwidth {
  if (called !== undefined) return { bandwidth: called, bandwidthFrom: 'call' };
  if (offered !== null && (allowed === null || offered <= allowed)) return { bandwidth: offered, bandwidthFrom: 'offering' };
  return { bandwidth: allowed, bandwidthFrom: allowed === null ? null : 'repository' };
}
