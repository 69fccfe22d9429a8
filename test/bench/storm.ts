import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { text } from 'node:stream/consumers';
import { buildInspect } from '../../src/domain/agent/build-argv';
import { quoteCommand } from '../../src/domain/agent/quote';
import type { HostAccess } from '../../src/hosts/host-access';
import type { RealLab } from '../lab/lab';
import { until } from '../support/brake';
import type { BenchResult } from './bench-result';
import { BlackHole } from './black-hole';
import type { Storm, Weathered } from './child/inspect-all';
import { onBenchLab } from './on-bench-lab';
import { openSsh } from './open-ssh';
import { cpuSeconds, median, round } from './rounds';

const HOSTS = 200;
/** As many addresses as one sshd can listen on. */
const ADDRESSES_PER_SSHD = 16;
const VM = 'i-2-50-storm-VM';
/** How many processes of OpenSSH at once are tried; the quickest is what we are measured against. */
const WIDTHS = { quick: [16, HOSTS], full: [8, 16, 64, HOSTS] };

/** What one turn of a side cost. */
interface Turn {
  readonly seconds: number;
  readonly cpuSeconds: number;
  readonly maxRssMb: number;
  readonly failures: number;
}

/**
 * All hosts at once after a restart of the orchestrator: a new process of ours inspects each of them, against the same commands by
 * processes of OpenSSH in parallel. Then the same of ours with a host among them that answers nothing.
 */
export const benchStorm = (quick: boolean): Promise<BenchResult> =>
  onBenchLab(async (lab, folder) => {
    const daemons: ChildProcess[] = [];
    let hole: BlackHole | undefined;
    try {
      await lab.vmCreate(VM, [{ target: 'vda', size: 64 * 1024 * 1024 }]);
      await lab.vmStart(VM);
      const hosts = await manyHosts(lab, folder, daemons);
      hole = await BlackHole.open('127.0.2.1');
      const lost: HostAccess = { ...(hosts[0] as HostAccess), id: 'dead', name: 'dead', address: '127.0.2.1', port: hole.port };

      const turns = { ours: [] as Turn[], ssh: [] as (Turn & { width: number })[], besideDead: [] as Turn[] };
      const details: Weathered[] = [];
      let dead = '';
      const sides = [
        async () => {
          const [turn, weathered] = await ours(hosts, []);
          turns.ours.push(turn);
          details.push(weathered);
        },
        async (width: number) => turns.ssh.push({ ...(await bySsh(hosts, width)), width }),
        async () => {
          // In the middle of the others, and one more than they are.
          const [turn, weathered] = await ours([...hosts.slice(0, 100), lost, ...hosts.slice(100)], [lost.name]);
          turns.besideDead.push(turn);
          dead = weathered.dead[lost.name] ?? 'nothing was heard of it';
        },
      ];
      const quickest = (): Turn & { width: number } =>
        turns.ssh.reduce((best, turn) => (turn.seconds < best.seconds ? turn : best));
      const widths = quick ? WIDTHS.quick : WIDTHS.full;
      for (let turn = 0; turn < (quick ? widths.length : 9); turn += 1) {
        const width = widths[turn] ?? quickest().width;
        for (let index = 0; index < sides.length; index += 1) await sides[(index + turn) % sides.length]?.(width);
      }

      const { width } = quickest();
      const pool = sum(turns.ours);
      const ssh = sum(turns.ssh.filter((turn) => turn.width === width));
      const besideDead = sum(turns.besideDead);
      const failures = [...turns.ours, ...turns.ssh, ...turns.besideDead].reduce((total, turn) => total + turn.failures, 0);
      const ms = details.flatMap((one) => one.ms).sort((a, b) => a - b);
      return {
        bench: 'storm',
        ratios: {
          storm_vs_ssh: round(pool.seconds / ssh.seconds),
          storm_cpu_vs_ssh: round(pool.cpuSeconds / ssh.cpuSeconds),
          dead_host_vs_none: round(besideDead.seconds / pool.seconds),
        },
        values: {
          hosts: HOSTS,
          failures,
          pool: { ...pool, firstMs: round(ms[0] ?? 0), p50Ms: round(median(ms)) },
          ssh: { ...ssh, width, secondsByWidth: secondsByWidth(widths, turns.ssh) },
          besideDead: { ...besideDead, dead },
        },
        limit: {
          what: 'seconds that the same inspections take by themselves, all at once, with no SSH between',
          seconds: round(await alone(hosts[0] as HostAccess)),
        },
      };
    } finally {
      await hole?.close();
      await Promise.all(daemons.map(end));
    }
  });

const secondsByWidth = (
  widths: readonly number[],
  turns: readonly (Turn & { readonly width: number })[],
): Record<string, number> =>
  Object.fromEntries(
    widths.map((width) => [width, round(median(turns.filter((turn) => turn.width === width).map(({ seconds }) => seconds)))]),
  );

async function end(daemon: ChildProcess): Promise<void> {
  if (daemon.exitCode !== null) return;
  const gone = once(daemon, 'exit');
  daemon.kill();
  await gone;
}

