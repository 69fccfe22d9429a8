import { mkdirSync, writeFileSync } from 'node:fs';
import { appendFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { BenchResult } from './bench-result';
import { feltOf, type Felt, latenciesOf, type Sample, watchWrites } from './guest-watch';
import { HostScript } from './host-script';
import { type Panel, plotLatency } from './latency-plot';
import { onBenchLab } from './on-bench-lab';
import { median, round } from './rounds';

const MIB = 1024 * 1024;
const VM = 'i-2-78-VM';
const LINE = 'guest';
/** Bytes a second to the NAS while an incremental is taken. */
const SPEED = '4M';
/** What the incremental copies before it comes to where the guest writes. */
const CHANGED = '24M';
/** ms that the guest is watched before and after a backup. */
const AROUND = 2_000;
const WAYS = ['baseline', 'push', 'pull'] as const;
type Name = (typeof WAYS)[number];

interface Turn {
  readonly felt: Felt;
  readonly panel: Panel;
}

/**
 * What a guest that writes all the time feels of an incremental to a slow NAS: no backup at all, QEMU writing the NAS itself, and our readers
 * with the NAS out of its way. Of each round the guest is the same, and so is what is copied.
 */
export const benchGuest = (quick: boolean, plot?: string): Promise<BenchResult> =>
  onBenchLab(async (lab) => {
    await appendFile(`${lab.folder}/host/host.conf`, 'reserve_bytes=0\n');
    const nas = (await lab.verb('nas-slow', LINE)).trim();
    await lab.vmCreate(VM, [{ target: 'vda', size: 128 * MIB }]);
    await lab.verb('write', VM, 'vda', '0x11', '4M', '100M');
    await lab.verb('boot-writer', VM, '64M');
    await lab.vmStart(VM);
    const script = new HostScript(lab, VM);
    await script.full(nas);

    const turns = new Map<Name, Turn[]>(WAYS.map((name) => [name, []]));
    const rounds = quick ? 2 : 5;
    for (let around = 0; around < rounds; around += 1) {
      for (let index = 0; index < WAYS.length; index += 1) {
        const name = WAYS[(index + around) % WAYS.length] as Name;
        await lab.verb('write', VM, 'vda', `0x${(0x20 + around * 3 + index).toString(16)}`, '4M', CHANGED);
        turns.get(name)?.push(
          await turn(
            name,
            () => script.incremental(nas, '--transfer', name),
            (speed) => lab.verb('nas-speed', LINE, speed),
          ),
        );
      }
    }
    const of = (name: Name, figure: keyof Felt): number => median((turns.get(name) ?? []).map(({ felt }) => felt[figure]));
    const ratio = (figure: keyof Felt, a: Name, b: Name): number => round(of(a, figure) / of(b, figure));
    if (plot !== undefined) {
      mkdirSync(dirname(plot), { recursive: true });
      writeFileSync(plot, plotLatency(WAYS.flatMap((name) => turns.get(name)?.[0]?.panel ?? [])));
    }
    return {
      bench: 'guest',
      ratios: {
        pull_gap_vs_push: ratio('longestGapMs', 'pull', 'push'),
        push_gap_vs_baseline: ratio('longestGapMs', 'push', 'baseline'),
        pull_gap_vs_baseline: ratio('longestGapMs', 'pull', 'baseline'),
        pull_writes_vs_push: ratio('writesPerSecond', 'pull', 'push'),
      },
      values: Object.fromEntries(
        WAYS.map((name) => [
          name,
          Object.fromEntries(
            (['seconds', 'writesPerSecond', 'longestGapMs', 'slowestWriteMs'] as const).map((figure) => [
              figure,
              round(of(name, figure)),
            ]),
          ),
        ]),
      ),
      limit: { what: 'bytes a second to the NAS; the guest writes a cluster at each of its 18 ticks a second', nas: SPEED },
    };
  });

const TITLES: Readonly<Record<Name, string>> = {
  baseline: 'No backup: how long each write of the guest took',
  push: 'Incremental by push (shaded): QEMU writes the NAS itself, at 4 MiB/s',
  pull: 'Incremental by pull (shaded): our readers write the same NAS',
};

/** @param backup is taken unless this is the baseline, which is watched for as long as the copy takes at least */
async function turn(name: Name, backup: () => Promise<unknown>, speed: (to: string) => Promise<unknown>): Promise<Turn> {
  const run = { from: 0, to: 0 };
  let watched: Sample[] = [];
  await speed(SPEED);
  try {
    watched = await watchWrites(VM, 'vda', async () => {
      const began = performance.now();
      await sleep(AROUND);
      run.from = performance.now() - began;
      await (name === 'baseline' ? sleep(8_000) : backup());
      run.to = performance.now() - began;
      await sleep(AROUND);
    });
  } finally {
    await speed('unlimited');
  }
  const during = watched.filter(({ at }) => at >= run.from && at <= run.to);
  return {
    felt: feltOf(during),
    panel: { title: TITLES[name], points: latenciesOf(watched), run: name === 'baseline' ? null : run },
  };
}
