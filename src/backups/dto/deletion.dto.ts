import { ApiPropertyOptional } from '@nestjs/swagger';
import { Transform } from 'class-transformer';
import { IsBoolean } from 'class-validator';
import { DryRunQuery } from '../../platform/dry-run';
import { Optional } from '../../platform/optional';

const asFlag = ({ value }: { value: unknown }): unknown => (value === 'true' ? true : value === 'false' ? false : value);

/** How a backup is to be deleted. */
export class DeletionQuery extends DryRunQuery {
  @ApiPropertyOptional({ description: 'true: its whole chain goes with it.' })
  @Optional()
  @Transform(asFlag)
  @IsBoolean()
  forced?: boolean;

  @ApiPropertyOptional({ description: 'true: it may be the last restore point of its VM, or the best.' })
  @Optional()
  @Transform(asFlag)
  @IsBoolean()
  acceptLoss?: boolean;
}

/** One step of a deletion. */
export class DeletionStepDto {
  /** `hide`: no restore point any more; `close-chain`: the next backup is a full; `remove`: its files and its row go. */
  kind!: string;
  /** Backup (uuid). */
  backup!: string;
  /** Why. */
  why!: string;
  /** Directory on the NAS, relative; null: none, or not of this kind of step. */
  externalId!: string | null;
  /** Bytes on the NAS that the step frees. */
  bytes!: number;
}

/** What a deletion would do, in order, and what it costs. */
export class DeletionPlanDto {
  /** Backup (uuid) that was asked for. */
  backup!: string;
  /** In their order; none: there is nothing to do. */
  steps!: DeletionStepDto[];
  /** Restore points (uuid) that are no more afterwards. */
  pointsLost!: string[];
  /** Restore points that the VM has afterwards. */
  pointsLeft!: number;
  /** Bytes on the NAS. */
  bytesFreed!: number;
}
