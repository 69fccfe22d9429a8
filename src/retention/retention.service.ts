import { Injectable } from '@nestjs/common';
import { presentBackup } from '../backups/present-backup';
import { presentStep } from '../backups/present-step';
import { Vms } from '../database/repositories/vms';
import { readChains } from '../domain/chain/read-chain';
import { planRetention } from '../domain/retention/plan-retention';
import { BookReader } from '../engine/book-reader';
import { found } from '../platform/found';
import type { RetentionPlanDto, RetentionQuery } from './dto/retention.dto';

@Injectable()
export class RetentionService {
  constructor(
    private readonly vms: Vms,
    private readonly reader: BookReader,
  ) {}

  /** What a policy would do to a VM today, on its real chains. Changes nothing. */
  async plan(id: string, { zone = 'UTC', minAgeHours = 0, ...keep }: RetentionQuery): Promise<RetentionPlanDto> {
    const vm = found(await this.vms.find(id), 'vm', id);
    const nothing = { keepLast: 0, keepHourly: 0, keepDaily: 0, keepWeekly: 0, keepMonthly: 0, keepYearly: 0 };
    const policy = { ...nothing, ...keep };
    const all = await this.reader.ofVm(vm.id);
    const books = await this.reader.deletionBooks(vm.id, all);
    const plan = planRetention({ ...books, policy, minAgeHours, zone, now: Math.floor(Date.now() / 1000) });
    const links = readChains(books.backups).flatMap((chain) => chain.links);
    return {
      vm: vm.instanceName,
      lines: plan.lines.flatMap((line) => {
        const inBooks = all.find(({ row }) => row.uuid === line.backup);
        if (inBooks === undefined) return [];
        const link = links.find(({ backup }) => backup.uuid === line.backup);
        const { date, type, assurance, size } = presentBackup(inBooks, { id: vm.uuid ?? '', name: vm.instanceName }, link);
        return [{ ...line, date, type, assurance, size }];
      }),
      steps: plan.steps.map(presentStep),
      bytesFreed: plan.bytesFreed,
      pointsLeft: plan.pointsLeft,
    };
  }
}
