import { once } from 'node:events';
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { Backups } from '../../../src/database/repositories/backups';
import { Links } from '../../../src/database/repositories/links';
import { Runs } from '../../../src/database/repositories/runs';
import { Retainer } from '../../../src/engine/retainer';
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

  /** Files that go, and in a chain those after the first ones. */
  override async run(...args: Parameters<ScriptHostClient['run']>): ReturnType<ScriptHostClient['run']> {
    if (!args[1].argv.includes('delete')) return super.run(...args);
    await gate('before removal');
    if (removals > 0) await gate('between two links');
    removals += 1;
    const result = await super.run(...args);
    await gate('removed');
    return result;
  }

  override async sweep(...args: Parameters<ScriptHostClient['sweep']>): ReturnType<ScriptHostClient['sweep']> {
    await gate('before sweep');
    const swept = await super.sweep(...args);
    await gate('host swept');
    return swept;
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

// Of the plan of a deletion that is written down.
let removals = 0;
const note = Object.getOwnPropertyDescriptor(Runs.prototype, 'note')?.value as Runs['note'];
Runs.prototype.note = async function (this: Runs, ...args) {
  const noted = await note.apply(this, args);
  if (!['deletion', 'retention'].includes((args[1].plan as { kind?: string } | undefined)?.kind ?? '')) return noted;
  removals = 0;
  await gate('decided');
  return noted;
};

// In the transactions that hide what is to go, and that take a row out of the books.
const change = Object.getOwnPropertyDescriptor(Backups.prototype, 'change')?.value as Backups['change'];
Backups.prototype.change = async function (this: Backups, ...args) {
  const changed = await change.apply(this, args);
  if (args[1].status === 'Hidden') await gate('hiding');
  return changed;
};
const remove = Object.getOwnPropertyDescriptor(Backups.prototype, 'remove')?.value as Backups['remove'];
Backups.prototype.remove = async function (this: Backups, id) {
  const removed = await remove.call(this, id);
  await gate('recording removal');
  return removed;
};

// Somebody agreed to a plan, and its run is not written down.
const agreed = Object.getOwnPropertyDescriptor(Retainer.prototype, 'agreed')?.value as Retainer['agreed'];
Retainer.prototype.agreed = async function (this: Retainer, ...args) {
  const plan = await agreed.apply(this, args);
  await gate('plan agreed');
  return plan;
};

// A hole in the network is noticed in seconds instead of a minute.
const shell = new SshShell({ keepaliveMs: 1000, connectTimeoutMs: 5000 });

void startService(loadConfig(process.env), { hostClient: new GatedHostClient(shell) }).then(({ url }) =>
  process.stdout.write(`${url}\n`),
);
