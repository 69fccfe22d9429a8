import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { Client } from 'ssh2';
import type { HostAccess } from '../../src/hosts/host-access';
import { SshShell } from '../../src/hosts/ssh/ssh-shell';
import { until } from '../support/brake';
import type { BenchResult } from './bench-result';
import { onBenchLab } from './on-bench-lab';
import { openSsh } from './open-ssh';
import { type Contender, measure, type Measured, round } from './rounds';

/** More than four at once run into sshd's MaxSessions (10): a channel that has said its end counts for a while. */
const CHANNELS = [1, 2, 4];

/**
 * Short commands on one host, to a real sshd, in an account with `/bin/sh` and an empty home: our pooled connection against a process of
 * OpenSSH for each command, with and without a shared connection, and against ssh2 by hand.
 */
export const benchSsh = (quick: boolean): Promise<BenchResult> =>
  onBenchLab(async (lab, folder) => {
    const shell = new SshShell();
    const raw = new Client();
    let master: ReturnType<typeof spawn> | undefined;
    try {
      const access = await lab.access();
      const options = openSsh(access);
      const control = join(folder, 'control');
      master = spawn('ssh', [...options, '-M', '-N', '-S', control, access.address], { stdio: 'ignore' });
      await until(
        () => exits('ssh', [...options, '-S', control, '-O', 'check', access.address]),
        'the shared connection of OpenSSH is up',
      );
      await openRaw(raw, access);

      const times = quick ? 60 : 200;
      const contenders: Contender[] = [
        { name: 'pool', widths: CHANNELS, times, once: () => byPool(shell, access) },
        { name: 'raw ssh2', widths: CHANNELS, times, once: () => byHand(raw) },
        {
          name: 'control master',
          widths: [1, 2, 4, 8],
          times,
          once: () => must('ssh', [...options, '-S', control, '-o', 'ControlMaster=no', access.address, 'true']),
        },
        {
          name: 'fresh ssh',
          widths: [1, 2, 4],
          times: quick ? 8 : 20,
          once: () => must('ssh', [...options, access.address, 'true']),
        },
        { name: 'shell alone', widths: [1, 2, 4], times, once: () => must('/bin/sh', ['-c', 'true']) },
      ];
      const measured = await measure(contenders, quick ? 5 : 9);
      const speed = (name: string): number => measured.get(name)?.perSecond ?? 0;
      return {
        bench: 'ssh',
        ratios: {
          pool_vs_controlmaster: round(speed('pool') / speed('control master')),
          pool_vs_fresh_ssh: round(speed('pool') / speed('fresh ssh')),
          pool_vs_raw_ssh2: round(speed('pool') / speed('raw ssh2')),
        },
        values: Object.fromEntries([...measured].map(([name, value]): [string, Measured] => [name, value])),
        limit: {
          what: 'processes of /bin/sh -c true a second, started by node on this machine: sshd starts one for each command',
          perSecond: speed('shell alone'),
        },
      };
    } finally {
      await shell.close();
      raw.end();
      master?.kill();
    }
  });

async function byPool(shell: SshShell, access: HostAccess): Promise<void> {
  const { exit } = await shell.run(access, { argv: ['true'], deadlineMs: 30_000 });
  if (exit !== 0) throw new Error(`the pool's command ended with ${exit}`);
}

async function openRaw(client: Client, access: HostAccess): Promise<void> {
  const sock = connect({ host: access.address, port: access.port, noDelay: true });
  const ready = once(client, 'ready');
  client.connect({ sock, username: access.user, privateKey: readFileSync(access.privateKeyFile ?? '') });
  await ready;
}

const byHand = (client: Client): Promise<void> =>
  new Promise((resolve, reject) => {
    client.exec('true', (error, stream) => {
      if (error) return reject(error);
      let exit: number | null = null;
      stream.on('exit', (code: number | null) => (exit = code));
      stream.on('close', () => (exit === 0 ? resolve() : reject(new Error(`ssh2 by hand ended with ${exit}`))));
      stream.resume();
      stream.stderr.resume();
    });
  });

async function exits(program: string, args: readonly string[]): Promise<boolean> {
  const [code] = (await once(spawn(program, args, { stdio: 'ignore' }), 'exit')) as [number | null];
  return code === 0;
}

async function must(program: string, args: readonly string[]): Promise<void> {
  if (!(await exits(program, args))) throw new Error(`${program} ${args.at(-1)} failed`);
}
