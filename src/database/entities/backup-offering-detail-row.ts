import { Column, Entity, PrimaryGeneratedColumn } from 'typeorm';
import { COUNT, FLAG, WORD } from '../columns';

/** One setting of an offering, for example `nas.backup.full.every`. */
@Entity('backup_offering_details')
export class BackupOfferingDetailRow {
  @PrimaryGeneratedColumn({ type: 'integer' }) id!: number;
  @Column(COUNT) backupOfferingId!: number;
  @Column(WORD) name!: string;
  @Column(WORD) value!: string;
  @Column(FLAG) display!: boolean;
}
