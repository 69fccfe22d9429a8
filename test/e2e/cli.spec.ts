import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { FakeNas } from '../../src/hosts/fake/fake-nas';
import { Brake, until } from '../support/brake';
import { type CliEnd, runCli } from '../support/cli';
import { describeDatabases } from '../support/databases';
import { FakeService } from '../support/fake-service';

jest.setTimeout(120_000);

/** Every command against a running service: what it says, as text and as JSON, and the exit code that scripts build on. */
describeDatabases(
  'the command line',
  (databases) => {
    let service: FakeService;
    const vm = 'i-2-10-VM';
    const ck = (...args: string[]): Promise<CliEnd> => runCli(args, { CHAINKEEPER_URL: service.url });
    /** The same with --json, read; fails when the command did. */
    const json = async <T>(...args: string[]): Promise<T> => {
      const { code, out, err } = await ck(...args, '--json');
      expect([args, code, err]).toEqual([args, 0, '']);
      return JSON.parse(out) as T;
    };
    beforeAll(async () => {
      service = await FakeService.start(await databases.fresh());
    });
    afterAll(() => service?.close());

    it('tells the service about host, repository, offering and VM', async () => {
      const { address, user } = await service.lab.access();
      const host = await ck('host', 'add', 'kvm1', '--address', address, '--user', user, '--port', '22');
      expect([host.code, host.err]).toEqual([0, '']);
      expect(host.out).toMatch(/^name +kvm1$/m);
      expect((await ck('repo', 'add', 'nas1', '--type', 'dir', '--address', await service.lab.nas('nas1'))).code).toBe(0);
      const ways = ['--transfer', 'auto', '--on-lost-bitmap', 'full', '--after-recreation', 'at-once'];
      expect((await ck('offering', 'add', 'daily', '--repository', 'nas1', '--full-every', '10', ...ways)).code).toBe(0);
      expect(await json('offering', 'show', 'daily')).toMatchObject({ onLostBitmap: 'full', afterRecreation: 'at-once' });
      expect((await ck('vm', 'add', vm, '--host', 'kvm1', '--offering', 'daily')).code).toBe(0);
      expect(await json('vm', 'show', vm)).toMatchObject({ name: vm, host: 'kvm1', offering: 'daily' });
    });

    it.each([
      ['host', 'kvm1', /^NAME +ADDRESS +USER +DIALECT +SCRIPT +STATE +ID\nkvm1 +fake-host:22 +chainkeeper +seed/],
      ['repo', 'nas1', /^NAME +TYPE +ADDRESS +TRANSFER +MIB\/S +USED +OF +FULL ON +MAINTENANCE +ID\nnas1 +dir/],
      [
        'offering',
        'daily',
        /^NAME +FULL EVERY +INCREMENTAL +TRANSFER +MIB\/S +ON LOST BITMAP +REPOSITORY +ID\ndaily +10 +yes +auto +- +full +nas1/,
      ],
      ['vm', vm, /^NAME +DISKS +OFFERING +NEXT GOES BY +HOST +ID\ni-2-10-VM +vda,vdb +daily +- +kvm1/],
    ])('%s: lists, shows, refuses to remove what is needed, and knows no other', async (noun, name, table) => {
      expect((await ck(noun, 'list')).out).toMatch(table);
      const [item] = await json<{ id: string; name: string }[]>(noun, 'list');
      expect(item?.name).toBe(name);
      expect(await json(noun, 'show', name)).toEqual(item);
      expect((await ck(noun, 'show', item?.id ?? '')).out).toMatch(new RegExp(`^name +${name}$`, 'm'));
      if (noun !== 'vm') {
        const refused = await ck(noun, 'remove', name);
        expect([refused.code, refused.out]).toEqual([11, '']);
        expect(refused.err).toMatch(/^error: It is still needed .*in-use\)\nnext: {2}\S/);
      }
      for (const verb of ['show', 'remove']) {
        const none = await ck(noun, verb, 'nope');
        expect([none.code, none.err]).toEqual([10, expect.stringMatching(/not-found\)\nnext: {2}\S/)]);
      }
    });

    it('removes what nobody needs', async () => {
      expect((await ck('offering', 'add', 'spare', '--repository', 'nas1', '--no-incremental')).out).toMatch(
        /^incrementalEnabled +false$/m,
      );
      expect(await json('offering', 'remove', 'spare')).toEqual({ removed: 'spare' });
      expect((await ck('vm', 'add', 'i-2-77-VM', '--host', 'kvm1', '--disk', 'vda=/a', '--disk', 'vdb=/b')).code).toBe(0);
      expect(await json('vm', 'show', 'i-2-77-VM')).toMatchObject({
        disks: [
          { target: 'vda', path: '/a' },
          { target: 'vdb', path: '/b' },
        ],
      });
      expect((await ck('vm', 'remove', 'i-2-77-VM')).out).toBe('removed i-2-77-VM\n');
    });

    it('changes how a host is reached', async () => {
      const fingerprint = `SHA256:${'A'.repeat(43)}`;
      expect((await ck('host', 'add', 'kvm7')).code).toBe(0);
      expect((await ck('host', 'change', 'kvm7', '--fingerprint', fingerprint, '--state', 'Maintenance')).code).toBe(0);
      expect(await json('host', 'show', 'kvm7')).toMatchObject({
        fingerprint,
        resourceState: 'Maintenance',
        address: 'kvm7',
        port: 22,
      });
      expect((await ck('host', 'remove', 'kvm7')).code).toBe(0);
    });

    it('puts a host and a repository in maintenance, says what that would mean, and ends it', async () => {
      const begin = ['maintenance', 'begin', 'nas1', '--why', 'new disks', '--by', 'alice'];
      const would = await ck('repo', ...begin, '--running', 'abort', '--dry-run');
      expect(would).toMatchObject({ code: 0, err: '' });
      expect(would.out).toMatch(
        /^repository nas1 is not in maintenance\nnothing was changed; so it would be:\nno run goes on there\n$/,
      );
      expect(await json('repo', ...begin)).toMatchObject({
        inMaintenance: true,
        by: 'alice',
        why: 'new disks',
        running: 'finish',
      });
      expect((await ck('repo', 'maintenance', 'show', 'nas1')).out).toMatch(
        /^repository nas1 is in maintenance since \S+Z, says alice: new disks\nno run goes on there\n$/,
      );
      expect((await ck('repo', 'list')).out).toMatch(/^nas1 .*20\d\d-\S+Z /m);
      expect(await json('repo', 'maintenance', 'end', 'nas1')).toMatchObject({ inMaintenance: false });
      expect((await ck('host', 'maintenance', 'begin', 'kvm1', '--why', 'new kernel')).code).toBe(0);
      expect((await ck('host', 'list')).out).toMatch(/^kvm1 .* Maintenance /m);
      expect((await ck('host', 'maintenance', 'end', 'kvm1')).out).toMatch(/^host kvm1 is not in maintenance\n/);
      expect(await ck('host', 'maintenance', 'begin', 'kvm1')).toMatchObject({ code: 2 });
      expect(await ck('repo', 'maintenance', 'show', 'nope')).toMatchObject({ code: 10 });
    });

    it('says how the data travels to a repository, and takes it back', async () => {
      expect((await ck('repo', 'add', 'slow', '--type', 'dir', '--address', '/slow', '--transfer', 'pull')).code).toBe(0);
      expect((await ck('repo', 'list')).out).toMatch(/^slow .* pull /m);
      const change = (...args: string[]) => json('repo', 'change', 'slow', ...args);
      expect(await change('--transfer', 'auto')).toMatchObject({ name: 'slow', transfer: 'auto' });
      expect(await change('--name', 'slower')).toMatchObject({ name: 'slower', transfer: 'auto' });
      expect(await json('repo', 'change', 'slower', '--no-transfer')).toMatchObject({ transfer: null });
      expect(await ck('repo', 'change', 'slower', '--transfer', 'pigeon')).toMatchObject({ code: 2 });
      expect((await ck('repo', 'remove', 'slower')).code).toBe(0);
    });

    it('says how much a backup moves in a second, and takes it back', async () => {
      expect((await ck('repo', 'add', 'thin', '--type', 'dir', '--address', '/thin', '--bandwidth', '40')).code).toBe(0);
      expect((await ck('repo', 'list')).out).toMatch(/^thin .* 40 /m);
      expect(await json('repo', 'change', 'thin', '--transfer', 'pull')).toMatchObject({ transfer: 'pull', bandwidth: 40 });
      expect(await ck('repo', 'change', 'thin', '--transfer', 'push')).toMatchObject({
        ...{ code: 11, err: expect.stringContaining('backup.push-unlimited') as string },
      });
      for (const wrong of ['0', '1000000', 'fast'])
        expect(await ck('repo', 'change', 'thin', '--bandwidth', wrong)).toMatchObject({ code: 2 });
      expect(await json('repo', 'change', 'thin', '--no-bandwidth')).toMatchObject({ transfer: 'pull', bandwidth: null });
      expect((await ck('repo', 'remove', 'thin')).code).toBe(0);
      expect(await json('offering', 'change', 'daily', '--bandwidth', '30')).toMatchObject({ transfer: 'auto', bandwidth: 30 });
      const [offered, called] = [await ck('backup', vm, '--dry-run'), await ck('backup', vm, '--dry-run', '--bandwidth', '90')];
      expect(offered.out).toMatch(/^at most 30 MiB a second: the offering says so$/m);
      expect(called.out).toMatch(/^at most 90 MiB a second: the call asked for it$/m);
      expect(await ck('backup', vm, '--transfer', 'push', '--bandwidth', '90')).toMatchObject({ code: 11, out: '' });
      expect(await json('offering', 'change', 'daily', '--no-bandwidth')).toMatchObject({ bandwidth: null });
    });

    it('says what is wrong with mount options, and takes none that do harm', async () => {
      const file = join(await mkdtemp(join(tmpdir(), 'ck-options-')), 'options');
      const add = (type: string, ...more: string[]) =>
        ck('repository', 'add', 'odd', '--type', type, '--address', '//n/x', '--mount-options-file', file, ...more);
      await writeFile(file, 'ro,soft,hard\n');
      const refused = await add('nfs');
      expect([refused.code, refused.err]).toEqual([
        2,
        expect.stringMatching(/ro: Nothing could be written there\. hard and soft: /),
      ]);
      await writeFile(file, 'soft,noexec\n');
      const added = await add('nfs');
      expect([added.code, added.out]).toEqual([0, expect.stringMatching(/^warning {2}soft: With push .*$/m)]);
      // Under a limit nothing goes by push.
      expect((await ck('repo', 'change', 'odd', '--bandwidth', '40')).out).toMatch(/^ok {7}soft: With pull .*$/m);
      expect((await ck('repo', 'change', 'odd', '--no-bandwidth')).out).toMatch(/^warning {2}soft: With push .*$/m);
      expect((await ck('repo', 'change', 'odd', '--transfer', 'pull')).out).toMatch(/^ok {7}soft: With pull .*$/m);
      await writeFile(file, 'bg');
      expect(await ck('repo', 'change', 'odd', '--mount-options-file', file)).toMatchObject({ code: 2 });
      expect((await ck('repo', 'show', 'odd')).out).toMatch(/^mountOptions +\["soft","noexec"\]$/m);
      expect((await ck('repo', 'remove', 'odd')).code).toBe(0);
      await rm(dirname(file), { recursive: true });
    });

    it('changes an offering: what is not named stays', async () => {
      const spare = (...args: string[]) => json('offering', 'change', 'changing', ...args);
      await ck('offering', 'add', 'changing', '--repository', 'nas1', '--full-every', '7', '--transfer', 'pull');
      expect(await spare('--no-incremental')).toMatchObject({ fullEvery: 7, incrementalEnabled: false, transfer: 'pull' });
      expect(await spare('--name', 'changed')).toMatchObject({ name: 'changed', incrementalEnabled: false, transfer: 'pull' });
      expect(await json('offering', 'change', 'changed', '--incremental', '--no-transfer')).toMatchObject({
        ...{ fullEvery: 7, incrementalEnabled: true, transfer: null, repository: 'nas1' },
      });
      expect(await ck('offering', 'change', 'changed', '--repository', 'nope')).toMatchObject({ code: 10 });
      expect((await ck('offering', 'remove', 'changed')).code).toBe(0);
    });

    it('checks a repository from a host: 0 when all is well, 3 for warnings, 1 for errors, each with what mends it', async () => {
      const nas = service.lab.host.nases.get(await service.lab.nas('nas1')) as FakeNas;
      const good = await ck('repo', 'check', 'nas1');
      expect([good.code, good.out]).toEqual([
        0,
        expect.stringMatching(/^ok {7}nas1: 1 MiB came back as it was written[^]*^ok {7}nas1: what was written is gone again/m),
      ]);
      nas.latencyUs = 150_000;
      const slow = await ck('repository', 'check', 'nas1', '--host', 'kvm1');
      expect([slow.code, slow.out]).toEqual([
        3,
        expect.stringMatching(
          /^warning {2}nas1: 4 KiB are kept in 150 ms.*\n.*\n {9}mend it: chainkeeper repo change 'nas1' --transfer pull$/m,
        ),
      ]);
      Object.assign(nas, { latencyUs: 400, readOnly: true, enterable: false });
      const { code, out } = await ck('repo', 'check', 'nas1', '--json');
      Object.assign(nas, { readOnly: false, enterable: true });
      const { findings, ...rest } = JSON.parse(out) as { findings: { code: string; severity: string }[] };
      expect([code, rest]).toEqual([1, { repository: 'nas1', host: 'kvm1', severity: 'error' }]);
      expect(findings.flatMap((one) => (one.severity === 'error' ? [one.code] : []))).toEqual([
        'nas-not-reachable',
        'nas-read-only',
      ]);
      service.lab.host.faults.add({ kind: 'mount-failed', on: 'check' });
      expect(await ck('repo', 'check', 'nas1')).toMatchObject({
        code: 1,
        out: expect.stringMatching(/Failed to mount/) as string,
      });
      expect(await ck('repo', 'check', 'nope')).toMatchObject({ code: 10 });
      expect(await ck('repo', 'check', 'nas1', '--host', 'nope')).toMatchObject({ code: 10 });
    });

    it('looks at a repository from no host in maintenance, unless that one is named', async () => {
      await ck('host', 'change', 'kvm1', '--state', 'Maintenance');
      const none = await ck('repo', 'check', 'nas1');
      const named = await ck('repo', 'check', 'nas1', '--host', 'kvm1');
      await ck('host', 'change', 'kvm1', '--state', 'Enabled');
      expect([none.code, none.err, named.code]).toEqual([11, expect.stringContaining('(host.none-looks)'), 0]);
    });

    it('says which script takes the backups of a host', async () => {
      expect((await ck('host', 'add', 'kvm8', '--script', 'stock', '--dialect', 'mid', '--beside')).code).toBe(0);
      expect(await json('host', 'show', 'kvm8')).toMatchObject({
        script: 'stock',
        stockPath: '/usr/share/cloudstack-common/scripts/vm/hypervisor/kvm/nasbackup.sh',
        beside: true,
        dialect: 'mid',
      });
      expect((await ck('host', 'list')).out).toMatch(/^kvm8 .*mid \(stock\)/m);
      expect((await ck('host', 'change', 'kvm8', '--no-beside', '--stock-path', '/opt/nasbackup.sh')).code).toBe(0);
      expect(await json('host', 'show', 'kvm8')).toMatchObject({ beside: false, stockPath: '/opt/nasbackup.sh', dialect: 'mid' });
      expect(await ck('host', 'change', 'kvm8', '--script', 'ours')).toMatchObject({ code: 2 });
      expect((await ck('host', 'remove', 'kvm8')).code).toBe(0);
    });

    it('installs the host script, and says so the second time', async () => {
      const dry = await json<{ changed: boolean; dryRun: boolean }>('host', 'install', 'kvm1', '--dry-run');
      expect(dry).toMatchObject({ dryRun: true, changed: false, permitted: true });
      expect((await ck('host', 'install', 'kvm1')).out).toMatch(
        /^sudoersLine +chainkeeper ALL=\(root\) NOPASSWD: \/usr\/local\/lib\/chainkeeper\/nasbackup\.sh$/m,
      );
      expect(await json('host', 'show', 'kvm1')).toMatchObject({ scriptVersion: expect.any(String) as string });
    });

    it('plans, takes and waits for a backup', async () => {
      const plan = await ck('backup', vm, '--dry-run');
      expect([plan.code, plan.out]).toEqual([0, 'full because no-parent: There is no earlier backup to build on.\n']);
      expect((await ck('backups')).out).not.toContain(vm);
      const full = await ck('backup', vm, '--wait');
      expect([full.code, full.err]).toEqual([0, '']);
      expect(full.out).toMatch(/^run \S+: succeeded, full because no-parent\nbackup \S+; "chainkeeper explain /);
      const run = await json<{ state: string; trigger: string; reason: string }>('backup', vm, '--wait');
      expect(run).toMatchObject({ state: 'succeeded', trigger: 'cli', reason: 'regular' });
      const asked = await json<{ reason: string }>('backup', vm, '--full', '--wait');
      expect(asked).toMatchObject({ reason: 'requested', plannedKind: 'full' });
    });

    it('warns of a disk whose guest feels what a backup suffers: before it, after it and of the host', async () => {
      const [vda] = service.lab.host.vm(vm).disks;
      if (vda === undefined) throw new Error('it has disks');
      vda.errorPolicy = 'report';
      try {
        const words = /error-policy: disk vda has error_policy='report'/;
        expect(await ck('backup', vm, '--dry-run')).toMatchObject({ code: 0, out: expect.stringMatching(words) as string });
        expect(await ck('backup', vm, '--wait')).toMatchObject({ code: 3, out: expect.stringMatching(words) as string });
        expect((await ck('host', 'check', 'kvm1')).out).toMatch(/error_policy='report'/);
      } finally {
        vda.errorPolicy = null;
      }
    });

    it('rescues a disk whose bitmap is lost, when it is told to: says so before, and explains it afterwards', async () => {
      const { activeCheckpoint } = await json<{ activeCheckpoint: string }>('vm', 'show', vm);
      await service.lab.vmStop(vm);
      await service.lab.bitmapRemove(vm, 'vdb', activeCheckpoint);
      await service.lab.vmStart(vm);
      await service.lab.write(vm, 'vdb', 0x66, 65_536, 65_536);
      expect((await ck('backup', vm, '--dry-run')).out).toMatch(/^full because bitmap-missing: /);
      const rescue = ['backup', vm, '--on-lost-bitmap', 'rescue'];
      expect((await ck(...rescue, '--dry-run')).out).toMatch(/^incremental because rescued: /);
      const plan = await json<{ disks: { mode: string }[] }>(...rescue, '--dry-run');
      expect(plan.disks.map(({ mode }) => mode)).toEqual(['incremental', 'rescued']);
      const run = await json<{ state: string; reason: string; backupId: string }>(...rescue, '--wait');
      expect(run).toMatchObject({ state: 'succeeded', reason: 'rescued' });
      const { out } = await ck('explain', run.backupId);
      expect(out).toContain(`Before it the bitmap ${activeCheckpoint} was recreated. It was lost on some disk;`);
      expect(out).toContain('An empty bitmap in the place of the lost one would have lost 65536 bytes.');
      expect(out).toMatch(/vdb: .*all its \d+ bytes were compared with the chain/);
      expect(out).toContain('Assurance accounted:');
    });

    it('draws a bar on a terminal while it waits', async () => {
      const brake = new Brake(service.lab.host);
      Object.defineProperty(process.stderr, 'isTTY', { value: true, configurable: true });
      try {
        const waiting = ck('backup', vm, '--full', '--wait');
        const bytes = (): boolean =>
          [...service.lab.host.jobs.values()].some(
            ({ progress }) => (progress?.processed ?? 0) > 0 && progress?.processed !== progress?.total,
          );
        await until(() => bytes() || (brake.step(), false), 'bytes moved');
        await new Promise((wake) => setTimeout(wake, 3000));
        brake.release();
        const { code, err } = await waiting;
        expect([code, err]).toEqual([0, expect.stringMatching(/\r\u001b\[K\[#+\.+\] \d+ % of .*MiB[^]*\r\u001b\[K$/)]);
      } finally {
        Reflect.deleteProperty(process.stderr, 'isTTY');
      }
    });

    it('ends with 3 when the backup is good and something should be looked at', async () => {
      service.lab.host.faults.add({ kind: 'umount-busy', on: 'backup' });
      const { code, out } = await ck('backup', vm, '--wait');
      expect([code, out]).toEqual([3, expect.stringMatching(/succeeded[^]*^warning: /m)]);
    });

    it('ends with 1 when the run failed, and the run says why', async () => {
      service.lab.host.faults.add({ kind: 'check-failed' });
      const { code, out } = await ck('backup', vm, '--wait', '--json');
      const run = JSON.parse(out) as { id: string; state: string; errorCode: string };
      expect([code, run.state]).toEqual([1, 'failed']);
      expect(run.errorCode).toMatch(/\S/);
      const shown = await ck('run', 'show', run.id);
      expect([shown.code, shown.out]).toEqual([
        0,
        expect.stringMatching(new RegExp(`^run ${run.id}: failed[^]*^error: .*\\(${run.errorCode}\\)`, 'm')),
      ]);
      expect((await ck('run', 'log', run.id)).out).toMatch(/\S/);
      await until(
        async () => (await json<{ ended: string | null }[]>('run', 'list', '--vm', vm)).every(({ ended }) => ended !== null),
        'the retry has ended',
      );
    });

    it('ends with 12 when somebody else is at it, and can stop that', async () => {
      const brake = new Brake(service.lab.host);
      const queued = await json<{ id: string }>('backup', vm);
      const busy = await ck('backup', vm);
      expect([busy.code, busy.err]).toEqual([12, expect.stringMatching(new RegExp(`${queued.id}.*\\(run\\.active\\)\nnext: `))]);
      expect((await ck('vm', 'unassign', vm)).code).toBe(12);
      await until(() => service.lab.host.vm(vm).job !== null || (brake.step(), false), 'the job runs');
      expect((await ck('run', 'abort', queued.id)).code).toBe(0);
      brake.release();
      await until(async () => (await json<{ state: string }>('run', 'show', queued.id)).state === 'cancelled', 'it is cancelled');
    });

    it('ends with 13 when a host cannot be reached, or the service', async () => {
      service.lab.host.faults.add({ kind: 'unreachable' });
      expect(await ck('backup', vm, '--dry-run')).toMatchObject({ code: 13, out: '' });
      const none = await runCli(['backups'], { CHAINKEEPER_URL: 'http://127.0.0.1:1' });
      expect([none.code, none.err]).toEqual([
        13,
        expect.stringMatching(/service\.unreachable\)\nnext: {2}Start it with "chainkeeper serve"/),
      ]);
    });

    it('ends with 11 for what is refused', async () => {
      expect((await ck('host', 'add', 'kvm1')).code).toBe(11);
      expect((await ck('vm', 'unassign', vm)).code).toBe(0);
      expect(await ck('backup', vm, '--dry-run')).toMatchObject({
        code: 11,
        err: expect.stringMatching(/vm\.no-offering\)\nnext: {2}Give it one: chainkeeper vm assign/) as string,
      });
      expect((await ck('vm', 'assign', vm, 'daily')).out).toMatch(/^offering +daily$/m);
    });

    it('shows chains, explains a backup, and reports', async () => {
      await ck('backup', vm, '--wait');
      await service.lab.vmStop(vm);
      await service.lab.vmStart(vm);
      await ck('backup', vm, '--wait');
      const backups = await json<{ id: string; reason: string }[]>('backups', '--vm', vm);
      expect(backups[0]?.reason).toBe('redefined');
      expect((await ck('backups', '--vm', vm)).out).toMatch(
        /^DATE +VM +TYPE +STATUS +REASON +SIZE +RESTORABLE +ASSURANCE +ID\n.*INCREMENTAL +BackedUp +redefined/,
      );
      const chain = await ck('chain', vm);
      expect([chain.code, chain.out]).toEqual([
        0,
        expect.stringMatching(/^chain \S+: 2 link\(s\), 2 restorable[^]*POS +DATE +TYPE +REASON +BITMAP +RECREATED/),
      ]);
      expect((await json<{ links: number }[]>('chain', vm))[0]).toMatchObject({ links: 2, findings: [] });
      const why = await ck('explain', backups[0]?.id ?? '');
      expect(why.out).toMatch(
        /^Why it was what it was\n {2}Incremental \(redefined\)[^]*^Why this size[^]*^What it did to the guest\n {2}\S[^]*^How we know\n {2}\S/m,
      );
      expect((await ck('audit', '--vm', vm)).out).toMatch(
        /^DATE +VM +TYPE +SIZE +RATIO +UNUSUAL +RESTARTS +RECREATED +METHOD +REASON +ASSURANCE +BACKUP\n.* 1 +backup-\d+ +redefined +redefined +accounted /,
      );
      const rows = await json<{ recreateMethod: string | null }[]>('audit', '--vm', vm);
      expect(rows[0]?.recreateMethod).toBe('redefined');
      const csv = await ck('audit', '--csv');
      expect([csv.code, csv.out.trimEnd().split('\n').length]).toEqual([0, rows.length + 1]);
    });

    it('shows the bitmaps on a VM, whose they are and what to do about them', async () => {
      const { out } = await ck('vm', 'bitmaps', vm);
      expect(out).toMatch(
        /^BITMAP +AGE +DISKS +DIRTY +GRANULARITY +HEALTH +OWNER +OF +WHAT TO DO\nbackup-\d+ +\d+ s +vda,vdb +0 B +64.0 KiB +healthy +parent +\S+ +Keep it: .*\.$/m,
      );
      expect(await json('vm', 'bitmaps', vm)).toMatchObject({ vm, state: 'running', items: [{ owner: 'parent' }] });
    });

    it('writes down how to restore by hand', async () => {
      const [{ id }] = (await json<{ id: string }[]>('backups', '--vm', vm)) as [{ id: string }];
      const { code, out } = await ck('runbook', id, '--to', "/restore/it's");
      expect([code, out]).toEqual([
        0,
        expect.stringMatching(/^#!\/bin\/sh\n[^]*^to='\/restore\/it'\\''s'$[^]*^qemu-img convert [^]*^qemu-img compare /m),
      ]);
      expect(await json('runbook', id)).toMatchObject({ backupId: id, lines: expect.arrayContaining(['set -eu']) as string[] });
      expect((await ck('runbook', id, '--new-name', 'rescue')).out).toMatch(/^virsh start 'rescue'$/m);
      expect((await ck('runbook', 'none')).code).toBe(10);
    });

    it('says what a policy would let go, and why each other point stays', async () => {
      const all = await json<{ id: string }[]>('backups', '--vm', vm);
      const told = await ck('retention', 'plan', vm, '--keep-last', '1', '--zone', 'Europe/Berlin', '--manual');
      expect([told.code, told.out]).toEqual([
        0,
        expect.stringMatching(
          /^DATE +TYPE +SIZE +ASSURANCE +FATE +WHY +ID\n\S+ +\S+ .* stays +keep last +\S+\n[^]*restore points left: \d+\n(?:plan [0-9a-f]{16}|nothing to do)$/m,
        ),
      ]);
      const { lines } = await json<{ lines: { fate: string }[] }>('retention', 'plan', vm);
      expect(lines.every(({ fate }) => fate === 'stays')).toBe(true);
      expect(await json<{ id: string }[]>('backups', '--vm', vm)).toEqual(all);
      for (const wrong of [
        ['--keep-last', '-1'],
        ['--keep-daily', 'x'],
        ['--zone', 'Nowhere/There'],
      ])
        expect([wrong, (await ck('retention', 'plan', vm, ...wrong)).code]).toEqual([wrong, 2]);
    });

    it('says by what is kept, looks ahead, and carries out the plan that was shown and no other', async () => {
      const set = await ck('retention', 'set', '--vm', vm, '--keep-last', '50', '--manual');
      expect([set.code, set.out]).toEqual([
        0,
        expect.stringMatching(/^RULE +SAID HERE +HOLDS\nkeep-last +50 +50\n[^]*^said \S+$/m),
      ]);
      expect((await ck('retention', 'show', '--offering', 'daily')).out).toContain('nothing was said here');
      expect((await ck('retention', 'set', '--keep-last', '1')).code).toBe(2);
      const ahead = await ck('retention', 'simulate', vm, '--days', '60', '--every-hours', '48');
      expect([ahead.code, ahead.out]).toEqual([
        0,
        expect.stringMatching(
          /^UNTIL +POINTS +BYTES +FULLS +INCREMENTALS +WRITTEN +FREED +LONGEST GAP\n(?:\d{4}-\d\d-\d\d .*\n){10}a backup every 48 h; a full has [^]*; longest gap \d/,
        ),
      ]);
      expect((await json<{ days: unknown[] }>('retention', 'simulate', vm, '--days', '60')).days.length).toBe(61);
      const wrong = await ck('retention', 'apply', vm, '--plan', '0123456789abcdef');
      expect([wrong.code, wrong.err]).toEqual([11, expect.stringContaining('retention.plan-changed')]);
      const { planId } = await json<{ planId: string }>('retention', 'plan', vm);
      const done = await ck('retention', 'apply', vm, '--plan', planId, '--wait');
      expect([done.code, done.out]).toEqual([0, expect.stringMatching(/^run \S+: succeeded$/m)]);
      expect((await ck('retention', 'clear', '--vm', vm)).out).toContain('nothing was said here');
    });

    it('deletes, and says before what would go; what is protected stays', async () => {
      const [{ id }, parent] = (await json<{ id: string }[]>('backups', '--vm', vm)) as [{ id: string }, { id: string }];
      const held = await ck('protect', id, '--why', 'court order', '--by', 'ops', '--until', '2099-01-01T00:00:00Z');
      expect([held.code, held.out]).toEqual([0, `backup ${id} is protected until 2099-01-01T00:00:00.000Z\n`]);
      expect(await ck('delete', id, '--dry-run')).toMatchObject({
        code: 11,
        err: expect.stringMatching(/by ops: court order \(deletion\.protected\)\nnext: /) as string,
      });
      expect((await ck('unprotect', id)).out).toBe(`backup ${id} is protected no more\n`);
      expect((await ck('delete', parent.id, '--dry-run')).out).toMatch(
        /^STEP +BACKUP +FREES +WHY\nhide +\S+ +- +.*\n0 B freed, restore points lost: 1, left of the VM: \d+$/m,
      );
      const done = await ck('delete', id, '--wait');
      expect([done.code, done.out]).toEqual([0, expect.stringMatching(/^run \S+: succeeded$/m)]);
      expect((await json<{ id: string }[]>('backups', '--vm', vm)).map((one) => one.id)).not.toContain(id);
      expect((await ck('delete', 'none')).code).toBe(10);
      // The tests below go on with a chain.
      await ck('backup', vm, '--wait');
    });

    it('sweeps a host, and ends with 3 when something was left', async () => {
      expect(await ck('host', 'sweep', 'kvm1')).toMatchObject({ code: 0, out: 'nothing was left behind on kvm1\n' });
      service.lab.host.mounts.add('/tmp/csbackup.left');
      expect((await ck('host', 'sweep', 'kvm1', '--dry-run')).out).toMatch(
        /^WHAT +ACTION +WHERE +WHY\nmount +would-be-removed +\/tmp\/csbackup\.left +it /,
      );
      expect(await json('host', 'sweep', 'kvm1')).toMatchObject({ host: 'kvm1', items: [{ action: 'removed' }] });
      service.lab.host.vm(vm).pause('I/O error');
      const left = await ck('host', 'sweep', 'kvm1');
      expect([left.code, left.out]).toEqual([3, expect.stringMatching(/^paused-guest +left +\S+ +.*virsh resume/m)]);
      service.lab.host.vm(vm).resume();
    });

    it('checks a host: 0 when it is ready, 3 for warnings, 1 for errors, each with what mends it', async () => {
      const ready = await ck('host', 'check', 'kvm1');
      expect([ready.code, ready.out]).toEqual([
        0,
        expect.stringMatching(/^ok {7}kvm1: libvirt 9\.0\.0, QEMU [^]*^ok {7}nas1: it mounts/m),
      ]);
      service.lab.host.mounts.add('/tmp/csbackup.left');
      const warned = await ck('host', 'check', 'kvm1');
      expect([warned.code, warned.out]).toEqual([
        3,
        expect.stringMatching(
          /^warning {2}kvm1: mount \/tmp\/csbackup\.left\n {9}Killed .*\n {9}mend it: chainkeeper host sweep kvm1$/m,
        ),
      ]);
      await ck('host', 'sweep', 'kvm1');
      service.lab.host.faults.add({ kind: 'mount-failed', on: 'check' });
      expect(await ck('host', 'check', 'kvm1')).toMatchObject({
        code: 1,
        out: expect.stringMatching(/^error {4}nas1: .*Failed to mount/m) as string,
      });
      service.lab.host.faults.add({ kind: 'unreachable', on: 'inspect' });
      const { code, out } = await ck('host', 'check', 'kvm1', '--json');
      expect([code, JSON.parse(out)]).toEqual([
        1,
        { host: 'kvm1', severity: 'error', findings: [expect.objectContaining({ code: 'host.unreachable', subject: 'kvm1' })] },
      ]);
    });

    it('takes our bitmaps off a VM, or says which', async () => {
      const dry = await ck('vm', 'release', vm, '--dry-run');
      expect([dry.code, dry.out]).toEqual([
        0,
        expect.stringMatching(/^BITMAP +DISKS +CHECKPOINT\nbackup-\d+ +vda,vdb +yes\nthese would be taken off/),
      ]);
      expect(await json('vm', 'release', vm)).toMatchObject({ dryRun: false, bitmaps: [{ disks: ['vda', 'vdb'] }] });
      expect((await ck('vm', 'release', vm)).out).toBe(`no bitmap of ours is on ${vm}\n`);
    });

    it.each([
      [[]],
      [['frob']],
      [['host']],
      [['host', 'frob']],
      [['host', 'add']],
      [['vm', 'add', 'x']],
      [['backup']],
      [['explain']],
      [['host', 'add', 'x', '--port', 'abc']],
      [['host', 'add', 'x', '--port', '-1']],
      [['offering', 'add', 'x', '--repository', 'nas1', '--full-every', '1.5']],
      [['vm', 'add', 'x', '--host', 'kvm1', '--disk', 'vda']],
      [['host', 'add', 'x', '--dialect', 'klingon']],
      [['backups', '--colour']],
      [['host', 'show', 'a', 'b']],
      [['audit', '--csv', '--json']],
      [['audit', '--since', 'yesterday']],
      [['host', 'add', "a'b;$(id)"]],
      [['repo', 'add', 'x', '--type', 'nfs', '--address', 'a:/b', '--mount-options-file', '/nope']],
    ])('ends with 2 for a wrong call, and prints nothing on stdout: %j', async (args) => {
      const { code, out, err } = await ck(...args);
      expect([args, code, out]).toEqual([args, 2, '']);
      expect(err).toMatch(/^(?:error: |Usage: )/);
    });

    it('names a token file that it cannot read', async () => {
      const { code, err } = await runCli(['backups'], { CHAINKEEPER_URL: service.url, CHAINKEEPER_API_TOKEN_FILE: '/nope' });
      expect([code, err]).toEqual([
        2,
        expect.stringMatching(/^error: .*CHAINKEEPER_API_TOKEN_FILE.*\/nope \(ENOENT\)\. \(cli\.file\)\nnext: /),
      ]);
    });

    it('prints an error as JSON when JSON was asked for, on stderr', async () => {
      const { code, out, err } = await ck('vm', 'show', 'nope', '--json');
      expect([code, out]).toEqual([10, '']);
      expect(JSON.parse(err)).toMatchObject({
        code: 'vm.not-found',
        message: expect.any(String) as string,
        next: expect.any(String) as string,
      });
    });

    it('has help for every command, with its exit codes, without a service', async () => {
      const { code, out } = await runCli(['--help']);
      expect([code, out]).toEqual([
        0,
        expect.stringMatching(
          /Exit codes: 0 done, 1 failed, 2 usage or settings, 3 done with warnings, 10 not found, 11 refused, 12 busy, 13 unreachable/,
        ),
      ]);
      const names = [...out.matchAll(/^ {2}([a-z][a-z-]+)(?:\|\S+)?(?: \S+)* {2,}\S/gm)].map(([, name]) => name ?? '');
      expect(names).toEqual([
        'parse-output',
        'serve',
        'host',
        'repo',
        'offering',
        'vm',
        'backup',
        'backups',
        'chain',
        'checksums',
        'explain',
        'runbook',
        'restore',
        'restores',
        'delete',
        'protect',
        'unprotect',
        'retention',
        'run',
        'schedule',
        'start-rules',
        'events',
        'coverage',
        'audit',
        'books',
        'config',
        'openapi',
        'help',
      ]);
      for (const name of names.slice(0, -1)) {
        const help = await runCli([name, '--help']);
        expect([name, help.code, help.err]).toEqual([name, 0, '']);
        expect(help.out).toMatch(/^Usage: chainkeeper [^]*-h, --help/);
      }
    });
  },
  ['sqlite'],
);
