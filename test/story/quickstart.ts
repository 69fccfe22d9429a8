import 'reflect-metadata';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client } from '../../src/cli/client';
import { bytes, table } from '../../src/cli/output';
import { startService } from '../../src/main';
import { loadConfig } from '../../src/platform/config/load-config';
import { Stage, type StageKind } from './stage';
import { auditOf, deviations, playStory, type StoryPoint } from './story';

const USAGE = `npm run quickstart -- [--once] [--fake]
  Plays the story of one VM with two disks on a lab host of this machine: full, incremental, restart, stop, crash.
  Every restore point is compared byte for byte with what the disks held. Then the API stays up.
  --once  exit after the story: 0 when every point is identical, 1 when one byte differs
  --fake  on the fake host, where no real KVM host can be had`;

const say = (text: string): void => void process.stdout.write(`${text}\n`);

async function storyTable(client: Client, vm: string, points: readonly StoryPoint[], label: string): Promise<string> {
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
      { title: `IDENTICAL${label}`, of: ({ identical }) => identical },
    ],
  );
}

/** Stays up until the user has seen enough. */
const untilStopped = (): Promise<void> =>
  new Promise((done) => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => done());
  });

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
  const kind: StageKind = args.includes('--fake') ? 'fake' : 'real';
  // Below /tmp because QEMU runs as its own user and must be able to reach its disks.
  const folder = mkdtempSync(join(tmpdir(), 'chainkeeper-quickstart-'));
  say(`Everything of this quickstart lies in ${folder} and goes with it.`);
  say(
    kind === 'real'
      ? 'Preparing a lab host: libvirt, a VM with two disks, an sshd, an unprivileged user with one sudoers line.'
      : 'NO REAL HOST: the story runs on the FAKE HOST, a model in memory. It shows the service, not your hypervisor.',
  );
  const label = kind === 'real' ? '' : ' (FAKE HOST)';
  const stage = await Stage.open({ kind, folder, name: `q${process.pid}` });
  let code = 1;
  try {
    const config = loadConfig({
      CHAINKEEPER_DB_PATH: join(folder, 'books.sqlite'),
      CHAINKEEPER_LOG_LEVEL: 'silent',
      CHAINKEEPER_POLL_MS: '50',
      ...(args.includes('--once') ? { CHAINKEEPER_HTTP_PORT: '0' } : {}),
    });
    const service = await startService(config, stage.adapters);
    try {
      const client = new Client({ url: service.url });
      await stage.register(client, { dialect: 'seed', fullEvery: 10 });
      say(`The service listens at ${service.url}, its books are SQLite.\n`);
      const points = await playStory(stage.story(client, say));
      say(`\n${await storyTable(client, stage.vm, points, label)}\n`);
      const wrong = deviations(points);
      for (const line of wrong) say(`DIFFERS: ${line}`);
      code = wrong.length === 0 ? 0 : 1;
      say(
        code === 0
          ? `All ${points.length} restore points are identical, byte for byte, with what the disks held${label}.`
          : `The story did not go as it must${label}.`,
      );
      if (!args.includes('--once')) {
        say(`\nThe service stays up until Ctrl-C. Look around, for example:`);
        say(`  ${service.url}/api/docs`);
        for (const command of [
          `chain ${stage.vm}`,
          `explain ${points[2]?.backup.id ?? ''}`,
          `audit --vm ${stage.vm}`,
          `backup ${stage.vm} --wait`,
        ])
          say(`  CHAINKEEPER_URL=${service.url} node bin/chainkeeper.js ${command}`);
        await untilStopped();
      }
    } finally {
      await service.close();
    }
  } finally {
    await stage.close();
    rmSync(folder, { recursive: true, force: true });
    say(`Cleaned up: the lab is down, ${folder} is gone.`);
  }
  return code;
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
