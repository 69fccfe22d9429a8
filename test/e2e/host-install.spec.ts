import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Service, startService } from '../../src/main';
import { RealLab } from '../lab/lab';
import { runCli } from '../support/cli';
import { serviceConfig } from '../support/service-config';

jest.setTimeout(180_000);

const sha256 = (file: string): string => createHash('sha256').update(readFileSync(file)).digest('hex');

/** `chainkeeper host install` from the command line over REST and real SSH to a real file. */
describe('chainkeeper host install', () => {
  const folder = mkdtempSync(join(tmpdir(), 'ck-install-'));
  const sudoers = `/etc/sudoers.d/chainkeeper-install-${process.pid}`;
  const lab = new RealLab(join(folder, 'lab'), `cki${process.pid % 100_000}`);
  const script = join(folder, 'new/chainkeeper/nasbackup.sh');
  let service: Service;

  beforeAll(async () => {
    execFileSync('chmod', ['0755', folder]);
    await lab.up();
    const { user, port, address, privateKeyFile, fingerprint } = await lab.access();
    service = await startService(serviceConfig({ kind: 'sqlite', path: join(folder, 'books.sqlite') }));
    const access = ['--address', address, '--port', String(port), '--user', user, '--private-key-file', privateKeyFile ?? ''];
    const { code, err } = await ck('host', 'add', 'kvm1', ...access, '--fingerprint', fingerprint ?? '', '--script-path', script);
    expect([code, err]).toEqual([0, '']);
  });
  afterAll(async () => {
    await service?.close();
    rmSync(sudoers, { force: true });
    await lab.down();
    rmSync(folder, { recursive: true, force: true });
  });

  const ck = (...args: string[]): ReturnType<typeof runCli> => runCli(args, { CHAINKEEPER_URL: service.url });
  const install = async (...more: string[]): Promise<Record<string, unknown>> => {
    const { code, out, err } = await ck('host', 'install', 'kvm1', '--json', ...more);
    expect([code, err]).toEqual([0, '']);
    return JSON.parse(out) as Record<string, unknown>;
  };

  it('says what to do by hand to a user who may not become root', async () => {
    const { code, out, err } = await ck('host', 'install', 'kvm1');
    expect([code, out, existsSync(script)]).toEqual([11, '', false]);
    expect(err).toMatch(/\(host\.install-not-permitted\)\nnext: {2}[^]*scp -P \d+ [^]*install -D -o root[^]*NOPASSWD: /);
  });

  it('looks with --dry-run, installs, and has nothing to do the second time', async () => {
    const { user } = await lab.access();
    writeFileSync(sudoers, `${user} ALL=(ALL) NOPASSWD: ALL\n`, { mode: 0o440 });
    expect(await install('--dry-run')).toMatchObject({ dryRun: true, changed: true, before: null });
    expect(existsSync(script)).toBe(false);
    expect(JSON.parse((await ck('host', 'show', 'kvm1', '--json')).out)).toMatchObject({
      scriptVersion: null,
      installedAt: null,
    });

    const done = await install();
    expect(done).toMatchObject({
      dryRun: false,
      changed: true,
      path: script,
      sudoersLine: `${user} ALL=(root) NOPASSWD: ${script}`,
    });
    expect([statSync(script).uid, statSync(script).mode & 0o7777]).toEqual([0, 0o755]);
    expect(sha256(script)).toBe(done['sha256']);
    const { ino, mtimeMs } = statSync(script);
    const shown = JSON.parse((await ck('host', 'show', 'kvm1', '--json')).out) as Record<string, unknown>;
    expect(shown).toMatchObject({ scriptVersion: done['version'], scriptSha256: done['sha256'] });

    expect(await install()).toMatchObject({ changed: false, before: done['sha256'] });
    expect([statSync(script).ino, statSync(script).mtimeMs]).toEqual([ino, mtimeMs]);

    writeFileSync(script, '#!/bin/sh\n# tampered with\n');
    expect(await install()).toMatchObject({ changed: true, sha256: done['sha256'] });
    expect(sha256(script)).toBe(done['sha256']);
  });

  it('refuses a host that shows another key than the pinned one, and takes it when it was accepted', async () => {
    const { fingerprint } = await lab.access();
    expect((await ck('host', 'change', 'kvm1', '--fingerprint', `SHA256:${'A'.repeat(43)}`)).code).toBe(0);
    const refused = await ck('host', 'install', 'kvm1', '--dry-run');
    expect([refused.code, refused.err]).toEqual([
      11,
      expect.stringMatching(/\(host\.key-changed\)\nnext: [^]*chainkeeper host change kvm1 --fingerprint SHA256:/),
    ]);
    const said = /--fingerprint (SHA256:[A-Za-z0-9+/=]+)/.exec(refused.err)?.[1] ?? '';
    expect(said).toBe(fingerprint);
    expect((await ck('host', 'change', 'kvm1', '--fingerprint', said)).code).toBe(0);
    expect((await install('--dry-run'))['changed']).toBe(false);
  });
});
