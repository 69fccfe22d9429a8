import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type AddressInfo } from 'node:net';
import { networkInterfaces, tmpdir } from 'node:os';
import { join } from 'node:path';
import { runCli } from '../support/cli';
import { startScript, type NodeScript } from '../support/node-script';

jest.setTimeout(120_000);

const TOKEN = 'a-token-of-at-least-thirty-two-characters';

/** `chainkeeper serve` as a process of its own: where it listens, when it refuses to start, how it ends. */
describe('chainkeeper serve', () => {
  let folder: string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'ck-serve-'));
  });
  afterEach(() => rm(folder, { recursive: true, force: true }));

  const serve = (env: Record<string, string> = {}): NodeScript =>
    startScript('test/e2e/child/serve.ts', null, {
      CHAINKEEPER_DB_PATH: join(folder, 'books.sqlite'),
      CHAINKEEPER_HTTP_PORT: '0',
      ...env,
    });
  const listening = async (service: NodeScript): Promise<{ url: string; line: Record<string, unknown> }> => {
    const line = JSON.parse(await service.line('{"level":"info"')) as Record<string, unknown>;
    expect(line).toMatchObject({ service: 'chainkeeper', msg: 'the service listens', books: 'sqlite' });
    return { url: String(line['url']), line };
  };

  it('listens on loopback, says so as its first line, answers, and ends well on SIGTERM', async () => {
    const service = serve();
    const { url } = await listening(service);
    expect(url).toMatch(/^http:\/\/127\.0\.0\.1:\d+$/);
    expect((await fetch(`${url}/health/ready`)).status).toBe(200);
    const outside = Object.values(networkInterfaces())
      .flat()
      .find((one) => one?.family === 'IPv4' && !one.internal)?.address;
    if (outside !== undefined)
      await expect(fetch(`http://${outside}:${new URL(url).port}/health/live`)).rejects.toThrow('fetch failed');
    const second = await runCli(['serve'], { CHAINKEEPER_DB_PATH: join(folder, 'books.sqlite'), CHAINKEEPER_HTTP_PORT: '0' });
    expect([second.code, second.err]).toEqual([12, expect.stringMatching(/in use by process \d+.*\(database\.in-use\)\nnext: /)]);
    process.kill(service.pid, 'SIGTERM');
    const { code, out, err } = await service.end();
    expect([code, err]).toEqual([0, '']);
    expect(JSON.parse(out.split('\n').at(-1) ?? '')).toMatchObject({ level: 'info', signal: 'SIGTERM' });
  });

  it('listens for others with a token only, which is nowhere on its command line', async () => {
    const refused = await runCli(['serve'], { CHAINKEEPER_HTTP_ADDRESS: '0.0.0.0' });
    expect([refused.code, refused.out]).toEqual([2, '']);
    expect(refused.err).toMatch(
      /CHAINKEEPER_HTTP_ADDRESS is 0\.0\.0\.0, which others can reach: set CHAINKEEPER_API_TOKEN \(or _FILE\) or listen on 127\.0\.0\.1 \(config\.invalid\)\nnext: /,
    );

    const file = join(folder, 'token');
    await writeFile(file, `${TOKEN}\n`);
    const service = serve({ CHAINKEEPER_HTTP_ADDRESS: '0.0.0.0', CHAINKEEPER_API_TOKEN_FILE: file });
    const { url } = await listening(service);
    const at = `http://127.0.0.1:${new URL(url).port}`;
    expect((await fetch(`${at}/api/v1/vms`)).status).toBe(401);
    expect((await fetch(`${at}/api/v1/vms`, { headers: { authorization: `Bearer ${TOKEN}` } })).status).toBe(200);
    expect((await fetch(`${at}/health/live`)).status).toBe(200);
    await service.kill();
  });

  it.each([
    [
      'a port that is taken',
      async () => {
        const other = createServer().listen(0, '127.0.0.1');
        await once(other, 'listening');
        other.unref();
        return { CHAINKEEPER_HTTP_PORT: String((other.address() as AddressInfo).port) };
      },
      1,
      'service.cannot-listen',
    ],
    [
      'an address that is none of this machine',
      () => ({ CHAINKEEPER_HTTP_ADDRESS: '192.0.2.1', CHAINKEEPER_API_TOKEN: TOKEN }),
      1,
      'service.cannot-listen',
    ],
    [
      'a database that does not answer',
      () => ({ CHAINKEEPER_DB_KIND: 'mariadb', CHAINKEEPER_DB_PORT: '1' }),
      13,
      'database.unreachable',
    ],
    [
      'a file that is no database',
      async () => {
        const file = join(folder, 'text');
        await writeFile(file, 'no database, but long enough to be looked at as one'.repeat(30));
        return { CHAINKEEPER_DB_PATH: file };
      },
      1,
      'database.damaged',
    ],
  ] as const)('does not start on %s, and says why in one line and what to do in another', async (_what, env, exit, code) => {
    const settings = (await env()) as Record<string, string>;
    const {
      code: ended,
      out,
      err,
    } = await runCli(['serve'], {
      CHAINKEEPER_DB_PATH: join(folder, 'books.sqlite'),
      CHAINKEEPER_LOG_LEVEL: 'info',
      CHAINKEEPER_HTTP_PORT: '0',
      ...settings,
    });
    // The log may say it too, in its own form.
    expect([ended, out]).toEqual([exit, expect.stringMatching(/^(?:\{.*\}\n)*$/)]);
    expect(err).toMatch(new RegExp(`^error: .+ \\(${code.replace('.', '\\.')}\\)\nnext: {2}\\S.+\n$`));
  });

  describe('settings', () => {
    it('are all looked at before it refuses to start: every error is listed at once', async () => {
      const wrong = {
        CHAINKEEPER_HTTP_PORT: '70000', CHAINKEEPER_HTTP_ADDRESS: '0.0.0.0', CHAINKEEPER_LEASE_SECONDS: 'soon', CHAINKEEPER_LOG_LEVEL: 'loud',
        CHAINKEEPER_DB_KIND: 'oracle', CHAINKEEPER_DB_PASSWORD: 'a', CHAINKEEPER_DB_PASSWORD_FILE: '/x', CHAINKEEPER_SSH_KEY_FILE: '/nope', CHAINKEEPER_COLOUR: 'red',
      }; // prettier-ignore
      for (const command of ['serve', 'config']) {
        const { code, out, err } = await runCli([command, '--json'], wrong);
        const { facts, ...error } = JSON.parse(err) as { facts: { problems: string[] }; code: string; next: string };
        expect([code, out, error.code, error.next]).toEqual([
          2,
          '',
          'config.invalid',
          expect.stringMatching(/nothing was started/),
        ]);
        expect(facts.problems.map((line) => line.split(/[ :]/)[0]).sort()).toEqual([
          'CHAINKEEPER_COLOUR', 'CHAINKEEPER_DB_KIND', 'CHAINKEEPER_DB_PASSWORD', 'CHAINKEEPER_HTTP_ADDRESS', 'CHAINKEEPER_HTTP_PORT',
          'CHAINKEEPER_LEASE_SECONDS', 'CHAINKEEPER_LOG_LEVEL', 'CHAINKEEPER_SSH_KEY_FILE',
        ]); // prettier-ignore
        const text = await runCli([command], wrong);
        for (const problem of facts.problems) expect(text.err).toContain(`  ${problem}\n`.trimEnd());
      }
    });

    it('can each come from a file, and are printed as they are in effect, secrets redacted', async () => {
      const files = {
        CHAINKEEPER_API_TOKEN: TOKEN,
        CHAINKEEPER_DB_PASSWORD: 'hunter22',
        CHAINKEEPER_HTTP_PORT: '8499',
        CHAINKEEPER_OWNER: 'node-1',
      };
      const env: Record<string, string> = { CHAINKEEPER_DB_KIND: 'mariadb' };
      for (const [name, value] of Object.entries(files)) {
        env[`${name}_FILE`] = join(folder, name);
        await writeFile(join(folder, name), `${value}\n`);
      }
      const { code, out } = await runCli(['config', '--json'], env);
      expect(code).toBe(0);
      expect(JSON.parse(out)).toMatchObject({
        CHAINKEEPER_API_TOKEN: '(set)', CHAINKEEPER_DB_PASSWORD: '(set)', CHAINKEEPER_HTTP_PORT: 8499, CHAINKEEPER_OWNER: 'node-1',
        CHAINKEEPER_DB_KIND: 'mariadb', CHAINKEEPER_DB_SOCKET: null, CHAINKEEPER_HTTP_ADDRESS: '127.0.0.1',
      }); // prettier-ignore
      const text = await runCli(['config'], env);
      expect(text.out).toMatch(/^SETTING +VALUE +MEANING\nCHAINKEEPER_HTTP_ADDRESS +127\.0\.0\.1 +Address to listen on/);
      expect(`${out}${text.out}`).not.toMatch(/hunter22|a-token/);
      expect((await runCli(['config', '--json'])).out).toContain('"CHAINKEEPER_API_TOKEN": "(unset)"');
    });
  });
});
