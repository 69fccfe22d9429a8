import type { Random } from '../../fuzz/random';

/** Where an orchestrator can be struck, in the order in which a run comes there. */
export const MOMENTS = [
  // It has read what is due and made no run of it.
  'due',
  'queued',
  'claimed',
  'decided',
  // The host is being asked to start the job; its answer is not there yet.
  'starting',
  'begun',
  'copying',
  // The host has said that the job is done, and nobody has heard it.
  'done',
  // All is written, and not committed.
  'recording',
  'recorded',
  // The host is being asked to drop the parent's bitmap.
  'retiring',
  'retired',
] as const;
/** Where an orchestrator can be struck. */
export type Moment = (typeof MOMENTS)[number];

/** What happens once in a round, to whoever comes to the moment first, to the other, or to both. */
export interface Strike {
  readonly moment: Moment;
  /** Of the copy, where that is the moment. */
  readonly share: number;
  readonly whom: 'driver' | 'other' | 'both';
  /** `kill`: -9. `stop`: for longer than its lease, and then it goes on. */
  readonly how: 'kill' | 'stop';
  /** Whoever was killed is started again at once, not when the other is through. */
  readonly restartsAtOnce: boolean;
}

/** One minute of the schedules. */
export interface Round {
  /** Null: none is disturbed. */
  readonly strike: Strike | null;
  /** The schedules are changed while their runs go on. */
  readonly edited: boolean;
}

/** Moments at which the run is left in the middle: somebody has to take it over. */
const IN_THE_MIDDLE = MOMENTS.slice(MOMENTS.indexOf('claimed'), MOMENTS.indexOf('recording'));

/** The driver above all: whoever only watches has nothing to lose. */
const WHOM = ['driver', 'driver', 'driver', 'both', 'other'] as const;

/**
 * Killed and stopped by turns. In the first two rounds it is the driver in the middle of its run, however few rounds there are; from then on every
 * moment comes before any comes again. The last round is calm: after all that the next backup has to be true.
 */
export function drawRounds(rounds: number, random: Random): Round[] {
  const moments = [...deal(IN_THE_MIDDLE, 2, random), ...deal(MOMENTS, rounds, random)];
  const whom = ['driver', 'driver', ...deal(WHOM, rounds, random)] as const;
  const killsFirst = random.below(2);
  return Array.from({ length: rounds }, (_, round) => {
    const [moment = 'due', who = 'driver'] = [moments[round], whom[round]];
    const how = (round + killsFirst) % 2 === 0 ? 'kill' : 'stop';
    const strike = { moment, share: 0.1 + 0.8 * random.next(), whom: who, how, restartsAtOnce: random.oneIn(2) } as const;
    return { strike: round === rounds - 1 ? null : strike, edited: random.oneIn(4) };
  });
}

/** So many of them, shuffled pack after pack. */
function deal<T>(pack: readonly T[], howMany: number, random: Random): T[] {
  const dealt: T[] = [];
  while (dealt.length < howMany) {
    const left = [...pack];
    while (left.length > 0) dealt.push(...left.splice(random.below(left.length), 1));
  }
  return dealt.slice(0, howMany);
}
