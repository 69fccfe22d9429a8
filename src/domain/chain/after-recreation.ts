import type { BackedUp } from './settlement';

/**
 * When to take the backup after one over a bitmap that a stock script has put in the place of the parent's. Its chain is closed and what it
 * holds is doubtful, so until then the VM has no newer restore point to rely on.
 */
export const AFTER_RECREATION_WISHES = ['next', 'at-once'] as const;
export type AfterRecreationWish = (typeof AFTER_RECREATION_WISHES)[number];

/** Why the service asks for another run by itself, for people; null: it does not. */
export function causeOfNext(
  { recreation, assurance }: Pick<BackedUp, 'recreation' | 'assurance'>,
  backup: string,
  wish: AfterRecreationWish,
  /** The run that made it was asked for by the service: one that goes wrong again must not go round for ever. */
  askedByService: boolean,
): string | null {
  if (recreation?.method !== 'unknown' || wish !== 'at-once' || askedByService) return null;
  return (
    `Backup ${backup} is ${assurance}: the host's script had recreated the bitmap ${recreation.bitmap}, and nobody knows what it held. ` +
    'The offering asks for the next backup at once.'
  );
}
