import { IsBoolean, IsIn, IsInt, IsOptional, IsString, Matches, Max, MaxLength, Min, MinLength } from 'class-validator';
import { type Dialect, DIALECTS } from '../../domain/agent/facts';
import { Optional } from '../../platform/optional';
import type { SaidMaintenanceDto } from './maintenance.dto';

const ADDRESS = /^[A-Za-z0-9:][A-Za-z0-9.:_-]{0,39}$/;
const ADDRESS_TEXT = { message: 'address must be a host name or an IP address of at most 40 characters' };
const USER = /^[a-z_][a-z0-9_-]{0,31}$/;
const KEY_FILE = /^\/[^\p{Cc}\p{Cs}]+$/u;
const FINGERPRINT = /^SHA256:[A-Za-z0-9+/]{43}=?$/;
const FINGERPRINT_TEXT = { message: 'fingerprint must look like SHA256:... as ssh-keygen -lf prints it' };
const SCRIPT_PATH = /^(?:\/[A-Za-z0-9_][A-Za-z0-9._-]*)+$/;

/** Which script takes the backups. */
export class ScriptWishes {
  /** `ours` (default), or `stock`: CloudStack's own (docs/stock-hosts.md). */
  @Optional()
  @IsIn(['ours', 'stock'])
  script?: 'ours' | 'stock';

  /** Path of the stock script. Default: where CloudStack's packages put it. */
  @Optional()
  @IsString()
  @Matches(SCRIPT_PATH, { message: 'stockPath must be an absolute path of plain characters' })
  @MaxLength(1024)
  stockPath?: string;

  /** Our script lies beside the stock one, at scriptPath, to look and to verify; installing it there sets this. */
  @Optional()
  @IsBoolean()
  beside?: boolean;

  /** What the script that takes the backups speaks: `seed` (default) or `final` for ours, any for a stock one. */
  @Optional()
  @IsIn([...DIALECTS])
  dialect?: Dialect;
}

/** A hypervisor to add. */
export class CreateHostDto extends ScriptWishes {
  /** Name of the host, unique among hosts. */
  @IsString()
  @Matches(/^[A-Za-z0-9][A-Za-z0-9._-]{0,254}$/, { message: 'name must be a host name' })
  name!: string;

  /** Address that the orchestrator connects to. Default: the name. */
  @Optional()
  @IsString()
  @Matches(ADDRESS, ADDRESS_TEXT)
  address?: string;

  /** SSH port. */
  @Optional()
  @IsInt()
  @Min(1)
  @Max(65535)
  port?: number;

  /** SSH user; unprivileged, with the one sudoers line that `host install` prints. */
  @Optional()
  @IsString()
  @Matches(USER, { message: 'user must be a Linux user name' })
  user?: string;

  /** Private key file on the orchestrator. Default: CHAINKEEPER_SSH_KEY. */
  @Optional()
  @IsString()
  @Matches(KEY_FILE, { message: 'privateKeyFile must be an absolute path' })
  @MaxLength(1024)
  privateKeyFile?: string;

  /** `SHA256:...` of the host's key. Default: the known_hosts file decides. */
  @Optional()
  @IsString()
  @Matches(FINGERPRINT, FINGERPRINT_TEXT)
  fingerprint?: string;

  /** Path of our host script. */
  @Optional()
  @IsString()
  @Matches(SCRIPT_PATH, { message: 'scriptPath must be an absolute path of plain characters' })
  @MaxLength(1024)
  scriptPath?: string;
}

/** A change to a host: what is left out stays as it is. */
export class UpdateHostDto extends ScriptWishes {
  /** Address that the orchestrator connects to. */
  @Optional()
  @IsString()
  @Matches(ADDRESS, ADDRESS_TEXT)
  address?: string;

  /** SSH port. */
  @Optional()
  @IsInt()
  @Min(1)
  @Max(65535)
  port?: number;

  /** SSH user. */
  @Optional()
  @IsString()
  @Matches(USER, { message: 'user must be a Linux user name' })
  user?: string;

  /** Private key file on the orchestrator; null: CHAINKEEPER_SSH_KEY. */
  @IsOptional()
  @IsString()
  @Matches(KEY_FILE, { message: 'privateKeyFile must be an absolute path' })
  @MaxLength(1024)
  privateKeyFile?: string | null;

  /** `SHA256:...` of the host's key, the way to accept a changed one; null: the known_hosts file decides. */
  @IsOptional()
  @IsString()
  @Matches(FINGERPRINT, FINGERPRINT_TEXT)
  fingerprint?: string | null;

  /** Path of the host script; it has to be installed there anew. */
  @Optional()
  @IsString()
  @Matches(SCRIPT_PATH, { message: 'scriptPath must be an absolute path of plain characters' })
  @MaxLength(1024)
  scriptPath?: string;

  /** `Enabled`, or `Maintenance`: no new run starts there. */
  @Optional()
  @IsIn(['Enabled', 'Maintenance'])
  resourceState?: 'Enabled' | 'Maintenance';
}

/** Whom to install the host script as. */
export class InstallHostDto {
  /** SSH user with the right to install; default: the host's own user. */
  @Optional()
  @IsString()
  @MinLength(1)
  @Matches(USER, { message: 'as must be a Linux user name' })
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
  /** Path of our host script. */
  scriptPath!: string;
  /** Which script takes the backups: `ours` or `stock`. */
  script!: 'ours' | 'stock';
  /** Path of the stock script; null: ours takes them. */
  stockPath!: string | null;
  /** Ours lies beside the stock script, to look and to verify. */
  beside!: boolean;
  /** What the script that takes the backups speaks. */
  dialect!: Dialect;
  /** `Enabled` or `Maintenance`: CloudStack's word. */
  resourceState!: string;
  /** Its maintenance, because somebody said so here; null: nobody did. */
  maintenance!: SaidMaintenanceDto | null;
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
