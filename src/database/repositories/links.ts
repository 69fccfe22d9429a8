import { Injectable } from '@nestjs/common';
import { now } from '../database-time';
import { LinkRow } from '../entities/link-row';
import { addRow } from '../rows';
import { UnitOfWork } from '../unit-of-work';

/** What is said about a link when it is recorded. */
export type NewLink = Pick<
  LinkRow,
  'backupId' | 'backupUuid' | 'runId' | 'reason' | 'recreateMethod' | 'planned' | 'assurance' | 'assuranceWhy'
>;

/** Reason and assurance of the links, out of reach of whoever rewrites a backup's details. */
@Injectable()
export class Links {
  constructor(private readonly work: UnitOfWork) {}

  insert(link: NewLink): Promise<void> {
    return this.work.run(async (manager) => {
      await addRow(manager, LinkRow, { ...link, assuranceAtBirth: link.assurance, changed: () => now(manager) });
    });
  }

  /** A witness changed what the link is worth; what was said at birth stays. False: we know no such link. */
  setAssurance(backupId: number, assurance: string, assuranceWhy: string): Promise<boolean> {
    return this.work.run(async (manager) => {
      const change = { assurance, assuranceWhy, changed: () => now(manager) };
      return (await manager.update(LinkRow, { backupId }, change)).affected === 1;
    });
  }
}
