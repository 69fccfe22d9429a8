import { Column, Entity, PrimaryGeneratedColumn } from 'typeorm';
import { COUNT, MOMENT, WORD } from '../columns';

/** Somebody changed the virtual size of a disk and told us. No look shows it: a disk that shrank and grew back is as large as before. */
@Entity('ck_resizes')
export class ResizeRow {
  @PrimaryGeneratedColumn({ type: 'integer' }) id!: number;
  @Column(COUNT) vmId!: number;
  @Column(WORD) target!: string;
  /** Bytes before and after. */
  @Column(COUNT) sizeFrom!: number;
  @Column(COUNT) sizeTo!: number;
  /** The backup that went on when we were told: nobody knows whether it has the disk of before or after. */
  @Column(WORD) runId!: string | null;
  /** When we were told. */
  @Column(MOMENT) at!: Date;
}
