import { IsInt, Matches, Max, Min } from 'class-validator';

/** A disk whose size was changed. */
export class ResizeDiskDto {
  /** libvirt's target name, for example `vda`. */
  @Matches(/^[a-z]{2,4}[a-z0-9]{0,4}$/, { message: 'target must be a libvirt target such as vda' })
  target!: string;

  /** Virtual size before, in bytes. */
  @IsInt()
  @Min(1)
  @Max(Number.MAX_SAFE_INTEGER)
  from!: number;

  /** Virtual size after, in bytes. */
  @IsInt()
  @Min(1)
  @Max(Number.MAX_SAFE_INTEGER)
  to!: number;
}

/** A change of the size of a disk, as we were told. */
export class ResizeDto {
  /** libvirt's target name. */
  target!: string;
  /** Virtual size before, in bytes. */
  from!: number;
  /** Virtual size after, in bytes. */
  to!: number;
  /** When we were told, RFC 3339 UTC. */
  at!: string;
}

/** All that we were told about the sizes of a VM's disks. */
export class ResizesDto {
  /** Oldest first. */
  items!: ResizeDto[];
}
