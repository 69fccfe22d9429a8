import { ScriptHostClient } from '../../../src/hosts/script-host-client';
import { serve } from '../../../src/main';
import { loadConfig } from '../../../src/platform/config/load-config';
import { RemoteFakeShell } from '../../support/remote-fake-host';

/** `chainkeeper serve` from the sources, as a process of its own; on request its host is a fake one of another process. */
const port = process.env['CHAINKEEPER_TEST_HOST'];
const adapters = port === undefined ? {} : { hostClient: new ScriptHostClient(new RemoteFakeShell(Number(port))) };
void serve(loadConfig(process.env), adapters);
