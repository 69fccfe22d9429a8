import { Column, Entity, PrimaryGeneratedColumn } from 'typeorm';
import { COUNT, FLAG, NUMBER, SECOND, WORD } from '../columns';

/** When a VM is backed up, in CloudStack's notation. */
@Entity('backup_schedule')
export class BackupScheduleRow {
  @PrimaryGeneratedColumn({ type: 'integer' }) id!: number;
  @Column(WORD) uuid!: string;
  @Column(COUNT) vmId!: number;
  /** 0 hourly, 1 daily, 2 weekly, 3 monthly. */
  @Column(NUMBER) scheduleType!: number | null;
  /** `MM`, `MM:HH` or `MM:HH:D`. */
  @Column(WORD) schedule!: string | null;
  @Column(WORD) timezone!: string | null;
  @Column(SECOND) scheduledTimestamp!: Date | null;
  @Column(COUNT) asyncJobId!: number | null;
  /** How many backups of this schedule are kept; 0 is all. */
  @Column(NUMBER) maxBackups!: number;
  @Column(FLAG) quiescevm!: boolean | null;
  @Column(COUNT) domainId!: number | null;
  @Column(COUNT) accountId!: number | null;
}
