// After `npm ci` in a clone the command works at once. Without the compiler (npm ci --omit=dev, an image) there is nothing to do.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { root, run } from './lib/run.mjs';

const nest = join(root, 'node_modules/.bin/nest');
if (existsSync(nest) && existsSync(join(root, 'src/cli.ts'))) {
  process.exitCode = await run(nest, ['build']);
}
