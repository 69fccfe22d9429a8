import { ApiPropertyOptional } from '@nestjs/swagger';
import { Transform } from 'class-transformer';
import { IsBoolean } from 'class-validator';
import { Optional } from '../../platform/optional';

/** Which restart. */
export class RestartForecastQuery {
  @ApiPropertyOptional({
    description: '`true`: the host goes down with its guests, as in a power cut; otherwise they are shut down before.',
  })
  @Optional()
  @Transform(({ value }) => (value === 'true' ? true : value === 'false' ? false : (value as unknown)))
  @IsBoolean()
  crash?: boolean;
}

/** A full that would come of it. */
export class ComingFullDto {
  /** libvirt's name of the VM. */
  vm!: string;
  /** When it would begin at the soonest, RFC 3339 UTC; null: when somebody asks for it, for no schedule does. */
  startsAt!: string | null;
  /** Why it would be a full. */
  sentence!: string;
}

/** A VM that would need none. */
export class SparedVmDto {
  /** libvirt's name of the VM. */
  vm!: string;
  /** Why not. */
  sentence!: string;
}

/** What a restart of a host would cost, if it happened now. */
export class RestartForecastDto {
  /** Name of the host. */
  host!: string;
  /** The host goes down with its guests. */
  crash!: boolean;
  /** All of it. */
  sentence!: string;
  /** What begins first stands first. */
  fulls!: ComingFullDto[];
  /** The others, but for VMs without an offering. */
  spared!: SparedVmDto[];
}
