import { Column, Entity, PrimaryGeneratedColumn } from 'typeorm';
import { COUNT, SECOND, WORD } from '../columns';

/** A hypervisor, as CloudStack knows it. How we reach it is in `HostAccessRow`. */
@Entity('host')
export class HostRow {
  @PrimaryGeneratedColumn({ type: 'integer' }) id!: number;
  @Column(WORD) name!: string;
  @Column(WORD) uuid!: string | null;
  @Column(WORD) status!: string;
  @Column(WORD) type!: string;
  @Column(WORD) privateIpAddress!: string;
  @Column(COUNT) clusterId!: number | null;
  @Column(COUNT) podId!: number | null;
  @Column(COUNT) dataCenterId!: number;
  @Column(WORD) hypervisorType!: string | null;
  @Column(WORD) resourceState!: string;
  @Column(COUNT) mgmtServerId!: number | null;
  @Column(COUNT) lastMgmtServerId!: number | null;
  @Column(WORD) arch!: string | null;
  @Column(WORD) storageAccessGroups!: string | null;
  @Column(SECOND) removed!: Date | null;
}
