import { AFTER_RECREATION_WISHES, type AfterRecreationWish } from '../domain/chain/after-recreation';
import { LOST_BITMAP_WISHES, type LostBitmapWish, TRANSFER_WISHES, type TransferWish } from '../domain/agent/facts';
import type { DetailRow } from '../domain/chain/chain-keys';
import { isTimeZone } from '../domain/schedule/is-time-zone';
import { WEEKDAYS, type Weekday } from '../domain/schedule/weekdays';

/** CloudStack's names of the settings, which hold per zone there and per offering here; what it has no name for begins with `ck.`. */
export const OFFERING_SETTINGS = {
  fullEvery: 'nas.backup.full.every',
  incrementalEnabled: 'nas.backup.incremental.enabled',
  transfer: 'ck.backup.transfer',
  bandwidth: 'ck.backup.bandwidth',
  onLostBitmap: 'ck.backup.on_lost_bitmap',
  afterRecreation: 'ck.backup.after_recreation',
  fullWeekday: 'ck.backup.full_weekday',
  fullEveryDays: 'ck.backup.full_every_days',
  fullZone: 'ck.backup.full_zone',
} as const;

/** What an offering allows. */
export interface OfferingPolicy {
  /** Links in a chain, the full included, before the next full. CloudStack's default: 10. */
  readonly fullEvery: number;
  /** CloudStack's default is false; ours is true, because an incremental is only taken where it is true. */
  readonly incrementalEnabled: boolean;
  /** Null: the repository says, or nobody does. */
  readonly transfer: TransferWish | null;
  /** MiB a second that a run may move at most; null (default): the offering sets no limit. */
  readonly bandwidth: number | null;
  /** A full by default: it needs no scratch space and reads nothing of the chain. */
  readonly onLostBitmap: LostBitmapWish;
  /** What is due is taken when it is due, by default: a full at once is a load that nobody planned. */
  readonly afterRecreation: AfterRecreationWish;
  /** The first backup from this day of the week on is a full, however short the chain; null (default): on no set day. */
  readonly fullWeekday: Weekday | null;
  /** So is the first from so many days after the last full; null (default): after no set time. */
  readonly fullEveryDays: number | null;
  /** IANA name of the time zone in which those days begin. */
  readonly fullZone: string;
}

export const DEFAULT_POLICY: OfferingPolicy = {
  fullEvery: 10,
  incrementalEnabled: true,
  transfer: null,
  bandwidth: null,
  onLostBitmap: 'full',
  afterRecreation: 'next',
  fullWeekday: null,
  fullEveryDays: null,
  fullZone: 'UTC',
};

/** Reads the settings; what is missing or malformed has its default. */
export function readPolicy(details: readonly DetailRow[]): OfferingPolicy {
  const valueOf = (name: string): string => details.findLast((row) => row.name === name)?.value ?? '';
  const every = valueOf(OFFERING_SETTINGS.fullEvery);
  const enabled = valueOf(OFFERING_SETTINGS.incrementalEnabled);
  const transfer = valueOf(OFFERING_SETTINGS.transfer);
  const bandwidth = valueOf(OFFERING_SETTINGS.bandwidth);
  const onLostBitmap = valueOf(OFFERING_SETTINGS.onLostBitmap);
  const afterRecreation = valueOf(OFFERING_SETTINGS.afterRecreation);
  const fullEveryDays = valueOf(OFFERING_SETTINGS.fullEveryDays);
  const fullZone = valueOf(OFFERING_SETTINGS.fullZone);
  return {
    fullEvery: /^[1-9]\d{0,5}$/.test(every) ? Number(every) : DEFAULT_POLICY.fullEvery,
    incrementalEnabled: enabled === 'true' || enabled === 'false' ? enabled === 'true' : DEFAULT_POLICY.incrementalEnabled,
    transfer: TRANSFER_WISHES.find((wish) => wish === transfer) ?? DEFAULT_POLICY.transfer,
    bandwidth: /^[1-9]\d{0,5}$/.test(bandwidth) ? Number(bandwidth) : DEFAULT_POLICY.bandwidth,
    onLostBitmap: LOST_BITMAP_WISHES.find((wish) => wish === onLostBitmap) ?? DEFAULT_POLICY.onLostBitmap,
    afterRecreation: AFTER_RECREATION_WISHES.find((wish) => wish === afterRecreation) ?? DEFAULT_POLICY.afterRecreation,
    fullWeekday: WEEKDAYS.find((day) => day === valueOf(OFFERING_SETTINGS.fullWeekday)) ?? DEFAULT_POLICY.fullWeekday,
    fullEveryDays: /^[1-9]\d{0,3}$/.test(fullEveryDays) ? Number(fullEveryDays) : DEFAULT_POLICY.fullEveryDays,
    fullZone: isTimeZone(fullZone) ? fullZone : DEFAULT_POLICY.fullZone,
  };
}

/** The rows to write for the settings that are given; one that is null is unset. */
export const toSettings = (policy: Partial<OfferingPolicy>): DetailRow[] =>
  Object.entries(OFFERING_SETTINGS).flatMap(([key, name]) => {
    const value = policy[key as keyof OfferingPolicy];
    return value === undefined ? [] : [{ name, value: String(value ?? '') }];
  });
