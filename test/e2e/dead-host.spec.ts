import { OperationalError } from '../../src/domain/errors';
import { Brake, until } from '../support/brake';
import { FakeService } from '../support/fake-service';

/** A host that stops answering, in a service that drives one run at a time. */
describe('a host that keeps silent', () => {
  let service: FakeService;
  afterEach(() => service.close());

  it('in the middle of a run takes no place from the runs of others', async () => {
    service = await FakeService.start({ kind: 'sqlite', path: ':memory:' }, { CHAINKEEPER_RUNS_AT_ONCE: '1' });
    await service.register();
    const other = 'i-2-12-VM';
    await service.lab.vmCreate(other, [{ target: 'vda', size: 1024 * 1024 }]);
    await service.lab.vmStart(other);
    await service.post('/vms', { name: other, host: 'kvm1' });
    await service.call('PUT', `/vms/${other}/offering`, { body: { offering: 'daily' } });
    const brake = new Brake(service.lab.host);
    const started = async (vm: string): Promise<string> => ((await service.post('/backups', { vm })).body as { id: string }).id;
    const state = async (id: string): Promise<string> => ((await service.get(`/runs/${id}`)).body as { state: string }).state;

    const silent = await started(service.vm);
    await until(() => service.lab.host.jobs.has(silent), 'the first run was started');
    service.onCommand = ({ argv }) => {
      if (argv.includes('status') && argv.includes(silent)) throw new OperationalError('host.unreachable', 'unreachable', 'gone');
    };
    await until(async () => (await state(silent)) === 'unknown', 'nobody hears of the first run any more');
    const next = await started(other);
    await until(() => service.lab.host.jobs.has(next), 'the second run was started');

    service.onCommand = () => undefined;
    brake.release();
    expect((await service.ended(next)).state).toBe('succeeded');
    expect((await service.ended(silent)).state).toBe('succeeded');
  });
});
