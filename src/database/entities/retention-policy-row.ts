import { Column, Entity, PrimaryColumn } from 'typeorm';
import type { RetentionWish } from '../../domain/retention/retention-rules';
import { COUNT, FLAG, MOMENT, NUMBER, WORD } from '../columns';

/** By what the restore points of a VM are kept, as somebody said for it or for an offering; null: nothing was said of it. */
@Entity('ck_retention_policies')
export class RetentionPolicyRow implements RetentionWish {
  @PrimaryColumn(WORD) owner!: 'offering' | 'vm';
  /** Row id of the offering or VM. */
  @PrimaryColumn(COUNT) ownerId!: number;
  @Column(NUMBER) keepLast!: number | null;
  @Column(NUMBER) keepHourly!: number | null;
  @Column(NUMBER) keepDaily!: number | null;
  @Column(NUMBER) keepWeekly!: number | null;
  @Column(NUMBER) keepMonthly!: number | null;
  @Column(NUMBER) keepYearly!: number | null;
  @Column(NUMBER) minAgeHours!: number | null;
  @Column(WORD) zone!: string | null;
  /** Backups that somebody asked for count as well. */
  @Column(FLAG) manual!: boolean | null;
  @Column(MOMENT) changed!: Date;
}
