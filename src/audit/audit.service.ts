import { Injectable } from '@nestjs/common';
import { stringify } from 'csv-stringify/sync';
import { Evidence } from '../database/repositories/evidence';
import type { VmRow } from '../database/entities/vm-row';
import { Vms } from '../database/repositories/vms';
import type { VmState } from '../domain/agent/facts';
import { type RecreationRow, recreationReport } from '../domain/audit/recreation-report';
import { readChainKeys } from '../domain/chain/chain-keys';
import { readChains } from '../domain/chain/read-chain';
import { BookReader } from '../engine/book-reader';
import { found } from '../platform/found';
import type { RecreationsQuery } from './dto/recreation.dto';

const COLUMNS: readonly (keyof RecreationRow)[] = [
  'date',
  'vm',
  'type',
  'size',
  'ratio',
  'suspicion',
  'restarts',
  'recreated',
  'recreateMethod',
  'reason',
  'assurance',
  'backupId',
  'vmId',
];

@Injectable()
export class AuditService {
  constructor(
    private readonly vms: Vms,
    private readonly evidence: Evidence,
    private readonly reader: BookReader,
  ) {}

  /** Every backup of the VMs with its size against the usual, restarts, recreation event, reason and assurance; newest first. */
  async recreations({ vm: id, since }: RecreationsQuery): Promise<RecreationRow[]> {
    const vms = id === undefined ? await this.#all() : [found(await this.vms.find(id), 'vm', id)];
    const rows = (await Promise.all(vms.map((vm) => this.#ofVm(vm)))).flat();
    const from = since === undefined ? -Infinity : Date.parse(since);
    return rows.filter(({ date }) => date !== null && Date.parse(date) >= from);
  }

  /** For spreadsheets; a cell that looks like a formula is made harmless. */
  toCsv(rows: readonly RecreationRow[]): string {
    return stringify([...rows], { header: true, columns: [...COLUMNS], escape_formulas: true });
  }

  async #all(): Promise<VmRow[]> {
    const vms: VmRow[] = [];
    for (let after: number | undefined; ;) {
      const { items, next } = await this.vms.page({ limit: 500, after });
      vms.push(...items);
      if (next === null) return vms;
      after = next;
    }
  }

  async #ofVm(vm: VmRow): Promise<RecreationRow[]> {
    const all = await this.reader.ofVm(vm.id);
    const vmId = vm.uuid ?? '';
    const uuids = new Map(all.map(({ row }) => [row.id, row.uuid]));
    const links = new Map(
      readChains(all.map(({ booked }) => booked)).flatMap((chain) => chain.links.map((link) => [link.backup.uuid, link])),
    );
    const sightings = (await this.evidence.ofVm(vm.id)).map(({ backupId, vmState, qemuStarted }) => ({
      vmId,
      backupId: backupId === null ? null : (uuids.get(backupId) ?? null),
      vmState: vmState as VmState | null,
      qemuStarted: qemuStarted?.toISOString() ?? null,
    }));
    const backups = all
      .filter(({ booked }) => booked.status === 'BackedUp' || booked.status === 'Hidden')
      .map(({ row, booked }) => {
        const { link } = row;
        const { keys } = readChainKeys(row.details, booked);
        return {
          backupId: row.uuid,
          vmId,
          vm: vm.instanceName,
          date: row.date?.toISOString() ?? null,
          type: booked.type,
          size: row.size,
          reason: link?.reason ?? null,
          recreated: keys.bitmapRecreated,
          recreateMethod: keys.recreateMethod,
          assurance: links.get(row.uuid)?.pointAssurance ?? link?.assurance ?? null,
        };
      });
    return recreationReport(backups, sightings);
  }
}
