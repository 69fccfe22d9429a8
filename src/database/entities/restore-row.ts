import { Column, Entity, PrimaryColumn } from 'typeorm';
import type { RestoreWay } from '../../domain/restore/restore-plan';
import { COUNT, FLAG, JSON_TEXT, MOMENT, TEXT, WORD } from '../columns';

/** One restore that was begun: its run, what was taken for what it was worth, and what came of it. Kept for ever. */
@Entity('ck_restores')
export class RestoreRow {
  @PrimaryColumn(WORD) runId!: string;
  /** No foreign key: the record outlives the backup. */
  @Column(COUNT) backupId!: number;
  @Column(WORD) backupUuid!: string;
  @Column(COUNT) vmId!: number;
  @Column(WORD) way!: RestoreWay;
  /** What the point was worth then. */
  @Column(WORD) assurance!: string;
  /** Somebody took it for that: how far, who, and why. */
  @Column(WORD) acceptedLevel!: string | null;
  @Column(WORD) acceptedBy!: string | null;
  @Column(TEXT) acceptedWhy!: string | null;
  /** Since when the VM's volumes may be others; null: they are the same. */
  @Column(MOMENT) vmTouched!: Date | null;
  /** Every disk was compared with the chain, and is the same; null: it did not come to that. */
  @Column(FLAG) identical!: boolean | null;
  /** What the host script said; null: nothing was heard. */
  @Column(JSON_TEXT) outcome!: object | null;
  @Column(MOMENT) created!: Date;
}
