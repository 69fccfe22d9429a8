import type { Lease } from '../database/repositories/leases';
import type { ClaimedRun } from '../database/repositories/runs';
import { OperationalError } from '../domain/errors';

/** A run as whoever holds the lease on its VM may change it. */
export const claimOf = ({ runId, epoch }: Lease): ClaimedRun => ({ id: runId, epoch });

/** Another orchestrator has taken the run over. */
export const leaseLost = ({ runId }: Pick<Lease, 'runId'>): OperationalError =>
  new OperationalError('lease.lost', 'busy', `Run ${runId} is another orchestrator's now; nothing more is done here.`);
