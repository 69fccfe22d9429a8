import { Injectable } from '@nestjs/common';
import { In } from 'typeorm';
import { now } from '../database-time';
import { ResizeRow } from '../entities/resize-row';
import { RunRow } from '../entities/run-row';
import { rowsOf } from '../rows';
import { UnitOfWork } from '../unit-of-work';

/** What we were told about the sizes of disks. */
@Injectable()
export class Resizes {
  constructor(private readonly work: UnitOfWork) {}

  /** Writes it down. Told twice in a row, it is once: it cannot have happened twice. */
  add(resize: Pick<ResizeRow, 'vmId' | 'target' | 'sizeFrom' | 'sizeTo'>): Promise<ResizeRow> {
    const { vmId, target, sizeFrom, sizeTo } = resize;
    return this.work.run(async (manager) => {
      const last = await manager.findOne(ResizeRow, { where: { vmId, target }, order: { id: 'DESC' } });
      if (last?.sizeFrom === sizeFrom && last.sizeTo === sizeTo) return last;
      const run = await manager.findOne(RunRow, {
        where: { vmId, kind: 'backup', state: In(['running', 'unknown']) },
        select: { seq: true, id: true },
      });
      const { identifiers } = await manager.insert(ResizeRow, { ...resize, runId: run?.id ?? null, at: () => now(manager) });
      return manager.findOneByOrFail(ResizeRow, { id: Number(identifiers[0]?.['id']) });
    });
  }

  /** All of a VM, oldest first. */
  ofVm(vmId: number): Promise<ResizeRow[]> {
    return this.work.read((manager) => rowsOf(manager, ResizeRow, 'vm_id = ? ORDER BY id', [vmId]));
  }
}
