import { randomUUID } from 'node:crypto';
import { Inject, Injectable } from '@nestjs/common';
import type { ResizeRow } from '../database/entities/resize-row';
import type { VmRow } from '../database/entities/vm-row';
import { Dues } from '../database/repositories/dues';
import { Hosts, type ReachableHost } from '../database/repositories/hosts';
import { Offerings } from '../database/repositories/offerings';
import { Resizes } from '../database/repositories/resizes';
import { Runs } from '../database/repositories/runs';
import { Vms } from '../database/repositories/vms';
import { type SeenDisk, type VmDisk, Volumes } from '../database/repositories/volumes';
import { checkDiskSource, checkName } from '../domain/agent/names';
import { readActiveCheckpoint } from '../domain/chain/chain-keys';
import { UserError } from '../domain/errors';
import { Rhythms } from '../engine/rhythms';
import { StartTimes } from '../engine/start-times';
import { canLook } from '../hosts/host-access';
import type { HostClient } from '../hosts/host-client';
import { HOST_CLIENT } from '../hosts/host-client.token';
import { Config } from '../platform/config/load-config';
import { found } from '../platform/found';
import { type Page, type PageQuery, toPage, toPart } from '../platform/page';
import type { CreateVmDto, UpdateVmDto, VmDto } from './dto/vm.dto';
import type { ResizeDiskDto, ResizeDto, ResizesDto } from './dto/resize.dto';
import { hostAccess } from './host-access';

@Injectable()
export class VmsService {
  constructor(
    private readonly vms: Vms,
    private readonly volumes: Volumes,
    private readonly hosts: Hosts,
    private readonly offerings: Offerings,
    private readonly resizes: Resizes,
    private readonly runs: Runs,
    private readonly dues: Dues,
    private readonly rhythms: Rhythms,
    private readonly startTimes: StartTimes,
    @Inject(HOST_CLIENT) private readonly client: HostClient,
    @Inject(Config) private readonly config: Config,
  ) {}

  async create({ name, displayName, host: hostName, disks }: CreateVmDto): Promise<VmDto> {
    checkName('vm', name);
    const host = found(await this.hosts.find(hostName), 'host', hostName);
    const seen = disks
      ? disks.map(({ target, path }) => ({
          uuid: randomUUID(),
          target: checkName('target', target),
          path: checkDiskSource(path),
          size: null,
        }))
      : await this.#look(host, name);
    const row = await this.vms.create({
      uuid: randomUUID(),
      name: displayName ?? name,
      instanceName: name,
      hostId: host.id,
      state: disks ? 'Stopped' : 'Running',
    });
    await this.volumes.replace(row.id, seen);
    return this.#present(row);
  }

