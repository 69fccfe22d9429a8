import { Column, Entity, PrimaryGeneratedColumn } from 'typeorm';
import { COUNT, SECOND, TEXT, WORD } from '../columns';

/** One backup, as in CloudStack's table: `date` carries the creation time, `removed` the soft delete. */
@Entity('backups')
export class BackupRow {
  @PrimaryGeneratedColumn({ type: 'integer' }) id!: number;
  @Column(WORD) uuid!: string;
  @Column(WORD) name!: string;
  @Column(WORD) description!: string | null;
  @Column(COUNT) vmId!: number;
  /** `<instance>/<yyyy.MM.dd.HH.mm.ss>` on the NAS. */
  @Column(WORD) externalId!: string | null;
  /** `FULL` or `INCREMENTAL`. */
  @Column(WORD) type!: string;
  @Column(SECOND) date!: Date | null;
  /** Bytes on the NAS. */
  @Column(COUNT) size!: number | null;
  /** Bytes of the VM's volumes. */
  @Column(COUNT) protectedSize!: number | null;
  @Column(WORD) status!: string | null;
  @Column(COUNT) backupOfferingId!: number;
  @Column(COUNT) backupScheduleId!: number | null;
  @Column(COUNT) accountId!: number;
  @Column(COUNT) domainId!: number;
  @Column(COUNT) zoneId!: number;
  /** JSON: one entry per volume, `{uuid, type, size, path, deviceId, ...}`. */
  @Column(TEXT) backedVolumes!: string | null;
  @Column(SECOND) removed!: Date | null;
}
