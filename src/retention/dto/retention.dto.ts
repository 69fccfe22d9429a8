import { Matches } from 'class-validator';
import { DeletionStepDto } from '../../backups/dto/deletion.dto';
import { RetentionRulesDto, RetentionWishDto } from './policy.dto';

/** By what to plan. A count that is given puts all counts of the VM's policy aside; the rest is the VM's where it is left out. */
export class RetentionQuery extends RetentionWishDto {}

/** A plan to carry out. The rules are those that it was asked for with. */
export class ApplyRetentionDto extends RetentionWishDto {
  /** Id of the plan that was shown. */
  @Matches(/^[0-9a-f]{16}$/, { message: 'plan must be the id of a plan as it was shown' })
  plan!: string;
}

/** One backup that is offered, and what a policy makes of it. */
export class RetentionLineDto {
  /** Backup (uuid). */
  backup!: string;
  /** False: it cannot be restored, and `why` says what is wrong with it. */
  restorable!: boolean;
  /** When it was finished, RFC 3339 UTC. */
  date!: string | null;
  /** `FULL` or `INCREMENTAL`. */
  type!: string;
  /** What supports it. */
  assurance!: string | null;
  /** Bytes of its directory on the NAS. */
  size!: number | null;
  /** `stays`, `hidden` (links that stay stand on it) or `removed`. */
  fate!: string;
  /** The rule that keeps it, or why it goes; and why it cannot be restored. */
  why!: string;
}

/** What a policy would do to a VM today. */
export class RetentionPlanDto {
  /** Name of this plan: the same steps by the same rules have the same. Whoever applies it names it. */
  planId!: string;
  /** libvirt's name of the VM. */
  vm!: string;
  /** By what. */
  rules!: RetentionRulesDto;
  /** Its restore points, newest first, and what is offered as one and cannot be restored. */
  lines!: RetentionLineDto[];
  /** What would be done, in order. */
  steps!: DeletionStepDto[];
  /** Bytes on the NAS. */
  bytesFreed!: number;
  /** Restore points that the VM has afterwards. */
  pointsLeft!: number;
}
