import { text } from 'node:stream/consumers';
import type { HostAccess } from '../../../src/hosts/host-access';
import { ScriptHostClient } from '../../../src/hosts/script-host-client';
import { SshShell } from '../../../src/hosts/ssh/ssh-shell';

/** What an orchestrator is told that has just been started. */
export interface Storm {
  readonly hosts: readonly HostAccess[];
  readonly vm: string;
  /** Names of hosts that cannot answer. */
  readonly dead: readonly string[];
}

/** How long each of the hosts took to be inspected, from the first call on. */
export interface Weathered {
  /** Until the last host that lives was inspected. */
  readonly seconds: number;
  /** Of each of them, in ms. */
  readonly ms: number[];
  /** Those that failed, with the code. */
  readonly failures: Readonly<Record<string, string>>;
  /** Codes of the hosts that cannot answer, and after how many seconds. */
  readonly dead: Readonly<Record<string, string>>;
  readonly maxRssMb: number;
  readonly cpuSeconds: number;
}

/** A new process without a connection: inspects all hosts at once, as an orchestrator does that comes back. */
async function main(): Promise<void> {
  const { hosts, vm, dead } = JSON.parse(await text(process.stdin)) as Storm;
  const shell = new SshShell();
  const client = new ScriptHostClient(shell);
  const began = performance.now();
  const failures: Record<string, string> = {};
  const told: Record<string, string> = {};
  const ms: number[] = [];
  const inspect = async (host: HostAccess): Promise<void> => {
    const living = !dead.includes(host.name);
    try {
      await client.inspect(host, { vm });
      if (living) ms.push(performance.now() - began);
      else failures[host.name] = 'it answered';
    } catch (error) {
      const code = (error as { code?: string }).code ?? String(error);
      if (living) failures[host.name] = code;
      else told[host.name] = `${code} after ${((performance.now() - began) / 1000).toFixed(1)} s`;
    }
  };
  const all = hosts.map(inspect);
  await Promise.all(all.filter((_, index) => !dead.includes(hosts[index]?.name ?? '')));
  const seconds = (performance.now() - began) / 1000;
  const { maxRSS, userCPUTime, systemCPUTime } = process.resourceUsage();
  await Promise.all(all);
  await shell.close();
  const cpuSeconds = (userCPUTime + systemCPUTime) / 1e6;
  const result: Weathered = { seconds, ms, failures, dead: told, maxRssMb: maxRSS / 1024, cpuSeconds };
  process.stdout.write(`${JSON.stringify(result)}\n`);
}

void main();
