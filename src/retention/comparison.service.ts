import { Injectable } from '@nestjs/common';
import { Events } from '../database/repositories/events';
import { Vms } from '../database/repositories/vms';
import { UnitOfWork } from '../database/unit-of-work';
import { found } from '../platform/found';
import type { ComparedDto, NotComparedDto } from './dto/comparison.dto';

/** Books that were brought back from a copy, and whether somebody has compared them with the NAS. */
@Injectable()
export class ComparisonService {
  constructor(
    private readonly work: UnitOfWork,
    private readonly vms: Vms,
    private readonly events: Events,
  ) {}

  async list(): Promise<NotComparedDto[]> {
    return (await this.#marked()).map(({ shown }) => shown);
  }

  /** Of which VMs it was taken back; done already is done. */
  async compared({ vm, by, why }: ComparedDto): Promise<NotComparedDto[]> {
    const only = vm === undefined ? null : found(await this.vms.find(vm), 'vm', vm).id;
    return this.work.run(async () => {
      const marked = (await this.#marked()).filter(({ id }) => only === null || id === only);
      for (const { id, shown } of marked) {
        await this.vms.setCompared(id);
        const message = `Books that were brought back from a copy of ${shown.since} were compared with the NAS, says ${by}: ${why}`;
        await this.events.add({ kind: 'compared', vmId: id, message });
      }
      return marked.map(({ shown }) => shown);
    });
  }

  async #marked(): Promise<{ id: number; shown: NotComparedDto }[]> {
    const since = new Map((await this.vms.notCompared()).map(({ vmId, value }) => [vmId, value]));
    const vms = await this.vms.findMany([...since.keys()]);
    return vms
      .map(({ id, uuid, instanceName }) => ({ id, shown: { vmId: uuid ?? '', vm: instanceName, since: since.get(id) ?? '' } }))
      .sort((a, b) => a.id - b.id);
  }
}
