import type { InspectedDisk } from './facts';

const MEANINGS: Readonly<Record<string, string>> = {
  report: 'it hands a write error to the guest',
  ignore: 'it keeps a write error from everybody, and the write is lost',
};

/**
 * What a disk's error policy means for its guest while a backup runs; null: QEMU stops the guest where the backup finds no room, and
 * it goes on unharmed when it is resumed.
 */
export function errorPolicyRisk({ errorPolicy }: Pick<InspectedDisk, 'errorPolicy'>): string | null {
  const meaning = MEANINGS[errorPolicy ?? ''];
  return meaning === undefined ? null : `error_policy='${errorPolicy}': ${meaning}, instead of stopping it`;
}

/** The same as warnings, of those disks that there is something to say of. */
export function errorPolicyWarnings(disks: readonly Pick<InspectedDisk, 'target' | 'errorPolicy'>[]): string[] {
  return disks.flatMap((disk) => {
    const risk = errorPolicyRisk(disk);
    return risk === null ? [] : [`error-policy: disk ${disk.target} has ${risk}; a backup that finds no room hurts it`];
  });
}
