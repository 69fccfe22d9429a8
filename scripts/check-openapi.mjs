// Holds docs/openapi.json against what the built program describes. The comments of the DTOs are in it, and only the build knows them.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { capture, root, say } from './lib/run.mjs';

const { code, out, err } = capture(process.execPath, [join(root, 'bin/chainkeeper.js'), 'openapi']);
if (code !== 0) say(err);
const same = code === 0 && out === readFileSync(join(root, 'docs/openapi.json'), 'utf8');
if (!same) say('docs/openapi.json is not what the code describes. Refresh it with: npm run openapi');
process.exitCode = same ? 0 : 1;
