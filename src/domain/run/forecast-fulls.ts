import type { Dialect } from '../agent/facts';

/** A VM of a host that was restarted, as the books know it. */
export interface RestartedVm {
  readonly vm: string;
  /** It is up again. */
  readonly running: boolean;
  /** Its offering takes incrementals. */
  readonly incrementals: boolean;
  /** The books have a bitmap that its next incremental could build on. */
  readonly hasCheckpoint: boolean;
  /** Who takes its backups: our script, or a stock one of this dialect. */
  readonly script: 'ours' | Dialect;
  /** Ours can look at it too. */
  readonly looked: boolean;
  readonly onLostBitmap: 'full' | 'rescue';
  /** How long a full of it takes, by its last; null: nobody has seen one. */
  readonly fullSeconds: number | null;
  /** Seconds until its next backup is due, 0 where it is; null: no schedule asks for one. */
  readonly dueInSeconds: number | null;
}

/** How many fulls of one host go on at once, and whose places these are, for people. */
export interface FullPlaces {
  readonly atOnce: number;
  readonly of: string;
}

/** A full that is to come. */
export interface ComingFull {
  readonly vm: string;
  /** Seconds from now until it begins; null: when somebody asks for it. */
  readonly inSeconds: number | null;
  /** Why it is a full. */
  readonly sentence: string;
}

/** What the restart of a host costs. */
export interface FullsForecast {
  /** In the order in which they begin. */
  readonly fulls: readonly ComingFull[];
  /** Those that need none, and why. */
  readonly spared: readonly { readonly vm: string; readonly sentence: string }[];
  /** All of it in one sentence. */
  readonly sentence: string;
}

/** Taken for a full that nobody has seen. */
const UNKNOWN_SECONDS = 3600;

/**
 * Which VMs of a host need a full after its restart, and how they are spread: each begins when its backup is due and a place for it is free.
 * @param clean the guests were shut down before, so that QEMU has written their bitmaps back; false: the host went down with them
 */
export function forecastFulls(vms: readonly RestartedVm[], clean: boolean, { atOnce, of }: FullPlaces): FullsForecast {
  const judged = vms.map((vm) => ({ ...vm, ...nextOf(vm, clean) }));
  const needy = judged.filter(({ full }) => full).sort((a, b) => dueOf(a) - dueOf(b));
  // Until when each of the places is taken.
  const places = Array.from({ length: Math.min(atOnce, needy.length) }, () => 0);
  const fulls = needy.map(({ vm, sentence, fullSeconds, dueInSeconds }): ComingFull => {
    if (dueInSeconds === null) return { vm, inSeconds: null, sentence };
    const place = places.indexOf(Math.min(...places));
    const inSeconds = Math.max(places[place] ?? 0, dueInSeconds);
    places[place] = inSeconds + (fullSeconds ?? UNKNOWN_SECONDS);
    return { vm, inSeconds, sentence };
  });
  const spared = judged.filter(({ full }) => !full).map(({ vm, sentence }) => ({ vm, sentence }));
  const hours = Math.ceil(Math.max(0, ...places) / 3600);
  const asked = fulls.filter(({ inSeconds }) => inSeconds === null).length;
  const sentence = [
    `${fulls.length} of ${vms.length} VMs need a full`,
    ...(asked === fulls.length ? [] : [`: ${atOnce} at once at most (places of ${of}), and the last has ended after ${hours} h`]),
    ...(asked === 0 ? [] : [`; ${asked} of them when somebody asks, for no schedule does`]),
    '.',
  ].join('');
  return { fulls, spared, sentence };
}

const dueOf = ({ dueInSeconds }: RestartedVm): number => dueInSeconds ?? Number.MAX_SAFE_INTEGER;

/** What the next backup of a VM is, and why. */
function nextOf(vm: RestartedVm, clean: boolean): { readonly full: boolean; readonly sentence: string } {
  const full = (sentence: string): { full: boolean; sentence: string } => ({ full: true, sentence });
  if (!vm.incrementals) return full('Its offering takes no incrementals, restart or not.');
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
