import { ScriptHostClient } from '../../../src/hosts/script-host-client';
import { SshShell } from '../../../src/hosts/ssh/ssh-shell';
import { startService } from '../../../src/main';
import { loadConfig } from '../../../src/platform/config/load-config';

/**
 * A service that is killed at the worst moment: the host script has succeeded, and nothing of it is in the books yet.
 * Prints its URL as one line; dies by SIGKILL when it first hears of a job that is done.
 */
class DoomedHostClient extends ScriptHostClient {
  override async status(...args: Parameters<ScriptHostClient['status']>): ReturnType<ScriptHostClient['status']> {
    const status = await super.status(...args);
    if (status.state === 'done') process.kill(process.pid, 'SIGKILL');
    return status;
  }
}

void startService(loadConfig(process.env), { hostClient: new DoomedHostClient(new SshShell()) }).then(({ url }) =>
  process.stdout.write(`${url}\n`),
);
