import type { BackupInBooks } from '../engine/book-reader';
import { readChainKeys } from '../domain/chain/chain-keys';
import type { ChainLink } from '../domain/chain/read-chain';
import { standsAlone } from '../domain/chain/restore-points';
import type { BackupDiskDto, BackupDto } from './dto/backup.dto';

/** A backup as the API shows it; `link` is its place in its chain, undefined when it has none. */
export function presentBackup(
  { row, booked }: BackupInBooks,
  vm: { id: string; name: string },
  link: ChainLink | undefined,
): BackupDto {
  const { link: own, protection } = row;
  const { keys, findings } = readChainKeys(row.details, { status: booked.status, type: booked.type });
  return {
    id: row.uuid,
    vmId: vm.id,
    vm: vm.name,
    status: booked.status,
    type: row.type,
    externalId: row.externalId,
    repositoryId: booked.repositoryId,
    date: row.date?.toISOString() ?? null,
    size: row.size,
    protectedSize: row.protectedSize,
    reason: own?.reason ?? null,
    assurance: link?.pointAssurance ?? own?.assurance ?? (booked.status === 'BackedUp' ? 'unproven' : null),
    restorable: link === undefined ? standsAlone(booked) : link.restorable && link.offered,
    protection:
      protection === undefined
        ? null
        : { until: protection.until?.toISOString() ?? null, by: protection.protectedBy, why: protection.why },
    chain: {
      chainId: keys.chainId,
      position: keys.position,
      parentId: keys.parentBackupId,
      bitmap: keys.bitmapName,
      type: keys.type,
      bitmapRecreated: keys.bitmapRecreated,
      recreateMethod: keys.recreateMethod,
    },
    findings: findings.map(({ code, key, detail }) => `${code} ${key}: ${detail}`),
  };
}

/** The disks of a backup as its run measured them; where it measured nothing, as they were planned. */
export const presentDisks = ({ evidence, booked }: BackupInBooks): BackupDiskDto[] =>
  evidence === undefined
    ? booked.disks.map(({ target, path, file, virtualSize }) => ({ ...UNMEASURED, target, path, file, virtualSize }))
    : evidence.disks.map((disk) => ({
        target: disk.target,
        path: disk.path,
        file: disk.file,
        backing: disk.backing,
        method: disk.method,
        virtualSize: disk.virtualSize,
        fileSize: disk.fileSize,
        ownData: disk.ownData,
        ownZero: disk.ownZero,
        dirtyBefore: disk.dirtyBefore,
        check: disk.checkResult,
      }));

const UNMEASURED = {
  backing: null,
  method: null,
  fileSize: null,
  ownData: null,
  ownZero: null,
  dirtyBefore: null,
  check: null,
};
