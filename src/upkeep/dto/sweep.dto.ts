import type { SweepAction } from '../../domain/agent/read-sweep';

/** One thing that was left behind. */
export class SweptItemDto {
  /** What it is: `mount`, `tmp-dir`, `scratch`, `secrets`, `work-dir`, `libvirt-job`, `paused-guest`, `stranger`, `bitmap`, `partial-directory` and others. */
  code!: string;
  /** Its path, or the VM that it is about. */
  subject!: string;
  /** `removed`, `would-be-removed` (dry run) or `left`: not safe, or it could not be removed. */
  action!: SweepAction;
  /** Why it is there, and what to do where it was left. */
  text!: string;
}

/** What a sweep found on a host and in the repositories of its VMs. */
export class SweepDto {
  /** Name of the host. */
  host!: string;
  /** Nothing was changed, only looked at. */
  dryRun!: boolean;
  /** Empty: nothing was left behind. */
  items!: SweptItemDto[];
}
