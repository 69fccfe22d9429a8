import { Column, Entity, PrimaryColumn } from 'typeorm';
import { COUNT, JSON_TEXT, MOMENT, WORD } from '../columns';

/** When backups may start, as somebody said for an offering or a host. */
@Entity('ck_start_rules')
export class StartRuleRow {
  @PrimaryColumn(WORD) owner!: 'offering' | 'host';
  /** Row id of the offering or host. */
  @PrimaryColumn(COUNT) ownerId!: number;
  /** IANA name of the time zone that windows and days are meant in. */
  @Column(WORD) zone!: string;
  /** As people wrote them. */
  @Column(JSON_TEXT) windows!: string[];
  @Column(JSON_TEXT) blackouts!: string[];
  @Column(WORD) atEnd!: 'finish' | 'stop';
  @Column(MOMENT) changed!: Date;
}
