import { readdirSync, statSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { FakeService } from '../support/fake-service';
import { describeDatabases } from '../support/databases';
import { runCli } from '../support/cli';

jest.setTimeout(120_000);

const TOKEN = 'MARKER-token-of-at-least-32-characters';
const SECRETS = { password: "MARKER-pass'word", secret: 'MARKER-ceph-key', other: 'MARKER-new-password' };
const OPTIONS = `vers=3.1.1,username=backup,password=${SECRETS.password},secret=${SECRETS.secret}`;

/** A secret that goes in comes out nowhere: not in an answer, an error, a log line, a command line, nor at the CLI. */
describeDatabases('secrets', (databases) => {
  let service: FakeService;
  let folder: string;
  const bearer = { authorization: `Bearer ${TOKEN}` };
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'ck-secrets-'));
    service = await FakeService.start(await databases.fresh(), { CHAINKEEPER_API_TOKEN: TOKEN, CHAINKEEPER_LOG_LEVEL: 'trace' });
    service.headers = bearer;
    await service.register({ repository: { type: 'cifs', mountOptions: OPTIONS } });
  });
  afterAll(async () => {
    await service?.close();
    await rm(folder, { recursive: true, force: true });
  });

  it('reach the host on stdin, and come back in nothing that is answered, logged or printed', async () => {
    const argv: string[] = [];
    service.onCommand = (command) =>
      void argv.push(command.argv.join(' '), `stdin ${Buffer.from(command.stdin ?? '').toString()}`);
    await service.backup();
    service.lab.host.faults.add({ kind: 'mount-failed' });
    const failed = await service.ended((await service.post('/backups', { vm: service.vm })).body.id as string);
    expect(failed).toMatchObject({ state: 'failed' });
    // They did travel, or this test would show nothing.
    const stdin = argv.filter((line) => line.startsWith('stdin ') && line.includes('MARKER'));
    expect(
      stdin.some((line) => line.includes(SECRETS.secret) && line.includes(JSON.stringify(SECRETS.password).slice(1, -1))),
    ).toBe(true);
    expect(argv.filter((line) => !line.startsWith('stdin ')).join('\n')).not.toContain('MARKER');

    await service.call('PATCH', '/repositories/nas1', { body: { mountOptions: `password=${SECRETS.other}` } });
    const bad = '{"name":"x","type":"cifs","address":"//n/x","mountOptions":"password=MARKER-in-broken-json" oops';
    await service.call('POST', '/repositories', { raw: bad });
    await service.call('POST', '/repositories', { raw: '"MARKER"' });
    await service.post('/repositories', { name: 'y', type: 'cifs', address: '//n/y', mountOptions: `password=MARKER\n` });
    await service.post('/repositories', { name: 'nas1', type: 'cifs', address: '//n/y', mountOptions: `password=MARKER` });
    await service.post('/repositories', {
      name: 'z',
      type: 'cifs',
      address: '//n/y',
      mountOptions: `password=${'MARKER'.repeat(300)}`,
    });
    await service.post('/repositories', { name: 'z', type: 'cifs', address: '//n/y', mountOptions: ['password=MARKER'] });
    // What is refused is named, and a secret with a comma in it is two options to whoever does not know better.
    for (const mountOptions of ['password=MARKER,MARKER-2', 'credentials=/MARKER,username=MARKER%MARKER', 'ro,secret=MARKER']) {
      const answer = await service.post('/repositories', { name: 'z', type: 'cifs', address: '//n/y', mountOptions });
      expect(answer).toMatchObject({ status: 400, body: { code: 'repository.mount-options' } });
    }
    await service.get('/vms?limit=MARKER'.replace('MARKER', 'x'));
    for (const path of [
      '/repositories',
      '/repositories/nas1',
      '/backups',
      '/runs',
      '/chains',
      '/audit/recreations',
      '/audit/recreations?format=csv',
    ])
      await service.get(path);
    for (const run of (await service.get('/runs')).body.items as { id: string }[]) await service.get(`/runs/${run.id}/log`);
    for (const backup of (await service.get('/backups')).body.items as { id: string }[]) {
      await service.get(`/backups/${backup.id}`);
      await service.get(`/backups/${backup.id}/explain`);
      expect((await service.get(`/backups/${backup.id}/runbook`)).text).toContain('nas.credentials');
    }
    await service.call('GET', '/vms', { headers: { authorization: 'Bearer MARKER-wrong' } });
    expect(service.answers.length).toBeGreaterThan(25);
    expect(service.answers.filter((text) => text.includes('MARKER'))).toEqual([]);
    expect(service.lines.length).toBeGreaterThan(25);
    expect(service.lines.filter((line) => line.includes('MARKER'))).toEqual([]);
  });

  it('are shown by no command, in text or JSON', async () => {
    const file = join(folder, 'options');
    await writeFile(file, OPTIONS);
    const tokenFile = join(folder, 'token');
    await writeFile(tokenFile, `${TOKEN}\n`);
    const env = { CHAINKEEPER_URL: service.url, CHAINKEEPER_API_TOKEN_FILE: tokenFile };
    const password = { CHAINKEEPER_DB_KIND: 'mariadb', CHAINKEEPER_DB_PASSWORD: 'MARKER', CHAINKEEPER_API_TOKEN: TOKEN };
    const calls = [
      await runCli(['repo', 'add', 'nas2', '--type', 'cifs', '--address', '//nas/x', '--mount-options-file', file], env),
      await runCli(
        ['repo', 'add', 'nas2', '--type', 'cifs', '--address', '//nas/x', '--mount-options-file', file, '--json'],
        env,
      ),
      await runCli(['repo', 'list', '--json'], env),
      await runCli(['repo', 'show', 'nas2'], env),
      await runCli(['config'], password),
      await runCli(['config', '--json'], password),
      await runCli(['config'], { ...password, CHAINKEEPER_API_TOKEN: 'MARKER-short', CHAINKEEPER_HTTP_PORT: 'x' }),
    ];
    expect(calls.map(({ code }) => code)).toEqual([0, 11, 0, 0, 0, 0, 2]);
    expect(calls.filter(({ out, err }) => `${out}${err}`.includes('MARKER'))).toEqual([]);
    expect(calls[4]?.out).toMatch(/CHAINKEEPER_DB_PASSWORD +\(set\)/);
    expect(JSON.parse(calls[5]?.out ?? '')).toMatchObject({ CHAINKEEPER_API_TOKEN: '(set)', CHAINKEEPER_DB_PASSWORD: '(set)' });
  });

  it('lie in a file that nobody else on the machine can read', () => {
    const { books } = service.config;
    if (books.kind !== 'sqlite') return;
    const files = readdirSync(dirname(books.path)).filter(
      (name) => name.startsWith(basename(books.path)) && !name.endsWith('.lock'),
    );
    expect(files.length).toBeGreaterThanOrEqual(1);
    for (const file of files) expect([file, statSync(join(dirname(books.path), file)).mode & 0o077]).toEqual([file, 0]);
  });

  describe('the token', () => {
    it.each([
      ['none', {}],
      ['a wrong one', { authorization: 'Bearer wrong' }],
      ['the right one in a wrong scheme', { authorization: `Basic ${TOKEN}` }],
      ['a part of it', { authorization: `Bearer ${TOKEN.slice(0, -1)}` }],
      ['more than it', { authorization: `Bearer ${TOKEN}x` }],
    ])('%s: 401 and nothing is read or told', async (_what, headers: Record<string, string>) => {
      service.headers = {};
      for (const [method, path] of [
        ['GET', '/vms'],
        ['GET', '/nope'],
        ['GET', '/metrics'],
        ['POST', '/backups'],
        ['PUT', '/vms'],
        ['GET', '/api/v1/'],
        ['GET', '/'],
      ] as const) {
        const answer = await service.call(method, path, { headers, ...(method === 'POST' ? { raw: '{broken' } : {}) });
        expect([path, answer.status, answer.body.code]).toEqual([path, 401, 'auth.token']);
        expect(answer.headers.get('content-type')).toMatch(/^application\/problem\+json/);
      }
      service.headers = bearer;
    });

    it('is not asked for by health and by the description of the API', async () => {
      service.headers = {};
      for (const path of ['/health/live', '/health/ready', '/api/docs', '/api/docs-json', '/api/docs/swagger-ui.css'])
        expect([path, (await service.call('GET', path)).status]).toEqual([path, 200]);
      for (const path of ['/health/../api/v1/vms', '/api/docs/../v1/vms', '/api/docsx', '/health/live/x'])
        expect([path, (await service.call('GET', path)).status]).toEqual([path, 401]);
      service.headers = bearer;
    });

    it('opens everything when it is right', async () => {
      expect((await service.get('/vms')).status).toBe(200);
    });
  });
});
