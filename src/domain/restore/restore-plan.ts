import type { Assurance } from '../chain/assurance';

/**
 * Where a restore point can go: over the VM's own volumes (`in-place`), into new files or block devices (`new-disks`), or into new files and a
 * new VM that is defined over them (`new-domain`).
 */
export const RESTORE_WAYS = ['in-place', 'new-disks', 'new-domain'] as const;
/** Where a restore point goes. */
export type RestoreWay = (typeof RESTORE_WAYS)[number];

/** The formats that a disk can be restored to. */
export const DISK_FORMATS = ['qcow2', 'raw'] as const;
/** The format of a restored disk. */
export type DiskFormat = (typeof DISK_FORMATS)[number];

/** Somebody takes a point for what it is worth. */
export interface Acceptance {
  /** `broken` salvages also what a witness contradicts. */
  readonly level: 'unproven' | 'broken';
  readonly by: string;
  readonly why: string;
}

/** What is asked for. */
export interface RestoreRequest {
  /** Uuid of the backup. */
  readonly backup: string;
  readonly way: RestoreWay;
  /** libvirt's target names; null: all. */
  readonly disks: readonly string[] | null;
  /** Directory of the host that the new files go to; null in place, or where `paths` names all. */
  readonly to: string | null;
  /** File or block device of a disk, by target; in place the volume of the VM that it goes over, where its letter does not tell. */
  readonly paths: Readonly<Record<string, string>>;
  /** Names of files in the backup's directory, by target, where the books do not know them (a stock script's run). */
  readonly files: Readonly<Record<string, string>>;
  /** Null: in place what the volume has, or had when it was backed up; else qcow2, and raw on a block device that is named. */
  readonly format: DiskFormat | null;
  /** A block device that is named may be written over. */
  readonly overwrite: boolean;
  /** Name of the new VM. */
  readonly newName: string | null;
  /** The new VM's network links are up. */
  readonly networks: boolean;
  /** VM (libvirt's name) that the one new disk is attached to. */
  readonly attachTo: string | null;
  /** MiB a second for each disk; null: no limit. */
  readonly bandwidth: number | null;
  readonly accepted: Acceptance | null;
}

/** One disk, from its file to where it goes. */
export interface RestoredDisk {
  readonly target: string;
  /** Place in the VM's list of disks; 0 is the root disk. */
  readonly deviceId: number;
  /** File name in the backup's directory. */
  readonly file: string;
  /** Absolute path on the host. */
  readonly to: string;
  readonly format: DiskFormat;
  /** Bytes; null: the books do not know. */
  readonly virtualSize: number | null;
  /** Bytes of the volume that is replaced; null: unknown, or none is. */
  readonly sizeNow: number | null;
}

/** What a restore does. */
export interface RestorePlan {
  readonly kind: 'restore';
  readonly backup: string;
  /** libvirt's name of the VM that was backed up. */
  readonly vm: string;
  readonly way: RestoreWay;
  /** Directory of the backup on the NAS, relative. */
  readonly externalId: string;
  /** Uuid of the repository it lies in. */
  readonly repositoryId: string;
  /** What the point was worth when it was planned. */
  readonly assurance: Assurance;
  readonly accepted: Acceptance | null;
  readonly disks: readonly RestoredDisk[];
  readonly overwrite: boolean;
  readonly newName: string | null;
  readonly networks: boolean;
  readonly attachTo: string | null;
  readonly bandwidth: number | null;
  /** Bytes that will be read and compared; null: unknown. */
  readonly bytes: number | null;
  readonly warnings: readonly string[];
}
