import { Column, Entity, PrimaryGeneratedColumn } from 'typeorm';
import { COUNT, SECOND, WORD } from '../columns';

/** A disk of a VM. */
@Entity('volumes')
export class VolumeRow {
  @PrimaryGeneratedColumn({ type: 'integer' }) id!: number;
  @Column(COUNT) accountId!: number;
  @Column(COUNT) domainId!: number;
  @Column(COUNT) poolId!: number | null;
  /** The VM's id. */
  @Column(COUNT) instanceId!: number | null;
  /** Order of the disks on the VM; 0 is the root disk. */
  @Column(COUNT) deviceId!: number | null;
  @Column(WORD) name!: string | null;
  @Column(WORD) uuid!: string | null;
  @Column(COUNT) size!: number;
  @Column(WORD) path!: string | null;
  @Column(COUNT) dataCenterId!: number;
  /** `ROOT` or `DATADISK`. */
  @Column(WORD) volumeType!: string;
  @Column(WORD) poolType!: string | null;
  @Column(COUNT) diskOfferingId!: number;
  @Column(WORD) state!: string | null;
  @Column(SECOND) removed!: Date | null;
}
