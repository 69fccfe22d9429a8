import { Injectable } from '@nestjs/common';
import { Backups } from '../database/repositories/backups';
import type { VmRow } from '../database/entities/vm-row';
import { Vms } from '../database/repositories/vms';
import { presentBackup } from '../backups/present-backup';
import { type Chain, readChains } from '../domain/chain/read-chain';
import { type BackupInBooks, BookReader } from '../engine/book-reader';
import { found } from '../platform/found';
import { type Page, toPage } from '../platform/page';
import type { ChainDto, ChainsQuery, ChainWithLinksDto } from './dto/chain.dto';

@Injectable()
export class ChainsService {
  constructor(
    private readonly vms: Vms,
    private readonly backups: Backups,
    private readonly reader: BookReader,
  ) {}

  /** All chains of one VM, or of all; newest first. Chains of one VM are few, so they come on one page. */
  async list({ vm: id }: ChainsQuery): Promise<Page<ChainDto>> {
    const vms = id === undefined ? (await this.vms.page({ limit: 500 })).items : [found(await this.vms.find(id), 'vm', id)];
    const chains = await Promise.all(
      vms.map(async (vm) => (await this.#ofVm(vm)).map(({ chain, all }) => summary(vm, chain, all))),
    );
    return toPage({ items: chains.flat(), next: null }, (chain) => chain);
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
