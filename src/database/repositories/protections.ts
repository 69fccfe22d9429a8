import { Injectable } from '@nestjs/common';
import { now } from '../database-time';
import { ProtectionRow } from '../entities/protection-row';
import { UnitOfWork } from '../unit-of-work';

/** Which backups must stay, until when, who says so and why. */
@Injectable()
export class Protections {
  constructor(private readonly work: UnitOfWork) {}

  /** Instead of the one before, if there was one. */
  set(protection: Omit<ProtectionRow, 'created'>): Promise<void> {
    return this.work.run(async (manager) => {
      await manager.delete(ProtectionRow, { backupId: protection.backupId });
      await manager.insert(ProtectionRow, { ...protection, created: () => now(manager) });
    });
  }

  /** False: there was none. */
  remove(backupId: number): Promise<boolean> {
    return this.work.run(async (manager) => (await manager.delete(ProtectionRow, { backupId })).affected === 1);
  }
}
