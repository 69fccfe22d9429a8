import { randomUUID } from 'node:crypto';
import { Inject, Injectable } from '@nestjs/common';
import { type Lease, Leases } from '../database/repositories/leases';
import { Runs } from '../database/repositories/runs';
import { UserError } from '../domain/errors';
import { Config } from '../platform/config/load-config';
import { LOG, type Log } from '../platform/log';
import { keepLease } from './keep-lease';

/** What changes a VM's bitmaps and is no run holds the VM's lease all the same: no run begins meanwhile, on any orchestrator. */
@Injectable()
export class BetweenRuns {
  constructor(
    private readonly runs: Runs,
    private readonly leases: Leases,
    @Inject(Config) private readonly config: Config,
    @Inject(LOG) private readonly log: Log,
  ) {}

  /** @throws UserError `run.active`, `vm.busy`: nothing was done */
  async hold<T>(vmId: number, work: (lease: Lease) => Promise<T>): Promise<T> {
    await this.runs.refuseActive(vmId);
    const { owner, leaseSeconds } = this.config.engine;
    const answer = await this.leases.acquire(vmId, randomUUID(), owner, leaseSeconds * 1000);
    if (answer.kind === 'busy')
      throw new UserError('vm.busy', 'busy', 'Somebody else works on this VM just now; one thing at a time per VM.', {
        next: 'Try again in a moment.',
        facts: { by: answer.by.owner },
      });
    const kept = keepLease(answer.lease, this.leases, leaseSeconds * 1000, this.log);
    try {
      return await work(answer.lease);
    } finally {
      await kept.giveBack();
    }
  }
}
