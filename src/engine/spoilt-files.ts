import { posix } from 'node:path';
import { Inject, Injectable } from '@nestjs/common';
import { Events } from '../database/repositories/events';
import { Manifests, type Spoilt } from '../database/repositories/manifests';
import type { SpoiltFile } from '../domain/agent/read-restore';
import { LOG, type Log } from '../platform/log';
import { type BackupInBooks, BookReader } from './book-reader';

/** Who met it. */
interface Met {
  readonly vmId: number;
  readonly runId?: string;
}

/** Tells the books, and everybody, of files on a NAS that are not what was backed up: no point that stands on them is vouched for. */
@Injectable()
export class SpoiltFiles {
  constructor(
    private readonly reader: BookReader,
    private readonly manifests: Manifests,
    private readonly events: Events,
    @Inject(LOG) private readonly log: Log,
  ) {}

  /** What a restore met, of whichever link it is. A name that somebody gave, and that the books never knew, is nobody's file. */
  async noteFile(repositoryId: string, { path, state }: SpoiltFile, met: Met): Promise<void> {
    const name = posix.basename(path);
    const inBooks = (await this.reader.ofVm(met.vmId)).find(
      ({ row, booked }) => row.externalId === posix.dirname(path) && booked.repositoryId === repositoryId,
    );
    const isKnown = state === 'damaged' || inBooks?.booked.disks.some(({ file }) => file === name);
    if (inBooks === undefined || state === null || !isKnown) return;
    await this.note(inBooks, { damaged: [], missing: [], [state]: [name] }, met);
  }

  /** What was known before is told again in the log alone. */
  async note({ row: { id, uuid, externalId } }: BackupInBooks, spoilt: Spoilt, met: Met): Promise<void> {
    this.log.error({ backupId: uuid, path: externalId, ...spoilt }, 'files of a backup are not what they were');
    if (await this.manifests.spoilt(id, spoilt))
      await this.events.add({ ...met, kind: 'spoilt', message: sentenceOf(uuid, spoilt), facts: { backup: uuid, ...spoilt } });
  }
}

function sentenceOf(backup: string, { damaged, missing }: Spoilt): string {
  const said = [
    ...(damaged.length === 0 ? [] : [`${damaged.join(', ')} changed since it was hashed`]),
    ...(missing.length === 0 ? [] : [`${missing.join(', ')} is gone`]),
  ];
  return `Of backup ${backup} ${said.join('; ')}: it is broken, and so is every point on it. Bring the files back, then: chainkeeper checksums ${backup} --verify`;
}
