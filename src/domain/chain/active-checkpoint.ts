/** What can happen to a VM outside of a backup that concerns the bitmap its next incremental would build on. */
export type CheckpointEvent =
  | { readonly what: 'offering-assigned' }
  | { readonly what: 'offering-removed' }
  | { readonly what: 'vm-restored' }
  | { readonly what: 'volume-restored' }
  /** `bitmap`: of the backup that was deleted. */
  | { readonly what: 'backup-deleted'; readonly bitmap: string | null };

/**
 * The active checkpoint after an event; null means that the next backup is a full. Assigning a VM to an offering,
 * removing it, restoring anything of it, and deleting the backup that owns the checkpoint all clear it.
 * The caller retires a bitmap that is cleared: left alone it goes on recording for nobody.
 */
export function activeCheckpointAfter(active: string | null, event: CheckpointEvent): string | null {
  return event.what === 'backup-deleted' && event.bitmap !== active ? active : null;
}
