import { ScriptHostClient } from '../../../src/hosts/script-host-client';
import { startService } from '../../../src/main';
import { loadConfig } from '../../../src/platform/config/load-config';
import { Random } from '../../fuzz/random';
import { RemoteFakeShell } from '../../support/remote-fake-host';
import { shiftClock } from '../../support/shift-clock';
import { Oversleep } from '../runs-once/oversleep';
import { StartLog } from '../runs-once/start-log';

const told = (name: string): number => Number(process.env[`CHAINKEEPER_TEST_${name}`] ?? 0);

/**
 * An instance whose host is a fake one of another process, and which writes down every start before it asks for it. Its clock may be wrong,
 * and it sleeps now and then. Prints its URL.
 */
if (told('CLOCK_MS') !== 0) shiftClock(told('CLOCK_MS'));
const config = loadConfig(process.env);
const log = new StartLog(process.env['CHAINKEEPER_TEST_STARTS'] ?? '');
const sleeper = new Oversleep(config.engine.owner, log, new Random(told('SEED')), told('SLEEPS_ONE_IN'));
sleeper.overClaims();
const hostClient = new ScriptHostClient(sleeper.over(new RemoteFakeShell(told('HOST'))));
void startService(config, { hostClient }).then(({ url }) => process.stdout.write(`${url}\n`));
