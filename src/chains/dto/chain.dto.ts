import { IsString, MaxLength } from 'class-validator';
import { BackupDto } from '../../backups/dto/backup.dto';
import { PageQuery } from '../../platform/page';
import { Optional } from '../../platform/optional';

/** Which chains to list. */
export class ChainsQuery extends PageQuery {
  /** VM (id or name). */
  @Optional()
  @IsString()
  @MaxLength(255)
  vm?: string;
}

/** A chain: a full and the incrementals that follow it. */
export class ChainDto {
  /** `nas.chain_id`. */
  id!: string;
  /** VM (uuid). */
  vmId!: string;
  /** libvirt's name of the VM. */
  vm!: string;
  /** Links in it, hidden ones included. */
  links!: number;
  /** Restore points in it that can be restored. */
  restorable!: number;
  /** Assurance of its newest point. */
  assurance!: string | null;
  /** When its first link was finished, RFC 3339 UTC. */
  from!: string | null;
  /** When its last link was finished, RFC 3339 UTC. */
  to!: string | null;
  /** Bytes on the NAS. */
  size!: number;
  /** What is wrong with it: gaps, duplicates, orphans. Empty: nothing. */
  findings!: string[];
}

/** A chain with its links, the full first. */
export class ChainWithLinksDto extends ChainDto {
  /** The links by position. */
  backups!: BackupDto[];
}
