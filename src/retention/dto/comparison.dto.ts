import { IsString, MaxLength } from 'class-validator';
import { Optional } from '../../platform/optional';
import { WhoAndWhyDto } from '../../platform/who-and-why.dto';

/** Somebody has compared books that were brought back from a copy with what lies on the NAS. */
export class ComparedDto extends WhoAndWhyDto {
  /** Of this VM (id or name); left out: of all. */
  @Optional()
  @IsString()
  @MaxLength(255)
  vm?: string;
}

/** A VM whose books were brought back from a copy: until somebody has compared them with the NAS nothing of its backups is deleted. */
export class NotComparedDto {
  /** Id of the VM. */
  vmId!: string;
  /** libvirt's name of it. */
  vm!: string;
  /** Of what moment the copy was, RFC 3339 UTC: what was taken later the books do not know. */
  since!: string;
}
