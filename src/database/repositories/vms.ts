import { Injectable } from '@nestjs/common';
import { In, IsNull, MoreThan, type EntityManager } from 'typeorm';
import { ACTIVE_CHECKPOINT_KEY, type DetailRow, NOT_COMPARED_KEY } from '../../domain/chain/chain-keys';
import { nowToTheSecond } from '../database-time';
import { VmDetailRow } from '../entities/vm-detail-row';
import { VmRow } from '../entities/vm-row';
import type { Listed, Part } from '../page';
import { addRow, changeRows, rowsOf, type Where } from '../rows';
import { UnitOfWork } from '../unit-of-work';
import { refuseActiveRun } from './active-run';
import { findLive, pageLive, type ReadOwn, refuseTaken } from './live-rows';
import { OWN_SCOPE } from './own-scope';

/** A VM to take care of; `instanceName` is libvirt's name, `name` is for people. */
export type NewVm = Pick<VmRow, 'name' | 'instanceName' | 'hostId' | 'state'> & { readonly uuid: string };
/** What may change about one. */
export type VmChange = Partial<Pick<VmRow, 'name' | 'hostId' | 'lastHostId' | 'state' | 'powerState'>>;

/** The virtual machines. Their disks are in `Volumes`. */
@Injectable()
export class Vms {
  constructor(private readonly work: UnitOfWork) {}

  /** @throws UserError `vm.name-taken` when another VM has this libvirt name */
  create(vm: NewVm): Promise<VmRow> {
    return this.work.run(async (manager) => {
      await refuseTaken(manager, VmRow, 'instanceName', vm.instanceName, 'vm.name-taken');
      await manager.insert(VmRow, {
        ...vm,
        lastHostId: vm.hostId,
        dataCenterId: OWN_SCOPE.zoneId,
        accountId: OWN_SCOPE.accountId,
        domainId: OWN_SCOPE.domainId,
        serviceOfferingId: 1,
        hypervisorType: 'KVM',
      });
      return manager.findOneByOrFail(VmRow, { uuid: vm.uuid });
    });
  }

  /** By uuid or by libvirt's name. */
  find(uuidOrName: string): Promise<VmRow | null> {
    return this.work.read((manager) => findLive(own(manager), uuidOrName, 'instance_name'));
  }

  /** By id, removed ones too: old backups still point at them. */
  findById(id: number): Promise<VmRow | null> {
    return this.work.read(async (manager) => (await own(manager)('own.id = ?', [id]))[0] ?? null);
  }

  /** Removed ones too. */
  findMany(ids: readonly number[]): Promise<VmRow[]> {
    return this.work.read((manager) => manager.findBy(VmRow, { id: In([...ids]) }));
  }

  /** Those with an offering, by id, from one on. */
  ofOffering(backupOfferingId: number, after: number, limit: number): Promise<VmRow[]> {
    const where = { backupOfferingId, removed: IsNull(), id: MoreThan(after) };
    return this.work.read((manager) => manager.find(VmRow, { where, order: { id: 'ASC' }, take: limit }));
  }

  /** Those that the books know to be on a host. */
  onHost(hostId: number): Promise<VmRow[]> {
    return this.work.read((manager) => manager.find(VmRow, { where: { hostId, removed: IsNull() }, order: { id: 'ASC' } }));
  }

  page(part: Part): Promise<Listed<VmRow>> {
    return this.work.read((manager) => pageLive(own(manager), part));
  }

  /** False: there is none. @throws UserError `run.active`: a run goes on by the host and the offering that it began with */
  change(id: number, change: VmChange): Promise<boolean> {
    return this.work.run(async (manager) => {
      if (change.hostId !== undefined) await refuseActiveRun(manager, id);
      return (await manager.update(VmRow, { id, removed: IsNull() }, change)).affected === 1;
    });
  }

  /** Its backups stay. False: there is none. @throws UserError `run.active` */
  remove(id: number): Promise<boolean> {
    return this.work.run(async (manager) => {
      await refuseActiveRun(manager, id);
      const change = { removed: () => nowToTheSecond(manager) };
      return (await manager.update(VmRow, { id, removed: IsNull() }, change)).affected === 1;
    });
  }

  /** Gives it an offering or takes it away (null). Either way the next backup starts a new chain, as CloudStack has it. False: no VM. @throws UserError `run.active` */
  assignOffering(id: number, offeringId: number | null): Promise<boolean> {
    return this.work.run(async (manager) => {
      await refuseActiveRun(manager, id);
      const { affected } = await manager.update(VmRow, { id, removed: IsNull() }, { backupOfferingId: offeringId });
      if (affected === 1) await setDetail(manager, id, ACTIVE_CHECKPOINT_KEY, null);
      return affected === 1;
    });
  }

  /** Its details as they are: there may be two of one name. */
  details(id: number): Promise<DetailRow[]> {
    return this.work.read((manager) => rowsOf(manager, VmDetailRow, 'vm_id = ? ORDER BY id', [id]));
  }

  /** The bitmap that the next incremental builds on; null: none, so the next backup is a full. */
  setActiveCheckpoint(id: number, bitmap: string | null): Promise<void> {
    return this.work.run((manager) => setDetail(manager, id, ACTIVE_CHECKPOINT_KEY, bitmap));
  }

  /** Of each whose books were brought back from a copy and not compared with the NAS since: of what moment the copy was. */
  notCompared(): Promise<VmDetailRow[]> {
    return this.work.read((manager) => manager.find(VmDetailRow, { where: { name: NOT_COMPARED_KEY }, order: { vmId: 'ASC' } }));
  }

  /** Somebody has compared them. */
  setCompared(id: number): Promise<void> {
    return this.work.run((manager) => setDetail(manager, id, NOT_COMPARED_KEY, null));
  }
}

const own =
  (manager: EntityManager): ReadOwn<VmRow> =>
  (rest, parameters) =>
    rowsOf(manager, VmRow, rest, parameters);

/** Not shown to users, as upstream. One row afterwards, or none, however many there were. */
async function setDetail(manager: EntityManager, vmId: number, name: string, value: string | null): Promise<void> {
  const one: Where = ['vm_id = ? AND name = ?', vmId, name];
  if (value !== null && (await changeRows(manager, VmDetailRow, { value, display: false }, one)) === 1) return;
  await manager.delete(VmDetailRow, { vmId, name });
  if (value !== null) await addRow(manager, VmDetailRow, { vmId, name, value, display: false });
}
