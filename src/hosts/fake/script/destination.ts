import type { FakeNas } from '../fake-nas';
import type { Call } from './call';
import { Failure } from './failure';
import type { RunRecord } from './run-facts';

/** Makes the run's folder, if what it will write fits. @throws Failure `target-full`, `target-exists` */
export function openDestination({ host, options }: Call, record: RunRecord, nas: FakeNas, wanted: number): void {
  if (nas.free < wanted + host.reserve) {
    throw new Failure(
      'target-full',
      `The NAS has ${nas.free} bytes free; the backup may take ${wanted} and ${host.reserve} are kept in reserve`,
    );
  }
  if (!nas.makeFolder(record.path)) throw new Failure('target-exists', `${record.path} is on the NAS already`);
  record.undo.push(() => nas.remove(record.path));
  const job = options.values.get('job');
  if (job !== undefined) nas.unfinished.set(record.path, job);
}
