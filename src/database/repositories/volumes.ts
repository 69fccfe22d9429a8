import { basename } from 'node:path';
import { Injectable } from '@nestjs/common';
import { In, type EntityManager } from 'typeorm';
import { nowToTheSecond } from '../database-time';
import { VolumePlaceRow } from '../entities/volume-place-row';
import { VolumeRow } from '../entities/volume-row';
import { joinedRows, marks } from '../rows';
import { UnitOfWork } from '../unit-of-work';
import { byOwner } from './by-owner';
import { OWN_SCOPE } from './own-scope';

/** A disk of a VM. */
export interface VmDisk {
  readonly uuid: string;
  /** Order on the VM, from 0; keeps the map from disk to file stable. */
  readonly deviceId: number;
  /** libvirt's target name. */
  readonly target: string;
  /** Path of the image on the host. */
  readonly path: string;
  /** Virtual size in bytes; null: never seen. */
  readonly size: number | null;
}

/** A disk as somebody saw it: `uuid` is for a disk that the books do not know yet. */
export type SeenDisk = Omit<VmDisk, 'deviceId'>;

/** The disks of the VMs. */
@Injectable()
export class Volumes {
  constructor(private readonly work: UnitOfWork) {}

  /** In the order of the VM. */
  ofVm(vmId: number): Promise<VmDisk[]> {
    return this.work.read(async (manager) => (await ofVms(manager, [vmId]))(vmId));
  }

  /** Of many VMs, with one statement. */
  ofVms(vmIds: readonly number[]): Promise<(vmId: number) => VmDisk[]> {
    return this.work.read((manager) => ofVms(manager, vmIds));
  }

  /**
   * Makes the books say what was seen. A disk is known by its target: it keeps its uuid and device id when its path or
   * size changes, a size that was not seen stays, a new one comes after the others, one that is gone is marked as removed.
   */
  replace(vmId: number, seen: readonly SeenDisk[]): Promise<void> {
    return this.work.run(async (manager) => {
      const booked = (await ofVms(manager, [vmId]))(vmId);
      const gone = booked.filter(({ target }) => !seen.some((disk) => disk.target === target));
      if (gone.length > 0)
        await manager.update(
          VolumeRow,
          { uuid: In(gone.map(({ uuid }) => uuid)) },
          { removed: () => nowToTheSecond(manager), state: 'Destroy' },
        );
      let nextDevice = Math.max(-1, ...booked.map(({ deviceId }) => deviceId)) + 1;
      for (const disk of seen) {
        const known = booked.find(({ target }) => target === disk.target);
        if (known) await change(manager, known.uuid, disk);
        else await add(manager, vmId, { ...disk, deviceId: nextDevice++ });
      }
    });
  }
}

async function ofVms(manager: EntityManager, vmIds: readonly number[]): Promise<(vmId: number) => VmDisk[]> {
  const volumes = await joinedRows(
    manager,
    { volume: VolumeRow },
    { place: VolumePlaceRow },
    `FROM volumes volume LEFT JOIN ck_volumes place ON place.volume_id = volume.id
     WHERE volume.instance_id IN (${marks(vmIds)}) AND volume.removed IS NULL ORDER BY volume.device_id, volume.id`,
    vmIds,
  );
  const volumesOf = byOwner(volumes, ({ volume }) => volume.instanceId ?? 0);
  return (vmId) => volumesOf(vmId).map(toDisk);
}

interface Placed {
  readonly volume: VolumeRow;
  readonly place: VolumePlaceRow | null;
}

function toDisk({ volume: { uuid, deviceId, path, size }, place }: Placed): VmDisk {
  return {
    uuid: uuid ?? '',
    deviceId: deviceId ?? 0,
    target: place?.target ?? '',
    path: place?.path ?? path ?? '',
    // The column may not be empty upstream; no disk has no bytes.
    size: size === 0 ? null : size,
  };
}

async function change(manager: EntityManager, uuid: string, { path, size }: SeenDisk): Promise<void> {
  const { id } = await manager.findOneByOrFail(VolumeRow, { uuid });
  await manager.update(VolumeRow, { id }, { path: basename(path), ...(size === null ? {} : { size }) });
  await manager.update(VolumePlaceRow, { volumeId: id }, { path });
}

async function add(manager: EntityManager, vmId: number, disk: VmDisk): Promise<void> {
  await manager.insert(VolumeRow, {
    uuid: disk.uuid,
    instanceId: vmId,
    deviceId: disk.deviceId,
    name: disk.target,
    size: disk.size ?? 0,
    path: basename(disk.path),
    accountId: OWN_SCOPE.accountId,
    domainId: OWN_SCOPE.domainId,
    dataCenterId: OWN_SCOPE.zoneId,
    volumeType: disk.deviceId === 0 ? 'ROOT' : 'DATADISK',
    diskOfferingId: 1,
    state: 'Ready',
  });
  const { id } = await manager.findOneByOrFail(VolumeRow, { uuid: disk.uuid });
  await manager.insert(VolumePlaceRow, { volumeId: id, target: disk.target, path: disk.path });
}
