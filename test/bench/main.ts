import type { BenchResult } from './bench-result';
import { benchBackup } from './backup';
import { benchEngine } from './engine';
import { benchFairness } from './fairness';
import { benchGuest } from './guest';
import { benchPlanner } from './planner';
import { benchRestore } from './restore';
import { benchSsh } from './ssh';
import { benchStorm } from './storm';

/** `plot`: a file for a picture of it, where there is one to draw. */
type Bench = (quick: boolean, plot?: string) => Promise<BenchResult>;
const BENCHES: Readonly<Record<string, Bench>> = {
  ssh: benchSsh,
  backup: benchBackup,
  guest: benchGuest,
  restore: benchRestore,
  storm: benchStorm,
  planner: benchPlanner,
  engine: benchEngine,
  fairness: benchFairness,
};

async function main(): Promise<void> {
  const [name = ''] = process.argv.slice(2).filter((word) => !word.startsWith('--'));
  const bench = BENCHES[name];
  if (!bench) {
    process.stderr.write(`npm run bench -- NAME [--quick] [--plot=FILE]; there are: ${Object.keys(BENCHES).join(', ')}\n`);
    process.exitCode = 2;
    return;
  }
  const plot = process.argv.find((word) => word.startsWith('--plot='))?.slice('--plot='.length);
  const result = await bench(process.argv.includes('--quick'), plot);
  process.stdout.write(`${JSON.stringify(result)}\n`);
}

void main().catch((error: unknown) => {
  process.stderr.write(`${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
  process.exitCode = 1;
});
