import { mkdirSync, writeFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { BenchResult } from './bench-result';
import { type Place, playScene, settle, type Way } from './guest-scene';
import { SITUATIONS } from './guest-situations';
import { HostScript } from './host-script';
import { type Panel, plotLatency, type Row } from './latency-plot';
import { onBenchLab } from './on-bench-lab';
import { median, round } from './rounds';
import { type Felt, WatchedGuest } from './watched-guest';

const VM = 'i-2-78-VM';
const LINE = 'guest';
/** Bytes a second to the NAS while an incremental is taken. */
const SPEED = '4M';
/** ms that the guest is watched with no backup; what it writes then is what the incremental copies. */
const BETWEEN = 10_000;
const NAMES = ['baseline', 'push', 'pull'] as const;
type Name = (typeof NAMES)[number];

/**
 * What a guest that writes all the time feels of an incremental to a slow NAS, by its own log: no backup at all, QEMU writing the NAS itself,
 * and our readers with the NAS out of its way. In the full form, and for a picture, it goes through every trouble as well.
 */
export const benchGuest = (quick: boolean, plot?: string): Promise<BenchResult> =>
  onBenchLab(async (lab) => {
    const place = { lab, line: LINE, nas: (await lab.verb('nas-slow', LINE)).trim() };
    await settle(place);
    const felt = await incrementals(place, quick ? 2 : 5);
    const rows = quick && plot === undefined ? [] : await situations(place);
    if (plot !== undefined) {
      mkdirSync(dirname(plot), { recursive: true });
      writeFileSync(
        plot,
        plotLatency(['Push: QEMU writes the NAS itself', 'Pull: our readers copy, apart from the guest'], rows),
      );
    }
    const of = (name: Name, figure: keyof Felt): number => median(felt[name].map((one) => one[figure]));
    const ratio = (figure: keyof Felt, a: Name, b: Name): number => round(of(a, figure) / of(b, figure));
    const figures = (name: Name): Felt => ({
      seconds: round(of(name, 'seconds')),
      writesPerSecond: round(of(name, 'writesPerSecond')),
      longestGapMs: of(name, 'longestGapMs'),
      slowestWriteMs: of(name, 'slowestWriteMs'),
    });
    return {
      bench: 'guest',
      ratios: {
        pull_gap_vs_push: ratio('longestGapMs', 'pull', 'push'),
        push_gap_vs_baseline: ratio('longestGapMs', 'push', 'baseline'),
        pull_gap_vs_baseline: ratio('longestGapMs', 'pull', 'baseline'),
        pull_writes_vs_push: ratio('writesPerSecond', 'pull', 'push'),
      },
      values: {
        ...Object.fromEntries(NAMES.map((name) => [name, figures(name)])),
        longestGapMs: Object.fromEntries(
          rows.map(({ title, panels: [push, pull] }) => [title, { push: push?.longestGapMs, pull: pull?.longestGapMs }]),
        ),
      },
      limit: { what: 'bytes a second to the NAS; the guest writes 16 KiB and waits 20 ms, one at a time', nas: SPEED },
    };
  });

/** In each turn the guest is watched without a backup, and then during an incremental of what it has written. */
async function incrementals(place: Place, rounds: number): Promise<Record<Name, Felt[]>> {
  const { lab, nas } = place;
  const guest = await WatchedGuest.start(lab, VM);
  const script = new HostScript(lab, VM);
  const felt: Record<Name, Felt[]> = { baseline: [], push: [], pull: [] };
  const during = async (name: Name, work: () => Promise<unknown>): Promise<{ first: number; last: number }> => {
    const first = guest.acked;
    await work();
    const last = guest.acked;
    await lab.verb('nas-speed', LINE, 'unlimited');
    await guest.goesOn();
    felt[name].push(await guest.felt(first, last + 1));
    return { first, last };
  };
  try {
    for (let turn = 0; turn < 2 * rounds; turn += 1) {
      // push, pull, pull, push
      const way: Way = turn % 4 === 0 || turn % 4 === 3 ? 'push' : 'pull';
      await script.full(nas);
      await guest.goesOn();
      await during('baseline', () => sleep(BETWEEN));
      await lab.verb('nas-speed', LINE, SPEED);
      const { first, last } = await during(way, () => script.incremental(nas, '--transfer', way));
      await guest.same(join(nas, script.file), first, last + 1);
      await script.release();
      await rm(join(nas, VM), { recursive: true });
    }
    await guest.end();
  } finally {
    guest.leave();
  }
  return felt;
}

async function situations(place: Place): Promise<Row[]> {
  const rows: Row[] = [];
  for (const situation of SITUATIONS) {
    const scene = (way: Way): Promise<Panel> => playScene(place, `i-2-${79 + rows.length}-VM`, way, situation);
    // A push needs no scratch directory that could fill.
    rows.push({ title: situation.title, panels: [situation.scratchMiB ? null : await scene('push'), await scene('pull')] });
  }
  return rows;
}
