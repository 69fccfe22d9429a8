import { execFile } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { Client } from '../../src/cli/client';
import { startService } from '../../src/main';
import type { RepositoryCheckDto } from '../../src/upkeep/dto/check.dto';
import type { SweepDto } from '../../src/upkeep/dto/sweep.dto';
import { RealLab } from '../lab/lab';
import { addHost } from '../story/stage';
import { until } from '../support/brake';
import { runCli } from '../support/cli';
import { serviceConfig } from '../support/service-config';

/** A repository is checked through the whole service from a real host: one that is well, one that is full, one that hangs. */
describe('checking a repository from a real host', () => {
  const folder = mkdtempSync(join(tmpdir(), 'chainkeeper-check-'));
  const lab = new RealLab(join(folder, 'lab'), 'ck-check');
  let service: Awaited<ReturnType<typeof startService>>;
  let client: Client;
  const add = (name: string, address: string) => client.send('POST', '/repositories', { name, type: 'dir', address });
  const check = (name: string) => client.get<RepositoryCheckDto>(`/repositories/${name}/check?host=real`);
  const bad = ({ findings }: RepositoryCheckDto): string[] =>
    findings.flatMap(({ severity, code }) => (severity === 'ok' ? [] : [`${severity} ${code}`]));

  beforeAll(async () => {
    await promisify(execFile)('chmod', ['711', folder]);
    await lab.up();
    service = await startService(serviceConfig({ kind: 'sqlite', path: join(folder, 'books.sqlite') }));
    client = new Client({ url: service.url });
    await addHost(client, { ...(await lab.access()), name: 'real' }, 'seed');
  }, 120_000);
  afterAll(async () => {
    await service?.close();
    await lab.down();
    rmSync(folder, { recursive: true, force: true });
  }, 120_000);

  it('says of a good one what was tried, and leaves nothing there', async () => {
    await add('good', await lab.nas('good'));
    const { host, severity, findings } = await check('good');
    expect([host, severity, findings.map(({ code }) => code)]).toEqual([
      ...['real', 'ok'],
      ['space', 'read-back', 'names', 'gone', 'files', 'latency'],
    ]);
    expect(readdirSync(lab.nasFile('good', ''))).toEqual([]);
    expect(await lab.leaks([])).toEqual([]);
  }, 60_000);

  it('says of a full one that it has no room', async () => {
    await add('small', await lab.nasSmall('small', 1));
    const { code, out } = await runCli(['repo', 'check', 'small'], { CHAINKEEPER_URL: service.url });
    expect([code, out]).toEqual([1, expect.stringMatching(/^error {4}small: It has no room: .*No space left on device/m)]);
    expect(readdirSync(lab.nasFile('small', ''))).toEqual([]);
  }, 60_000);

  it('says which step one that hangs did not answer, and a sweep takes away what stayed once it answers', async () => {
    await add('slow', (await lab.verb('nas-slow', 'slow')).trim());
    await lab.verb('nas-speed', 'slow', '100K');
    const data = join(lab.folder, 'run/slow.data');
    const began = Date.now();
    const checking = check('slow');
    await until(
      () => readdirSync(data, { encoding: 'utf8', recursive: true }).some((name) => name.endsWith('/data')),
      'it writes',
    );
    await lab.verb('nas-speed', 'slow', '0');
    const hung = await checking;
    const took = Date.now() - began;
    expect([hung.severity, bad(hung)]).toEqual(['error', ['error nas-hung', 'warning left-behind', 'warning left-behind']]);
    expect(hung.findings.find(({ code }) => code === 'nas-hung')).toMatchObject({
      what: 'It gave no answer within 10 s when it was to write 1 MiB',
      command: "chainkeeper host sweep 'real'",
    });
    expect(took).toBeLessThan(60_000);

    await lab.verb('nas-speed', 'slow', 'unlimited');
    const swept: string[] = [];
    await until(async () => {
      const { body } = await client.send<SweepDto>('POST', '/hosts/real/sweep');
      swept.push(...body.items.map(({ code, action }) => `${code} ${action}`));
      return body.items.length === 0;
    }, 'nothing is left to sweep');
    expect(swept).toEqual(expect.arrayContaining(['check-dir removed', 'mount removed', 'work-dir removed']));
    expect(readdirSync(data)).toEqual([]);
    expect(await lab.leaks([])).toEqual([]);
    // SFTP tells no holes.
    expect(bad(await check('slow'))).toEqual(['warning nas-not-sparse']);
  }, 180_000);
});
