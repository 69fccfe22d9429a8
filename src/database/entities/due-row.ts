import { Column, Entity, PrimaryColumn } from 'typeorm';
import { COUNT, MOMENT } from '../columns';

/** What comes next of a schedule for one of its VMs. */
@Entity('ck_due')
export class DueRow {
  @PrimaryColumn(COUNT) scheduleSeq!: number;
  @PrimaryColumn(COUNT) vmId!: number;
  /** As the schedule says; the run is named after it. Null: never again, or not until the schedule goes on. */
  @Column(MOMENT) instant!: Date | null;
  /** With the VM's jitter, or when the window opens. */
  @Column(MOMENT) dueAt!: Date | null;
}
