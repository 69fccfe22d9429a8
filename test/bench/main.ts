import type { BenchResult } from './bench-result';
import { benchBackup } from './backup';
import { benchSsh } from './ssh';
import { benchStorm } from './storm';

const BENCHES: Readonly<Record<string, (quick: boolean) => Promise<BenchResult>>> = {
  ssh: benchSsh,
  backup: benchBackup,
  storm: benchStorm,
};

async function main(): Promise<void> {
  const [name = ''] = process.argv.slice(2).filter((word) => !word.startsWith('--'));
  const bench = BENCHES[name];
  if (!bench) {
    process.stderr.write(`npm run bench -- NAME [--quick]; there are: ${Object.keys(BENCHES).join(', ')}\n`);
    process.exitCode = 2;
    return;
  }
  const result = await bench(process.argv.includes('--quick'));
  process.stdout.write(`${JSON.stringify(result)}\n`);
}

void main().catch((error: unknown) => {
  process.stderr.write(`${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
  process.exitCode = 1;
});
