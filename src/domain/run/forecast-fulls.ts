import type { Dialect } from '../agent/facts';

/** A VM of a host that was restarted, as the books know it. */
export interface RestartedVm {
  readonly vm: string;
  /** It is up again. */
  readonly running: boolean;
  /** The books have a bitmap that its next incremental could build on. */
  readonly hasCheckpoint: boolean;
  /** Who takes its backups: our script, or a stock one of this dialect. */
  readonly script: 'ours' | Dialect;
  /** Ours can look at it too. */
  readonly looked: boolean;
  readonly onLostBitmap: 'full' | 'rescue';
  /** How long a full of it takes, by its last; null: nobody has seen one. */
  readonly fullSeconds: number | null;
}

/** How a storm of fulls is spread. */
export interface FullsPolicy {
  readonly atOnce: number;
  /** That begin within an hour. */
  readonly perHour: number;
}

/** A full that is to come, and when it can begin. */
export interface ComingFull {
  readonly vm: string;
  /** Seconds from now. */
  readonly inSeconds: number;
  readonly sentence: string;
}

/** What the restart of a host costs. */
export interface FullsForecast {
  readonly fulls: readonly ComingFull[];
  /** Those that need none, and why. */
  readonly spared: readonly { readonly vm: string; readonly sentence: string }[];
  /** All of it in one sentence. */
  readonly sentence: string;
}

/** Taken for a full that nobody has seen. */
const UNKNOWN_SECONDS = 3600;
const HOUR = 3600;

/**
 * Which VMs of a host need a full after its restart, and how they are spread.
 * @param clean the guests were shut down before, so that QEMU has written their bitmaps back; false: the host went down with them
 */
export function forecastFulls(vms: readonly RestartedVm[], clean: boolean, policy: FullsPolicy): FullsForecast {
  const judged = vms.map((vm) => ({ vm, ...nextOf(vm, clean) }));
  const needy = judged.filter(({ full }) => full);
  // Until when each of the places is taken, and when each full began.
  const places = Array.from({ length: Math.max(1, policy.atOnce) }, () => 0);
  const begun: number[] = [];
  const fulls = needy.map(({ vm, sentence }): ComingFull => {
    const place = places.indexOf(Math.min(...places));
    const anHourAfter = begun[begun.length - Math.max(1, policy.perHour)];
    const inSeconds = Math.max(places[place] ?? 0, anHourAfter === undefined ? 0 : anHourAfter + HOUR);
    begun.push(inSeconds);
    places[place] = inSeconds + (vm.fullSeconds ?? UNKNOWN_SECONDS);
    return { vm: vm.vm, inSeconds, sentence };
  });
  const spared = judged.filter(({ full }) => !full).map(({ vm, sentence }) => ({ vm: vm.vm, sentence }));
  const hours = Math.ceil(Math.max(0, ...places) / HOUR);
  const plan = `at most ${policy.atOnce} at once and ${policy.perHour} an hour, so the last has ended after ${hours} h`;
  const many = `${fulls.length} of ${vms.length} VMs need a full`;
  return { fulls, spared, sentence: fulls.length === 0 ? `${many}.` : `${many}: ${plan}.` };
}

/** What the next backup of a VM is, and why. */
function nextOf(vm: RestartedVm, clean: boolean): { readonly full: boolean; readonly sentence: string } {
  const full = (sentence: string): { full: boolean; sentence: string } => ({ full: true, sentence });
  if (!vm.hasCheckpoint) return full('No bitmap of it is in the books, restart or not.');
  if (!vm.running) return full('It is stopped, and a stopped VM is copied whole.');
  const registersAgain = vm.script === 'ours' || (vm.script === 'final' && vm.looked);
  if (!registersAgain) return full(`The stock script (${vm.script}) cannot go on with a bitmap after a restart.`);
  if (clean) return { full: false, sentence: 'Its bitmap was written back when it was shut down, and is registered again.' };
  if (vm.script === 'ours' && vm.onLostBitmap === 'rescue')
    return {
      full: false,
      sentence: 'Its bitmap is lost: it is compared with its chain, which reads all of it and writes little.',
    };
  return full('Its bitmap went down with the host.');
}
