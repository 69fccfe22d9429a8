import { Column, Entity, PrimaryColumn } from 'typeorm';
import { COUNT, JSON_TEXT, MOMENT, TEXT, WORD } from '../columns';

/** What we say about one link of a chain. CloudStack can rewrite a backup's details; it cannot rewrite this. */
@Entity('ck_links')
export class LinkRow {
  /** No foreign key: the reason outlives the backup. */
  @PrimaryColumn(COUNT) backupId!: number;
  @Column(WORD) backupUuid!: string;
  @Column(WORD) runId!: string | null;
  /** Why it was full or incremental: a code of the closed list. */
  @Column(WORD) reason!: string;
  @Column(WORD) recreateMethod!: string | null;
  /** What was planned, before the host had its say. */
  @Column(JSON_TEXT) planned!: object | null;
  @Column(WORD) assuranceAtBirth!: string;
  @Column(WORD) assurance!: string;
  /** What the present assurance rests on, as a sentence. */
  @Column(TEXT) assuranceWhy!: string | null;
  @Column(MOMENT) changed!: Date;
}
