import { Column, Entity, PrimaryColumn } from 'typeorm';
import { COUNT, FLAG, JSON_TEXT, MOMENT, TEXT, WORD } from '../columns';

/** What lies beside the files of a backup, and what became of asking for it. No row: nobody has asked yet. */
@Entity('ck_manifests')
export class ManifestRow {
  @PrimaryColumn(COUNT) backupId!: number;
  /** When a manifest was last asked for. */
  @Column(MOMENT) tried!: Date | null;
  @Column(TEXT) whyNot!: string | null;
  /** When it was written. */
  @Column(MOMENT) written!: Date | null;
  /** The job that reads the files now; null: none does. */
  @Column(WORD) hashJob!: string | null;
  /** Whether that job compares. */
  @Column(FLAG) hashVerifies!: boolean | null;
  @Column(MOMENT) hashTried!: Date | null;
  @Column(TEXT) hashWhyNot!: string | null;
  /** When the checksums were taken. */
  @Column(MOMENT) hashed!: Date | null;
  /** When they were last compared with the files. */
  @Column(MOMENT) verified!: Date | null;
  /** The files that differed then, or when one was read for a restore; null: none did, or nobody has compared. */
  @Column(JSON_TEXT) damaged!: readonly string[] | null;
  /** The files that were not there when somebody last looked; null: all were, or nobody has looked. */
  @Column(JSON_TEXT) missing!: readonly string[] | null;
}
