import { execFile } from 'node:child_process';
import { createHmac, randomBytes } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { type AddressInfo, createServer, Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { Server, utils } from 'ssh2';
import type { HostAccess } from '../../src/hosts/host-access';
import type { RemoteCommand, RemoteResult } from '../../src/hosts/remote-shell';
import { SshShell } from '../../src/hosts/ssh/ssh-shell';
import { RealLab } from '../lab/lab';
import { TcpProxy } from '../support/tcp-proxy';

/** What only SSH can do wrong; what every host client must do is in host-client.contract.ts. */
describe('SshShell on a real sshd', () => {
  const lab = new RealLab(join(tmpdir(), `ck-ssh-${process.pid}`), `ckssh${process.pid % 100000}`);
  const shells: SshShell[] = [];
  const proxies: TcpProxy[] = [];
  let host: HostAccess;
  let folder: string;
  let marks = 0;

  beforeAll(async () => {
    await lab.up();
    host = await lab.access();
    folder = await mkdtemp(join(tmpdir(), 'ck-ssh-files-'));
  });
  afterEach(async () => {
    await Promise.all(shells.splice(0).map((shell) => shell.close()));
    await Promise.all(proxies.splice(0).map((proxy) => proxy.close()));
  });
  afterAll(async () => {
    await lab.down();
    await rm(folder, { recursive: true, force: true });
  });

  const shell = (options: ConstructorParameters<typeof SshShell>[0] = {}): SshShell => {
    const made = new SshShell(options);
    shells.push(made);
    return made;
  };
  const proxied = async (): Promise<{ proxy: TcpProxy; via: HostAccess }> => {
    const proxy = await TcpProxy.before(host.address, host.port);
    proxies.push(proxy);
    return { proxy, via: { ...host, port: proxy.port } };
  };
  const sh = (script: string, more: Partial<RemoteCommand> = {}, ...args: string[]): RemoteCommand => ({
    argv: ['/bin/sh', '-c', script, 'sh', ...args],
    deadlineMs: 60_000,
    ...more,
  });
  /** Starts something on the host, and answers once it has begun and its first words, `begun`, are here. */
  const begin = async (ssh: SshShell, at: HostAccess, script: string): Promise<{ ended: Promise<RemoteResult> }> => {
    const mark = `begun-${(marks += 1)}`;
    const ended = ssh.run(at, sh(`echo begun; touch ~/${mark}; ${script}`));
    await ssh.run(at, sh(`until test -e ~/${mark}; do sleep 0.02; done`));
    return { ended };
  };
  const file = async (name: string, text: string): Promise<string> => {
    const path = join(folder, name);
    await writeFile(path, text, { mode: 0o600 });
    return path;
  };

  test('runs a program with its arguments, its stdin, both streams and its exit code', async () => {
    const nasty = [`a'b`, '', '$(id)', '`id`', 'x\ny', '*', '-n', 'ü€😀', '\\', '"'];
    const script = 'cat; printf "%s|" "$@"; echo oops >&2; exit 7';
    const result = await shell().run(host, {
      argv: ['/bin/sh', '-c', script, 'sh', ...nasty],
      stdin: 'from stdin\n',
      deadlineMs: 10_000,
    });
    expect(result).toEqual({
      stdout: `from stdin\n${nasty.map((text) => `${text}|`).join('')}`,
      stderr: 'oops\n',
      exit: 7,
      signal: null,
      truncated: false,
    });
  });

  test('uses one connection for many commands', async () => {
    const { proxy, via } = await proxied();
    const ssh = shell();
    for (let i = 0; i < 5; i += 1) await ssh.run(via, sh('true'));
    expect(proxy.connections).toBe(1);
  });

  test('no request waits for the answer to the one before: Nagle’s algorithm is off on the socket', async () => {
    const noDelay = jest.spyOn(Socket.prototype, 'setNoDelay');
    try {
      await shell().run(host, sh('true'));
      const ours = noDelay.mock.contexts.map((socket, index) => [
        (socket as Socket).remotePort,
        ...(noDelay.mock.calls[index] ?? []),
      ]);
      expect(ours).toContainEqual([host.port, true]);
    } finally {
      noDelay.mockRestore();
    }
  });

  test('no exit code is lost, however soon it comes', async () => {
    for (let i = 0; i < 8; i += 1) {
      const ssh = new SshShell();
      expect(await ssh.run(host, sh('exit 3'))).toMatchObject({ exit: 3 });
      await ssh.close();
    }
  });

  test('20 commands at once: each runs once, never more than four beside each other, on one connection', async () => {
    const { proxy, via } = await proxied();
    const ssh = shell();
    await ssh.run(via, sh('mkdir ~/running'));
    const numbers = Array.from({ length: 20 }, (_, index) => index);
    const script = 'mkdir ~/running/$1 && ls ~/running | wc -l; echo $1 >>~/ran; sleep 0.05; rmdir ~/running/$1';
    const results = await Promise.all(numbers.map((n) => ssh.run(via, sh(script, {}, `${n}`))));
    expect(results.map(({ exit }) => exit)).toEqual(numbers.map(() => 0));
    const beside = Math.max(...results.map(({ stdout }) => Number(stdout)));
    expect([beside > 1, beside <= 4]).toEqual([true, true]);
    const ran = (await ssh.run(via, sh('cat ~/ran'))).stdout.trim().split('\n').map(Number);
    expect(ran.sort((a, b) => a - b)).toEqual(numbers);
    expect(proxy.connections).toBe(1);
  });

  test('no secret on a command line: what goes to stdin is in no ps', async () => {
    const secret = 'hunter2-swordfish';
    const ssh = shell();
    const seen = ssh.run(host, sh('read -r line; ps -eo args; sleep 0.3', { stdin: `${secret}\n` }));
    const { stdout } = await promisify(execFile)('ps', ['-eo', 'args']);
    expect(stdout).not.toContain(secret);
    const { stdout: over } = await seen;
    expect(over).toContain('ps -eo args');
    expect(over).not.toContain(secret);
  });

  test('3 MiB on stderr neither hang nor grow: the beginning is kept, the rest is drained', async () => {
    const result = await shell().run(host, sh('head -c 3145728 /dev/zero | tr "\\0" e >&2; echo done', { stderrCap: 1000 }));
    expect(result.exit).toBe(0);
    expect(result.stdout).toBe('done\n');
    expect(result.stderr).toBe('e'.repeat(1000));
    expect(result.truncated).toBe(true);
  });

  test('a program that ends without reading a long stdin is no error', async () => {
    const result = await shell().run(host, sh('exec true', { stdin: 'x'.repeat(4 * 1024 * 1024) }));
    expect(result.exit).toBe(0);
  });

  test('death by a signal has no exit code, but the signal', async () => {
    // The login shell stands in between and would make a code of its child's signal: so the signal goes to the login shell.
    expect(await shell().run(host, sh('kill -KILL $PPID'))).toMatchObject({ exit: null, signal: 'KILL' });
  });

  test('a deadline ends the waiting with the outcome unknown, and the next command works', async () => {
    const ssh = shell();
    await expect(ssh.run(host, sh('sleep 60', { deadlineMs: 300 }))).rejects.toMatchObject({
      code: 'host.timeout',
      kind: 'unreachable',
    });
    expect(await ssh.run(host, sh('echo ok'))).toMatchObject({ stdout: 'ok\n', exit: 0 });
  });

  test('commands that hang do not use up the sessions of the host', async () => {
    const ssh = shell();
    for (let round = 0; round < 3; round += 1) {
      const hung = Array.from({ length: 4 }, () => ssh.run(host, sh('sleep 60', { deadlineMs: 250 })));
      expect((await Promise.allSettled(hung)).every(({ status }) => status === 'rejected')).toBe(true);
    }
    expect(await ssh.run(host, sh('echo ok'))).toMatchObject({ stdout: 'ok\n', exit: 0 });
  });

  test('a connection cut in the middle: no exit code, and the next command connects anew', async () => {
    const { proxy, via } = await proxied();
    const ssh = shell();
    const { ended } = await begin(ssh, via, 'sleep 60');
    proxy.cut();
    expect(await ended).toMatchObject({ stdout: 'begun\n', exit: null, signal: null });
    expect(await ssh.run(via, sh('exit 3'))).toMatchObject({ exit: 3 });
    expect(proxy.connections).toBe(2);
  });

  test('an sshd killed in the middle is the same, and refuses afterwards', async () => {
    const ssh = shell();
    const { ended } = await begin(ssh, host, 'sleep 60');
    await lab.verb('sshd-kill', lab.user);
    expect(await ended).toMatchObject({ exit: null });
    await expect(ssh.run(host, sh('true'))).rejects.toMatchObject({ code: 'host.unreachable', kind: 'unreachable' });
    await lab.access();
    expect(await ssh.run(host, sh('echo again'))).toMatchObject({ stdout: 'again\n' });
  });

  test('a black hole in the middle is noticed by keepalives, and not by the deadline', async () => {
    const { proxy, via } = await proxied();
    const ssh = shell({ keepaliveMs: 200 });
    const { ended } = await begin(ssh, via, 'sleep 60');
    proxy.swallow();
    // The deadline would end it with an error.
    expect(await ended).toMatchObject({ stdout: 'begun\n', exit: null });
  });

  test('a black hole from the beginning: not executed, within the time to connect', async () => {
    const { proxy, via } = await proxied();
    proxy.swallow();
    await expect(shell({ connectTimeoutMs: 500 }).run(via, sh('true'))).rejects.toMatchObject({ code: 'host.unreachable' });
  });

  test('a host that let us wait in vain is not waited for again until as long has passed', async () => {
    const { proxy, via } = await proxied();
    proxy.swallow();
    const ssh = shell({ connectTimeoutMs: 1000 });
    const tries = async (): Promise<number> => {
      await expect(ssh.run(via, sh('true'))).rejects.toMatchObject({ code: 'host.unreachable' });
      return proxy.connections;
    };
    expect([await tries(), await tries(), await tries()]).toEqual([1, 1, 1]);
    await new Promise((later) => setTimeout(later, 1100));
    expect(await tries()).toBe(2);
  });

  test('nobody listens: not executed', async () => {
    const server = createServer().listen(0, '127.0.0.1');
    await new Promise((done) => server.once('listening', done));
    const { port } = server.address() as AddressInfo;
    await new Promise((done) => server.close(done));
    await expect(shell().run({ ...host, port }, sh('true'))).rejects.toMatchObject({
      code: 'host.unreachable',
      message: expect.stringContaining('ECONNREFUSED'),
    });
  });

  test('a key that is not the pinned one is refused, names the one seen and how to accept it', async () => {
    const other = `SHA256:${'A'.repeat(43)}`;
    const refused = shell().run({ ...host, fingerprint: other }, sh('true'));
    await expect(refused).rejects.toMatchObject({
      code: 'host.key-changed',
      kind: 'refused',
      message: expect.stringContaining(host.fingerprint ?? ''),
      next: expect.stringContaining('ssh-keygen -lf'),
    });
  });

  test('known_hosts: plain, hashed, revoked, other host, other key, missing file', async () => {
    const key = (await lab.verb('sshd-up', lab.user)).match(/"hostKey":"([^"]+)"/)?.[1] ?? '';
    const name = `[${host.address}]:${host.port}`;
    const salt = randomBytes(20);
    const hashed = `|1|${salt.toString('base64')}|${createHmac('sha1', salt).update(name).digest('base64')}`;
    const fake = `ssh-ed25519 ${Buffer.concat([Buffer.from([0, 0, 0, 11]), Buffer.from('ssh-ed25519'), Buffer.from([0, 0, 0, 32]), randomBytes(32)]).toString('base64')}`;
    const verdicts: Record<string, string> = {};
    const files: Record<string, string> = {
      plain: `# comment\n${name} ${key} somebody\n`,
      hashed: `${hashed} ${key}\n`,
      revoked: `@revoked * ${key}\n${name} ${key}\n`,
      unknown: `[127.0.0.9]:${host.port} ${key}\n`,
      changed: `${name} ${fake}\n`,
    };
    for (const [label, text] of Object.entries(files)) {
      const knownHostsFile = await file(`known-${label}`, text);
      verdicts[label] = await shell()
        .run({ ...host, fingerprint: null, knownHostsFile }, sh('true'))
        .then(
          ({ exit }) => `exit ${exit}`,
          (error: { code: string }) => error.code,
        );
    }
    const missing = shell().run({ ...host, fingerprint: null, knownHostsFile: join(folder, 'none') }, sh('true'));
    await expect(missing).rejects.toMatchObject({
      code: 'host.key-unknown',
      next: expect.stringContaining(join(folder, 'none')),
    });
    expect(verdicts).toEqual({
      plain: 'exit 0',
      hashed: 'exit 0',
      revoked: 'host.key-revoked',
      unknown: 'host.key-unknown',
      changed: 'host.key-changed',
    });
  });

  test('neither fingerprint nor known_hosts: every key is refused', async () => {
    await expect(shell().run({ ...host, fingerprint: null }, sh('true'))).rejects.toMatchObject({ code: 'host.key-unknown' });
  });

  test('a stranger is not let in; a private key that cannot be used is named, not shown', async () => {
    await promisify(execFile)('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', join(folder, 'stranger')]);
    const stranger = { ...host, privateKeyFile: join(folder, 'stranger') };
    await expect(shell().run(stranger, sh('true'))).rejects.toMatchObject({ code: 'host.auth-failed', kind: 'unauthorized' });
    const broken = await file(
      'broken',
      '-----BEGIN OPENSSH PRIVATE KEY-----\nc2VjcmV0c2VjcmV0\n-----END OPENSSH PRIVATE KEY-----\n',
    );
    for (const privateKeyFile of [broken, join(folder, 'absent')]) {
      const error = await shell()
        .run({ ...host, privateKeyFile }, sh('true'))
        .catch((thrown: Error) => thrown);
      expect(error).toMatchObject({ code: 'host.key-file' });
      expect(JSON.stringify([error, (error as Error).message])).not.toContain('c2VjcmV0');
    }
  });

  test('a key that an SSH agent holds', async () => {
    const agentSocket = join(folder, 'agent');
    const { stdout: up } = await promisify(execFile)('ssh-agent', ['-s', '-a', agentSocket]);
    try {
      const env = { ...process.env, SSH_AUTH_SOCK: agentSocket };
      await promisify(execFile)('ssh-add', ['-q', host.privateKeyFile ?? ''], { env });
      expect(await shell().run({ ...host, privateKeyFile: null, agentSocket }, sh('echo in'))).toMatchObject({ stdout: 'in\n' });
      await promisify(execFile)('ssh-add', ['-q', '-D'], { env });
      await expect(shell().run({ ...host, privateKeyFile: null, agentSocket }, sh('true'))).rejects.toMatchObject({
        code: 'host.auth-failed',
      });
    } finally {
      process.kill(Number(/SSH_AGENT_PID=(\d+)/.exec(up)?.[1]));
    }
    await expect(shell().run({ ...host, privateKeyFile: null }, sh('true'))).rejects.toMatchObject({ code: 'host.key-file' });
  });

  test('a channel that the host refuses was not executed: it is asked for again, and not for ever', async () => {
    let refusals = 3;
    let executed = 0;
    const server = new Server({ hostKeys: [utils.generateKeyPairSync('ed25519').private] }, (client) => {
      client.on('error', () => undefined);
      client.on('authentication', (context) => context.accept());
      client.on('session', (accept, reject) => {
        if ((refusals -= 1) >= 0) return reject();
        accept().on('exec', (acceptExec) => {
          executed += 1;
          const stream = acceptExec();
          stream.exit(0);
          stream.end();
        });
      });
    });
    await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
    const ssh = shell();
    try {
      let fingerprint = `SHA256:${'A'.repeat(43)}`;
      const at = { ...host, port: (server.address() as AddressInfo).port };
      const refused = await ssh.run({ ...at, fingerprint }, sh('true')).catch((error: { facts: { seen: string } }) => error);
      fingerprint = 'facts' in refused ? refused.facts.seen : '';
      expect(await ssh.run({ ...at, fingerprint }, sh('true'))).toMatchObject({ exit: 0 });
      expect([refusals, executed]).toEqual([-1, 1]);
      refusals = Infinity;
      await expect(ssh.run({ ...at, fingerprint }, sh('true'))).rejects.toMatchObject({ code: 'host.busy', kind: 'busy' });
      expect(executed).toBe(1);
    } finally {
      await ssh.close();
      await new Promise((done) => server.close(done));
    }
  });

  test('a quiet connection is closed and opened again when needed; close leaves nothing open', async () => {
    const { proxy, via } = await proxied();
    const ssh = shell({ idleMs: 100 });
    await ssh.run(via, sh('true'));
    await new Promise((done) => setTimeout(done, 400));
    expect(await ssh.run(via, sh('echo on'))).toMatchObject({ stdout: 'on\n' });
    expect(proxy.connections).toBe(2);
    const { ended } = await begin(ssh, via, 'sleep 60');
    await ssh.close();
    expect(await ended).toMatchObject({ exit: null });
  });
});
