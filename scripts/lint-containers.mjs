// The compose files against the compose schema, Dockerfile against Docker's grammar. No Docker engine is needed.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import dockerfile from 'dockerfile-utils';
import { root, run, say } from './lib/run.mjs';

const findings = dockerfile.validate(readFileSync(join(root, 'Dockerfile'), 'utf8'));
for (const { range, message } of findings) say(`Dockerfile:${range.start.line + 1}: ${message}`);
const compose = await run(join(root, 'node_modules/.bin/dclint'), [
  '--max-warnings',
  '0',
  'docker-compose.yml',
  'docker-compose.several.yml',
]);
process.exitCode = findings.length === 0 && compose === 0 ? 0 : 1;
