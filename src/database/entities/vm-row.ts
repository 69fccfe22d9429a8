import { Column, Entity, PrimaryGeneratedColumn } from 'typeorm';
import { COUNT, SECOND, TEXT, WORD } from '../columns';

/** A virtual machine: the columns of CloudStack's table that matter for backups. */
@Entity('vm_instance')
export class VmRow {
  @PrimaryGeneratedColumn({ type: 'integer' }) id!: number;
  @Column(WORD) name!: string;
  @Column(WORD) uuid!: string | null;
  /** The name that libvirt knows, for example `i-2-1234-VM`. */
  @Column(WORD) instanceName!: string;
  @Column(WORD) state!: string;
  @Column(COUNT) vmTemplateId!: number | null;
  @Column(COUNT) podId!: number | null;
  @Column(COUNT) dataCenterId!: number;
  @Column(COUNT) hostId!: number | null;
  @Column(COUNT) lastHostId!: number | null;
  @Column(COUNT) accountId!: number;
  @Column(COUNT) domainId!: number;
  @Column(COUNT) serviceOfferingId!: number;
  @Column(WORD) hypervisorType!: string | null;
  @Column(WORD) powerState!: string | null;
  @Column(SECOND) powerStateUpdateTime!: Date | null;
  @Column(COUNT) powerHost!: number | null;
  @Column(COUNT) backupOfferingId!: number | null;
  @Column(WORD) backupExternalId!: string | null;
  @Column(TEXT) backupVolumes!: string | null;
  @Column(SECOND) removed!: Date | null;
}
