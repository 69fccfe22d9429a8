import { Column, Entity, PrimaryGeneratedColumn } from 'typeorm';
import { COUNT, FLAG, WORD } from '../columns';

/** One key of a VM. There is no unique key upstream: the same name can be there twice. */
@Entity('vm_instance_details')
export class VmDetailRow {
  @PrimaryGeneratedColumn({ type: 'integer' }) id!: number;
  @Column(COUNT) vmId!: number;
  @Column(WORD) name!: string;
  @Column(WORD) value!: string;
  @Column(FLAG) display!: boolean;
}
