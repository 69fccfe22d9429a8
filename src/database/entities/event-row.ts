import { Column, Entity, PrimaryGeneratedColumn } from 'typeorm';
import { COUNT, JSON_TEXT, MOMENT, TEXT, WORD } from '../columns';

/** Something that has happened, and why. Never changed; no foreign keys: it outlives what it is about. */
@Entity('ck_events')
export class EventRow {
  /** Order of happening; what pages are cut by and streams go on from. */
  @PrimaryGeneratedColumn({ type: 'integer' }) seq!: number;
  @Column(WORD) kind!: string;
  @Column(COUNT) vmId!: number | null;
  @Column(WORD) runId!: string | null;
  @Column(WORD) scheduleId!: string | null;
  @Column(COUNT) hostId!: number | null;
  @Column(WORD) reason!: string | null;
  /** For people. */
  @Column(TEXT) message!: string;
  @Column(JSON_TEXT) facts!: object | null;
  @Column(MOMENT) at!: Date;
}
