import { IsIn, IsInt, IsOptional, IsString, Matches, Max, MaxLength, Min, MinLength } from 'class-validator';
import type { Dialect } from '../../domain/agent/facts';

/** A hypervisor to add. */
export class CreateHostDto {
  /** Name of the host, unique among hosts. */
  @IsString()
  @Matches(/^[A-Za-z0-9][A-Za-z0-9._-]{0,254}$/, { message: 'name must be a host name' })
  name!: string;

  /** Address that the orchestrator connects to. Default: the name. */
  @IsOptional()
  @IsString()
  @Matches(/^[A-Za-z0-9][A-Za-z0-9.:_-]{0,39}$/, {
    message: 'address must be a host name or an IP address of at most 40 characters',
  })
  address?: string;

  /** SSH port. */
  @IsOptional()
  @IsInt()
  @Min(1)
  @Max(65535)
  port?: number;

  /** SSH user; unprivileged, with the one sudoers line that `host install` prints. */
  @IsOptional()
  @IsString()
  @Matches(/^[a-z_][a-z0-9_-]{0,31}$/, { message: 'user must be a Linux user name' })
  user?: string;

  /** Private key file on the orchestrator. Default: CHAINKEEPER_SSH_KEY. */
  @IsOptional()
  @IsString()
  @Matches(/^\/[^\0\n]+$/, { message: 'privateKeyFile must be an absolute path' })
  @MaxLength(1024)
  privateKeyFile?: string;

  /** `SHA256:...` of the host's key. Default: the known_hosts file decides. */
  @IsOptional()
  @IsString()
  @Matches(/^SHA256:[A-Za-z0-9+/]{43}=?$/, { message: 'fingerprint must look like SHA256:... as ssh-keygen -lf prints it' })
  fingerprint?: string;

  /** Path of the host script. */
  @IsOptional()
  @IsString()
  @Matches(/^\/[A-Za-z0-9._/-]+$/, { message: 'scriptPath must be an absolute path of plain characters' })
  @MaxLength(1024)
  scriptPath?: string;

  /** What the host script prints: `seed` (default) or `final` for ours. */
  @IsOptional()
  @IsIn(['seed', 'final'])
  dialect?: 'seed' | 'final';
}

/** A change to a host: what is left out stays as it is. */
export class UpdateHostDto {
  /** Address that the orchestrator connects to. */
  @IsOptional()
  @IsString()
  @Matches(/^[A-Za-z0-9][A-Za-z0-9.:_-]{0,39}$/, {
    message: 'address must be a host name or an IP address of at most 40 characters',
  })
  address?: string;

  /** SSH port. */
  @IsOptional()
  @IsInt()
  @Min(1)
  @Max(65535)
  port?: number;

  /** SSH user. */
  @IsOptional()
  @IsString()
  @Matches(/^[a-z_][a-z0-9_-]{0,31}$/, { message: 'user must be a Linux user name' })
  user?: string;

  /** `SHA256:...` of the host's key; the way to accept a changed key. */
  @IsOptional()
  @IsString()
  @Matches(/^SHA256:[A-Za-z0-9+/]{43}=?$/, { message: 'fingerprint must look like SHA256:... as ssh-keygen -lf prints it' })
  fingerprint?: string;

  /** `seed` or `final`. */
  @IsOptional()
  @IsIn(['seed', 'final'])
  dialect?: 'seed' | 'final';

  /** `Enabled`, or `Maintenance`: no new run starts there. */
  @IsOptional()
  @IsIn(['Enabled', 'Maintenance'])
  resourceState?: 'Enabled' | 'Maintenance';
}

/** Whom to install the host script as. */
export class InstallHostDto {
  /** SSH user with the right to install; default: the host's own user. */
  @IsOptional()
  @IsString()
  @MinLength(1)
  @Matches(/^[a-z_][a-z0-9_-]{0,31}$/, { message: 'as must be a Linux user name' })
  as?: string;
}

/** A host as the books know it. */
export class HostDto {
  /** Identifier (uuid). */
  id!: string;
  /** Name, unique among hosts. */
  name!: string;
  /** Address that the orchestrator connects to. */
  address!: string;
  /** SSH port. */
  port!: number;
  /** SSH user. */
  user!: string;
  /** Private key file on the orchestrator; null: CHAINKEEPER_SSH_KEY. */
  privateKeyFile!: string | null;
  /** Pinned key of the host; null: the known_hosts file decides. */
  fingerprint!: string | null;
  /** Path of the host script. */
  scriptPath!: string;
  /** What the host script prints. */
  dialect!: Dialect;
  /** `Enabled` or `Maintenance`. */
  resourceState!: string;
  /** Version of the installed host script; null: never installed from here. */
  scriptVersion!: string | null;
  /** SHA-256 of the installed host script. */
  scriptSha256!: string | null;
  /** When it was installed, RFC 3339 UTC. */
  installedAt!: string | null;
}

/** What installing the host script did, or with a dry run would do. */
export class InstalledScriptDto {
  /** Where it lies. */
  path!: string;
  /** Its version. */
  version!: string;
  /** Its SHA-256. */
  sha256!: string;
  /** SHA-256 of what lay there before; null: nothing. */
  before!: string | null;
  /** The file was, or in a dry run would be, replaced. */
  changed!: boolean;
  /** Nothing was changed, only looked at. */
  dryRun!: boolean;
  /** The host's user may run the script as root. */
  permitted!: boolean;
  /** The line for /etc/sudoers.d that lets the host's user run this one file as root. */
  sudoersLine!: string;
  /** What is left to do by hand, as commands for a root shell on the host; empty when all is in place. */
  byHand!: string[];
}
