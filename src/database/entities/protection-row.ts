import { Column, Entity, PrimaryColumn } from 'typeorm';
import { COUNT, MOMENT, SECOND, TEXT, WORD } from '../columns';

/** Somebody said that a backup must stay. */
@Entity('ck_protections')
export class ProtectionRow {
  @PrimaryColumn(COUNT) backupId!: number;
  /** Null: until it is taken back. */
  @Column(SECOND) until!: Date | null;
  @Column(WORD) protectedBy!: string;
  @Column(TEXT) why!: string;
  @Column(MOMENT) created!: Date;
}
