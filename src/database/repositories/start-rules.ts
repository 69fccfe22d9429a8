import { Injectable } from '@nestjs/common';
import { In } from 'typeorm';
import { now } from '../database-time';
import { StartRuleRow } from '../entities/start-rule-row';
import { UnitOfWork } from '../unit-of-work';

/** For whom something was said: row id of an offering or a host. */
export type RuleOwner = Pick<StartRuleRow, 'owner' | 'ownerId'>;

/** When backups may start, as somebody said. */
@Injectable()
export class StartRules {
  constructor(private readonly work: UnitOfWork) {}

  /** Null: at any time. */
  find({ owner, ownerId }: RuleOwner): Promise<StartRuleRow | null> {
    return this.work.read((manager) => manager.findOneBy(StartRuleRow, { owner, ownerId }));
  }

  /** Those of many, by row id. */
  ofMany(owner: StartRuleRow['owner'], ids: readonly number[]): Promise<StartRuleRow[]> {
    return this.work.read((manager) => manager.findBy(StartRuleRow, { owner, ownerId: In([...ids]) }));
  }

  /** Instead of the one before, if there was one. */
  set({ owner, ownerId }: RuleOwner, rules: Omit<StartRuleRow, 'owner' | 'ownerId' | 'changed'>): Promise<void> {
    return this.work.run(async (manager) => {
      await manager.delete(StartRuleRow, { owner, ownerId });
      await manager.insert(StartRuleRow, { ...rules, owner, ownerId, changed: () => now(manager) });
    });
  }

  /** False: there was none. */
  clear({ owner, ownerId }: RuleOwner): Promise<boolean> {
    return this.work.run(async (manager) => (await manager.delete(StartRuleRow, { owner, ownerId })).affected === 1);
  }
}
