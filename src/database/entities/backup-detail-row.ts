import { Column, Entity, PrimaryGeneratedColumn } from 'typeorm';
import { COUNT, FLAG, TEXT, WORD } from '../columns';

/** One key of a backup. There is no unique key upstream: the same name can be there twice. */
@Entity('backup_details')
export class BackupDetailRow {
  @PrimaryGeneratedColumn({ type: 'integer' }) id!: number;
  @Column(COUNT) backupId!: number;
  @Column(WORD) name!: string;
  @Column(TEXT) value!: string;
  @Column(FLAG) display!: boolean;
}
