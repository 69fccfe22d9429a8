import { ScriptHostClient } from '../../../src/hosts/script-host-client';
import { startService } from '../../../src/main';
import { loadConfig } from '../../../src/platform/config/load-config';
import { RemoteFakeShell } from '../../support/remote-fake-host';
import { shiftClock } from '../../support/shift-clock';
import { StartLog } from '../runs-once/start-log';

/**
 * An instance whose host is a fake one of another process, and which writes down every start before it asks for it. Its clock may be wrong.
 * Prints its URL.
 */
const shift = Number(process.env['CHAINKEEPER_TEST_CLOCK_MS'] ?? 0);
if (shift !== 0) shiftClock(shift);
const config = loadConfig(process.env);
const log = new StartLog(process.env['CHAINKEEPER_TEST_STARTS'] ?? '');
const shell = new RemoteFakeShell(Number(process.env['CHAINKEEPER_TEST_HOST']));
const hostClient = new ScriptHostClient({
  run: (host, command) => {
    log.asks(config.engine.owner, command.argv);
    return shell.run(host, command);
  },
  close: () => shell.close(),
});
void startService(config, { hostClient }).then(({ url }) => process.stdout.write(`${url}\n`));
