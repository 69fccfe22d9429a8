import { randomUUID } from 'node:crypto';
import type { VmRow } from '../../src/database/entities/vm-row';
import type { NewBackup } from '../../src/database/repositories/backups';
import type { NewRun } from '../../src/database/repositories/runs';
import { Vms } from '../../src/database/repositories/vms';
import type { Books } from './databases';

/** A VM of its own for each test, so that tests do not meet. */
export function aVm(books: Books): Promise<VmRow> {
  const uuid = randomUUID();
  return new Vms(books.work).create({
    uuid,
    name: 'web',
    instanceName: `i-2-${uuid.slice(0, 8)}-VM`,
    hostId: null,
    state: 'Running',
  });
}

/** A finished full backup, unless told otherwise. */
export function aBackup(vmId: number, different: Partial<NewBackup> = {}): NewBackup {
  return {
    uuid: randomUUID(),
    name: 'web-2026',
    description: null,
    vmId,
    externalId: 'i-2-7-VM/2026.04.27.13.45.00',
    type: 'FULL',
    date: new Date('2026-04-27T13:45:00.000Z'),
    size: 24_696_061_952,
    protectedSize: 53_687_091_200,
    status: 'BackedUp',
    backupOfferingId: 1,
    backupScheduleId: null,
    accountId: 1,
    domainId: 1,
    zoneId: 1,
    backedVolumes: null,
    ...different,
  };
}

/** A run that was asked for. */
export function aRun(vmId: number, different: Partial<NewRun> = {}): NewRun {
  return {
    id: randomUUID(),
    vmId,
    kind: 'backup',
    triggeredBy: 'rest',
    idempotencyKey: null,
    requested: { mode: 'auto', quiesce: false },
    ...different,
  };
}
