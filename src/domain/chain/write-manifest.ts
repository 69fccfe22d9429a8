import { isName } from '../agent/names';
import type { BookedBackup } from './booked-backup';
import { readChainKeys } from './chain-keys';
import type { Refusal } from './refusal';
import { refusal } from './refusal';

/** One disk of a manifest. */
export interface ManifestDisk {
  /** libvirt's target name. */
  readonly target: string;
  /** Place in the host's list of disks; 0 is the root disk. */
  readonly deviceId: number;
  /** File in the backup's directory. */
  readonly file: string;
  /** Bytes of the file; null: nobody measured it, as of a stock script's run. */
  readonly size: number | null;
  /** Bytes of the disk. */
  readonly virtualSize: number | null;
  /** The file that it stands on, as it names it: relative to its directory. */
  readonly backing: string | null;
  /** The image that was backed up, on its host. */
  readonly source: string | null;
}

/** `manifest.json` without what the host adds: when it was written, and the name of the definition that lies there. */
export interface Manifest {
  readonly v: 1;
  readonly backup: string;
  readonly vm: { readonly id: string | null; readonly name: string };
  readonly type: 'FULL' | 'INCREMENTAL';
  readonly reason: string | null;
  /** Null for a backup without a chain. */
  readonly chain: {
    readonly id: string;
    readonly position: number | null;
    /** The backup it stands on, and the directory of that. */
    readonly parent: { readonly backup: string; readonly path: string | null } | null;
  } | null;
  readonly bitmap: string | null;
  readonly recreation: { readonly bitmap: string; readonly method: string } | null;
  readonly assuranceAtBirth: string | null;
  /** RFC 3339. */
  readonly times: { readonly began: string | null; readonly ended: string | null };
  /** Of whose backup it is, and whose books say so. */
  readonly host: string | null;
  readonly script: string | null;
  readonly service: string;
  readonly disks: readonly ManifestDisk[];
}

/** All that the books know of a backup. */
export interface ManifestBooks {
  readonly vm: Manifest['vm'];
  readonly backup: BookedBackup;
  /** Directory of the parent; null for a full, or where the books have lost it. */
  readonly parentPath: string | null;
  readonly reason: string | null;
  readonly assuranceAtBirth: string | null;
  readonly times: Manifest['times'];
  /** What its run measured; null of a stock script's. */
  readonly measured: {
    readonly host: string | null;
    readonly script: string | null;
    readonly disks: readonly { readonly target: string; readonly fileSize: number | null; readonly backing: string | null }[];
  } | null;
  readonly service: string;
}

/** What a backup says of itself, by the books. Refused where nobody knows its files. */
export function writeManifest(books: ManifestBooks): Manifest | Refusal {
  const { backup, measured, vm, reason, assuranceAtBirth, times, service } = books;
  const disks = backup.disks.flatMap(({ target, deviceId, file, virtualSize, path }): ManifestDisk[] => {
    if (file === null || !isName('file', file)) return [];
    const seen = measured?.disks.find((disk) => disk.target === target);
    const { fileSize: size = null, backing = null } = seen ?? {};
    return [{ target, deviceId, file, size, virtualSize, backing, source: path }];
  });
  if (disks.length === 0 || disks.length < backup.disks.length)
    return refusal(
      'manifest.files-unknown',
      'conflict',
      `The books do not know all files of backup ${backup.uuid}.`,
      'Nothing: it can be restored by hand all the same.',
    );
  const { keys } = readChainKeys(backup.details, backup);
  return {
    v: 1,
    backup: backup.uuid,
    vm,
    type: backup.type,
    reason,
    chain:
      keys.chainId === null
        ? null
        : {
            id: keys.chainId,
            position: keys.position,
            parent: keys.parentBackupId === null ? null : { backup: keys.parentBackupId, path: books.parentPath },
          },
    bitmap: keys.bitmapName,
    recreation: keys.bitmapRecreated === null ? null : { bitmap: keys.bitmapRecreated, method: keys.recreateMethod ?? 'unknown' },
    assuranceAtBirth,
    times,
    host: measured?.host ?? null,
    script: measured?.script ?? null,
    service,
    disks,
  };
}
