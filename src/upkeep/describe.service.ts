import { Inject, Injectable } from '@nestjs/common';
import { Manifests } from '../database/repositories/manifests';
import { UserError } from '../domain/errors';
import { BetweenRuns } from '../engine/between-runs';
import { Describer } from '../engine/describer';
import { LOG, type Log } from '../platform/log';

/** Backups looked at in one turn; those that could not be described come last the next time. */
const AT_MOST = 500;

/** Makes good the manifests that could not be written after their runs. */
@Injectable()
export class DescribeService {
  constructor(
    private readonly manifests: Manifests,
    private readonly betweenRuns: BetweenRuns,
    private readonly describer: Describer,
    @Inject(LOG) private readonly log: Log,
  ) {}

  /** Under the lease of each VM: nothing is written into a directory that a deletion removes. */
  async makeGood(signal: AbortSignal): Promise<void> {
    for (const { id, vmId } of await this.manifests.unwritten(AT_MOST)) {
      if (signal.aborted) return;
      const whyNot = await this.betweenRuns.hold(vmId, () => this.describer.describe(id)).catch(busyWords);
      if (whyNot === null) this.log.info({ backupRow: id }, 'the manifest of a backup was made good');
      else this.log.warn({ backupRow: id, detail: whyNot }, 'the manifest of a backup could not be made good this time');
    }
  }
}

/** Somebody works on the VM: the next turn comes. An error that is not that is thrown on. */
function busyWords(error: unknown): string {
  if (error instanceof UserError && error.kind === 'busy') return error.message;
  throw error;
}
