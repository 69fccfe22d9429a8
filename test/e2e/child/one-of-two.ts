import { Claims } from '../../../src/database/repositories/claims';
import { Dues } from '../../../src/database/repositories/dues';
import { Runs } from '../../../src/database/repositories/runs';
import { Recorder } from '../../../src/engine/recorder';
import type { RemoteShell } from '../../../src/hosts/remote-shell';
import { SshShell } from '../../../src/hosts/ssh/ssh-shell';
import { startService } from '../../../src/main';
import { loadConfig } from '../../../src/platform/config/load-config';
import { StartLog } from '../runs-once/start-log';
import { StrikeFile } from '../two-orchestrators/strike-file';
import { type Meets, StruckHostClient } from '../two-orchestrators/struck-host-client';

const told = (name: string): string => process.env[`CHAINKEEPER_TEST_${name}`] ?? '';

/**
 * An orchestrator of a real host that kills or stops itself at the moment that it is told, to the instruction, and writes down every start before it
 * asks for it. Prints its URL.
 */
const config = loadConfig(process.env);
const { owner } = config.engine;
const log = new StartLog(told('STARTS'));
const strikes = new StrikeFile(told('STRIKES'));
const meets: Meets = (moment, share) => {
  const strike = strikes.take(owner, moment, share);
  if (strike !== null && strike.whom !== 'other') process.kill(process.pid, strike.how === 'kill' ? 'SIGKILL' : 'SIGSTOP');
};

const { ready } = Dues.prototype;
Dues.prototype.ready = async function (...parts) {
  const due = await ready.apply(this, parts);
  if (due.length > 0) meets('due');
  return due;
};
const { take } = Claims.prototype;
Claims.prototype.take = async function (...parts) {
  const waits = parts[0].state === 'queued';
  if (waits) meets('queued');
  const taken = await take.apply(this, parts);
  if (waits && taken !== null) meets('claimed');
  return taken;
};
const { end } = Runs.prototype;
Runs.prototype.end = async function (...parts) {
  const ended = await end.apply(this, parts);
  // The transaction around it, which writes the backup too, is open still.
  if (ended?.kind === 'backup') meets('recording');
  return ended;
};
const { backedUp } = Recorder.prototype;
Recorder.prototype.backedUp = async function (...parts) {
  const booked = await backedUp.apply(this, parts);
  meets('recorded');
  return booked;
};

const ssh = new SshShell();
const shell: RemoteShell = {
  run: (host, command) => {
    log.asks(owner, command.argv);
    return ssh.run(host, command);
  },
  close: () => ssh.close(),
};
void startService(config, { hostClient: new StruckHostClient(meets, shell) }).then(({ url }) => process.stdout.write(`${url}\n`));
