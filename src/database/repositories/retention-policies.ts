import { Injectable } from '@nestjs/common';
import type { RetentionWish } from '../../domain/retention/retention-rules';
import { now } from '../database-time';
import { RetentionPolicyRow } from '../entities/retention-policy-row';
import { rowsOf } from '../rows';
import { UnitOfWork } from '../unit-of-work';

/** For whom something was said: row id of an offering or a VM. */
export type PolicyOwner = Pick<RetentionPolicyRow, 'owner' | 'ownerId'>;

/** By what restore points are kept, as somebody said. */
@Injectable()
export class RetentionPolicies {
  constructor(private readonly work: UnitOfWork) {}

  /** Null: nothing was said. */
  find({ owner, ownerId }: PolicyOwner): Promise<RetentionPolicyRow | null> {
    return this.work.read((manager) => manager.findOneBy(RetentionPolicyRow, { owner, ownerId }));
  }

  /** What was said for a VM, and for its offering if it has one. */
  of(vmId: number, offeringId: number | null): Promise<Record<PolicyOwner['owner'], RetentionPolicyRow | null>> {
    return this.work.read(async (manager) => {
      const either = "(owner = 'vm' AND owner_id = ?) OR (owner = 'offering' AND owner_id = ?)";
      const rows = await rowsOf(manager, RetentionPolicyRow, either, [vmId, offeringId]);
      const said = (whose: PolicyOwner['owner']): RetentionPolicyRow | null => rows.find(({ owner }) => owner === whose) ?? null;
      return { vm: said('vm'), offering: said('offering') };
    });
  }

  /** Instead of the one before, if there was one. */
  set({ owner, ownerId }: PolicyOwner, wish: RetentionWish): Promise<void> {
    return this.work.run(async (manager) => {
      await manager.delete(RetentionPolicyRow, { owner, ownerId });
      await manager.insert(RetentionPolicyRow, { ...wish, owner, ownerId, changed: () => now(manager) });
    });
  }

  /** False: there was none. */
  clear({ owner, ownerId }: PolicyOwner): Promise<boolean> {
    return this.work.run(async (manager) => (await manager.delete(RetentionPolicyRow, { owner, ownerId })).affected === 1);
  }
}