  async list(query: PageQuery): Promise<Page<VmDto>> {
    const listed = await this.vms.page(toPart(query));
    const items = await Promise.all(listed.items.map((row) => this.#present(row)));
    return toPage({ items, next: listed.next }, (vm) => vm);
  }

  async show(id: string): Promise<VmDto> {
    return this.#present(found(await this.vms.find(id), 'vm', id));
  }

  async update(id: string, { host, displayName }: UpdateVmDto): Promise<VmDto> {
    const row = found(await this.vms.find(id), 'vm', id);
    const hostId = host === undefined ? undefined : found(await this.hosts.find(host), 'host', host).id;
    await this.vms.change(row.id, {
      ...(displayName === undefined ? {} : { name: displayName }),
      ...(hostId === undefined ? {} : { hostId, lastHostId: row.hostId }),
    });
    // Its new host may let it start what the old one did not.
    if (hostId !== undefined) await this.startTimes.judgeAnew([{ ...row, hostId }]);
    return this.show(row.uuid ?? id);
  }

  /** Takes the VM out of our care. Its backups stay in the books and on the NAS. */
  async remove(id: string): Promise<void> {
    const row = found(await this.vms.find(id), 'vm', id);
    await this.vms.remove(row.id);
    await this.rhythms.refreshVm(row.id);
  }

  /** Either way the active checkpoint is cleared: the next backup starts a new chain, as CloudStack has it. */
  async assign(id: string, offering: string): Promise<VmDto> {
    const row = found(await this.vms.find(id), 'vm', id);
    const { id: offeringId } = found(await this.offerings.find(offering), 'offering', offering);
    await this.vms.assignOffering(row.id, offeringId);
    await this.rhythms.refreshVm(row.id);
    await this.startTimes.judgeAnew([{ ...row, backupOfferingId: offeringId }]);
    return this.show(row.uuid ?? id);
  }

  async unassign(id: string): Promise<VmDto> {
    const row = found(await this.vms.find(id), 'vm', id);
    await this.vms.assignOffering(row.id, null);
    await this.rhythms.refreshVm(row.id);
    await this.startTimes.judgeAnew([{ ...row, backupOfferingId: null }]);
    return this.show(row.uuid ?? id);
  }

  /** @throws UserError `disk.not-found`, `disk.same-size` */
  async resized(id: string, { target, from, to }: ResizeDiskDto): Promise<ResizeDto> {
    const row = found(await this.vms.find(id), 'vm', id);
    found(
      (await this.volumes.ofVm(row.id)).find((disk) => disk.target === target),
      'disk',
      target,
    );
    if (from === to)
      throw new UserError('disk.same-size', 'invalid', `Disk ${target} has ${from} bytes before and after.`, {
        next: 'A disk that shrank and grew back was resized twice: tell both.',
      });
    return resizeDto(await this.resizes.add({ vmId: row.id, target, sizeFrom: from, sizeTo: to }));
  }

  async resizesOf(id: string): Promise<ResizesDto> {
    const row = found(await this.vms.find(id), 'vm', id);
    return { items: (await this.resizes.ofVm(row.id)).map(resizeDto) };
  }

  /** The disks of a VM that its host knows. A transient domain that is stopped is not known to anybody. */
  async #look(host: ReachableHost, vm: string): Promise<SeenDisk[]> {
    const access = hostAccess(host, this.config.ssh);
    if (!canLook(access))
      throw new UserError('vm.disks-needed', 'invalid', `Nothing on host ${host.name} can look at VM ${vm}.`, {
        next: 'Name its disks (--disk vda=/path), the first one being the root disk.',
      });
    const { disks } = await this.client.inspect(access, { vm });
    if (disks.length > 0)
      return disks.map(({ target, path, virtualSize }) => ({ uuid: randomUUID(), target, path: path ?? '', size: virtualSize }));
    throw new UserError('vm.absent', 'not-found', `Host ${host.name} knows no disks of a VM ${vm}.`, {
      next: 'Start it, or name its disks: a stopped transient domain is not known to libvirt.',
    });
  }

  async #present(row: VmRow): Promise<VmDto> {
    const [last] = await this.runs.lastBackups(row.id, 1);
    const [next] = await this.dues.next(1, { vmId: row.id });
    const [disks, details, host, offering] = await Promise.all([
      this.volumes.ofVm(row.id),
      this.vms.details(row.id),
      row.hostId === null ? null : this.hosts.findById(row.hostId),
      row.backupOfferingId === null ? null : this.offerings.findById(row.backupOfferingId),
    ]);
    return {
      id: row.uuid ?? '',
      name: row.instanceName,
      displayName: row.name,
      hostId: host?.uuid ?? null,
      host: host?.name ?? null,
      offeringId: offering?.uuid ?? null,
      offering: offering?.name ?? null,
      activeCheckpoint: readActiveCheckpoint(details).active,
      lastSucceeded: last?.ended?.toISOString() ?? null,
      nextDue: next?.dueAt?.toISOString() ?? null,
      disks: disks.map(({ deviceId, target, path, size }: VmDisk) => ({ deviceId, target, path, size })),
    };
  }
}

const resizeDto = ({ target, sizeFrom: from, sizeTo: to, at }: ResizeRow): ResizeDto => ({
  target,
  from,
  to,
  at: at.toISOString(),
});
