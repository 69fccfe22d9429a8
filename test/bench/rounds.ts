import { readFileSync } from 'node:fs';

/** One of several ways to do the same. */
export interface Contender {
  readonly name: string;
  /** Does it once; throws when it failed: a failure is not quick. */
  once(): Promise<void>;
  /** How many at once it is tried with; the best is used. */
  readonly widths: readonly number[];
  /** How often a round does it. */
  readonly times: number;
}

/** What was measured of one contender. */
export interface Measured {
  /** How many at once. */
  readonly width: number;
  /** Median over the rounds. */
  readonly perSecond: number;
  /** Of all rounds, in ms. */
  readonly p50: number;
  readonly p99: number;
  /** CPU seconds of this process and of its children, per 1,000. */
  readonly cpuPer1000: number;
}

/**
 * Measures contenders against each other: in every round each has its turn, and the order turns, so that what else the machine does meets
 * all of them alike.
 */
export async function measure(contenders: readonly Contender[], rounds: number): Promise<Map<string, Measured>> {
  const widths = new Map<string, number>();
  for (const contender of contenders) {
    let best = { width: 0, perSecond: 0 };
    for (const width of contender.widths) {
      const { perSecond } = await turn(contender, width);
      if (perSecond > best.perSecond) best = { width, perSecond };
    }
    widths.set(contender.name, best.width);
  }
  const turns = new Map(contenders.map(({ name }) => [name, [] as Turn[]]));
  for (let round = 0; round < rounds; round += 1) {
    for (let index = 0; index < contenders.length; index += 1) {
      const contender = contenders[(index + round) % contenders.length] as Contender;
      turns.get(contender.name)?.push(await turn(contender, widths.get(contender.name) ?? 1));
    }
  }
  return new Map([...turns].map(([name, all]) => [name, sum(all, widths.get(name) ?? 1)]));
}

interface Turn {
  readonly perSecond: number;
  readonly ms: number[];
  readonly cpu: number;
}

async function turn({ once, times }: Contender, width: number): Promise<Turn> {
  const ms: number[] = [];
  let left = times;
  const worker = async (): Promise<void> => {
    while (left > 0) {
      left -= 1;
      const began = performance.now();
      await once();
      ms.push(performance.now() - began);
    }
  };
  const cpu = cpuSeconds();
  const began = performance.now();
  await Promise.all(Array.from({ length: width }, worker));
  return { perSecond: (1000 * times) / (performance.now() - began), ms, cpu: cpuSeconds() - cpu };
}

function sum(turns: readonly Turn[], width: number): Measured {
  const ms = turns.flatMap((one) => one.ms).sort((a, b) => a - b);
  const cpu = turns.reduce((total, one) => total + one.cpu, 0);
  return {
    width,
    perSecond: round(median(turns.map((one) => one.perSecond))),
    p50: round(median(ms)),
    p99: round(ms[Math.min(ms.length - 1, Math.floor(ms.length * 0.99))] ?? 0),
    cpuPer1000: round((1000 * cpu) / ms.length),
  };
}

/** Of this process, or of another, and of those of its children that have ended. */
export function cpuSeconds(pid: number | 'self' = 'self'): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  // utime, stime, cutime, cstime in ticks of 10 ms: proc_pid_stat(5).
  return [11, 12, 13, 14].reduce((total, at) => total + Number(fields[at]) / 100, 0);
}

/** The one in the middle. */
export const median = (values: readonly number[]): number =>
  [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;

/** To three digits that mean something. */
export const round = (value: number): number => Number(value.toPrecision(3));
