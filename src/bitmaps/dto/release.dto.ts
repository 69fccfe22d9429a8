/** One bitmap that was taken off a VM, or with a dry run would be. */
export class ReleasedBitmapDto {
  /** Its name, `backup-<seconds>`. */
  name!: string;
  /** Targets of the disks that it was on; of a stopped VM their paths. */
  disks!: string[];
  /** libvirt had a checkpoint of this name. */
  checkpoint!: boolean;
}

/** What was taken off a VM, or with a dry run would be. */
export class ReleaseDto {
  /** libvirt's name of the VM. */
  vm!: string;
  /** Its state meanwhile: `running`, `paused` or `shut off`; null: the host did not say. */
  state!: string | null;
  /** Nothing was changed, only looked at. */
  dryRun!: boolean;
  /** Bitmaps of ours; those of other tools stay. */
  bitmaps!: ReleasedBitmapDto[];
  /** Bitmap that the next incremental would have gone by; null: there was none. After the release the next backup is a full. */
  activeCheckpoint!: string | null;
}
