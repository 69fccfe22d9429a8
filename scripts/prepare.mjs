// After `npm ci` in a clone the command works at once. Without the compiler (npm ci --omit=dev, an image) there is nothing to do.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { root, run } from './lib/run.mjs';

const tsc = join(root, 'node_modules/typescript/bin/tsc');
if (existsSync(tsc) && existsSync(join(root, 'src/cli.ts'))) {
  process.exitCode = await run(process.execPath, [tsc, '-p', 'tsconfig.build.json']);
}
