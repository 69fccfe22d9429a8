// All the set-up there is: Node's version, npm packages, the build, the parts of the system. Quick when nothing is to be done.
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { giveUp, root, run, say } from './run.mjs';
import { ensureGuest, ensureSystemParts, installPackages, missingCompilers } from './system-parts.mjs';

const installed = join(root, 'node_modules/.chainkeeper-installed');
const built = join(root, 'dist/.chainkeeper-built');

function checkNode() {
  const [major, minor] = process.versions.node.split('.').map(Number);
  if (major > 20 || (major === 20 && minor >= 19)) return;
  giveUp(`Node ${process.versions.node} is too old: Chainkeeper needs Node 20.19 or newer (20, 22 and 24 are tested).`);
}

/** From Node-API 10 on the embedded database comes compiled (src/database/sqlite-driver.ts), and no other package has to be. */
const compiled = Number(process.versions.napi) >= 10;

/** Changes with the lock file, with Node's binary interface and with what of it is asked for. */
function installStamp() {
  const lock = readFileSync(join(root, 'package-lock.json'));
  return createHash('sha256').update(lock).update(`${process.versions.modules} ${compiled}`).digest('hex');
}

const read = (file) => (existsSync(file) ? readFileSync(file, 'utf8') : '');

async function ensurePackages() {
  const stamp = installStamp();
  if (read(installed) === stamp) return;
  say(existsSync(installed) ? 'npm packages are stale: npm ci' : 'npm packages are missing: npm ci (a minute or two)');
  const npmCi = () => run('npm', ['ci', '--no-audit', '--no-fund', '--loglevel=error', `--ignore-scripts=${compiled}`]);
  let code = await npmCi();
  const compilers = missingCompilers();
  if (code !== 0 && compilers.length > 0) {
    // better-sqlite3 compiles itself where its prebuilt binary cannot be fetched.
    if (await installPackages(compilers, 'The embedded database has to be compiled here')) code = await npmCi();
  }
  if (code !== 0) giveUp(`npm ci failed (exit ${code}); its own words are above. Nothing else was changed.`);
  writeFileSync(installed, stamp);
}

/** The newest change under a folder, in ms. */
function newest(path) {
  const stat = statSync(path);
  if (!stat.isDirectory()) return stat.mtimeMs;
  return readdirSync(path).reduce((latest, name) => Math.max(latest, newest(join(path, name))), stat.mtimeMs);
}

async function ensureBuild() {
  const sources = [
    'src',
    'migrations',
    'test/lab',
    'test/story',
    'test/bench',
    'tsconfig.json',
    'tsconfig.build.json',
    'nest-cli.json',
    'package.json',
  ];
  const latest = Math.max(
    ...sources
      .map((name) => join(root, name))
      .filter(existsSync)
      .map(newest),
  );
  if (existsSync(built) && statSync(built).mtimeMs > latest) return;
  say('Building (some seconds)');
  const code = await run(join(root, 'node_modules/.bin/nest'), ['build']);
  if (code !== 0) giveUp(`The build failed (exit ${code}); the compiler's words are above.`);
  mkdirSync(join(root, 'dist'), { recursive: true });
  writeFileSync(built, new Date().toISOString());
}

/**
 * Does all the set-up for a purpose (`quickstart`, `test` or `bench`).
 * Answers the system parts that are still missing, for the caller to judge.
 */
export async function setup(purpose) {
  checkNode();
  await ensurePackages();
  await ensureBuild();
  const missing = await ensureSystemParts(purpose);
  if (purpose === 'test' && missing.length === 0) await ensureGuest();
  return missing;
}
