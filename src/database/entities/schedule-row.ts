import { Column, Entity, PrimaryGeneratedColumn } from 'typeorm';
import { COUNT, FLAG, MOMENT, NUMBER, TEXT, WORD } from '../columns';

/**
 * When a VM, or each VM of an offering, is backed up. One in CloudStack's notation has its time, zone, count and quiescing in a row of
 * `backup_schedule`, and here what that has no column for.
 */
@Entity('ck_schedules')
export class ScheduleRow {
  @PrimaryGeneratedColumn({ type: 'integer' }) seq!: number;
  @Column(WORD) id!: string;
  /** Row of `backup_schedule`; null: a cron pattern, or an offering's. */
  @Column(COUNT) backupScheduleId!: number | null;
  /** Either a VM or an offering. */
  @Column(COUNT) vmId!: number | null;
  @Column(COUNT) offeringId!: number | null;
  /** Five parts. Null, as the two after it: its row of `backup_schedule` says. */
  @Column(WORD) cron!: string | null;
  @Column(WORD) timezone!: string | null;
  @Column(FLAG) quiesce!: boolean | null;
  @Column(NUMBER) jitterSeconds!: number;
  @Column(WORD) missed!: 'skip' | 'run-once';
  @Column(NUMBER) graceSeconds!: number;
  /** What its row of `backup_schedule` said when it was last read; null: it was not yet, or there is none. */
  @Column(WORD) readAs!: string | null;
  @Column(MOMENT) paused!: Date | null;
  @Column(TEXT) pausedWhy!: string | null;
  @Column(MOMENT) created!: Date;
  @Column(MOMENT) changed!: Date;
}
