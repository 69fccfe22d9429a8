import { Column, Entity, PrimaryGeneratedColumn } from 'typeorm';
import type { RunState } from '../../domain/run/run-state';
import { COUNT, JSON_TEXT, LOG_TEXT, MOMENT, NUMBER, TEXT, WORD } from '../columns';

/** What a run does. */
export const RUN_KINDS = ['backup', 'delete', 'retention', 'restore'] as const;
/** What a run does. */
export type RunKind = (typeof RUN_KINDS)[number];

/** Runs that let restore points go. */
export const DELETING: readonly RunKind[] = ['delete', 'retention'];

/** One run: written down before anything happens, kept for ever. */
@Entity('ck_runs')
export class RunRow {
  /** Order of creation; what pages are cut by. */
  @PrimaryGeneratedColumn({ type: 'integer' }) seq!: number;
  /** The run's uuid: its name everywhere outside this table. */
  @Column(WORD) id!: string;
  @Column(COUNT) vmId!: number;
  @Column(COUNT) hostId!: number | null;
  @Column(WORD) kind!: RunKind;
  @Column(WORD) state!: RunState;
  /** `trigger` is a reserved word in MySQL. */
  @Column(WORD) triggeredBy!: 'rest' | 'cli' | 'schedule' | 'service';
  /** Why the service asked for it by itself. */
  @Column(TEXT) cause!: string | null;
  /** Of a scheduled one: the schedule's uuid, and the instant, for which the VM has no other run. */
  @Column(WORD) scheduleId!: string | null;
  @Column(MOMENT) scheduledFor!: Date | null;
  /** It begins before then, by the database's clock, or is put off: its window closes. Null: it may begin at any time. */
  @Column(MOMENT) startUntil!: Date | null;
  /** When it is to be stopped if it still goes on: its window closes. */
  @Column(MOMENT) stopAt!: Date | null;
  @Column(WORD) idempotencyKey!: string | null;
  @Column(JSON_TEXT) requested!: object;
  @Column(JSON_TEXT) plan!: object | null;
  @Column(COUNT) backupId!: number | null;
  /** The job directory on the host. */
  @Column(WORD) jobId!: string | null;
  /** The lease's epoch at the claim; every later write names it, so a late writer changes nothing. */
  @Column(COUNT) epoch!: number;
  @Column(WORD) owner!: string | null;
  /** Attempts that have failed; the one that goes on or waits is the next. */
  @Column(NUMBER) attempt!: number;
  /** It begins no sooner, in the database's time: an attempt failed, or its window opens then. Null: nothing is waited for. */
  @Column(MOMENT) notBefore!: Date | null;
  @Column(WORD) reason!: string | null;
  @Column(WORD) errorCode!: string | null;
  @Column(TEXT) errorMessage!: string | null;
  @Column(JSON_TEXT) progress!: object | null;
  /** When its bytes last became more. */
  @Column(MOMENT) progressed!: Date | null;
  @Column(NUMBER) exitCode!: number | null;
  @Column(LOG_TEXT) stdout!: string | null;
  @Column(LOG_TEXT) stderr!: string | null;
  @Column(JSON_TEXT) warnings!: string[] | null;
  /** When somebody asked it to stop. */
  @Column(MOMENT) abortAsked!: Date | null;
  @Column(MOMENT) created!: Date;
  @Column(MOMENT) started!: Date | null;
  @Column(MOMENT) ended!: Date | null;
}
