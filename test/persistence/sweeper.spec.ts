import { randomUUID } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { createDataSource } from '../../src/database/data-source';
import { migrate } from '../../src/database/migrate';
import { openBooks } from '../../src/database/open-books';
import { BackupRepositories } from '../../src/database/repositories/backup-repositories';
import { Backups } from '../../src/database/repositories/backups';
import { Evidence } from '../../src/database/repositories/evidence';
import { Events } from '../../src/database/repositories/events';
import { Hosts } from '../../src/database/repositories/hosts';
import { Leases } from '../../src/database/repositories/leases';
import { Maintenances } from '../../src/database/repositories/maintenances';
import { Manifests } from '../../src/database/repositories/manifests';
import { Offerings } from '../../src/database/repositories/offerings';
import { Resizes } from '../../src/database/repositories/resizes';
import { Restores } from '../../src/database/repositories/restores';
import { Runs } from '../../src/database/repositories/runs';
import { Schedules } from '../../src/database/repositories/schedules';
import { Vms } from '../../src/database/repositories/vms';
import { Volumes } from '../../src/database/repositories/volumes';
import type { UnitOfWork } from '../../src/database/unit-of-work';
import { BetweenRuns } from '../../src/engine/between-runs';
import { BookReader } from '../../src/engine/book-reader';
import { Describer } from '../../src/engine/describer';
import { Hasher } from '../../src/engine/hasher';
import { NasHosts } from '../../src/engine/nas-hosts';
import { SpoiltFiles } from '../../src/engine/spoilt-files';
import { OperationalError } from '../../src/domain/errors';
import { FakeLab } from '../../src/hosts/fake/fake-lab';
import { FakeShell } from '../../src/hosts/fake/fake-shell';
import { DEFAULT_SCRIPT_PATH } from '../../src/hosts/host-access';
import type { RemoteShell } from '../../src/hosts/remote-shell';
import { ScriptHostClient } from '../../src/hosts/script-host-client';
import { type Config, loadConfig } from '../../src/platform/config/load-config';
import { createLog } from '../../src/platform/log';
import { BooksCopies } from '../../src/upkeep/books-copies';
import { DescribeService } from '../../src/upkeep/describe.service';
import { HashService } from '../../src/upkeep/hash.service';
import { SpaceService } from '../../src/upkeep/space.service';
import { SweepService } from '../../src/upkeep/sweep.service';
import { Sweeper } from '../../src/upkeep/sweeper';
import { until } from '../support/brake';
import { describeDatabases } from '../support/databases';
import { environmentOf } from '../support/service-config';

const accessOf = (sshUser: string) => ({
  port: 22, sshUser, privateKeyFile: null, agentSocket: null, fingerprint: null, knownHostsFile: null,
  scriptPath: DEFAULT_SCRIPT_PATH, dialect: 'seed' as const, stockPath: null, beside: false,
}); // prettier-ignore
const shellOf = (lab: FakeLab, address: string): FakeShell =>
  new FakeShell((host) => (host.address === address ? lab.host : undefined));

/** All that the upkeep is made of, and what it writes into its log. */
function upkeep(work: UnitOfWork, config: Config, shell: RemoteShell): { sweeper: Sweeper; lines: string[] } {
  const lines: string[] = [];
  const log = createLog(
    { level: 'info' },
    new Writable({ write: (line: Buffer, _, done) => (lines.push(line.toString()), done()) }),
  );
  const client = new ScriptHostClient(shell);
  const [hosts, runs, vms, repositories] = [new Hosts(work), new Runs(work), new Vms(work), new BackupRepositories(work)];
  const between = new BetweenRuns(runs, new Leases(work), config, log);
  const sweeps = new SweepService(
    hosts, vms, new Volumes(work), runs, new Backups(work), repositories, between, client, config,
  ); // prettier-ignore
  const [backups, evidence, manifests] = [new Backups(work), new Evidence(work), new Manifests(work)];
  const reader = new BookReader(
    backups, evidence, new Restores(work), new Resizes(work), runs, vms, new Offerings(work), new Schedules(work),
  ); // prettier-ignore
  const nasHosts = new NasHosts(hosts, vms, config);
  const describer = new Describer(backups, manifests, repositories, evidence, runs, vms, reader, nasHosts, client);
  const describes = new DescribeService(manifests, between, describer, log);
  const spoilt = new SpoiltFiles(reader, manifests, new Events(work), log);
  const hasher = new Hasher(backups, manifests, repositories, hosts, reader, nasHosts, spoilt, client, config, log);
  const hashes = new HashService(manifests, hasher, config, log);
  const copies = new BooksCopies(repositories, nasHosts, client, config, log);
  const spaces = new SpaceService(repositories, nasHosts, client, config, log);
  return { lines, sweeper: new Sweeper(hosts, sweeps, describes, hashes, copies, spaces, config, log) };
}

