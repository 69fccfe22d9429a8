/**
 * Why a backup was full or incremental: a closed list, so that a reason can be counted, translated and relied on.
 * Every full has exactly one of the full reasons, every incremental one of the incremental ones.
 */

/** Reasons of a full, in the order in which they are looked for: what cannot be, what was wished, the books, the disks. */
export const FULL_REASONS = {
  'storage-unsupported': 'A disk lies on storage that cannot carry a dirty bitmap, so nothing can be incremental.',
  'image-unsupported': 'A disk image cannot store a dirty bitmap: it is not qcow2, or its version is too old.',
  'script-unsupported': 'The stock script on the host cannot take an incremental of this VM.',
  requested: 'A full was asked for.',
  'incremental-disabled': 'The policy of the offering does not allow incrementals.',
  'vm-stopped': 'The VM was stopped, and a stopped VM is always copied in full.',
  'no-parent': 'There is no earlier backup to build on.',
  'parent-not-backed-up': 'The backup that the active checkpoint belongs to is not a finished backup.',
  'bitmap-unconfirmed': 'The host did not confirm a usable bitmap for the parent.',
  'chain-length': 'The chain has reached its longest allowed length.',
  'full-due': 'The schedule asks for a new full by now.',
  'repository-changed': 'The parent lies in another repository.',
  'restored-since': 'The VM was restored or reverted after the parent was taken, so its bitmap tells nothing.',
  'parent-unproven': 'The parent, or a backup under it, is not known to be true.',
  'parent-file-missing': 'A file that the incremental would stand on is missing, damaged or not known.',
  'disk-set-changed': 'The VM has other disks now than the parent has.',
  'disk-shrunk': 'A disk was smaller than in the parent, and a bitmap forgets what lay beyond the end.',
  'disk-resize-unknown': 'A disk was resized, and it is not known whether it was smaller in between.',
  'lineage-mismatch': 'What the host shows is not the disk or the bitmap that the books know.',
  'bitmap-missing': 'The bitmap of the parent is gone from a disk.',
  'bitmap-inconsistent': 'The bitmap of the parent was not closed properly, as after a crash of QEMU.',
  'bitmap-not-recording': 'The bitmap of the parent does not record writes.',
} as const;

/** Reasons of an incremental. */
export const INCREMENTAL_REASONS = {
  regular: 'The bitmap of the parent is ours by the books, and nothing that was seen speaks against it.',
  redefined:
    'libvirt had lost its record of the checkpoint, as after a restart; the bitmap had survived and was registered again.',
  rescued: 'The bitmap was lost; what differs was found by comparing the disk with the chain.',
} as const;

/** A reason of a full. */
export type FullReason = keyof typeof FULL_REASONS;
/** A reason of an incremental. */
export type IncrementalReason = keyof typeof INCREMENTAL_REASONS;
/** A reason of any backup. */
export type Reason = FullReason | IncrementalReason;

/** True when `text` is a reason of a full; what a host script reports is checked with it. */
export function isFullReason(text: string | null): text is FullReason {
  return text !== null && Object.hasOwn(FULL_REASONS, text);
}

/** The reason in one sentence for people. */
export function sentenceOf(reason: Reason): string {
  return isFullReason(reason) ? FULL_REASONS[reason] : INCREMENTAL_REASONS[reason];
}
