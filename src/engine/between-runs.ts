import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { Inject, Injectable } from '@nestjs/common';
import { type Lease, Leases } from '../database/repositories/leases';
import { Runs } from '../database/repositories/runs';
import { UserError } from '../domain/errors';
import { Config } from '../platform/config/load-config';
import { LOG, type Log } from '../platform/log';
import { keepLease } from './keep-lease';

/** A run that has ended holds its lease for a moment yet: it retires a bitmap, and writes what its backup is. */
const PATIENCE_MS = 5000;
const PAUSE_MS = 250;

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
    const { owner, leaseSeconds } = this.config.engine;
    const ask = async (): ReturnType<Leases['acquire']> => {
      await this.runs.refuseActive(vmId);
      return this.leases.acquire(vmId, randomUUID(), owner, leaseSeconds * 1000);
    };
    let answer = await ask();
    for (let times = 0; answer.kind === 'busy' && times < PATIENCE_MS / PAUSE_MS; times += 1) {
      await sleep(PAUSE_MS);
      answer = await ask();
    }
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