describeDatabases(
  'the sweeper',
  (databases) => {
    it('sweeps every host at the start; one that is away costs the others nothing, and the log says all', async () => {
      const { work } = await databases.open();
      const lab = new FakeLab();
      await lab.up();
      const { address, user: sshUser } = await lab.access();
      const hosts = new Hosts(work);
      const access = accessOf(sshUser);
      await hosts.create({ uuid: randomUUID(), name: 'here' }, { ...access, address });
      // Newest first: these two come before.
      await hosts.create({ uuid: randomUUID(), name: 'away' }, { ...access, address: 'nowhere' });
      await hosts.create({ uuid: randomUUID(), name: 'mute' }, { ...access, address: 'mute' });
      // Nobody looks at one in maintenance, so there is nothing to say of it.
      const resting = await hosts.create({ uuid: randomUUID(), name: 'resting' }, { ...access, address: 'nowhere' });
      const said = { begunBy: 'alice', why: 'new disks', running: 'finish' } as const;
      await new Maintenances(work).begin({ owner: 'host', ownerId: resting.id, name: 'resting' }, said);
      lab.host.mounts.add('/tmp/csbackup.left');

      let giveUp: (error: Error) => void = () => undefined;
      const mute = new Promise<never>((_, reject) => (giveUp = reject));
      const shell = shellOf(lab, address);
      const { sweeper, lines } = upkeep(work, loadConfig({ CHAINKEEPER_BOOKS_COPY_HOURS: '0' }), {
        run: (host, command) => (host.address === 'mute' ? mute : shell.run(host, command)),
        close: () => shell.close(),
      });
      sweeper.start();
      await until(() => lab.host.mounts.size === 0, 'the mount is swept');
      await until(() => lines.length === 2, 'both are in the log');
      giveUp(new OperationalError('host.unreachable', 'unreachable', 'it never answered'));
      await until(() => lines.length === 3, 'the third is in the log too');
      sweeper.beforeApplicationShutdown();
      const logged = lines.map((line) => JSON.parse(line) as { host: string }).sort((a, b) => a.host.localeCompare(b.host));
      expect(logged).toEqual([
        expect.objectContaining({ host: 'away', msg: 'the host could not be swept this time' }),
        expect.objectContaining({ host: 'here', code: 'mount', action: 'removed', msg: 'left behind' }),
        expect.objectContaining({ host: 'mute', msg: 'the host could not be swept this time' }),
      ]);
    });

    it('does the rest of the upkeep where it does not sweep: the copy from before new tables comes to the repository', async () => {
      const folder = mkdtempSync(join(tmpdir(), 'ck-upkeep-'));
      const database = await databases.fresh();
      const source = await createDataSource(database);
      await migrate(source, { upTo: source.migrations.slice(0, -1).map(({ name, constructor }) => name ?? constructor.name) });
      await source.destroy();
      await (await openBooks(database, folder)).close();
      const { work } = await databases.reopen(database);
      const lab = new FakeLab();
      await lab.up();
      const { address, user } = await lab.access();
      await new Hosts(work).create({ uuid: randomUUID(), name: 'here' }, { ...accessOf(user), address });
      await new BackupRepositories(work).create({
        ...{ uuid: randomUUID(), name: 'nas1', type: 'dir', address: await lab.nas('nas1'), mountOpts: '' },
      });
      lab.host.mounts.add('/tmp/csbackup.left');
      const config = loadConfig(
        environmentOf(database, {
          ...{ CHAINKEEPER_SWEEP_HOURS: '0', CHAINKEEPER_BOOKS_COPY_HOURS: '24', CHAINKEEPER_BOOKS_COPIES: folder },
        }),
      );
      const { sweeper } = upkeep(work, config, shellOf(lab, address));
      sweeper.start();
      const [name = ''] = readdirSync(folder).filter((one) => one.startsWith('books-'));
      const there = (): Promise<Buffer | null> => lab.read(lab.nasFile('nas1', `chainkeeper-books/${name}`)).catch(() => null);
      await until(async () => (await there()) !== null, 'the copy lies in the repository');
      sweeper.beforeApplicationShutdown();
      expect(readFileSync(join(folder, name)).equals((await there()) ?? Buffer.alloc(0))).toBe(true);
      expect(readdirSync(folder).sort()).toEqual([name.replace('books', 'before'), name]);
      expect(lab.host.mounts.has('/tmp/csbackup.left')).toBe(true);
      rmSync(folder, { recursive: true, force: true });
    });
  },
  ['sqlite'],
);
