import { Column, Entity, PrimaryColumn } from 'typeorm';
import type { TransferWish } from '../../domain/agent/facts';
import { COUNT, NUMBER, WORD } from '../columns';

/** What CloudStack's `backup_repository` has no room for: the way that backups take to it. No row: nobody said. */
@Entity('ck_repositories')
export class RepositoryWayRow {
  @PrimaryColumn(COUNT) repositoryId!: number;
  /** How the data of a live VM travels; null: nobody said. */
  @Column({ ...WORD, nullable: true }) transfer!: TransferWish | null;
  /** MiB a second that one run may move at most; null: no limit. */
  @Column({ ...NUMBER, nullable: true }) bandwidth!: number | null;
}
