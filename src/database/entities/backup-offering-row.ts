import { Column, Entity, PrimaryGeneratedColumn } from 'typeorm';
import { COUNT, FLAG, SECOND, WORD } from '../columns';

/** A backup offering: which repository, and in its details how. */
@Entity('backup_offering')
export class BackupOfferingRow {
  @PrimaryGeneratedColumn({ type: 'integer' }) id!: number;
  @Column(WORD) uuid!: string;
  @Column(WORD) name!: string;
  @Column(WORD) description!: string | null;
  /** The uuid of the backup repository. */
  @Column(WORD) externalId!: string | null;
  @Column(FLAG) userDrivenBackup!: boolean;
  @Column(COUNT) zoneId!: number;
  @Column(WORD) provider!: string;
  @Column(SECOND) created!: Date | null;
  @Column(SECOND) removed!: Date | null;
}
