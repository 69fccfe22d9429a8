import { Injectable } from '@nestjs/common';
import type { RunRow } from '../entities/run-row';
import { UnitOfWork } from '../unit-of-work';
import { type Lease, Leases } from './leases';
import { Runs } from './runs';

/** A run that was taken, and the lease that it is driven under. */
export interface TakenRun {
  readonly run: RunRow;
  readonly lease: Lease;
}

/** Runs are taken together with the lease on their VM, or not at all. */
@Injectable()
export class Claims {
  constructor(
    private readonly work: UnitOfWork,
    private readonly leases: Leases,
    private readonly runs: Runs,
  ) {}

  /**
   * Takes a run that waits, or takes over one that its owner left. In one transaction: nobody can sleep between the two, and wake up with a
   * lease that is somebody else's by then. Null: somebody works on the VM, or the run is not to be had any more.
   * @param mayBegin asked first in that transaction
   */
  take(
    { id, vmId, state }: Pick<RunRow, 'id' | 'vmId' | 'state'>,
    owner: string,
    forMs: number,
    mayBegin: () => Promise<boolean> = () => Promise.resolve(true),
  ): Promise<TakenRun | null> {
    return this.work.run(async () => {
      if (!(await mayBegin())) return null;
      const answer = await this.leases.acquire(vmId, id, owner, forMs);
      if (answer.kind === 'busy') return null;
      const { lease } = answer;
      const run = await (state === 'queued' ? this.runs.claim(lease) : this.runs.adopt(lease));
      if (run !== null) return { run, lease };
      await this.leases.release(lease);
      return null;
    });
  }
}
