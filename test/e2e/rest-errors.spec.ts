import { FakeService, type HttpAnswer } from '../support/fake-service';
import { describeDatabases } from '../support/databases';

jest.setTimeout(120_000);

const LONG = 'x'.repeat(5000);
const HOSTILE = [
  `a'b`, `a"b`, 'a`id`b', '$(id)', 'a;id', 'a|id', 'a&id', 'a>b', 'a\nb', 'a\rb', 'a\tb', 'a\0b', 'a\u001b[2Jb', '../../etc/passwd',
  '..', '.', '-rf', '--help', 'a b', ' a', 'ä€😀', '\ud800', '%00', '%2e%2e%2f', "'; DROP TABLE vm_instance; --", '{{7*7}}', '=1+1', LONG, '',
]; // prettier-ignore

/** Whatever is wrong with a call, the answer is a problem with a stable code, and nothing was changed. */
describeDatabases('REST errors', (databases) => {
  let service: FakeService;
  beforeAll(async () => {
    service = await FakeService.start(await databases.fresh());
    await service.register();
  });
  afterAll(() => service?.close());

  const lists = async (): Promise<unknown[]> =>
    Promise.all(
      ['/vms', '/hosts', '/repositories', '/offerings', '/runs', '/backups'].map(
        async (path) => (await service.get(`${path}?limit=500`)).body as unknown,
      ),
    );

  /** What every problem holds: a code of the form area.problem, what and why, and what to do next. */
  function expectProblem(answer: HttpAnswer, status: number, code: string): void {
    expect([answer.status, (answer.body as { code?: string } | undefined)?.code, answer.text]).toEqual([
      status,
      code,
      answer.text,
    ]);
    expect(answer.headers.get('content-type')).toBe('application/problem+json; charset=utf-8');
    expect(answer.body).toMatchObject({
      type: `urn:chainkeeper:${code}`,
      title: expect.stringMatching(/\S/),
      status,
      detail: expect.stringMatching(/\S/),
      next: expect.stringMatching(/\S/),
      requestId: answer.headers.get('x-request-id'),
    });
    expect(answer.text).not.toMatch(/node_modules|\.ts:|\.js:|SELECT|INSERT/);
  }

  const json = { 'content-type': 'application/json' };
  it.each<[string, string, string, object, number, string]>([
    ['a field that nobody knows', 'POST', '/hosts', { raw: '{"name":"h","colour":"red"}' }, 400, 'request.invalid'],
    ['a field of a wrong type', 'POST', '/hosts', { raw: '{"name":"h","port":"22"}' }, 400, 'request.invalid'],
    ['null for what cannot be unset', 'PATCH', '/offerings/daily', { raw: '{"name":null}' }, 400, 'request.invalid'],
    ['null for a port', 'PATCH', '/hosts/kvm1', { raw: '{"port":null}' }, 400, 'request.invalid'],
    ['a field that is missing', 'POST', '/vms', { raw: '{}' }, 400, 'request.invalid'],
    ['a list for an object', 'POST', '/vms', { raw: '[]' }, 400, 'request.invalid'],
    [
      'an unknown field deep inside',
      'POST',
      '/vms',
      { raw: '{"name":"v","host":"kvm1","disks":[{"target":"vda","path":"/a","x":1}]}' },
      400,
      'request.invalid',
    ],
    ['no body', 'POST', '/backups', {}, 400, 'request.invalid'],
    ['broken JSON', 'POST', '/vms', { raw: '{"name":' }, 400, 'request.json'],
    ['a bare word', 'POST', '/vms', { raw: 'null' }, 400, 'request.json'],
    [
      'another media type',
      'POST',
      '/vms',
      { raw: 'name=x', headers: { 'content-type': 'application/x-www-form-urlencoded' } },
      415,
      'request.media-type',
    ],
    [
      'an encoding that it is not in',
      'POST',
      '/vms',
      { raw: '{}', headers: { ...json, 'content-encoding': 'gzip' } },
      400,
      'request.body',
    ],
    ['a body too large', 'POST', '/vms', { raw: JSON.stringify({ name: 'x'.repeat(300_000) }) }, 413, 'request.too-large'],
    ['an id that is not there', 'GET', '/vms/nope', {}, 404, 'vm.not-found'],
    ['a host that is not there', 'PATCH', '/hosts/nope', { raw: '{}' }, 404, 'host.not-found'],
    ['a repository that is not there', 'DELETE', '/repositories/nope', {}, 404, 'repository.not-found'],
    [
      'an offering that is not there',
      'PUT',
      '/vms/i-2-10-VM/offering',
      { raw: '{"offering":"nope"}' },
      404,
      'offering.not-found',
    ],
    ['a backup that is not there', 'GET', '/backups/nope', {}, 404, 'backup.not-found'],
    ['a chain that is not there', 'GET', '/chains/nope', {}, 404, 'chain.not-found'],
    ['a run that is not there', 'GET', '/runs/nope', {}, 404, 'run.not-found'],
    ['the log of no run', 'GET', '/runs/nope/log', {}, 404, 'run.not-found'],
    ['a backup of no VM', 'POST', '/backups', { raw: '{"vm":"nope"}' }, 404, 'vm.not-found'],
    ['a cursor of somebody else', 'GET', '/vms?cursor=bm9wZQ', {}, 400, 'request.cursor'],
    ['a limit too large', 'GET', '/vms?limit=501', {}, 400, 'request.invalid'],
    ['a limit of none', 'GET', '/runs?limit=0', {}, 400, 'request.invalid'],
    ['a parameter that nobody knows', 'GET', '/backups?colour=red', {}, 400, 'request.invalid'],
    ['a parameter twice', 'GET', '/backups?limit=1&limit=2', {}, 400, 'request.invalid'],
    ['a dry run that is neither', 'POST', '/backups?dryRun=perhaps', { raw: '{"vm":"x"}' }, 400, 'request.invalid'],
    ['a time that is none', 'GET', '/audit/recreations?since=yesterday', {}, 400, 'request.invalid'],
    ['a format that is none', 'GET', '/audit/recreations?format=xml', {}, 400, 'request.invalid'],
    [
      'a key too long',
      'POST',
      '/backups',
      { raw: '{"vm":"i-2-10-VM"}', headers: { 'idempotency-key': 'k'.repeat(256) } },
      400,
      'request.idempotency-key',
    ],
    ['a wrong method', 'PUT', '/vms', { raw: '{}' }, 404, 'request.no-route'],
    ['a wrong method without a body', 'DELETE', '/backups', {}, 404, 'request.no-route'],
    ['an address that is none', 'GET', '/nope', {}, 404, 'request.no-route'],
    ['an address outside the API', 'GET', '/api/nope', {}, 404, 'request.no-route'],
    ['a broken percent sign', 'GET', '/vms/%zz', {}, 400, 'request.malformed'],
    ['a plan on a host in maintenance', 'POST', '/backups?dryRun=true', { raw: '{"vm":"i-2-10-VM"}' }, 409, 'host.maintenance'],
    ['a backup on a host in maintenance', 'POST', '/backups', { raw: '{"vm":"i-2-10-VM"}' }, 409, 'host.maintenance'],
  ])('%s: %s %s', async (what, method, path, call, status, code) => {
    const maintenance = async (resourceState: string): Promise<unknown> =>
      service.call('PATCH', '/hosts/kvm1', { body: { resourceState } });
    if (what.includes('maintenance')) await maintenance('Maintenance');
    const before = await lists();
    expectProblem(await service.call(method, path, call), status, code);
    expect(await lists()).toEqual(before);
    if (what.includes('maintenance')) await maintenance('Enabled');
  });

  it('names every wrong field at once, and where it is', async () => {
    const answer = await service.post('/vms', { disks: [{ target: 'VDA', path: 'relative' }], colour: 1 });
    expectProblem(answer, 400, 'request.invalid');
    expect(answer.body.facts.problems).toEqual([
      'colour is not known here',
      'name is missing',
      'host is missing',
      'disks.0.target must be a libvirt target such as vda',
      'disks.0.path must be absolute and without commas',
    ]);
  });

  it('is not polluted by the names of JavaScript', async () => {
    await service.call('POST', '/hosts', {
      raw: '{"name":"proto","__proto__":{"port":1},"constructor":{"prototype":{"port":1}}}',
    });
    expect(({} as { port?: number }).port).toBeUndefined();
    expect((await service.get('/hosts/proto')).body.port ?? 22).toBe(22);
    await service.call('DELETE', '/hosts/proto');
  });

  /** Where hostile text can be sent: the address, a body around it, and what may be stored as it is. */
  const fields: readonly [string, string, (text: string) => object, string | null][] = [
    ['a host’s name', '/hosts', (text) => ({ name: text }), 'name'],
    ['a host’s address', '/hosts', (text) => ({ name: 'h1', address: text }), 'address'],
    ['a host’s user', '/hosts', (text) => ({ name: 'h1', user: text }), 'user'],
    ['a host’s key file', '/hosts', (text) => ({ name: 'h1', privateKeyFile: `/${text}` }), 'privateKeyFile'],
    ['a host’s fingerprint', '/hosts', (text) => ({ name: 'h1', fingerprint: text }), 'fingerprint'],
    ['a host’s script path', '/hosts', (text) => ({ name: 'h1', scriptPath: `/${text}` }), 'scriptPath'],
    ['a repository’s name', '/repositories', (text) => ({ name: text, type: 'nfs', address: 'a:/b' }), 'name'],
    ['a repository’s address', '/repositories', (text) => ({ name: 'r1', type: 'nfs', address: text }), 'address'],
    ['a directory', '/repositories', (text) => ({ name: 'r1', type: 'dir', address: `/${text}` }), 'address'],
    ['mount options', '/repositories', (text) => ({ name: 'r1', type: 'nfs', address: 'a:/b', mountOptions: text }), null],
    ['an offering’s name', '/offerings', (text) => ({ name: text, repository: 'nas1' }), 'name'],
    ['an offering’s description', '/offerings', (text) => ({ name: 'o1', repository: 'nas1', description: text }), 'description'],
    ['a VM’s name', '/vms', (text) => ({ name: text, host: 'kvm1', disks: [{ target: 'vda', path: '/a' }] }), 'name'],
    ['a VM’s display name', '/vms', (text) => ({ name: 'v1', displayName: text, host: 'kvm1', disks: [{ target: 'vda', path: '/a' }] }), 'displayName'],
    ['a disk’s target', '/vms', (text) => ({ name: 'v1', host: 'kvm1', disks: [{ target: text, path: '/a' }] }), null],
    ['a disk’s path', '/vms', (text) => ({ name: 'v1', host: 'kvm1', disks: [{ target: 'vda', path: `/${text}` }] }), null],
  ]; // prettier-ignore

  it.each(fields)(
    'hostile text as %s is refused with a code, or stored and returned as it is',
    async (_what, path, body, field) => {
      const before = await lists();
      for (const text of HOSTILE) {
        const sent = body(text) as Record<string, unknown>;
        const answer = await service.post(path, sent);
        if (answer.status !== 201) {
          expect([answer.status, answer.headers.get('content-type'), text]).toEqual([
            400,
            'application/problem+json; charset=utf-8',
            text,
          ]);
          expect((answer.body as { code: string }).code).toMatch(/^(?:request\.invalid|name\.\w+|repository\.address)$/);
          continue;
        }
        const { id } = answer.body as { id: string };
        const shown = (await service.get(`${path}/${id}`)).body as Record<string, unknown>;
        if (field !== null) expect(shown[field]).toBe(sent[field]);
        expect((await service.call('DELETE', `${path}/${id}`)).status).toBe(204);
      }
      expect(await lists()).toEqual(before);
    },
  );

  it('finds nothing by hostile text in an address or a query', async () => {
    for (const text of HOSTILE.filter((one) => one !== '' && one !== '\ud800')) {
      for (const path of ['/vms/', '/backups/', '/chains/', '/runs/', '/runs?vm=', '/audit/recreations?vm=']) {
        const answer = await service.get(path + encodeURIComponent(text));
        // `.` and `..` are gone from the address before it is sent: what is left is a list, or no address.
        if (text === '.' && path.endsWith('/')) expect(answer.status).toBe(200);
        else expect([path, text, answer.status >= 400 && answer.status < 500]).toEqual([path, text, true]);
      }
    }
  });

  it('met no fault of ours in all of this', () => {
    expect(service.answers.filter((text) => /"status":5\d\d/.test(text))).toEqual([]);
  });
});
