import { Injectable } from '@nestjs/common';
import { Backups } from '../database/repositories/backups';
import type { VmRow } from '../database/entities/vm-row';
import { Vms } from '../database/repositories/vms';
import { presentBackup } from '../backups/present-backup';
import { type Chain, readChains } from '../domain/chain/read-chain';
import { type BackupInBooks, BookReader } from '../engine/book-reader';
import { found } from '../platform/found';
import { type Page, toPage, toPart } from '../platform/page';
import type { ChainDto, ChainsQuery, ChainWithLinksDto } from './dto/chain.dto';

@Injectable()
export class ChainsService {
  constructor(
    private readonly vms: Vms,
    private readonly backups: Backups,
    private readonly reader: BookReader,
  ) {}

  /** Chains of one VM, or of all; the one that began last comes first. */
  async list({ vm: id, ...page }: ChainsQuery): Promise<Page<ChainDto>> {
    const vmId = id === undefined ? undefined : found(await this.vms.find(id), 'vm', id).id;
    const { items, next } = await this.backups.chains(toPart(page), { vmId });
    const chains = new Map<string, ChainDto>();
    for (const owner of new Set(items.map((key) => key.vmId))) {
      const vm = found(await this.vms.findById(owner), 'vm', String(owner));
      for (const { chain, all } of await this.#ofVm(vm)) chains.set(chain.id, summary(vm, chain, all));
    }
    return toPage({ items: items.flatMap((key) => chains.get(key.id) ?? []), next }, (chain) => chain);
  }

  async show(id: string): Promise<ChainWithLinksDto> {
    const vmId = found(await this.backups.vmOfChain(id), 'chain', id);
    const vm = found(await this.vms.findById(vmId), 'chain', id);
    const { chain, all } = found(
      (await this.#ofVm(vm)).find((one) => one.chain.id === id),
      'chain',
      id,
    );
    const byUuid = new Map(all.map((one) => [one.booked.uuid, one]));
    return {
      ...summary(vm, chain, all),
      backups: chain.links.flatMap((link) => {
        const inBooks = byUuid.get(link.backup.uuid);
        return inBooks ? [presentBackup(inBooks, { id: vm.uuid ?? '', name: vm.instanceName }, link)] : [];
      }),
    };
  }

  async #ofVm(vm: VmRow): Promise<{ chain: Chain; all: BackupInBooks[] }[]> {
    const all = await this.reader.ofVm(vm.id);
    return readChains(all.map(({ booked }) => booked)).map((chain) => ({ chain, all }));
  }
}

function summary(vm: VmRow, { id, links, findings }: Chain, all: readonly BackupInBooks[]): ChainDto {
  const dates = links
    .flatMap(({ backup }) => all.find(({ booked }) => booked.uuid === backup.uuid)?.row.date?.toISOString() ?? [])
    .sort();
  return {
    id,
    vmId: vm.uuid ?? '',
    vm: vm.instanceName,
    links: links.length,
    restorable: links.filter(({ restorable, offered }) => restorable && offered).length,
    assurance: links.at(-1)?.pointAssurance ?? null,
    from: dates[0] ?? null,
    to: dates.at(-1) ?? null,
    size: links.reduce((sum, { backup }) => sum + (backup.size ?? 0), 0),
    findings: findings.map(({ code, backup, detail }) => `${code}${backup === null ? '' : ` (${backup})`}: ${detail}`),
  };
}
