import { Column, Entity, PrimaryColumn } from 'typeorm';
import type { TransferWish } from '../../domain/agent/facts';
import { COUNT, WORD } from '../columns';

/** What CloudStack's `backup_repository` has no room for: the way that backups take to it. No row: nobody said. */
@Entity('ck_repositories')
export class RepositoryWayRow {
  @PrimaryColumn(COUNT) repositoryId!: number;
  /** How the data of a live VM travels. */
  @Column(WORD) transfer!: TransferWish;
}
