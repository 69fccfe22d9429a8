import { Column, Entity, PrimaryGeneratedColumn } from 'typeorm';
import { COUNT, FLAG, SECOND, WORD } from '../columns';

/** A NAS export. `mountOpts` may hold credentials: it never leaves the service. */
@Entity('backup_repository')
export class BackupRepositoryRow {
  @PrimaryGeneratedColumn({ type: 'integer' }) id!: number;
  @Column(WORD) uuid!: string;
  @Column(WORD) name!: string;
  @Column(COUNT) zoneId!: number;
  @Column(WORD) provider!: string;
  /** `nfs`, `cifs`, `ceph`, or `dir` for a directory of the host. */
  @Column(WORD) type!: string;
  @Column(WORD) address!: string;
  @Column(WORD) mountOpts!: string;
  @Column(COUNT) usedBytes!: number | null;
  @Column(COUNT) capacityBytes!: number | null;
  @Column(FLAG) crossZoneInstanceCreation!: boolean | null;
  @Column(SECOND) created!: Date | null;
  @Column(SECOND) removed!: Date | null;
}
