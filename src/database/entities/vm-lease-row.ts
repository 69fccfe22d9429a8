import { Column, Entity, PrimaryColumn } from 'typeorm';
import { COUNT, MOMENT, WORD } from '../columns';

/** Who may work on a VM. The row stays for ever, so that the epoch never goes back. */
@Entity('ck_vm_leases')
export class VmLeaseRow {
  @PrimaryColumn(COUNT) vmId!: number;
  @Column(WORD) runId!: string | null;
  @Column(WORD) owner!: string | null;
  @Column(COUNT) epoch!: number;
  /** In the database's time; null when nobody holds it. */
  @Column(MOMENT) leaseUntil!: Date | null;
}
