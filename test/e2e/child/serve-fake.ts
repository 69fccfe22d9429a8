import { ScriptHostClient } from '../../../src/hosts/script-host-client';
import { startService } from '../../../src/main';
import { loadConfig } from '../../../src/platform/config/load-config';
import { RemoteFakeShell } from '../../support/remote-fake-host';

/** An instance whose host is a fake one of another process. Prints its URL; ends on SIGTERM. */
const hostClient = new ScriptHostClient(new RemoteFakeShell(Number(process.env['CHAINKEEPER_TEST_HOST'])));
void startService(loadConfig(process.env), { hostClient }).then((service) => {
  process.stdout.write(`${service.url}\n`);
  process.once('SIGTERM', () => void service.close());
});
