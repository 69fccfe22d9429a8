import { Inject, Injectable } from '@nestjs/common';
import { DELETING } from '../database/entities/run-row';
import { Hosts } from '../database/repositories/hosts';
import { Runs } from '../database/repositories/runs';
import { Vms } from '../database/repositories/vms';
import { hasEnded, isRunState } from '../domain/run/run-state';
import { UserError } from '../domain/errors';
import type { HostClient } from '../hosts/host-client';
import { HOST_CLIENT } from '../hosts/host-client.token';
import { hostAccess } from '../inventory/host-access';
import { Config } from '../platform/config/load-config';
import { found } from '../platform/found';
import { type Page, toPage, toPart } from '../platform/page';
import type { RunDto, RunLogDto, RunsQuery } from './dto/run.dto';
import { RunPresenter } from './present-run';

@Injectable()
export class RunsService {
  constructor(
    private readonly runs: Runs,
    private readonly vms: Vms,
    private readonly hosts: Hosts,
    private readonly presenter: RunPresenter,
    @Inject(HOST_CLIENT) private readonly client: HostClient,
    @Inject(Config) private readonly config: Config,
  ) {}

  async list({ vm, ...page }: RunsQuery): Promise<Page<RunDto>> {
    const vmId = vm === undefined ? undefined : found(await this.vms.find(vm), 'vm', vm).id;
    const { items, next } = await this.runs.page(toPart(page), vmId === undefined ? {} : { vmId });
    return toPage({ items: await Promise.all(items.map((run) => this.presenter.present(run))), next }, (run) => run);
  }

  async show(id: string): Promise<RunDto> {
    return this.presenter.present(found(await this.runs.find(id), 'run', id));
  }

  async log(id: string): Promise<RunLogDto> {
    return found(await this.runs.log(id), 'run', id);
  }

  /**
   * A queued run ends at once. Of one that goes on it is written down, for whoever drives it, and the host is asked to stop its job if it
   * has begun; the run's state tells when it has.
   */
  async abort(id: string): Promise<RunDto> {
    const run = found(await this.runs.find(id), 'run', id);
    if (isRunState(run.state) && hasEnded(run.state))
      throw new UserError('run.ended', 'conflict', `Run ${id} has ended already: ${run.state}.`, { facts: { state: run.state } });
    if (DELETING.includes(run.kind) && run.state !== 'queued')
      throw new UserError('run.no-abort', 'conflict', 'A deletion that has begun is not stopped: what it has hidden must go.', {
        next: 'Wait for its end.',
      });
    const cancelled =
      run.state === 'queued' &&
      (await this.runs.endQueued(id, {
        state: 'cancelled',
        errorCode: 'run.cancelled',
        errorMessage: 'Cancelled before it began.',
      }));
    if (!cancelled) await this.runs.askToAbort(id);
    const host = cancelled || run.hostId === null ? null : await this.hosts.findById(run.hostId);
    if (host !== null) {
      const access = hostAccess(host, this.config.ssh);
      // A restore is always a job of our script. A run that was dispatched again has another job.
      await this.client.abort(run.kind === 'restore' ? { ...access, stock: null } : access, run.jobId ?? id);
    }
    return this.show(id);
  }
}
