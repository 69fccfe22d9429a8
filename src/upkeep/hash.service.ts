import { Inject, Injectable } from '@nestjs/common';
import { Manifests } from '../database/repositories/manifests';
import { Hasher } from '../engine/hasher';
import { Config } from '../platform/config/load-config';
import { LOG, type Log } from '../platform/log';

/** Takes the checksums of backups that have none, one backup at a time, and follows what others began. */
@Injectable()
export class HashService {
  #turn: Promise<void> | undefined;

  constructor(
    private readonly manifests: Manifests,
    private readonly hasher: Hasher,
    @Inject(Config) private readonly config: Config,
    @Inject(LOG) private readonly log: Log,
  ) {}

  /** Begins a turn, which may take days; while one goes on, nothing. */
  begin(signal: AbortSignal): void {
    this.#turn ??= this.#take(signal)
      .catch((error: unknown) => {
        if (!signal.aborted) this.log.error({ err: error }, 'looking for backups without checksums failed');
      })
      .finally(() => (this.#turn = undefined));
  }

  async #take(signal: AbortSignal): Promise<void> {
    const begun = (await this.manifests.hashing()).map(({ backupId }) => backupId);
    const { checksumsPerTurn } = this.config.engine;
    const wanted = checksumsPerTurn === 0 ? [] : await this.manifests.unhashed(checksumsPerTurn);
    for (const id of new Set([...begun, ...wanted.map((one) => one.id)])) {
      if (signal.aborted) return;
      await this.hasher.hash(id);
    }
  }
}
