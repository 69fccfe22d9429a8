import { Column, Entity, PrimaryColumn } from 'typeorm';
import { COUNT, TEXT, WORD } from '../columns';

/** One disk of a piece of evidence, so that questions about lineage are SQL. */
@Entity('ck_evidence_disks')
export class EvidenceDiskRow {
  @PrimaryColumn(COUNT) evidenceId!: number;
  @PrimaryColumn(WORD) target!: string;
  @Column(TEXT) path!: string | null;
  @Column(COUNT) inode!: number | null;
  @Column(WORD) format!: string | null;
  @Column(COUNT) virtualSize!: number | null;
  @Column(COUNT) clusterSize!: number | null;
  @Column(WORD) method!: string | null;
  @Column(TEXT) file!: string | null;
  @Column(TEXT) backing!: string | null;
  @Column(COUNT) fileSize!: number | null;
  @Column(COUNT) ownData!: number | null;
  @Column(COUNT) ownZero!: number | null;
  /** The bitmap that `dirtyBefore` and `granularity` are about. */
  @Column(WORD) bitmap!: string | null;
  @Column(COUNT) dirtyBefore!: number | null;
  @Column(COUNT) granularity!: number | null;
  @Column(COUNT) writtenBytes!: number | null;
  @Column(WORD) checkResult!: string | null;
}
