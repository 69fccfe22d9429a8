import { once } from 'node:events';
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { Links } from '../../../src/database/repositories/links';
import { ScriptHostClient } from '../../../src/hosts/script-host-client';
import { SshShell } from '../../../src/hosts/ssh/ssh-shell';
import { startService } from '../../../src/main';
import { loadConfig } from '../../../src/platform/config/load-config';

/**
 * The service with gates between its steps. It stands still at the gate that the file CHAINKEEPER_TEST_GATE names as `GATE#TURN`, prints
 * `at GATE#TURN`, and goes on with SIGUSR2. The file is gone by then: every later run passes.
 */
async function gate(name: string): Promise<void> {
  const file = process.env['CHAINKEEPER_TEST_GATE'] ?? '';
  const asked = existsSync(file) ? readFileSync(file, 'utf8') : '';
  if (asked.split('#')[0] !== name) return;
  rmSync(file);
  const go = once(process, 'SIGUSR2');
  process.stdout.write(`at ${asked}\n`);
  await go;
}

// One that stands at no gate has nothing to be told, and must not die of it.
process.on('SIGUSR2', () => undefined);

class GatedHostClient extends ScriptHostClient {
  override async inspect(...args: Parameters<ScriptHostClient['inspect']>): ReturnType<ScriptHostClient['inspect']> {
    await gate('before inspect');
    return super.inspect(...args);
  }

  override async start(...args: Parameters<ScriptHostClient['start']>): ReturnType<ScriptHostClient['start']> {
    await gate('decided');
    const status = await super.start(...args);
    await gate('script started');
    return status;
  }

  override async status(...args: Parameters<ScriptHostClient['status']>): ReturnType<ScriptHostClient['status']> {
    const status = await super.status(...args);
    const processed = status.progress?.processed ?? 0;
    if (status.state === 'running' && processed < (status.progress?.total ?? 0)) {
      await gate('readers begun');
      if (processed > 0) await gate('copying');
    }
    if (status.state === 'done') await gate('exit code unread');
    return status;
  }

  override async retire(...args: Parameters<ScriptHostClient['retire']>): ReturnType<ScriptHostClient['retire']> {
    await gate('before retire');
    await super.retire(...args);
    await gate('retired');
  }
}

// In the middle of the transaction that books a backup: its row and details are written, the rest is not.
const insert = Object.getOwnPropertyDescriptor(Links.prototype, 'insert')?.value as Links['insert'];
Links.prototype.insert = async function (this: Links, link) {
  await gate('recording');
  return insert.call(this, link);
};

// A hole in the network is noticed in seconds instead of a minute.
const shell = new SshShell({ keepaliveMs: 1000, connectTimeoutMs: 5000 });

void startService(loadConfig(process.env), { hostClient: new GatedHostClient(shell) }).then(({ url }) =>
  process.stdout.write(`${url}\n`),
);
