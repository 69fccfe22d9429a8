import { OperationalError, UserError } from '../../src/domain/errors';
import { until } from '../support/brake';
import { FakeService } from '../support/fake-service';

/** Attempts that fail, on a host that can be told to. */
describe('a backup whose attempt failed', () => {
  let service: FakeService;
  beforeEach(async () => {
    const settings = { CHAINKEEPER_ATTEMPTS: '3', CHAINKEEPER_RETRY_SECONDS: '1' };
    service = await FakeService.start({ kind: 'sqlite', path: ':memory:' }, settings);
    await service.register();
  });
  afterEach(() => service.close());
  const ask = async (): Promise<string> => ((await service.post('/backups', { vm: service.vm })).body as { id: string }).id;
  /** The next so many orders of this kind find the host like this. */
  const fails = (times: number, operation: string, error: Error): void => {
    let left = times;
    service.onCommand = ({ argv }) => {
      if (!argv.includes(operation) || left === 0) return;
      left -= 1;
      throw error;
    };
  };
  const gone = new OperationalError('host.unreachable', 'unreachable', 'nobody answers');

  it('is taken by a later attempt of the same run, which says what became of the others', async () => {
    fails(1, 'inspect', gone);
    const run = await service.ended(await ask());
    expect(run).toMatchObject({ state: 'succeeded', attempt: 2, errorCode: null, waits: null });
    expect(run.warnings).toEqual([
      expect.stringMatching(/^attempt 1 of 3 failed \(host.unreachable\); it is tried again in 1 s: nobody answers/),
    ]);
    expect((await service.get('/backups')).body.items).toHaveLength(1);
  });

  it('is taken by a later attempt when the order of its start failed on the way, and the host knows of no job', async () => {
    fails(1, 'start', new OperationalError('host.script-failed', 'failed', 'bash: fork', { facts: { script: null } }));
    const run = await service.ended(await ask());
    expect(run).toMatchObject({ state: 'succeeded', attempt: 2 });
    expect(run.warnings).toEqual([expect.stringMatching(/^attempt 1 of 3 failed \(host.script-failed\).*: bash: fork/)]);
  });

  it('says while it waits what for, and is cancelled there', async () => {
    await service.close();
    service = await FakeService.start({ kind: 'sqlite', path: ':memory:' }, { CHAINKEEPER_ATTEMPTS: '3' });
    await service.register();
    fails(1, 'inspect', gone);
    const id = await ask();
    const waiting = async (): Promise<Record<string, unknown>> =>
      (await service.get(`/runs/${id}`)).body as Record<string, unknown>;
    await until(async () => (await waiting())['waits'] !== null, 'it waits');
    const { notBefore, ...run } = await waiting();
    const waits = `is tried again at ${String(notBefore)}`;
    expect(run).toMatchObject({ state: 'queued', attempt: 2, errorCode: 'host.unreachable', waits });
    expect((await service.post(`/runs/${id}/abort`, {})).body).toMatchObject({ state: 'cancelled' });
  });

  it('has failed when the last attempt has, with the history', async () => {
    fails(3, 'inspect', gone);
    const run = await service.ended(await ask());
    expect(run).toMatchObject({ state: 'failed', attempt: 3, errorCode: 'host.unreachable' });
    expect(run.warnings).toEqual([expect.stringMatching(/^attempt 1 of 3/), expect.stringMatching(/^attempt 2 of 3/)]);
  });

  it('is not taken again when the caller has to act', async () => {
    fails(1, 'inspect', new UserError('host.auth-failed', 'unauthorized', 'no'));
    expect(await service.ended(await ask())).toMatchObject({ state: 'failed', attempt: 1, warnings: [] });
  });

  it('is taken when whatever else is done to the VM has ended, though the caller would have to ask again', async () => {
    const vm = service.lab.host.vms.get(service.vm);
    if (vm) vm.job = { ended: new AbortController(), destination: '/elsewhere' };
    const id = await ask();
    await until(async () => ((await service.get(`/runs/${id}`)).body as { attempt: number }).attempt === 2, 'it waits');
    if (vm) vm.job = null;
    const run = await service.ended(id);
    expect(run).toMatchObject({ state: 'succeeded', attempt: 2 });
    expect(run.warnings).toEqual([expect.stringMatching(/^attempt 1 of 3 failed \(vm.busy\); it is tried again in 1 s/)]);
  });

  it('has another job on the host each time, and is a true backup', async () => {
    const jobs: string[] = [];
    let struck = false;
    service.onCommand = ({ argv }) => {
      const at = argv.indexOf('--job');
      if (argv.includes('start') && at > 0) jobs.push(argv[at + 1] ?? '');
      // The NAS is away for the first of them.
      if (argv.includes('start') && !struck) {
        struck = true;
        service.lab.host.faults.add({ kind: 'mount-failed' });
      }
    };
    const run = await service.ended(await ask());
    expect(run).toMatchObject({ state: 'succeeded', attempt: 2 });
    expect(jobs).toEqual([run.id, `${run.id}-2`]);
  });
});
