import 'reflect-metadata';
import { existsSync, mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client } from '../../src/cli/client';
import { bytes, table } from '../../src/cli/output';
import { startService } from '../../src/main';
import { loadConfig } from '../../src/platform/config/load-config';
import { Stage, type StageOptions } from './stage';
import { auditOf, deviations, playStory, type StoryPoint } from './story';

const USAGE = `npm run quickstart -- [--once] [--fake]
  Plays the story of one VM with two disks on a lab host of this machine: full, incremental, restart, stop, crash.
  Every restore point is compared byte for byte with what the disks held. Then the API stays up.
  --once  exit after the story: 0 when every point is identical, 1 when one byte differs
  --fake  on the fake host, where no real KVM host can be had`;

const FOLDER = 'chainkeeper-quickstart-';
const INTERRUPTED = 130;

const say = (text: string): void => void process.stdout.write(`${text}\n`);

/** What a model has shown is not to be taken for a real host's: every line of it says so. */
const sayOf = ({ lab: { kind } }: Stage) =>
  kind === 'real' ? say : (text: string) => say(text.replace(/^(?=.)/gm, 'FAKE HOST | '));

async function storyTable(client: Client, vm: string, points: readonly StoryPoint[]): Promise<string> {
  const audit = await auditOf(client, vm);
  return table(
    points.map((point, index) => ({ ...point, index, row: audit.get(point.backup.id) })),
    [
      { title: '#', of: ({ index }) => index + 1 },
      { title: 'TYPE', of: ({ backup }) => backup.type },
      { title: 'REASON', of: ({ backup }) => backup.reason },
      { title: 'SIZE', of: ({ backup }) => bytes(backup.size), right: true },
      { title: 'RECREATED', of: ({ backup }) => (backup.chain.bitmapRecreated ? `${backup.chain.recreateMethod}` : 'no') },
      { title: 'RESTARTS', of: ({ row }) => row?.restarts ?? null, right: true },
      { title: 'ASSURANCE', of: ({ backup }) => backup.assurance },
      { title: 'IDENTICAL', of: ({ identical }) => identical },
    ],
  );
}

/** A real host; where none can be had, the reason, and the fake one. */
async function openStage(asked: StageOptions): Promise<Stage> {
  if (asked.kind === 'real') {
    say('Preparing a lab host: libvirt, a VM with two disks, an sshd, an unprivileged user with one sudoers line.');
    try {
      return await Stage.open(asked);
    } catch (error) {
      say(`No KVM host can be had here: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
  say('NO REAL HOST: the story runs on the FAKE HOST, a model in memory. It shows the service, not your hypervisor.');
  return Stage.open({ ...asked, kind: 'fake' });
}

/** Folders of this user's quickstarts that were killed. Their labs go first (any lab removes those of the dead), for they may hold mounts. */
function sweep(): void {
  for (const name of readdirSync(tmpdir()).filter((entry) => entry.startsWith(FOLDER))) {
    const owner = Number(/^\d+/.exec(name.slice(FOLDER.length))?.[0]);
    const folder = join(tmpdir(), name);
    if (!owner || existsSync(`/proc/${owner}`) || existsSync(join(folder, 'lab'))) continue;
    if (statSync(folder).uid !== process.getuid?.()) continue;
    rmSync(folder, { recursive: true, force: true });
    say(`An earlier quickstart was killed; what it left is gone: ${folder}`);
  }
}

async function main(args: readonly string[]): Promise<number> {
  if (args.includes('--help')) {
    say(USAGE);
    return 0;
  }
  const unknown = args.filter((arg) => !['--once', '--fake'].includes(arg));
  if (unknown.length > 0) {
    process.stderr.write(`Unknown: ${unknown.join(' ')}\n${USAGE}\n`);
    return 2;
  }
  // Each signal only asks to stop, however often it comes: a terminal and npm send it more than once, and cleaning up takes its time.
  const stop = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => stop.abort());
  // Below /tmp because QEMU runs as its own user and must be able to reach its disks.
  const folder = mkdtempSync(join(tmpdir(), `${FOLDER}${process.pid}-`));
  say(`Everything of this quickstart lies in ${folder} and goes with it.`);
  try {
    const stage = await openStage({ kind: args.includes('--fake') ? 'fake' : 'real', folder, name: `q${process.pid}` });
    try {
      sweep();
      return await play(stage, folder, args.includes('--once'), stop.signal);
    } finally {
      say('\nCleaning up.');
      await stage.close();
      rmSync(folder, { recursive: true, force: true });
      say(`Nothing is left: the lab is down, ${folder} is gone. What was installed stays: node_modules, dist, packages.`);
    }
  } catch (error) {
    if (!stop.signal.aborted) throw error;
    return INTERRUPTED;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Plays the story, shows what came of it, and stays up until the signal unless it is to end at once. */
async function play(stage: Stage, folder: string, endAtOnce: boolean, stop: AbortSignal): Promise<number> {
  const tell = sayOf(stage);
  const tellOn = (text: string): void => {
    stop.throwIfAborted();
    tell(text);
  };
  const service = await startService(
    loadConfig({
      CHAINKEEPER_DB_PATH: join(folder, 'books.sqlite'),
      CHAINKEEPER_LOG_LEVEL: 'silent',
      CHAINKEEPER_POLL_MS: '50',
      CHAINKEEPER_HTTP_PORT: '0',
    }),
    stage.adapters,
  );
  try {
    const client = new Client({ url: service.url });
    await stage.register(client, { dialect: 'seed', fullEvery: 10 });
    say(`The service listens at ${service.url}, its books are SQLite.\n`);
    const points = await playStory(stage.story(client, tellOn));
    tell(`\n${await storyTable(client, stage.vm, points)}\n`);
    const wrong = deviations(points);
    for (const line of wrong) tell(`DIFFERS: ${line}`);
    tell(
      wrong.length === 0
        ? `All ${points.length} restore points are identical, byte for byte, with what the disks held.`
        : 'The story did not go as it must.',
    );
    if (!endAtOnce) {
      tell('\nThe service stays up until Ctrl-C. Look around, for example:');
      say(`  ${service.url}/api/docs`);
      for (const command of [
        `chain ${stage.vm}`,
        `explain ${points[2]?.backup.id ?? ''}`,
        `audit --vm ${stage.vm}`,
        `backup ${stage.vm} --wait`,
      ])
        say(`  CHAINKEEPER_URL=${service.url} node bin/chainkeeper.js ${command}`);
      if (!stop.aborted) await once(stop, 'abort');
    }
    return wrong.length === 0 ? 0 : 1;
  } finally {
    await service.close();
  }
}

main(process.argv.slice(2)).then(
  (code) => {
    process.exitCode = code;
  },
  (error: unknown) => {
    process.stderr.write(`${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
    process.exitCode = 1;
  },
);