const sum = (turns: readonly Turn[]): Turn => ({
  seconds: round(median(turns.map(({ seconds }) => seconds))),
  cpuSeconds: round(median(turns.map((turn) => turn.cpuSeconds))),
  maxRssMb: round(Math.max(...turns.map(({ maxRssMb }) => maxRssMb))),
  failures: turns.reduce((total, { failures }) => total + failures, 0),
});

/** Many addresses of this machine, each a host of its own to whoever connects. */
async function manyHosts(lab: RealLab, folder: string, daemons: ChildProcess[]): Promise<HostAccess[]> {
  const access = await lab.access();
  const config = readFileSync(join(dirname(access.privateKeyFile ?? ''), 'sshd_config'), 'utf8').replace(
    /^(ListenAddress|PidFile).*\n/gm,
    '',
  );
  const hosts = Array.from({ length: HOSTS }, (_, index) => ({
    ...access,
    id: `storm-${index + 1}`,
    name: `storm-${index + 1}`,
    address: `127.0.1.${index + 1}`,
  }));
  for (let first = 0; first < HOSTS; first += ADDRESSES_PER_SSHD) {
    const listen = hosts
      .slice(first, first + ADDRESSES_PER_SSHD)
      .map(({ address, port }) => `ListenAddress ${address}:${port}\n`);
    const file = join(folder, `sshd-${first}`);
    // A host's own sshd sees one connection of ours; this one is sixteen hosts.
    writeFileSync(file, `${config}PidFile none\nMaxStartups 100\n${listen.join('')}`);
    daemons.push(spawn('/usr/sbin/sshd', ['-D', '-f', file, '-E', `${file}.log`], { stdio: 'ignore' }));
  }
  for (const host of [hosts[0], hosts.at(-1)] as HostAccess[])
    await until(
      async () => (await endOf('ssh', [...openSsh(host), host.address, 'true'])) === 0,
      `the sshd of ${host.name} answers`,
    );
  return hosts;
}

/** From the start of the process to its last answer of a host that lives: what an operator waits for. */
async function ours(hosts: readonly HostAccess[], dead: readonly string[]): Promise<[Turn, Weathered]> {
  const began = performance.now();
  const child = spawn(process.execPath, [join(__dirname, 'child/inspect-all.js')], { stdio: ['pipe', 'pipe', 'inherit'] });
  const storm: Storm = { hosts, vm: VM, dead };
  child.stdin.end(JSON.stringify(storm));
  const out = await text(child.stdout);
  const took = (performance.now() - began) / 1000;
  const weathered = JSON.parse(out) as Weathered;
  if (Object.keys(weathered.failures).length > 0) process.stderr.write(`${JSON.stringify(weathered.failures)}\n`);
  // The end of the dead host's patience is nobody else's; what it takes node to start is ours.
  const seconds = dead.length === 0 ? took : weathered.seconds + startOfNode;
  if (dead.length === 0) startOfNode = Math.max(0, took - weathered.seconds);
  const { cpuSeconds, maxRssMb, failures } = weathered;
  return [{ seconds, cpuSeconds, maxRssMb, failures: Object.keys(failures).length }, weathered];
}
let startOfNode = 0;

async function bySsh(hosts: readonly HostAccess[], width: number): Promise<Turn> {
  const command = commandOn(hosts[0] as HostAccess);
  const children = new Set<ChildProcess>();
  let maxRssMb = 0;
  const look = setInterval(() => {
    maxRssMb = Math.max(
      maxRssMb,
      [...children].reduce((total, { pid }) => total + rssMb(pid), 0),
    );
  }, 100);
  const cpu = cpuSeconds();
  const began = performance.now();
  const waiting = [...hosts];
  let failures = 0;
  const worker = async (): Promise<void> => {
    for (let host = waiting.shift(); host; host = waiting.shift())
      if ((await endOf('ssh', [...openSsh(host), host.address, command], children)) !== 0) failures += 1;
  };
  await Promise.all(Array.from({ length: width }, worker));
  clearInterval(look);
  return { seconds: (performance.now() - began) / 1000, cpuSeconds: cpuSeconds() - cpu, maxRssMb, failures };
}

/** What our client sends for an inspection. */
const commandOn = ({ scriptPath }: HostAccess): string =>
  quoteCommand(['sudo', '-n', '--', scriptPath, ...buildInspect({ vm: VM }).argv]);

async function alone({ scriptPath }: HostAccess): Promise<number> {
  const began = performance.now();
  const ends = await Promise.all(Array.from({ length: HOSTS }, () => endOf(scriptPath, buildInspect({ vm: VM }).argv)));
  if (ends.some((code) => code !== 0)) throw new Error('an inspection failed');
  return (performance.now() - began) / 1000;
}

async function endOf(program: string, args: readonly string[], children = new Set<ChildProcess>()): Promise<number | null> {
  const child = spawn(program, args, { stdio: 'ignore' });
  children.add(child);
  const [code] = (await once(child, 'exit')) as [number | null];
  children.delete(child);
  return code;
}

function rssMb(pid: number | undefined): number {
  try {
    return Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0) / 1024;
  } catch {
    return 0;
  }
}
