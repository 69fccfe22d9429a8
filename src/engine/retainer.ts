import { createHash, randomUUID } from 'node:crypto';
import { Injectable } from '@nestjs/common';
import type { RunRow } from '../database/entities/run-row';
import type { VmRow } from '../database/entities/vm-row';
import { Dues } from '../database/repositories/dues';
import { RetentionPolicies } from '../database/repositories/retention-policies';
import { type NewRun, Runs } from '../database/repositories/runs';
import { UserError } from '../domain/errors';
import { planRetention, type RetentionBooks, type RetentionPlan } from '../domain/retention/plan-retention';
import { type RetentionRules, settleRules } from '../domain/retention/retention-rules';
import { type BackupInBooks, BookReader } from './book-reader';

/** What a run of kind `retention` is asked for. */
export interface RetentionRequest {
  /** The plan that somebody was shown; null: whatever the rules say when the run begins. */
  readonly planId: string | null;
  /** Null: those of the VM. */
  readonly rules: RetentionRules | null;
}

/** A plan under its name: the same steps by the same rules have the same, and no others. */
export interface NamedRetention {
  readonly planId: string;
  readonly rules: RetentionRules;
  readonly plan: RetentionPlan;
}

/** A plan as its run keeps it. */
export type AppliedRetention = Omit<RetentionPlan, 'lines'> & Pick<NamedRetention, 'planId'>;

/** By which rules a VM's restore points are kept, and what they let go now. */
@Injectable()
export class Retainer {
  constructor(
    private readonly policies: RetentionPolicies,
    private readonly reader: BookReader,
    private readonly runs: Runs,
    private readonly dues: Dues,
  ) {}

  /** The rules of a VM. */
  async rules({ id, backupOfferingId }: VmRow): Promise<RetentionRules> {
    const { vm, offering } = await this.policies.of(id, backupOfferingId);
    return settleRules(vm, offering);
  }

  /** What goes now. Changes nothing. `inBooks`, `at`: the VM's backups and the database's time, where somebody has read them already. */
  async plan(
    vm: VmRow,
    asked: RetentionRules | null,
    inBooks?: readonly BackupInBooks[],
    at: Date | null = null,
  ): Promise<NamedRetention> {
    const rules = asked ?? (await this.rules(vm));
    const books = await this.reader.retentionBooks(vm.id, inBooks);
    const now = Math.floor((at ?? (await this.dues.now())).getTime() / 1000);
    const plan = planRetention({ ...books, ...rules, now });
    return { planId: nameOf(vm, rules, books, plan), rules, plan };
  }

  /**
   * The plan that somebody agreed to, as it is to be carried out.
   * @throws UserError `retention.plan-changed`
   */
  async agreed(vm: VmRow, { planId, rules }: RetentionRequest): Promise<NamedRetention> {
    const now = await this.plan(vm, rules);
    if (planId !== null && planId !== now.planId)
      throw new UserError(
        'retention.plan-changed',
        'conflict',
        `Since plan ${planId} was shown, books or rules of VM ${vm.instanceName} have changed: it is plan ${now.planId} now.`,
        { next: 'Look at the plan again and apply that one.', facts: { planId: now.planId } },
      );
    return now;
  }

  /** Asks for a run that lets go what no rule keeps any more. Null: there is nothing, or a run of the VM goes on or waits; what comes after it asks again. */
  async askFor(vm: VmRow, cause: string, inBooks: readonly BackupInBooks[], at: Date | null): Promise<RunRow | null> {
    const { plan } = await this.plan(vm, null, inBooks, at);
    if (plan.steps.length === 0) return null;
    return this.runs.requestUnlessActive({ ...retentionRun(vm, { planId: null, rules: null }), triggeredBy: 'service', cause });
  }
}

/** A run to be written down. */
export const retentionRun = ({ id: vmId }: VmRow, requested: RetentionRequest): Omit<NewRun, 'triggeredBy'> => ({
  ...{ id: randomUUID(), vmId, kind: 'retention', idempotencyKey: null, requested },
});

function nameOf(vm: VmRow, rules: RetentionRules, { schedules }: RetentionBooks, { steps }: RetentionPlan): string {
  const counts = schedules.map(({ id, maxBackups }) => [id, maxBackups]);
  const { policy, minAgeHours, zone, manual } = rules;
  const all = [vm.uuid, Object.entries(policy).sort(), minAgeHours, zone, manual, counts, steps];
  return createHash('sha256').update(JSON.stringify(all)).digest('hex').slice(0, 16);
}
