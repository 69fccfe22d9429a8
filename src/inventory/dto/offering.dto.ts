import { IsBoolean, IsIn, IsInt, IsOptional, IsString, IsTimeZone, Max, MaxLength, Min, MinLength } from 'class-validator';
import { Optional } from '../../platform/optional';
import { OneLine } from '../../platform/one-line';
import { AFTER_RECREATION_WISHES, type AfterRecreationWish } from '../../domain/chain/after-recreation';
import {
  LOST_BITMAP_WISHES,
  type LostBitmapWish,
  MAX_BANDWIDTH,
  TRANSFER_WISHES,
  type TransferWish,
} from '../../domain/agent/facts';
import { WEEKDAYS, type Weekday } from '../../domain/schedule/weekdays';

/** The ways that a backup may take, as an offering says. */
class WayDto {
  /**
   * How the data of a running VM travels: `push`: QEMU writes the NAS itself, as CloudStack does; `pull`: readers of the host copy from
   * an export at the checkpoint, so that a slow or full NAS is not in the guest's way (needs scratch space on the host); `auto`: pull
   * where the scratch can hold all that may come, else push. Null (default): as the repository says.
   */
  @IsOptional()
  @IsIn(TRANSFER_WISHES)
  transfer?: TransferWish | null;

  /**
   * MiB a second that one backup moves at most, all its disks together; of a repository's limit and this one the smaller counts. A push
   * cannot be limited: `push` beside a limit is refused here (`backup.push-unlimited`), and a push that is the default or is said by the
   * other, offering or repository, gives way to a pull. The script of a stock host knows no limit; its backups carry a warning. Null
   * (default): no limit.
   */
  @IsOptional()
  @IsInt()
  @Min(1)
  @Max(MAX_BANDWIDTH)
  bandwidth?: number | null;

  /**
   * What to do where a bitmap is lost on a disk of a running VM, as after a crash or a storage migration: `full`: a full of all disks, a
   * new chain; `rescue`: that disk is compared with its chain and what differs is stored, larger than usual and exact (reads the whole disk
   * and needs scratch space on the host; where it cannot be, a full).
   */
  @Optional()
  @IsIn(LOST_BITMAP_WISHES)
  onLostBitmap?: LostBitmapWish;

  /**
   * Once a stock script has put a blank bitmap in the place of a lost one, which leaves a hole and closes the chain, when to take the next
   * backup: `next`: when it is due or asked for; `at-once`: the service asks for it by itself as soon as the doubtful one is in the books.
   */
  @Optional()
  @IsIn(AFTER_RECREATION_WISHES)
  afterRecreation?: AfterRecreationWish;

  /** The first backup from this day of the week on is a full, however short its chain (`sun` to `sat`). Null (default): on no set day. */
  @IsOptional()
  @IsIn(WEEKDAYS)
  fullWeekday?: Weekday | null;

  /** So is the first from so many days after the last full, counted from midnight. Null (default): after no set time. */
  @IsOptional()
  @IsInt()
  @Min(1)
  @Max(3650)
  fullEveryDays?: number | null;

  /** IANA name of the time zone in which those days begin. Default: UTC. */
  @Optional()
  @IsTimeZone()
  fullZone?: string;
}

/** A backup offering to add: where backups go, and how. */
export class CreateOfferingDto extends WayDto {
  /** Name, unique among offerings. */
  @IsString()
  @MinLength(1)
  @MaxLength(255)
  @OneLine()
  name!: string;

  /** Repository (id or name) that its backups are written to. */
  @IsString()
  @MinLength(1)
  @MaxLength(255)
  repository!: string;

  /** For people. */
  @Optional()
  @IsString()
  @MaxLength(255)
  @OneLine()
  description?: string;

  /** Links in a chain, the full included, before the next full; 1: every backup is a full. CloudStack's `nas.backup.full.every`. */
  @Optional()
  @IsInt()
  @Min(1)
  @Max(1000)
  fullEvery?: number;

  /** Whether incrementals are taken at all. CloudStack's `nas.backup.incremental.enabled`. */
  @Optional()
  @IsBoolean()
  incrementalEnabled?: boolean;
}

/** A change to an offering. */
export class UpdateOfferingDto extends WayDto {
  /**
   * Repository (id or name) that its backups are written to from now on. The next backup of each of its VMs is a full that starts a new
   * chain there (`repository-changed`); what was written before stays where it is, and can be restored and deleted as before.
   */
  @Optional()
  @IsString()
  @MinLength(1)
  @MaxLength(255)
  repository?: string;

  /** New name. */
  @Optional()
  @IsString()
  @MinLength(1)
  @MaxLength(255)
  @OneLine()
  name?: string;

  /** For people. */
  @Optional()
  @IsString()
  @MaxLength(255)
  @OneLine()
  description?: string;

  /** Links in a chain before the next full. */
  @Optional()
  @IsInt()
  @Min(1)
  @Max(1000)
  fullEvery?: number;

  /** Whether incrementals are taken at all. */
  @Optional()
  @IsBoolean()
  incrementalEnabled?: boolean;
}

/** An offering as the books know it. */
export class OfferingDto {
  /** Identifier (uuid). */
  id!: string;
  /** Name. */
  name!: string;
  /** For people. */
  description!: string;
  /** Repository that it points at (uuid). */
  repositoryId!: string;
  /** Name of that repository; null: it is gone. */
  repository!: string | null;
  /** Links in a chain before the next full. */
  fullEvery!: number;
  /** Whether incrementals are taken. */
  incrementalEnabled!: boolean;
  /** How the data of a running VM travels: `push`, `pull` or `auto`; null: as the repository says. */
  transfer!: string | null;
  /** MiB a second that one backup moves at most; null: the offering sets no limit. */
  bandwidth!: number | null;
  /** What is done where a bitmap is lost: `full` or `rescue`. */
  onLostBitmap!: string;
  /** When the backup after a blank recreation is taken: `next` or `at-once`. */
  afterRecreation!: string;
  /** Day of the week from which on the next backup is a full; null: none. */
  fullWeekday!: string | null;
  /** Days after the last full from which on the next backup is one; null: no such rule. */
  fullEveryDays!: number | null;
  /** IANA name of the time zone of those days. */
  fullZone!: string;
}
