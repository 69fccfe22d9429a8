import { FakeLab } from '../../../src/hosts/fake/fake-lab';
import { FakeShell } from '../../../src/hosts/fake/fake-shell';
import { ScriptHostClient } from '../../../src/hosts/script-host-client';
import { startService } from '../../../src/main';
import { loadConfig } from '../../../src/platform/config/load-config';
import { vmNames } from '../engine-books';

/**
 * An instance as its environment says, with a host in its own memory whose jobs take no time. Prints `ready`, and if it is to tell, each start of
 * a job with its moment; ends on SIGTERM.
 */
async function main(): Promise<void> {
  const lab = new FakeLab();
  await lab.up();
  lab.host.pace = async () => undefined;
  // To the books the hosts of all workers are one, and it was never restarted.
  lab.host.bootId = 'the-same-boot';
  await lab.nas('nas1');
  for (const vm of vmNames(Number(process.env['CHAINKEEPER_TEST_VMS']))) {
    await lab.vmCreate(vm, [{ target: 'vda', size: 1024 * 1024 }]);
    // And their disks are the same.
    for (const disk of lab.host.vm(vm).disks) Object.assign(disk, { path: `/images/${vm}` });
    await lab.vmStart(vm);
  }
  const shell = new FakeShell(({ address }) => (address === lab.host.name ? lab.host : undefined));
  const tells = process.env['CHAINKEEPER_TEST_TELLS'] !== undefined;
  const hostClient = new ScriptHostClient({
    run: (host, command) => {
      const at = command.argv.indexOf('start');
      if (tells && at >= 0) {
        const job = command.argv[command.argv.indexOf('--job') + 1] ?? '';
        process.stdout.write(`began ${job} ${performance.timeOrigin + performance.now()}\n`);
      }
      return shell.run(host, command);
    },
    close: () => shell.close(),
  });
  const service = await startService(loadConfig(process.env), { hostClient });
  process.once('SIGTERM', () => void service.close().then(() => process.exit(0)));
  process.stdout.write('ready\n');
}

void main().catch((error: unknown) => {
  process.stderr.write(`${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
  process.exitCode = 1;
});
