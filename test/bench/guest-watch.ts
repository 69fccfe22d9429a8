import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';

/** What QEMU has counted of a disk at one moment. */
export interface Sample {
  /** ms since the watch began. */
  readonly at: number;
  /** Writes that QEMU told the guest are done. */
  readonly writes: number;
  /** ns that they took, in all. */
  readonly ns: number;
}

/** Often enough to see each write of a guest that makes 18 a second. */
const EVERY_MS = 50;

/** Watches a guest's writes while something is done, by libvirt's counters: the guest does not notice. */
export async function watchWrites(vm: string, disk: string, work: () => Promise<void>): Promise<Sample[]> {
  // One open shell: a process for each question would take longer than the pause between them.
  const virsh = spawn('virsh', ['-q', '-c', 'qemu:///system'], { stdio: ['pipe', 'pipe', 'ignore'] });
  const began = performance.now();
  const samples: Sample[] = [];
  let writes: number | null = null;
  createInterface({ input: virsh.stdout }).on('line', (line) => {
    const [, name, value] = /\b(wr_req|wr_total_times) (\d+)/.exec(line) ?? [];
    if (name === 'wr_req') writes = Number(value);
    if (name !== 'wr_total_times' || writes === null) return;
    samples.push({ at: performance.now() - began, writes, ns: Number(value) });
    writes = null;
  });
  const asking = setInterval(() => virsh.stdin.write(`domblkstat ${vm} ${disk}\n`), EVERY_MS);
  try {
    await work();
    await sleep(4 * EVERY_MS);
  } finally {
    clearInterval(asking);
    virsh.stdin.end('quit\n');
    await new Promise((ended) => virsh.once('close', ended));
  }
  return samples;
}

/** How a guest's writes went. */
export interface Felt {
  readonly seconds: number;
  readonly writesPerSecond: number;
  /** Longest time in which no write was seen to be done. */
  readonly longestGapMs: number;
  /** Longest that a write took: of those done between two samples, their mean. */
  readonly slowestWriteMs: number;
}

/**
 * Reads the samples. A gap reaches from the first to the last sample of one count, so that a late answer of libvirt is none.
 */
export function feltOf(samples: readonly Sample[]): Felt {
  const [first, last] = [samples[0], samples.at(-1)];
  if (!first || !last || last.at === first.at) throw new Error('nothing was seen of the guest');
  let [gap, since] = [0, first];
  for (const sample of samples) {
    if (sample.writes !== since.writes) since = sample;
    gap = Math.max(gap, sample.at - since.at);
  }
  const seconds = (last.at - first.at) / 1000;
  return {
    seconds,
    writesPerSecond: (last.writes - first.writes) / seconds,
    longestGapMs: gap,
    slowestWriteMs: Math.max(0, ...latenciesOf(samples).map(({ ms }) => ms)),
  };
}

/** How long the writes took that were done between two samples, in their mean. */
export function latenciesOf(samples: readonly Sample[]): { readonly at: number; readonly ms: number }[] {
  return samples.slice(1).flatMap(({ at, writes, ns }, index) => {
    const before = samples[index];
    return before === undefined || writes === before.writes
      ? []
      : [{ at, ms: (ns - before.ns) / (writes - before.writes) / 1e6 }];
  });
}
