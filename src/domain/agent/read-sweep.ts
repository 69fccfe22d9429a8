import { flag, list, object, oneOf, orElse, type Reading, readJson, required, text, version1 } from './json-shape';

/** What became of something that was left behind. */
export const SWEEP_ACTIONS = ['removed', 'would-be-removed', 'left'] as const;
/** `left`: not safe to remove, or it could not be. */
export type SweepAction = (typeof SWEEP_ACTIONS)[number];

/** One thing that was left behind. */
export interface SweptItem {
  /** Stable: `mount`, `tmp-dir`, `scratch`, `secrets`, `work-dir`, `libvirt-job`, `paused-guest`, `restore`, `stranger`, `libvirt-silent`. */
  readonly code: string;
  /** Path or VM. */
  readonly subject: string;
  readonly action: SweepAction;
  /** Why it is there, and what to do where it was left; one sentence. */
  readonly text: string;
}

/** The answer of `sweep`. */
export interface HostSweep {
  readonly dryRun: boolean;
  readonly items: readonly SweptItem[];
}

const sweep = object<HostSweep & { v: 1 }>({
  v: version1,
  dryRun: flag,
  items: list(
    object<SweptItem>({
      code: required(text),
      subject: required(text),
      // What we do not understand was not removed for all we know.
      action: orElse(oneOf(SWEEP_ACTIONS), 'left'),
      text: required(text),
    }),
  ),
});

/** Reads the answer of `sweep`. */
export const readSweep = (json: string): Reading<HostSweep> => readJson(json, sweep);
