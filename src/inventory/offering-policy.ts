import { AFTER_RECREATION_WISHES, type AfterRecreationWish } from '../domain/chain/after-recreation';
import { LOST_BITMAP_WISHES, type LostBitmapWish, TRANSFER_WISHES, type TransferWish } from '../domain/agent/facts';
import type { DetailRow } from '../domain/chain/chain-keys';

/** CloudStack's names of the settings, which hold per zone there and per offering here; what it has no name for begins with `ck.`. */
export const OFFERING_SETTINGS = {
  fullEvery: 'nas.backup.full.every',
  incrementalEnabled: 'nas.backup.incremental.enabled',
  transfer: 'ck.backup.transfer',
  onLostBitmap: 'ck.backup.on_lost_bitmap',
  afterRecreation: 'ck.backup.after_recreation',
} as const;

/** What an offering allows. */
export interface OfferingPolicy {
  /** Links in a chain, the full included, before the next full. CloudStack's default: 10. */
  readonly fullEvery: number;
  /** CloudStack's default is false; ours is true, because an incremental is only taken where it is true. */
  readonly incrementalEnabled: boolean;
  /** Null: the repository says, or nobody does. */
  readonly transfer: TransferWish | null;
  /** A full by default: it needs no scratch space and reads nothing of the chain. */
  readonly onLostBitmap: LostBitmapWish;
  /** What is due is taken when it is due, by default: a full at once is a load that nobody planned. */
  readonly afterRecreation: AfterRecreationWish;
}

export const DEFAULT_POLICY: OfferingPolicy = {
  fullEvery: 10,
  incrementalEnabled: true,
  transfer: null,
  onLostBitmap: 'full',
  afterRecreation: 'next',
};

/** Reads the settings; what is missing or malformed has its default. */
export function readPolicy(details: readonly DetailRow[]): OfferingPolicy {
  const valueOf = (name: string): string => details.findLast((row) => row.name === name)?.value ?? '';
  const every = valueOf(OFFERING_SETTINGS.fullEvery);
  const enabled = valueOf(OFFERING_SETTINGS.incrementalEnabled);
  const transfer = valueOf(OFFERING_SETTINGS.transfer);
  const onLostBitmap = valueOf(OFFERING_SETTINGS.onLostBitmap);
  const afterRecreation = valueOf(OFFERING_SETTINGS.afterRecreation);
  return {
    fullEvery: /^[1-9]\d{0,5}$/.test(every) ? Number(every) : DEFAULT_POLICY.fullEvery,
    incrementalEnabled: enabled === 'true' || enabled === 'false' ? enabled === 'true' : DEFAULT_POLICY.incrementalEnabled,
    transfer: TRANSFER_WISHES.find((wish) => wish === transfer) ?? DEFAULT_POLICY.transfer,
    onLostBitmap: LOST_BITMAP_WISHES.find((wish) => wish === onLostBitmap) ?? DEFAULT_POLICY.onLostBitmap,
    afterRecreation: AFTER_RECREATION_WISHES.find((wish) => wish === afterRecreation) ?? DEFAULT_POLICY.afterRecreation,
  };
}

/** The rows to write for the settings that are given. */
export function toSettings({
  fullEvery,
  incrementalEnabled,
  transfer,
  onLostBitmap,
  afterRecreation,
}: Partial<OfferingPolicy>): DetailRow[] {
  return [
    ...(fullEvery === undefined ? [] : [{ name: OFFERING_SETTINGS.fullEvery, value: String(fullEvery) }]),
    ...(incrementalEnabled === undefined
      ? []
      : [{ name: OFFERING_SETTINGS.incrementalEnabled, value: String(incrementalEnabled) }]),
    ...(transfer === undefined ? [] : [{ name: OFFERING_SETTINGS.transfer, value: transfer ?? '' }]),
    ...(onLostBitmap === undefined ? [] : [{ name: OFFERING_SETTINGS.onLostBitmap, value: onLostBitmap }]),
    ...(afterRecreation === undefined ? [] : [{ name: OFFERING_SETTINGS.afterRecreation, value: afterRecreation }]),
  ];
}
