import { Column, Entity, PrimaryGeneratedColumn } from 'typeorm';
import { COUNT, LOG_TEXT, MOMENT, WORD } from '../columns';

/** What was measured once: the facts word for word, and out of them what questions are asked about. */
@Entity('ck_evidence')
export class EvidenceRow {
  @PrimaryGeneratedColumn({ type: 'integer' }) id!: number;
  @Column(COUNT) vmId!: number;
  @Column(WORD) runId!: string | null;
  /** No foreign key: evidence outlives the backup it is about. */
  @Column(COUNT) backupId!: number | null;
  @Column(WORD) kind!: 'inspect' | 'run';
  @Column(MOMENT) at!: Date;
  /** The JSON as the host printed it. */
  @Column(LOG_TEXT) facts!: string;
  @Column(WORD) hostName!: string | null;
  @Column(WORD) hostBootId!: string | null;
  @Column(WORD) vmState!: string | null;
  @Column(MOMENT) qemuStarted!: Date | null;
  /** Sum over the disks of what the bitmap called dirty before the job. */
  @Column(COUNT) dirtyBytes!: number | null;
  @Column(COUNT) jobBytes!: number | null;
  /** Sum over the disks of data and zero clusters that the files themselves hold. */
  @Column(COUNT) ownBytes!: number | null;
  /** Sum over the disks of what the guest wrote since QEMU started. */
  @Column(COUNT) writtenBytes!: number | null;
  @Column(COUNT) jobMs!: number | null;
  @Column(WORD) reason!: string | null;
  @Column(WORD) recreateMethod!: string | null;
  @Column(WORD) assurance!: string | null;
}
