import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type AddressInfo } from 'node:net';
import { networkInterfaces, tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client } from '../../src/cli/client';
import { FakeLab } from '../../src/hosts/fake/fake-lab';
import type { RunDto } from '../../src/runs/dto/run.dto';
import { Brake, until } from '../support/brake';
import { runCli } from '../support/cli';
import { startScript, type NodeScript } from '../support/node-script';
import { serveFakeHost } from '../support/remote-fake-host';

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

  it('is not ready first, and then finishes its runs, lets go of them, or lets go when it is told again', async () => {
    const lab = new FakeLab();
    await lab.up();
    const vms = ['i-2-10-VM', 'i-2-11-VM'] as const;
    for (const vm of vms) await lab.vmCreate(vm, [{ target: 'vda', size: 4 * 1024 * 1024 }]);
    for (const vm of vms) await lab.vmStart(vm);
    const host = await serveFakeHost(lab);
    // Leases that outlast the test: whoever adopts a run has been given it.
    const start = async (
      env: Record<string, string>,
    ): Promise<{ service: NodeScript; client: Client; ready: () => Promise<unknown> }> => {
      const service = serve({
        ...{ CHAINKEEPER_TEST_HOST: String(host.port), CHAINKEEPER_LEASE_SECONDS: '3600', CHAINKEEPER_POLL_MS: '20' },
        ...{ CHAINKEEPER_SWEEP_HOURS: '0', CHAINKEEPER_LOG_LEVEL: 'info', ...env },
      });
      const { url } = await listening(service);
      const ready = async (): Promise<unknown> => {
        const answer = await fetch(`${url}/health/ready`);
        return [answer.status, ((await answer.json()) as { detail?: string }).detail ?? null];
      };
      return { service, client: new Client({ url }), ready };
    };
    const draining = [503, 'draining: this instance is being stopped and takes nothing new.'];
    const stop = async ({ service, ready }: Awaited<ReturnType<typeof start>>): Promise<void> => {
      process.kill(service.pid, 'SIGTERM');
      await until(async () => JSON.stringify(await ready()) === JSON.stringify(draining), 'it is not ready any more');
    };
    const endedWell = async ({ service }: Awaited<ReturnType<typeof start>>): Promise<string> => {
      const { code, out, err } = await service.end();
      expect([code, err]).toEqual([0, '']);
      return out;
    };
    const show = ({ client }: Awaited<ReturnType<typeof start>>, id: string): Promise<RunDto> =>
      client.get<RunDto>(`/runs/${id}`);

    try {
      // A run is let go of, though it was to be finished: somebody is in a hurry.
      const one = await start({ CHAINKEEPER_DRAIN: 'finish', CHAINKEEPER_OWNER: 'one' });
      const address = await lab.nas('nas1');
      const { address: at, user } = await lab.access();
      await one.client.send('POST', '/hosts', { name: 'kvm1', address: at, user });
      await one.client.send('POST', '/repositories', { name: 'nas1', type: 'dir', address });
      await one.client.send('POST', '/offerings', { name: 'daily', repository: 'nas1' });
      for (const name of vms) {
        await one.client.send('POST', '/vms', { name, host: 'kvm1' });
        await one.client.send('PUT', `/vms/${name}/offering`, { offering: 'daily' });
      }
      const brake = new Brake(lab.host);
      const { id } = (await one.client.send<RunDto>('POST', '/backups', { vm: vms[0] })).body;
      await until(() => lab.host.jobs.has(id), 'its job has begun');
      await stop(one);
      expect(await show(one, id)).toMatchObject({ state: 'running' });
      process.kill(one.service.pid, 'SIGTERM');
      expect(await endedWell(one)).toMatch(/runs that go on are finished first.*let go of the run/s);

      // It is let go of at once, and calls are answered for a while.
      const two = await start({ CHAINKEEPER_DRAIN_SECONDS: '1', CHAINKEEPER_OWNER: 'two' });
      const told = async ({ client }: typeof two, kind: string, run: string): Promise<string[]> =>
        (await client.get<{ items: { message: string }[] }>(`/events?run=${run}&kind=${kind}`)).items.map(
          ({ message }) => message,
        );
      await until(async () => (await told(two, 'recovered', id)).length === 1, 'it is adopted');
      await stop(two);
      expect(await show(two, id)).toMatchObject({ state: 'running' });
      await endedWell(two);

      // It is finished, and what comes meanwhile waits for the next instance.
      const three = await start({ CHAINKEEPER_DRAIN: 'finish', CHAINKEEPER_OWNER: 'three' });
      await until(async () => (await told(three, 'recovered', id)).length === 2, 'it is adopted again');
      await stop(three);
      const next = (await three.client.send<RunDto>('POST', '/backups', { vm: vms[1] })).body.id;
      brake.release();
      expect(await endedWell(three)).not.toContain('let go');

      const four = await start({ CHAINKEEPER_OWNER: 'four' });
      await until(async () => (await show(four, next)).ended !== null, 'the next one is taken');
      for (const run of [id, next]) expect(await show(four, run)).toMatchObject({ state: 'succeeded', attempt: 1 });
      const took = (who: string): unknown => expect.stringMatching(`^Orchestrator ${who} took it over`);
      expect(await told(four, 'recovered', id)).toEqual([took('three'), took('two')]);
      expect(await told(four, 'started', next)).toEqual(['Orchestrator four drives it.']);
      await four.service.kill();
    } finally {
      host.close();
      await lab.down();
    }
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
